// torch.optim.Adam and AdamW: m = beta1 * m + one_minus_beta1 * g, v = beta2 * v + one_minus_beta2 * g^2,
// w = shrink * w - step_size * m / (sqrt(v) / root_correction2 + eps),
// step_size = lr / (1 - beta1^t), root_correction2 = sqrt(1 - beta2^t), with 1 - beta^t = -(exp(t * ln(beta)) - 1), which loses
// nothing for small t.
const STATES = 2u; // the mean and the mean square

fn updated(w: f32, g: f32, state: vec2<f32>, t: f32) -> Updated {
    let step_size = params.lr / -expm1_nonpositive(t * params.ln_beta1);
    let root_correction2 = sqrt(-expm1_nonpositive(t * params.ln_beta2));
    let m = params.beta1 * state.x + params.one_minus_beta1 * g;
    let v = params.beta2 * state.y + params.one_minus_beta2 * (g * g);
    return Updated(params.shrink * w - step_size * (m / (sqrt(v) / root_correction2 + params.eps)), m, v);
}
