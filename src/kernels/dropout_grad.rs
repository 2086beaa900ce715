use super::cases::{Case, Generator};
use super::dropout::BLOCK;
use super::threefry::{self, Mask};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
    /// Add skip.
    add_skip: u32,
    /// Write total.
    store_total: u32,
    /// As in the forward pass.
    key0: u32,
    key1: u32,
    batch: u32,
    threshold: u32,
    scale: f64,
}

pub(crate) struct DropoutGrad;

impl Twin for DropoutGrad {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "dropout_grad",
        source: include_str!("../../shaders/dropout_grad.wgsl"),
        family: Family::Elements,
        operands: &[
            read("grad"),
            read("skip"),
            read("saved"),
            write("total"),
            write("delta"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[threefry::WGSL],
    };

    fn work(p: &Params) -> Work {
        Work::Elements { count: p.count }
    }

    /// total = grad + skip,  delta = mask ⊙ total/(1 − p) ⊙ φ′(saved), with the mask of the forward pass.
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [grad, skip, saved] = floats(reads);
        let [total, delta] = written(writes);
        let (count, scale) = (p.count as usize, F::of(p.scale));
        let mask = Mask {
            key: [p.key0, p.key1],
            batch: p.batch,
            threshold: p.threshold,
        };
        let (blocks, delta) = (count.div_ceil(BLOCK), &mut delta[..count]);
        let sums = |first: usize, out: &mut [F]| {
            out.copy_from_slice(&grad[first..][..out.len()]);
            if p.add_skip != 0 {
                for (out, &skip) in out.iter_mut().zip(&skip[first..]) {
                    *out += skip;
                }
            }
        };
        let derive = |first: usize, delta: &mut [F]| {
            loops::vectorised::<F, _>(#[inline(always)] || {
                for (i, d) in delta.iter_mut().enumerate() {
                    *d = if mask.keeps(first + i) { scale * *d } else { F::of(0.0) };
                }
            });
            phi.scale_by_grad(delta, &saved[first..]);
        };
        if p.store_total != 0 {
            let total = &mut total[..count];
            loops::for_rows2((total, BLOCK), (delta, BLOCK), blocks, BLOCK, #[inline(always)] |b, total, delta| {
                sums(b * BLOCK, total);
                delta.copy_from_slice(total);
                derive(b * BLOCK, delta);
            });
        } else {
            loops::for_rows(delta, BLOCK, blocks, BLOCK, #[inline(always)] |b, delta| {
                sums(b * BLOCK, delta);
                derive(b * BLOCK, delta);
            });
        }
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.count);
        Cost {
            flops: 84 * n,
            words: (3 + u64::from(p.add_skip) + u64::from(p.store_total)) * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator, count: u32, phi: &Activation, (add_skip, store_total, probability)| {
            let p = Params {
                count,
                add_skip,
                store_total,
                key0: 0x1234_5678 ^ count,
                key1: 0x9abc_def0,
                batch: 7 + add_skip,
                threshold: Mask::threshold(probability),
                scale: 1.0 / (1.0 - probability),
            };
            let reads = vec![g.floats(count), g.floats(count), g.saved(phi, count)];
            // Unless it is asked for, total is not touched.
            let writes = vec![g.untouched(count), g.untouched(count)];
            let call = super::Call::DropoutGrad(p);
            cases.push(Case::new(call, phi, reads, writes));
        };
        for count in g.counts() {
            for flags in [(0, 0, 0.1), (1, 0, 0.5), (1, 1, 0.0), (0, 1, 0.9)] {
                add(g, count, &Activation::Tanh, flags);
            }
        }
        for phi in Activation::table() {
            add(g, 300, &phi, (1, 1, 0.25));
        }
        cases
    }
}
