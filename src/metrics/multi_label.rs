//! Metrics of several labels a row, each of which is so or is not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::classification::Counts;
use super::{ClassScores, cut, roc_auc};

/// The metrics of several labels a row, each 0 or 1: of targets of several columns with
/// [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy). A label is predicted where its probability is above ½.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MultiLabel {
    /// Share of rows all of whose labels are right: scikit-learn's `accuracy_score`.
    pub subset_accuracy: f64,
    /// Precision, recall and F1 as means over the labels, and how often labels are 1 in all.
    #[serde(rename = "macro")]
    pub macro_average: ClassScores,
    /// Each label's own, in their order.
    pub labels: Vec<LabelScores>,
}

/// The metrics of one label of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LabelScores {
    /// The label's name, its number from 0 unless [given](super::Report::named).
    pub name: String,
    /// Share of rows of which it is right.
    pub accuracy: f64,
    /// Area under the ROC curve; none unless the label is 0 somewhere and 1 somewhere.
    pub roc_auc: Option<f64>,
    /// Precision, recall and F1 of the rows that have the label, and how many these are; 0 where a quotient is 0/0.
    #[serde(flatten)]
    pub scores: ClassScores,
}

/// Labels that a table shows.
const SHOWN: usize = 50;

impl fmt::Display for MultiLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let average = "macro average";
        let share = self.subset_accuracy;
        write!(f, "all labels right in {share:.4} of the rows")?;
        let shown = &self.labels[..self.labels.len().min(SHOWN)];
        let widths = shown.iter().map(|l| cut(&l.name).chars().count());
        let width = widths.max().unwrap_or(0).max(average.len());
        let head = "accuracy  precision  recall      f1  ROC-AUC  support";
        write!(f, "\n{:>width$}  {head}", "label")?;
        let mut line = |name: &str, accuracy: String, auc: String, s: &ClassScores| {
            write!(
                f,
                "\n{name:>width$}  {accuracy:>8}  {:>9.4}  {:>6.4}  {:>6.4}  {auc:>7}  {:>7}",
                s.precision, s.recall, s.f1, s.support
            )
        };
        for label in shown {
            let auc = label.roc_auc.map_or("-".into(), |auc| format!("{auc:.4}"));
            let accuracy = format!("{:.4}", label.accuracy);
            line(&cut(&label.name), accuracy, auc, &label.scores)?;
        }
        line(average, String::new(), String::new(), &self.macro_average)?;
        match self.labels.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n({more} labels more)"),
        }
    }
}

/// Sums over rows of labels.
#[derive(Debug, Default)]
pub(crate) struct LabelSums {
    rows: usize,
    /// Rows all of whose labels are right.
    whole: u64,
    /// Of each label: how often it was taken for what, every row's logit, and the label itself.
    counts: Vec<Counts>,
    logits: Vec<Vec<f64>>,
    labels: Vec<Vec<u32>>,
}

impl LabelSums {
    pub fn new(labels: usize) -> Self {
        Self {
            counts: vec![Counts::new(2); labels],
            logits: vec![Vec::new(); labels],
            labels: vec![Vec::new(); labels],
            ..Self::default()
        }
    }

    /// Adds a row of logits and its targets, zeros and ones.
    pub fn add(&mut self, logits: &[f64], targets: &[f32]) {
        let mut whole = true;
        for (c, (&z, &t)) in logits.iter().zip(targets).enumerate() {
            let (predicted, target) = (usize::from(z > 0.0), t as usize);
            self.counts[c].add(target, predicted, 1);
            self.logits[c].push(z);
            self.labels[c].push(target as u32);
            whole &= predicted == target;
        }
        self.rows += 1;
        self.whole += u64::from(whole);
    }

    pub fn finish(self) -> MultiLabel {
        let share = |n: u64| n as f64 / self.rows as f64;
        let label = |c: usize| LabelScores {
            name: c.to_string(),
            accuracy: share(self.counts[c].right()),
            roc_auc: roc_auc(&self.logits[c], &self.labels[c]).ok(),
            scores: self.counts[c].scores(0.0).classes[1],
        };
        let labels: Vec<LabelScores> = (0..self.counts.len()).map(label).collect();
        let scores: Vec<ClassScores> = labels.iter().map(|label| label.scores).collect();
        MultiLabel {
            subset_accuracy: share(self.whole),
            macro_average: ClassScores::average(&scores, |_| 1.0),
            labels,
        }
    }
}
