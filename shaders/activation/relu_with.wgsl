// max(0, z); 1 above zero, GRAD_AT_ZERO at zero, 0 below

fn activate(z: f32) -> f32 {
    return max(z, 0.0);
}

fn activate_grad(z: f32) -> f32 {
    return select(select(0.0, GRAD_AT_ZERO, z == 0.0), 1.0, z > 0.0);
}
