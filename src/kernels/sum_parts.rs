use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "sum_parts" in Elements, work: |p| Work::elements(p.weights + p.biases);
    params {
        /// Elements of the weight.
        weights: u32,
        biases: u32,
        parts: u32,
        /// Add to the gradients that are there.
        accumulate: u32,
    }
    reads { part_weight: f32, part_bias: f32 }
    writes { grad_weight: f32, grad_bias: f32 }
}

impl Twin for Params {
    /// grad_weight (+)= Σ_p part_weight[p],  grad_bias (+)= Σ_p part_bias[p].
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            part_weight,
            part_bias,
            grad_weight,
            grad_bias,
        } = operands;
        let parts = self.parts as usize;
        let sum = |out: &mut [F], x: &[F], count: usize| {
            loops::for_rows(
                out,
                1,
                count,
                parts,
                #[inline(always)]
                |e, out| {
                    let before = (self.accumulate != 0).then_some(out[0]);
                    let terms = (0..parts).map(|part| x[part * count + e]);
                    out[0] = F::sum(terms.chain(before));
                },
            );
        };
        sum(grad_weight, part_weight, self.weights as usize);
        sum(grad_bias, part_bias, self.biases as usize);
    }

    fn cost(&self) -> Cost {
        let count = u64::from(self.weights) + u64::from(self.biases);
        let parts = u64::from(self.parts);
        Cost::new(
            (parts - 1) * count,
            (parts + 1 + u64::from(self.accumulate)) * count,
        )
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (weights, biases) in g.shapes(
            &[(1, 1), (255, 3), (256, 257), (66_000, 300)],
            (512 * 512, 512),
        ) {
            for (parts, accumulate) in g.shapes(&[(1, 0), (2, 1), (5, 0), (32, 1)], (4, 0)) {
                let p = Params {
                    weights,
                    biases,
                    parts,
                    accumulate,
                };
                let reads = vec![g.floats(parts * weights), g.floats(parts * biases)];
                let writes = [weights, biases].map(|n| g.found(accumulate, n));
                cases.push(Case::new(p, reads, writes.into()));
            }
        }
        cases
    }
}
