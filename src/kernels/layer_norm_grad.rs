use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
}

pub(crate) struct LayerNormGrad;

impl Twin for LayerNormGrad {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "layer_norm_grad",
        source: include_str!("../../shaders/layer_norm_grad.wgsl"),
        family: Family::Rows,
        operands: &[
            read("delta"),
            read("u"),
            read("stats"),
            read("gamma"),
            write("delta_u"),
        ],
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

    /// delta_u (B, C) = inverse·(g − mean(g) − x·mean(g·x)) with g = γ·delta, x = (u − mean)·inverse, and means over each row.
    fn run<F: Scalar>(
        p: &Params,
        _: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [delta, u, stats, gamma] = floats(reads);
        let [delta_u] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let (means, inverses) = stats.split_at(rows);
        let count = F::of(f64::from(p.cols));
        loops::for_rows(delta_u, cols, rows, 8 * cols, #[inline(always)] |r, delta_u| {
            let (delta, u) = (&delta[r * cols..][..cols], &u[r * cols..][..cols]);
            let normal = |c: usize| (u[c] - means[r]) * inverses[r];
            let mean_g = F::dot_in_lanes(cols, |c| (gamma[c], delta[c])) / count;
            let mean_gx = F::dot_in_lanes(cols, |c| (gamma[c] * delta[c], normal(c))) / count;
            for (c, d) in delta_u.iter_mut().enumerate() {
                *d = inverses[r] * (gamma[c] * delta[c] - mean_g - normal(c) * mean_gx);
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 12 * n,
            words: 3 * n + u64::from(p.cols) + 2 * u64::from(p.rows),
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            let n = rows * cols;
            let reads = vec![g.floats(n), g.floats(n), g.floats(2 * rows), g.floats(cols)];
            let writes = vec![g.untouched(n)];
            let call = super::Call::LayerNormGrad(Params { rows, cols });
            cases.push(Case::new(call, &Activation::Identity, reads, writes));
        }
        cases
    }
}
