use super::cases::{Case, Generator};
use super::{Cost, Twin, Work, declare};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "activation" in Elements, work: |p| Work::elements(p.count);
    params {
        count: u32,
    }
    reads { z: f32 }
    writes { a: f32 }
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

    fn cost(&self) -> Cost {
        Cost::new(u64::from(self.count), 2 * u64::from(self.count))
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            let reads = vec![g.floats(count)];
            let writes = vec![g.untouched(count)];
            cases.push(Case::new(Params { count }, reads, writes).through(&Activation::Relu));
        }
        for phi in Activation::table() {
            // A sweep over the range that losses and activations promise to survive, fine near zero.
            let sweep: Vec<f32> = (-2000..=2000)
                .map(|i| {
                    let t = f64::from(i) / 2000.0;
                    (t.signum() * (1e4f64.powf(t.abs()) - 1.0) * (t.abs() * 4.0).min(1.0)) as f32
                })
                .chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN])
                .collect();
            let p = Params {
                count: sweep.len() as u32,
            };
            let writes = vec![g.untouched(p.count)];
            cases.push(Case::new(p, vec![sweep.into()], writes).through(&phi));
        }
        cases
    }
}
