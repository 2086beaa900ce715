//! [`Bounded`]: an f64 value together with a bound on how far an f32 device may be from it.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::number::scalar::Scalar;

/// How far a custom fragment may be from its Rust function, in ULP of the largest of 1, |φ| and |z|: room for
/// a handful of exp, log and divisions at WGSL's accuracy.
pub const CUSTOM_ULPS: f64 = 32.0;

/// Unit roundoff of f32, 2⁻²⁴: a correctly rounded result is within `U·|result|`.
pub(crate) const U: f64 = 1.0 / 16_777_216.0;

/// The smallest normal f32, 2⁻¹²⁶. A device may flush anything below it to zero, at every operation.
pub(crate) const FLOOR: f64 = f32::MIN_POSITIVE as f64;

/// Roundings that an addition counts. WGSL lets a compiler reassociate: x + (y + z) may run as (x + y) + z, and then y + z is
/// rounded at the magnitude of the whole sum too. (Seen: softplus on llvmpipe.) Sums of many terms go through `sum`.
const ADDITION: f64 = 2.0;

/// One ULP is at most two unit roundoffs of the value.
const ULP: f64 = 2.0 * U;

/// A running error analysis in the form of a number.
///
/// `value` is the exact (f64) result; `err` bounds |device − value| for a device that rounds additions and multiplications to
/// nearest (WGSL leaves the mode open; every GPU known to us does) and otherwise follows the WGSL specification's accuracy
/// rules (§ *Floating point accuracy*), in any order of summation, with or without fused multiply-add and with or without
/// denormals. A twin run over `Bounded` therefore yields the reference and its tolerance at once. No tolerance in this
/// crate is tuned; one is an allowance, [`CUSTOM_ULPS`] for what a user's fragment does inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded {
    pub value: f64,
    pub err: f64,
}

impl Bounded {
    /// A number that the device holds exactly.
    pub fn exact(value: f64) -> Self {
        Self { value, err: 0.0 }
    }

    /// `value`, reached with propagated error `err` by an operation that is right to `roundoffs·U`, relative.
    fn rounded(value: f64, err: f64, roundoffs: f64) -> Self {
        // A device has the same infinity: what is computed from it is off by what that adds.
        if value.is_infinite() {
            return Self::exact(value);
        }
        // Zero from exact operands is zero everywhere.
        let floor = if value == 0.0 && err == 0.0 {
            0.0
        } else {
            FLOOR
        };
        Self {
            value,
            err: err + roundoffs * U * (value.abs() + err) + floor,
        }
    }

    /// The larger or smaller of two numbers: the other one's error only matters where either may win.
    fn winner_over(self, loser: Self) -> Self {
        let clear = (self.value - loser.value).abs() > self.err + loser.err;
        Self {
            value: self.value,
            err: if clear {
                self.err
            } else {
                self.err.max(loser.err)
            },
        }
    }

    /// Largest magnitude that the device may hold.
    fn magnitude(self) -> f64 {
        self.value.abs() + self.err
    }
}

impl Add for Bounded {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self::rounded(self.value + o.value, self.err + o.err, ADDITION)
    }
}

impl Sub for Bounded {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self::rounded(self.value - o.value, self.err + o.err, ADDITION)
    }
}

impl Mul for Bounded {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        // A factor below the smallest normal may be flushed before it is used.
        let flushed = |x: Self| x.value != 0.0 && x.value.abs() < FLOOR;
        let mut err = self.magnitude() * o.err + self.err * o.value.abs();
        if flushed(self) || flushed(o) {
            err += FLOOR * (self.magnitude() + o.magnitude());
        }
        Self::rounded(self.value * o.value, err, 1.0)
    }
}

impl Div for Bounded {
    type Output = Self;
    /// WGSL: x/y is within 2.5 ULP.
    fn div(self, o: Self) -> Self {
        let value = self.value / o.value;
        let least = o.value.abs() - o.err;
        let err = if least > 0.0 {
            (self.err + value.abs() * o.err) / least
        } else {
            f64::INFINITY
        };
        Self::rounded(value, err, 2.5 * ULP / U)
    }
}

impl Neg for Bounded {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            value: -self.value,
            ..self
        }
    }
}

impl AddAssign for Bounded {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl Scalar for Bounded {
    fn of(x: f64) -> Self {
        Self {
            value: x,
            err: (x - f64::from(x as f32)).abs(),
        }
    }

    fn value(self) -> f64 {
        self.value
    }

    fn is_finite(self) -> bool {
        self.value.is_finite()
    }

    /// WGSL: exp(x) is within (3 + 2·|x|) ULP.
    fn exp(self) -> Self {
        let value = self.value.exp();
        let ulps = 3.0 + 2.0 * self.magnitude();
        let err = if self.err < 1.0 {
            value * self.err.exp_m1()
        } else {
            // Not as a product, which may be 0·∞.
            (self.value + self.err).exp()
        };
        // The exact value may be 0 in f64 where a device still has a denormal.
        Self::rounded(value, err + FLOOR, ulps * ULP / U)
    }

    /// shaders/math.wgsl, measured by tests/kernels/accuracy.rs: a Taylor polynomial below 1/2 (3 U), e^x − 1 above, where
    /// (6 + 4·|x|)·e^x/|e^x − 1| + 1 stays under 16 U for x ≤ 0.
    fn exp_m1(self) -> Self {
        let value = self.value.exp_m1();
        let err = self.value.exp() * self.err.exp_m1();
        Self::rounded(value, err, 16.0)
    }

    /// shaders/math.wgsl, measured by tests/kernels/accuracy.rs: the series of 2·atanh(x/(2+x)): 3 U measured, and 4 U more for a division of 2.5 ULP.
    fn ln_1p(self) -> Self {
        let value = self.value.ln_1p();
        let least = 1.0 + self.value - self.err;
        Self::rounded(value, self.err / least, 12.0)
    }

    /// WGSL: log(x) is within 2⁻²¹ in [0.5, 2] and within 3 ULP elsewhere.
    fn ln(self) -> Self {
        let value = self.value.ln();
        let least = self.value - self.err;
        let propagated = if least > 0.0 {
            (self.err / least).min(-(-self.err / self.value).ln_1p())
        } else {
            f64::INFINITY
        };
        let near_one = least <= 2.0 && self.value + self.err >= 0.5;
        let own = if near_one { 2f64.powi(-21) } else { 0.0 };
        Self::rounded(value, propagated + own, 3.0 * ULP / U)
    }

    /// shaders/math.wgsl, measured by tests/kernels/accuracy.rs: a polynomial below 0.625 (1.4 U measured), 1 − 2/(e^2x + 1) above, where exp's error
    /// enters by a factor below 0.35 and the division's by 0.45: under 10 U of a tanh above 0.55.
    fn tanh(self) -> Self {
        let value = self.value.tanh();
        let least = (self.value.abs() - self.err).max(0.0).tanh();
        let err = self.err * (1.0 - least * least);
        Self::rounded(value, err, 18.0)
    }

    /// shaders/math.wgsl, measured by tests/kernels/accuracy.rs: Cephes' polynomials, 3 U measured below 1 and 1 U above, where exp(−x²) of a device
    /// that only keeps to WGSL's accuracy adds 3 U.
    fn erf(self) -> Self {
        let value = libm::erf(self.value);
        let least = (self.value.abs() - self.err).max(0.0);
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-least * least).exp();
        Self::rounded(value, self.err * slope, 6.0)
    }

    /// WGSL: sqrt is 1/inverseSqrt, 2 ULP and 2.5 ULP.
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        let err = if self.err == 0.0 {
            0.0
        } else {
            (self.err / value).min(self.err.sqrt())
        };
        Self::rounded(value, err, 4.5 * ULP / U)
    }

    fn abs(self) -> Self {
        Self {
            value: self.value.abs(),
            ..self
        }
    }

    fn max(self, o: Self) -> Self {
        if self.value < o.value {
            o.winner_over(self)
        } else {
            self.winner_over(o)
        }
    }

    fn min(self, o: Self) -> Self {
        if self.value > o.value {
            o.winner_over(self)
        } else {
            self.winner_over(o)
        }
    }

    /// Where the device's argument may lie on the other side of the step, the whole height of the step is allowed.
    fn heaviside(self, at_zero: f64) -> Self {
        let denormal = self.value != 0.0 && self.value.abs() < FLOOR;
        let ambiguous = denormal || (self.err > 0.0 && self.value.abs() <= self.err);
        Self {
            value: self.value.heaviside(at_zero),
            err: if ambiguous { 1.0 } else { 0.0 },
        }
    }

    /// The spread of `f` over the argument's interval, and [`CUSTOM_ULPS`] for the fragment's own
    /// rounding, relative to the larger of |f| and |x|.
    fn custom(self, f: &dyn Fn(f64) -> f64) -> Self {
        let value = f(self.value);
        let spread = |x: f64| (f(x) - value).abs();
        let err = spread(self.value - self.err).max(spread(self.value + self.err));
        let own = CUSTOM_ULPS * ULP * value.abs().max(self.value.abs()).max(1.0);
        Self {
            value,
            err: 2.0 * err + own + FLOOR,
        }
    }

    /// Order-independent: n terms of magnitude |t| sum with an error of at most (n + 2)·U·Σ|t|.
    fn sum(terms: impl Iterator<Item = Self>) -> Self {
        let (mut value, mut err, mut magnitude, mut n, mut tiny) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for term in terms {
            value += term.value;
            err += term.err;
            magnitude += term.magnitude();
            n += 1.0;
            if term.magnitude() > 0.0 {
                tiny += FLOOR;
            }
        }
        Self {
            value,
            err: err + (n + 2.0) * U * magnitude + tiny,
        }
    }

    /// Order-independent: |device − Σab| ≤ K·U·Σ|a||b| for every K (Jeannerod and Rump, *Improved error bounds for inner
    /// products in floating-point arithmetic*, 2013), 2·U more to be on the safe side, and what the operands may be off.
    fn dot(k: usize, at: impl Fn(usize) -> (Self, Self)) -> Self {
        let (mut value, mut err, mut magnitude, mut tiny) = (0.0, 0.0, 0.0, 0.0);
        for i in 0..k {
            let (a, b) = at(i);
            value += a.value * b.value;
            err += a.magnitude() * b.err + a.err * b.value.abs();
            let product = a.magnitude() * b.magnitude();
            magnitude += product;
            if product > 0.0 {
                tiny += FLOOR;
            }
        }
        Self {
            value,
            err: err + (k as f64 + 2.0) * U * magnitude + tiny,
        }
    }
}
