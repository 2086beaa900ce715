//! The formulas of the losses: one row each, with a WGSL fragment of the same name in `shaders/row_loss/`.
//!
//! A row states the constants, and from a row of the output (or of logits) and its target the loss and δ = ∂loss/∂z.

use super::activation::{Activation, sigmoid_pair};
use super::fragment::formulas;
use crate::number::scalar::Scalar;

/// The target of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a, F> {
    Class(usize),
    Numbers(&'a [F]),
}

impl<F: Scalar> Target<'_, F> {
    /// Of output c; a class is a row of 0 with a 1.
    pub fn at(&self, c: usize) -> F {
        match self {
            Self::Class(class) => F::of(if *class == c { 1.0 } else { 0.0 }),
            Self::Numbers(t) => t[c],
        }
    }
}

/// A row of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LossRow<'a, F> {
    /// The output a, or z where the loss takes logits.
    pub output: &'a [F],
    /// What φ′ is computed from.
    pub saved: &'a [F],
    pub target: Target<'a, F>,
    pub phi: &'a Activation,
}

impl<F: Scalar> LossRow<'_, F> {
    /// φ′ of output c.
    fn slope(&self, c: usize) -> F {
        self.phi.grad(self.saved[c])
    }

    /// a − t of each output.
    fn errors(&self) -> impl Iterator<Item = F> {
        self.output
            .iter()
            .enumerate()
            .map(|(c, &a)| a - self.target.at(c))
    }
}

/// exp(z − m) of a row with m its largest element: softmax's numerators. m is a constant here: softmax does not depend
/// on it, so a device that holds a slightly different maximum computes the same function.
#[inline(always)]
pub(crate) fn shifted_exp<F: Scalar>(z: &[F], m: F, out: &mut [F]) {
    for (e, &z) in out.iter_mut().zip(z) {
        *e = (z - m).min(F::of(0.0)).exp();
    }
}

/// t·ln t, the term that turns a cross-entropy into a divergence.
fn entropy_term<F: Scalar>(t: F, entropy: u32) -> F {
    if entropy == 0 { F::of(0.0) } else { t * t.ln() }
}

macro_rules! row_losses {
    ($(
        $(#[$doc:meta])*
        $variant:ident { $($constant:ident: $type:ty),* }, $file:literal,
        |$row:ident, $delta:ident| $formula:expr;
    )+) => {
        formulas! {
            /// A row's loss and its δ.
            LossFormula in "row_loss";
            $($(#[$doc])* $variant { $($constant: $type),* }, $file;)+
        }

        impl LossFormula {
            /// The loss of a row; writes its δ.
            #[inline(always)]
            pub fn run<F: Scalar>(&self, row: LossRow<'_, F>, delta: &mut [F]) -> F {
                match *self {
                    $(Self::$variant { $($constant),* } => {
                        let ($row, $delta) = (row, delta);
                        $formula
                    })+
                }
            }
        }
    };
}

row_losses! {
    /// scale·Σ (a − t)², δ = 2·scale·(a − t)·φ′; the scale is 1, or 1/C for a mean over elements.
    SquaredError { row_scale: f64 }, "squared_error",
        |row, delta| {
            let scale = F::of(row_scale);
            for (c, (d, e)) in delta.iter_mut().zip(row.errors()).enumerate() {
                *d = F::of(2.0) * scale * e * row.slope(c);
            }
            scale * F::sum(row.errors().map(|e| e * e))
        };
    /// scale·Σ k·(e − k/2), δ = scale·k·φ′, with e = a − t and k = e within ±threshold.
    Huber { row_scale: f64, threshold: f64 }, "huber",
        |row, delta| {
            let (scale, threshold) = (F::of(row_scale), F::of(threshold));
            let clamp = |e: F| (-threshold).max(threshold.min(e));
            for (c, (d, e)) in delta.iter_mut().zip(row.errors()).enumerate() {
                *d = scale * clamp(e) * row.slope(c);
            }
            let value = |e: F| {
                let k = clamp(e);
                k * (e - F::of(0.5) * k)
            };
            scale * F::sum(row.errors().map(value))
        };
    /// From logits: scale·Σ ln(1 + eᶻ) − t·z, δ = scale·(σ(z) − t).
    BinaryCrossEntropy { row_scale: f64 }, "binary_cross_entropy",
        |row, delta| {
            let (zero, one, scale) = (F::of(0.0), F::of(1.0), F::of(row_scale));
            for (c, (d, &z)) in delta.iter_mut().zip(row.output).enumerate() {
                *d = scale * (sigmoid_pair(z).0 - row.target.at(c));
            }
            scale * F::sum(row.output.iter().enumerate().map(|(c, &z)| {
                let t = row.target.at(c);
                (one - t) * z.max(zero) + t * (-z).max(zero) + (-z.abs()).exp().ln_1p()
            }))
        };
    /// −Σ t·ln a, δ = −t/a·φ′; with entropy + Σ t·ln t, the Kullback–Leibler divergence. Where t > 0 and a ≤ 0, or the quotient is
    /// beyond f32, the loss is infinite and δ 0.
    CrossEntropy { entropy: u32 }, "cross_entropy",
        |row, delta| {
            let mut fault = false;
            for (c, (d, &a)) in delta.iter_mut().zip(row.output).enumerate() {
                *d = F::of(0.0);
                let t = row.target.at(c);
                if !a.value().is_finite() {
                    fault = true;
                } else if t.value() > 0.0 {
                    let quotient = t / a * row.slope(c);
                    let finite = quotient.value().abs() <= f64::from(f32::MAX);
                    if a.value() > 0.0 && finite {
                        *d = -quotient;
                    } else {
                        fault = true;
                    }
                }
            }
            if fault {
                F::of(f64::INFINITY)
            } else {
                let targets = row.output.iter().enumerate().map(|(c, &a)| (row.target.at(c), a));
                // Two terms, because a device adds them one by one.
                F::sum(targets.filter(|(t, _)| t.value() > 0.0).flat_map(|(t, a)| {
                    [entropy_term(t, entropy), -(t * a.ln())]
                }))
            }
        };
    /// From logits: −Σ t·ln p, δ = p·Σ t − t, with p = softmax(z), −ln p = (m − z) + ln Σ exp(z − m) and m the largest z. Targets
    /// are smoothed: t ← keep·t + share. With entropy as above.
    SoftmaxCrossEntropy { entropy: u32, keep: f64, share: f64 }, "softmax_cross_entropy",
        |row, delta| {
            let z = row.output;
            let m = F::max_of(z);
            shifted_exp(z, m, delta);
            let total = F::sum_of(delta);
            let log_total = total.ln();
            let loss = match row.target {
                // A target of 1 and else 0, by which a device multiplies without rounding.
                Target::Class(class) if share == 0.0 => {
                    for d in delta.iter_mut() {
                        *d = *d / total;
                    }
                    delta[class] = delta[class] - F::of(1.0);
                    (m - z[class]) + log_total
                }
                target => {
                    let (keep, share) = (F::of(keep), F::of(share));
                    let smoothed = share.value() != 0.0;
                    let at = |c| match target.at(c) {
                        t if smoothed => keep * t + share,
                        t => t,
                    };
                    let mass = F::sum((0..z.len()).map(at));
                    for (c, d) in delta.iter_mut().enumerate() {
                        *d = *d / total * mass - at(c);
                    }
                    let targets = z.iter().enumerate().map(|(c, &z)| (at(c), z));
                    // Two terms, because a device adds them one by one.
                    F::sum(targets.filter(|(t, _)| t.value() > 0.0).flat_map(|(t, z)| {
                        [t * ((m - z) + log_total), entropy_term(t, entropy)]
                    }))
                }
            };
            // No branch, so that the loop can be vectorised.
            let fine = z.iter().fold(true, |fine, z| fine & z.is_finite());
            if fine { loss } else { F::of(f64::INFINITY) }
        };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A logit of −∞ whose target is 0 takes no part in the sum, and is a fault all the same.
    #[test]
    fn a_logit_that_is_not_finite_makes_the_loss_infinite_whatever_the_targets() {
        let z = [f32::NEG_INFINITY, 0.5, 1.0];
        for target in [Target::Numbers(&[0.0, 0.5, 0.5][..]), Target::Class(2)] {
            let formula = LossFormula::SoftmaxCrossEntropy {
                entropy: 0,
                keep: 1.0,
                share: 0.0,
            };
            let row = LossRow {
                output: &z[..],
                saved: &z[..],
                target,
                phi: &Activation::Identity,
            };
            assert_eq!(formula.run(row, &mut [0.0; 3]), f32::INFINITY, "{target:?}");
        }
    }
}
