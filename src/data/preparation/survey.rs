//! What raw data holds, column by column, and what follows from it: which columns are numbers and which categories, whether the
//! targets are classes, what is doubtful. Decided once, for data of every kind, from all rows.

mod decide;
mod roles;
mod seen;

use std::fmt;

pub(super) use decide::ENOUGH;
pub(super) use roles::Roles;
pub(super) use seen::not_a_number;

use super::{Column, PreparationOptions, Raw};
use crate::data::class_map::ClassMap;
use crate::data::element::Task;
use crate::data::frame::Frame;
use crate::data::stratified;
use crate::data::table::changed;
use crate::error::{Error, Result};

use decide::decide;
use seen::look;

/// The largest whole number up to which an f64 holds all.
pub(super) const EXACT: i128 = 1 << 53;

/// What a column's values are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SurveyedKind {
    /// Numbers, from the smallest to the largest.
    Numbers {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
        /// Whether all are whole.
        whole: bool,
    },
    /// Text, or numbers that are names.
    Text,
    /// It is not looked at.
    Unused,
}

/// What was found in a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ColumnSurvey {
    /// Which.
    pub column: Column,
    /// What it is.
    pub kind: SurveyedKind,
    /// Values that are missing, in rows that are used.
    pub missing: usize,
    /// Why it is what it is, where that is not plain.
    pub why: Option<String>,
}

/// What is doubtful about data that can be used.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Warning {
    /// The column it is about.
    pub column: Column,
    /// Of which kind, for programs.
    pub kind: WarningKind,
    /// In words.
    pub text: String,
}

/// What is doubtful about a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// Almost as many classes as rows.
    ManyClasses,
    /// Almost as many categories as rows.
    ManyCategories,
    /// It numbers the rows, or tells them apart.
    Identifier,
    /// A target of which all values are one.
    ConstantTarget,
    /// The first line may hold names.
    Header,
    /// Names that look like numbers.
    LikeNumbers,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.column, self.text)
    }
}

/// What raw data holds and what was decided from it, before anything is fitted. From here on rows can be divided into those that
/// are trained on and those that are held out, so that a [`Preparation`](crate::Preparation) is fitted on the former alone.
///
/// ```
/// use wgrad::{CsvOptions, Preparation, PreparationOptions, Survey, Table};
///
/// let csv = "size,city,rent\n50,Bonn,500.5\n70,Essen,630\n60,Bonn,610\n";
/// let table = Table::from_bytes("flats.csv", csv, &CsvOptions::default())?;
/// let options = PreparationOptions::default();
/// let survey = Survey::of(&table, &options)?;
/// let preparation = Preparation::fit_rows(&table, &survey, &[0, 1], &options)?; // the third is held out
/// assert_eq!(preparation.apply(&table)?.inputs().row(2)[0], 0.0); // 60 is the mean of 50 and 70
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Survey {
    columns: Vec<ColumnSurvey>,
    pub(super) inputs: Vec<usize>,
    pub(super) targets: Vec<usize>,
    pub(super) ids: Vec<usize>,
    pub(super) weights: Option<usize>,
    /// Whether each column of inputs is one of numbers.
    pub(super) numbers: Vec<bool>,
    /// Whether each column has texts that no number is written as.
    pub(super) texts: Vec<bool>,
    /// Of inputs, whether a value is missing.
    pub(super) lacking: Vec<bool>,
    /// The classes, and the class of each row that is kept.
    classes: Option<(ClassMap, Vec<u32>)>,
    /// Rows that are left out, in order.
    pub(super) dropped: Vec<usize>,
    pub(super) drop_for: Vec<usize>,
    raw_rows: usize,
    warnings: Vec<Warning>,
}

impl Survey {
    /// Goes through the data once.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is not there; [`Error::Cell`] for text in a column of numbers, a number that is
    /// not finite or that no f64 holds, or a missing value that the options do not provide for; [`Error::OneClass`] if a target of
    /// classes has one; [`Error::Column`] for a column without values, a target whose values are all one, and a guess that would be
    /// absurd: about as many classes or categories as rows; [`Error::Argument`] if options contradict each other.
    pub fn of<'a>(data: impl Into<Raw<'a>>, options: &PreparationOptions) -> Result<Self> {
        let raw = data.into();
        let frame = Frame::new(raw);
        let roles = Roles::new(&frame, options)?;
        let task = roles.task(raw);
        let (seen, dropped) = look(&roles, task == Task::Classification)?;
        if dropped.len() == frame.rows() {
            let what = format!("{}, without its rows that miss values,", frame.label());
            return Err(Error::empty(what));
        }
        match decide(&roles, task, seen, dropped)? {
            Some(survey) => Ok(survey),
            // Its names were given up, as those of numbers, and now turn out to matter.
            None => {
                let (seen, dropped) = look(&roles, true)?;
                let decided = decide(&roles, task, seen, dropped)?;
                decided.ok_or_else(|| changed(frame.label(), "it has other values"))
            }
        }
    }

    /// What was found in each column, in order.
    pub fn columns(&self) -> &[ColumnSurvey] {
        &self.columns
    }

    /// Rows that are used: those are left out that miss a value for which the rule is to drop them.
    pub fn rows(&self) -> usize {
        self.raw_rows - self.dropped.len()
    }

    /// Rows that are left out.
    pub fn dropped(&self) -> usize {
        self.dropped.len()
    }

    /// The classes, if the target is one of classes.
    pub fn classes(&self) -> Option<&ClassMap> {
        self.classes.as_ref().map(|(classes, _)| classes)
    }

    /// The columns of inputs, by their numbers.
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// The columns of targets, by their numbers.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// What is doubtful.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Divides the rows that are used, by their numbers among those, at random: `fraction` of them first; of classes, of each class,
    /// and of each with two rows at least one. As [`Dataset::split`](crate::Dataset::split) with the same seed.
    ///
    /// # Errors
    /// [`Error::Argument`] if the fraction is not within (0, 1) or one part would be empty.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        let labels = self.classes.as_ref().map(|(_, labels)| labels.as_slice());
        stratified(labels, self.rows(), fraction, seed)
    }

    /// The number that the `row`-th of those kept has among all.
    pub(super) fn raw_row(&self, row: usize) -> usize {
        raw_row(&self.dropped, row)
    }
}

/// The number that the `row`-th of those kept has among all, of which these are left out.
pub(super) fn raw_row(dropped: &[usize], row: usize) -> usize {
    // Before dropped row d, the i-th of them, there are d − i kept ones.
    let (mut low, mut high) = (0, dropped.len());
    while low < high {
        let middle = low.midpoint(high);
        match dropped[middle] - middle <= row {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    row + low
}
