use super::cases::{Case, Generator};
use super::{Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "copy" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
    }
    reads { x: f32[p.count] }
    writes { y: f32[p.count] }
}

impl Twin for Params {
    /// y = x.
    fn run<F: Scalar>(&self, _: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands { x, y } = operands;
        loops::each1(&mut y[..self.count as usize], x, |y, x| {
            *y = x;
            true
        });
    }

    fn flops(&self) -> u64 {
        0
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        // The last is beyond one grid dimension of workgroups: 65,535 · 256 elements.
        let most = g.shapes(&[65_535 * 256 + 17], 1 << 20);
        let counts = g.counts().into_iter().chain(most);
        counts.map(|count| g.case(Params { count })).collect()
    }
}
