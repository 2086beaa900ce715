// z[r, c] = gamma[c] * (u[r, c] - mean) / sqrt(variance + eps) + beta[c],  a = activate(z), with the mean and the variance (divided
// by the number of columns) of row r. stats: the means, then 1/sqrt(variance + eps), infinite where the variance is not finite.
// u, z, a (rows, cols); gamma, beta (cols); stats (2, rows). Where z is not finite, a = z. z is written only if it is wanted.

@compute @workgroup_size(GROUP)
fn layer_norm(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    // A row beyond the last has no columns, so that every invocation reaches the barriers.
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var sum = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        sum += u[r * cols + c];
    }
    let mean = row_sum(local, sum) / f32(params.cols);
    var squares = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        let d = u[r * cols + c] - mean;
        squares += d * d;
    }
    let variance = row_sum(local, squares) / f32(params.cols);
    let inverse = infinite_if(!is_finite(variance), 1.0 / sqrt(variance + params.eps));
    for (var c = lane; c < cols; c += LANES) {
        let at = r * cols + c;
        let normal = (u[at] - mean) * inverse;
        let sum = gamma[c] * normal + beta[c];
        if (params.store_z != 0u) {
            z[at] = sum;
        }
        a[at] = select(sum, activate(sum), is_finite(sum));
    }
    if (lane == 0u && r < params.rows) {
        stats[r] = mean;
        stats[params.rows + r] = inverse;
    }
}
