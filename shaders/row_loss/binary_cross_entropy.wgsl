// From logits: row_scale * sum over c of (ln(1 + exp(z)) - t * z),  delta = row_scale * (sigmoid(z) - t).
// ln(1 + exp(z)) - t * z = (1 - t) * max(z, 0) + t * max(-z, 0) + ln(1 + exp(-|z|)): no overflow, no cancellation.
fn loss_of_row(local: u32, r: u32, cols: u32) -> f32 {
    var sum = 0.0;
    for (var c = local % LANES; c < cols; c += LANES) {
        let z = output(r, c);
        let p = target_at(r, c);
        let value = (1.0 - p) * max(z, 0.0) + p * max(-z, 0.0) + log1p_unit(exp_nonpositive(-abs(z)));
        sum += infinite_if(!is_finite(z), value);
        set_delta(r, c, params.row_scale * (sigmoid_pair(z).x - p));
    }
    return params.row_scale * row_sum(local, sum);
}
