use super::cases::{Case, Generator};
use super::layer_norm::normalise;
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    "batch_norm" in Elements, work: |p| Work::elements(p.rows * p.cols);
    params {
        rows: u32,
        cols: u32,
        /// The statistics are the running ones: variances, not inverses.
        running: u32,
        store_z: u32,
        eps: f64,
    }
    reads { u: f32[p.rows, p.cols], stats: f32[2, p.cols], gamma: f32[p.cols], beta: f32[p.cols] }
    writes { z: f32[p.store_z, p.rows, p.cols], a: f32[p.rows, p.cols] }
}

impl Twin for Params {
    const ACTIVATION: bool = true;

    /// z (B, C) = γ·(u − mean)·inverse + β with the statistics of each column, of the batch or running,  a = φ(z).
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            u,
            stats,
            gamma,
            beta,
            z,
            a,
        } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let (means, spreads) = stats.split_at(cols);
        let value = |r: usize| {
            let u = &u[r * cols..][..cols];
            move |c: usize| {
                let inv = if self.running != 0 {
                    F::of(1.0) / (spreads[c] + F::of(self.eps)).sqrt()
                } else {
                    spreads[c]
                };
                gamma[c] * ((u[c] - means[c]) * inv) + beta[c]
            }
        };
        let z = (self.store_z != 0).then_some(z);
        normalise((a, z), (rows, cols), phi, value);
    }

    fn flops(&self) -> u64 {
        5 * area(self.rows, self.cols)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add =
            |g: &mut Generator, (rows, cols): (u32, u32), phi: &Activation, (running, store_z)| {
                let p = Params {
                    rows,
                    cols,
                    running,
                    store_z,
                    eps: 1e-5,
                };
                // What is not finite goes through every activation as it is.
                let u = g.floats(rows * cols);
                let u = if rows == 5 { u.spoiled() } else { u };
                // Positive, as variances are.
                let case = g.case(p).with("u", u).with("stats", g.fractions(2 * cols));
                cases.push(case.with("z", g.untouched(rows * cols)).through(phi));
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
