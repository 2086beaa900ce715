// Elements that an invocation of the optimiser's own kernel updates.
const UPDATES = 8u;
const STATES = 2u;

struct Updated {
    weight: f32,
    state0: f32, // the mean
    state1: f32, // the mean square
}

// w and its state after gradient `scale * grad`, at the t-th update that was not refused.
fn updated(w: f32, grad: f32, scale: f32, exp_avg: f32, exp_avg_sq: f32, t: f32) -> Updated {
    let step_size = params.lr / -expm1_nonpositive(t * params.ln_beta1);
    let root_correction2 = sqrt(-expm1_nonpositive(t * params.ln_beta2));
    let g = update_gradient(w, grad, scale, params.l2);
    let m = params.beta1 * exp_avg + params.one_minus_beta1 * g;
    let v = params.beta2 * exp_avg_sq + params.one_minus_beta2 * (g * g);
    return Updated(params.shrink * w - step_size * (m / (sqrt(v) / root_correction2 + params.eps)), m, v);
}
