use super::cases::{Case, Generator};
use super::{
    Cost, Format, Load, Loads, StepAt, Twin, Work, area, batch_elements, batch_load, batch_rows,
    declare, panel_load,
};
use crate::config::activation::Activation;
use crate::number::scalar::{Mat, Scalar};

declare! {
    "dense_backward_params" in Product, work: |p| Work::product(p.outputs, p.inputs, p.rows);
    params {
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
        /// Of data on the device as u8.
        scale: f64,
    }
    step { start: u32 }
    reads { delta: f32, x: any, order: u32 }
    writes { grad_weight: f32, grad_bias: f32 }
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
            scale: 1.0,
        }
    }
}

impl Twin for Params {
    const LOADS: &'static [Loads] = &[super::DELTA_LOADS, super::X_LOADS];

    fn loads(&self) -> [Load; 2] {
        [
            panel_load(self.stride, self.first, self.outputs),
            batch_load(self.format, self.inputs),
        ]
    }

    /// grad_weight (O, I) = deltaᵀ (O, B) · x (B, I),  grad_bias (O) = Σ_rows delta.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            delta,
            x,
            order,
            grad_weight,
            grad_bias,
        } = operands;
        let (rows, inputs, outputs) = (
            self.rows as usize,
            self.inputs as usize,
            self.outputs as usize,
        );
        let x = batch_rows(x, order, self.format, at.start, (rows, inputs), self.scale);
        let (first, stride) = (self.first as usize, self.stride as usize);
        let delta = &delta[first..];
        F::matmul(
            grad_weight,
            inputs,
            outputs,
            inputs,
            rows,
            Mat::rows(delta, stride).transposed(),
            Mat::rows(&x, inputs),
            self.accumulate != 0,
            |_, _, _| {},
        );
        F::column_sums(
            &mut grad_bias[..outputs],
            delta,
            stride,
            rows,
            self.accumulate != 0,
        );
    }

    fn operand_sizes(&self) -> Vec<u64> {
        vec![
            area(self.rows, self.stride),
            batch_elements(self.format, self.rows, self.inputs),
            self.rows.into(),
            area(self.outputs, self.inputs),
            self.outputs.into(),
        ]
    }

    fn cost(&self) -> Cost {
        let (b, i, o) = (
            u64::from(self.rows),
            u64::from(self.inputs),
            u64::from(self.outputs),
        );
        Cost::new(
            2 * b * i * o + b * o,
            b * o + b * i + (i * o + o) * (1 + u64::from(self.accumulate)),
        )
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
                    scale: format.map_or(1.0, Format::scale),
                };
                let mut delta = g.floats(rows * stride);
                delta.thin(rows, |i| i / stride as usize);
                delta.poison_columns(stride, first, outputs);
                let [x, order] = g.batch((rows, inputs), format, first);
                let reads = vec![delta, x, order];
                let writes = [outputs * inputs, outputs].map(|n| g.found(accumulate, n));
                cases.push(Case::new(p, reads, writes.into()).at(StepAt {
                    start: first,
                    ..StepAt::default()
                }));
            }
        };
        for shape in g.matmul_shapes() {
            add(g, shape, None);
        }
        for (format, shape) in g.formats() {
            add(g, shape, Some(format));
        }
        cases
    }
}
