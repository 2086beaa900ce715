// What an update makes of an element of the gradient: grad, a sum over rows, times `scale`; clipped to +-clip_value, unless that
// is 0; plus l2 * w + l1 * sign(w), with sign(0) = 0.
fn update_gradient(w: f32, grad: f32, scale: f32, l2: f32) -> f32 {
    if (params.l1 == 0.0 && params.clip_value == 0.0) {
        return scale * grad + l2 * w;
    }
    var g = scale * grad;
    // What is not finite stays so, and the element's update is refused.
    if (params.clip_value != 0.0 && is_finite(g)) {
        g = max(-params.clip_value, min(params.clip_value, g));
    }
    return g + l2 * w + params.l1 * sign(w);
}
