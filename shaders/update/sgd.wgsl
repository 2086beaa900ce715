// Elements that an invocation of the optimiser's own kernel updates.
const UPDATES = 8u;
const STATES = 0u;

struct Updated {
    weight: f32,
    state0: f32,
    state1: f32,
}

// w and its state after gradient `scale * grad`, at the t-th update that was not refused.
fn updated(w: f32, grad: f32, scale: f32, state0: f32, state1: f32, t: f32) -> Updated {
    let g = update_gradient(w, grad, scale, params.weight_decay);
    return Updated(w - params.lr * g, 0.0, 0.0);
}
