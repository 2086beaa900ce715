// a[r, c] = exp(z[r, c] - m) / sum over k of exp(z[r, k] - m), with m the largest z of row r.
// Where a z of the row is not finite, neither is any a.  z, a (rows, cols).

@compute @workgroup_size(GROUP)
fn softmax(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    // A row beyond the last has no columns, so that every invocation reaches the barriers.
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var largest = -3.4028234e38;
    for (var c = lane; c < cols; c += LANES) {
        largest = max(largest, z[r * cols + c]);
    }
    let m = row_max(local, largest);
    var sum = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        let x = z[r * cols + c];
        sum += select(x, exp_nonpositive(x - m), is_finite(x));
    }
    let total = row_sum(local, sum);
    for (var c = lane; c < cols; c += LANES) {
        let at = r * cols + c;
        a[at] = select(total, exp_nonpositive(z[at] - m) / total, is_finite(total));
    }
}
