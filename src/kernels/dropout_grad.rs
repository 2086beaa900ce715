use super::cases::{Case, Generator};
use super::dropout::BLOCK;
use super::threefry::{self, Mask};
use super::{StepAt, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "dropout_grad" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
        /// Add skip.
        add_skip: u32,
        /// Write total.
        store_total: u32,
        /// As in the forward pass.
        key0: u32,
        key1: u32,
        threshold: u32,
        scale: f64,
    }
    step { batch: u32 }
    reads { grad: f32[p.count], skip: f32[p.add_skip, p.count], saved: f32[p.count] }
    writes { total: f32[p.store_total, p.count], delta: f32[p.count] }
}

impl Twin for Params {
    const ACTIVATION: bool = true;
    const SHARED: &'static [&'static str] = &[threefry::WGSL];

    /// total = grad + skip,  delta = mask ⊙ total/(1 − p) ⊙ φ′(saved), with the mask of the forward pass.
    fn run<F: Scalar>(&self, at: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            grad,
            skip,
            saved,
            total,
            delta,
        } = operands;
        let (count, scale) = (self.count as usize, F::of(self.scale));
        let mask = Mask {
            key: [self.key0, self.key1],
            batch: at.batch,
            threshold: self.threshold,
        };
        let (blocks, delta) = (count.div_ceil(BLOCK), &mut delta[..count]);
        let sums = |first: usize, out: &mut [F]| {
            out.copy_from_slice(&grad[first..][..out.len()]);
            if self.add_skip != 0 {
                for (out, &skip) in out.iter_mut().zip(&skip[first..]) {
                    *out += skip;
                }
            }
        };
        let derive = |first: usize, delta: &mut [F]| {
            loops::vectorised::<F, _>(
                #[inline(always)]
                || {
                    for (i, d) in delta.iter_mut().enumerate() {
                        *d = if mask.keeps(first + i) {
                            scale * *d
                        } else {
                            F::of(0.0)
                        };
                    }
                },
            );
            phi.scale_by_grad(delta, &saved[first..]);
        };
        if self.store_total != 0 {
            let total = &mut total[..count];
            loops::for_rows2(
                (total, BLOCK),
                (delta, BLOCK),
                blocks,
                BLOCK,
                #[inline(always)]
                |b, total, delta| {
                    sums(b * BLOCK, total);
                    delta.copy_from_slice(total);
                    derive(b * BLOCK, delta);
                },
            );
        } else {
            loops::for_rows(
                delta,
                BLOCK,
                blocks,
                BLOCK,
                #[inline(always)]
                |b, delta| {
                    sums(b * BLOCK, delta);
                    derive(b * BLOCK, delta);
                },
            );
        }
    }

    fn flops(&self) -> u64 {
        84 * u64::from(self.count)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator,
                       count: u32,
                       phi: &Activation,
                       (add_skip, store_total, probability)| {
            let p = Params {
                count,
                add_skip,
                store_total,
                key0: 0x1234_5678 ^ count,
                key1: 0x9abc_def0,
                threshold: Mask::threshold(probability),
                scale: 1.0 / (1.0 - probability),
            };
            let case = g.case(p).with("saved", g.saved(phi, count));
            // Unless it is asked for, total is not touched.
            let case = case.with("total", g.untouched(count)).through(phi);
            cases.push(case.at(StepAt {
                batch: 7 + add_skip,
                ..StepAt::default()
            }));
        };
        for count in g.counts() {
            for flags in [(0, 0, 0.1), (1, 0, 0.5), (1, 1, 0.0), (0, 1, 0.9)] {
                add(g, count, &Activation::Tanh, flags);
            }
        }
        for phi in Activation::table() {
            add(g, 300, &phi, (1, 1, 0.25));
        }
        cases
    }
}
