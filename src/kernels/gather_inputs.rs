use super::cases::{Case, Generator};
use super::{Format, StepAt, Twin, Work, batch_rows, declare, row_elements};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

declare! {
    "gather_inputs" in Elements, work: |p| Work::elements(p.rows * p.inputs);
    params {
        rows: u32,
        inputs: u32,
        /// Of the data; see `Format`.
        format: u32,
        /// Of data as u8.
        scale: f64,
    }
    step { start: u32 }
    reads { x: any[p.rows, row_elements(p.format, p.inputs)], order: u32[p.rows] }
    writes { y: f32[p.rows, p.inputs] }
}

impl Twin for Params {
    /// y (B, I) = x[order[start + r]], as numbers.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { x, order, y } = operands;
        let shape = (self.rows as usize, self.inputs as usize);
        let rows = batch_rows(x, order, self.format, at.start, shape, self.scale);
        y[..rows.len()].copy_from_slice(&rows);
    }

    fn flops(&self) -> u64 {
        0
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (format, (rows, inputs, start)) in g.formats() {
            let p = Params {
                rows,
                inputs,
                format: Format::code(format),
                scale: format.scale(),
            };
            let [x, order] = g.batch((rows, inputs), Some(format), start);
            let case = g.case(p).with("x", x).with("order", order);
            cases.push(case.at(StepAt::starting(start)));
        }
        cases
    }
}
