use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
}

pub(crate) struct Softmax;

/// exp(z − m) of a row with m its largest element: softmax's numerators. m is a constant here: softmax does not depend
/// on it, so a device that holds a slightly different maximum computes the same function.
#[inline(always)]
pub(super) fn shifted_exp<F: Scalar>(z: &[F], m: F, out: &mut [F]) {
    for (e, &z) in out.iter_mut().zip(z) {
        *e = (z - m).min(F::of(0.0)).exp();
    }
}

impl Twin for Softmax {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "softmax",
        source: include_str!("../../shaders/softmax.wgsl"),
        family: Family::Rows,
        operands: &[read("z"), write("a")],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Rows {
            rows: p.rows,
            cols: p.cols,
        }
    }

    /// a (B, C) = exp(z − m)/Σ_row exp(z − m), m = max_row z.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [z] = floats(reads);
        let [a] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        loops::for_rows(a, cols, rows, 8 * cols, #[inline(always)] |r, a| {
            let z = &z[r * cols..][..cols];
            shifted_exp(z, F::max_of(z), a);
            let total = F::sum_of(a);
            for a in a {
                *a = *a / total;
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 4 * n,
            words: 2 * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            for scale in [1.0, 1e4] {
                let reads = vec![g.scaled(rows * cols, scale)];
                let writes = vec![g.untouched(rows * cols)];
                let call = super::Call::Softmax(Params { rows, cols });
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
