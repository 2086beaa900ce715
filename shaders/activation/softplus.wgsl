// ln(1 + exp(z)); the logistic function

fn activate(z: f32) -> f32 {
    return max(z, 0.0) + log1p_unit(exp_nonpositive(-abs(z)));
}

fn activate_grad(z: f32) -> f32 {
    return sigmoid_pair(z).x;
}
