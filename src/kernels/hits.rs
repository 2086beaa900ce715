use super::cases::{Case, Data, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, read, read_words, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
}

pub(crate) struct Hits;

impl Twin for Hits {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "hits",
        source: include_str!("../../shaders/hits.wgsl"),
        family: Family::Rows,
        operands: &[read("a"), read_words("t"), write("hit")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Rows {
            rows: p.rows,
            cols: p.cols,
        }
    }

    /// hit (B) = 1 where a (B, C) is largest at class t (B), the first of equals, and no element of the row is NaN; else 0.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [Read::Floats(a), Read::Words(t)] = reads else {
            unreachable!("operands of another kernel")
        };
        let [hit] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        loops::for_rows(hit, 1, rows, 4 * cols, #[inline(always)] |r, hit| {
            let (a, label) = (&a[r * cols..][..cols], t[r] as usize);
            let own = a[label].value();
            let missed = a.iter().enumerate().any(|(c, x)| {
                let x = x.value();
                x.is_nan() || x > own || (x == own && c < label)
            });
            hit[0] = F::of(if missed { 0.0 } else { 1.0 });
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 3 * n,
            words: n + 2 * u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            // Few values, so that rows have ties; every other label is a hit, or a tie's second.
            let mut a: Vec<f32> = match g.floats(rows * cols) {
                Data::Floats(a) => a.iter().map(|x| (2.0 * x).round()).collect(),
                Data::Words(_) => unreachable!("floats are floats"),
            };
            let Data::Words(mut t) = g.labels(rows, cols) else {
                unreachable!("labels are words")
            };
            for (r, t) in t.iter_mut().enumerate().filter(|(r, _)| r % 4 < 2) {
                let row = &a[r * cols as usize..][..cols as usize];
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                let mut places = (0..cols).filter(|&c| row[c as usize] == most);
                let first = places.next().unwrap_or(0);
                let second = places.next().filter(|_| r % 4 == 1);
                *t = second.unwrap_or(first);
            }
            // Overflows of both kinds: a NaN is a miss for the whole row, an infinity a number like others.
            let cols_of = |r: usize| r * cols as usize..(r + 1) * cols as usize;
            for r in (0..rows as usize).filter(|r| r % 8 > 4) {
                let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][r % 8 - 5];
                a[cols_of(r)][r % cols as usize] = x;
            }
            let reads = vec![Data::Floats(a), Data::Words(t)];
            let writes = vec![g.untouched(rows)];
            let call = super::Call::Hits(Params { rows, cols });
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
