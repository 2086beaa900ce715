use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
}

pub(crate) struct ElementwiseActivation;

impl Twin for ElementwiseActivation {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "activation",
        source: include_str!("../../shaders/activation.wgsl"),
        family: Family::Elements,
        operands: &[read("z"), write("a")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements { count: p.count }
    }

    /// a = φ(z), elementwise.
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [z] = floats(reads);
        let [a] = written(writes);
        const BLOCK: usize = 4096;
        let count = p.count as usize;
        loops::for_rows(&mut a[..count], BLOCK, count.div_ceil(BLOCK), 8 * BLOCK, #[inline(always)] |r, a| {
            a.copy_from_slice(&z[r * BLOCK..][..a.len()]);
            phi.apply_to(a);
        });
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: u64::from(p.count),
            words: 2 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for phi in Activation::table() {
            // A sweep over the range that losses and activations promise to survive, fine near zero.
            let sweep: Vec<f32> = (-2000..=2000)
                .map(|i| {
                    let t = f64::from(i) / 2000.0;
                    (t.signum() * (1e4f64.powf(t.abs()) - 1.0) * (t.abs() * 4.0).min(1.0)) as f32
                })
                .collect();
            let p = Params {
                count: sweep.len() as u32,
            };
            let writes = vec![g.untouched(p.count)];
            cases.push(Case::new(
                super::Call::ElementwiseActivation(p),
                &phi,
                vec![sweep.into()],
                writes,
            ));
        }
        for count in g.counts() {
            let reads = vec![g.floats(count)];
            let writes = vec![g.untouched(count)];
            cases.push(Case::new(
                super::Call::ElementwiseActivation(Params { count }),
                &Activation::Relu,
                reads,
                writes,
            ));
        }
        cases
    }
}
