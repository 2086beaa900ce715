use super::cases::{Case, Generator};
use super::{Twin, Work, area, declare};
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
    reads { x: f32[p.count] }
    writes { y: f32[p.count] }
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

    fn flops(&self) -> u64 {
        2 * area(self.count, self.rounds)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let shapes = g.shapes(&[(16, 4), (4096, 64), (4112, 8)], (1 << 20, 64));
        let params = shapes.into_iter().map(|(count, rounds)| Params {
            count,
            rounds,
            factor: 0.75,
            term: 0.3,
        });
        params.map(|p| g.case(p)).collect()
    }
}
