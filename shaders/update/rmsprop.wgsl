// Elements that an invocation of the optimiser's own kernel updates.
const UPDATES = 8u;
const STATES = 1u;

struct Updated {
    weight: f32,
    state0: f32, // the mean square
    state1: f32,
}

// w and its state after gradient `scale * grad`, at the t-th update that was not refused.
fn updated(w: f32, grad: f32, scale: f32, square_avg: f32, state1: f32, t: f32) -> Updated {
    let g = update_gradient(w, grad, scale, params.weight_decay);
    let s = params.alpha * square_avg + params.one_minus_alpha * (g * g);
    return Updated(w - params.lr * (g / (sqrt(s) + params.eps)), s, 0.0);
}
