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
    store_z: u32,
}

pub(crate) struct DenseForward;

impl Twin for DenseForward {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dense_forward",
        source: include_str!("../../shaders/dense_forward.wgsl"),
        family: Family::Tiles,
        operands: &[
            read("x"),
            read("weight"),
            read("bias"),
            write("z"),
            write("a"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
    };

    fn work(p: &Params) -> Work {
        Work::Tiles {
            m: p.rows,
            n: p.outputs,
        }
    }

    /// z (B, O) = x (B, I) · weightᵀ (I, O) + bias (O),  a = φ(z).
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [x, weight, bias] = floats(reads);
        let [z, a] = written(writes);
        let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
        let (first, stride) = (p.first as usize, p.stride as usize);
        let a = &mut a[first..];
        F::matmul(
            a,
            stride,
            rows,
            outputs,
            inputs,
            Mat::rows(x, inputs),
            Mat::rows(weight, inputs).transposed(),
            false,
        );
        let add_bias = |a: &mut [F]| {
            for (a, &b) in a.iter_mut().zip(bias) {
                *a += b;
            }
        };
        if p.store_z == 0 {
            cpu::for_rows(a, stride, rows, 4 * outputs, |_, a| {
                let a = &mut a[..outputs];
                add_bias(a);
                phi.apply_to(a);
            });
        } else {
            let z = &mut z[first..];
            cpu::for_rows2((z, stride), (a, stride), rows, 4 * outputs, |_, z, a| {
                let a = &mut a[..outputs];
                add_bias(a);
                z[..outputs].copy_from_slice(a);
                phi.apply_to(a);
            });
        }
    }

    fn cost(p: &Params) -> Cost {
        let (b, i, o) = (
            u64::from(p.rows),
            u64::from(p.inputs),
            u64::from(p.outputs),
        );
        Cost {
            flops: 2 * b * i * o,
            words: b * i + i * o + o + b * o * (1 + u64::from(p.store_z)),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator, (rows, inputs, outputs): (u32, u32, u32), phi: &Activation| {
            for (first, stride) in [(0, outputs), (2, outputs + 5)] {
                let p = Params {
                    rows,
                    inputs,
                    outputs,
                    first,
                    stride,
                    store_z: u32::from(phi.saved() == crate::activation::Saved::Input),
                };
                let mut x = g.floats(rows * inputs);
                x.thin(inputs, |i| i % inputs as usize);
                let reads = vec![
                    x,
                    g.floats(inputs * outputs),
                    g.floats(outputs),
                ];
                // Columns outside the panel must keep what they hold.
                let writes = vec![g.untouched(rows * stride), g.untouched(rows * stride)];
                cases.push(Case::new(super::Call::DenseForward(p), phi, reads, writes));
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
