use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "softmax" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { z: f32 }
    writes { a: f32 }
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
    /// a (B, C) = exp(z − m)/Σ_row exp(z − m), m = max_row z.
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
                let total = F::sum_of(a);
                for a in a {
                    *a = *a / total;
                }
            },
        );
    }

    fn cost(&self) -> Cost {
        let n = area(self.rows, self.cols);
        Cost::new(4 * n, 2 * n)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            for scale in [1.0, 1e4] {
                let reads = vec![g.scaled(rows * cols, scale)];
                let writes = vec![g.untouched(rows * cols)];
                let p = Params { rows, cols };
                cases.push(Case::new(p, reads, writes));
            }
        }
        cases
    }
}
