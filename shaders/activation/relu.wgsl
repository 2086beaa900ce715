// max(0, z); 1 above zero, 0 at zero and below

fn activate(z: f32) -> f32 {
    return max(z, 0.0);
}

fn activate_grad(a: f32) -> f32 {
    return select(0.0, 1.0, a > 0.0);
}
