// loss[r] = -sum over c of t[r, c] * ln(p[r, c]),  delta[r, c] = p[r, c] * sum over k of t[r, k] - t[r, c],  p = softmax(z).
// z (logits), delta (rows, cols); t: a class index a row, or (rows, cols) probabilities; loss (rows).
// Targets are smoothed: t = keep * t + share, with keep = 1 - s and share = s / cols; 1 and 0 leave them as they are.
// With `entropy`, sum over c of t * ln(t) is added: the Kullback-Leibler divergence, with the same delta.
// -ln(p) = (m - z) + ln(sum of exp(z - m)), with m the largest z of the row. It is infinite where any z is not
// finite.

// The smoothed target of class c: of a class index, or of a row of probabilities.
fn target_at(r: u32, c: u32) -> f32 {
    if (params.labels != 0u) {
        return params.keep * select(0.0, 1.0, t[r] == c) + params.share;
    }
    return params.keep * bitcast<f32>(t[r * params.cols + c]) + params.share;
}

@compute @workgroup_size(GROUP)
fn softmax_cross_entropy(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var largest = -3.4028234e38;
    for (var c = lane; c < cols; c += LANES) {
        largest = max(largest, z[r * cols + c]);
    }
    let m = row_max(local, largest);
    var sum = 0.0;
    var mass = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        sum += exp_nonpositive(z[r * cols + c] - m);
        mass += target_at(r, c);
    }
    let total = row_sum(local, sum);
    let target_mass = row_sum(local, mass);
    let log_total = log(total);
    var value = 0.0;
    var fault = false;
    for (var c = lane; c < cols; c += LANES) {
        let at = r * cols + c;
        let p = target_at(r, c);
        fault = fault || !is_finite(z[at]);
        if (p > 0.0) {
            value += p * ((m - z[at]) + log_total);
            if (params.entropy != 0u) {
                value += p * log(p);
            }
        }
        delta[at] = exp_nonpositive(z[at] - m) / total * target_mass - p;
    }
    let row_loss = row_sum(local, infinite_if(fault, value));
    if (lane == 0u && r < params.rows) {
        loss[r] = row_loss;
    }
}
