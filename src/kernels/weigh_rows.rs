use super::cases::{Case, Data, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "weigh_rows" in Elements, work: |p| Work::elements(p.rows * p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { weight: f32[p.rows] }
    writes { loss: f32[p.rows], delta: f32[p.rows, p.cols] }
}

impl Twin for Params {
    /// loss (B) ← weight (B)·loss,  delta (B, C) ← weight·delta; both 0 where the weight is.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            weight,
            loss,
            delta,
        } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        loops::for_rows2(
            (loss, 1),
            (delta, cols),
            rows,
            cols,
            #[inline(always)]
            |r, loss, delta| {
                let w = weight[r];
                if w.value() == 0.0 {
                    loss[0] = F::of(0.0);
                    delta.fill(F::of(0.0));
                } else {
                    loss[0] = w * loss[0];
                    delta.iter_mut().for_each(|d| *d = w * *d);
                }
            },
        );
    }

    fn flops(&self) -> u64 {
        area(self.rows, self.cols)
    }

    fn words_found(&self) -> u64 {
        area(self.rows, self.cols + 1)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            // Every third row takes no part, and some of those have a loss that is no number.
            let thin = |data: Data, cols: u32, every: usize, x: f32| match data {
                Data::Floats(mut data) => {
                    for row in data.chunks_mut(cols as usize).step_by(every) {
                        row.fill(x);
                    }
                    Data::Floats(data)
                }
                words => words,
            };
            let weight = thin(g.fractions(rows), 1, 3, 0.0);
            let loss = thin(g.floats(rows), 1, 6, f32::INFINITY);
            let delta = thin(g.floats(rows * cols), cols, 6, f32::NAN);
            let case = g.case(Params { rows, cols }).with("weight", weight);
            cases.push(case.with("loss", loss).with("delta", delta));
        }
        cases
    }
}
