//! Metrics of predicted classes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{check_labels, check_rows, cut};
use crate::error::{Error, Result};

/// Share of the predictions that are right.
///
/// # Errors
/// [`Error::EmptyData`] without targets, [`Error::Shape`] if the lengths differ.
pub fn accuracy(predicted: &[u32], targets: &[u32]) -> Result<f64> {
    check_rows("predictions", predicted.len(), targets.len())?;
    let right = predicted.iter().zip(targets).filter(|(p, t)| p == t);
    Ok(right.count() as f64 / targets.len() as f64)
}

/// How often each class was taken for each other: a row a target, a column a prediction. Pairs that do not occur take no memory,
/// so it grows with the rows counted, not with the square of the classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredConfusion", try_from = "StoredConfusion")]
pub struct Confusion {
    classes: usize,
    /// Rows of each pair of target and prediction that occurs.
    cells: BTreeMap<(u32, u32), u64>,
}

/// A pair of classes of which one was taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// Index of the true class.
    pub target: u32,
    /// Index of the class it was taken for.
    pub predicted: u32,
    /// How many rows.
    pub rows: u64,
}

/// The pairs of classes that are confused most often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MostConfused {
    /// Those of the most rows, the largest first; of equals in the order of the classes.
    pub pairs: Vec<Confused>,
    /// Pairs beside these.
    pub more_pairs: u64,
    /// Rows in them.
    pub more_rows: u64,
}

impl Confusion {
    /// Counts predictions of `classes` classes.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without targets, [`Error::Shape`] if the lengths differ, [`Error::Class`] if an index is
    /// `classes` or more.
    pub fn new(predicted: &[u32], targets: &[u32], classes: usize) -> Result<Self> {
        check_rows("predictions", predicted.len(), targets.len())?;
        check_labels(targets, classes)?;
        check_labels(predicted, classes)?;
        let mut confusion = Self::empty(classes);
        for (&p, &t) in predicted.iter().zip(targets) {
            confusion.add(t, p);
        }
        Ok(confusion)
    }

    /// Without counts.
    pub(super) fn empty(classes: usize) -> Self {
        Self {
            classes,
            cells: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, target: u32, predicted: u32) {
        *self.cells.entry((target, predicted)).or_insert(0) += 1;
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Rows of class `target` that were taken for `predicted`; 0 if there is no such class.
    pub fn get(&self, target: usize, predicted: usize) -> u64 {
        let [target, predicted] = [target, predicted].map(|class| u32::try_from(class).ok());
        let count = target.zip(predicted).and_then(|pair| self.cells.get(&pair));
        count.copied().unwrap_or(0)
    }

    /// All counts, a row a target: the square of the classes. [`cells`](Self::cells) has those that are not 0.
    pub fn counts(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (t, p, n) in self.cells() {
            counts[t][p] = n;
        }
        counts
    }

    /// The counts that are not 0: target, prediction, rows; in the order of the classes.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        let cells = self.cells.iter();
        cells.map(|(&(t, p), &n)| (t as usize, p as usize, n))
    }

    /// The pairs of different classes of the most rows, at most so many of them, and what there is beside.
    ///
    /// ```
    /// use wgrad::metrics::{Confused, Confusion};
    ///
    /// let confusion = Confusion::new(&[1, 1, 0, 2, 2], &[0, 0, 2, 2, 1], 3)?;
    /// let most = confusion.most_confused(1);
    /// assert_eq!(most.pairs, [Confused { target: 0, predicted: 1, rows: 2 }]);
    /// assert_eq!((most.more_pairs, most.more_rows), (2, 2));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn most_confused(&self, most: usize) -> MostConfused {
        let wrong = self.cells.iter().filter(|((t, p), _)| t != p);
        let confused = |(&(target, predicted), &rows): (&(u32, u32), &u64)| Confused {
            target,
            predicted,
            rows,
        };
        let mut pairs: Vec<Confused> = wrong.map(confused).collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.rows));
        let more = pairs.split_off(most.min(pairs.len()));
        MostConfused {
            pairs,
            more_pairs: more.len() as u64,
            more_rows: more.iter().map(|pair| pair.rows).sum(),
        }
    }

    /// Precision, recall and F1, with 0 where a quotient is 0/0.
    pub fn scores(&self) -> Averages {
        self.counted().scores(0.0)
    }

    /// What of each class was right, predicted, and there.
    pub(super) fn counted(&self) -> Counts {
        let mut counts = Counts::new(self.classes);
        self.cells().for_each(|(t, p, n)| counts.add(t, p, n));
        counts
    }
}

/// Classes up to which all counts are stored as they stand in the matrix.
pub(super) const DENSE: usize = 100;

/// Counts in files: the whole matrix of few classes, the pairs that occur of many.
#[derive(Serialize, Deserialize)]
struct StoredConfusion {
    classes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Vec<Vec<u64>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cells: Option<Vec<(u32, u32, u64)>>,
}

impl From<Confusion> for StoredConfusion {
    fn from(confusion: Confusion) -> Self {
        let dense = confusion.classes <= DENSE;
        let cells = || confusion.cells.iter().map(|(&(t, p), &n)| (t, p, n));
        Self {
            classes: confusion.classes,
            counts: dense.then(|| confusion.counts()),
            cells: (!dense).then(|| cells().collect()),
        }
    }
}

impl TryFrom<StoredConfusion> for Confusion {
    type Error = String;

    fn try_from(stored: StoredConfusion) -> std::result::Result<Self, String> {
        let classes = stored.classes;
        let mut confusion = Self::empty(classes);
        let counts = stored.counts.unwrap_or_default();
        if !counts.is_empty()
            && (counts.len() != classes || counts.iter().any(|row| row.len() != classes))
        {
            return Err(format!(
                "the counts of a confusion matrix of {classes} classes must be {classes} rows of {classes} numbers"
            ));
        }
        for (t, row) in counts.iter().enumerate() {
            let cells = row.iter().enumerate().filter(|(_, n)| **n > 0);
            let cells = cells.map(|(p, &n)| ((t as u32, p as u32), n));
            confusion.cells.extend(cells);
        }
        for (t, p, n) in stored.cells.unwrap_or_default() {
            if t.max(p) as usize >= classes {
                return Err(format!(
                    "a cell of a confusion matrix of {classes} classes has the classes {t} and {p}, which must be below {classes}"
                ));
            }
            confusion.cells.insert((t, p), n);
        }
        Ok(confusion)
    }
}

/// A table: targets down, predictions across; of more than 50 classes the pairs confused most often.
impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.classes > SHOWN {
            write!(f, "{} classes", self.classes)?;
            return self.most_confused(SHOWN_PAIRS).write(f, &[]);
        }
        let names: Vec<String> = (0..self.classes).map(|c| c.to_string()).collect();
        self.write(f, &names, 8)
    }
}

/// Classes that a table shows.
pub(super) const SHOWN: usize = 50;

/// Pairs that a list shows.
pub(super) const SHOWN_PAIRS: usize = 20;

impl MostConfused {
    /// The list with names of classes, or their numbers; nothing where nothing was confused.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let name = |class: u32| match names.get(class as usize) {
            Some(name) => cut(name),
            None => class.to_string(),
        };
        f.write_str("\nmost often confused:")?;
        for pair in self.pairs.iter().take(SHOWN_PAIRS) {
            let (target, predicted) = (name(pair.target), name(pair.predicted));
            write!(f, "\n{:>8}  {target} taken for {predicted}", pair.rows)?;
        }
        let rest = self.pairs.iter().skip(SHOWN_PAIRS);
        let pairs = self.more_pairs + rest.clone().count() as u64;
        let rows = self.more_rows + rest.map(|pair| pair.rows).sum::<u64>();
        match pairs {
            0 => Ok(()),
            1 => write!(f, "\n{rows:>8}  in one pair more"),
            _ => write!(f, "\n{rows:>8}  in {pairs} pairs more"),
        }
    }
}

/// Characters of a name that fits above a column, and of a line of them.
const SHORT: usize = 8;
const LINE: usize = 100;

impl Confusion {
    /// The table with names of classes, in a first column of this width or wider. Where a name is too long to stand above a
    /// column, or all of them together, they have numbers.
    pub(crate) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        names: &[String],
        width: usize,
    ) -> fmt::Result {
        let length = |name: &String| name.chars().count();
        let longest = names.iter().map(length).max().unwrap_or(0);
        let number_length = names.len().to_string().len();
        let numbered =
            longest > SHORT || longest > number_length && names.len() * (longest + 1) > LINE;
        let (down, across): (Vec<String>, Vec<String>) = match numbered {
            true => {
                let named =
                    |(c, name): (usize, &String)| (format!("{} ({c})", cut(name)), c.to_string());
                names.iter().enumerate().map(named).unzip()
            }
            false => (names.to_vec(), names.to_vec()),
        };
        let first = down.iter().map(length).max().unwrap_or(0).max(width);
        let most = self.cells.values().max().copied().unwrap_or(0);
        let column = across.iter().map(length).max().unwrap_or(0);
        let column = column.max(most.to_string().len()) + 1;
        write!(f, "{:>first$}", "t \\ p")?;
        for name in &across {
            write!(f, "{name:>column$}")?;
        }
        for (name, row) in down.iter().zip(self.counts()) {
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

impl ClassScores {
    /// The average of the scores, each with its weight; of the support the sum.
    pub(super) fn average(all: &[Self], weight: impl Fn(usize) -> f64) -> Self {
        let mut average = Self::default();
        let mut total = 0.0;
        for (c, scores) in all.iter().enumerate() {
            let w = weight(c);
            total += w;
            average.precision += w * scores.precision;
            average.recall += w * scores.recall;
            average.f1 += w * scores.f1;
            average.support += scores.support;
        }
        average.precision /= total;
        average.recall /= total;
        average.f1 /= total;
        average
    }
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
        let counts = Confusion::new(predicted, targets, classes)?.counted();
        if !(0.0..=1.0).contains(&zero_division) {
            return Err(Error::argument("zero_division", zero_division, "in [0, 1]"));
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
        let scores = |c: usize| {
            let (right, predicted, support) = (self.right[c], self.predicted[c], self.targets[c]);
            ClassScores {
                precision: quotient(right, predicted),
                recall: quotient(right, support),
                f1: quotient(2 * right, predicted + support),
                support,
            }
        };
        let classes: Vec<ClassScores> = (0..self.right.len()).map(scores).collect();
        let occurs = |c: usize| f64::from(u8::from(self.targets[c] + self.predicted[c] > 0));
        Averages {
            macro_average: ClassScores::average(&classes, occurs),
            weighted_average: ClassScores::average(&classes, |c| self.targets[c] as f64),
            classes,
        }
    }
}
