// Functions that WGSL lacks or leaves too loose, accurate to a few roundings; appended to every kernel.
// Measured against f64 by tests/kernels/accuracy.rs; the bounds that the twins claim for them stand in src/number/bounded.rs.

// Bits, because a compiler in fast-math mode may assume that infinities and NaNs do not occur.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) < 0x7f800000u;
}

// x, or infinity where something is wrong; by bits, since an infinite constant is no WGSL.
fn infinite_if(wrong: bool, x: f32) -> f32 {
    return bitcast<f32>(select(bitcast<u32>(x), 0x7f800000u, wrong));
}

// e^x for x <= 0. Below -104 the result is under half the smallest denormal.
fn exp_nonpositive(x: f32) -> f32 {
    return exp(max(x, -104.0));
}

// e^x - 1 for x <= 0.
fn expm1_nonpositive(x: f32) -> f32 {
    // Taylor to x^8/8!: the first term left out is under 2^-28 of the result at -1/2.
    let p = 1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.008333334 + x * (0.0013888889
        + x * (0.0001984127 + x * 0.000024801588))))));
    return select(exp_nonpositive(x) - 1.0, x * p, x > -0.5);
}

// ln(1 + x) for 0 <= x <= 1, by the series of 2 atanh(s) with s = x/(2 + x) <= 1/3.
fn log1p_unit(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let q = s * s;
    let p = 0.33333334 + q * (0.2 + q * (0.14285715 + q * (0.11111111 + q * (0.09090909
        + q * (0.07692308 + q * 0.06666667)))));
    return 2.0 * s + (2.0 * s * q) * p;
}

// The logistic function of x and of -x: (p, 1 - p), neither by subtraction.
fn sigmoid_pair(x: f32) -> vec2<f32> {
    let e = exp_nonpositive(-abs(x));
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    return select(vec2<f32>(small, large), vec2<f32>(large, small), x >= 0.0);
}

// The built-in may be NaN for large arguments and off by 1e-5 near zero. Coefficients: Cephes, tanhf.
fn tanh_accurate(x: f32) -> f32 {
    let q = x * x;
    let p = -0.33333282 + q * (0.13331442 + q * (-0.053739715 + q * (0.020639088 + q * -0.005704989)));
    let small = x + x * q * p;
    let e = exp(2.0 * min(abs(x), 15.0));
    let large = sign(x) * (1.0 - 2.0 / (e + 1.0));
    return select(large, small, abs(x) < 0.625);
}

// The error function. Coefficients: Cephes, erff and erfcf.
fn erf(x: f32) -> f32 {
    let v = min(abs(x), 10.0);
    let q = v * v;
    let below = v * (1.1283791 + q * (-0.37612626 + q * (0.11283586 + q * (-0.026853815 + q * (0.0051883277
        + q * (-0.00080101937 + q * 0.000078538614))))));
    let r = 1.0 / max(v, 1.0);
    let y = r * r;
    let middle = 0.5638259 + y * (-0.2741127 + y * (0.340488 + y * (-0.49445152 + y * (0.62100046
        + y * (-0.5824733 + y * (0.36874247 + y * (-0.13870394 + y * 0.0232682)))))));
    let far = 0.5641896 + y * (-0.28208207 + y * (0.42184633 + y * (-1.0152653 + y * (2.921019
        + y * (-7.4955187 + y * (12.977197 + y * -10.477664))))));
    let complement = exp_nonpositive(-q) * r * select(far, middle, v < 2.0);
    return sign(x) * select(1.0 - complement, below, v < 1.0);
}
