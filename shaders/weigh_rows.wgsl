// loss[r] = weight[r] * loss[r],  delta[r, c] = weight[r] * delta[r, c]; where weight[r] is 0, both are 0, whatever they were.
// weight, loss (rows), delta (rows, cols). After a loss, for rows that count more or less than others.

@compute @workgroup_size(GROUP)
fn weigh_rows(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e >= params.rows * params.cols) {
        return;
    }
    let r = e / params.cols;
    let w = weight[r];
    // By a branch: 0 times an infinity would be NaN.
    if (w == 0.0) {
        delta[e] = 0.0;
        if (e % params.cols == 0u) {
            loss[r] = 0.0;
        }
    } else {
        delta[e] = w * delta[e];
        if (e % params.cols == 0u) {
            loss[r] = w * loss[r];
        }
    }
}
