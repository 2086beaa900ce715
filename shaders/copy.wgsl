// y[e] = x[e].  x, y (count).
// No part of training: it measures how fast an adapter moves memory.

@compute @workgroup_size(GROUP)
fn copy(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.count) {
        y[e] = x[e];
    }
}
