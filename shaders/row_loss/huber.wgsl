// row_scale * sum over c of h(e),  delta = row_scale * h'(e) * slope,  e = a - t,
// h(e) = e^2/2 for |e| <= threshold, threshold * (|e| - threshold/2) beyond; with k = clamp(e, -threshold, threshold)
// that is k * (e - k/2), and h' = k.
fn loss_of_row(local: u32, r: u32, cols: u32) -> f32 {
    var sum = 0.0;
    for (var c = local % LANES; c < cols; c += LANES) {
        let e = output(r, c) - target_at(r, c);
        let k = max(-params.threshold, min(params.threshold, e));
        sum += infinite_if(!is_finite(e), k * (e - 0.5 * k));
        set_delta(r, c, params.row_scale * k * slope(r, c));
    }
    return params.row_scale * row_sum(local, sum);
}
