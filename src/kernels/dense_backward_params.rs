use super::cases::{Case, Generator};
use super::{Load, Loads, Twin, Work, area, declare, panel_load, row_load};
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
    }
    reads { delta: f32[p.rows, p.stride], x: f32[p.rows, p.inputs] }
    writes { grad_weight: f32[p.outputs, p.inputs], grad_bias: f32[p.outputs] }
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
        }
    }
}

impl Twin for Params {
    const LOADS: &'static [Loads] = &[super::DELTA_LOADS, super::X_LOADS];

    fn loads(&self) -> [Load; 2] {
        [
            panel_load(self.stride, self.first, self.outputs),
            row_load(self.inputs),
        ]
    }

    /// grad_weight (O, I) = deltaᵀ (O, B) · x (B, I),  grad_bias (O) = Σ_rows delta.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            delta,
            x,
            grad_weight,
            grad_bias,
        } = operands;
        let [rows, inputs, outputs] = [self.rows, self.inputs, self.outputs].map(|n| n as usize);
        let (first, stride) = (self.first as usize, self.stride as usize);
        let delta = &delta[first..];
        F::matmul(
            grad_weight,
            inputs,
            outputs,
            inputs,
            rows,
            Mat::rows(delta, stride).transposed(),
            Mat::rows(x, inputs),
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

    fn flops(&self) -> u64 {
        area(self.rows, self.outputs) * (2 * u64::from(self.inputs) + 1)
    }

    fn words_found(&self) -> u64 {
        u64::from(self.accumulate) * area(self.outputs, self.inputs + 1)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (outputs, rows, inputs) in g.matmul_shapes() {
            for (first, stride) in g.panels(outputs, rows.max(inputs).max(outputs)) {
                let accumulate = u32::from(first > 0);
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
                let case = g.case(p).with("delta", delta);
                let case = case.with("grad_weight", g.found(accumulate, outputs * inputs));
                cases.push(case.with("grad_bias", g.found(accumulate, outputs)));
            }
        }
        cases
    }
}
