// delta_u[r, c] = inverse * (g[c] - mean(g) - x[c] * mean(g * x)) with g = gamma * delta and x = (u - mean) * inverse, means over
// row r.  delta, u, delta_u (rows, cols); gamma (cols); stats (2, rows) as layer_norm leaves them.

@compute @workgroup_size(GROUP)
fn layer_norm_grad(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    let cols = select(0u, params.cols, r < params.rows);
    // Beyond the last row, any row's.
    let row = min(r, params.rows - 1u);
    let mean = stats[row];
    let inverse = stats[params.rows + row];
    let lane = local % LANES;
    var sum = 0.0;
    var product = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        let g = gamma[c] * delta[r * cols + c];
        sum += g;
        product += g * ((u[r * cols + c] - mean) * inverse);
    }
    let mean_g = row_sum(local, sum) / f32(params.cols);
    let mean_gx = row_sum(local, product) / f32(params.cols);
    for (var c = lane; c < cols; c += LANES) {
        let at = r * cols + c;
        let normal = (u[at] - mean) * inverse;
        delta_u[at] = inverse * (gamma[c] * delta[at] - mean_g - normal * mean_gx);
    }
}
