use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, declare};
use crate::config::activation::{Activation, Saved};
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "activation_grad" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
    }
    reads { grad: f32, saved: f32 }
    writes { delta: f32 }
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

    fn cost(&self) -> Cost {
        Cost::new(2 * u64::from(self.count), 3 * u64::from(self.count))
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            let reads = vec![g.floats(count), g.floats(count)];
            let writes = vec![g.untouched(count)];
            cases.push(Case::new(Params { count }, reads, writes).through(&Activation::Relu));
        }
        for phi in Activation::table() {
            let sweep: Vec<f32> = (-2000..=2000)
                .map(|i| {
                    let t = f64::from(i) / 2000.0;
                    let z = t.signum() * (1e4f64.powf(t.abs()) - 1.0) * (t.abs() * 4.0).min(1.0);
                    match phi.saved() {
                        Saved::Input => z as f32,
                        Saved::Output => phi.apply(z) as f32,
                    }
                })
                .collect();
            let p = Params {
                count: sweep.len() as u32,
            };
            let reads = vec![g.fractions(p.count), sweep.into()];
            let writes = vec![g.untouched(p.count)];
            cases.push(Case::new(p, reads, writes).through(&phi));
        }
        cases
    }
}
