use super::cases::{Case, Generator};
use super::layer_norm::normalise;
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    /// The statistics are the running ones: variances, not inverses.
    running: u32,
    store_z: u32,
    eps: f64,
}

pub(crate) struct BatchNorm;

impl Twin for BatchNorm {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "batch_norm",
        source: include_str!("../../shaders/batch_norm.wgsl"),
        family: Family::Elements,
        operands: &[
            read("u"),
            read("stats"),
            read("gamma"),
            read("beta"),
            write("z"),
            write("a"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.rows * p.cols,
        }
    }

    /// z (B, C) = γ·(u − mean)·inverse + β with the statistics of each column, of the batch or running,  a = φ(z).
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [u, stats, gamma, beta] = floats(reads);
        let [z, a] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let (means, spreads) = stats.split_at(cols);
        let value = |r: usize| {
            let u = &u[r * cols..][..cols];
            move |c: usize| {
                let inv = if p.running != 0 {
                    F::of(1.0) / (spreads[c] + F::of(p.eps)).sqrt()
                } else {
                    spreads[c]
                };
                gamma[c] * ((u[c] - means[c]) * inv) + beta[c]
            }
        };
        let work = 8 * cols;
        if p.store_z != 0 {
            loops::for_rows2((z, cols), (a, cols), rows, work, #[inline(always)] |r, z, a| {
                normalise(a, Some(z), phi, value(r));
            });
        } else {
            loops::for_rows(a, cols, rows, work, |r, a| normalise(a, None, phi, value(r)));
        }
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 5 * n,
            words: (2 + u64::from(p.store_z)) * n + 4 * u64::from(p.cols),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator, (rows, cols): (u32, u32), phi: &Activation, (running, store_z)| {
            let p = Params {
                rows,
                cols,
                running,
                store_z,
                eps: 1e-5,
            };
            // Positive, as variances are.
            let stats = g.fractions(2 * cols);
            let reads = vec![g.floats(rows * cols), stats, g.floats(cols), g.floats(cols)];
            let writes = vec![g.untouched(rows * cols), g.untouched(rows * cols)];
            cases.push(Case::new(super::Call::BatchNorm(p), phi, reads, writes));
        };
        for (i, shape) in g.column_shapes().into_iter().enumerate() {
            let i = i as u32;
            add(g, shape, &Activation::Identity, (i % 2, i / 2 % 2));
        }
        for phi in Activation::table() {
            add(g, (5, 21), &phi, (0, 1));
            add(g, (5, 21), &phi, (1, 0));
        }
        cases
    }
}
