// -sum over c of t * ln(a),  delta = -t / a * slope.
// With `entropy`, sum over c of t * ln(t) is added: the Kullback-Leibler divergence, with the same delta.
// Where t is 0 both terms are 0, whatever finite number a is. Where t > 0 and a <= 0, or the quotient overflows, the loss is
// infinite and delta 0: nothing spreads, and the update refuses a step whose loss is not finite. It is infinite too
// where any a is not finite.
fn loss_of_row(local: u32, r: u32, cols: u32) -> f32 {
    var sum = 0.0;
    var fault = false;
    for (var c = local % LANES; c < cols; c += LANES) {
        let y = output(r, c);
        let p = target_at(r, c);
        var d = 0.0;
        if (!is_finite(y)) {
            fault = true;
        } else if (p > 0.0) {
            let quotient = p / y * slope(r, c);
            if (y > 0.0 && is_finite(quotient)) {
                d = -quotient;
                sum -= p * log(y);
                if (params.entropy != 0u) {
                    sum += p * log(p);
                }
            } else {
                fault = true;
            }
        }
        set_delta(r, c, d);
    }
    return row_sum(local, infinite_if(fault, sum));
}
