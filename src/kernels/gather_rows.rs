use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, read_words, write_words, written};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    /// Words of a row.
    cols: u32,
    /// Place in the order of the batch's first row.
    start: u32,
}

pub(crate) struct GatherRows;

impl Twin for GatherRows {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "gather_rows",
        source: include_str!("../../shaders/gather_rows.wgsl"),
        family: Family::Elements,
        operands: &[read_words("x"), read_words("order"), write_words("y")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.rows * p.cols,
        }
    }

    /// y (B, C) = x[order[start + r]]. Words that are numbers: a CPU executor gathers class indices on the host.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [Read::Words(x), Read::Words(order)] = reads else {
            unreachable!("operands of another kernel")
        };
        let [y] = written(writes);
        let cols = p.cols as usize;
        for (r, y) in y.chunks_mut(cols).take(p.rows as usize).enumerate() {
            let row = order[p.start as usize + r] as usize;
            for (y, &word) in y.iter_mut().zip(&x[row * cols..]) {
                *y = F::of(f64::from(f32::from_bits(word)));
            }
        }
    }

    fn cost(p: &Params) -> Cost {
        let count = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 0,
            words: 2 * count + u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols, start) in [(1, 1, 0), (17, 3, 2), (255, 1, 5), (13, 257, 1), (65_541, 1, 3)] {
            let p = Params { rows, cols, start };
            let held = rows / 2 + 9;
            let reads = vec![g.floats(held * cols).into_words(), g.order(rows + start, held)];
            let writes = vec![g.untouched(rows * cols)];
            let call = super::Call::GatherRows(p);
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
