use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "copy" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
    }
    reads { x: f32 }
    writes { y: f32 }
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

    fn cost(&self) -> Cost {
        Cost::new(0, 2 * u64::from(self.count))
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        // The last is beyond one grid dimension of workgroups: 65,535 · 256 elements.
        let most = g.shapes(&[65_535 * 256 + 17], 1 << 20);
        for count in g.counts().into_iter().chain(most) {
            let reads = vec![g.floats(count)];
            let writes = vec![g.untouched(count)];
            let p = Params { count };
            cases.push(Case::new(p, reads, writes));
        }
        cases
    }
}
