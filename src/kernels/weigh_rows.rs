use super::cases::{Case, Data, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
}

pub(crate) struct WeighRows;

impl Twin for WeighRows {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "weigh_rows",
        source: include_str!("../../shaders/weigh_rows.wgsl"),
        family: Family::Elements,
        operands: &[read("weight"), write("loss"), write("delta")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.rows * p.cols,
        }
    }

    /// loss (B) ← weight (B)·loss,  delta (B, C) ← weight·delta; both 0 where the weight is.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [weight] = floats(reads);
        let [loss, delta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        loops::for_rows2((loss, 1), (delta, cols), rows, cols, #[inline(always)] |r, loss, delta| {
            let w = weight[r];
            if w.value() == 0.0 {
                loss[0] = F::of(0.0);
                delta.fill(F::of(0.0));
            } else {
                loss[0] = w * loss[0];
                delta.iter_mut().for_each(|d| *d = w * *d);
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: n,
            words: 2 * n + 3 * u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            // Every third row takes no part, and some of those have a loss that is no number.
            let thin = |data: Data, cols: u32, every: usize, x: f32| match data {
                Data::Floats(mut data) => {
                    for row in data.chunks_mut(cols as usize).step_by(every) {
                        row.fill(x);
                    }
                    Data::Floats(data)
                }
                words => words,
            };
            let weight = thin(g.fractions(rows), 1, 3, 0.0);
            let loss = thin(g.floats(rows), 1, 6, f32::INFINITY);
            let delta = thin(g.floats(rows * cols), cols, 6, f32::NAN);
            let call = super::Call::WeighRows(Params { rows, cols });
            cases.push(Case::new(call, &Activation::Identity, vec![weight], vec![loss, delta]));
        }
        cases
    }
}
