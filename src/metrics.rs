//! What an evaluation says.

use std::fmt;

use serde::Serialize;

use crate::data::Targets;

/// Loss and accuracy over a data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evaluation {
    /// The loss, reduced over the whole set as the criterion says.
    pub loss: f64,
    /// Share of rows whose largest output is the class, where targets are class indices.
    pub accuracy: Option<f64>,
    /// Rows evaluated.
    pub rows: usize,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.loss.abs() < 1e-2 {
            write!(f, "loss {:.3e}", self.loss)?;
        } else {
            write!(f, "loss {:.5}", self.loss)?;
        }
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", 100.0 * accuracy)?;
        }
        write!(f, " ({} rows)", self.rows)
    }
}

/// Index of the largest element, the first of equals.
pub(crate) fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        if x > row[best] {
            best = i;
        }
    }
    best
}

/// Rows whose largest output (of `cols`) is the class; `None` if targets are no classes.
pub(crate) fn correct(outputs: &[f64], cols: usize, targets: &Targets) -> Option<usize> {
    let Targets::Classes(labels) = targets else {
        return None;
    };
    let rows = outputs.chunks(cols).zip(labels);
    Some(
        // A row with a NaN in it is never right.
        rows.filter(|(row, _)| row.iter().all(|x| !x.is_nan()))
            .filter(|(row, label)| argmax(row) == **label as usize)
            .count(),
    )
}
