// z[r, c] = gamma[c] * (u[r, c] - mean[c]) * inverse[c] + beta[c],  a = activate(z), with the statistics of the batch, or, if
// `running`, inverse = 1/sqrt(variance + eps) from the running variance.
// u, z, a (rows, cols); stats: means, then inverses or variances (2, cols); gamma, beta (cols). Where z is not finite, a = z.
// z is written only if it is wanted.

@compute @workgroup_size(GROUP)
fn batch_norm(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.rows * params.cols) {
        let c = e % params.cols;
        var inverse = stats[params.cols + c];
        if (params.running != 0u) {
            inverse = 1.0 / sqrt(inverse + params.eps);
        }
        let normal = (u[e] - stats[c]) * inverse;
        let sum = gamma[c] * normal + beta[c];
        if (params.store_z != 0u) {
            z[e] = sum;
        }
        a[e] = select(sum, activate(sum), is_finite(sum));
    }
}
