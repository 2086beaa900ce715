use super::cases::{Case, Data, Generator};
use super::{Read, Twin, Work, area, declare};
use crate::config::activation::Activation;
use crate::config::loss::{Criterion, Loss, TargetKind};
use crate::config::row_loss::{LossFormula, LossRow, Target};
use crate::number::loops;
use crate::number::scalar::Scalar;

declare! {
    "row_loss" in Rows, work: |p| Work::rows(p.rows, p.cols);
    params {
        rows: u32,
        cols: u32,
        /// Targets are a class index a row, else a row of numbers.
        labels: u32,
    }
    formulas { formula: LossFormula }
    reads { a: f32[p.rows, p.cols], saved: f32[p.rows, p.cols], t: any[p.rows, p.target_words()] }
    writes { loss: f32[p.rows], delta: f32[p.rows, p.cols] }
}

impl Params {
    /// The losses of rows of `cols` outputs of this activation.
    pub fn new(
        criterion: &Criterion,
        last: &Activation,
        rows: u32,
        cols: u32,
        labels: bool,
    ) -> Self {
        Self {
            rows,
            cols,
            labels: u32::from(labels),
            formula: criterion.formula(last, cols as usize, labels),
        }
    }

    /// Words of a row's targets.
    pub fn target_words(&self) -> u32 {
        if self.labels == 0 { self.cols } else { 1 }
    }
}

impl Twin for Params {
    const ACTIVATION: bool = true;

    /// loss (B) and delta (B, C) by the formula, row by row.
    fn run<F: Scalar>(&self, _: At, phi: &Activation, operands: Operands<'_, F>) {
        let Operands {
            a,
            saved,
            t,
            loss,
            delta,
        } = operands;
        let cols = self.cols as usize;
        loops::for_rows2(
            (loss, 1),
            (delta, cols),
            self.rows as usize,
            16 * cols,
            #[inline(always)]
            |r, loss, delta| {
                let row = LossRow {
                    output: &a[r * cols..][..cols],
                    saved: &saved[r * cols..][..cols],
                    target: match t {
                        Read::Words(labels) => Target::Class(labels[r] as usize),
                        Read::Floats(t) => Target::Numbers(&t[r * cols..][..cols]),
                    },
                    phi,
                };
                loss[0] = self.formula.run(row, delta);
            },
        );
    }

    fn flops(&self) -> u64 {
        10 * area(self.rows, self.cols)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut add = |g: &mut Generator,
                       criterion: &Criterion,
                       (rows, cols): (u32, u32),
                       phi: &Activation,
                       scale: f32| {
            let n = rows * cols;
            // Rows of a classification need not sum to 1, and some targets are 0.
            let targets = match criterion.loss.targets() {
                TargetKind::Values => vec![g.floats(n)],
                TargetKind::Fractions => vec![g.fractions(n)],
                TargetKind::Classes => {
                    vec![
                        g.labels(rows, cols),
                        g.fractions(n),
                        g.probabilities(rows, cols),
                    ]
                }
            };
            let logarithms = criterion.loss.takes_probabilities();
            for t in targets {
                let labels = matches!(t, Data::Words(_));
                let p = Params::new(criterion, phi, rows, cols, labels);
                let a = if logarithms && !criterion.loss.takes_logits(phi) {
                    g.fractions(n)
                } else {
                    g.scaled(n, scale)
                };
                // Logits have no slope: nothing may look at it.
                let saved = if criterion.loss.takes_logits(phi) {
                    g.untouched(n)
                } else {
                    g.saved(phi, n)
                };
                // Then the loss is infinite, and δ may be anything.
                let spoil = rows == 7;
                let a = if spoil { a.spoiled() } else { a };
                let case = g.case(p).with("a", a).with("saved", saved).with("t", t);
                let void = spoil.then_some("delta");
                cases.push(Case {
                    void,
                    ..case.through(phi)
                });
            }
        };
        let identity = &Activation::Identity;
        for loss in Loss::table() {
            let criterion = Criterion::from(loss);
            for shape in g.row_shapes() {
                add(g, &criterion, shape, identity, 1.0);
                if loss.takes_logits(identity) {
                    add(g, &criterion, shape, identity, 1e4);
                }
                let smoothed = criterion.label_smoothing(0.1);
                if smoothed.check_smoothing().is_ok() {
                    add(g, &smoothed, shape, identity, 1.0);
                }
                if loss.takes_probabilities() {
                    add(g, &criterion, shape, &Activation::Softmax, 1.0);
                }
            }
            if !loss.takes_logits(identity) {
                for phi in Activation::table() {
                    add(g, &criterion, (9, 13), &phi, 1.0);
                }
            }
        }
        cases
    }
}
