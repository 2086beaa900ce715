use super::cases::{Case, Generator};
use super::form::Extents;
use super::{
    batch_elements,
    Cost, Family, Format, Kernel, Load, Read, Twin, Work, batch_load, batch_rows, numbers, read,
    read_words, row_load, write, written,
};
use crate::config::activation::Activation;
use crate::number::loops;
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
    store_z: u32,
    /// Of data on the device; 0 for a batch.
    format: u32,
    /// Place in the order of the batch's first row.
    start: u32,
    /// Of data on the device as u8.
    scale: f64,
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
            start: 0,
            scale: 1.0,
        }
    }
}

pub(crate) struct DenseForward;

impl Twin for DenseForward {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dense_forward",
        source: include_str!("../../shaders/dense_forward.wgsl"),
        family: Family::Product,
        operands: &[
            read("x"),
            read_words("order"),
            read("weight"),
            read("bias"),
            write("z"),
            write("a"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[super::X_LOADS, super::WEIGHT_LOADS],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Product(Extents {
            m: p.rows,
            n: p.outputs,
            k: p.inputs,
        })
    }

    fn loads(p: &Params) -> [Load; 2] {
        [batch_load(p.format, p.inputs), row_load(p.inputs)]
    }

    /// z (B, O) = x (B, I) · weightᵀ (I, O) + bias (O),  a = φ(z).
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [x, order, weight, bias] = reads else {
            unreachable!("operands of another kernel")
        };
        let (weight, bias) = (numbers(weight), numbers(bias));
        let [z, a] = written(writes);
        let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
        let x = batch_rows(x, order, p.format, p.start, (rows, inputs), p.scale);
        let (first, stride) = (p.first as usize, p.stride as usize);
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
                if p.store_z == 0 {
                    phi.apply_to(a);
                }
            },
        );
        if p.store_z != 0 {
            let z = &mut z[p.first as usize..];
            loops::for_rows2((z, stride), (a, stride), rows, 4 * outputs, #[inline(always)] |_, z, a| {
                let a = &mut a[..outputs];
                z[..outputs].copy_from_slice(a);
                phi.apply_to(a);
            });
        }
    }

    fn operand_sizes(p: &Params) -> Vec<u64> {
        let area = |r: u32, c: u32| u64::from(r) * u64::from(c);
        let a = area(p.rows, p.stride);
        vec![
            batch_elements(p.format, p.rows, p.inputs),
            p.rows.into(),
            area(p.outputs, p.inputs),
            p.outputs.into(),
            a,
            a,
        ]
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
                    start: first,
                    scale: format.map_or(1.0, Format::scale),
                };
                let [mut x, order] = g.batch((rows, inputs), format, first);
                x.thin(inputs, |i| i % inputs as usize);
                let reads = vec![
                    x,
                    order,
                    g.floats(inputs * outputs),
                    g.floats(outputs),
                ];
                // Columns outside the panel must keep what they hold.
                let writes = vec![g.untouched(rows * stride), g.untouched(rows * stride)];
                cases.push(Case::new(super::Call::DenseForward(p), phi, reads, writes));
            }
        };
        for (format, shape) in g.formats() {
            add(g, shape, Some(format), &Activation::Identity);
        }
        for shape in g.matmul_shapes() {
            add(g, shape, None, &Activation::Identity);
        }
        for phi in Activation::table() {
            add(g, (5, 19, 21), None, &phi);
        }
        cases
    }
}
