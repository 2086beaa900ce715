use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "layer_norm" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
        store_z: u32,
        eps: f64,
    }
    reads { u: f32, gamma: f32, beta: f32 }
    writes { stats: f32, z: f32, a: f32 }
}

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

impl Twin for Params {
    const ACTIVATION: bool = true;

    /// z (B, C) = γ·(u − mean)/√(variance + eps) + β with mean and variance of each row of u,  a = φ(z).
    /// stats (2, B): means and 1/√(variance + eps).
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            u,
            gamma,
            beta,
            stats,
            z,
            a,
        } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let (means, inverses) = stats.split_at_mut(rows);
        let count = F::of(f64::from(self.cols));
        loops::for_rows2(
            (means, 1),
            (inverses, 1),
            rows,
            4 * cols,
            #[inline(always)]
            |r, mean, inv| {
                let u = &u[r * cols..][..cols];
                let m = F::sum_of(u) / count;
                let squares = F::dot_in_lanes(cols, |c| {
                    let d = u[c] - m;
                    (d, d)
                });
                (mean[0], inv[0]) = (m, inverse(squares / count, self.eps));
            },
        );
        let (means, inverses) = (&*means, &*inverses);
        let value = |r: usize| {
            let (u, m, inv) = (&u[r * cols..][..cols], means[r], inverses[r]);
            move |c: usize| gamma[c] * ((u[c] - m) * inv) + beta[c]
        };
        let work = 8 * cols;
        if self.store_z != 0 {
            loops::for_rows2(
                (z, cols),
                (a, cols),
                rows,
                work,
                #[inline(always)]
                |r, z, a| {
                    normalise(a, Some(z), phi, value(r));
                },
            );
        } else {
            loops::for_rows(a, cols, rows, work, |r, a| {
                normalise(a, None, phi, value(r))
            });
        }
    }

    fn cost(&self) -> Cost {
        let n = area(self.rows, self.cols);
        Cost::new(
            9 * n,
            (2 + u64::from(self.store_z)) * n + 2 * u64::from(self.cols) + 2 * u64::from(self.rows),
        )
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
            let u = g.floats(rows * cols);
            let u = if rows == 33 { u.spoiled() } else { u };
            let reads = vec![u, g.floats(cols), g.floats(cols)];
            let writes = vec![
                g.untouched(2 * rows),
                g.untouched(rows * cols),
                g.untouched(rows * cols),
            ];
            cases.push(Case::new(p, reads, writes).through(phi));
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
