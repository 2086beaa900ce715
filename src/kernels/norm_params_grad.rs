use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    /// The statistics are those of rows, not of columns.
    by_row: u32,
    /// Add to the gradients that are there.
    accumulate: u32,
}

pub(crate) struct NormParamsGrad;

impl Twin for NormParamsGrad {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "norm_params_grad",
        source: include_str!("../../shaders/norm_params_grad.wgsl"),
        family: Family::Columns,
        operands: &[
            read("delta"),
            read("u"),
            read("stats"),
            write("sums"),
            write("grad_gamma"),
            write("grad_beta"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Columns { cols: p.cols }
    }

    /// sums (2, C) = Σ_rows delta and Σ_rows delta·x with x = (u − mean)·inverse;  grad_beta (+)= the first, grad_gamma the second.
    fn run<F: Scalar>(
        p: &Params,
        _: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [delta, u, stats] = floats(reads);
        let [sums, grad_gamma, grad_beta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let by_row = p.by_row != 0;
        let (means, inverses) = stats.split_at(if by_row { rows } else { cols });
        let (sum, product) = sums.split_at_mut(cols);
        F::sums_over_rows(sum, rows, |r, c| delta[r * cols + c]);
        let product = &mut product[..cols];
        F::sums_over_rows(product, rows, |r, c| {
            let i = if by_row { r } else { c };
            delta[r * cols + c] * ((u[r * cols + c] - means[i]) * inverses[i])
        });
        for (grads, sums) in [(grad_gamma, &*product), (grad_beta, &*sum)] {
            for (grad, &sum) in grads.iter_mut().zip(sums) {
                *grad = if p.accumulate != 0 { *grad + sum } else { sum };
            }
        }
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 5 * n,
            words: 2 * n + 4 * u64::from(p.cols),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (i, (rows, cols)) in g.column_shapes().into_iter().enumerate() {
            for (by_row, accumulate) in [(0, i as u32 % 2), (1, 1 - i as u32 % 2)] {
                let p = Params {
                    rows,
                    cols,
                    by_row,
                    accumulate,
                };
                let n = rows * cols;
                let mut delta = g.floats(n);
                delta.thin(rows, |e| e / cols as usize);
                let count = if by_row != 0 { rows } else { cols };
                let reads = vec![delta, g.floats(n), g.floats(2 * count)];
                let grads = [0, 1].map(|_| {
                    if accumulate != 0 {
                        g.floats(cols)
                    } else {
                        g.untouched(cols)
                    }
                });
                let mut writes = vec![g.untouched(2 * cols)];
                writes.extend(grads);
                let call = super::Call::NormParamsGrad(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
