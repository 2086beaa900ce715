use super::cases::{Case, Generator};
use super::{StepAt, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    // All of a workgroup's lanes on one part.
    "grad_squares" in Rows, work: |p| Work::rows(p.count.div_ceil(p.length), 256);
    params {
        count: u32,
        /// Elements of a part.
        length: u32,
        /// Place of the first part's sum.
        first: u32,
    }
    step { grad_scale: f64 }
    reads { grad: f32[p.count] }
    writes { part: f32[p.first + p.count.div_ceil(p.length)] }
}

/// Invocations of a workgroup, which is what a part has.
const LANES: usize = 64;

impl Twin for Params {
    /// part[first + p] = Σ (scale·grad)² over the p-th `length` elements: each lane's sum, and then the lanes'.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { grad, part } = operands;
        let (count, length) = (self.count as usize, self.length as usize);
        let scale = F::of(at.grad_scale);
        let parts = count.div_ceil(length);
        loops::for_rows(
            &mut part[self.first as usize..],
            1,
            parts,
            3 * length,
            #[inline(always)]
            |p, part| {
                let end = count.min((p + 1) * length);
                let mut lanes = [F::of(0.0); LANES];
                for row in grad[p * length..end].chunks(LANES) {
                    for (lane, &g) in lanes.iter_mut().zip(row) {
                        let g = scale * g;
                        *lane += g * g;
                    }
                }
                part[0] = F::sum(lanes.into_iter());
            },
        );
    }

    fn flops(&self) -> u64 {
        3 * u64::from(self.count)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            for length in [64, 512] {
                let p = Params {
                    count,
                    length,
                    first: 3,
                };
                let grad = g.floats(count);
                let spoil = count == 257 && length == 64;
                let grad = if spoil { grad.spoiled() } else { grad };
                // More room than sums: what lies beside them must stay.
                let part = g.untouched(count.div_ceil(length) + 5);
                let case = g.case(p).with("grad", grad).with("part", part);
                cases.push(case.at(StepAt {
                    grad_scale: 0.125,
                    ..StepAt::default()
                }));
            }
        }
        cases
    }
}
