//! The number types that the CPU twins run on: `f64`, `f32` and [`Bounded`](crate::number::bounded::Bounded).

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use super::elementary;

/// A row-major or column-major view of a matrix: element (r, c) is `data[r·row_stride + c·col_stride]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mat<'a, F> {
    pub data: &'a [F],
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<'a, F: Copy> Mat<'a, F> {
    /// A row-major matrix whose rows begin `row_stride` elements apart.
    pub fn rows(data: &'a [F], row_stride: usize) -> Self {
        Self {
            data,
            row_stride,
            col_stride: 1,
        }
    }

    /// The same memory read as the transposed matrix.
    pub fn transposed(self) -> Self {
        Self {
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    pub fn at(&self, row: usize, col: usize) -> F {
        self.data[row * self.row_stride + col * self.col_stride]
    }
}

/// The arithmetic that a twin may use. A twin is written once, over this trait, and so the f64 reference, the f32
/// CPU path and the rounding bound of the GPU all come from the same lines.
pub(crate) trait Scalar:
    Copy
    + Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// A constant or hyperparameter, rounded to this type.
    fn of(x: f64) -> Self;
    /// The value, for read-outs and for branches whose two sides agree mathematically.
    fn value(self) -> f64;
    /// Whether the value is neither NaN nor infinite.
    fn is_finite(self) -> bool;

    fn exp(self) -> Self;
    /// eˣ − 1 for x ≤ 0.
    fn exp_m1(self) -> Self;
    /// ln(1 + x) for x in [0, 1].
    fn ln_1p(self) -> Self;
    fn ln(self) -> Self;
    fn tanh(self) -> Self;
    fn erf(self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// 1 above zero, `at_zero` at zero, 0 below.
    fn heaviside(self, at_zero: f64) -> Self;
    /// `f(x)` of a user's function with derivative `grad`.
    fn custom(self, f: &dyn Fn(f64) -> f64) -> Self;

    /// Whether this is f32.
    const IS_F32: bool = false;

    /// Copies numbers, as many as there are of both.
    fn copy(out: &mut [Self], x: &[f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = Self::of(f64::from(x));
        }
    }

    /// Σ of the terms; the order is the implementation's.
    fn sum(terms: impl Iterator<Item = Self>) -> Self {
        let mut total = Self::of(0.0);
        for term in terms {
            total += term;
        }
        total
    }

    /// Σ x.
    fn sum_of(x: &[Self]) -> Self {
        Self::sum(x.iter().copied())
    }

    /// The largest x, as a constant.
    fn max_of(x: &[Self]) -> Self {
        let max = x
            .iter()
            .fold(f64::from(f32::MIN), |m, x| Scalar::max(m, x.value()));
        Self::of(max)
    }

    /// `out[c] (+)= Σ_r x[r·stride + c]` for each of `out`'s columns.
    fn column_sums(out: &mut [Self], x: &[Self], stride: usize, rows: usize, accumulate: bool) {
        let cols = out.len();
        super::loops::for_rows(out, 1, cols, rows, |c, out| {
            let sum = Self::sum((0..rows).map(|r| x[r * stride + c]));
            out[0] = if accumulate { out[0] + sum } else { sum };
        });
    }

    /// `out[c] = Σ_r f(r, c)` for each of `out`'s columns.
    fn sums_over_rows(out: &mut [Self], rows: usize, f: impl Fn(usize, usize) -> Self + Sync) {
        let cols = out.len();
        super::loops::for_rows(out, 1, cols, 4 * rows, |c, out| {
            out[0] = Self::sum((0..rows).map(|r| f(r, c)));
        });
    }

    /// [`dot`](Self::dot) in an order that a processor likes.
    fn dot_in_lanes(k: usize, at: impl Fn(usize) -> (Self, Self)) -> Self {
        Self::dot(k, at)
    }

    /// `c (+)= a·b` with a (m, k), b (k, n); row r of c begins at `r·c_stride`. Then `finish(r, first, part)` for all parts of
    /// rows, while they are in a cache: `part` holds columns from `first` on.
    #[allow(clippy::too_many_arguments)]
    fn matmul(
        c: &mut [Self],
        c_stride: usize,
        m: usize,
        n: usize,
        k: usize,
        a: Mat<'_, Self>,
        b: Mat<'_, Self>,
        accumulate: bool,
        finish: impl Fn(usize, usize, &mut [Self]) + Sync,
    ) {
        super::loops::for_rows(c, c_stride, m, n * k, |r, row| {
            for (j, c) in row[..n].iter_mut().enumerate() {
                let before = *c;
                // What is there counts as one more term: a device may begin with it or end with it.
                *c = Self::dot(k + usize::from(accumulate), |i| {
                    if i < k {
                        (a.at(r, i), b.at(i, j))
                    } else {
                        (before, Self::of(1.0))
                    }
                });
            }
            finish(r, 0, &mut row[..n]);
        });
    }

    /// Σᵢ aᵢ·bᵢ over i in 0..k.
    fn dot(k: usize, at: impl Fn(usize) -> (Self, Self)) -> Self {
        let mut total = Self::of(0.0);
        for i in 0..k {
            let (a, b) = at(i);
            total += a * b;
        }
        total
    }
}

macro_rules! float_scalar {
    ($float:ident { $($name:ident: $function:path),+ $(,)? } $($extra:item)*) => {
        impl Scalar for $float {
            fn of(x: f64) -> Self {
                x as $float
            }
            fn value(self) -> f64 {
                f64::from(self)
            }
            fn is_finite(self) -> bool {
                $float::is_finite(self)
            }
            $(fn $name(self) -> Self {
                $function(self)
            })+
            // Not the standard max and min: those drop a NaN, and a NaN must be seen.
            fn max(self, other: Self) -> Self {
                if self < other { other } else { self }
            }
            fn min(self, other: Self) -> Self {
                if self > other { other } else { self }
            }
            fn heaviside(self, at_zero: f64) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    0.0
                } else if self == 0.0 {
                    at_zero as $float
                } else {
                    self
                }
            }
            fn custom(self, f: &dyn Fn(f64) -> f64) -> Self {
                f(f64::from(self)) as $float
            }
            $($extra)*
        }
    };
}

float_scalar!(f64 {
    exp: f64::exp,
    exp_m1: f64::exp_m1,
    ln_1p: f64::ln_1p,
    ln: f64::ln,
    tanh: f64::tanh,
    erf: libm::erf,
    sqrt: f64::sqrt,
    abs: f64::abs,
});
float_scalar!(f32 {
    exp: elementary::exp, exp_m1: elementary::exp_m1, ln_1p: elementary::ln_1p, ln: f32::ln,
    tanh: elementary::tanh, erf: elementary::erf, sqrt: f32::sqrt, abs: f32::abs,
}
    const IS_F32: bool = true;
    fn copy(out: &mut [Self], x: &[f32]) {
        out.copy_from_slice(x);
    }
    fn matmul(
        c: &mut [Self],
        c_stride: usize,
        m: usize,
        n: usize,
        k: usize,
        a: Mat<'_, Self>,
        b: Mat<'_, Self>,
        accumulate: bool,
        finish: impl Fn(usize, usize, &mut [Self]) + Sync,
    ) {
        super::gemm::gemm_f32(c, c_stride, m, n, k, a, b, accumulate, finish);
    }
    fn sum_of(x: &[Self]) -> Self {
        super::loops::sum_f32(x)
    }
    fn max_of(x: &[Self]) -> Self {
        super::loops::max_f32(x)
    }
    fn sums_over_rows(out: &mut [Self], rows: usize, f: impl Fn(usize, usize) -> Self + Sync) {
        super::loops::sums_over_rows_f32(out, rows, f);
    }
    fn dot_in_lanes(k: usize, at: impl Fn(usize) -> (Self, Self)) -> Self {
        super::loops::dot_f32(k, at)
    }
    fn column_sums(out: &mut [Self], x: &[Self], stride: usize, rows: usize, accumulate: bool) {
        super::loops::column_sums_f32(out, x, stride, rows, accumulate);
    }
);
