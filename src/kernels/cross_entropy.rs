use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, read, read_words, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

params! {
    rows: u32,
    cols: u32,
    /// Targets are a class index a row, else a row of probabilities.
    labels: u32,
    /// Add Σ t·ln t: the Kullback–Leibler divergence.
    entropy: u32,
}

pub(crate) struct CrossEntropy;

/// The targets of a classification loss.
#[derive(Clone, Copy)]
pub(super) enum Targets<'a, F> {
    Labels(&'a [u32]),
    Probabilities(&'a [F], usize),
}

impl<'a, F: Scalar> Targets<'a, F> {
    pub fn new(read: &Read<'a, F>, cols: usize) -> Self {
        match *read {
            Read::Words(labels) => Self::Labels(labels),
            Read::Floats(rows) => Self::Probabilities(rows, cols),
        }
    }

    pub fn at(&self, r: usize, c: usize) -> F {
        match self {
            Self::Labels(labels) => F::of(if labels[r] as usize == c { 1.0 } else { 0.0 }),
            Self::Probabilities(rows, cols) => rows[r * cols + c],
        }
    }
}

/// t·ln t, the term that turns a cross-entropy into a divergence.
pub(super) fn entropy_term<F: Scalar>(t: F, entropy: u32) -> F {
    if entropy == 0 { F::of(0.0) } else { t * t.ln() }
}

impl Twin for CrossEntropy {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "cross_entropy",
        source: include_str!("../../shaders/cross_entropy.wgsl"),
        family: Family::Rows,
        operands: &[
            read("a"),
            read("saved"),
            read_words("t"),
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

    /// loss (B) = −Σ_row t·ln a,  delta (B, C) = −t/a ⊙ φ′(saved). Where t > 0 and a ≤ 0, or the quotient is
    /// beyond f32: loss = ∞, delta = 0.
    fn run<F: Scalar>(
        p: &Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    ) {
        let [Read::Floats(a), Read::Floats(saved), t] = reads else {
            unreachable!("operands of another kernel")
        };
        let [loss, delta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let t = Targets::new(t, cols);
        loops::for_rows2((loss, 1), (delta, cols), rows, 16 * cols, #[inline(always)] |r, loss, delta| {
            let (a, saved) = (&a[r * cols..][..cols], &saved[r * cols..][..cols]);
            let mut fault = false;
            for (c, d) in delta.iter_mut().enumerate() {
                *d = F::of(0.0);
                let t = t.at(r, c);
                if !a[c].value().is_finite() {
                    fault = true;
                } else if t.value() > 0.0 {
                    let quotient = t / a[c] * phi.grad(saved[c]);
                    let finite = quotient.value().abs() <= f64::from(f32::MAX);
                    if a[c].value() > 0.0 && finite {
                        *d = -quotient;
                    } else {
                        fault = true;
                    }
                }
            }
            loss[0] = if fault {
                F::of(f64::INFINITY)
            } else {
                // Two terms, because a device adds them one by one.
                F::sum((0..cols).filter(|&c| t.at(r, c).value() > 0.0).flat_map(|c| {
                    let t = t.at(r, c);
                    [entropy_term(t, p.entropy), -(t * a[c].ln())]
                }))
            };
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
        let mut add = |g: &mut Generator, (rows, cols): (u32, u32), labels: u32, entropy, phi: &Activation| {
            let p = Params {
                rows,
                cols,
                labels,
                entropy,
            };
            let n = rows * cols;
            let t = if labels == 0 {
                g.probabilities(rows, cols)
            } else {
                g.labels(rows, cols)
            };
            let reads = vec![g.fractions(n), g.saved(phi, n), t];
            let writes = vec![g.untouched(rows), g.untouched(n)];
            cases.push(Case::new(super::Call::CrossEntropy(p), phi, reads, writes));
        };
        for shape in g.row_shapes() {
            for (labels, entropy) in [(0, 0), (0, 1), (1, 0)] {
                add(g, shape, labels, entropy, &Activation::Identity);
            }
        }
        for phi in Activation::table() {
            add(g, (9, 13), 0, 0, &phi);
        }
        cases
    }
}
