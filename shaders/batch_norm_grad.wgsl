// delta_u[r, c] = gamma[c] * inverse[c] * (delta[r, c] - sums[0, c]/rows - x[r, c] * sums[1, c]/rows) with x = (u - mean) * inverse.
// delta, u, delta_u (rows, cols); stats (2, cols) as batch_norm_stats leaves them; sums (2, cols) as norm_params_grad does;
// gamma (cols).

@compute @workgroup_size(GROUP)
fn batch_norm_grad(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.rows * params.cols) {
        let c = e % params.cols;
        let inverse = stats[params.cols + c];
        let normal = (u[e] - stats[c]) * inverse;
        let count = f32(params.rows);
        let centred = delta[e] - sums[c] / count - normal * (sums[params.cols + c] / count);
        delta_u[e] = gamma[c] * inverse * centred;
    }
}
