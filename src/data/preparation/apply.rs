//! Raw data the fitted way.

use std::ops::Range;

use super::fit::{is_missing, not_a_number};
use super::{Encoding, InputColumn, Preparation, Raw, TargetEncoding, Unseen};
use crate::data::array::{check_rows, reserved};
use crate::data::stream::Source;
use crate::data::table::{Row, Table, number};
use crate::data::{Dataset, Matrix, Targets};
use crate::error::{Cell, CellKind, Error, Result, shortest};

/// Rows of an array that are read at a time.
const CHUNK: usize = 1024;

/// A value as a number that an f32 can stand for.
pub(super) fn finite(row: &Row<'_>, column: usize, text: &str) -> Result<f64> {
    match number(text) {
        None => {
            let advice = not_a_number(row.line, text);
            Err(row
                .error(
                    column,
                    "is no number, but the column's values must be",
                    advice,
                )
                .of_kind(CellKind::NotANumber))
        }
        Some(x) if !(x as f32).is_finite() => Err(row.error(
            column,
            "is not finite as an f32",
            "correct it, leave the row out, or count it among the missing values",
        )),
        Some(x) => Ok(x),
    }
}

impl Raw<'_> {
    /// Visits rows of inputs that are numbers. Of a table there are none.
    pub(super) fn for_inputs(
        self,
        rows: Range<usize>,
        mut visit: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let of = |x: &Matrix, visit: &mut dyn FnMut(usize, &[f32]) -> Result<()>| {
            rows.clone().try_for_each(|r| visit(r, x.row(r)))
        };
        match self {
            Raw::Table(_) => Ok(()),
            Raw::Dataset(data) => of(data.inputs(), &mut visit),
            Raw::Matrix(x) => of(x, &mut visit),
            Raw::Arrays(arrays) => {
                for start in rows.clone().step_by(CHUNK) {
                    let end = rows.end.min(start + CHUNK);
                    let x = arrays.inputs().matrix(start..end, 1.0)?;
                    (start..end).try_for_each(|r| visit(r, x.row(r - start)))?;
                }
                Ok(())
            }
        }
    }
}

/// Inputs and targets on their way into a data set.
#[derive(Default)]
struct Rows {
    inputs: Vec<f32>,
    classes: Vec<u32>,
    values: Vec<f32>,
}

/// Where a table has the columns of a preparation.
#[derive(Debug, Clone)]
struct Places {
    inputs: Vec<usize>,
    /// Empty where targets are not asked for.
    targets: Vec<usize>,
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
        let raw = data.into();
        check_rows(raw.label(), &rows, raw.rows())?;
        let width = self.check_width()?;
        let mut inputs = reserved(raw.label(), rows.len(), width)?;
        match raw {
            Raw::Table(table) => {
                let places = self.places(table, false)?;
                table.for_rows(rows, |row| self.push_inputs(row, &places, &mut inputs))?;
            }
            raw => self.push_numbers(raw, rows, &mut inputs)?,
        }
        Matrix::new(width, inputs)
    }

    /// The data as a source of rows, to be gone through in pieces where it is larger than memory; see
    /// [`Stream`](crate::Stream).
    ///
    /// # Errors
    /// As [`apply`](Self::apply), as far as columns are concerned.
    pub fn source<'a>(&'a self, data: impl Into<Raw<'a>>) -> Result<Prepared<'a>> {
        Prepared::new(data.into(), self)
    }

    fn check_width(&self) -> Result<usize> {
        match self.input_width() {
            0 => Err(Error::Shape {
                what: "a preparation".into(),
                got: "no columns of inputs".into(),
                expected: "at least one".into(),
                advice: "fit one to training data".into(),
            }),
            width => Ok(width),
        }
    }

    /// Where a table has the columns: by name where there are names on both sides, else by number.
    fn places(&self, table: &Table, with_targets: bool) -> Result<Places> {
        let targets = match with_targets {
            true => self.target_columns(),
            false => &[],
        };
        let columns = || self.inputs.iter().map(|input| &input.column);
        let all_named = columns().chain(targets).all(|column| column.name.is_some());
        if table.names().is_some() && all_named {
            let named =
                |column: &super::Column| table.named(column.name.as_deref().unwrap_or_default());
            return Ok(Places {
                inputs: columns().map(named).collect::<Result<_>>()?,
                targets: targets.iter().map(named).collect::<Result<_>>()?,
            });
        }
        let all = self.target_columns();
        let narrow = self.width.saturating_sub(all.len());
        // Without the targets, columns behind them move forward.
        let moved = |index: usize| match table.cols() == self.width {
            true => index,
            false => index - all.iter().filter(|target| target.index < index).count(),
        };
        let fits = table.cols() == self.width || !with_targets && table.cols() == narrow;
        let places = Places {
            inputs: columns().map(|column| moved(column.index)).collect(),
            targets: targets.iter().map(|column| moved(column.index)).collect(),
        };
        if !fits
            || places
                .inputs
                .iter()
                .chain(&places.targets)
                .any(|&c| c >= table.cols())
        {
            let without = match with_targets {
                true => String::new(),
                false => format!(", or {narrow} without the targets"),
            };
            return Err(Error::Shape {
                what: table.file().into(),
                got: format!(
                    "{} columns, cut at {}",
                    table.cols(),
                    table.delimiter().in_words()
                ),
                expected: format!("{} columns, as the training data had{without}", self.width),
                advice:
                    "without a header, columns are known by their order: give them as they were"
                        .into(),
            });
        }
        Ok(places)
    }

    /// Whether a row misses a value that is needed.
    fn lacks(&self, row: &Row<'_>, places: &Places) -> Result<bool> {
        for &c in places.inputs.iter().chain(&places.targets) {
            if row.present(c)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn push_inputs(&self, row: &Row<'_>, places: &Places, out: &mut Vec<f32>) -> Result<()> {
        for (input, &c) in self.inputs.iter().zip(&places.inputs) {
            let text = match row.present(c)? {
                Some(text) => text,
                None => input.fill.as_deref().ok_or_else(|| is_missing(row, c))?,
            };
            match &input.encoding {
                Encoding::Number { .. } => {
                    let x = finite(row, c, text)?;
                    let x = input.scaled(x).ok_or_else(|| {
                        row.error(
                            c,
                            "is too far from the training data: scaled, it is not finite",
                            "correct it",
                        )
                    })?;
                    out.push(x);
                }
                Encoding::OneHot { categories, unseen } => {
                    let start = out.len();
                    out.resize(start + categories.len(), 0.0);
                    match categories.index(text) {
                        Some(i) => out[start + i] = 1.0,
                        None if *unseen == Unseen::Zeros => {}
                        None => {
                            return Err(row.error(
                                c,
                                "is a category that the training data did not have",
                                format!(
                                    "{}: correct it, or fit with unseen categories as zeros",
                                    categories.known(text)
                                ),
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn push_targets(&self, row: &Row<'_>, places: &Places, out: &mut Rows) -> Result<()> {
        for (i, &c) in places.targets.iter().enumerate() {
            let Some(text) = row.present(c)? else {
                return Err(row
                    .error(
                        c,
                        "is missing, but it is the target",
                        "fill it in, or leave that row out",
                    )
                    .of_kind(CellKind::MissingTarget));
            };
            match &self.target {
                TargetEncoding::None => {}
                TargetEncoding::Classes { classes, .. } => match classes.index(text) {
                    Some(class) => out.classes.push(class as u32),
                    None => {
                        return Err(row.error(
                            c,
                            "is a class that the model has not seen",
                            format!("{}: correct it, or train with it", classes.known(text)),
                        ));
                    }
                },
                TargetEncoding::Values { standardizer, .. } => {
                    let t = standardizer.forward(i, finite(row, c, text)?) as f32;
                    if !t.is_finite() {
                        let problem = "is too far from the training data: scaled, it is not finite";
                        return Err(row.error(c, problem, "correct it"));
                    }
                    out.values.push(t);
                }
            }
        }
        Ok(())
    }

    /// Rows of numbers, each column by its place.
    fn push_numbers(&self, raw: Raw<'_>, rows: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let cols = match raw {
            Raw::Table(_) => 0,
            Raw::Arrays(arrays) => arrays.inputs().cols(),
            Raw::Dataset(data) => data.inputs().cols(),
            Raw::Matrix(x) => x.cols(),
        };
        let numbers = |input: &InputColumn| matches!(input.encoding, Encoding::Number { .. });
        if cols != self.inputs.len() || !self.inputs.iter().all(numbers) {
            return Err(Error::Shape {
                what: raw.label().into(),
                got: format!("{cols} columns of numbers"),
                expected: format!("what the training data had: {self}"),
                advice: "give the same columns in the same order".into(),
            });
        }
        raw.for_inputs(rows, |r, row| {
            for (c, (input, &x)) in self.inputs.iter().zip(row).enumerate() {
                out.push(input.scaled(f64::from(x)).ok_or_else(|| Error::Value {
                    what: raw.label().into(),
                    value: shortest(x),
                    row: r,
                    col: c,
                    allowed:
                        "near enough to the training data to be finite when it is scaled".into(),
                })?);
            }
            Ok(())
        })
    }

    fn number_targets(&self, raw: Raw<'_>, rows: Range<usize>) -> Result<Targets> {
        let mismatch = |got: &str| Error::Targets {
            loss: "the preparation".into(),
            expected: self.target.to_string(),
            got: got.into(),
            advice: "give the targets that the training data had".into(),
        };
        let select: Vec<usize> = match raw {
            Raw::Dataset(_) => rows.clone().collect(),
            _ => Vec::new(),
        };
        match &self.target {
            TargetEncoding::None => Err(mismatch("targets")),
            TargetEncoding::Classes { classes, .. } => {
                let (file, labels) = match raw {
                    Raw::Dataset(data) => match data.targets().select(&select) {
                        Targets::Classes(labels) => ("the data set", labels),
                        Targets::Values(_) => return Err(mismatch("values")),
                    },
                    Raw::Arrays(arrays) => match arrays.targets() {
                        Some(targets) => (targets.name(), targets.labels(rows.clone())?),
                        None => return Err(mismatch("no targets")),
                    },
                    _ => return Err(mismatch("no targets")),
                };
                let class = |(i, label): (usize, &u32)| {
                    let index = classes.index_of_number(f64::from(*label));
                    index.map(|index| index as u32).ok_or_else(|| {
                        Cell {
                            file: file.into(),
                            place: format!("row {}", rows.start + i),
                            column: "targets".into(),
                            value: label.to_string(),
                            problem: "is a class that the model has not seen".into(),
                            advice: format!(
                                "{}: correct it, or train with it",
                                classes.known(&label.to_string())
                            ),
                            kind: CellKind::Other,
                        }
                        .into_error()
                    })
                };
                let labels = labels.iter().enumerate().map(class);
                Ok(Targets::Classes(labels.collect::<Result<_>>()?))
            }
            TargetEncoding::Values { standardizer, .. } => {
                let values = match raw {
                    Raw::Dataset(data) => match data.targets().select(&select) {
                        Targets::Values(values) => values,
                        Targets::Classes(_) => return Err(mismatch("classes")),
                    },
                    Raw::Arrays(arrays) => match arrays.targets() {
                        Some(targets) => targets.matrix(rows, 1.0)?,
                        None => return Err(mismatch("no targets")),
                    },
                    _ => return Err(mismatch("no targets")),
                };
                Ok(Targets::Values(standardizer.apply(&values)?))
            }
        }
    }
}

impl InputColumn {
    /// A number at its scale, if that is finite.
    fn scaled(&self, x: f64) -> Option<f32> {
        match self.encoding {
            Encoding::Number { shift, factor, .. } => Some(((x - shift) * factor) as f32),
            Encoding::OneHot { .. } => None,
        }
        .filter(|x| x.is_finite())
    }
}

/// Raw data and what prepares it, row by row as it is asked for; see [`Preparation::source`].
#[derive(Debug, Clone)]
pub struct Prepared<'a> {
    raw: Raw<'a>,
    preparation: &'a Preparation,
    places: Option<Places>,
    /// Rows that are left out, in order.
    dropped: Vec<usize>,
}

impl<'a> Prepared<'a> {
    fn new(raw: Raw<'a>, preparation: &'a Preparation) -> Result<Self> {
        preparation.check_width()?;
        let mut prepared = Self {
            raw,
            preparation,
            places: None,
            dropped: Vec::new(),
        };
        if let TargetEncoding::None = preparation.target {
            return Err(Error::Targets {
                loss: "apply".into(),
                expected: "a preparation that was fitted with targets".into(),
                got: "none".into(),
                advice: "use apply_inputs".into(),
            });
        }
        if let Raw::Table(table) = raw {
            let places = preparation.places(table, true)?;
            if preparation.drop_rows {
                table.for_rows(0..table.rows(), |row| {
                    if preparation.lacks(row, &places)? {
                        prepared.dropped.push(row.index);
                    }
                    Ok(())
                })?;
                if prepared.dropped.len() == table.rows() {
                    return Err(Error::EmptyData {
                        what: format!("{}, without its rows that miss values,", table.file()),
                    });
                }
            }
            prepared.places = Some(places);
        }
        Ok(prepared)
    }

    /// Rows that were left out because they miss values.
    pub fn dropped(&self) -> usize {
        self.dropped.len()
    }

    /// The number that the `row`-th of those kept has among all.
    fn raw_row(&self, row: usize) -> usize {
        // Before dropped row d, the i-th of them, there are d − i kept ones.
        let (mut low, mut high) = (0, self.dropped.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.dropped[middle] - middle <= row {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        row + low
    }
}

impl Source for Prepared<'_> {
    fn rows(&self) -> usize {
        self.raw.rows() - self.dropped.len()
    }

    fn read(&self, rows: Range<usize>) -> Result<Dataset> {
        check_rows(self.raw.label(), &rows, self.rows())?;
        let width = self.preparation.check_width()?;
        let mut out = Rows {
            inputs: reserved(self.raw.label(), rows.len(), width)?,
            ..Rows::default()
        };
        let (Raw::Table(table), Some(places)) = (self.raw, &self.places) else {
            self.preparation
                .push_numbers(self.raw, rows.clone(), &mut out.inputs)?;
            let inputs = Matrix::new(width, out.inputs)?;
            let targets = self.preparation.number_targets(self.raw, rows.clone())?;
            let ready = Dataset::new(inputs, targets)?;
            return match self.raw {
                Raw::Dataset(Dataset {
                    weights: Some(weights),
                    ..
                }) => ready.with_weights(weights[rows].to_vec()),
                _ => Ok(ready),
            };
        };
        let all = self.raw_row(rows.start)..self.raw_row(rows.end - 1) + 1;
        table.for_rows(all, |row| {
            if self.dropped.binary_search(&row.index).is_ok() {
                return Ok(());
            }
            self.preparation.push_inputs(row, places, &mut out.inputs)?;
            self.preparation.push_targets(row, places, &mut out)
        })?;
        let inputs = Matrix::new(width, out.inputs)?;
        match places.targets.len() {
            _ if self.preparation.classes().is_some() => Dataset::classes(inputs, out.classes),
            cols => Dataset::values(inputs, Matrix::new(cols, out.values)?),
        }
    }
}
