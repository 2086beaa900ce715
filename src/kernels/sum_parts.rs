use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
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
    reads { part_weight: f32[p.parts, p.weights], part_bias: f32[p.parts, p.biases] }
    writes { grad_weight: f32[p.weights], grad_bias: f32[p.biases] }
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

    fn flops(&self) -> u64 {
        area(self.parts - 1, self.weights + self.biases)
    }

    fn words_found(&self) -> u64 {
        area(self.accumulate, self.weights + self.biases)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let shapes = [(1, 1), (255, 3), (256, 257), (66_000, 300)];
        for (weights, biases) in g.shapes(&shapes, (512 * 512, 512)) {
            for (parts, accumulate) in g.shapes(&[(1, 0), (2, 1), (5, 0), (32, 1)], (4, 0)) {
                let p = Params {
                    weights,
                    biases,
                    parts,
                    accumulate,
                };
                let case = g.case(p).with("grad_weight", g.found(accumulate, weights));
                cases.push(case.with("grad_bias", g.found(accumulate, biases)));
            }
        }
        cases
    }
}
