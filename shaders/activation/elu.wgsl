// z above zero, ALPHA * (exp(z) - 1) elsewhere; the derivative below zero is a + ALPHA

fn activate(z: f32) -> f32 {
    return max(z, 0.0) + ALPHA * expm1_nonpositive(min(z, 0.0));
}

fn activate_grad(a: f32) -> f32 {
    return select(a + ALPHA, 1.0, a > 0.0);
}
