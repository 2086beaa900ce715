//! exp, tanh and their like in f32, in straight-line code that compilers vectorise: the CPU path's counterparts of
//! shaders/math.wgsl, with the same polynomials. The standard library's go one call an element.
//!
//! Accurate as src/bounded.rs claims; the kernel table judges them through every twin that runs in f32. NaNs pass through.

/// Adding and subtracting this rounds to the nearest whole number.
const MAGIC: f32 = 12_582_912.0;

/// eˣ by 2ⁿ·eʳ with |r| ≤ ½·ln 2. Coefficients: Cephes, expf.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Comparisons, not max and min: those drop a NaN.
    let clamped = if x < -104.0 { -104.0 } else { x };
    let clamped = if clamped > 89.0 { 89.0 } else { clamped };
    let shifted = clamped * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    // ln 2 in two parts, the first short enough that n times it is exact.
    let r = (clamped - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 0.5
        + r * (0.166_666_65
            + r * (0.041_665_795 + r * (0.008_333_452 + r * (0.001_398_2 + r * 0.000_198_756_92))));
    let y = 1.0 + (r + r * r * p);
    // 2ⁿ in two factors, since n alone may be beyond an exponent.
    let n = (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    y * power(half) * power(n.wrapping_sub(half))
}

/// eˣ − 1 for x ≤ 0.
#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    let p = 1.0
        + x * (0.5
            + x * (0.166_666_67
                + x * (0.041_666_668
                    + x * (0.008_333_334
                        + x * (0.001_388_888_9 + x * (0.000_198_412_7 + x * 0.000_024_801_588))))));
    if x > -0.5 { x * p } else { exp(x) - 1.0 }
}

/// ln(1 + x) for 0 ≤ x ≤ 1.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let q = s * s;
    let p = 0.333_333_34
        + q * (0.2
            + q * (0.142_857_15
                + q * (0.111_111_11 + q * (0.090_909_09 + q * (0.076_923_08 + q * 0.066_666_67)))));
    2.0 * s + (2.0 * s * q) * p
}

/// The hyperbolic tangent. Coefficients: Cephes, tanhf.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let q = x * x;
    let p = -0.333_332_8
        + q * (0.133_314_42 + q * (-0.053_739_715 + q * (0.020_639_088 + q * -0.005_704_989)));
    let small = x + x * q * p;
    let e = exp(2.0 * x.abs());
    let large = (1.0 - 2.0 / (e + 1.0)).copysign(x);
    if x.abs() < 0.625 { small } else { large }
}

/// The error function. Coefficients: Cephes, erff and erfcf.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let v = x.abs();
    let v = if v > 10.0 { 10.0 } else { v };
    let q = v * v;
    let below = v
        * (std::f32::consts::FRAC_2_SQRT_PI
            + q * (-0.376_126_26
                + q * (0.112_835_86
                    + q * (-0.026_853_815
                        + q * (0.005_188_327_7
                            + q * (-0.000_801_019_37 + q * 0.000_078_538_614))))));
    let r = 1.0 / if v < 1.0 { 1.0 } else { v };
    let y = r * r;
    let middle = 0.563_825_9
        + y * (-0.274_112_7
            + y * (0.340_488
                + y * (-0.494_451_52
                    + y * (0.621_000_46
                        + y * (-0.582_473_3
                            + y * (0.368_742_47 + y * (-0.138_703_94 + y * 0.023_268_2)))))));
    let far = 0.564_189_6
        + y * (-0.282_082_07
            + y * (0.421_846_33
                + y * (-1.015_265_3
                    + y * (2.921_019 + y * (-7.495_518_7 + y * (12.977_197 + y * -10.477_664))))));
    let complement = exp(-q) * r * if v < 2.0 { middle } else { far };
    let value = if v < 1.0 { below } else { 1.0 - complement };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    /// Largest relative error over a sweep, in unit roundoffs.
    fn worst(f: fn(f32) -> f32, exact: fn(f64) -> f64, from: f64, to: f64) -> f64 {
        (0..=1_000_000)
            .map(|i| (from + (to - from) * f64::from(i) / 1e6) as f32)
            .map(|x| {
                let exact = exact(f64::from(x));
                let error = (f64::from(f(x)) - exact).abs() - f64::from(f32::MIN_POSITIVE);
                error.max(0.0) / exact.abs().max(1e-300) / crate::number::bounded::U
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_as_accurate_as_the_bounds_claim() {
        // Tighter than bounded.rs, which has to cover GPUs too.
        assert!(worst(super::exp, f64::exp, -104.0, 88.0) <= 3.0);
        assert!(worst(super::exp_m1, f64::exp_m1, -30.0, 0.0) <= 8.0);
        assert!(worst(super::ln_1p, f64::ln_1p, 0.0, 1.0) <= 4.0);
        assert!(worst(super::tanh, f64::tanh, -20.0, 20.0) <= 5.0);
        assert!(worst(super::erf, libm::erf, -12.0, 12.0) <= 6.0);
    }

    #[test]
    fn extremes_are_what_they_must_be() {
        assert_eq!(super::exp(0.0), 1.0);
        assert_eq!(super::exp(-1e30), 0.0);
        assert_eq!(super::exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(super::exp(100.0), f32::INFINITY);
        assert_eq!(super::tanh(f32::INFINITY), 1.0);
        assert_eq!(super::erf(f32::NEG_INFINITY), -1.0);
        for f in [
            super::exp,
            super::exp_m1,
            super::ln_1p,
            super::tanh,
            super::erf,
        ] {
            assert!(f(f32::NAN).is_nan());
        }
    }
}
