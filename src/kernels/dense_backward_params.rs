use super::cases::{Case, Generator};
use super::form::Extents;
use super::{
    batch_elements,
    Cost, Family, Format, Kernel, Load, Read, Twin, Work, batch_load, batch_rows, numbers,
    panel_load, read, read_words, write, written,
};
use crate::config::activation::Activation;
use crate::number::scalar::{Mat, Scalar};

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
    /// Of data on the device; 0 for a batch or a layer's output.
    format: u32,
    /// Place in the order of the batch's first row.
    start: u32,
    /// Of data on the device as u8.
    scale: f64,
}

impl Params {
    /// A batch's gradients of a layer of one panel.
    pub fn whole(rows: u32, inputs: u32, outputs: u32) -> Self {
        Self {
            rows,
            inputs,
            outputs,
            first: 0,
            stride: outputs,
            accumulate: 0,
            format: 0,
            start: 0,
            scale: 1.0,
        }
    }
}

pub(crate) struct DenseBackwardParams;

impl Twin for DenseBackwardParams {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dense_backward_params",
        source: include_str!("../../shaders/dense_backward_params.wgsl"),
        family: Family::Product,
        operands: &[
            read("delta"),
            read("x"),
            read_words("order"),
            write("grad_weight"),
            write("grad_bias"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[super::DELTA_LOADS, super::X_LOADS],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Product(Extents {
            m: p.outputs,
            n: p.inputs,
            k: p.rows,
        })
    }

    fn loads(p: &Params) -> [Load; 2] {
        [
            panel_load(p.stride, p.first, p.outputs),
            batch_load(p.format, p.inputs),
        ]
    }

    /// grad_weight (O, I) = deltaᵀ (O, B) · x (B, I),  grad_bias (O) = Σ_rows delta.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [delta, x, order] = reads else {
            unreachable!("operands of another kernel")
        };
        let delta = numbers(delta);
        let [grad_weight, grad_bias] = written(writes);
        let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
        let x = batch_rows(x, order, p.format, p.start, (rows, inputs), p.scale);
        let (first, stride) = (p.first as usize, p.stride as usize);
        let delta = &delta[first..];
        F::matmul(
            grad_weight,
            inputs,
            outputs,
            inputs,
            rows,
            Mat::rows(delta, stride).transposed(),
            Mat::rows(&x, inputs),
            p.accumulate != 0,
            |_, _, _| {},
        );
        F::column_sums(
            &mut grad_bias[..outputs],
            delta,
            stride,
            rows,
            p.accumulate != 0,
        );
    }

    fn operand_sizes(p: &Params) -> Vec<u64> {
        let area = |r: u32, c: u32| u64::from(r) * u64::from(c);
        vec![
            area(p.rows, p.stride),
            batch_elements(p.format, p.rows, p.inputs),
            p.rows.into(),
            area(p.outputs, p.inputs),
            p.outputs.into(),
        ]
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
        let mut add = |g: &mut Generator,
                       (outputs, rows, inputs): (u32, u32, u32),
                       format: Option<Format>| {
            for (accumulate, (first, stride)) in (0..).zip(g.panels(outputs)) {
                let p = Params {
                    rows,
                    inputs,
                    outputs,
                    first,
                    stride,
                    accumulate,
                    format: format.map_or(0, Format::code),
                    start: first,
                    scale: format.map_or(1.0, Format::scale),
                };
                let mut delta = g.floats(rows * stride);
                delta.thin(rows, |i| i / stride as usize);
                delta.poison_columns(stride, first, outputs);
                let [x, order] = g.batch((rows, inputs), format, first);
                let reads = vec![delta, x, order];
                let writes = [outputs * inputs, outputs].map(|n| {
                    if accumulate == 0 {
                        g.untouched(n)
                    } else {
                        g.floats(n)
                    }
                });
                let call = super::Call::DenseBackwardParams(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes.into()));
            }
        };
        for (format, shape) in g.formats() {
            add(g, shape, Some(format));
        }
        for shape in g.matmul_shapes() {
            add(g, shape, None);
        }
        cases
    }
}
