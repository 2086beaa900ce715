// z above zero, NEGATIVE_SLOPE * z elsewhere

fn activate(z: f32) -> f32 {
    return max(z, 0.0) + NEGATIVE_SLOPE * min(z, 0.0);
}

fn activate_grad(a: f32) -> f32 {
    return select(NEGATIVE_SLOPE, 1.0, a > 0.0);
}
