use super::cases::{Case, Generator};
use super::form::Extents;
use super::{
    Cost, Family, Kernel, Load, Read, Twin, Work, floats, panel_load, read, row_load, write,
    written,
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
    /// Add to the sums of the panels before.
    accumulate: u32,
    /// The last panel multiplies by φ′.
    last: u32,
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

pub(crate) struct DenseBackwardInput;

impl Twin for DenseBackwardInput {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dense_backward_input",
        source: include_str!("../../shaders/dense_backward_input.wgsl"),
        family: Family::Product,
        operands: &[
            read("delta"),
            read("weight"),
            read("saved"),
            write("delta_in"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[super::DELTA_LOADS, super::WEIGHT_LOADS],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Product(Extents {
            m: p.rows,
            n: p.inputs,
            k: p.outputs,
        })
    }

    fn loads(p: &Params) -> [Load; 2] {
        [
            panel_load(p.stride, p.first, p.outputs),
            row_load(p.inputs),
        ]
    }

    /// delta_in (B, I) = (delta (B, O) · weight (O, I)) ⊙ φ′(saved (B, I)).
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [delta, weight, saved] = floats(reads);
        let [delta_in] = written(writes);
        let (rows, inputs) = (p.rows as usize, p.inputs as usize);
        F::matmul(
            delta_in,
            inputs,
            rows,
            inputs,
            p.outputs as usize,
            Mat::rows(&delta[p.first as usize..], p.stride as usize),
            Mat::rows(weight, inputs),
            p.accumulate != 0,
            |r, first, delta_in| {
                if p.last != 0 {
                    phi.scale_by_grad(delta_in, &saved[r * inputs + first..]);
                }
            },
        );
    }

    fn operand_sizes(p: &Params) -> Vec<u64> {
        let area = |r: u32, c: u32| u64::from(r) * u64::from(c);
        let delta_in = area(p.rows, p.inputs);
        vec![
            area(p.rows, p.stride),
            area(p.outputs, p.inputs),
            delta_in,
            delta_in,
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
            words: b * o + i * o + b * i * (1 + u64::from(p.last) + u64::from(p.accumulate)),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator,
                       (rows, outputs, inputs): (u32, u32, u32),
                       phi: &Activation,
                       (accumulate, last): (u32, u32)| {
            for (first, stride) in g.panels(outputs) {
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
                delta.thin(outputs, |i| (i % stride as usize).wrapping_sub(first as usize));
                delta.poison_columns(stride, first, outputs);
                let reads = vec![
                    delta,
                    g.floats(inputs * outputs),
                    g.saved(phi, rows * inputs),
                ];
                let writes = vec![if accumulate == 0 {
                    g.untouched(rows * inputs)
                } else {
                    g.floats(rows * inputs)
                }];
                cases.push(Case::new(
                    super::Call::DenseBackwardInput(p),
                    phi,
                    reads,
                    writes,
                ));
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
