// loss[r] = scale * sum over c of (a[r, c] - t[r, c])^2,  delta[r, c] = 2 * scale * (a[r, c] - t[r, c]) * activate_grad(saved[r, c]).
// a, saved (z or a), t, delta (rows, cols); loss (rows). scale is 1, or 1/cols for a mean over elements.

@compute @workgroup_size(GROUP)
fn squared_error(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var sum = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        let at = r * cols + c;
        let e = a[at] - t[at];
        sum += infinite_if(!is_finite(e), e * e);
        delta[at] = 2.0 * params.scale * e * activate_grad(saved[at]);
    }
    let total = row_sum(local, sum);
    if (lane == 0u && r < params.rows) {
        loss[r] = params.scale * total;
    }
}
