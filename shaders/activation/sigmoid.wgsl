// 1/(1 + exp(-z)); a * (1 - a)

fn activate(z: f32) -> f32 {
    return sigmoid_pair(z).x;
}

fn activate_grad(a: f32) -> f32 {
    return a * (1.0 - a);
}
