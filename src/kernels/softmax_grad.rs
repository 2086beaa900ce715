use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "softmax_grad" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { a: f32[p.rows, p.cols], grad: f32[p.rows, p.cols] }
    writes { delta: f32[p.rows, p.cols] }
}

impl Twin for Params {
    /// delta (B, C) = a ⊙ (grad − Σ_row grad·a): the Jacobian diag(a) − a·aᵀ of softmax, times grad = ∂L/∂a.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { a, grad, delta } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        loops::for_rows(
            delta,
            cols,
            rows,
            4 * cols,
            #[inline(always)]
            |r, delta| {
                let (a, grad) = (&a[r * cols..][..cols], &grad[r * cols..][..cols]);
                let mean = F::dot(cols, |c| (grad[c], a[c]));
                for ((d, &a), &g) in delta.iter_mut().zip(a).zip(grad) {
                    *d = a * (g - mean);
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
            let case = g.case(Params { rows, cols });
            cases.push(case.with("a", g.probabilities(rows, cols)));
        }
        cases
    }
}
