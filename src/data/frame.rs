//! Raw data of any kind as rows of values: what tables of text, arrays and matrices have in common. Whoever decides what columns
//! are, fits or applies sees nothing else, so that the same numbers go the same way whatever file they come in.

use std::borrow::Cow;
use std::ops::Range;

use arrayvec::ArrayVec;

use super::array::Array;
pub(crate) use super::element::Value;
use super::part::Part;
use super::table::{self, ColumnRef, CsvOptions, Cursor, Delimiter, Row, Table, number};
use super::wording::{column_label, listed, nearest, shortened};
use super::{Column, Dataset, Matrix, Raw, Targets};
use crate::error::{Cell, CellKind, Error, Result};

/// Columns that stand side by side.
#[derive(Debug, Clone, Copy)]
enum Block<'a> {
    Table(&'a Table),
    Array(&'a Array),
    Matrix(&'a Matrix),
    Labels(&'a [u32]),
}

impl<'a> Block<'a> {
    fn rows(&self) -> usize {
        match self {
            Block::Table(table) => table.rows(),
            Block::Array(array) => array.rows(),
            Block::Matrix(x) => x.rows(),
            Block::Labels(labels) => labels.len(),
        }
    }

    fn cols(&self) -> usize {
        match self {
            Block::Table(table) => table.cols(),
            Block::Array(array) => array.cols(),
            Block::Matrix(x) => x.cols(),
            Block::Labels(_) => 1,
        }
    }

    fn table(&self) -> Option<&'a Table> {
        match self {
            Block::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Inputs, and targets that stand by themselves.
const BLOCKS: usize = 2;

/// Raw data as rows of values. Columns of targets that stand by themselves come behind those of the inputs.
#[derive(Debug, Clone)]
pub(crate) struct Frame<'a> {
    blocks: Vec<Block<'a>>,
    /// What errors call it.
    label: &'a str,
    rows: usize,
    cols: usize,
    /// The first column of targets that stand by themselves.
    pub targets_from: Option<usize>,
    missing: Vec<String>,
}

impl<'a> Frame<'a> {
    pub fn new(raw: Raw<'a>) -> Self {
        let part = |part: &'a Part| match part {
            Part::Table(table) => Block::Table(table),
            Part::Array(array) => Block::Array(array),
        };
        let (first, second, label) = match raw {
            Raw::Table(table) => (Block::Table(table), None, table.file()),
            Raw::File(file) => (
                part(file.inputs()),
                file.targets().map(part),
                file.inputs().file(),
            ),
            Raw::Dataset(data) => (
                Block::Matrix(data.inputs()),
                Some(match data.targets() {
                    Targets::Classes(labels) => Block::Labels(labels),
                    Targets::Values(values) => Block::Matrix(values),
                }),
                "the data set",
            ),
            Raw::Matrix(x) => (Block::Matrix(x), None, "the matrix"),
        };
        let targets_from = second.is_some().then(|| first.cols());
        let rows = first.rows();
        let blocks: Vec<Block<'a>> = std::iter::once(first).chain(second).collect();
        let missing = blocks.iter().find_map(Block::table).map(Table::missing);
        Self {
            cols: blocks.iter().map(Block::cols).sum(),
            blocks,
            label,
            rows,
            targets_from,
            missing: missing.map_or_else(|| CsvOptions::default().missing, <[_]>::to_vec),
        }
    }

    pub fn label(&self) -> &'a str {
        self.label
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    /// What counts as missing.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// How the table of inputs (block 0) or of targets that stand by themselves (1) was read, if there is one.
    pub fn read_as(&self, block: usize) -> Option<CsvOptions> {
        Some(self.blocks.get(block)?.table()?.read_as())
    }

    /// The block of a column, and the column's number in it.
    fn place(&self, column: usize) -> (usize, usize) {
        match self.targets_from {
            Some(from) if column >= from => (1, column - from),
            _ => (0, column),
        }
    }

    /// Whether a column's values are classes by their type.
    pub fn has_classes(&self, column: usize) -> bool {
        matches!(self.blocks[self.place(column).0], Block::Labels(_))
    }

    /// Whether a column's values are numbers by their type.
    pub fn has_numbers(&self, column: usize) -> bool {
        matches!(self.blocks[self.place(column).0], Block::Matrix(_))
    }

    /// Whether a column holds a byte of an image.
    pub fn is_image(&self, column: usize) -> bool {
        matches!(self.blocks[self.place(column).0], Block::Array(array) if array.is_image())
    }

    /// The file that a column stands in.
    pub fn file_of(&self, column: usize) -> &'a str {
        match self.blocks[self.place(column).0] {
            Block::Table(table) => table.file(),
            Block::Array(array) => array.name(),
            Block::Matrix(_) | Block::Labels(_) => self.label,
        }
    }

    /// A column's name, if it has one.
    pub fn name(&self, column: usize) -> Option<&'a str> {
        let (block, column) = self.place(column);
        let names = self.blocks[block].table()?.names()?;
        names.get(column).map(String::as_str)
    }

    /// Whether its inputs are a table of text.
    pub fn is_table(&self) -> bool {
        self.blocks[0].table().is_some()
    }

    /// Whether every column of its first block has a name.
    pub fn is_named(&self) -> bool {
        self.blocks[0].table().and_then(Table::names).is_some()
    }

    /// How errors call a column.
    pub fn column_label(&self, column: usize) -> String {
        column_label(self.name(column), column)
    }

    /// How its first table is cut, for a message.
    pub fn cut(&self) -> String {
        match self.blocks[0].table().map(Table::delimiter) {
            Some(Delimiter::Whitespace) => ", cut at white space".into(),
            Some(delimiter) => format!(", cut at {:?}", delimiter.to_string()),
            None => String::new(),
        }
    }

    /// The number of the column that has this name, even if the name is a number. A target is looked for among those that stand by
    /// themselves first.
    pub fn named(&self, name: &str, target: bool) -> Result<usize> {
        let from = self.targets_from.filter(|_| target).unwrap_or(0);
        let mut columns = (from..self.cols).chain(0..from);
        let index = columns.find(|&c| self.name(c) == Some(name));
        index.ok_or_else(|| self.unknown(&name.into()))
    }

    /// The number of a column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which tells the columns there are and the one most alike.
    pub fn column(&self, column: &ColumnRef) -> Result<usize> {
        let index = match column {
            ColumnRef::Index(index) => Some(*index),
            ColumnRef::Name(name) => {
                let named = (0..self.cols).find(|&c| self.name(c) == Some(name.trim()));
                named.or_else(|| name.trim().parse().ok())
            }
        };
        let known = index.filter(|&index| index < self.cols);
        known.ok_or_else(|| self.unknown(column))
    }

    /// The number of a column of targets. Where they stand by themselves, a name is looked for there first, and a number must be of
    /// one of them.
    ///
    /// # Errors
    /// As [`column`](Self::column); [`Error::Argument`] for the number of a column of inputs beside targets.
    pub fn target(&self, column: &ColumnRef) -> Result<usize> {
        let Some(from) = self.targets_from else {
            return self.column(column);
        };
        if let ColumnRef::Name(name) = column
            && let Some(c) = (from..self.cols).find(|&c| self.name(c) == Some(name.trim()))
        {
            return Ok(c);
        }
        let c = self.column(column)?;
        if c >= from {
            return Ok(c);
        }
        let name = format!("the target {}", self.column_label(c));
        let allowed = format!(
            "one of the targets, which stand by themselves: columns {from} to {}, counted on behind the inputs",
            self.cols - 1
        );
        Err(Error::argument(name, "a column of inputs", allowed))
    }

    fn unknown(&self, column: &ColumnRef) -> Error {
        let names = (0..self.cols).filter_map(|c| self.name(c));
        let names: Vec<String> = names.map(String::from).collect();
        let (column, near) = match column {
            ColumnRef::Index(index) => (format!("column {index} (from 0)"), None),
            ColumnRef::Name(name) => (format!("column {name:?}"), nearest(name, &names)),
        };
        // A first row that might have been names is the likeliest reason.
        let headless = self.blocks[0].table().filter(|_| !self.is_named());
        let first = headless.and_then(|table| table.row(0).ok());
        let first = first.map_or(String::new(), |row| {
            let line = shortened(&row.join(", "));
            format!(" (its first line, {line}, is taken for data)")
        });
        Error::UnknownColumn {
            file: self.label.into(),
            column,
            nearest: near,
            known: match names.is_empty() {
                false => listed(&names),
                true => format!("no header, and columns 0 to {}{first}", self.cols - 1),
            },
        }
    }

    /// Visits rows in order.
    pub fn for_rows(
        &self,
        rows: Range<usize>,
        mut visit: impl FnMut(&FrameRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let tables = self.blocks.iter().map(Block::table);
        let cursors = tables.map(|t| t.map(|t| t.rows_from(rows.start)).transpose());
        let mut cursors: ArrayVec<Option<Cursor<'_>>, BLOCKS> = cursors.collect::<Result<_>>()?;
        for index in rows {
            for cursor in cursors.iter_mut().flatten() {
                if !cursor.advance()? {
                    return Err(table::changed(self.label, "it is shorter"));
                }
            }
            let rows = cursors.iter().map(|c| c.as_ref().map(|c| c.row()));
            let rows: ArrayVec<Option<Row<'_>>, BLOCKS> = rows.collect();
            let (frame, rows) = (self, &*rows);
            visit(&FrameRow { frame, index, rows })?;
        }
        Ok(())
    }
}

/// A row of raw data.
pub(crate) struct FrameRow<'r> {
    frame: &'r Frame<'r>,
    /// Its number, from 0.
    pub index: usize,
    /// Of each block that is a table, its row.
    rows: &'r [Option<Row<'r>>],
}

impl FrameRow<'_> {
    /// A value.
    pub fn value(&self, column: usize) -> Result<Value<'_>> {
        let (block, column) = self.frame.place(column);
        let value = match (self.frame.blocks[block], &self.rows[block]) {
            (Block::Table(_), None) => Value::Missing,
            (Block::Table(_), Some(row)) => match row.present(column)? {
                Some(text) => Value::Text(Cow::Borrowed(text)),
                None => Value::Missing,
            },
            (Block::Array(array), _) => array.cell(self.index, column),
            (Block::Matrix(x), _) => Value::Number(f64::from(x.row(self.index)[column])),
            (Block::Labels(labels), _) => Value::Whole(labels[self.index].into()),
        };
        let of_array = self.rows[block].is_none();
        let lacks = match &value {
            Value::Number(x) => x.is_nan(),
            Value::Text(text) => of_array && table::is_missing(text.trim(), &self.frame.missing),
            _ => false,
        };
        Ok(if lacks { Value::Missing } else { value })
    }

    /// A value as a number; nothing if it is text.
    pub fn number(&self, column: usize, value: &Value<'_>) -> Option<f64> {
        match value {
            Value::Missing => None,
            Value::Number(x) => Some(*x),
            Value::Whole(i) => Some(*i as f64),
            Value::Text(text) => match self.frame.blocks[self.frame.place(column).0].table() {
                Some(table) => table.number(text),
                None => number(text.trim()),
            },
        }
    }

    /// Where it stands: the line of a table, as an editor counts, or the row.
    pub fn place(&self, column: usize) -> String {
        match &self.rows[self.frame.place(column).0] {
            Some(row) => format!("line {}", row.line),
            None => format!("row {}", self.index),
        }
    }

    /// A value with where it stands, for a message.
    pub fn at(&self, column: usize, value: &Value<'_>) -> ValueAt {
        let (block, in_block) = self.frame.place(column);
        let text = match (value, &self.rows[block]) {
            // A word for a missing value, as it stands there.
            (Value::Missing, Some(row)) => row.text(in_block).unwrap_or_default().to_owned(),
            (Value::Missing, None) => "NaN".into(),
            (value, _) => value.text().into_owned(),
        };
        let place = self.place(column);
        ValueAt { place, text }
    }

    /// An error about a value.
    pub fn error(
        &self,
        column: usize,
        value: &Value<'_>,
        kind: CellKind,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        let at = self.at(column, value);
        self.frame.cell(column, &at, kind, problem, advice)
    }

    /// The same, of a kind of which the same is said wherever it is seen.
    pub fn refused(&self, column: usize, value: &Value<'_>, kind: CellKind) -> Error {
        self.frame.refused(column, &self.at(column, value), kind)
    }
}

/// A value's text, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct ValueAt {
    pub place: String,
    pub text: String,
}

impl Frame<'_> {
    /// An error about a value.
    pub fn cell(
        &self,
        column: usize,
        at: &ValueAt,
        kind: CellKind,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        Error::Cell(Box::new(Cell {
            file: self.file_of(column).into(),
            place: at.place.clone(),
            column: self.column_label(column),
            value: shortened(&at.text),
            problem: problem.into(),
            advice: advice.into(),
            kind,
        }))
    }

    /// An error about a value, of a kind of which the same is said wherever it is seen.
    pub fn refused(&self, column: usize, at: &ValueAt, kind: CellKind) -> Error {
        let (problem, advice) = match kind {
            CellKind::NotFinite => (
                "is not finite",
                "correct it, leave the row out, or count it among the missing values",
            ),
            CellKind::TooLarge => (
                "is a whole number beyond 2^53, which no number here holds to the last digit",
                "leave the column out, or call it categorical if these are names",
            ),
            CellKind::MissingTarget => (
                "is missing, but it is the target",
                "fill it in, or leave that row out",
            ),
            CellKind::Weight => ("is no weight of a row", "give a finite number from 0 on"),
            _ => (
                "is missing",
                "fill it in, or choose what becomes of missing values: the row is dropped, or the column's mean, median, most \
                 frequent value or a constant stands in; or say that it is a value like others",
            ),
        };
        self.cell(column, at, kind, problem, advice)
    }

    /// A column as it is known from now on.
    pub fn known(&self, index: usize) -> Column {
        let name = self.name(index).map(String::from);
        Column { name, index }
    }
}

/// The weights of a data set's rows.
pub(crate) fn weights_of(raw: Raw<'_>) -> Option<&[f32]> {
    match raw {
        Raw::Dataset(data) => Dataset::weights(data),
        _ => None,
    }
}
