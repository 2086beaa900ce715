// row_scale * sum over c of (a - t)^2,  delta = 2 * row_scale * (a - t) * slope. row_scale is 1, or 1/cols for a mean over elements.
fn loss_of_row(local: u32, r: u32, cols: u32) -> f32 {
    var sum = 0.0;
    for (var c = local % LANES; c < cols; c += LANES) {
        let e = output(r, c) - target_at(r, c);
        sum += infinite_if(!is_finite(e), e * e);
        set_delta(r, c, 2.0 * params.row_scale * e * slope(r, c));
    }
    return params.row_scale * row_sum(local, sum);
}
