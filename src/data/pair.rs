//! Inputs and targets that stand in two files, side by side.

use super::array::Array;
use super::table::Table;
use crate::error::{Error, Result};

/// A file of one table or one array.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Part {
    /// A table of text.
    Table(Table),
    /// An array.
    Array(Array),
}

impl Part {
    /// Rows.
    pub fn rows(&self) -> usize {
        match self {
            Part::Table(table) => table.rows(),
            Part::Array(array) => array.rows(),
        }
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        match self {
            Part::Table(table) => table.cols(),
            Part::Array(array) => array.cols(),
        }
    }

    /// What errors call it.
    pub fn file(&self) -> &str {
        match self {
            Part::Table(table) => table.file(),
            Part::Array(array) => array.name(),
        }
    }
}

/// Inputs and targets from two files of which at least one is a table: a row of one belongs to the row of the same number of the
/// other.
#[derive(Debug, Clone)]
pub struct Pair {
    inputs: Part,
    targets: Part,
}

impl Pair {
    /// Of two parts.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers of rows differ.
    pub fn new(inputs: Part, targets: Part) -> Result<Self> {
        if inputs.rows() != targets.rows() {
            return Err(Error::Shape {
                what: targets.file().into(),
                got: format!("{} rows", targets.rows()),
                expected: format!("{} rows, as {} has", inputs.rows(), inputs.file()),
                advice: "every row of inputs needs one target: see that the files belong together, and that both have a \
                         header or neither has"
                    .into(),
            });
        }
        Ok(Self { inputs, targets })
    }

    /// The inputs.
    pub fn inputs(&self) -> &Part {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &Part {
        &self.targets
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.inputs.rows()
    }
}
