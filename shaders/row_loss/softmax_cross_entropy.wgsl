// From logits: -sum over c of t * ln(p),  delta = p * sum over k of t[k] - t,  p = softmax(z).
// Targets are smoothed: t = keep * t + share, with keep = 1 - s and share = s / cols; 1 and 0 leave them as they are.
// With `entropy`, sum over c of t * ln(t) is added: the Kullback-Leibler divergence, with the same delta.
// -ln(p) = (m - z) + ln(sum of exp(z - m)), with m the largest z of the row. It is infinite where any z is not finite.
fn loss_of_row(local: u32, r: u32, cols: u32) -> f32 {
    let lane = local % LANES;
    var largest = -3.4028234e38;
    for (var c = lane; c < cols; c += LANES) {
        largest = max(largest, output(r, c));
    }
    let m = row_max(local, largest);
    var sum = 0.0;
    var mass = 0.0;
    for (var c = lane; c < cols; c += LANES) {
        sum += exp_nonpositive(output(r, c) - m);
        mass += params.keep * target_at(r, c) + params.share;
    }
    let total = row_sum(local, sum);
    let target_mass = row_sum(local, mass);
    let log_total = log(total);
    var value = 0.0;
    var fault = false;
    for (var c = lane; c < cols; c += LANES) {
        let z = output(r, c);
        let p = params.keep * target_at(r, c) + params.share;
        fault = fault || !is_finite(z);
        if (p > 0.0) {
            value += p * ((m - z) + log_total);
            if (params.entropy != 0u) {
                value += p * log(p);
            }
        }
        set_delta(r, c, exp_nonpositive(z - m) / total * target_mass - p);
    }
    return row_sum(local, infinite_if(fault, value));
}
