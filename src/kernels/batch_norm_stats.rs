use super::cases::{Case, Generator};
use super::layer_norm::inverse;
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    "batch_norm_stats" in Columns, work: |p| Work::columns(p.cols);
    params {
        rows: u32,
        cols: u32,
        eps: f64,
        momentum: f64,
        /// 1 − momentum.
        keep: f64,
        /// rows/(rows − 1).
        unbias: f64,
    }
    reads { u: f32[p.rows, p.cols] }
    writes { stats: f32[2, p.cols], running: f32[2, p.cols] }
}

impl Twin for Params {
    /// stats (2, C) = mean and 1/√(variance + eps) of each column of u (B, C), the variance divided by B;
    /// running (2, C) ← keep·running + momentum·(mean, unbias·variance), unless that is not finite.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { u, stats, running } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let (means, inverses) = stats.split_at_mut(cols);
        let inverses = &mut inverses[..cols];
        let (running_mean, running_variance) = running.split_at_mut(cols);
        let count = F::of(f64::from(self.rows));
        F::sums_over_rows(means, rows, |r, c| u[r * cols + c]);
        means.iter_mut().for_each(|m| *m = *m / count);
        F::sums_over_rows(inverses, rows, |r, c| {
            let d = u[r * cols + c] - means[c];
            d * d
        });
        let (keep, momentum, unbias) = (F::of(self.keep), F::of(self.momentum), F::of(self.unbias));
        for c in 0..cols {
            let variance = inverses[c] / count;
            inverses[c] = inverse(variance, self.eps);
            let next_mean = keep * running_mean[c] + momentum * means[c];
            let next_variance = keep * running_variance[c] + momentum * (unbias * variance);
            if next_mean.is_finite() && next_variance.is_finite() {
                (running_mean[c], running_variance[c]) = (next_mean, next_variance);
            }
        }
    }

    fn flops(&self) -> u64 {
        4 * area(self.rows, self.cols)
    }

    fn words_found(&self) -> u64 {
        area(2, self.cols)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.column_shapes() {
            let p = Params {
                rows,
                cols,
                eps: 1e-5,
                momentum: 0.1,
                keep: 0.9,
                unbias: f64::from(rows) / f64::from(rows - 1),
            };
            let mut u = g.floats(rows * cols);
            u.thin(rows, |e| e / cols as usize);
            // Running statistics take nothing that is not finite.
            if rows == 33 {
                u = u.spoiled();
            }
            let case = g.case(p).with("u", u);
            cases.push(case.with("running", g.floats(2 * cols)));
        }
        cases
    }
}
