//! The formulas of the optimisers: one row each, with a WGSL fragment of the same name in `shaders/update/`.
//!
//! A row states the constants, the names of the state that a weight has, and the weight and its state after a gradient g, which the
//! kernel has scaled, clipped and added the penalties to. An update that is not finite is not made: that is the kernel's, too.

use super::fragment::formulas;
use crate::number::loops;
use crate::number::scalar::Scalar;

/// What changes from step to step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates<F> {
    /// The learning rate.
    pub lr: F,
    /// 1 − lr·weight_decay where weights decay apart from the gradient, else 1.
    pub shrink: F,
    /// Steps so far that were not refused, this one included.
    pub t: F,
}

macro_rules! updates {
    ($(
        $(#[$doc:meta])*
        $variant:ident { $($constant:ident: $type:ty),* }, $file:literal, state: [$($state:ident),*],
        |$rates:ident| $formula:expr;
    )+) => {
        formulas! {
            /// How a weight changes.
            UpdateFormula in "update";
            $($(#[$doc])* $variant { $($constant: $type),* }, $file;)+
        }

        impl UpdateFormula {
            /// Numbers of state that a weight has.
            pub fn states(&self) -> usize {
                match self {
                    $(Self::$variant { .. } => <[&str]>::len(&[$(stringify!($state)),*])),+
                }
            }

            /// Updates each weight with its state; `gradient(w, g)` is what the formula takes in place of g. An element whose next
            /// numbers are not all finite stays as it is, and then this is false.
            pub fn run<F: Scalar>(
                &self,
                rates: Rates<F>,
                weight: &mut [F],
                [first, second]: [&mut [F]; 2],
                grad: &[F],
                gradient: impl Fn(F, F) -> F + Copy + Send + Sync,
            ) -> bool {
                // Closures take all that they hold by value, so that the loops are vectorised.
                match *self {
                    $(Self::$variant { $($constant),* } => {
                        let $rates = rates;
                        let formula = $formula;
                        updates!(@each [$($state),*] formula, gradient, weight, first, second, grad)
                    })+
                }
            }
        }
    };
    (@each [] $formula:ident, $gradient:ident, $weight:ident, $a:ident, $b:ident, $grad:ident) => {{
        let _ = ($a, $b);
        loops::each1($weight, $grad, move |w, g| {
            let next = $formula(*w, $gradient(*w, g));
            let fine = next.is_finite();
            *w = if fine { next } else { *w };
            fine
        })
    }};
    (@each [$s:ident] $formula:ident, $gradient:ident, $weight:ident, $a:ident, $b:ident, $grad:ident) => {{
        let _ = $b;
        loops::each2($weight, $a, $grad, move |w, $s, g| {
            let (next, state) = $formula(*w, $gradient(*w, g), *$s);
            let fine = next.is_finite() & state.is_finite();
            (*w, *$s) = if fine { (next, state) } else { (*w, *$s) };
            fine
        })
    }};
    (@each [$s:ident, $t:ident] $formula:ident, $gradient:ident, $weight:ident, $a:ident, $b:ident, $grad:ident) => {
        loops::each3($weight, $a, $b, $grad, move |w, $s, $t, g| {
            let (next, first, second) = $formula(*w, $gradient(*w, g), *$s, *$t);
            let fine = next.is_finite() & first.is_finite() & second.is_finite();
            (*w, *$s, *$t) = if fine { (next, first, second) } else { (*w, *$s, *$t) };
            fine
        })
    };
}

updates! {
    /// w ← w − lr·g.
    Sgd {}, "sgd", state: [],
        |rates| move |w: F, g: F| w - rates.lr * g;
    /// v ← momentum·v + (1 − dampening)·g, or g at the first step; w ← w − lr·v, or w − lr·(g + momentum·v).
    Momentum { momentum: f64, one_minus_dampening: f64, nesterov: u32 }, "momentum", state: [velocity],
        |rates| {
            let first = rates.t.value() <= 1.0;
            let (momentum, one_minus_dampening) = (F::of(momentum), F::of(one_minus_dampening));
            let nesterov = nesterov != 0;
            move |w: F, g: F, velocity: F| {
                let v = if first { g } else { momentum * velocity + one_minus_dampening * g };
                let direction = if nesterov { g + momentum * v } else { v };
                (w - rates.lr * direction, v)
            }
        };
    /// s ← alpha·s + (1 − alpha)·g²; w ← w − lr·g/(√s + eps).
    RmsProp { alpha: f64, one_minus_alpha: f64, eps: f64 }, "rmsprop", state: [square_avg],
        |rates| {
            let (alpha, one_minus_alpha, eps) = (F::of(alpha), F::of(one_minus_alpha), F::of(eps));
            move |w: F, g: F, square_avg: F| {
                let s = alpha * square_avg + one_minus_alpha * (g * g);
                (w - rates.lr * (g / (s.sqrt() + eps)), s)
            }
        };
    /// m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← shrink·w − lr/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + eps). ln β is at least −104:
    /// e⁻¹⁰⁴ is nothing beside 1, and ln 0 is no number for a GPU.
    Adam {
        beta1: f64, ln_beta1: f64, one_minus_beta1: f64, beta2: f64, ln_beta2: f64, one_minus_beta2: f64, eps: f64
    }, "adam", state: [exp_avg, exp_avg_sq],
        |rates| {
            let (beta1, one_minus_beta1) = (F::of(beta1), F::of(one_minus_beta1));
            let (beta2, one_minus_beta2) = (F::of(beta2), F::of(one_minus_beta2));
            let (shrink, eps) = (rates.shrink, F::of(eps));
            let step_size = rates.lr / -(rates.t * F::of(ln_beta1)).exp_m1();
            let root_correction2 = (-(rates.t * F::of(ln_beta2)).exp_m1()).sqrt();
            move |w: F, g: F, exp_avg: F, exp_avg_sq: F| {
                let m = beta1 * exp_avg + one_minus_beta1 * g;
                let v = beta2 * exp_avg_sq + one_minus_beta2 * (g * g);
                let next = shrink * w - step_size * (m / (v.sqrt() / root_correction2 + eps));
                (next, m, v)
            }
        };
}

impl UpdateFormula {
    /// Adam's, for its β₁, β₂ and eps.
    pub fn adam((beta1, beta2): (f64, f64), eps: f64) -> Self {
        let ln = |beta: f64| beta.ln().max(-104.0);
        Self::Adam {
            beta1,
            ln_beta1: ln(beta1),
            one_minus_beta1: 1.0 - beta1,
            beta2,
            ln_beta2: ln(beta2),
            one_minus_beta2: 1.0 - beta2,
            eps,
        }
    }
}
