use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
    /// Elements of a part.
    length: u32,
    /// Place of the first part's sum.
    first: u32,
    /// 1, or 1/rows.
    scale: f64,
}

/// Invocations of a workgroup, which is what a part has.
const LANES: usize = 64;

pub(crate) struct GradSquares;

impl Twin for GradSquares {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "grad_squares",
        source: include_str!("../../shaders/grad_squares.wgsl"),
        family: Family::Rows,
        operands: &[read("grad"), write("part")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        // All of a workgroup's lanes on one part.
        Work::Rows {
            rows: p.count.div_ceil(p.length),
            cols: 256,
        }
    }

    /// part[first + p] = Σ (scale·grad)² over the p-th `length` elements: each lane's sum, and then the lanes'.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [grad] = floats(reads);
        let [part] = written(writes);
        let (count, length) = (p.count as usize, p.length as usize);
        let scale = F::of(p.scale);
        let parts = count.div_ceil(length);
        loops::for_rows(&mut part[p.first as usize..], 1, parts, 3 * length, #[inline(always)] |p, part| {
            let end = count.min((p + 1) * length);
            let mut lanes = [F::of(0.0); LANES];
            for row in grad[p * length..end].chunks(LANES) {
                for (lane, &g) in lanes.iter_mut().zip(row) {
                    let g = scale * g;
                    *lane += g * g;
                }
            }
            part[0] = F::sum(lanes.into_iter());
        });
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 3 * u64::from(p.count),
            words: u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            for length in [64, 512] {
                let p = Params {
                    count,
                    length,
                    first: 3,
                    scale: 0.125,
                };
                let reads = vec![g.floats(count)];
                // More room than sums: what lies beside them must stay.
                let writes = vec![g.untouched(count.div_ceil(length) + 5)];
                let call = super::Call::GradSquares(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
