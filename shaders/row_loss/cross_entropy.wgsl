// Softmax and cross-entropy from logits, with class indices: as softmax_cross_entropy.wgsl, one invocation a row.

fn row_loss(r: u32, start: u32) -> f32 {
    let cols = width(params.layers);
    let label = target_word(r, start, 0u);
    var m = -3.4028234e38;
    var fault = false;
    for (var c = 0u; c < cols; c++) {
        let z = output(r, c);
        m = max(m, z);
        fault = fault || !is_finite(z);
    }
    var total = 0.0;
    for (var c = 0u; c < cols; c++) {
        total += exp_nonpositive(output(r, c) - m);
    }
    let value = (m - output(r, label)) + log(total);
    for (var c = 0u; c < cols; c++) {
        set_delta(r, c, exp_nonpositive(output(r, c) - m) / total - select(0.0, 1.0, c == label));
    }
    return infinite_if(fault, value);
}
