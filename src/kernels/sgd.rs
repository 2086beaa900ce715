use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, word, write, written};
use crate::activation::Activation;
use crate::cpu;
use crate::scalar::Scalar;

params! {
    count: u32,
    lr: f64,
    weight_decay: f64,
    /// 1, or 1/rows.
    grad_scale: f64,
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
        fragments: &[super::Update::Sgd.wgsl()],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.count.div_ceil(super::UPDATES),
        }
    }

    /// g = grad_scale·grad + weight_decay·w,  w ← w − lr·g.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [grad] = floats(reads);
        let [weight, ledger] = written(writes);
        if !ledger[word::WINDOW].value().is_finite() {
            return;
        }
        let n = p.count as usize;
        let (lr, decay, scale) = (F::of(p.lr), F::of(p.weight_decay), F::of(p.grad_scale));
        let fine = cpu::each1(&mut weight[..n], grad, |w, g| {
            let g = scale * g + decay * *w;
            let next = *w - lr * g;
            let fine = next.is_finite();
            *w = if fine { next } else { *w };
            fine
        });
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
