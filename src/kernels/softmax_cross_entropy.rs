use super::cases::{Case, Generator};
use super::{Cost, Family, Kernel, Read, Twin, Work, read, read_words, write, written};
use crate::config::activation::Activation;
use crate::number::loops;
use crate::number::scalar::Scalar;

use super::cross_entropy::{Targets, entropy_term};
use super::softmax::shifted_exp;

params! {
    rows: u32,
    cols: u32,
    /// Targets are a class index a row, else a row of probabilities.
    labels: u32,
    /// Add Σ t·ln t: the Kullback–Leibler divergence.
    entropy: u32,
    /// 1 − s for targets that are smoothed by s, else 1.
    keep: f64,
    /// s/cols, else 0.
    share: f64,
}

pub(crate) struct SoftmaxCrossEntropy;

impl Twin for SoftmaxCrossEntropy {
    type Params = Params;
    const KERNEL: Kernel = Kernel {
        name: "softmax_cross_entropy",
        source: include_str!("../../shaders/softmax_cross_entropy.wgsl"),
        family: Family::Rows,
        operands: &[read("z"), read_words("t"), write("loss"), write("delta")],
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

    /// loss (B) = −Σ_row t·ln p,  delta (B, C) = p·Σ_row t − t,  p = softmax(z),  −ln p = (m − z) + ln Σ_row exp(z − m),
    /// with t ← keep·t + share before.
    fn run<F: Scalar>(p: &Params, _: &Activation, reads: &[Read<'_, F>], writes: &mut [&mut [F]]) {
        let [Read::Floats(z), t] = reads else {
            unreachable!("operands of another kernel")
        };
        let [loss, delta] = written(writes);
        let (rows, cols) = (p.rows as usize, p.cols as usize);
        let t = Targets::new(t, cols);
        let (keep, share) = (F::of(p.keep), F::of(p.share));
        let smoothed = p.share != 0.0;
        let at = |r, c| match t.at(r, c) {
            t if smoothed => keep * t + share,
            t => t,
        };
        loops::for_rows2((loss, 1), (delta, cols), rows, 16 * cols, #[inline(always)] |r, loss, delta| {
            let z = &z[r * cols..][..cols];
            let m = F::max_of(z);
            shifted_exp(z, m, delta);
            let total = F::sum_of(delta);
            let log_total = total.ln();
            match t {
                // A target of 1 and else 0, by which a device multiplies without rounding.
                Targets::Labels(labels) if !smoothed => {
                    let label = labels[r] as usize;
                    loss[0] = (m - z[label]) + log_total;
                    for d in delta.iter_mut() {
                        *d = *d / total;
                    }
                    delta[label] = delta[label] - F::of(1.0);
                }
                _ => {
                    let mass = F::sum((0..cols).map(|c| at(r, c)));
                    // Two terms, because a device adds them one by one.
                    loss[0] = F::sum((0..cols).filter(|&c| at(r, c).value() > 0.0).flat_map(|c| {
                        let t = at(r, c);
                        [t * ((m - z[c]) + log_total), entropy_term(t, p.entropy)]
                    }));
                    for (c, d) in delta.iter_mut().enumerate() {
                        *d = *d / total * mass - at(r, c);
                    }
                }
            }
            // No branch, so that the loop can be vectorised.
            if !z.iter().fold(true, |fine, z| fine & z.is_finite()) {
                loss[0] = F::of(f64::INFINITY);
            }
        });
    }

    fn cost(p: &Params) -> Cost {
        let n = u64::from(p.rows) * u64::from(p.cols);
        Cost {
            flops: 10 * n,
            words: (2 + u64::from(p.labels == 0)) * n,
        }
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        for (rows, cols) in g.row_shapes() {
            for (labels, entropy, scale, smoothing) in [
                (0, 0, 1.0, 0.0),
                (0, 1, 1.0, 0.0),
                (1, 0, 1.0, 0.0),
                (1, 0, 1e4, 0.0),
                (0, 0, 1.0, 0.25),
                (1, 0, 1.0, 0.1),
            ] {
                let n = rows * cols;
                let t = match (labels, entropy) {
                    (1, _) => g.labels(rows, cols),
                    (_, 1) => g.probabilities(rows, cols),
                    // Rows that do not sum to 1: the sum must take part.
                    _ => g.fractions(n),
                };
                let p = Params {
                    rows,
                    cols,
                    labels,
                    entropy,
                    keep: 1.0 - smoothing,
                    share: smoothing / f64::from(cols),
                };
                let reads = vec![g.scaled(n, scale), t];
                let writes = vec![g.untouched(rows), g.untouched(n)];
                let call = super::Call::SoftmaxCrossEntropy(p);
                cases.push(Case::new(call, &Activation::Identity, reads, writes));
            }
        }
        cases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Call;

    /// A logit of −∞ whose target is 0 takes no part in the sum, and is a fault all the same.
    #[test]
    fn a_logit_that_is_not_finite_makes_the_loss_infinite_whatever_the_targets() {
        let z = [f32::NEG_INFINITY, 0.5, 1.0];
        let targets = [
            (0, Read::Floats(&[0.0, 0.5, 0.5][..])),
            (1, Read::Words(&[2][..])),
        ];
        for (labels, t) in targets {
            let call = Call::SoftmaxCrossEntropy(Params {
                rows: 1,
                cols: 3,
                labels,
                entropy: 0,
                keep: 1.0,
                share: 0.0,
            });
            let (mut loss, mut delta) = ([0.0], [0.0; 3]);
            let reads = [Read::Floats(&z[..]), t];
            let writes: &mut [&mut [f32]] = &mut [&mut loss, &mut delta];
            call.run_twin(&Activation::Identity, &reads, writes);
            assert_eq!(loss[0], f32::INFINITY, "labels {labels}");
        }
    }
}
