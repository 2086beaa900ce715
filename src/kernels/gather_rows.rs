use super::cases::{Case, Generator};
use super::{StepAt, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    "gather_rows" in Elements, work: |p| Work::elements(p.rows * p.cols);
    params {
        rows: u32,
        /// Words of a row.
        cols: u32,
    }
    step { start: u32 }
    reads { x: u32[p.rows, p.cols], order: u32[p.rows] }
    writes { y: u32[p.rows, p.cols] }
}

impl Twin for Params {
    /// y (B, C) = x[order[start + r]]. Words that are numbers: a CPU executor gathers class indices on the host.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { x, order, y } = operands;
        let cols = self.cols as usize;
        for (r, y) in y.chunks_mut(cols).take(self.rows as usize).enumerate() {
            let row = order[at.start as usize + r] as usize;
            for (y, &word) in y.iter_mut().zip(&x[row * cols..]) {
                *y = F::of(f64::from(f32::from_bits(word)));
            }
        }
    }

    fn flops(&self) -> u64 {
        0
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let shapes = [
            (1, 1, 0),
            (17, 3, 2),
            (255, 1, 5),
            (13, 257, 1),
            (65_541, 1, 3),
        ];
        for (rows, cols, start) in g.shapes(&shapes, (4096, 256, 0)) {
            let held = rows / 2 + 9;
            let x = g.floats(held * cols).into_words();
            let case = g.case(Params { rows, cols }).with("x", x);
            let case = case.with("order", g.order(rows + start, held));
            cases.push(case.at(StepAt::starting(start)));
        }
        cases
    }
}
