use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    "norm_params_grad" in Columns, work: |p| Work::columns(p.cols);
    params {
        rows: u32,
        cols: u32,
        /// The statistics are those of rows, not of columns.
        by_row: u32,
        /// Add to the gradients that are there.
        accumulate: u32,
    }
    reads { delta: f32[p.rows, p.cols], u: f32[p.rows, p.cols], stats: f32[2, p.statistics()] }
    writes { sums: f32[2, p.cols], grad_gamma: f32[p.cols], grad_beta: f32[p.cols] }
}

impl Params {
    /// Means, and as many inverses.
    fn statistics(&self) -> u32 {
        if self.by_row != 0 {
            self.rows
        } else {
            self.cols
        }
    }
}

impl Twin for Params {
    /// sums (2, C) = Σ_rows delta and Σ_rows delta·x with x = (u − mean)·inverse;  grad_beta (+)= the first, grad_gamma the second.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            delta,
            u,
            stats,
            sums,
            grad_gamma,
            grad_beta,
        } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let by_row = self.by_row != 0;
        let (means, inverses) = stats.split_at(self.statistics() as usize);
        let (sum, product) = sums.split_at_mut(cols);
        F::sums_over_rows(sum, rows, |r, c| delta[r * cols + c]);
        let product = &mut product[..cols];
        F::sums_over_rows(product, rows, |r, c| {
            let i = if by_row { r } else { c };
            delta[r * cols + c] * ((u[r * cols + c] - means[i]) * inverses[i])
        });
        for (grads, sums) in [(grad_gamma, &*product), (grad_beta, &*sum)] {
            for (grad, &sum) in grads.iter_mut().zip(sums) {
                *grad = if self.accumulate != 0 {
                    *grad + sum
                } else {
                    sum
                };
            }
        }
    }

    fn flops(&self) -> u64 {
        5 * area(self.rows, self.cols)
    }

    fn words_found(&self) -> u64 {
        2 * area(self.accumulate, self.cols)
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
                let mut delta = g.floats(rows * cols);
                delta.thin(rows, |e| e / cols as usize);
                let case = g.case(p).with("delta", delta);
                let case = case.with("grad_gamma", g.found(accumulate, cols));
                cases.push(case.with("grad_beta", g.found(accumulate, cols)));
            }
        }
        cases
    }
}
