//! Metrics of predicted classes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{check_labels, check_rows};
use crate::error::{Error, Result};

/// Share of the predictions that are right.
///
/// # Errors
/// [`Error::EmptyData`] without targets, [`Error::Shape`] if the lengths differ.
pub fn accuracy(predicted: &[u32], targets: &[u32]) -> Result<f64> {
    check_rows("predictions", predicted.len(), targets.len())?;
    let right = predicted
        .iter()
        .zip(targets)
        .filter(|(p, t)| p == t)
        .count();
    Ok(right as f64 / targets.len() as f64)
}

/// The most classes of a confusion matrix: 128 MiB of counts.
const MOST_CLASSES: usize = 4096;

/// How often each class was taken for each other: a row a target, a column a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Counts predictions of `classes` classes.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without targets, [`Error::Shape`] if the lengths differ, [`Error::Class`] if an index is
    /// `classes` or more, [`Error::Argument`] beyond 4,096 classes.
    pub fn new(predicted: &[u32], targets: &[u32], classes: usize) -> Result<Self> {
        check_rows("predictions", predicted.len(), targets.len())?;
        check_labels(targets, classes)?;
        check_labels(predicted, classes)?;
        let mut confusion = Self::empty(classes).ok_or_else(|| Error::Argument {
            name: "the number of classes of a confusion matrix".into(),
            value: classes.to_string(),
            allowed: format!("1 to {MOST_CLASSES}"),
        })?;
        for (&p, &t) in predicted.iter().zip(targets) {
            confusion.add(t as usize, p as usize);
        }
        Ok(confusion)
    }

    /// Without counts; none beyond the most classes.
    pub(super) fn empty(classes: usize) -> Option<Self> {
        (1..=MOST_CLASSES).contains(&classes).then(|| Self {
            counts: vec![vec![0; classes]; classes],
        })
    }

    pub(super) fn add(&mut self, target: usize, predicted: usize) {
        self.counts[target][predicted] += 1;
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Rows of class `target` that were taken for `predicted`; 0 if there is no such class.
    pub fn get(&self, target: usize, predicted: usize) -> u64 {
        let row = self.counts.get(target);
        row.and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    }

    /// The counts, a row a target.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Precision, recall and F1, with 0 where a quotient is 0/0.
    pub fn scores(&self) -> Averages {
        let mut counts = Counts::new(self.classes());
        for (t, row) in self.counts.iter().enumerate() {
            for (p, &n) in row.iter().enumerate() {
                counts.add(t, p, n);
            }
        }
        counts.scores(0.0)
    }
}

/// A table: targets down, predictions across.
impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = (0..self.classes()).map(|c| c.to_string()).collect();
        self.write(f, &names, 8)
    }
}

/// Characters of a name that fits above a column.
const SHORT: usize = 8;

impl Confusion {
    /// The table with names of classes, in a first column of this width or wider. Where a name is too long to stand above a
    /// column all of them have numbers.
    pub(crate) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        names: &[String],
        width: usize,
    ) -> fmt::Result {
        let length = |name: &String| name.chars().count();
        let numbered = names.iter().any(|name| length(name) > SHORT);
        let number = |c: usize| c.to_string();
        let (down, across): (Vec<String>, Vec<String>) = match numbered {
            true => {
                let named = names
                    .iter()
                    .enumerate()
                    .map(|(c, name)| format!("{name} ({c})"));
                (named.collect(), (0..names.len()).map(number).collect())
            }
            false => (names.to_vec(), names.to_vec()),
        };
        let first = down.iter().map(length).max().unwrap_or(0).max(width);
        let most = self.counts.iter().flatten().max().copied().unwrap_or(0);
        let column = across.iter().map(length).max().unwrap_or(0);
        let column = column.max(most.to_string().len()) + 1;
        write!(f, "{:>first$}", "t \\ p")?;
        for name in &across {
            write!(f, "{name:>column$}")?;
        }
        for (name, row) in down.iter().zip(&self.counts) {
            write!(f, "\n{name:>first$}")?;
            for n in row {
                write!(f, "{n:>column$}")?;
            }
        }
        Ok(())
    }
}

/// Precision, recall and F1 of one class, or an average of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Of the rows predicted so, the share that is so: tp/(tp + fp).
    pub precision: f64,
    /// Of the rows that are so, the share predicted so: tp/(tp + fn).
    pub recall: f64,
    /// 2·tp/(2·tp + fp + fn), the harmonic mean of the two.
    pub f1: f64,
    /// Rows that are so.
    pub support: u64,
}

/// Precision, recall and F1 of every class and their averages: scikit-learn's `precision_recall_fscore_support`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Of each class.
    pub classes: Vec<ClassScores>,
    /// The mean over the classes that occur among targets or predictions.
    #[serde(rename = "macro")]
    pub macro_average: ClassScores,
    /// The mean over all classes, weighted by support.
    #[serde(rename = "weighted")]
    pub weighted_average: ClassScores,
}

impl Averages {
    /// From predictions of `classes` classes. Where a quotient is 0/0, a class never predicted for instance, it counts as
    /// `zero_division`: 0 in scikit-learn unless asked otherwise.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without targets, [`Error::Shape`] if the lengths differ, [`Error::Class`] if an index is
    /// `classes` or more, [`Error::Argument`] if `zero_division` is not within [0, 1].
    pub fn new(
        predicted: &[u32],
        targets: &[u32],
        classes: usize,
        zero_division: f64,
    ) -> Result<Self> {
        check_rows("predictions", predicted.len(), targets.len())?;
        check_labels(targets, classes)?;
        check_labels(predicted, classes)?;
        if !(0.0..=1.0).contains(&zero_division) {
            return Err(Error::Argument {
                name: "zero_division".into(),
                value: zero_division.to_string(),
                allowed: "in [0, 1]".into(),
            });
        }
        let mut counts = Counts::new(classes);
        for (&p, &t) in predicted.iter().zip(targets) {
            counts.add(t as usize, p as usize, 1);
        }
        Ok(counts.scores(zero_division))
    }
}

/// What precision, recall and F1 are made of, for each class.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    right: Vec<u64>,
    predicted: Vec<u64>,
    targets: Vec<u64>,
}

impl Counts {
    pub fn new(classes: usize) -> Self {
        let zeros = vec![0; classes];
        Self {
            right: zeros.clone(),
            predicted: zeros.clone(),
            targets: zeros,
        }
    }

    pub fn add(&mut self, target: usize, predicted: usize, n: u64) {
        self.targets[target] += n;
        self.predicted[predicted] += n;
        if target == predicted {
            self.right[target] += n;
        }
    }

    pub fn right(&self) -> u64 {
        self.right.iter().sum()
    }

    pub fn scores(&self, zero_division: f64) -> Averages {
        let quotient = |a: u64, b: u64| match b {
            0 => zero_division,
            _ => a as f64 / b as f64,
        };
        let classes: Vec<ClassScores> = (0..self.right.len())
            .map(|c| {
                let (right, predicted, support) =
                    (self.right[c], self.predicted[c], self.targets[c]);
                ClassScores {
                    precision: quotient(right, predicted),
                    recall: quotient(right, support),
                    f1: quotient(2 * right, predicted + support),
                    support,
                }
            })
            .collect();
        let average = |weight: &dyn Fn(usize) -> f64| {
            let mut sum = ClassScores::default();
            let mut total = 0.0;
            for (c, scores) in classes.iter().enumerate() {
                let w = weight(c);
                total += w;
                sum.precision += w * scores.precision;
                sum.recall += w * scores.recall;
                sum.f1 += w * scores.f1;
                sum.support += scores.support;
            }
            ClassScores {
                precision: sum.precision / total,
                recall: sum.recall / total,
                f1: sum.f1 / total,
                support: sum.support,
            }
        };
        let occurs = |c: usize| f64::from(u8::from(self.targets[c] + self.predicted[c] > 0));
        Averages {
            macro_average: average(&occurs),
            weighted_average: average(&|c| self.targets[c] as f64),
            classes,
        }
    }
}
