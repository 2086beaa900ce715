// g = grad_scale * grad + weight_decay * w, clipped and with l1 * sign(w) as in update_gradient.wgsl,
// v = momentum * v + one_minus_dampening * g (v = g at the first step
// that was not refused),
// w -= lr * v, or lr * (g + momentum * v) for Nesterov.
// grad, weight, velocity (count): one segment; ledger (8). torch.optim.SGD.

@compute @workgroup_size(GROUP)
fn momentum(
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
        let next = updated(weight[e], grad[e], scale, velocity[e], 0.0, f32(params.step) - ledger[6]);
        if (is_finite(next.weight) && is_finite(next.state0)) {
            velocity[e] = next.state0;
            weight[e] = next.weight;
        } else {
            // From many invocations maybe, all with the same value.
            ledger[4] = 1.0;
        }
    }
}
