use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::{Activation, sigmoid_pair};
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    /// 1, or 1/cols for a mean over elements.
    scale: f64,
}

pub(crate) struct BinaryCrossEntropy;

impl Twin for BinaryCrossEntropy {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "binary_cross_entropy",
        source: include_str!("../../shaders/binary_cross_entropy.wgsl"),
        family: Family::Rows,
        operands: &[read("z"), read("t"), write("loss"), write("delta")],
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

    /// loss (B) = scale·Σ_row (ln(1 + eᶻ) − t·z),  delta (B, C) = scale·(σ(z) − t).
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [z, t] = floats(reads);
        let [loss, delta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let scale = F::of(p.scale);
        let (zero, one) = (F::of(0.0), F::of(1.0));
        loops::for_rows2((loss, 1), (delta, cols), rows, 16 * cols, #[inline(always)] |r, loss, delta| {
            let (z, t) = (&z[r * cols..][..cols], &t[r * cols..][..cols]);
            loss[0] = scale
                * F::sum(z.iter().zip(t).map(|(&z, &t)| {
                    (one - t) * z.max(zero) + t * (-z).max(zero) + (-z.abs()).exp().ln_1p()
                }));
            for (c, d) in delta.iter_mut().enumerate() {
                *d = scale * (sigmoid_pair(z[c]).0 - t[c]);
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 12 * n,
            words: 3 * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            for scale in [1.0, 1e4] {
                let n = rows * cols;
                let reads = vec![g.scaled(n, scale), g.fractions(n)];
                let writes = vec![g.untouched(rows), g.untouched(n)];
                let p = Params {
                    rows,
                    cols,
                    scale: 1.0 / f64::from(cols),
                };
                let call = super::Call::BinaryCrossEntropy(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}
