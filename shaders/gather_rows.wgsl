// y[r, c] = x[order[start + r], c]: rows of words through a permutation. The targets of a batch from a data set on the device.
// x (any, cols), order: words; y (rows, cols).

@compute @workgroup_size(GROUP)
fn gather_rows(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.rows * params.cols) {
        let r = e / params.cols;
        y[e] = x[order[params.start + r] * params.cols + e % params.cols];
    }
}
