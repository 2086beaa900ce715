// total[e] = grad[e] + skip[e],  delta[e] = (kept(e) ? scale * total[e] : 0) * activate_grad(saved[e]).
// grad is dL/dh by way of the next layer's weight, skip what comes around it by its residual connection, if it has one; total is
// written where this layer's own residual connection takes it on. kept(e) as in dropout.wgsl.
// grad, skip, saved, total, delta (count).

@compute @workgroup_size(GROUP)
fn dropout_grad(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.count) {
        var sum = grad[e];
        if (params.add_skip != 0u) {
            sum += skip[e];
        }
        if (params.store_total != 0u) {
            total[e] = sum;
        }
        let word = threefry(vec2<u32>(params.key0, params.key1), vec2<u32>(e, params.batch)).x;
        let kept = select(0.0, params.scale * sum, word >= params.threshold);
        delta[e] = kept * activate_grad(saved[e]);
    }
}
