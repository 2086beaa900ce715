use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "layer_norm_grad" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { delta: f32[p.rows, p.cols], u: f32[p.rows, p.cols], stats: f32[2, p.rows], gamma: f32[p.cols] }
    writes { delta_u: f32[p.rows, p.cols] }
}

impl Twin for Params {
    /// delta_u (B, C) = inverse·(g − mean(g) − x·mean(g·x)) with g = γ·delta, x = (u − mean)·inverse, and means over each row.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            delta,
            u,
            stats,
            gamma,
            delta_u,
        } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let (means, inverses) = stats.split_at(rows);
        let count = F::of(f64::from(self.cols));
        loops::for_rows(
            delta_u,
            cols,
            rows,
            8 * cols,
            #[inline(always)]
            |r, delta_u| {
                let (delta, u) = (&delta[r * cols..][..cols], &u[r * cols..][..cols]);
                let normal = |c: usize| (u[c] - means[r]) * inverses[r];
                let mean_g = F::dot_in_lanes(cols, |c| (gamma[c], delta[c])) / count;
                let mean_gx = F::dot_in_lanes(cols, |c| (gamma[c] * delta[c], normal(c))) / count;
                for (c, d) in delta_u.iter_mut().enumerate() {
                    *d = inverses[r] * (gamma[c] * delta[c] - mean_g - normal(c) * mean_gx);
                }
            },
        );
    }

    fn flops(&self) -> u64 {
        12 * area(self.rows, self.cols)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let shapes = g.row_shapes().into_iter();
        shapes
            .map(|(rows, cols)| g.case(Params { rows, cols }))
            .collect()
    }
}
