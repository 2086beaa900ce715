use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::{Activation, Saved};
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
}

pub(crate) struct ActivationGrad;

impl Twin for ActivationGrad {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "activation_grad",
        source: include_str!("../../shaders/activation_grad.wgsl"),
        family: Family::Elements,
        operands: &[read("grad"), read("saved"), write("delta")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements { count: p.count }
    }

    /// delta = grad ⊙ φ′(saved), elementwise.
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [grad, saved] = floats(reads);
        let [delta] = written(writes);
        let count = p.count as usize;
        const BLOCK: usize = 4096;
        loops::for_rows(&mut delta[..count], BLOCK, count.div_ceil(BLOCK), BLOCK, #[inline(always)] |b, delta| {
            delta.copy_from_slice(&grad[b * BLOCK..][..delta.len()]);
            phi.scale_by_grad(delta, &saved[b * BLOCK..]);
        });
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 2 * u64::from(p.count),
            words: 3 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
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
            cases.push(Case::new(
                super::Call::ActivationGrad(p),
                &phi,
                reads,
                writes,
            ));
        }
        for count in g.counts() {
            let reads = vec![g.floats(count), g.floats(count)];
            let writes = vec![g.untouched(count)];
            cases.push(Case::new(
                super::Call::ActivationGrad(Params { count }),
                &Activation::Relu,
                reads,
                writes,
            ));
        }
        cases
    }
}
