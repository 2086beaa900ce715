// Squared error of an identity output: as squared_error.wgsl, one invocation a row.

fn row_loss(r: u32, start: u32) -> f32 {
    let cols = width(params.layers);
    var sum = 0.0;
    for (var c = 0u; c < cols; c++) {
        let e = output(r, c) - bitcast<f32>(target_word(r, start, c));
        sum += infinite_if(!is_finite(e), e * e);
        set_delta(r, c, 2.0 * params.row_scale * e);
    }
    return params.row_scale * sum;
}
