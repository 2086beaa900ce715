use super::cases::{Case, Generator};
use super::gradient::Gradient;
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, word, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
    lr: f64,
    momentum: f64,
    one_minus_dampening: f64,
    weight_decay: f64,
    /// 1, or 1/rows.
    grad_scale: f64,
    /// The factor is in the ledger instead, where grad_norm left it.
    scale_from_ledger: u32,
    /// L1 penalty.
    l1: f64,
    /// Limit of an element of the gradient, or 0.
    clip_value: f64,
    nesterov: u32,
    /// From 1, refused steps included. At the first that is not refused the velocity is the gradient.
    step: u32,
}

pub(crate) struct Momentum;

impl Twin for Momentum {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "momentum",
        source: include_str!("../../shaders/momentum.wgsl"),
        family: Family::Elements,
        operands: &[
            read("grad"),
            write("weight"),
            write("velocity"), write("ledger"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[super::Update::Momentum.wgsl(), super::UPDATE_GRADIENT],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.count.div_ceil(super::UPDATES),
        }
    }

    /// g = grad_scale·grad + weight_decay·w, clipped and with l1·sign(w) as [`Gradient`] says,  v ← momentum·v + (1 − dampening)·g,  w ← w − lr·(v, or g + momentum·v).
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [grad] = floats(reads);
        let [weight, velocity, ledger] = written(writes);
        let scale = (p.grad_scale, p.scale_from_ledger);
        let Some(gradient) = Gradient::new(scale, p.weight_decay, p.l1, p.clip_value, ledger) else {
            return;
        };
        let n = p.count as usize;
        let first = (F::of(p.step.into()) - ledger[word::REFUSED]).value() <= 1.0;
        let (lr, momentum) = (F::of(p.lr), F::of(p.momentum));
        let (one_minus_dampening, nesterov) = (F::of(p.one_minus_dampening), p.nesterov != 0);
        let update = move |w: &mut F, v: &mut F, g: F| {
            let next_v = if !first {
                momentum * *v + one_minus_dampening * g
            } else {
                g
            };
            let direction = if nesterov {
                g + momentum * next_v
            } else {
                next_v
            };
            let next = *w - lr * direction;
            let fine = next.is_finite() & next_v.is_finite();
            (*w, *v) = if fine { (next, next_v) } else { (*w, *v) };
            fine
        };
        let weight = &mut weight[..n];
        // Apart, and with all that they hold by value, so that both loops are vectorised.
        let fine = if gradient.is_plain() {
            loops::each2(weight, velocity, grad, move |w, v, g| update(w, v, gradient.plain(*w, g)))
        } else {
            loops::each2(weight, velocity, grad, move |w, v, g| update(w, v, gradient.controlled(*w, g)))
        };
        if !fine {
            ledger[word::OVERFLOW] = F::of(1.0);
        }
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 8 * u64::from(p.count),
            words: 5 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let variants = [
            Params {
                count: 0,
                lr: 0.1,
                momentum: 0.9,
                one_minus_dampening: 0.75,
                weight_decay: 0.01,
                grad_scale: 0.125,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.0,
                nesterov: 0,
                step: 4,
            },
            Params {
                count: 0,
                lr: 0.1,
                momentum: 0.9,
                one_minus_dampening: 0.75,
                weight_decay: 0.01,
                grad_scale: 0.125,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.0,
                nesterov: 0,
                step: 3,
            },
            Params {
                count: 0,
                lr: 0.1,
                momentum: 0.9,
                one_minus_dampening: 1.0,
                weight_decay: 0.0,
                grad_scale: 1.0,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.0,
                nesterov: 1,
                step: 4,
            },
            Params {
                count: 0,
                lr: 0.1,
                momentum: 0.9,
                one_minus_dampening: 1.0,
                weight_decay: 0.0,
                grad_scale: 1.0,
                scale_from_ledger: 1,
                l1: 0.25,
                clip_value: 0.03,
                nesterov: 1,
                step: 4,
            },
            Params {
                count: 0,
                lr: 0.1,
                momentum: 0.9,
                one_minus_dampening: 1.0,
                weight_decay: 0.0,
                grad_scale: 1.0,
                scale_from_ledger: 0,
                l1: 0.25,
                clip_value: 0.0,
                nesterov: 1,
                step: 4,
            },
            Params {
                count: 0,
                lr: 0.1,
                momentum: 0.9,
                one_minus_dampening: 1.0,
                weight_decay: 0.0,
                grad_scale: 1.0,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.1,
                nesterov: 1,
                step: 4,
            },
        ];
        let mut cases = Vec::new();
        for count in g.counts() {
            for p in variants {
                let p = Params { count, ..p };
                let reads = vec![g.floats(count)];
                let writes = vec![
                    g.floats(count),
                    g.floats(count),
                    g.ledger(),
                ];
                let call = super::Call::Momentum(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
