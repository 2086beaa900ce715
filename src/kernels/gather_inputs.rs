use super::cases::{Case, Generator};
use super::{Cost, Format, StepAt, Twin, Work, area, batch_rows, declare};
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
    reads { x: any, order: u32 }
    writes { y: f32 }
}

impl Twin for Params {
    /// y (B, I) = x[order[start + r]], as numbers.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { x, order, y } = operands;
        let shape = (self.rows as usize, self.inputs as usize);
        let rows = batch_rows(x, order, self.format, at.start, shape, self.scale);
        y[..rows.len()].copy_from_slice(&rows);
    }

    fn cost(&self) -> Cost {
        let count = area(self.rows, self.inputs);
        Cost::new(0, 2 * count + u64::from(self.rows))
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
            let writes = vec![g.untouched(rows * inputs)];
            cases.push(Case::new(p, vec![x, order], writes).at(StepAt {
                start,
                ..StepAt::default()
            }));
        }
        cases
    }
}
