// z * cdf(z) of the normal distribution, by erf; cdf(z) + z * density(z)

fn normal_cdf(z: f32) -> f32 {
    return 0.5 * (1.0 + erf(z * 0.70710678));
}

fn activate(z: f32) -> f32 {
    return z * normal_cdf(z);
}

fn activate_grad(z: f32) -> f32 {
    return normal_cdf(z) + z * (0.3989423 * exp_nonpositive(-0.5 * (z * z)));
}
