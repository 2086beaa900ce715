use super::cases::{Case, Generator};
use super::{StepAt, Twin, Work, declare, word};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    // One workgroup with all its lanes on one row: the order of the sum is fixed.
    "grad_norm" in Rows, work: |p| Work::rows(1, 256);
    params {
        /// Of the parts.
        count: u32,
        /// Whether the gradient is to be clipped to max_norm.
        clip: u32,
        max_norm: f64,
    }
    step { norm_slot: u32, grad_scale: f64 }
    reads { part: f32[p.count] }
    writes { ledger: f32[word::COUNT as u32], norms: f32[1] }
}

impl Twin for Params {
    /// norms[slot] = √Σ part;  with clip, ledger[7] = scale·min(1, max_norm/(norm + 1e-6)), infinite where the norm is not finite.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            part,
            ledger,
            norms,
        } = operands;
        let norm = F::sum(part[..self.count as usize].iter().copied()).sqrt();
        norms[at.norm_slot as usize] = norm;
        if self.clip != 0 {
            let factor = (F::of(self.max_norm) / (norm + F::of(1e-6))).min(F::of(1.0));
            ledger[word::SCALE] = if norm.is_finite() {
                F::of(at.grad_scale) * factor
            } else {
                F::of(f64::INFINITY)
            };
        }
    }

    fn flops(&self) -> u64 {
        self.count.into()
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.shapes(&g.counts(), 1024) {
            // Off; far below the norm; far above it.
            for (clip, max_norm) in [(0, 0.0), (1, 0.25), (1, 1e6)] {
                let p = Params {
                    count,
                    clip,
                    max_norm,
                };
                let part = g.fractions(count);
                let part = if count == 17 { part.spoiled() } else { part };
                let case = g.case(p).with("part", part).with("ledger", g.ledger());
                cases.push(case.with("norms", g.untouched(5)).at(StepAt {
                    norm_slot: 2,
                    grad_scale: 0.125,
                    ..StepAt::default()
                }));
            }
        }
        // A gradient that is nearly nothing: 1e-6 beside the norm counts.
        for norm in [0.0, 1e-12] {
            let p = Params {
                count: 1,
                clip: 1,
                max_norm: 1e-6,
            };
            let case = g.case(p).with("part", vec![norm].into());
            cases.push(case.with("ledger", g.ledger()));
        }
        cases
    }
}
