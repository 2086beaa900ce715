use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
}

pub(crate) struct SoftmaxGrad;

impl Twin for SoftmaxGrad {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "softmax_grad",
        source: include_str!("../../shaders/softmax_grad.wgsl"),
        family: Family::Rows,
        operands: &[read("a"), read("grad"), write("delta")],
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

    /// delta (B, C) = a ⊙ (grad − Σ_row grad·a): the Jacobian diag(a) − a·aᵀ of softmax, times grad = ∂L/∂a.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [a, grad] = floats(reads);
        let [delta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        loops::for_rows(delta, cols, rows, 4 * cols, #[inline(always)] |r, delta| {
            let (a, grad) = (&a[r * cols..][..cols], &grad[r * cols..][..cols]);
            let mean = F::dot(cols, |c| (grad[c], a[c]));
            for ((d, &a), &g) in delta.iter_mut().zip(a).zip(grad) {
                *d = a * (g - mean);
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 4 * n,
            words: 3 * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            let reads = vec![
                g.probabilities(rows, cols),
                g.floats(rows * cols),
            ];
            let writes = vec![g.untouched(rows * cols)];
            let call = super::Call::SoftmaxGrad(Params { rows, cols });
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
