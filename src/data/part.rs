//! What one file of data holds.

use super::array::Array;
use super::table::Table;
use crate::error::{Error, Result};

/// A table, or an array: what one file holds, or has under a name.
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

    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match self {
            Part::Table(table) => Some(table),
            Part::Array(_) => None,
        }
    }

    /// The array, if it is one.
    pub fn array(&self) -> Option<&Array> {
        match self {
            Part::Table(_) => None,
            Part::Array(array) => Some(array),
        }
    }

    /// The array, where nothing else will do.
    pub(crate) fn numbers(&self) -> Result<&Array> {
        let advice = "fit a Preparation, which makes numbers of it";
        self.array()
            .ok_or_else(|| Error::file(self.file(), "is a table", advice))
    }

    /// Its rows, or all dimensions, for a message.
    pub(crate) fn extent(&self) -> String {
        match self {
            Part::Table(table) => format!("{} rows", table.rows()),
            Part::Array(array) => format!("{:?}", array.shape()),
        }
    }
}
