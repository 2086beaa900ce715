// torch.optim.RMSprop: s = alpha * s + one_minus_alpha * g^2, w -= lr * g / (sqrt(s) + eps).
const STATES = 1u; // the mean square

fn updated(w: f32, g: f32, state: vec2<f32>, t: f32) -> Updated {
    let s = params.alpha * state.x + params.one_minus_alpha * (g * g);
    return Updated(w - params.lr * (g / (sqrt(s) + params.eps)), s, 0.0);
}
