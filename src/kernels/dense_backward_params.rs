use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::activation::Activation;
use crate::cpu;
use crate::scalar::{Mat, Scalar};

params! {
    rows: u32,
    inputs: u32,
    /// Outputs of this panel.
    outputs: u32,
    /// The panel's first output.
    first: u32,
    /// Outputs of the whole layer.
    stride: u32,
    /// Add to the gradients that are there.
    accumulate: u32,
}

pub(crate) struct DenseBackwardParams;

impl Twin for DenseBackwardParams {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dense_backward_params",
        source: include_str!("../../shaders/dense_backward_params.wgsl"),
        family: Family::Tiles,
        operands: &[
            read("delta"),
            read("x"),
            write("grad_weight"),
            write("grad_bias"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
    };

    fn work(p: &Params) -> Work {
        Work::Tiles {
            m: p.outputs,
            n: p.inputs,
        }
    }

    /// grad_weight (O, I) = deltaᵀ (O, B) · x (B, I),  grad_bias (O) = Σ_rows delta.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [delta, x] = floats(reads);
        let [grad_weight, grad_bias] = written(writes);
        let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
        let (first, stride) = (p.first as usize, p.stride as usize);
        let delta = &delta[first..];
        F::matmul(
            grad_weight,
            inputs,
            outputs,
            inputs,
            rows,
            Mat::rows(delta, stride).transposed(),
            Mat::rows(x, inputs),
            p.accumulate != 0,
        );
        cpu::for_rows(grad_bias, 1, outputs, rows, |o, grad| {
            let sum = F::sum((0..rows).map(|r| delta[r * stride + o]));
            grad[0] = if p.accumulate == 0 {
                sum
            } else {
                grad[0] + sum
            };
        });
    }

    fn cost(p: &Params) -> Cost {
        let (b, i, o) = (
            u64::from(p.rows),
            u64::from(p.inputs),
            u64::from(p.outputs),
        );
        Cost {
            flops: 2 * b * i * o + b * o,
            words: b * o + b * i + (i * o + o) * (1 + u64::from(p.accumulate)),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (outputs, rows, inputs) in g.matmul_shapes() {
            for (accumulate, first, stride) in [(0, 0, outputs), (1, 2, outputs + 5)] {
                let p = Params {
                    rows,
                    inputs,
                    outputs,
                    first,
                    stride,
                    accumulate,
                };
                let mut delta = g.floats(rows * stride);
                delta.thin(rows, |i| i / stride as usize);
                delta.poison_columns(stride, first, outputs);
                let reads = vec![delta, g.floats(rows * inputs)];
                let writes = [outputs * inputs, outputs].map(|n| {
                    if accumulate == 0 {
                        g.untouched(n)
                    } else {
                        g.floats(n)
                    }
                });
                cases.push(Case::new(
                    super::Call::DenseBackwardParams(p),
                    &Activation::Identity,
                    reads,
                    writes.into(),
                ));
            }
        }
        cases
    }
}
