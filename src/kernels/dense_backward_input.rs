use super::cases::{Case, Generator};
use super::{Load, Loads, Twin, Work, area, declare, panel_load, row_load};
use crate::config::activation::Activation;
use crate::number::scalar::{Mat, Scalar};

declare! {
    "dense_backward_input" in Product, work: |p| Work::product(p.rows, p.inputs, p.outputs);
    params {
        rows: u32,
        inputs: u32,
        /// Outputs of this panel.
        outputs: u32,
        /// The panel's first output.
        first: u32,
        /// Outputs of the whole layer.
        stride: u32,
        /// Add to the sums of the panels before.
        accumulate: u32,
        /// The last panel multiplies by φ′.
        last: u32,
    }
    reads { delta: f32[p.rows, p.stride], weight: f32[p.outputs, p.inputs], saved: f32[p.last, p.rows, p.inputs] }
    writes { delta_in: f32[p.rows, p.inputs] }
}

impl Params {
    /// A layer of one panel.
    pub fn whole(rows: u32, inputs: u32, outputs: u32) -> Self {
        Self {
            rows,
            inputs,
            outputs,
            first: 0,
            stride: outputs,
            accumulate: 0,
            last: 1,
        }
    }
}

impl Twin for Params {
    const ACTIVATION: bool = true;
    const LOADS: &'static [Loads] = &[super::DELTA_LOADS, super::WEIGHT_LOADS];

    fn loads(&self) -> [Load; 2] {
        [
            panel_load(self.stride, self.first, self.outputs),
            row_load(self.inputs),
        ]
    }

    /// delta_in (B, I) = (delta (B, O) · weight (O, I)) ⊙ φ′(saved (B, I)).
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            delta,
            weight,
            saved,
            delta_in,
        } = operands;
        let (rows, inputs) = (self.rows as usize, self.inputs as usize);
        F::matmul(
            delta_in,
            inputs,
            rows,
            inputs,
            self.outputs as usize,
            Mat::rows(&delta[self.first as usize..], self.stride as usize),
            Mat::rows(weight, inputs),
            self.accumulate != 0,
            |r, first, delta_in| {
                if self.last != 0 {
                    phi.scale_by_grad(delta_in, &saved[r * inputs + first..]);
                }
            },
        );
    }

    fn flops(&self) -> u64 {
        2 * area(self.rows, self.inputs) * u64::from(self.outputs)
    }

    fn words_found(&self) -> u64 {
        u64::from(self.accumulate) * area(self.rows, self.inputs)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator,
                       (rows, outputs, inputs): (u32, u32, u32),
                       phi: &Activation,
                       (accumulate, last): (u32, u32)| {
            for (first, stride) in g.panels(outputs, rows.max(inputs).max(outputs)) {
                let p = Params {
                    rows,
                    inputs,
                    outputs,
                    first,
                    stride,
                    accumulate,
                    last,
                };
                let mut delta = g.floats(rows * stride);
                delta.thin(outputs, |i| {
                    (i % stride as usize).wrapping_sub(first as usize)
                });
                delta.poison_columns(stride, first, outputs);
                let case = g.case(p).with("delta", delta);
                let case = case.with("saved", g.saved(phi, rows * inputs));
                let case = case.with("delta_in", g.found(accumulate, rows * inputs));
                cases.push(case.through(phi));
            }
        };
        for shape in g.matmul_shapes() {
            add(g, shape, &Activation::Identity, (0, 1));
        }
        for flags in [(0, 0), (1, 0), (1, 1)] {
            add(g, (7, 18, 37), &Activation::Tanh, flags);
        }
        for phi in Activation::table() {
            add(g, (5, 19, 21), &phi, (0, 1));
        }
        cases
    }
}
