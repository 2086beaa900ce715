use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "multiply_add" in Elements, work: |p| Work::elements(p.count / 16);
    params {
        /// A multiple of 16.
        count: u32,
        /// A multiple of 4.
        rounds: u32,
        factor: f64,
        term: f64,
    }
    reads { x: f32 }
    writes { y: f32 }
}

impl Twin for Params {
    /// y = `rounds` times y ← factor·y + term, from y = x.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { x, y } = operands;
        let (factor, term) = (F::of(self.factor), F::of(self.term));
        loops::each1(&mut y[..self.count as usize], x, |y, x| {
            *y = x;
            for _ in 0..self.rounds {
                *y = factor * *y + term;
            }
            true
        });
    }

    fn cost(&self) -> Cost {
        Cost::new(2 * area(self.count, self.rounds), 2 * u64::from(self.count))
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (count, rounds) in g.shapes(&[(16, 4), (4096, 64), (4112, 8)], (1 << 20, 64)) {
            let p = Params {
                count,
                rounds,
                factor: 0.75,
                term: 0.3,
            };
            let reads = vec![g.floats(count)];
            let writes = vec![g.untouched(count)];
            cases.push(Case::new(p, reads, writes));
        }
        cases
    }
}
