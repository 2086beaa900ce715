use super::cases::{self, Case, Generator};
use super::{Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "activation" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
    }
    reads { z: f32[p.count] }
    writes { a: f32[p.count] }
}

impl Twin for Params {
    const ACTIVATION: bool = true;

    /// a = φ(z), elementwise.
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands { z, a } = operands;
        const BLOCK: usize = 4096;
        let count = self.count as usize;
        loops::for_rows(
            &mut a[..count],
            BLOCK,
            count.div_ceil(BLOCK),
            8 * BLOCK,
            #[inline(always)]
            |r, a| {
                a.copy_from_slice(&z[r * BLOCK..][..a.len()]);
                phi.apply_to(a);
            },
        );
    }

    fn flops(&self) -> u64 {
        self.count.into()
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            cases.push(g.case(Params { count }).through(&Activation::Relu));
        }
        for phi in Activation::table() {
            let beyond = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
            let z: Vec<f32> = cases::sweep().chain(beyond).collect();
            let count = z.len() as u32;
            let case = g.case(Params { count }).with("z", z.into());
            cases.push(case.through(&phi));
        }
        cases
    }
}
