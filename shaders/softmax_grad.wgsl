// delta[r, c] = a[r, c] * (grad[r, c] - sum over k of grad[r, k] * a[r, k]): softmax's Jacobian times grad = dL/da.
// a, grad, delta (rows, cols).

@compute @workgroup_size(GROUP)
fn softmax_grad(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var sum = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        sum += grad[r * cols + c] * a[r * cols + c];
    }
    let mean = row_sum(local, sum);
    for (var c = lane; c < cols; c += LANES) {
        delta[r * cols + c] = a[r * cols + c] * (grad[r * cols + c] - mean);
    }
}
