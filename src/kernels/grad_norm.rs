use super::cases::{Case, Data, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, word, write, written};
use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

params! {
    /// Of the parts.
    count: u32,
    /// The norm's place among the norms.
    slot: u32,
    /// Whether the gradient is to be clipped to max_norm.
    clip: u32,
    max_norm: f64,
    /// 1, or 1/rows.
    scale: f64,
}

pub(crate) struct GradNorm;

impl Twin for GradNorm {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "grad_norm",
        source: include_str!("../../shaders/grad_norm.wgsl"),
        family: Family::Rows,
        operands: &[read("part"), write("ledger"), write("norms")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(_: &Params) -> Work {
        // One workgroup with all its lanes on one row: the order of the sum is fixed.
        Work::Rows { rows: 1, cols: 256 }
    }

    /// norms[slot] = √Σ part;  with clip, ledger[7] = scale·min(1, max_norm/(norm + 1e-6)), infinite where the norm is not finite.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [part] = floats(reads);
        let [ledger, norms] = written(writes);
        let norm = F::sum(part[..p.count as usize].iter().copied()).sqrt();
        norms[p.slot as usize] = norm;
        if p.clip != 0 {
            let factor = (F::of(p.max_norm) / (norm + F::of(1e-6))).min(F::of(1.0));
            ledger[word::SCALE] = if norm.is_finite() {
                F::of(p.scale) * factor
            } else {
                F::of(f64::INFINITY)
            };
        }
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: u64::from(p.count),
            words: u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            // Off; far below the norm; far above it.
            for (clip, max_norm) in [(0, 0.0), (1, 0.25), (1, 1e6)] {
                let p = Params {
                    count,
                    slot: 2,
                    clip,
                    max_norm,
                    scale: 0.125,
                };
                let reads = vec![g.fractions(count)];
                let writes = vec![g.ledger(), g.untouched(5)];
                let call = super::Call::GradNorm(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        // A gradient that is nearly nothing: 1e-6 beside the norm counts.
        for norm in [0.0, 1e-12] {
            let p = Params {
                count: 1,
                slot: 0,
                clip: 1,
                max_norm: 1e-6,
                scale: 1.0,
            };
            let reads = vec![Data::Floats(vec![norm])];
            let writes = vec![g.ledger(), g.untouched(1)];
            let call = super::Call::GradNorm(p);
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
