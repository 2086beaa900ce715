use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
}

pub(crate) struct BatchNormGrad;

impl Twin for BatchNormGrad {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "batch_norm_grad",
        source: include_str!("../../shaders/batch_norm_grad.wgsl"),
        family: Family::Elements,
        operands: &[
            read("delta"),
            read("u"),
            read("stats"),
            read("sums"),
            read("gamma"),
            write("delta_u"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: false,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Elements {
            count: p.rows * p.cols,
        }
    }

    /// delta_u (B, C) = γ·inverse·(delta − mean(delta) − x·mean(delta·x)) with x = (u − mean)·inverse, and means over each column,
    /// from its sums.
    fn run<F: Scalar>(
        p: &Params,
        _: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [delta, u, stats, sums, gamma] = floats(reads);
        let [delta_u] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let (means, inverses) = stats.split_at(cols);
        let count = F::of(f64::from(p.rows));
        loops::for_rows(delta_u, cols, rows, 8 * cols, #[inline(always)] |r, delta_u| {
            let (delta, u) = (&delta[r * cols..][..cols], &u[r * cols..][..cols]);
            for (c, d) in delta_u.iter_mut().enumerate() {
                let normal = (u[c] - means[c]) * inverses[c];
                let centred = delta[c] - sums[c] / count - normal * (sums[cols + c] / count);
                *d = gamma[c] * inverses[c] * centred;
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 9 * n,
            words: 3 * n + 5 * u64::from(p.cols),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.column_shapes() {
            let n = rows * cols;
            let reads = vec![
                g.floats(n),
                g.floats(n),
                g.floats(2 * cols),
                g.floats(2 * cols),
                g.floats(cols),
            ];
            let writes = vec![g.untouched(n)];
            let call = super::Call::BatchNormGrad(Params { rows, cols });
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
