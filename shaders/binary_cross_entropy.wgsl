// loss[r] = scale * sum over c of (ln(1 + exp(z)) - t * z),  delta[r, c] = scale * (sigmoid(z) - t).
// z (logits), t, delta (rows, cols); loss (rows). scale is 1, or 1/cols for a mean over elements.
// ln(1 + exp(z)) - t * z = (1 - t) * max(z, 0) + t * max(-z, 0) + ln(1 + exp(-|z|)): no overflow, no cancellation.

@compute @workgroup_size(GROUP)
fn binary_cross_entropy(
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
        let s = z[at];
        let value = (1.0 - t[at]) * max(s, 0.0) + t[at] * max(-s, 0.0) + log1p_unit(exp_nonpositive(-abs(s)));
        sum += infinite_if(!is_finite(s), value);
        delta[at] = params.scale * (sigmoid_pair(s).x - t[at]);
    }
    let total = row_sum(local, sum);
    if (lane == 0u && r < params.rows) {
        loss[r] = params.scale * total;
    }
}
