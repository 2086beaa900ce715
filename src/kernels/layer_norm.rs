use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
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
    reads { u: f32[p.rows, p.cols], gamma: f32[p.cols], beta: f32[p.cols] }
    writes { stats: f32[2, p.rows], z: f32[p.store_z, p.rows, p.cols], a: f32[p.rows, p.cols] }
}

/// 1/√(variance + eps), infinite where the variance is not finite, so that the loss will see it.
pub(super) fn inverse<F: Scalar>(variance: F, eps: f64) -> F {
    if variance.is_finite() {
        F::of(1.0) / (variance + F::of(eps)).sqrt()
    } else {
        F::of(f64::INFINITY)
    }
}

#[inline(always)]
fn fill<F: Scalar>(a: &mut [F], value: impl Fn(usize) -> F) {
    for (c, a) in a.iter_mut().enumerate() {
        *a = value(c);
    }
}

/// Rows of z = `row(r)(c)` into z, where that is wanted, and φ(z) into a.
pub(super) fn normalise<F: Scalar, R: Fn(usize) -> F>(
    (a, z): (&mut [F], Option<&mut [F]>),
    (rows, cols): (usize, usize),
    phi: &Activation,
    row: impl Fn(usize) -> R + Sync,
) {
    let work = 8 * cols;
    match z {
        Some(z) => loops::for_rows2(
            (z, cols),
            (a, cols),
            rows,
            work,
            #[inline(always)]
            |r, z, a| {
                fill(a, row(r));
                z.copy_from_slice(a);
                phi.apply_to(a);
            },
        ),
        None => loops::for_rows(a, cols, rows, work, |r, a| {
            fill(a, row(r));
            phi.apply_to(a);
        }),
    }
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
        let z = (self.store_z != 0).then_some(z);
        normalise((a, z), (rows, cols), phi, value);
    }

    fn flops(&self) -> u64 {
        9 * area(self.rows, self.cols)
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
            let case = g.case(p).with("u", u).with("z", g.untouched(rows * cols));
            cases.push(case.through(phi));
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
