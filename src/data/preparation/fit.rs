//! What the training data says. Here: data of numbers alone, and what tables share with it.

mod table;

use std::collections::BTreeSet;

use super::{
    Column, Encoding, InputColumn, Preparation, PreparationOptions, Raw, Scaling, TargetEncoding,
};
use crate::data::Targets;
use crate::data::array::Element;
use crate::data::class_map::ClassMap;
use crate::data::standardizer::{Moments, Standardizer};
use crate::data::table::{Row, number};
use crate::data::wording::shortened;
use crate::error::{CellKind, Error, Result};

impl Preparation {
    /// Fits a preparation to training data: a [`Table`](crate::Table), [`Arrays`](crate::Arrays), a [`Dataset`](crate::Dataset), or a
    /// [`Matrix`](crate::Matrix) of inputs.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is not there; [`Error::Cell`] for text in a column of numbers, a number that
    /// is not finite, a missing value that the options do not provide for, or a category too many; [`Error::OneClass`] if a
    /// target of classes has one; [`Error::File`] for a column without values; [`Error::Argument`] if options contradict each
    /// other.
    pub fn fit<'a>(data: impl Into<Raw<'a>>, options: &PreparationOptions) -> Result<Self> {
        match data.into() {
            Raw::Table(table) => table::fit(table, options),
            raw => fit_numbers(raw, options),
        }
    }
}

/// What to do about a value that should be a number.
pub(super) fn not_a_number(line: u64, value: &str) -> String {
    let mut advice = String::new();
    if value.contains(',') && number(&value.replace('.', "").replace(',', ".")).is_some() {
        advice += "write decimal points, not commas; or ";
    }
    if line == 1 {
        advice += "say that the first line is a header, if it is; or ";
    }
    advice + "correct it, count it among the missing values, or call the column categorical"
}

pub(super) fn is_missing(row: &Row<'_>, column: usize) -> Error {
    row.error(
        column,
        "is missing",
        "fill it in, or choose what becomes of missing values: the row is dropped, or the column's mean, median, most \
         frequent value or a constant stands in",
    )
    .of_kind(CellKind::MissingInput)
}

fn one_class(classes: &ClassMap, file: &str, column: &str, rows: usize) -> Result<()> {
    match classes.names() {
        [class] => Err(Error::OneClass {
            file: file.into(),
            column: column.into(),
            class: shortened(class),
            rows,
        }),
        _ => Ok(()),
    }
}

fn standardizer(moments: &[Moments], standardize: bool) -> Standardizer {
    if !standardize {
        return Standardizer::identity(moments.len());
    }
    let mut standardizer = Standardizer::default();
    moments
        .iter()
        .for_each(|moments| standardizer.push(moments));
    standardizer
}

/// Data of numbers alone.
fn fit_numbers(raw: Raw<'_>, options: &PreparationOptions) -> Result<Preparation> {
    let cols = match raw {
        Raw::Table(_) => unreachable!("tables go another way"),
        Raw::Arrays(arrays) => arrays.inputs().cols(),
        Raw::Dataset(data) => data.inputs().cols(),
        Raw::Matrix(x) => x.cols(),
    };
    let rows = raw.rows();
    let bytes = matches!(raw, Raw::Arrays(arrays) if arrays.inputs().element() == Element::U8);
    let mut moments = vec![Moments::default(); cols];
    raw.for_inputs(0..rows, |_, row| {
        for (moments, &x) in moments.iter_mut().zip(row) {
            moments.add(f64::from(x));
        }
        Ok(())
    })?;
    let inputs = moments.iter().enumerate().map(|(index, moments)| {
        let (shift, factor) = match options.scaling {
            Scaling::None => (0.0, 1.0),
            Scaling::Auto if bytes => (0.0, f64::from(1.0_f32 / 255.0)),
            Scaling::Auto | Scaling::Standard => moments.scaling(),
        };
        InputColumn {
            column: Column { name: None, index },
            encoding: Encoding::Number {
                shift,
                factor,
                constant: moments.is_constant(),
            },
            fill: None,
        }
    });
    let inputs = inputs.collect();
    let target = fit_targets(raw, cols, options)?;
    let mut preparation = Preparation {
        width: cols,
        inputs,
        target,
        drop_rows: false,
        missing: Vec::new(),
    };
    preparation.width += preparation.target_columns().len();
    Ok(preparation)
}

fn fit_targets(raw: Raw<'_>, cols: usize, options: &PreparationOptions) -> Result<TargetEncoding> {
    const CHUNK: usize = 1 << 16;
    let rows = raw.rows();
    let mut labels = BTreeSet::new();
    let mut moments = Vec::new();
    let mut add = |targets: &Targets| match targets {
        Targets::Classes(chunk) => labels.extend(chunk.iter().copied()),
        Targets::Values(values) => {
            moments.resize(values.cols(), Moments::default());
            for row in 0..values.rows() {
                for (moments, &t) in moments.iter_mut().zip(values.row(row)) {
                    moments.add(f64::from(t));
                }
            }
        }
    };
    match raw {
        Raw::Dataset(data) => add(data.targets()),
        Raw::Arrays(arrays) if arrays.targets().is_some() => {
            for start in (0..rows).step_by(CHUNK) {
                add(&arrays.read_targets(start..rows.min(start + CHUNK))?);
            }
        }
        _ => return Ok(TargetEncoding::None),
    }
    let column = |i| Column {
        name: None,
        index: cols + i,
    };
    if labels.is_empty() {
        return Ok(TargetEncoding::Values {
            columns: (0..moments.len()).map(column).collect(),
            standardizer: standardizer(&moments, options.standardize_target),
        });
    }
    let classes = ClassMap::new(labels.iter().map(u32::to_string))?;
    let file = match raw {
        Raw::Arrays(arrays) => arrays.targets().map_or("the targets", |t| t.name()),
        _ => raw.label(),
    };
    one_class(&classes, file, "targets", rows)?;
    Ok(TargetEncoding::Classes {
        column: column(0),
        classes,
    })
}
