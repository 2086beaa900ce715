use super::cases::{Case, Generator};
use super::threefry::{self, Mask};
use super::{StepAt, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "dropout" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
        /// Add x.
        residual: u32,
        /// The layer's key.
        key0: u32,
        key1: u32,
        /// Words below it drop their element.
        threshold: u32,
        /// 1/(1 − p).
        scale: f64,
    }
    step { batch: u32 }
    reads { a: f32[p.count], x: f32[p.residual, p.count] }
    writes { h: f32[p.count] }
}

/// Elements that a task takes.
pub(super) const BLOCK: usize = 4096;

impl Twin for Params {
    const SHARED: &'static [&'static str] = &[threefry::WGSL];

    /// h = x + mask ⊙ a/(1 − p), or without x. A random word of (key, batch, element) is the mask; what is not finite is kept.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { a, x, h } = operands;
        let (count, scale) = (self.count as usize, F::of(self.scale));
        let mask = Mask {
            key: [self.key0, self.key1],
            batch: at.batch,
            threshold: self.threshold,
        };
        loops::for_rows(
            &mut h[..count],
            BLOCK,
            count.div_ceil(BLOCK),
            BLOCK,
            #[inline(always)]
            |block, h| {
                let first = block * BLOCK;
                // Two loops without a branch, so that both can be vectorised.
                for (h, &a) in h.iter_mut().zip(&a[first..]) {
                    *h = scale * a;
                }
                for (i, (h, &a)) in h.iter_mut().zip(&a[first..]).enumerate() {
                    let kept = mask.keeps(first + i) | !a.is_finite();
                    *h = if kept { *h } else { F::of(0.0) };
                }
                if self.residual != 0 {
                    for (h, &x) in h.iter_mut().zip(&x[first..]) {
                        *h += x;
                    }
                }
            },
        );
    }

    /// A random word takes about 80.
    fn flops(&self) -> u64 {
        82 * u64::from(self.count)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            for (residual, probability) in [(0, 0.1), (1, 0.5), (1, 0.0), (0, 0.9)] {
                let p = Params {
                    count,
                    residual,
                    key0: 0x1234_5678 ^ count,
                    key1: 0x9abc_def0,
                    threshold: Mask::threshold(probability),
                    scale: 1.0 / (1.0 - probability),
                };
                let case = g.case(p).with("a", g.floats(count).spoiled());
                cases.push(case.at(StepAt {
                    batch: 7 + residual,
                    ..StepAt::default()
                }));
            }
        }
        cases
    }
}
