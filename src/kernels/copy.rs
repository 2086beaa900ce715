use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    count: u32,
}

pub(crate) struct Copy;

impl Twin for Copy {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "copy",
        source: include_str!("../../shaders/copy.wgsl"),
        family: Family::Elements,
        operands: &[read("x"), write("y")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements { count: p.count }
    }

    /// y = x.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [x] = floats(reads);
        let [y] = written(writes);
        loops::each1(&mut y[..p.count as usize], x, |y, x| {
            *y = x;
            true
        });
    }

    fn cost(p: &Params) -> Cost {
        Cost {
            flops: 0,
            words: 2 * u64::from(p.count),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        // The last is beyond one grid dimension of workgroups: 65,535 · 256 elements.
        for count in g.counts().into_iter().chain([65_535 * 256 + 17]) {
            let reads = vec![g.floats(count)];
            let writes = vec![g.untouched(count)];
            let call = super::Call::Copy(Params { count });
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
