use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    /// A multiple of 16.
    count: u32,
    /// A multiple of 4.
    rounds: u32,
    factor: f64,
    term: f64,
}

pub(crate) struct MultiplyAdd;

impl Twin for MultiplyAdd {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "multiply_add",
        source: include_str!("../../shaders/multiply_add.wgsl"),
        family: Family::Elements,
        operands: &[read("x"), write("y")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.count / 16,
        }
    }

    /// y = `rounds` times y ← factor·y + term, from y = x.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [x] = floats(reads);
        let [y] = written(writes);
        let (factor, term) = (F::of(p.factor), F::of(p.term));
        loops::each1(&mut y[..p.count as usize], x, |y, x| {
            *y = x;
            for _ in 0..p.rounds {
                *y = factor * *y + term;
            }
            true
        });
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 2 * u64::from(p.count) * u64::from(p.rounds),
            words: 2 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (count, rounds) in [(16, 4), (4096, 64), (4112, 8)] {
            let p = Params {
                count,
                rounds,
                factor: 0.75,
                term: 0.3,
            };
            let reads = vec![g.floats(count)];
            let writes = vec![g.untouched(count)];
            let call = super::Call::MultiplyAdd(p);
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
