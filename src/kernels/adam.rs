use super::cases::{Case, Generator};
use super::gradient::Gradient;
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, word, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
    /// From 1, refused steps included.
    step: u32,
    lr: f64,
    beta1: f64,
    /// ln beta1, at least −104: e⁻¹⁰⁴ is nothing beside 1.
    ln_beta1: f64,
    one_minus_beta1: f64,
    beta2: f64,
    /// ln beta2, at least −104.
    ln_beta2: f64,
    one_minus_beta2: f64,
    eps: f64,
    /// Weight decay through the gradient: Adam.
    l2: f64,
    /// 1 − lr·weight_decay, decoupled: AdamW.
    shrink: f64,
    /// 1, or 1/rows.
    grad_scale: f64,
    /// The factor is in the ledger instead, where grad_norm left it.
    scale_from_ledger: u32,
    /// L1 penalty.
    l1: f64,
    /// Limit of an element of the gradient, or 0.
    clip_value: f64,
}

pub(crate) struct Adam;

impl Twin for Adam {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "adam",
        source: include_str!("../../shaders/adam.wgsl"),
        family: Family::Elements,
        operands: &[
            read("grad"),
            write("weight"),
            write("exp_avg"),
            write("exp_avg_sq"), write("ledger"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[super::Update::Adam.wgsl(), super::UPDATE_GRADIENT],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.count.div_ceil(super::UPDATES),
        }
    }

    /// g = grad_scale·grad + l2·w, clipped and with l1·sign(w) as [`Gradient`] says,  m ← beta1·m + (1 − beta1)·g,  v ← beta2·v + (1 − beta2)·g²,
    /// w ← shrink·w − lr/(1 − beta1ᵗ)·m/(√v/√(1 − beta2ᵗ) + eps), t = step less the refused ones.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [grad] = floats(reads);
        let [weight, exp_avg, exp_avg_sq, ledger] = written(writes);
        let scale = (p.grad_scale, p.scale_from_ledger);
        let Some(gradient) = Gradient::new(scale, p.l2, p.l1, p.clip_value, ledger) else {
            return;
        };
        let n = p.count as usize;
        let (beta1, one_minus_beta1) = (F::of(p.beta1), F::of(p.one_minus_beta1));
        let (beta2, one_minus_beta2) = (F::of(p.beta2), F::of(p.one_minus_beta2));
        let (shrink, eps) = (F::of(p.shrink), F::of(p.eps));
        let t = F::of(p.step.into()) - ledger[word::REFUSED];
        let step_size = F::of(p.lr) / -(t * F::of(p.ln_beta1)).exp_m1();
        let root_correction2 = (-(t * F::of(p.ln_beta2)).exp_m1()).sqrt();
        let update = move |w: &mut F, m: &mut F, v: &mut F, g: F| {
            let next_m = beta1 * *m + one_minus_beta1 * g;
            let next_v = beta2 * *v + one_minus_beta2 * (g * g);
            let next =
                shrink * *w - step_size * (next_m / (next_v.sqrt() / root_correction2 + eps));
            let fine = next.is_finite() & next_m.is_finite() & next_v.is_finite();
            (*w, *m, *v) = if fine { (next, next_m, next_v) } else { (*w, *m, *v) };
            fine
        };
        let weight = &mut weight[..n];
        // Apart, and with all that they hold by value, so that both loops are vectorised.
        let fine = if gradient.is_plain() {
            loops::each3(weight, exp_avg, exp_avg_sq, grad, move |w, m, v, g| update(w, m, v, gradient.plain(*w, g)))
        } else {
            loops::each3(weight, exp_avg, exp_avg_sq, grad, move |w, m, v, g| update(w, m, v, gradient.controlled(*w, g)))
        };
        if !fine {
            ledger[word::OVERFLOW] = F::of(1.0);
        }
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 15 * u64::from(p.count),
            words: 7 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let variants = [
            Params {
                count: 0,
                step: 3,
                lr: 0.1,
                beta1: 0.9,
                ln_beta1: -0.1,
                one_minus_beta1: 0.1,
                beta2: 0.99,
                ln_beta2: -0.01,
                one_minus_beta2: 0.01,
                eps: 1e-3,
                l2: 0.01,
                shrink: 1.0,
                grad_scale: 0.125,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.0,
            },
            Params {
                count: 0,
                step: 1002,
                lr: 0.1,
                beta1: 0.9,
                ln_beta1: -0.1,
                one_minus_beta1: 0.1,
                beta2: 0.99,
                ln_beta2: -0.01,
                one_minus_beta2: 0.01,
                eps: 1e-3,
                l2: 0.0,
                shrink: 0.99,
                grad_scale: 1.0,
                scale_from_ledger: 0,
                l1: 0.0,
                clip_value: 0.0,
            },
            Params {
                count: 0,
                step: 1002,
                lr: 0.1,
                beta1: 0.9,
                ln_beta1: -0.1,
                one_minus_beta1: 0.1,
                beta2: 0.99,
                ln_beta2: -0.01,
                one_minus_beta2: 0.01,
                eps: 1e-3,
                l2: 0.0,
                shrink: 0.99,
                grad_scale: 1.0,
                scale_from_ledger: 1,
                l1: 0.25,
                clip_value: 0.03,
            },
            Params {
                count: 0,
                step: 1002,
                lr: 0.1,
                beta1: 0.9,
                ln_beta1: -0.1,
                one_minus_beta1: 0.1,
                beta2: 0.99,
                ln_beta2: -0.01,
                one_minus_beta2: 0.01,
                eps: 1e-3,
                l2: 0.0,
                shrink: 0.99,
                grad_scale: 1.0,
                scale_from_ledger: 0,
                l1: 0.25,
                clip_value: 0.0,
            },
            Params {
                count: 0,
                step: 1002,
                lr: 0.1,
                beta1: 0.9,
                ln_beta1: -0.1,
                one_minus_beta1: 0.1,
                beta2: 0.99,
                ln_beta2: -0.01,
                one_minus_beta2: 0.01,
                eps: 1e-3,
                l2: 0.0,
                shrink: 0.99,
                grad_scale: 1.0,
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
                    g.floats(count),
                    g.fractions(count),
                    g.ledger(),
                ];
                let call = super::Call::Adam(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
