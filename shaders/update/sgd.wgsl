// torch.optim.SGD with momentum 0.
const STATES = 0u;

fn updated(w: f32, g: f32, state: vec2<f32>, t: f32) -> Updated {
    return Updated(w - params.lr * g, 0.0, 0.0);
}
