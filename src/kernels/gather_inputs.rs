use super::cases::{Case, Generator};
use super::{
    Cost, Family, Format, Kernel, Read, Twin, Work, batch_rows, read_words, write, written,
};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    inputs: u32,
    /// Of the data; see `Format`.
    format: u32,
    /// Place in the order of the batch's first row.
    start: u32,
    /// Of data as u8.
    scale: f64,
}

pub(crate) struct GatherInputs;

impl Twin for GatherInputs {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "gather_inputs",
        source: include_str!("../../shaders/gather_inputs.wgsl"),
        family: Family::Elements,
        operands: &[read_words("x"), read_words("order"), write("y")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.rows * p.inputs,
        }
    }

    /// y (B, I) = x[order[start + r]], as numbers.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [x, order] = reads else {
            unreachable!("operands of another kernel")
        };
        let [y] = written(writes);
        let shape = (p.rows as usize, p.inputs as usize);
        let rows = batch_rows(x, order, p.format, p.start, shape, p.scale);
        y[..rows.len()].copy_from_slice(&rows);
    }

    fn cost(p: &Params) -> Cost {
        let count = u64::from(p.rows) * u64::from(p.inputs);
        Cost {
            flops: 0,
            words: 2 * count + u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (format, (rows, inputs, start)) in g.formats() {
            let p = Params {
                rows,
                inputs,
                format: Format::code(format),
                start,
                scale: format.scale(),
            };
            let [x, order] = g.batch((rows, inputs), Some(format), start);
            let writes = vec![g.untouched(rows * inputs)];
            let call = super::Call::GatherInputs(p);
            cases.push(Case::new(call, &Activation::Identity, vec![x, order], writes));
        }
        cases
    }
}
