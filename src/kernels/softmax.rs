use super::cases::{Case, Data, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "softmax" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { z: f32[p.rows, p.cols] }
    writes { a: f32[p.rows, p.cols] }
}

/// exp(z − m) of a row with m its largest element: softmax's numerators. m is a constant here: softmax does not depend
/// on it, so a device that holds a slightly different maximum computes the same function.
#[inline(always)]
pub(super) fn shifted_exp<F: Scalar>(z: &[F], m: F, out: &mut [F]) {
    for (e, &z) in out.iter_mut().zip(z) {
        *e = (z - m).min(F::of(0.0)).exp();
    }
}

impl Twin for Params {
    /// a (B, C) = exp(z − m)/Σ_row exp(z − m), m = max_row z; NaN where a z of the row is not finite.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { z, a } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        loops::for_rows(
            a,
            cols,
            rows,
            8 * cols,
            #[inline(always)]
            |r, a| {
                let z = &z[r * cols..][..cols];
                shifted_exp(z, F::max_of(z), a);
                let finite = z.iter().all(|z| z.is_finite());
                let total = F::sum_of(a);
                let total = if finite { total } else { F::of(f64::NAN) };
                for a in a {
                    *a = *a / total;
                }
            },
        );
    }

    fn flops(&self) -> u64 {
        4 * area(self.rows, self.cols)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            for scale in [1.0, 1e4] {
                let z = g.scaled(rows * cols, scale);
                let mut z = if rows == 7 { z.spoiled() } else { z };
                // Beside it the others' sum would be finite.
                if let Data::Floats(z) = &mut z
                    && rows == 7
                    && let Some(z) = z.get_mut(3 * cols as usize)
                {
                    *z = f32::NEG_INFINITY;
                }
                cases.push(g.case(Params { rows, cols }).with("z", z));
            }
        }
        cases
    }
}
