//! Raw data the fitted way.

use std::ops::Range;

use super::prepared::{Prepared, PreparedRows};
use super::survey::{EXACT, not_a_number};
use super::{Column, Encoding, InputColumn, Preparation, Raw, TargetEncoding, Unseen};
use crate::data::array::{check_rows, reserved};
use crate::data::class_map::ClassMap;
use crate::data::frame::{Frame, FrameRow, Value};
use crate::data::table::is_identifier;
use crate::data::{Dataset, Matrix, Source, number};
use crate::error::{CellKind, Error, Result};

/// A value as a number, of any size that an f64 holds.
pub(super) fn computable(row: &FrameRow<'_>, column: usize, value: &Value<'_>) -> Result<f64> {
    let Some(x) = row.number(column, value) else {
        let advice = not_a_number(&row.place(column), &value.text());
        let (kind, problem) = (
            CellKind::NotANumber,
            "is no number, but the column's values must be",
        );
        return Err(row.error(column, value, kind, problem, advice));
    };
    if !x.is_finite() {
        return Err(row.refused(column, value, CellKind::NotFinite));
    }
    let inexact = x.abs() >= EXACT as f64
        && match value {
            Value::Text(text) => is_identifier(text),
            Value::Whole(i) => i.abs() > EXACT,
            _ => false,
        };
    match inexact {
        true => Err(row.refused(column, value, CellKind::TooLarge)),
        false => Ok(x),
    }
}

/// A target as a number.
pub(super) fn finite(row: &FrameRow<'_>, column: usize, value: &Value<'_>) -> Result<f64> {
    match value {
        Value::Missing => Err(row.refused(column, value, CellKind::MissingTarget)),
        value => computable(row, column, value),
    }
}

/// Where data has the columns of a preparation.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub inputs: Vec<usize>,
    /// Empty where targets are not asked for.
    pub targets: Vec<usize>,
    pub weights: Option<usize>,
}

impl Preparation {
    /// Inputs and targets of all rows.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] or [`Error::Shape`] if the columns are not there; [`Error::Cell`] for a value that cannot be
    /// used: text for a number, a number that is not finite, a missing value, a category or class that the training data did
    /// not have; [`Error::EmptyData`] if all rows are dropped; [`Error::Targets`] if there are no targets.
    pub fn apply<'a>(&self, data: impl Into<Raw<'a>>) -> Result<Dataset> {
        let source = Prepared::new(data.into(), self)?;
        source.read(0..source.rows())
    }

    /// Inputs of all rows; targets may be there or not. No row is dropped.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_inputs<'a>(&self, data: impl Into<Raw<'a>>) -> Result<Matrix> {
        let raw = data.into();
        self.apply_input_rows(raw, 0..raw.rows())
    }

    /// [`apply_inputs`](Self::apply_inputs) for some of the rows, of data larger than memory.
    ///
    /// # Errors
    /// As [`apply`](Self::apply); [`Error::Argument`] if there are no such rows.
    pub fn apply_input_rows<'a>(
        &self,
        data: impl Into<Raw<'a>>,
        rows: Range<usize>,
    ) -> Result<Matrix> {
        let frame = Frame::new(data.into());
        check_rows(frame.label(), &rows, frame.rows())?;
        let width = self.check_width()?;
        let mut inputs = reserved(frame.label(), rows.len(), width)?;
        let places = self.places(&frame, false)?;
        frame.for_rows(rows, |row| self.push_inputs(row, &places, &mut inputs))?;
        Matrix::new(width, inputs)
    }

    /// The texts of a column for some of the rows: what tells them apart, to be given out with answers.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] if it is not there; [`Error::Argument`] if there are no such rows.
    pub fn texts<'a>(
        data: impl Into<Raw<'a>>,
        column: &crate::data::ColumnRef,
        rows: Range<usize>,
    ) -> Result<Vec<String>> {
        let frame = Frame::new(data.into());
        check_rows(frame.label(), &rows, frame.rows())?;
        let c = frame.column(column)?;
        let mut texts = Vec::with_capacity(rows.len());
        frame.for_rows(rows, |row| {
            texts.push(row.value(c)?.text().into_owned());
            Ok(())
        })?;
        Ok(texts)
    }

    /// Columns of new data that are neither inputs nor, as far as can be told, anything else that the training data had, where its
    /// columns are known by their numbers alone: they are not looked at.
    ///
    /// # Errors
    /// As [`apply_inputs`](Self::apply_inputs), as far as columns are concerned.
    pub fn unused<'a>(&self, data: impl Into<Raw<'a>>) -> Result<Vec<usize>> {
        let frame = Frame::new(data.into());
        let places = self.places(&frame, false)?;
        let named = frame.is_named() && self.inputs.iter().all(|i| i.column.name.is_some());
        let from = frame.targets_from.unwrap_or(frame.cols());
        let others = self.ids.iter().chain(&self.weights);
        let others: Vec<usize> = others.map(|c| self.moved(&frame, c.index)).collect();
        let used = |c: &usize| places.inputs.contains(c) || others.contains(c);
        Ok((0..from).filter(|c| !named && !used(c)).collect())
    }

    /// The data as a source of rows, to be gone through in pieces where it is larger than memory; see
    /// [`Stream`](crate::Stream).
    ///
    /// # Errors
    /// As [`apply`](Self::apply), as far as columns are concerned.
    pub fn source<'a>(&'a self, data: impl Into<Raw<'a>>) -> Result<Prepared<'a>> {
        Prepared::new(data.into(), self)
    }

    pub(super) fn check_width(&self) -> Result<usize> {
        let (got, advice) = ("no columns of inputs", "fit one to training data");
        match self.input_width() {
            0 => Err(Error::shape("a preparation", got, "at least one", advice)),
            width => Ok(width),
        }
    }

    /// Where the targets of new data begin, if they stand by themselves there and did not in the training data.
    fn divides(&self, frame: &Frame<'_>) -> Option<usize> {
        frame.targets_from.filter(|_| !self.targets_apart)
    }

    /// The place of a column that is known by its number: without the targets, columns behind them move forward.
    fn moved(&self, frame: &Frame<'_>, index: usize) -> usize {
        let before = |target: &&Column| target.index < index;
        match self.divides(frame).is_none() && frame.cols() == self.width {
            true => index,
            false => index - self.target_columns().iter().filter(before).count(),
        }
    }

    /// Where new data has the columns that tell rows apart.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] if one is not there.
    pub fn id_places<'a>(&self, data: impl Into<Raw<'a>>) -> Result<Vec<usize>> {
        let frame = Frame::new(data.into());
        let place = |id: &Column| match &id.name {
            Some(name) if frame.is_named() => frame.named(name, false),
            _ => frame.column(&self.moved(&frame, id.index).into()),
        };
        self.ids.iter().map(place).collect()
    }

    /// Where data has the columns: by name where there are names on both sides, else by number.
    pub(super) fn places(&self, frame: &Frame<'_>, with_targets: bool) -> Result<Places> {
        let targets = match with_targets {
            true => self.target_columns(),
            false => &[],
        };
        let weights = self.weights.as_ref().filter(|_| with_targets);
        let columns = || self.inputs.iter().map(|input| &input.column);
        let names = |input: &InputColumn| match &input.encoding {
            Encoding::OneHot { categories, .. } => !categories.is_numeric(),
            Encoding::Number { .. } => false,
        };
        if frame.has_numbers(0) && self.inputs.iter().any(names) {
            let got = format!("{} columns of numbers", frame.cols());
            let expected = format!("what the training data had: {self}");
            let advice = "give the same columns in the same order";
            return Err(Error::shape(frame.label(), got, expected, advice));
        }
        let all_named = columns().chain(targets).all(|column| column.name.is_some());
        if frame.is_named() && all_named {
            let name = |column: &Column| column.name.clone().unwrap_or_default();
            let input = |column: &Column| frame.named(&name(column), false);
            let target = |column: &Column| frame.named(&name(column), true);
            return Ok(Places {
                inputs: columns().map(input).collect::<Result<_>>()?,
                targets: targets.iter().map(target).collect::<Result<_>>()?,
                // New data may have none: then its rows count alike.
                weights: weights.and_then(|column| input(column).ok()),
            });
        }
        let narrow = self.width.saturating_sub(self.target_columns().len());
        // Arrays of inputs that had their targets beside them have no column for these.
        let apart = self.targets_apart && frame.targets_from.is_none() && !frame.is_table();
        let cols = frame.cols();
        let fits = match self.divides(frame) {
            Some(from) => from == narrow && cols - from >= targets.len(),
            None if with_targets => cols == self.width,
            None => cols == narrow || cols == self.width && !apart,
        };
        let moved = |column: &Column| self.moved(frame, column.index);
        let places = Places {
            inputs: columns().map(moved).collect(),
            targets: match self.divides(frame) {
                Some(from) => (from..from + targets.len()).collect(),
                None => targets.iter().map(moved).collect(),
            },
            weights: weights.map(moved),
        };
        let mut used = places.inputs.iter().chain(&places.targets);
        if !fits || used.any(|&c| c >= frame.cols()) {
            let (cols, without) = match with_targets {
                true => (self.width, String::new()),
                false if apart => (narrow, String::new()),
                false => (self.width, format!(", or {narrow} without the targets")),
            };
            let got = format!("{} columns{}", frame.cols(), frame.cut());
            let expected = format!("{cols} columns, as the training data had{without}: {self}");
            let advice =
                "without a header, columns are known by their order: give them as they were";
            return Err(Error::shape(frame.label(), got, expected, advice));
        }
        Ok(places)
    }

    /// Whether a row is left out, since it misses a value.
    pub(super) fn drops(&self, row: &FrameRow<'_>, places: &Places) -> Result<bool> {
        let inputs = self.inputs.iter().map(|input| input.column.index);
        let known = inputs.chain(self.target_columns().iter().map(|column| column.index));
        let here = places.inputs.iter().chain(&places.targets);
        for (index, &c) in known.zip(here) {
            let asked = self.drop_rows || self.drop_for.contains(&index);
            if asked && row.value(c)? == Value::Missing {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn push_inputs(
        &self,
        row: &FrameRow<'_>,
        places: &Places,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        for (input, &c) in self.inputs.iter().zip(&places.inputs) {
            let value = row.value(c)?;
            match &input.encoding {
                Encoding::Number { shift, factor, .. } => {
                    let x = match (&value, &input.fill) {
                        (Value::Missing, Some(fill)) => {
                            number(fill).ok_or_else(|| missing(row, c))?
                        }
                        (Value::Missing, None) => return Err(missing(row, c)),
                        (value, _) => computable(row, c, value)?,
                    };
                    let x = ((x - shift) * factor) as f32;
                    if !x.is_finite() {
                        return Err(too_far(row, c, &value));
                    }
                    out.push(x);
                }
                Encoding::OneHot { categories, unseen } => {
                    let start = out.len();
                    out.resize(start + categories.len(), 0.0);
                    let index = match (&value, &input.fill) {
                        (Value::Missing, Some(fill)) => categories.index(fill),
                        (Value::Missing, None) => return Err(missing(row, c)),
                        (value, _) => class(row, c, value, categories),
                    };
                    match index {
                        Some(i) => out[start + i] = 1.0,
                        None if *unseen == Unseen::Zeros => {}
                        None => {
                            let kind = CellKind::UnseenCategory;
                            let problem = "is a category that the training data did not have";
                            let mut advice = categories.known(&value.text());
                            advice += ": correct it, or have unseen categories encoded as zeros, as none of the known ones";
                            return Err(row.error(c, &value, kind, problem, advice));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The weight of a row.
    pub(super) fn push_weight(
        &self,
        row: &FrameRow<'_>,
        places: &Places,
        out: &mut PreparedRows,
    ) -> Result<()> {
        let Some(c) = places.weights else {
            return Ok(());
        };
        let value = row.value(c)?;
        let weight = row.number(c, &value).unwrap_or(f64::NAN);
        if !(weight >= 0.0 && (weight as f32).is_finite()) {
            return Err(row.refused(c, &value, CellKind::Weight));
        }
        out.weights.push(weight as f32);
        Ok(())
    }

    pub(super) fn push_targets(
        &self,
        row: &FrameRow<'_>,
        places: &Places,
        out: &mut PreparedRows,
    ) -> Result<()> {
        for (i, &c) in places.targets.iter().enumerate() {
            let value = row.value(c)?;
            match &self.target {
                TargetEncoding::None => {}
                TargetEncoding::Classes { classes, .. } => {
                    if value == Value::Missing {
                        finite(row, c, &value)?;
                    }
                    match class(row, c, &value, classes) {
                        Some(class) => out.classes.push(class as u32),
                        None => {
                            let problem = "is a class that the model has not seen";
                            let advice =
                                classes.known(&value.text()) + ": correct it, or train with it";
                            return Err(row.error(
                                c,
                                &value,
                                CellKind::UnseenClass,
                                problem,
                                advice,
                            ));
                        }
                    }
                }
                TargetEncoding::Values { standardizer, .. } => {
                    let t = standardizer.forward(i, finite(row, c, &value)?) as f32;
                    if !t.is_finite() {
                        return Err(too_far(row, c, &value));
                    }
                    out.values.push(t);
                }
            }
        }
        Ok(())
    }
}

fn missing(row: &FrameRow<'_>, column: usize) -> Error {
    row.refused(column, &Value::Missing, CellKind::MissingInput)
}

fn too_far(row: &FrameRow<'_>, column: usize, value: &Value<'_>) -> Error {
    let problem = "is too far from the training data: scaled, it is not finite";
    row.error(column, value, CellKind::NotFinite, problem, "correct it")
}

/// The class that a value is the name of.
pub(super) fn class(
    row: &FrameRow<'_>,
    column: usize,
    value: &Value<'_>,
    classes: &ClassMap,
) -> Option<usize> {
    match classes.is_numeric() {
        true => classes.index_of_number(row.number(column, value)?),
        false => classes.index(&value.text()),
    }
}
