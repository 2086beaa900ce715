// g = grad_scale * grad + l2 * w, clipped and with l1 * sign(w) as in update_gradient.wgsl,
// m = beta1 * m + one_minus_beta1 * g,  v = beta2 * v + one_minus_beta2 * g^2,
// w = shrink * w - step_size * m / (sqrt(v) / root_correction2 + eps).
// Adam: l2 = weight_decay, shrink = 1. AdamW: l2 = 0, shrink = 1 - lr * weight_decay.
// step_size = lr / (1 - beta1^t), root_correction2 = sqrt(1 - beta2^t), with t = step less the refused ones, and
// 1 - beta^t = -(exp(t * ln(beta)) - 1), which loses nothing for small t.
// grad, weight, exp_avg, exp_avg_sq (count): one segment; ledger (8). torch.optim.Adam, AdamW.

@compute @workgroup_size(GROUP)
fn adam(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    // A step whose loss is not finite leaves everything as it was; an element that would overflow, that element.
    if (!is_finite(ledger[5])) {
        return;
    }
    // The factor with which grad_norm clips, or none.
    let scale = select(params.grad_scale, ledger[7], params.scale_from_ledger != 0u);
    if (!is_finite(scale)) {
        ledger[4] = 1.0;
        return;
    }
    // Several elements an invocation, a whole grid apart, so that neighbours take neighbours.
    let apart = groups.x * groups.y * GROUP;
    for (var i = 0u; i < UPDATES; i++) {
        let e = element_index(local, group, groups) + i * apart;
        if (e >= params.count) {
            return;
        }
        let next = updated(weight[e], grad[e], scale, exp_avg[e], exp_avg_sq[e], f32(params.step) - ledger[6]);
        if (is_finite(next.weight) && is_finite(next.state0) && is_finite(next.state1)) {
            exp_avg[e] = next.state0;
            exp_avg_sq[e] = next.state1;
            weight[e] = next.weight;
        } else {
            // From many invocations maybe, all with the same value.
            ledger[4] = 1.0;
        }
    }
}
