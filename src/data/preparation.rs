//! From raw data to what a network takes, and back: fitted on training data, stored with the model, applied to new data.

mod apply;
mod fit;
mod prepared;
mod survey;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use prepared::Prepared;
pub use survey::{ColumnSurvey, Survey, SurveyedKind, Warning, WarningKind};

use super::class_map::ClassMap;
use super::element::Task;
use super::open::DataFile;
use super::standardizer::Standardizer;
use super::table::{ColumnRef, CsvOptions, Table};
use super::wording::{column_label, listed};
use super::{Dataset, Matrix, Real};
use crate::error::{Error, Result};

/// Data that a [`Preparation`] is fitted on or applied to.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Raw<'a> {
    /// A table of text.
    Table(&'a Table),
    /// A table or arrays from files.
    File(&'a DataFile),
    /// Inputs with targets, all numbers.
    Dataset(&'a Dataset),
    /// Inputs alone, all numbers.
    Matrix(&'a Matrix),
}

macro_rules! raw {
    ($($variant:ident: $type:ty,)*) => {$(
        impl<'a> From<&'a $type> for Raw<'a> {
            fn from(data: &'a $type) -> Self {
                Self::$variant(data)
            }
        }
    )*};
}

raw! {
    Table: Table,
    File: DataFile,
    Dataset: Dataset,
    Matrix: Matrix,
}

impl Raw<'_> {
    /// Rows, those included that a preparation may drop.
    pub fn rows(&self) -> usize {
        match self {
            Raw::Table(table) => table.rows(),
            Raw::File(file) => file.rows(),
            Raw::Dataset(data) => data.rows(),
            Raw::Matrix(x) => x.rows(),
        }
    }
}

/// What becomes of missing values in inputs: of a table the words for them, of arrays NaNs. A row without its target is an error
/// unless rows are dropped. What is filled in is found in the training data and stored; it takes no part in means and deviations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// They are an error.
    #[default]
    Error,
    /// The row is left out. For prediction, where each row needs an answer, they are an error.
    Drop,
    /// A column of numbers gets its mean; one of categories its most frequent, the first of equals.
    Mean,
    /// A column of numbers gets its median (fitting holds all its numbers in memory); one of categories its most frequent.
    Median,
    /// The most frequent value, the first of equals.
    MostFrequent,
    /// This value. A column of numbers with values missing must take it as a number; for a column of categories it is one more.
    Constant(String),
}

/// What becomes of a category that the training data did not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unseen {
    /// It is an error.
    #[default]
    Error,
    /// It is encoded as all zeros: none of the known ones.
    Zeros,
}

/// How columns of numbers are brought to scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Bytes of images (IDX, or arrays of more than two dimensions) as [`Bytes`](Self::Bytes); all else is standardised.
    #[default]
    Auto,
    /// To mean 0 and standard deviation 1, by a [`Standardizer`].
    Standard,
    /// Every number is multiplied by 1/255 as an f32, so that [`Storage::U8`](crate::Storage::U8) with that scale keeps bytes.
    Bytes,
    /// Not at all.
    None,
}

/// How a [`Preparation`] is fitted. Columns of arrays are known by their numbers from 0; those of targets that stand by themselves
/// count on behind the inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreparationOptions {
    /// The columns that the network shall answer. Empty: those that stand by themselves, or of a table the last one.
    pub targets: Vec<ColumnRef>,
    /// Columns that are left out.
    pub exclude: Vec<ColumnRef>,
    /// Columns that tell rows apart. They are no inputs; answers can be given with them.
    pub ids: Vec<ColumnRef>,
    /// The column that has the rows' weights; it is no input.
    pub weights: Option<ColumnRef>,
    /// Columns of categories, whatever their values look like.
    pub categorical: Vec<ColumnRef>,
    /// Columns of numbers: anything else in them is an error.
    pub numeric: Vec<ColumnRef>,
    /// What becomes of missing values.
    pub missing: Missing,
    /// What becomes of missing values in these columns, in the place of that.
    pub missing_in: Vec<(ColumnRef, Missing)>,
    /// What becomes of categories that the training data did not have.
    pub unseen: Unseen,
    /// Most categories of a column: one with more is an error, since each becomes an input.
    pub max_categories: usize,
    /// Whether the targets are classes or values.
    pub task: Task,
    /// How inputs are scaled.
    pub scaling: Scaling,
    /// Whether targets that are values are standardised; [`Preparation::inverse_target`] brings answers back.
    pub standardize_target: bool,
}

impl Default for PreparationOptions {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            exclude: Vec::new(),
            ids: Vec::new(),
            weights: None,
            categorical: Vec::new(),
            numeric: Vec::new(),
            missing: Missing::Error,
            missing_in: Vec::new(),
            unseen: Unseen::Error,
            max_categories: 1000,
            task: Task::Auto,
            scaling: Scaling::Auto,
            standardize_target: true,
        }
    }
}

/// A column that a preparation knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, if there was a header.
    pub name: Option<String>,
    /// Its number in the training data, from 0. Targets of arrays count on behind the inputs.
    pub index: usize,
}

impl Column {
    /// Its name, or its number where it has none.
    pub(crate) fn plain_name(&self) -> String {
        self.name.clone().unwrap_or(self.index.to_string())
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&column_label(self.name.as_deref(), self.index))
    }
}

/// A column of inputs, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputColumn {
    /// Which.
    pub column: Column,
    /// How it is encoded.
    pub encoding: Encoding,
    /// What stands in for a missing value; without it one is an error.
    pub fill: Option<String>,
}

/// How a column becomes inputs of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Encoding {
    /// A number x becomes `(x − shift)·factor`.
    Number {
        /// What is taken from it.
        shift: f64,
        /// What it is then multiplied by.
        factor: f64,
        /// Whether the training data had one number only.
        constant: bool,
    },
    /// A category becomes as many inputs as there are: 1 at its index, 0 elsewhere.
    OneHot {
        /// The categories.
        categories: ClassMap,
        /// What becomes of others.
        unseen: Unseen,
    },
}

/// The targets, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TargetEncoding {
    /// The training data had none.
    None,
    /// A class a row.
    Classes {
        /// Where it stands.
        column: Column,
        /// The classes.
        classes: ClassMap,
    },
    /// Numbers.
    Values {
        /// Where they stand.
        columns: Vec<Column>,
        /// Their scale.
        standardizer: Standardizer,
    },
}

/// What is done to raw data before a network sees it, fitted on training data: categories become one-hot columns, numbers are
/// standardised, missing values filled in, names of classes become indices. It is stored with a model (it is serialisable), so
/// that new data goes the same way; its description says what it does.
///
/// Columns are found by name where both tables have headers, whatever their order; else by number.
///
/// A column is one of numbers if all its present values are, and none is written as no number is: with leading zeros (`00501`), or
/// as a whole number beyond 2⁵³. If most are numbers and some are not, that is an error, unless the options call the column numeric
/// or categorical; if half or fewer are, it is one of categories. A [`Survey`] tells what was found.
///
/// ```
/// use wgrad::{CsvOptions, Preparation, PreparationOptions, Table};
///
/// let csv = "size,city,rent\n50,Bonn,500\n70,Essen,630\n60,Bonn,610\n";
/// let table = Table::from_bytes("flats.csv", csv, &CsvOptions::default())?;
/// let preparation = Preparation::fit(&table, &PreparationOptions::default())?;
/// println!("{preparation}"); // 1 number, standardised; 1 of categories, as 2 inputs; target column "rent": 1 value
/// let train = preparation.apply(&table)?;
/// assert_eq!(train.inputs().row(1), [1.2247449, 0.0, 1.0]); // (70 − 60)/8.16…, not Bonn, Essen
///
/// let new = Table::from_bytes("new.csv", "city,size\nEssen,60\n", &preparation.csv_options())?;
/// assert_eq!(preparation.apply_inputs(&new)?.row(0), [0.0, 0.0, 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// Columns of what it was fitted on, targets included.
    width: usize,
    inputs: Vec<InputColumn>,
    target: TargetEncoding,
    /// Whether the targets stood by themselves, beside the inputs.
    #[serde(default)]
    targets_apart: bool,
    /// Whether rows with missing values are left out.
    drop_rows: bool,
    /// Columns, targets among them, of which a missing value alone leaves its row out.
    #[serde(default)]
    drop_for: Vec<usize>,
    /// What counts as missing.
    missing: Vec<String>,
    /// Columns that tell rows apart.
    #[serde(default)]
    ids: Vec<Column>,
    /// The column of the rows' weights.
    #[serde(default)]
    weights: Option<Column>,
    /// How the table was read, with all that was guessed.
    #[serde(default)]
    read_as: Option<CsvOptions>,
    /// The same of the table of targets, where these stood by themselves.
    #[serde(default)]
    targets_read_as: Option<CsvOptions>,
}

impl Preparation {
    /// The columns of inputs, as the network sees them.
    pub fn inputs(&self) -> &[InputColumn] {
        &self.inputs
    }

    /// The targets.
    pub fn target(&self) -> &TargetEncoding {
        &self.target
    }

    /// Columns of the training data, targets included.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Inputs that the network needs.
    pub fn input_width(&self) -> usize {
        self.inputs.iter().map(|input| input.width()).sum()
    }

    /// Outputs that the network needs: one for each class, or one for each column of values; 0 without targets.
    pub fn output_width(&self) -> usize {
        match &self.target {
            TargetEncoding::None => 0,
            TargetEncoding::Classes { classes, .. } => classes.len(),
            TargetEncoding::Values { columns, .. } => columns.len(),
        }
    }

    /// The classes, if the targets are classes.
    pub fn classes(&self) -> Option<&ClassMap> {
        match &self.target {
            TargetEncoding::Classes { classes, .. } => Some(classes),
            _ => None,
        }
    }

    /// A name for each input of the network: the column's, with `=category` where it is one of categories.
    pub fn input_names(&self) -> Vec<String> {
        let names = |input: &InputColumn| match (&input.encoding, input.column.plain_name()) {
            (Encoding::Number { .. }, name) => vec![name],
            (Encoding::OneHot { categories, .. }, name) => {
                let each = categories.names().iter();
                each.map(|category| format!("{name}={category}")).collect()
            }
        };
        self.inputs.iter().flat_map(names).collect()
    }

    /// Columns of numbers that had one number only in the training data, and so say nothing.
    pub fn constant_columns(&self) -> Vec<&Column> {
        let constant = |input: &&InputColumn| {
            matches!(input.encoding, Encoding::Number { constant: true, .. })
        };
        let inputs = self.inputs.iter().filter(constant);
        inputs.map(|input| &input.column).collect()
    }

    /// Options to read a table that is to go this way: as the training data was read, with all that was guessed then. Of training
    /// data that was no table it is what counts as missing.
    pub fn csv_options(&self) -> CsvOptions {
        if let Some(read_as) = &self.read_as {
            return read_as.clone();
        }
        let named = self.inputs.iter().any(|input| input.column.name.is_some());
        CsvOptions {
            header: named.then_some(true),
            missing: match self.missing.is_empty() {
                true => CsvOptions::default().missing,
                false => self.missing.clone(),
            },
            ..Default::default()
        }
    }

    /// The same for a table of targets that stand by themselves, if the training data had one.
    pub fn targets_csv_options(&self) -> Option<CsvOptions> {
        self.targets_read_as.clone()
    }

    /// The columns that tell rows apart.
    pub fn ids(&self) -> &[Column] {
        &self.ids
    }

    /// The column that has the rows' weights, where there is one.
    pub fn weights(&self) -> Option<&Column> {
        self.weights.as_ref()
    }

    /// The same, with another rule for categories that the training data did not have.
    #[must_use]
    pub fn with_unseen(mut self, unseen: Unseen) -> Self {
        for input in &mut self.inputs {
            if let Encoding::OneHot { unseen: rule, .. } = &mut input.encoding {
                *rule = unseen;
            }
        }
        self
    }

    /// Whether one of its inputs is a column of categories.
    pub fn has_categories(&self) -> bool {
        let one_hot = |input: &InputColumn| matches!(input.encoding, Encoding::OneHot { .. });
        self.inputs.iter().any(one_hot)
    }

    /// A network's answers (N, targets) in the units of the training data.
    ///
    /// # Errors
    /// [`Error::Targets`] if the targets are no values; as [`Standardizer::inverse`].
    pub fn inverse_target<T: Real>(&self, answers: &Matrix<T>) -> Result<Matrix<f64>> {
        match &self.target {
            TargetEncoding::Values { standardizer, .. } => standardizer.inverse(answers),
            other => {
                let (expected, got) = ("targets that are values", other.to_string());
                let advice = "take the name of the largest output's class";
                Err(other_targets("inverse_target", expected, &got, advice))
            }
        }
    }

    /// Columns of the targets.
    fn target_columns(&self) -> &[Column] {
        match &self.target {
            TargetEncoding::None => &[],
            TargetEncoding::Classes { column, .. } => std::slice::from_ref(column),
            TargetEncoding::Values { columns, .. } => columns,
        }
    }
}

/// Targets of another kind than a call or a preparation takes.
fn other_targets(what: &str, expected: &str, got: &str, advice: &str) -> Error {
    Error::Targets {
        what: what.into(),
        expected: expected.into(),
        got: got.into(),
        advice: advice.into(),
    }
}

impl InputColumn {
    /// Inputs of the network that it becomes.
    fn width(&self) -> usize {
        match &self.encoding {
            Encoding::Number { .. } => 1,
            Encoding::OneHot { categories, .. } => categories.len(),
        }
    }
}

impl fmt::Display for TargetEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetEncoding::None => f.write_str("no targets"),
            TargetEncoding::Classes { column, classes } => {
                let (count, names) = (classes.len(), listed(classes.names()));
                write!(f, "target {column}: {count} classes ({names})")
            }
            TargetEncoding::Values {
                columns,
                standardizer: scale,
            } => {
                let plain = *scale == Standardizer::identity(columns.len());
                let how = if plain { "" } else { ", standardised" };
                match columns.as_slice() {
                    [column] => write!(f, "target {column}: a value{how}"),
                    columns => write!(f, "{} targets: values{how}", columns.len()),
                }
            }
        }
    }
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut numbers, mut scaled, mut categories, mut one_hot) = (0, 0, 0, 0);
        for input in &self.inputs {
            match &input.encoding {
                Encoding::Number { shift, factor, .. } => {
                    numbers += 1;
                    scaled += usize::from((*shift, *factor) != (0.0, 1.0));
                }
                Encoding::OneHot { categories: of, .. } => {
                    categories += 1;
                    one_hot += of.len();
                }
            }
        }
        if numbers > 0 {
            write!(f, "{numbers} column(s) of numbers")?;
            if scaled > 0 {
                f.write_str(", scaled")?;
            }
            let constant = self.constant_columns();
            if !constant.is_empty() {
                let names: Vec<String> = constant.iter().map(|c| c.plain_name()).collect();
                write!(f, " ({} constant: {})", names.len(), listed(&names))?;
            }
            f.write_str("; ")?;
        }
        if categories > 0 {
            write!(
                f,
                "{categories} column(s) of categories, as {one_hot} inputs; "
            )?;
        }
        write!(f, "{}", self.target)
    }
}
