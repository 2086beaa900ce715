// loss[r] = -sum over c of t[r, c] * ln(a[r, c]),  delta[r, c] = -t[r, c]/a[r, c] * activate_grad(saved[r, c]).
// a, saved (z or a), delta (rows, cols); t: a class index a row, or (rows, cols) probabilities; loss (rows).
// With `entropy`, sum over c of t * ln(t) is added: the Kullback-Leibler divergence, with the same delta.
// Where t is 0 both terms are 0, whatever finite number a is. Where t > 0 and a <= 0, or the quotient overflows, the loss is
// infinite and delta 0: nothing spreads, and the optimisers refuse a step whose loss is not finite. It is infinite too
// where any a is not finite.

// The target of class c: of a class index, or of a row of probabilities.
fn target_at(r: u32, c: u32) -> f32 {
    if (params.labels != 0u) {
        return select(0.0, 1.0, t[r] == c);
    }
    return bitcast<f32>(t[r * params.cols + c]);
}

@compute @workgroup_size(GROUP)
fn cross_entropy(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let r = row_index(local, group, groups);
    let cols = select(0u, params.cols, r < params.rows);
    let lane = local % LANES;
    var sum = 0.0;
    var fault = false;
    for (var c = lane; c < cols; c += LANES) {
        let at = r * cols + c;
        let p = target_at(r, c);
        var d = 0.0;
        if (!is_finite(a[at])) {
            fault = true;
        } else if (p > 0.0) {
            let quotient = p / a[at] * activate_grad(saved[at]);
            if (a[at] > 0.0 && is_finite(quotient)) {
                d = -quotient;
                sum -= p * log(a[at]);
                if (params.entropy != 0u) {
                    sum += p * log(p);
                }
            } else {
                fault = true;
            }
        }
        delta[at] = d;
    }
    let total = row_sum(local, infinite_if(fault, sum));
    if (lane == 0u && r < params.rows) {
        loss[r] = total;
    }
}
