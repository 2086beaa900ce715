//! How a table is written, as far as it is said.

use serde::{Deserialize, Serialize};

use super::{Delimiter, notation};
use crate::error::{Error, Result};

/// How a table of text is written. What is not said is guessed from the whole file; [`Table::read_as`](super::Table::read_as) tells what was found, and
/// [`Table::guesses`](super::Table::guesses) why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// What stands between two values. `None`: that of comma, semicolon, tab and `|` that cuts the lines alike; of several, the
    /// one whose values make most sense as numbers and text; white space if none does, but white space does. In a file named
    /// `.tsv` it is a tab.
    pub delimiter: Option<Delimiter>,
    /// Whether the first line has the columns' names. `None`: what its values, beside those below them, speak for.
    pub header: Option<bool>,
    /// What values with delimiters or newlines in them stand between; doubled, it stands for itself. `None`: nothing does.
    pub quote: Option<char>,
    /// What stands before the fraction of a number, a point or a comma. `None`: what the file's numbers speak for.
    pub decimal: Option<char>,
    /// What stands between thousands: a comma, a point, a space of any kind, or an apostrophe. `None`: if the decimal mark is not
    /// said either, what the file's numbers speak for; else nothing.
    pub thousands: Option<char>,
    /// Values that count as missing, in upper or lower case.
    pub missing: Vec<String>,
}

impl Default for CsvOptions {
    /// Delimiter and header guessed, `"` as the quotation mark; nothing, `NA`, `N/A`, `NaN`, `null` and `?` are missing.
    fn default() -> Self {
        Self {
            delimiter: None,
            header: None,
            quote: Some('"'),
            decimal: None,
            thousands: None,
            missing: ["", "NA", "N/A", "NaN", "null", "?"]
                .map(String::from)
                .into(),
        }
    }
}

/// A column of a table, by its name or by its number from 0. A number in a string is one too, unless it is a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ColumnRef {
    /// By its number, from 0.
    Index(usize),
    /// By its name.
    Name(String),
}

impl From<&str> for ColumnRef {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for ColumnRef {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for ColumnRef {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

pub(super) fn ascii(what: &str, c: char) -> Result<u8> {
    let allowed = "one ASCII character, and no newline";
    match u8::try_from(c) {
        Ok(b) if b.is_ascii() && b != b'\n' && b != b'\r' => Ok(b),
        _ => Err(Error::argument(what, format!("{c:?}"), allowed)),
    }
}

/// Whether numbers can be written so.
pub(super) fn check_notation(decimal: Option<char>, thousands: Option<char>) -> Result<()> {
    let bad = |name: &str, value: char, allowed: &str| {
        Error::argument(name, format!("{value:?}"), allowed)
    };
    if let Some(c) = decimal.filter(|c| !['.', ','].contains(c)) {
        return Err(bad("the decimal mark", c, "a point or a comma"));
    }
    let allowed = "a comma, a point, a space or an apostrophe, and not the decimal mark";
    match thousands {
        Some(c) if !notation::is_thousands(c) || decimal == Some(c) => {
            Err(bad("the thousands separator", c, allowed))
        }
        _ => Ok(()),
    }
}
