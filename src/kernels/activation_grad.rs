use super::cases::{self, Case, Generator};
use super::{Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "activation_grad" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
    }
    reads { grad: f32[p.count], saved: f32[p.count] }
    writes { delta: f32[p.count] }
}

impl Twin for Params {
    const ACTIVATION: bool = true;

    /// delta = grad ⊙ φ′(saved), elementwise.
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands { grad, saved, delta } = operands;
        let count = self.count as usize;
        const BLOCK: usize = 4096;
        loops::for_rows(
            &mut delta[..count],
            BLOCK,
            count.div_ceil(BLOCK),
            BLOCK,
            #[inline(always)]
            |b, delta| {
                delta.copy_from_slice(&grad[b * BLOCK..][..delta.len()]);
                phi.scale_by_grad(delta, &saved[b * BLOCK..]);
            },
        );
    }

    fn flops(&self) -> u64 {
        2 * u64::from(self.count)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            cases.push(g.case(Params { count }).through(&Activation::Relu));
        }
        for phi in Activation::table() {
            let z: Vec<f32> = cases::sweep().collect();
            let count = z.len() as u32;
            let case = g.case(Params { count }).with("grad", g.fractions(count));
            let saved = cases::saved_of(&phi, z);
            cases.push(case.with("saved", saved.into()).through(&phi));
        }
        cases
    }
}
