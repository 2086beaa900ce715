// What update and small_network do with element e of the weights: its gradient is a sum over rows times `scale`, clipped to
// +-clip_value, unless that is 0; plus l2 * w + l1 * sign(w), with sign(0) = 0. The formula of the optimiser (shaders/update/)
// makes of it the next weight and state. What would not be finite is not written, and ledger[4] says so.

struct Updated {
    weight: f32,
    state0: f32,
    state1: f32,
}

fn update_gradient(w: f32, grad: f32, scale: f32) -> f32 {
    if (params.l1 == 0.0 && params.clip_value == 0.0) {
        return scale * grad + params.l2 * w;
    }
    var g = scale * grad;
    // What is not finite stays so, and the element's update is refused.
    if (params.clip_value != 0.0 && is_finite(g)) {
        g = max(-params.clip_value, min(params.clip_value, g));
    }
    return g + params.l2 * w + params.l1 * sign(w);
}

// At the t-th update that was not refused.
fn update_element(e: u32, scale: f32, t: f32) {
    var state = vec2<f32>();
    if (STATES > 0u) {
        state.x = state0[e];
    }
    if (STATES > 1u) {
        state.y = state1[e];
    }
    let w = weight[e];
    let next = updated(w, update_gradient(w, grad[e], scale), state, t);
    if (is_finite(next.weight) && is_finite(next.state0) && is_finite(next.state1)) {
        weight[e] = next.weight;
        if (STATES > 0u) {
            state0[e] = next.state0;
        }
        if (STATES > 1u) {
            state1[e] = next.state1;
        }
    } else {
        // From many invocations maybe, all with the same value.
        ledger[4] = 1.0;
    }
}
