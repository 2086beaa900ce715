//! The rows of a table, gone through in order: as they were cut and kept, or cut anew.

use csv::ByteRecord;

use super::records::Records;
use super::{Table, number, text};
use crate::error::Result;

/// A way through the rows of a table.
pub(crate) struct Cursor<'a> {
    pub(super) table: &'a Table,
    pub(super) records: Records<'a>,
    /// The number of the next record.
    pub(super) next: usize,
    /// Records before the first row.
    pub(super) header: usize,
    pub(super) line: u64,
}

impl Cursor<'_> {
    /// Goes to the next row, if there is one.
    pub fn advance(&mut self) -> Result<bool> {
        let table = self.table;
        if self.next >= table.rows + self.header {
            return Ok(false);
        }
        if let Some(kept) = &table.kept {
            self.line = kept.lines.get(self.next).copied().unwrap_or(0).into();
            self.next += 1;
            return Ok(true);
        }
        let mark = self
            .records
            .advance()
            .map_err(|e| table.changed(&e.to_string()))?;
        self.line = mark.ok_or_else(|| table.changed("it is shorter"))?.line;
        if self.records.record.len() != table.cols {
            return Err(table.changed(&format!("line {} is another", self.line)));
        }
        self.next += 1;
        Ok(true)
    }

    /// The row that it stands on, after [`advance`](Self::advance).
    pub fn row(&self) -> Row<'_> {
        Row {
            table: self.table,
            line: self.line,
            values: match &self.table.kept {
                Some(kept) => Values::Kept(kept, self.next - 1),
                None => Values::Record(&self.records.record),
            },
        }
    }
}

/// Files up to this size have their values kept: those that are read and not mapped.
pub(super) const KEPT: usize = 64 << 20;

/// The values of a whole text, cut: as they stand in it, but for their quotation marks.
#[derive(Debug, Default)]
pub(super) struct Kept {
    text: Vec<u8>,
    /// Where each value ends in the text.
    ends: Vec<u32>,
    /// The line of each record.
    lines: Vec<u32>,
}

impl Kept {
    pub fn push(&mut self, record: &ByteRecord, line: u64) {
        for value in record {
            self.text.extend_from_slice(value);
            self.ends.push(self.text.len() as u32);
        }
        self.lines.push(line as u32);
    }

    fn get(&self, value: usize) -> Option<&[u8]> {
        let end = *self.ends.get(value)? as usize;
        let start = match value {
            0 => 0,
            _ => self.ends[value - 1] as usize,
        };
        Some(&self.text[start..end])
    }
}

/// Where the values of a row are.
enum Values<'a> {
    Record(&'a ByteRecord),
    /// The record of this number.
    Kept(&'a Kept, usize),
}

/// A row as it stands in the text.
pub(crate) struct Row<'a> {
    table: &'a Table,
    pub line: u64,
    values: Values<'a>,
}

impl Row<'_> {
    /// The text of a value.
    pub fn text(&self, column: usize) -> Result<&str> {
        let value = match self.values {
            Values::Record(record) => record.get(column),
            Values::Kept(kept, record) => kept.get(record * self.table.cols + column),
        };
        text(value.unwrap_or_default()).ok_or_else(|| match self.values {
            Values::Record(record) => self.table.not_utf8(self.line, record),
            Values::Kept(..) => self.table.changed("its text is another"),
        })
    }

    /// The text of a value, or nothing where it counts as missing.
    pub fn present(&self, column: usize) -> Result<Option<&str>> {
        let text = self.text(column)?;
        Ok((!is_missing(text, &self.table.missing)).then_some(text))
    }
}

/// Whether a value counts as missing.
pub(crate) fn is_missing(text: &str, missing: &[String]) -> bool {
    let same = |token: &String| {
        token.eq_ignore_ascii_case(text)
            // -999 is missing as -999.0, too; a NaN is equal to nothing.
            || token.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                && number(token).is_some_and(|x| number(text) == Some(x))
    };
    missing.iter().any(same)
}
