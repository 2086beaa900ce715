use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, floats, read, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    /// 1, or 1/cols for a mean over elements.
    scale: f64,
}

pub(crate) struct SquaredError;

impl Twin for SquaredError {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "squared_error",
        source: include_str!("../../shaders/squared_error.wgsl"),
        family: Family::Rows,
        operands: &[
            read("a"),
            read("saved"),
            read("t"),
            write("loss"),
            write("delta"),
        ],
        params: <Params as super::ParamsStruct>::FIELDS,
        activation: true,
        loads: &[],
        fragments: &[],
    };

    fn work(p: &Params) -> Work {
        Work::Rows {
            rows: p.rows,
            cols: p.cols,
        }
    }

    /// loss (B) = scale·Σ_row (a − t)²,  delta (B, C) = 2·scale·(a − t) ⊙ φ′(saved).
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [a, saved, t] = floats(reads);
        let [loss, delta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let scale = F::of(p.scale);
        loops::for_rows2((loss, 1), (delta, cols), rows, 8 * cols, #[inline(always)] |r, loss, delta| {
            let row = r * cols..(r + 1) * cols;
            let (a, saved, t) = (&a[row.clone()], &saved[row.clone()], &t[row]);
            loss[0] = scale
                * F::sum(a.iter().zip(t).map(|(&a, &t)| {
                    let e = a - t;
                    e * e
                }));
            for (c, d) in delta.iter_mut().enumerate() {
                *d = F::of(2.0) * scale * (a[c] - t[c]) * phi.grad(saved[c]);
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 6 * n,
            words: 4 * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator, (rows, cols): (u32, u32), scale: f64, phi: &Activation| {
            let p = Params {
                rows,
                cols,
                scale,
            };
            let n = rows * cols;
            let reads = vec![g.floats(n), g.saved(phi, n), g.floats(n)];
            let writes = vec![g.untouched(rows), g.untouched(n)];
            cases.push(Case::new(super::Call::SquaredError(p), phi, reads, writes));
        };
        for shape in g.row_shapes() {
            add(g, shape, 1.0 / f64::from(shape.1), &Activation::Identity);
        }
        for phi in Activation::table() {
            add(g, (9, 13), 1.0, &phi);
        }
        cases
    }
}
