use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "batch_norm_grad" in Elements, work: |p| Work::elements(p.rows * p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { delta: f32[p.rows, p.cols], u: f32[p.rows, p.cols], stats: f32[2, p.cols], sums: f32[2, p.cols], gamma: f32[p.cols] }
    writes { delta_u: f32[p.rows, p.cols] }
}

impl Twin for Params {
    /// delta_u (B, C) = γ·inverse·(delta − mean(delta) − x·mean(delta·x)) with x = (u − mean)·inverse, and means over each column,
    /// from its sums.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            delta,
            u,
            stats,
            sums,
            gamma,
            delta_u,
        } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let (means, inverses) = stats.split_at(cols);
        let count = F::of(f64::from(self.rows));
        loops::for_rows(
            delta_u,
            cols,
            rows,
            8 * cols,
            #[inline(always)]
            |r, delta_u| {
                let (delta, u) = (&delta[r * cols..][..cols], &u[r * cols..][..cols]);
                for (c, d) in delta_u.iter_mut().enumerate() {
                    let normal = (u[c] - means[c]) * inverses[c];
                    let centred = delta[c] - sums[c] / count - normal * (sums[cols + c] / count);
                    *d = gamma[c] * inverses[c] * centred;
                }
            },
        );
    }

    fn flops(&self) -> u64 {
        9 * area(self.rows, self.cols)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let shapes = g.column_shapes().into_iter();
        shapes
            .map(|(rows, cols)| g.case(Params { rows, cols }))
            .collect()
    }
}
