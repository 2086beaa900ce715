// loss[r] = scale * sum over c of h(e),  delta[r, c] = scale * h'(e) * activate_grad(saved[r, c]),  e = a[r, c] - t[r, c],
// h(e) = e^2/2 for |e| <= threshold, threshold * (|e| - threshold/2) beyond; with k = clamp(e, -threshold, threshold)
// that is k * (e - k/2), and h' = k.
// a, saved (z or a), t, delta (rows, cols); loss (rows). scale is 1, or 1/cols for a mean over elements.

@compute @workgroup_size(GROUP)
fn huber(
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
        let k = max(-params.threshold, min(params.threshold, e));
        sum += infinite_if(!is_finite(e), k * (e - 0.5 * k));
        delta[at] = params.scale * k * activate_grad(saved[at]);
    }
    let total = row_sum(local, sum);
    if (lane == 0u && r < params.rows) {
        loss[r] = params.scale * total;
    }
}
