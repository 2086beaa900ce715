use super::cases::{Case, Data, Generator};
use super::{Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "hits" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
    }
    reads { a: f32[p.rows, p.cols], t: u32[p.rows] }
    writes { hit: f32[p.rows] }
}

impl Twin for Params {
    /// hit (B) = 1 where a (B, C) is largest at class t (B), the first of equals, and no element of the row is NaN; else 0.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { a, t, hit } = operands;
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        loops::for_rows(
            hit,
            1,
            rows,
            4 * cols,
            #[inline(always)]
            |r, hit| {
                let (a, label) = (&a[r * cols..][..cols], t[r] as usize);
                let own = a[label].value();
                let missed = a.iter().enumerate().any(|(c, x)| {
                    let x = x.value();
                    x.is_nan() || x > own || (x == own && c < label)
                });
                hit[0] = F::of(if missed { 0.0 } else { 1.0 });
            },
        );
    }

    fn flops(&self) -> u64 {
        3 * area(self.rows, self.cols)
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
            let rows_of = a.chunks_exact(cols as usize).zip(&mut t).enumerate();
            for (r, (row, t)) in rows_of.filter(|(r, _)| r % 4 < 2) {
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                let mut places = (0..cols).filter(|&c| row[c as usize] == most);
                let first = places.next().unwrap_or(0);
                let second = places.next().filter(|_| r % 4 == 1);
                *t = second.unwrap_or(first);
            }
            // Overflows of both kinds: a NaN is a miss for the whole row, an infinity a number like others.
            let rows_of = a.chunks_exact_mut(cols as usize).enumerate();
            for (r, row) in rows_of.filter(|(r, _)| r % 8 > 4) {
                let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][r % 8 - 5];
                row[r % cols as usize] = x;
            }
            let case = g.case(Params { rows, cols }).with("a", a.into());
            cases.push(case.with("t", Data::Words(t)));
        }
        cases
    }
}
