// z/2 * (1 + tanh(u)) = z * s(2u) with the logistic function s and u = sqrt(2/pi) * (z + 0.044715 * z^3);
// s(2u) + z * s(2u) * s(-2u) * 2u', u' = sqrt(2/pi) * (1 + 3 * 0.044715 * z^2)

fn gelu_pair(z: f32) -> vec2<f32> {
    return sigmoid_pair(1.5957692 * z * (1.0 + 0.044715 * z * z));
}

fn activate(z: f32) -> f32 {
    return z * gelu_pair(z).x;
}

fn activate_grad(z: f32) -> f32 {
    let s = gelu_pair(z);
    return s.x + z * (s.x * s.y * (1.5957692 * (1.0 + 0.134145 * z * z)));
}
