// z * s(z) with the logistic function s; s * (1 + z * (1 - s))

fn activate(z: f32) -> f32 {
    return z * sigmoid_pair(z).x;
}

fn activate_grad(z: f32) -> f32 {
    let s = sigmoid_pair(z);
    return s.x * (1.0 + z * s.y);
}
