use super::cases::{Case, Generator};
use super::{
    Cost, Format, Load, Loads, StepAt, Twin, Work, area, batch_elements, batch_load, batch_rows,
    declare, row_load,
};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::{Mat, Scalar};

declare! {
    "dense_forward" in Product, work: |p| Work::product(p.rows, p.outputs, p.inputs);
    params {
        rows: u32,
        inputs: u32,
        /// Outputs of this panel.
        outputs: u32,
        /// The panel's first output.
        first: u32,
        /// Outputs of the whole layer.
        stride: u32,
        store_z: u32,
        /// Of data on the device; 0 for a batch.
        format: u32,
        /// Of data on the device as u8.
        scale: f64,
    }
    step { start: u32 }
    reads { x: any, order: u32, weight: f32, bias: f32 }
    writes { z: f32, a: f32 }
}

impl Params {
    /// A batch through a layer of one panel that keeps no z.
    pub fn whole(rows: u32, inputs: u32, outputs: u32) -> Self {
        Self {
            rows,
            inputs,
            outputs,
            first: 0,
            stride: outputs,
            store_z: 0,
            format: 0,
            scale: 1.0,
        }
    }
}

impl Twin for Params {
    const ACTIVATION: bool = true;
    const LOADS: &'static [Loads] = &[super::X_LOADS, super::WEIGHT_LOADS];

    fn loads(&self) -> [Load; 2] {
        [batch_load(self.format, self.inputs), row_load(self.inputs)]
    }

    /// z (B, O) = x (B, I) · weightᵀ (I, O) + bias (O),  a = φ(z).
    fn run<F: Scalar>(&self, at: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            x,
            order,
            weight,
            bias,
            z,
            a,
        } = operands;
        let (rows, inputs, outputs) = (
            self.rows as usize,
            self.inputs as usize,
            self.outputs as usize,
        );
        let x = batch_rows(x, order, self.format, at.start, (rows, inputs), self.scale);
        let (first, stride) = (self.first as usize, self.stride as usize);
        let a = &mut a[first..];
        let add_bias = |first: usize, a: &mut [F]| {
            for (a, &b) in a.iter_mut().zip(&bias[first..]) {
                *a += b;
            }
        };
        F::matmul(
            a,
            stride,
            rows,
            outputs,
            inputs,
            Mat::rows(&x, inputs),
            Mat::rows(weight, inputs).transposed(),
            false,
            |_, first, a| {
                add_bias(first, a);
                // Where z is kept, it is copied before.
                if self.store_z == 0 {
                    phi.apply_to(a);
                }
            },
        );
        if self.store_z != 0 {
            let z = &mut z[self.first as usize..];
            loops::for_rows2(
                (z, stride),
                (a, stride),
                rows,
                4 * outputs,
                #[inline(always)]
                |_, z, a| {
                    let a = &mut a[..outputs];
                    z[..outputs].copy_from_slice(a);
                    phi.apply_to(a);
                },
            );
        }
    }

    fn operand_sizes(&self) -> Vec<u64> {
        let a = area(self.rows, self.stride);
        vec![
            batch_elements(self.format, self.rows, self.inputs),
            self.rows.into(),
            area(self.outputs, self.inputs),
            self.outputs.into(),
            a,
            a,
        ]
    }

    fn cost(&self) -> Cost {
        let (b, i, o) = (
            u64::from(self.rows),
            u64::from(self.inputs),
            u64::from(self.outputs),
        );
        Cost::new(
            2 * b * i * o,
            b * i + i * o + o + b * o * (1 + u64::from(self.store_z)),
        )
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator,
                       (rows, inputs, outputs): (u32, u32, u32),
                       format: Option<Format>,
                       phi: &Activation| {
            for (first, stride) in g.panels(outputs) {
                let p = Params {
                    rows,
                    inputs,
                    outputs,
                    first,
                    stride,
                    store_z: u32::from(phi.saved() == crate::config::activation::Saved::Input),
                    format: format.map_or(0, Format::code),
                    scale: format.map_or(1.0, Format::scale),
                };
                let [mut x, order] = g.batch((rows, inputs), format, first);
                x.thin(inputs, |i| i % inputs as usize);
                // What is not finite goes through every activation as it is.
                if rows == 5 && format.is_none() {
                    x = x.spoiled();
                }
                let reads = vec![x, order, g.floats(inputs * outputs), g.floats(outputs)];
                // Columns outside the panel must keep what they hold.
                let writes = vec![g.untouched(rows * stride), g.untouched(rows * stride)];
                cases.push(Case::new(p, reads, writes).through(phi).at(StepAt {
                    start: first,
                    ..StepAt::default()
                }));
            }
        };
        for shape in g.matmul_shapes() {
            add(g, shape, None, &Activation::Identity);
        }
        for (format, shape) in g.formats() {
            add(g, shape, Some(format), &Activation::Identity);
        }
        for phi in Activation::table() {
            add(g, (5, 19, 21), None, &phi);
        }
        cases
    }
}
