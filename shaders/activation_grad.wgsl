// delta[e] = grad[e] * activate_grad(saved[e]).  grad = dL/da, saved (z or a), delta (count).

@compute @workgroup_size(GROUP)
fn activation_grad(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.count) {
        delta[e] = grad[e] * activate_grad(saved[e]);
    }
}
