use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "batch_norm_grad" in Elements, work: |p| Work::elements(p.rows * p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { delta: f32, u: f32, stats: f32, sums: f32, gamma: f32 }
    writes { delta_u: f32 }
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

    fn cost(&self) -> Cost {
        let n = area(self.rows, self.cols);
        Cost::new(9 * n, 3 * n + 5 * u64::from(self.cols))
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.column_shapes() {
            let n = rows * cols;
            let reads = vec![
                g.floats(n),
                g.floats(n),
                g.floats(2 * cols),
                g.floats(2 * cols),
                g.floats(cols),
            ];
            let writes = vec![g.untouched(n)];
            let p = Params { rows, cols };
            cases.push(Case::new(p, reads, writes));
        }
        cases
    }
}
