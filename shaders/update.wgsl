// The update of a segment of the parameters, an element after the other as in update_element.wgsl.
// grad, weight, state0, state1 (count), the states only where the formula has them; ledger (8).

// Elements of an invocation.
const UPDATES = 8u;

@compute @workgroup_size(GROUP)
fn update(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    // A step whose loss is not finite leaves everything as it was.
    if (!is_finite(ledger[5])) {
        return;
    }
    // The factor with which grad_norm clips, or none.
    let scale = select(params.grad_scale, ledger[7], params.scale_from_ledger != 0u);
    if (!is_finite(scale)) {
        ledger[4] = 1.0;
        return;
    }
    // A whole grid apart, so that neighbours take neighbours.
    let apart = groups.x * groups.y * GROUP;
    for (var i = 0u; i < UPDATES; i++) {
        let e = element_index(local, group, groups) + i * apart;
        if (e >= params.count) {
            return;
        }
        update_element(e, scale, f32(params.step) - ledger[6]);
    }
}
