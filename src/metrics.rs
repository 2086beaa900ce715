//! Metrics: what an evaluation and a report say, and the functions behind them.
//!
//! All of them run on the host, accumulate in f64, and agree with scikit-learn's of the same name, on the awkward cases too;
//! `tests/data/metrics.rs` compares them. Class indices go from 0; scores and values are matrices, a row each.
//!
//! ```
//! use wgrad::metrics::{ClassScores, Confusion, accuracy, roc_auc};
//!
//! let (targets, predicted) = ([0, 0, 1, 1, 2], [0, 1, 1, 1, 0]);
//! assert_eq!(accuracy(&predicted, &targets)?, 0.6);
//! let confusion = Confusion::new(&predicted, &targets, 3)?;
//! assert_eq!(confusion.get(2, 0), 1); // a 2 that was taken for a 0
//! assert_eq!(confusion.scores().classes[2], ClassScores { support: 1, ..ClassScores::default() });
//! assert_eq!(roc_auc(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1])?, 0.75);
//! # Ok::<(), wgrad::Error>(())
//! ```

mod classification;
mod multi_label;
mod ranking;
mod regression;
mod report;

pub use classification::{Averages, ClassScores, Confused, Confusion, MostConfused, accuracy};
pub use multi_label::{LabelScores, MultiLabel};
pub use ranking::{log_loss, roc_auc, top_k_accuracy};
pub use regression::{
    Regression, TargetScores, mean_absolute_error, r2_score, root_mean_squared_error,
};
pub(crate) use report::Sums;
pub use report::{Classification, Report, Scores};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::Targets;
use crate::error::{Error, Result};

/// Loss and accuracy over a data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// The loss, reduced over the whole set as the criterion says, with the rows' [weights](crate::Dataset::with_weights).
    #[serde(with = "crate::metrics::number")]
    pub loss: f64,
    /// Share of rows whose largest output is the class, where targets are class indices; of rows with weights, share of the
    /// weight.
    pub accuracy: Option<f64>,
    /// Rows evaluated.
    pub rows: usize,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {}", Short(self.loss))?;
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", 100.0 * accuracy)?;
        }
        write!(f, " ({} rows)", self.rows)
    }
}

/// A number in a few characters.
pub(crate) struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0.abs();
        let plain = x == 0.0 || (1e-2..1e5).contains(&x);
        f.pad(&match plain {
            true => format!("{:.5}", self.0),
            false => format!("{:.3e}", self.0),
        })
    }
}

/// A name in a table, not too long.
pub(crate) fn cut(name: &str) -> String {
    const MOST: usize = 40;
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['…']).collect(),
        false => name.into(),
    }
}

/// Numbers that may be NaN or infinite, for JSON too, which has neither: those are words there.
pub(crate) mod number {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Word(String),
    }

    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match x.is_finite() {
            true => serializer.serialize_f64(*x),
            false => serializer.serialize_str(&x.to_string()),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Number::deserialize(deserializer)? {
            Number::Finite(x) => Ok(x),
            Number::Word(word) => match word.as_str() {
                "NaN" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                _ => {
                    let may = "a number, \"NaN\", \"inf\" or \"-inf\" may stand here";
                    Err(D::Error::custom(format!("{word:?} is no number: {may}")))
                }
            },
        }
    }
}

/// Index of the largest element, the first of equals.
pub(crate) fn argmax(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// The probabilities of these logits, `exp(zᵢ) / Σⱼ exp(zⱼ)`: what the outputs of a network for
/// [cross entropy](crate::Loss::CrossEntropy) say of a row's classes.
///
/// ```
/// use wgrad::metrics::softmax;
///
/// assert_eq!(softmax(&[0.0, 1e3]), [0.0, 1.0]); // no exponential overflows
/// assert_eq!(softmax(&[-7.0; 4]), [0.25; 4]);
/// ```
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    // Less the largest, so that no exponential overflows.
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut powers: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter_mut().for_each(|p| *p /= sum);
    powers
}

/// A 1 for each row whose largest output (of `cols`) is the class, else a 0; nothing if targets are no classes.
pub(crate) fn hits(outputs: &[f64], cols: usize, targets: &Targets) -> Vec<f64> {
    let Targets::Classes(labels) = targets else {
        return Vec::new();
    };
    let rows = outputs.chunks(cols).zip(labels);
    // A row with a NaN in it is never right.
    let hit = |(row, &label): (&[f64], &u32)| {
        let right = row.iter().all(|x| !x.is_nan()) && argmax(row) == label as usize;
        if right { 1.0 } else { 0.0 }
    };
    rows.map(hit).collect()
}

/// Whether there is a prediction for each target, and a target at all.
fn check_rows(what: &str, predicted: usize, targets: usize) -> Result<()> {
    if targets == 0 {
        return Err(Error::empty("targets"));
    }
    if predicted != targets {
        let got = format!("{predicted} rows");
        let expected = format!("{targets} rows as the targets have");
        let advice = "every target needs one prediction";
        return Err(Error::shape(what, got, expected, advice));
    }
    Ok(())
}

/// Whether every label is one of `classes` classes.
fn check_labels(labels: &[u32], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(row) => Err(Error::class(row, labels[row], classes)),
        None => Ok(()),
    }
}
