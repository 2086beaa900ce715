use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    store_z: u32,
    eps: f64,
}

pub(crate) struct LayerNorm;

/// 1/√(variance + eps), infinite where the variance is not finite, so that the loss will see it.
pub(super) fn inverse<F: Scalar>(variance: F, eps: f64) -> F {
    if variance.is_finite() {
        F::of(1.0) / (variance + F::of(eps)).sqrt()
    } else {
        F::of(f64::INFINITY)
    }
}

/// One row: z = γ·(u − mean)·inverse + β into z, where that is wanted, and φ(z) into a.
pub(super) fn normalise<F: Scalar>(
    a: &mut [F],
    z: Option<&mut [F]>,
    phi: &Activation,
    row: impl Fn(usize) -> F,
) {
    for (c, a) in a.iter_mut().enumerate() {
        *a = row(c);
    }
    if let Some(z) = z {
        z.copy_from_slice(a);
    }
    phi.apply_to(a);
}

impl Twin for LayerNorm {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "layer_norm",
        source: include_str!("../../shaders/layer_norm.wgsl"),
        family: Family::Rows,
        operands: &[
            read("u"),
            read("gamma"),
            read("beta"),
            write("stats"),
            write("z"),
            write("a"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Rows {
            rows: p.rows,
            cols: p.cols,
        }
    }

    /// z (B, C) = γ·(u − mean)/√(variance + eps) + β with mean and variance of each row of u,  a = φ(z).
    /// stats (2, B): means and 1/√(variance + eps).
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [u, gamma, beta] = floats(reads);
        let [stats, z, a] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let (means, inverses) = stats.split_at_mut(rows);
        let count = F::of(f64::from(p.cols));
        loops::for_rows2((means, 1), (inverses, 1), rows, 4 * cols, #[inline(always)] |r, mean, inv| {
            let u = &u[r * cols..][..cols];
            let m = F::sum_of(u) / count;
            let squares = F::dot_in_lanes(cols, |c| {
                let d = u[c] - m;
                (d, d)
            });
            (mean[0], inv[0]) = (m, inverse(squares / count, p.eps));
        });
        let (means, inverses) = (&*means, &*inverses);
        let value = |r: usize| {
            let (u, m, inv) = (&u[r * cols..][..cols], means[r], inverses[r]);
            move |c: usize| gamma[c] * ((u[c] - m) * inv) + beta[c]
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
            flops: 9 * n,
            words: (2 + u64::from(p.store_z)) * n + 2 * u64::from(p.cols) + 2 * u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator, (rows, cols): (u32, u32), phi: &Activation, store_z| {
            let p = Params {
                rows,
                cols,
                store_z,
                eps: 1e-5,
            };
            let reads = vec![g.floats(rows * cols), g.floats(cols), g.floats(cols)];
            let writes = vec![
                g.untouched(2 * rows),
                g.untouched(rows * cols),
                g.untouched(rows * cols),
            ];
            cases.push(Case::new(super::Call::LayerNorm(p), phi, reads, writes));
        };
        for (i, shape) in g.row_shapes().into_iter().enumerate() {
            add(g, shape, &Activation::Identity, i as u32 % 2);
        }
        for phi in Activation::table() {
            add(g, (5, 21), &phi, 1);
        }
        cases
    }
}
