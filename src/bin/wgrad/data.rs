//! Data from files, prepared.

use std::path::{Path, PathBuf};

use wgrad::data::{DataFile, OpenOptions, Preparation, PreparationOptions};
use wgrad::error::CellKind;
use wgrad::{ColumnRef, CsvOptions, Dataset, Error, Matrix, Task};

use crate::failure::Failure;
use crate::input;
use crate::options::{Held, Names, Settings};

/// How the files of a run are read.
fn open_options(s: &Settings) -> OpenOptions {
    OpenOptions {
        csv: CsvOptions {
            delimiter: s.delimiter.map(Into::into),
            header: s.header,
            ..CsvOptions::default()
        },
        inputs: s.inputs_array.clone(),
        targets: s.targets_array.clone(),
        task: s.task.into(),
    }
}

fn columns(names: &Option<Names>) -> Vec<ColumnRef> {
    let names = names.iter().flat_map(|names| &names.0);
    names.map(|name| ColumnRef::Name(name.clone())).collect()
}

fn preparation_options(s: &Settings) -> PreparationOptions {
    PreparationOptions {
        targets: columns(&s.target),
        exclude: columns(&s.exclude),
        categorical: columns(&s.categorical),
        numeric: columns(&s.numeric),
        missing: s.missing.0.clone(),
        unseen: s.unseen.into(),
        task: s.task.into(),
        scaling: s.scaling.into(),
        // Losses of fractions see the numbers as they are.
        standardize_target: s.standardize_target && !s.loss.starts_with("binary"),
        ..PreparationOptions::default()
    }
}

fn files(data: &Path, targets: Option<&PathBuf>) -> Vec<PathBuf> {
    std::iter::once(data.to_owned())
        .chain(targets.cloned())
        .collect()
}

/// What a run trains on.
pub struct Training {
    pub data: Dataset,
    pub validation: Option<Dataset>,
    pub preparation: Preparation,
    /// What the files hold, in a line.
    pub summary: String,
}

/// The path of the data, which every run needs.
pub fn path(s: &Settings) -> Result<&Path, Failure> {
    s.data.as_deref().ok_or_else(|| {
        Failure::Usage(
            "no data was given: wgrad train DATA.csv, or `data = \"…\"` in the TOML file".into(),
        )
    })
}

/// The flag that does what an error advises.
fn with_flag(error: Error) -> Failure {
    let Error::Cell(cell) = &error else {
        return error.into();
    };
    let flag = match cell.kind {
        CellKind::MissingTarget => "--missing drop",
        CellKind::MissingInput => {
            "--missing RULE, one of drop, mean, median, most-frequent, constant(VALUE)"
        }
        CellKind::NotANumber => "--categorical NAMES",
        _ => return error.into(),
    };
    Failure::File(format!("{error}\nAs an option: {flag}"))
}

/// Reads and prepares the data of a run; the preparation is fitted on it, or is the one given.
pub fn training(s: &Settings, fitted: Option<&Preparation>) -> Result<Training, Failure> {
    let data_path = path(s)?;
    let open = open_options(s);
    let file = input::open(&files(data_path, s.targets.as_ref()), &open)?;
    if matches!(&file, DataFile::Arrays(arrays) if arrays.targets().is_none()) {
        return Err(Failure::File(format!(
            "{}: it has no targets to learn: give them by --targets FILE, or name an array of it by --targets-array",
            data_path.display()
        )));
    }
    let preparation = match fitted {
        Some(fitted) => fitted.clone(),
        None => Preparation::fit(&file, &preparation_options(s)).map_err(with_flag)?,
    };
    let data = preparation.apply(&file).map_err(with_flag)?;
    let validation = match &s.validation {
        Held::Share(_) => None,
        Held::File(path) => {
            let held = input::open(&files(path, s.validation_targets.as_ref()), &open)?;
            Some(preparation.apply(&held)?)
        }
    };
    let summary = describe(&file, data.rows());
    Ok(Training {
        data,
        validation,
        preparation,
        summary,
    })
}

fn describe(file: &DataFile, used: usize) -> String {
    let (rows, what) = match file {
        DataFile::Table(table) => {
            let header = if table.names().is_some() {
                "with a header"
            } else {
                "without a header"
            };
            let delimiter = table.delimiter();
            (
                table.rows(),
                format!(
                    "a table of {} columns {header}, cut at {delimiter}",
                    table.cols()
                ),
            )
        }
        DataFile::Arrays(arrays) => {
            let shape = |a: &wgrad::data::Array| {
                let dims: Vec<String> = a.shape().iter().map(usize::to_string).collect();
                format!("{:?} {}", a.element(), dims.join("×"))
            };
            let targets = arrays
                .targets()
                .map(|t| format!(", targets {}", shape(t)))
                .unwrap_or_default();
            (
                arrays.rows(),
                format!("inputs {}{targets}", shape(arrays.inputs())),
            )
        }
    };
    match rows - used {
        0 => format!("{} rows; {what}", crate::output::count(rows as u64)),
        dropped => format!(
            "{} rows, {dropped} of which are left out for missing values; {what}",
            crate::output::count(rows as u64)
        ),
    }
}

/// New data for a model that is there.
pub struct New<'a> {
    file: DataFile,
    preparation: &'a Preparation,
}

/// Flags of how new data is read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Reading {
    /// A file of its own for the targets, beside NPY or IDX data
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// What stands between two values of a table [default: found by itself]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<char>,
    /// Whether a table begins with names of columns [default: as in the training data]
    #[arg(long, value_name = "BOOL")]
    pub header: Option<bool>,
    /// Name of the array of inputs in an NPZ or safetensors file
    #[arg(long, value_name = "NAME")]
    pub inputs_array: Option<String>,
    /// Name of the array of targets in an NPZ or safetensors file
    #[arg(long, value_name = "NAME")]
    pub targets_array: Option<String>,
}

impl<'a> New<'a> {
    pub fn open(
        path: &Path,
        reading: &Reading,
        preparation: &'a Preparation,
    ) -> Result<Self, Failure> {
        let mut csv = preparation.csv_options();
        csv.delimiter = reading.delimiter.map(Into::into);
        csv.header = reading.header.or(csv.header);
        let options = OpenOptions {
            csv,
            inputs: reading.inputs_array.clone(),
            targets: reading.targets_array.clone(),
            task: match preparation.classes() {
                Some(_) => Task::Classification,
                None => Task::Regression,
            },
        };
        let file = input::open(&files(path, reading.targets.as_ref()), &options)?;
        Ok(Self { file, preparation })
    }

    pub fn rows(&self) -> usize {
        match &self.file {
            DataFile::Table(table) => table.rows(),
            DataFile::Arrays(arrays) => arrays.rows(),
        }
    }

    /// Inputs of some rows.
    pub fn inputs(&self, rows: std::ops::Range<usize>) -> Result<Matrix, Failure> {
        Ok(self.preparation.apply_input_rows(&self.file, rows)?)
    }

    /// Inputs and targets of all rows.
    pub fn dataset(&self) -> Result<Dataset, Failure> {
        Ok(self.preparation.apply(&self.file)?)
    }
}
