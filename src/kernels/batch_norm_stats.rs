use super::cases::{Case, Generator};
use super::layer_norm::inverse;
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    eps: f64,
    momentum: f64,
    /// 1 − momentum.
    keep: f64,
    /// rows/(rows − 1).
    unbias: f64,
}

pub(crate) struct BatchNormStats;

impl Twin for BatchNormStats {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "batch_norm_stats",
        source: include_str!("../../shaders/batch_norm_stats.wgsl"),
        family: Family::Columns,
        operands: &[
            read("u"),
            write("stats"),
            write("running"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Columns { cols: p.cols }
    }

    /// stats (2, C) = mean and 1/√(variance + eps) of each column of u (B, C), the variance divided by B;
    /// running (2, C) ← keep·running + momentum·(mean, unbias·variance), unless that is not finite.
    fn run<F: Scalar>(
        p: &Params,
        _: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [u] = floats(reads);
        let [stats, running] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let (means, inverses) = stats.split_at_mut(cols);
        let inverses = &mut inverses[..cols];
        let (running_mean, running_variance) = running.split_at_mut(cols);
        let count = F::of(f64::from(p.rows));
        F::sums_over_rows(means, rows, |r, c| u[r * cols + c]);
        means.iter_mut().for_each(|m| *m = *m / count);
        F::sums_over_rows(inverses, rows, |r, c| {
            let d = u[r * cols + c] - means[c];
            d * d
        });
        let (keep, momentum, unbias) = (F::of(p.keep), F::of(p.momentum), F::of(p.unbias));
        for c in 0..cols {
            let variance = inverses[c] / count;
            inverses[c] = inverse(variance, p.eps);
            let next_mean = keep * running_mean[c] + momentum * means[c];
            let next_variance = keep * running_variance[c] + momentum * (unbias * variance);
            if next_mean.is_finite() && next_variance.is_finite() {
                (running_mean[c], running_variance[c]) = (next_mean, next_variance);
            }
        }
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 4 * n,
            words: n + 6 * u64::from(p.cols),
        }
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
            let writes = vec![g.untouched(2 * cols), g.floats(2 * cols)];
            let call = super::Call::BatchNormStats(p);
            cases.push(Case::new(call, &Activation::Identity, vec![u], writes));
        }
        cases
    }
}
