// tanh(z); 1 - a^2

fn activate(z: f32) -> f32 {
    return tanh_accurate(z);
}

fn activate_grad(a: f32) -> f32 {
    return 1.0 - a * a;
}
