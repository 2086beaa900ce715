// torch.optim.SGD: v = momentum * v + one_minus_dampening * g, or g at the first step that was not refused;
// w -= lr * v, or lr * (g + momentum * v) for Nesterov.
const STATES = 1u; // the velocity

fn updated(w: f32, g: f32, state: vec2<f32>, t: f32) -> Updated {
    var v = g;
    if (t > 1.0) {
        v = params.momentum * state.x + params.one_minus_dampening * g;
    }
    var direction = v;
    if (params.nesterov != 0u) {
        direction = g + params.momentum * v;
    }
    return Updated(w - params.lr * direction, v, 0.0);
}
