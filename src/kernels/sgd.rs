use super::cases::{Case, Generator};
use super::gradient::Gradient;
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, word, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
    lr: f64,
    weight_decay: f64,
    /// 1, or 1/rows.
    grad_scale: f64,
    /// The factor is in the ledger instead, where grad_norm left it.
    scale_from_ledger: u32,
    /// L1 penalty.
    l1: f64,
    /// Limit of an element of the gradient, or 0.
    clip_value: f64,
}

pub(crate) struct Sgd;

impl Twin for Sgd {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "sgd",
        source: include_str!("../../shaders/sgd.wgsl"),
        family: Family::Elements,
        operands: &[
            read("grad"),
            write("weight"), write("ledger"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[super::Update::Sgd.wgsl(), super::UPDATE_GRADIENT],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.count.div_ceil(super::UPDATES),
        }
    }

    /// g = grad_scale·grad + weight_decay·w, clipped and with l1·sign(w) as [`Gradient`] says,  w ← w − lr·g.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [grad] = floats(reads);
        let [weight, ledger] = written(writes);
        let scale = (p.grad_scale, p.scale_from_ledger);
        let Some(gradient) = Gradient::new(scale, p.weight_decay, p.l1, p.clip_value, ledger) else {
            return;
        };
        let n = p.count as usize;
        let lr = F::of(p.lr);
        let update = move |w: &mut F, g: F| {
            let next = *w - lr * g;
            let fine = next.is_finite();
            *w = if fine { next } else { *w };
            fine
        };
        let weight = &mut weight[..n];
        // Apart, and with all that they hold by value, so that both loops are vectorised.
        let fine = if gradient.is_plain() {
            loops::each1(weight, grad, move |w, g| update(w, gradient.plain(*w, g)))
        } else {
            loops::each1(weight, grad, move |w, g| update(w, gradient.controlled(*w, g)))
        };
        if !fine {
            ledger[word::OVERFLOW] = F::of(1.0);
        }
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 4 * u64::from(p.count),
            words: 3 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let variants = [
            Params {
                count: 0,
                lr: 0.1,
                weight_decay: 0.01,
                grad_scale: 0.125,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.0,
            },
            Params {
                count: 0,
                lr: 0.1,
                weight_decay: 0.01,
                grad_scale: 0.125,
                scale_from_ledger: 1,
                l1: 0.25,
                clip_value: 0.03,
            },
            Params {
                count: 0,
                lr: 0.1,
                weight_decay: 0.01,
                grad_scale: 0.125,
                scale_from_ledger: 0,
                l1: 0.25,
                clip_value: 0.0,
            },
            Params {
                count: 0,
                lr: 0.1,
                weight_decay: 0.01,
                grad_scale: 0.125,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.1,
            },
        ];
        let mut cases = Vec::new();
        for count in g.counts() {
            for p in variants {
                let p = Params { count, ..p };
                let reads = vec![g.floats(count)];
                let writes = vec![
                    g.floats(count),
                    g.ledger(),
                ];
                let call = super::Call::Sgd(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
