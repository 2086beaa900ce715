use super::cases::{Case, Generator};
use super::{Load, Loads, Twin, Work, area, declare, row_load};
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
    }
    reads { x: f32[p.rows, p.inputs], weight: f32[p.outputs, p.inputs], bias: f32[p.outputs] }
    writes { z: f32[p.store_z, p.rows, p.stride], a: f32[p.rows, p.stride] }
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
        }
    }
}

impl Twin for Params {
    const ACTIVATION: bool = true;
    const LOADS: &'static [Loads] = &[super::X_LOADS, super::WEIGHT_LOADS];

    fn loads(&self) -> [Load; 2] {
        [row_load(self.inputs); 2]
    }

    /// z (B, O) = x (B, I) · weightᵀ (I, O) + bias (O),  a = φ(z).
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            x,
            weight,
            bias,
            z,
            a,
        } = operands;
        let [rows, inputs, outputs] = [self.rows, self.inputs, self.outputs].map(|n| n as usize);
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
            Mat::rows(x, inputs),
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

    fn flops(&self) -> u64 {
        2 * area(self.rows, self.inputs) * u64::from(self.outputs)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add =
            |g: &mut Generator, (rows, inputs, outputs): (u32, u32, u32), phi: &Activation| {
                for (first, stride) in g.panels(outputs, rows.max(inputs).max(outputs)) {
                    let p = Params {
                        rows,
                        inputs,
                        outputs,
                        first,
                        stride,
                        store_z: u32::from(phi.saved() == crate::config::activation::Saved::Input),
                    };
                    let mut x = g.floats(rows * inputs);
                    x.thin(inputs, |i| i % inputs as usize);
                    // What is not finite goes through every activation as it is.
                    if rows == 5 {
                        x = x.spoiled();
                    }
                    let case = g.case(p).with("x", x);
                    // Columns outside the panel must keep what they hold.
                    cases.push(case.with("z", g.untouched(rows * stride)).through(phi));
                }
            };
        for shape in g.matmul_shapes() {
            add(g, shape, &Activation::Identity);
        }
        for phi in Activation::table() {
            add(g, (5, 19, 21), &phi);
        }
        cases
    }
}
