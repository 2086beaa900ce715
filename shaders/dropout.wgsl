// h[e] = x[e] + (kept(e) ? scale * a[e] : 0), with kept(e) by a random word from the layer's key, the batch and e; without a
// residual connection x is not looked at. Not finite elements are kept, so that the loss will see them.  a, x, h (count).

@compute @workgroup_size(GROUP)
fn dropout(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.count) {
        let word = threefry(vec2<u32>(params.key0, params.key1), vec2<u32>(e, params.batch)).x;
        var sum = 0.0;
        if (word >= params.threshold || !is_finite(a[e])) {
            sum = params.scale * a[e];
        }
        if (params.residual != 0u) {
            sum += x[e];
        }
        h[e] = sum;
    }
}
