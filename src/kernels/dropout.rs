use super::cases::{Case, Generator};
use super::threefry::{self, Mask};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
    /// Add x.
    residual: u32,
    /// The layer's key.
    key0: u32,
    key1: u32,
    /// Batches before this one.
    batch: u32,
    /// Words below it drop their element.
    threshold: u32,
    /// 1/(1 − p).
    scale: f64,
}

impl Params {
    pub fn mask(&self) -> Mask {
        Mask {
            key: [self.key0, self.key1],
            batch: self.batch,
            threshold: self.threshold,
        }
    }
}

pub(crate) struct Dropout;

/// Elements that a task takes.
pub(super) const BLOCK: usize = 4096;

impl Twin for Dropout {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dropout",
        source: include_str!("../../shaders/dropout.wgsl"),
        family: Family::Elements,
        operands: &[read("a"), read("x"), write("h")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[threefry::WGSL],
    };

    fn work(p: &Params) -> Work {
        Work::Elements { count: p.count }
    }

    /// h = x + mask ⊙ a/(1 − p), or without x. A random word of (key, batch, element) is the mask; what is not finite is kept.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [a, x] = floats(reads);
        let [h] = written(writes);
        let (count, mask, scale) = (p.count as usize, p.mask(), F::of(p.scale));
        loops::for_rows(&mut h[..count], BLOCK, count.div_ceil(BLOCK), BLOCK, #[inline(always)] |block, h| {
            let first = block * BLOCK;
            // Two loops without a branch, so that both can be vectorised.
            for (h, &a) in h.iter_mut().zip(&a[first..]) {
                *h = scale * a;
            }
            for (i, (h, &a)) in h.iter_mut().zip(&a[first..]).enumerate() {
                let kept = mask.keeps(first + i) | !a.is_finite();
                *h = if kept { *h } else { F::of(0.0) };
            }
            if p.residual != 0 {
                for (h, &x) in h.iter_mut().zip(&x[first..]) {
                    *h += x;
                }
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.count);
        Cost {
            // A word takes about 80.
            flops: 82 * n,
            words: (2 + u64::from(p.residual)) * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for count in g.counts() {
            for (residual, probability) in [(0, 0.1), (1, 0.5), (1, 0.0), (0, 0.9)] {
                let p = Params {
                    count,
                    residual,
                    key0: 0x1234_5678 ^ count,
                    key1: 0x9abc_def0,
                    batch: 7 + residual,
                    threshold: Mask::threshold(probability),
                    scale: 1.0 / (1.0 - probability),
                };
                let reads = vec![g.floats(count), g.floats(count)];
                let writes = vec![g.untouched(count)];
                let call = super::Call::Dropout(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
