// stats[0, c] = the mean of column c of u,  stats[1, c] = 1/sqrt(variance + eps) with its variance (divided by the number of rows),
// infinite where that is not finite;  running[0, c] = keep * running + momentum * mean,  running[1, c] = keep * running +
// momentum * unbias * variance, each unless that is not finite.  u (rows, cols); stats, running (2, cols).

@compute @workgroup_size(GROUP)
fn batch_norm_stats(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let c = column_index(local, group, groups);
    let rows = select(0u, params.rows, c < params.cols);
    var sum = 0.0;
    for (var r = first_row(local); r < rows; r += DOWN) {
        sum += u[r * params.cols + c];
    }
    let mean = column_sum(local, sum) / f32(params.rows);
    // The second pass: differences from the mean, whose squares lose nothing where the mean is large.
    var squares = 0.0;
    for (var r = first_row(local); r < rows; r += DOWN) {
        let d = u[r * params.cols + c] - mean;
        squares += d * d;
    }
    let variance = column_sum(local, squares) / f32(params.rows);
    if (first_row(local) == 0u && c < params.cols) {
        let second = params.cols + c;
        stats[c] = mean;
        stats[second] = infinite_if(!is_finite(variance), 1.0 / sqrt(variance + params.eps));
        let next_mean = params.keep * running[c] + params.momentum * mean;
        let next_variance = params.keep * running[second] + params.momentum * (params.unbias * variance);
        if (is_finite(next_mean) && is_finite(next_variance)) {
            running[c] = next_mean;
            running[second] = next_variance;
        }
    }
}
