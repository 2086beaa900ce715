//! Everything that the outputs of a network say beside their targets, in one report.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::classification::{DENSE, SHOWN};
use super::multi_label::LabelSums;
use super::ranking::{rank, surprise};
use super::regression::RegressionSums;
use super::{
    Averages, Confusion, Evaluation, MostConfused, MultiLabel, Regression, argmax, cut, roc_auc,
};
use crate::config::activation::Activation;
use crate::config::loss::{Criterion, Reduction, TargetKind};
use crate::data::{Dataset, Targets};
use crate::error::{Error, Result};
use crate::plan::Plan;

/// What [`Trainer::report`](crate::Trainer::report) says about a data set: the evaluation, and the metrics that its kind of
/// targets has. Shown as a table; serialisable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Loss, accuracy, rows.
    pub evaluation: Evaluation,
    /// The rest.
    pub scores: Scores,
}

/// The metrics of a kind of targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scores {
    /// Of class indices, or of one output beside a 0 or a 1 with [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy).
    Classification(Box<Classification>),
    /// Of several outputs beside zeros and ones with [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy).
    MultiLabel(Box<MultiLabel>),
    /// Of values.
    Regression(Regression),
    /// Of probabilities, of which only the loss is told.
    LossOnly,
}

/// The metrics of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Classification {
    /// Share of rows whose largest output is the class; like all that follows, of rows whatever their weights.
    pub accuracy: f64,
    /// Share of rows whose class is among the five largest outputs; none with five classes or fewer.
    pub top_5: Option<f64>,
    /// Mean of −ln p of each row's class; none if the outputs are no probabilities. From logits it is exact, however small p;
    /// of outputs that are probabilities themselves p is clipped as [`log_loss`](super::log_loss()) does.
    pub log_loss: Option<f64>,
    /// Why the loss of the evaluation is another number than the log loss, in a few words; none where they agree.
    pub log_loss_note: Option<String>,
    /// Area under the ROC curve; none unless there are two classes and both occur.
    pub roc_auc: Option<f64>,
    /// Precision, recall and F1.
    pub scores: Averages,
    /// How often each class was taken for each other; none in a report of more than 100 classes that was read back from a
    /// file, which has no more of them than [`most_confused`](Self::most_confused) says.
    #[serde(default, skip_serializing_if = "is_large")]
    pub confusion: Option<Confusion>,
    /// The 100 pairs of classes that were confused most often.
    pub most_confused: MostConfused,
    /// The classes' names, their numbers unless [given](Report::named).
    pub names: Vec<String>,
}

/// Whether a confusion matrix is too large for a report's file.
fn is_large(confusion: &Option<Confusion>) -> bool {
    confusion.as_ref().is_none_or(|c| c.classes() > DENSE)
}

impl Report {
    /// With the names of the classes, of the labels or of the targets, for the table; names missing stay numbers.
    #[must_use]
    pub fn named<S: AsRef<str>>(mut self, names: &[S]) -> Self {
        let of: Vec<&mut String> = match &mut self.scores {
            Scores::Classification(c) => c.names.iter_mut().collect(),
            Scores::MultiLabel(m) => m.labels.iter_mut().map(|l| &mut l.name).collect(),
            Scores::Regression(r) => r.targets.iter_mut().map(|t| &mut t.name).collect(),
            Scores::LossOnly => Vec::new(),
        };
        for (name, given) in of.into_iter().zip(names) {
            *name = given.as_ref().into();
        }
        self
    }

    /// The metrics of a classifier, if it is one.
    pub fn classification(&self) -> Option<&Classification> {
        match &self.scores {
            Scores::Classification(c) => Some(c),
            _ => None,
        }
    }

    /// The metrics of several labels a row, if these are what it has.
    pub fn multi_label(&self) -> Option<&MultiLabel> {
        match &self.scores {
            Scores::MultiLabel(m) => Some(m),
            _ => None,
        }
    }

    /// The metrics of values, if they are.
    pub fn regression(&self) -> Option<&Regression> {
        match &self.scores {
            Scores::Regression(r) => Some(r),
            _ => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.evaluation)?;
        match &self.scores {
            Scores::Classification(c) => write!(f, "\n{c}"),
            Scores::MultiLabel(m) => write!(f, "\n{m}"),
            Scores::Regression(r) => write!(f, "\n{r}"),
            Scores::LossOnly => Ok(()),
        }
    }
}

/// Pairs of classes that a report has.
const PAIRS: usize = 100;

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accuracy {:.4}", self.accuracy)?;
        let optional = [
            ("top-5", self.top_5),
            ("log loss", self.log_loss),
            ("ROC-AUC", self.roc_auc),
        ];
        for (name, value) in optional {
            let Some(value) = value else { continue };
            write!(f, ", {name} {value:.4}")?;
            if let ("log loss", Some(note)) = (name, &self.log_loss_note) {
                write!(f, " ({note})")?;
            }
        }
        let averages = ["macro average", "weighted average"];
        let shown = &self.names[..self.names.len().min(SHOWN)];
        let widths = shown.iter().map(|name| cut(name).chars().count());
        let width = widths.chain(averages.map(str::len)).max().unwrap_or(0);
        let head = "precision  recall      f1  support";
        write!(f, "\n{:>width$}  {head}", "class")?;
        let mut line = |name: &str, s: &super::ClassScores| {
            write!(
                f,
                "\n{name:>width$}  {:>9.4}  {:>6.4}  {:>6.4}  {:>7}",
                s.precision, s.recall, s.f1, s.support
            )
        };
        for (name, scores) in shown.iter().zip(&self.scores.classes) {
            line(&cut(name), scores)?;
        }
        line(averages[0], &self.scores.macro_average)?;
        line(averages[1], &self.scores.weighted_average)?;
        if self.names.len() > SHOWN {
            write!(f, "\n({} classes more)", self.names.len() - SHOWN)?;
        }
        match &self.confusion {
            Some(confusion) if confusion.classes() <= SHOWN => {
                writeln!(f)?;
                confusion.write(f, &self.names, width)
            }
            _ => self.most_confused.write(f, &self.names),
        }
    }
}

/// How a row of outputs becomes class probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outputs {
    /// Logits of the classes.
    Logits,
    /// Probabilities of the classes, or something like them.
    Probabilities,
    /// The logit of class 1.
    Logit,
}

/// What a report is summed from, some rows at a time.
#[derive(Debug)]
pub(crate) enum Sums {
    Classes(Box<ClassSums>),
    Labels(LabelSums),
    Values(RegressionSums),
    Nothing,
}

/// Sums over rows of classes.
#[derive(Debug)]
pub(crate) struct ClassSums {
    kind: Outputs,
    criterion: Criterion,
    /// Whether the rows have weights.
    weighted: bool,
    classes: usize,
    rows: usize,
    top_5: u64,
    surprise: f64,
    confusion: Confusion,
    /// Of two classes: each row's score for class 1, and its class.
    scores: Vec<f64>,
    labels: Vec<u32>,
}

impl Sums {
    /// For a data set that fits the plan.
    pub fn new(data: &Dataset, plan: &Plan) -> Self {
        let (outputs, loss) = (plan.network.outputs(), plan.criterion.loss);
        let classes = |kind, classes| {
            Sums::Classes(Box::new(ClassSums {
                kind,
                criterion: plan.criterion,
                weighted: data.weights().is_some(),
                classes,
                rows: 0,
                top_5: 0,
                surprise: 0.0,
                confusion: Confusion::empty(classes),
                scores: Vec::new(),
                labels: Vec::new(),
            }))
        };
        match (data.targets(), loss) {
            (Targets::Classes(_), loss) if loss.takes_logits(&Activation::Identity) => {
                classes(Outputs::Logits, outputs)
            }
            (Targets::Classes(_), _) => classes(Outputs::Probabilities, outputs),
            (Targets::Values(t), loss)
                if loss.targets() == TargetKind::Fractions
                    && t.data().iter().all(|&t| t == 0.0 || t == 1.0) =>
            {
                match outputs {
                    1 => classes(Outputs::Logit, 2),
                    _ => Sums::Labels(LabelSums::new(outputs)),
                }
            }
            (Targets::Values(t), loss) if loss.targets() == TargetKind::Values => {
                Sums::Values(RegressionSums::new(t))
            }
            _ => Sums::Nothing,
        }
    }

    /// Adds rows of outputs, `cols` wide, from row `first` on.
    pub fn add(
        &mut self,
        outputs: &[f64],
        cols: usize,
        targets: &Targets,
        first: usize,
    ) -> Result<()> {
        if let Some(i) = outputs.iter().position(|x| !x.is_finite()) {
            let (what, at) = ("the network's output", (first * cols + i, cols));
            let allowed =
                "finite: some sum overflowed f32; scale the inputs or look at the weights";
            return Err(Error::value(what, outputs[i], at, allowed));
        }
        for (r, row) in outputs.chunks(cols).enumerate() {
            match (&mut *self, targets) {
                (Sums::Classes(sums), Targets::Classes(labels)) => sums.add(row, labels[r]),
                (Sums::Classes(sums), Targets::Values(t)) => sums.add(row, t.row(r)[0] as u32),
                (Sums::Labels(sums), Targets::Values(t)) => sums.add(row, t.row(r)),
                (Sums::Values(sums), Targets::Values(t)) => {
                    sums.add(row.iter().copied(), t.row(r));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The report; `evaluation` has the loss.
    pub fn finish(self, mut evaluation: Evaluation) -> Report {
        let scores = match self {
            Sums::Classes(sums) => {
                let scores = sums.finish(evaluation.loss);
                // The same of rows without weights.
                evaluation.accuracy.get_or_insert(scores.accuracy);
                Scores::Classification(Box::new(scores))
            }
            Sums::Labels(sums) => Scores::MultiLabel(Box::new(sums.finish())),
            Sums::Values(sums) => Scores::Regression(sums.finish()),
            Sums::Nothing => Scores::LossOnly,
        };
        Report { evaluation, scores }
    }
}

impl ClassSums {
    fn add(&mut self, row: &[f64], label: u32) {
        let t = label as usize;
        let logit = [0.0, row[0]];
        let row = match self.kind {
            Outputs::Logit => &logit,
            _ => row,
        };
        let predicted = argmax(row);
        self.rows += 1;
        self.confusion.add(label, predicted as u32);
        if self.classes > 5 && rank(row, t) < 5 {
            self.top_5 += 1;
        }
        self.surprise += match self.kind {
            Outputs::Probabilities if row.iter().any(|p| !(0.0..=1.0).contains(p)) => f64::NAN,
            Outputs::Probabilities => surprise(row[t]),
            // −ln p without p, which may be 0 where its logarithm is finite.
            Outputs::Logits | Outputs::Logit => {
                let most = row[predicted];
                let sum: f64 = row.iter().map(|z| (z - most).exp()).sum();
                sum.ln() + (most - row[t])
            }
        };
        if self.classes == 2 {
            self.scores.push(match self.kind {
                Outputs::Probabilities => row[1],
                Outputs::Logits | Outputs::Logit => row[1] - row[0],
            });
            self.labels.push(label);
        }
    }

    fn finish(self, loss: f64) -> Classification {
        let share = |n: u64| n as f64 / self.rows as f64;
        let log_loss = Some(self.surprise / self.rows as f64).filter(|x| x.is_finite());
        let counts = self.confusion.counted();
        Classification {
            accuracy: share(counts.right()),
            top_5: (self.classes > 5).then(|| share(self.top_5)),
            log_loss,
            log_loss_note: log_loss.and_then(|log_loss| self.difference(loss, log_loss)),
            roc_auc: roc_auc(&self.scores, &self.labels).ok(),
            scores: counts.scores(0.0),
            most_confused: self.confusion.most_confused(PAIRS),
            confusion: Some(self.confusion),
            names: (0..self.classes).map(|c| c.to_string()).collect(),
        }
    }

    /// Why the loss is not the log loss.
    fn difference(&self, loss: f64, log_loss: f64) -> Option<String> {
        let mut reasons = Vec::new();
        if self.criterion.label_smoothing != 0.0 {
            let smoothing = self.criterion.label_smoothing;
            reasons.push(format!(
                "without the label smoothing {smoothing} of the loss"
            ));
        }
        if self.weighted {
            reasons.push("of rows without their weights".into());
        }
        if self.criterion.reduction == Reduction::Sum {
            reasons.push("a mean over rows, where the loss is a sum".into());
        }
        // Far above what f32 rounds: nothing but the clip is left that makes a difference.
        let apart = (loss - log_loss).abs() > 1e-3 * log_loss.abs().max(1e-3);
        if reasons.is_empty() && apart {
            reasons.push("with no probability taken as less than 1.2e-7".into());
        }
        (!reasons.is_empty()).then(|| reasons.join(", "))
    }
}
