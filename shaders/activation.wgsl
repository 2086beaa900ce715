// a[e] = activate(z[e]), or z[e] where that is not finite.  z, a (count).

@compute @workgroup_size(GROUP)
fn activation(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.count) {
        a[e] = select(z[e], activate(z[e]), is_finite(z[e]));
    }
}
