// sums[0, c] = sum over r of delta[r, c],  sums[1, c] = sum over r of delta[r, c] * x[r, c],  grad_beta (+)= the first, grad_gamma
// (+)= the second, with x = (u - mean) * inverse, the statistics of row r (`by_row`) or of column c.
// delta, u (rows, cols); stats (2, rows) or (2, cols); sums (2, cols); grad_gamma, grad_beta (cols).

@compute @workgroup_size(GROUP)
fn norm_params_grad(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let c = column_index(local, group, groups);
    // A column beyond the last has no rows, so that every invocation reaches the barriers.
    let rows = select(0u, params.rows, c < params.cols);
    let by_row = params.by_row != 0u;
    let count = select(params.cols, params.rows, by_row);
    var sum = 0.0;
    var product = 0.0;
    for (var r = first_row(local); r < rows; r += DOWN) {
        let at = r * params.cols + c;
        let i = select(c, r, by_row);
        sum += delta[at];
        product += delta[at] * ((u[at] - stats[i]) * stats[count + i]);
    }
    let total = column_sum(local, sum);
    let total_product = column_sum(local, product);
    if (first_row(local) == 0u && c < params.cols) {
        sums[c] = total;
        sums[params.cols + c] = total_product;
        if (params.accumulate != 0u) {
            grad_gamma[c] += total_product;
            grad_beta[c] += total;
        } else {
            grad_gamma[c] = total_product;
            grad_beta[c] = total;
        }
    }
}
