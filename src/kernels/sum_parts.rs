use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    /// Elements of the weight.
    weights: u32,
    biases: u32,
    parts: u32,
    /// Add to the gradients that are there.
    accumulate: u32,
}

pub(crate) struct SumParts;

impl Twin for SumParts {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "sum_parts",
        source: include_str!("../../shaders/sum_parts.wgsl"),
        family: Family::Elements,
        operands: &[
            read("part_weight"),
            read("part_bias"),
            write("grad_weight"),
            write("grad_bias"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.weights + p.biases,
        }
    }

    /// grad_weight (+)= Σ_p part_weight[p],  grad_bias (+)= Σ_p part_bias[p].
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [part_weight, part_bias] = floats(reads);
        let [grad_weight, grad_bias] = written(writes);
        let parts = p.parts as usize;
        let sum = |out: &mut [F], x: &[F], count: usize| {
            loops::for_rows(out, 1, count, parts, #[inline(always)] |e, out| {
                let before = (p.accumulate != 0).then_some(out[0]);
                let terms = (0..parts).map(|part| x[part * count + e]);
                out[0] = F::sum(terms.chain(before));
            });
        };
        sum(grad_weight, part_weight, p.weights as usize);
        sum(grad_bias, part_bias, p.biases as usize);
    }

    fn cost(p: &Params) -> Cost {
        let count = u64::from(p.weights) + u64::from(p.biases);
        let parts = u64::from(p.parts);
        Cost {
            flops: (parts - 1) * count,
            words: (parts + 1 + u64::from(p.accumulate)) * count,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (weights, biases) in [(1, 1), (255, 3), (256, 257), (66_000, 300)] {
            for (parts, accumulate) in [(1, 0), (2, 1), (5, 0), (32, 1)] {
                let p = Params {
                    weights,
                    biases,
                    parts,
                    accumulate,
                };
                let reads = vec![g.floats(parts * weights), g.floats(parts * biases)];
                let writes = [weights, biases].map(|n| {
                    if accumulate == 0 {
                        g.untouched(n)
                    } else {
                        g.floats(n)
                    }
                });
                let call = super::Call::SumParts(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes.into()));
            }
        }
        cases
    }
}
