// Elements that an invocation of the optimiser's own kernel updates.
const UPDATES = 8u;
const STATES = 1u;

struct Updated {
    weight: f32,
    state0: f32, // the velocity
    state1: f32,
}

// w and its state after gradient `scale * grad`, at the t-th update that was not refused.
fn updated(w: f32, grad: f32, scale: f32, velocity: f32, state1: f32, t: f32) -> Updated {
    let g = update_gradient(w, grad, scale, params.weight_decay);
    var v = g;
    if (t > 1.0) {
        v = params.momentum * velocity + params.one_minus_dampening * g;
    }
    var direction = v;
    if (params.nesterov != 0u) {
        direction = g + params.momentum * v;
    }
    return Updated(w - params.lr * direction, v, 0.0);
}
