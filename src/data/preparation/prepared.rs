//! Raw data the fitted way, as a source of rows.

use std::ops::Range;

use super::apply::{Places, class, finite};
use super::survey::raw_row;
use super::{Encoding, Preparation, Raw, TargetEncoding, other_targets};
use crate::data::array::{check_rows, reserved};
use crate::data::frame::{Frame, FrameRow, Value, weights_of};
use crate::data::{Dataset, Matrix, Source, Targets};
use crate::error::{Error, Result};

/// Inputs and targets on their way into a data set.
#[derive(Default)]
pub(super) struct PreparedRows {
    pub inputs: Vec<f32>,
    pub classes: Vec<u32>,
    pub values: Vec<f32>,
    pub weights: Vec<f32>,
}

/// Raw data and what prepares it, row by row as it is asked for; see [`Preparation::source`].
#[derive(Debug, Clone)]
pub struct Prepared<'a> {
    raw: Raw<'a>,
    frame: Frame<'a>,
    preparation: &'a Preparation,
    places: Places,
    /// Rows that are left out, in order.
    dropped: Vec<usize>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(raw: Raw<'a>, preparation: &'a Preparation) -> Result<Self> {
        preparation.check_width()?;
        if let TargetEncoding::None = preparation.target {
            let expected = "a preparation that was fitted with targets";
            return Err(other_targets("apply", expected, "none", "use apply_inputs"));
        }
        if let Raw::Dataset(data) = raw {
            let got = match (data.targets(), &preparation.target) {
                (Targets::Values(_), TargetEncoding::Classes { .. }) => Some("values"),
                (Targets::Classes(_), TargetEncoding::Values { .. }) => Some("classes"),
                _ => None,
            };
            if let Some(got) = got {
                let expected = preparation.target.to_string();
                let advice = "give the targets that the training data had";
                return Err(other_targets("the preparation", &expected, got, advice));
            }
        }
        let frame = Frame::new(raw);
        let places = preparation.places(&frame, true)?;
        let mut dropped = Vec::new();
        if preparation.drop_rows || !preparation.drop_for.is_empty() {
            frame.for_rows(0..frame.rows(), |row| {
                if preparation.drops(row, &places)? {
                    dropped.push(row.index);
                }
                Ok(())
            })?;
            if dropped.len() == frame.rows() {
                let what = format!("{}, without its rows that miss values,", frame.label());
                return Err(Error::empty(what));
            }
        }
        Ok(Self {
            raw,
            frame,
            preparation,
            places,
            dropped,
        })
    }

    /// Rows that were left out because they miss values.
    pub fn dropped(&self) -> usize {
        self.dropped.len()
    }

    /// Visits rows of those kept.
    fn for_rows(
        &self,
        rows: Range<usize>,
        mut visit: impl FnMut(&FrameRow<'_>) -> Result<()>,
    ) -> Result<()> {
        check_rows(self.frame.label(), &rows, self.rows())?;
        let all = raw_row(&self.dropped, rows.start)..raw_row(&self.dropped, rows.end - 1) + 1;
        self.frame
            .for_rows(all, |row| match self.dropped.binary_search(&row.index) {
                Ok(_) => Ok(()),
                Err(_) => visit(row),
            })
    }

    /// How many of these rows, by their numbers among those kept, have a category that the training data did not have.
    ///
    /// # Errors
    /// As [`read`](Source::read), but for such categories.
    pub fn unseen(&self, rows: &[usize]) -> Result<usize> {
        let mut asked = vec![false; self.frame.rows()];
        for &row in rows {
            check_rows(self.frame.label(), &(row..row + 1), self.rows())?;
            asked[raw_row(&self.dropped, row)] = true;
        }
        let mut count = 0;
        self.frame.for_rows(0..self.frame.rows(), |row| {
            if !asked[row.index] {
                return Ok(());
            }
            for (input, &c) in self.preparation.inputs.iter().zip(&self.places.inputs) {
                let Encoding::OneHot { categories, .. } = &input.encoding else {
                    continue;
                };
                let value = row.value(c)?;
                if value != Value::Missing && class(row, c, &value, categories).is_none() {
                    count += 1;
                    break;
                }
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// The targets of some rows (N, O) as the data has them, on the user's own scale: what answers that were
    /// [brought back](Preparation::inverse_target) are to be compared with.
    ///
    /// # Errors
    /// [`Error::Targets`] if they are classes; [`Error::Cell`] for a value that cannot be used; [`Error::Argument`] if there are no
    /// such rows.
    pub fn values(&self, rows: Range<usize>) -> Result<Matrix<f64>> {
        let TargetEncoding::Values { columns, .. } = &self.preparation.target else {
            let got = self.preparation.target.to_string();
            let expected = "targets that are values";
            let advice = "read the data set: its labels are class indices";
            return Err(other_targets("values", expected, &got, advice));
        };
        let mut values = reserved(self.frame.label(), rows.len(), columns.len())?;
        self.for_rows(rows, |row| {
            for &c in &self.places.targets {
                values.push(finite(row, c, &row.value(c)?)?);
            }
            Ok(())
        })?;
        Matrix::new(columns.len(), values)
    }
}

impl Source for Prepared<'_> {
    fn rows(&self) -> usize {
        self.frame.rows() - self.dropped.len()
    }

    fn read(&self, rows: Range<usize>) -> Result<Dataset> {
        check_rows(self.frame.label(), &rows, self.rows())?;
        let preparation = self.preparation;
        let width = preparation.check_width()?;
        let mut out = PreparedRows {
            inputs: reserved(self.frame.label(), rows.len(), width)?,
            ..PreparedRows::default()
        };
        self.for_rows(rows.clone(), |row| {
            preparation.push_inputs(row, &self.places, &mut out.inputs)?;
            preparation.push_weight(row, &self.places, &mut out)?;
            preparation.push_targets(row, &self.places, &mut out)
        })?;
        let inputs = Matrix::new(width, out.inputs)?;
        let ready = match self.places.targets.len() {
            _ if preparation.classes().is_some() => Dataset::classes(inputs, out.classes)?,
            cols => Dataset::values(inputs, Matrix::new(cols, out.values)?)?,
        };
        match weights_of(self.raw) {
            _ if self.places.weights.is_some() => ready.with_weights(out.weights),
            Some(weights) => {
                let kept = rows.map(|row| weights[raw_row(&self.dropped, row)]);
                ready.with_weights(kept.collect())
            }
            None => Ok(ready),
        }
    }
}
