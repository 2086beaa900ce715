//! Tables of text: CSV and its relatives, by any delimiter, with or without a header.

mod cuts;
mod delimiter;
mod evidence;
mod notation;
mod options;
mod records;
mod rows;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::bytes::Bytes;
use super::foreign;
use super::frame::{Frame, ValueAt};
use super::wording::{column_label, shortened};
use crate::error::{CellKind, Error, Result};
use csv::ByteRecord;
use evidence::{Evidence, Unclear, Written};
use notation::Notation;
use records::{Dialect, Mark, Records};

pub use delimiter::Delimiter;
pub(crate) use notation::{is_identifier, looks_like_money};
pub use options::{ColumnRef, CsvOptions};
pub(crate) use rows::{Cursor, Row, is_missing};

use options::{ascii, check_notation};
use rows::{KEPT, Kept};

/// Something about a file that was not said and so was guessed from what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// What was guessed: the delimiter, the header, the decimal mark, the thousands separator.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What speaks for it.
    pub evidence: String,
}

/// A table of text with a number of columns. Of one up to 64 MiB the values are kept in memory as they were cut; a larger file is
/// mapped (no program may shorten it meanwhile), nothing but an index is kept, and it is cut anew each time that it is gone
/// through. What the text means is a [`Preparation`](crate::Preparation)'s to say. Space around a value does not count; empty lines do not either.
///
/// ```
/// use wgrad::{CsvOptions, Table};
///
/// let csv = "city;rooms\nBonn;3\n\"Essen;\nsouth\";4\n";
/// let table = Table::from_bytes("flats.csv", csv, &CsvOptions::default())?;
/// assert_eq!((table.rows(), table.cols(), table.delimiter()), (2, 2, ';'.into()));
/// assert_eq!(table.names().unwrap(), ["city", "rooms"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    file: String,
    bytes: Bytes,
    dialect: Dialect,
    notation: Notation,
    missing: Vec<String>,
    guesses: Vec<Guess>,
    names: Option<Vec<String>>,
    cols: usize,
    rows: usize,
    /// Where every [`STRIDE`]-th record begins; a header is the first.
    marks: Vec<Mark>,
    /// The values of a small file, so that its text is cut but once.
    kept: Option<Arc<Kept>>,
}

/// Records from one mark to the next: the index of a large table stays small, and a row is found by reading a few.
const STRIDE: usize = 64;

/// A value as text, without the space around it.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

/// A value as a number; `inf` and `nan` are numbers in this sense.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

impl Table {
    /// The table in a file. A file whose name ends in `.tsv` or `.tab` has tabs between its values unless the options say other.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or is empty; [`Error::Line`] at the first line with another number of values than
    /// the first has, and for two columns of one name; [`Error::Cell`] for what is not UTF-8; [`Error::EmptyData`] for a
    /// header alone; [`Error::Argument`] if the options cannot be.
    pub fn open(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Self> {
        let path = path.as_ref();
        let extension = path.extension().unwrap_or_default();
        let named = |as_one: &str| extension.eq_ignore_ascii_case(as_one);
        let tabs = named("tsv") || named("tab");
        let file = path.display().to_string();
        Self::new(file, Bytes::open(path)?, options, tabs)
    }

    /// The table in these bytes; `file` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(
        file: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
        options: &CsvOptions,
    ) -> Result<Self> {
        Self::new(file.into(), bytes.into().into(), options, false)
    }

    /// `tabs`: whether the file is named as one that has tabs between values.
    pub(crate) fn new(
        file: String,
        mut bytes: Bytes,
        options: &CsvOptions,
        tabs: bool,
    ) -> Result<Self> {
        foreign::check_table(&file, &bytes)?;
        if bytes.starts_with("\u{feff}".as_bytes()) {
            bytes = bytes.part(3..bytes.len());
        }
        let quote = options.quote.map(|c| ascii("the quotation mark", c));
        let quote = quote.transpose()?;
        check_notation(options.decimal, options.thousands)?;
        let mut guesses = Vec::new();
        let delimiter = match options.delimiter {
            Some(Delimiter::Whitespace | Delimiter::Char(' ')) => None,
            Some(Delimiter::Char(c)) => Some(ascii("the delimiter", c)?),
            None => {
                let (delimiter, evidence) = cuts::guess(&bytes, quote, &options.missing, tabs);
                guesses.push(Guess {
                    what: "delimiter".into(),
                    found: Dialect { delimiter, quote }.named().to_string(),
                    evidence,
                });
                delimiter
            }
        };
        if quote.is_some() && quote == delimiter {
            let quote = options.quote.unwrap_or_default();
            let value = format!("{quote:?}, as the quotation mark");
            return Err(Error::argument("the delimiter", value, "another character"));
        }
        let mut table = Self {
            file,
            bytes,
            dialect: Dialect { delimiter, quote },
            notation: Notation::PLAIN,
            missing: options.missing.clone(),
            guesses,
            names: None,
            cols: 0,
            rows: 0,
            marks: Vec::new(),
            kept: None,
        };
        if table.bytes.trim_ascii().is_empty() {
            return Err(table.empty());
        }
        table.index(options)?;
        Ok(table)
    }

    /// Goes through the whole text once: number of values a line, encoding, where rows begin, and what values speak for where
    /// the options do not say.
    fn index(&mut self, options: &CsvOptions) -> Result<()> {
        let bytes = self.bytes.clone();
        let mut records = Records::new(&bytes, self.dialect, Mark::START);
        let said = options.header.is_some() && options.decimal.is_some();
        let (mut first, mut last) = (None, None);
        let mut count = 0_usize;
        let mut kept = (bytes.len() <= KEPT).then(Kept::default);
        while let Some(mark) = records
            .advance()
            .map_err(|e| self.changed(&e.to_string()))?
        {
            last = Some(mark);
            let record = &records.record;
            if std::str::from_utf8(record.as_slice()).is_err() {
                // The names are for the message alone.
                if let Some((line, evidence)) = first {
                    let _ = self.settle_header(options, line, &evidence);
                }
                return Err(self.not_utf8(mark.line, record));
            }
            if count.is_multiple_of(STRIDE) {
                self.marks.push(mark);
            }
            count += 1;
            if let Some(kept) = &mut kept {
                kept.push(record, mark.line);
            }
            let Some((first_line, evidence)) = &mut first else {
                self.cols = record.len();
                first = Some((mark.line, Evidence::new(record.clone(), mark.line)));
                records.cols = Some(self.cols);
                continue;
            };
            if record.len() != self.cols {
                return Err(self.ragged(*first_line, mark.line, record));
            }
            if !said {
                evidence.add(mark.line, record, &self.missing);
            }
        }
        if let Some(last) = last
            && self.is_open_ended(last)
        {
            let problem = "opens a quotation mark that is never closed";
            let advice = "close it, or double it where it stands for itself";
            return Err(self.line(last.line, problem, advice));
        }
        let Some((first_line, mut evidence)) = first else {
            return Err(self.empty());
        };
        self.settle_header(options, first_line, &evidence)?;
        self.rows = count - usize::from(self.names.is_some());
        self.kept = kept.map(Arc::new);
        if self.rows == 0 {
            let what = format!("{}, which has a header only,", self.file);
            return Err(Error::empty(what));
        }
        if self.names.is_none() && !said {
            evidence.add_first(&self.missing);
        }
        self.settle_notation(options, &evidence)
    }

    fn empty(&self) -> Error {
        let advice = "give a table with a line for each sample";
        Error::file(&self.file, "is empty", advice)
    }

    /// Says whether the first line is a header, and takes the names from it.
    fn settle_header(
        &mut self,
        options: &CsvOptions,
        line: u64,
        evidence: &Evidence,
    ) -> Result<()> {
        let is_header = options.header.unwrap_or_else(|| {
            let (is_header, evidence) = evidence.header(&self.missing);
            self.guess("header", if is_header { "yes" } else { "no" }, evidence);
            is_header
        });
        match is_header {
            true => self.set_names(line, evidence.first()),
            false => Ok(()),
        }
    }

    /// Says how numbers are written.
    fn settle_notation(&mut self, options: &CsvOptions, evidence: &Evidence) -> Result<()> {
        let found = evidence.notation(options.decimal, options.thousands);
        let (notation, Written { decimal, thousands }) =
            found.map_err(|unclear| self.unclear(unclear))?;
        self.notation = notation;
        let marks = [
            ("decimal mark", decimal),
            ("thousands separator", thousands),
        ];
        for (what, found) in marks {
            let Some(found) = found else { continue };
            let evidence = self.told(found.column, &found.example, " has it");
            self.guess(what, &found.mark.to_string(), evidence);
        }
        Ok(())
    }

    fn guess(&mut self, what: &str, found: &str, evidence: impl Into<String>) {
        self.guesses.push(Guess {
            what: what.into(),
            found: found.into(),
            evidence: evidence.into(),
        });
    }

    /// Where an example stands, or else that the column is of its kind.
    fn told(&self, column: usize, example: &Option<evidence::Example>, without: &str) -> String {
        let place = self.column_label(column);
        match example {
            Some((line, value)) => format!("{place} has {:?} in line {line}", shortened(value)),
            None => place + without,
        }
    }

    fn unclear(&self, unclear: Unclear) -> Error {
        match unclear {
            Unclear::Group { column, example } => {
                let (line, value) = example;
                let (whole, fraction) = (value.replace(',', ""), value.replace(',', "."));
                let problem = format!(
                    "may be {whole}, if the comma stands between thousands, or {fraction}, if it is the decimal mark, and \
                     nothing in the file tells which"
                );
                let advice =
                    "say that the thousands separator is a comma, or that the decimal mark is one";
                self.cell(line, column, &value, CellKind::Notation, &problem, advice)
            }
            Unclear::Marks { comma, point } => {
                let [comma, point] =
                    [comma, point].map(|(column, example)| self.told(column, &example, ""));
                let problem = format!(
                    "has numbers with a decimal comma and with a decimal point: {comma}, and {point}"
                );
                let advice =
                    "say which of them is the decimal mark; the other column is one of text then";
                Error::file(&self.file, problem, advice)
            }
        }
    }

    /// Whether the last record, which begins there, is still in quotation marks when the text ends: then one more line is a
    /// part of it.
    fn is_open_ended(&self, last: Mark) -> bool {
        let mut text = self.bytes[last.byte..].to_vec();
        text.extend(b"\nx");
        let mut records = Records::new(&text, self.dialect, Mark::START);
        let more = (0..2).all(|_| matches!(records.advance(), Ok(Some(_))));
        !more
    }

    fn set_names(&mut self, line: u64, record: &ByteRecord) -> Result<()> {
        let mut names: Vec<String> = Vec::with_capacity(record.len());
        let mut seen = std::collections::HashMap::new();
        for (i, value) in record.iter().enumerate() {
            let name = match text(value).unwrap_or_default() {
                "" => format!("column {i}"),
                name => name.to_string(),
            };
            if let Some(first) = seen.insert(name.clone(), i) {
                let problem = format!(
                    "the header names column {first} and column {i} (from 0) both {name:?}"
                );
                let advice = "give each column a name of its own, or say that there is no header";
                return Err(self.line(line, problem, advice));
            }
            names.push(name);
        }
        self.names = Some(names);
        Ok(())
    }

    fn ragged(&self, first_line: u64, line: u64, record: &ByteRecord) -> Error {
        let newlines = record.as_slice().iter().filter(|&&b| b == b'\n').count();
        let mark = self.delimiter().in_words();
        let mut advice = format!(
            "give every line as many values, and put a value that holds {mark} between quotation marks"
        );
        if newlines > 0 {
            advice = format!(
                "a quotation mark that this line opens is closed {newlines} lines further down or never: double it \
                 where it stands for itself; else {advice}"
            );
        }
        let (have, cols) = (record.len(), self.cols);
        let problem = format!("has {have} values, where line {first_line} has {cols}");
        self.line(line, problem, advice)
    }

    fn line(&self, line: u64, problem: impl Into<String>, advice: impl Into<String>) -> Error {
        Error::Line {
            file: self.file.clone(),
            line,
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    fn not_utf8(&self, line: u64, record: &ByteRecord) -> Error {
        let bad = record.iter().position(|v| std::str::from_utf8(v).is_err());
        let bad = bad.unwrap_or(0);
        let value = String::from_utf8_lossy(record.get(bad).unwrap_or_default());
        let advice = "save the file as UTF-8";
        self.cell(line, bad, &value, CellKind::Other, "is not UTF-8", advice)
    }

    fn changed(&self, what: &str) -> Error {
        changed(&self.file, what)
    }

    /// What errors call it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Rows, the header not counted.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The columns' names, if there is a header.
    pub fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// What stands between two values.
    pub fn delimiter(&self) -> Delimiter {
        self.dialect.named()
    }

    /// Options by which this file and others like it are read the same way, with nothing left to be guessed.
    pub fn read_as(&self) -> CsvOptions {
        CsvOptions {
            delimiter: Some(self.delimiter()),
            header: Some(self.names.is_some()),
            quote: self.dialect.quote.map(char::from),
            decimal: Some(self.notation.decimal),
            thousands: self.notation.thousands,
            missing: self.missing.clone(),
        }
    }

    /// What the options did not say and was guessed, with what speaks for it.
    pub fn guesses(&self) -> &[Guess] {
        &self.guesses
    }

    /// A value as a number, by the table's decimal mark and what stands between thousands.
    pub(crate) fn number(&self, text: &str) -> Option<f64> {
        self.notation.number(text)
    }

    /// The values that count as missing.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The number of a column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which tells the columns there are and the one most alike.
    pub fn column(&self, column: &ColumnRef) -> Result<usize> {
        Frame::new(self.into()).column(column)
    }

    /// An error about a value.
    fn cell(
        &self,
        line: u64,
        column: usize,
        value: &str,
        kind: CellKind,
        problem: &str,
        advice: &str,
    ) -> Error {
        let at = ValueAt {
            place: format!("line {line}"),
            text: value.into(),
        };
        Frame::new(self.into()).cell(column, &at, kind, problem, advice)
    }

    /// How errors call a column.
    pub(crate) fn column_label(&self, index: usize) -> String {
        let names = self.names.as_deref().unwrap_or_default();
        column_label(names.get(index).map(String::as_str), index)
    }

    /// The values of a row, as text.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such row; [`Error::File`] if the file changed meanwhile.
    pub fn row(&self, row: usize) -> Result<Vec<String>> {
        if row >= self.rows {
            let allowed = format!("below {}", self.rows);
            return Err(Error::argument("a row of a table", row, allowed));
        }
        let mut values = Vec::new();
        self.for_rows(row..row + 1, |row| {
            let texts = (0..self.cols).map(|c| row.text(c).map(String::from));
            values = texts.collect::<Result<_>>()?;
            Ok(())
        })?;
        Ok(values)
    }

    /// The rows from one on, to be gone through in order.
    pub(crate) fn rows_from(&self, row: usize) -> Result<Cursor<'_>> {
        let header = usize::from(self.names.is_some());
        let mark = (row + header) / STRIDE;
        let (byte, line) = (self.bytes.len(), 0);
        let start = self.marks.get(mark).copied().unwrap_or(Mark { byte, line });
        let mut records = Records::new(&self.bytes, self.dialect, start);
        records.cols = Some(self.cols);
        let mut cursor = Cursor {
            table: self,
            records,
            next: mark * STRIDE,
            header,
            line: 0,
        };
        while cursor.next < row + header && cursor.advance()? {}
        Ok(cursor)
    }

    /// Visits rows in order.
    pub(crate) fn for_rows(
        &self,
        rows: Range<usize>,
        mut visit: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = self.rows_from(rows.start)?;
        for _ in rows {
            if !cursor.advance()? {
                return Err(self.changed("it is shorter"));
            }
            visit(&cursor.row())?;
        }
        Ok(())
    }
}

/// The error of a file that another program writes to while it is read.
pub(crate) fn changed(file: &str, what: &str) -> Error {
    let problem = format!("changed while it was read ({what})");
    Error::file(file, problem, "let no other program write to it meanwhile")
}
