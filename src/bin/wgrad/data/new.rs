//! New data for a model that is there.

use std::path::{Path, PathBuf};

use wgrad::data::{DataFile, Delimiter, OpenOptions, Source};
use wgrad::{ColumnRef, Dataset, Matrix, Preparation, Task};

use super::{check_kind, columns, files, is_tsv, raw_values};
use crate::failure::{Failure, usage};
use crate::options::{NaValues, Names, UnseenRule};
use crate::{input, output};

/// New data for a model that is there.
pub struct New<'a> {
    file: DataFile,
    preparation: &'a Preparation,
    /// The columns that are passed through, with the names that they have in the answers.
    ids: Vec<(String, ColumnRef)>,
}

/// Flags of how new data is read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Reading {
    /// What stands between two values of a table: a character, tab or whitespace [default: as in the training data]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<Delimiter>,
    /// Whether a table begins with names of columns [default: as in the training data]
    #[arg(long, value_name = "BOOL")]
    pub header: Option<bool>,
    /// What stands before the fraction of a number in a table [default: as in the training data]
    #[arg(long, value_name = "CHAR")]
    pub decimal: Option<char>,
    /// What stands between thousands in a table [default: as in the training data]
    #[arg(long, value_name = "CHAR")]
    pub thousands: Option<char>,
    /// Words that count as missing in a table, with commas between them [default: as in the training data]
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub na_values: Option<NaValues>,
    /// Categories that the training data did not have [default: as for training]
    #[arg(long)]
    pub unseen: Option<UnseenRule>,
    /// Name of the array of inputs in an NPZ or safetensors file
    #[arg(long, value_name = "NAME")]
    pub inputs_array: Option<String>,
}

/// Flags of where the targets of new data are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Truth {
    /// A file of its own for the targets, beside the data
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// Name of the array of targets in an NPZ or safetensors file
    #[arg(long, value_name = "NAME")]
    pub targets_array: Option<String>,
}

impl Reading {
    /// The preparation with what was said of new data.
    pub fn preparation(&self, fitted: Preparation) -> Result<Preparation, Failure> {
        match self.unseen {
            None => Ok(fitted),
            Some(_) if !fitted.has_categories() => usage(
                "--unseen speaks of columns of categories, and the model has none: leave it out",
            ),
            Some(rule) => Ok(fitted.with_unseen(rule.into())),
        }
    }
}

impl<'a> New<'a> {
    pub fn open(
        path: &Path,
        reading: &Reading,
        truth: &Truth,
        preparation: &'a Preparation,
    ) -> Result<Self, Failure> {
        let mut csv = preparation.csv_options();
        // A table that is plainly of another dress than the training data's.
        let delimiter = csv.delimiter.filter(|_| !is_tsv(path));
        csv.delimiter = reading.delimiter.or(delimiter);
        csv.header = reading.header.or(csv.header);
        if reading.decimal.is_some() {
            // Another mark: what stood between thousands was of the other way to write numbers.
            csv.thousands = None;
        }
        csv.decimal = reading.decimal.or(csv.decimal);
        csv.thousands = reading.thousands.or(csv.thousands);
        if let Some(NaValues(words)) = &reading.na_values {
            csv.missing = words.clone();
        }
        let options = OpenOptions {
            csv,
            targets_csv: preparation.targets_csv_options(),
            inputs: reading.inputs_array.clone(),
            targets: truth.targets_array.clone(),
            task: match preparation.classes() {
                Some(_) => Task::Classification,
                None => Task::Regression,
            },
        };
        let file = input::open(&files(path, truth.targets.as_ref()), &options)?;
        let given = [
            ("delimiter", reading.delimiter.is_some()),
            ("header", reading.header.is_some()),
            ("decimal", reading.decimal.is_some()),
            ("thousands", reading.thousands.is_some()),
            ("na-values", reading.na_values.is_some()),
            ("inputs-array", reading.inputs_array.is_some()),
            ("targets-array", truth.targets_array.is_some()),
        ];
        check_kind(&file, path, &given)?;
        let places = preparation.id_places(&file)?;
        let ids = preparation.ids().iter().zip(places);
        let ids = ids.map(|(id, place)| match &id.name {
            Some(name) => (name.clone(), ColumnRef::Name(name.clone())),
            None => (format!("column {}", id.index), ColumnRef::Index(place)),
        });
        Ok(Self {
            ids: ids.collect(),
            file,
            preparation,
        })
    }

    /// With these columns to be passed through, in the place of those that the training data had for that.
    pub fn with_ids(mut self, names: &Option<Names>) -> Result<Self, Failure> {
        if names.is_some() {
            let named = columns(names).into_iter().map(|id| match &id {
                ColumnRef::Name(name) => (name.clone(), id),
                ColumnRef::Index(index) => (format!("column {index}"), id),
            });
            self.ids = named.collect();
        }
        let names = self.id_names();
        if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
            return usage(format!("--id names {:?} twice: once is enough", names[i]));
        }
        // That they are there is seen before anything is written.
        self.ids(0..1)?;
        Ok(self)
    }

    /// Says which columns of data without names are not looked at, since they are known by their places alone.
    pub fn tell_unused(&self) -> Result<(), Failure> {
        let unused = self.preparation.unused(&self.file)?;
        if !unused.is_empty() && unused.len() < 9 {
            let listed: Vec<String> = unused.iter().map(usize::to_string).collect();
            let listed = listed.join(", ");
            output::note(format_args!(
                "note: columns are known by their places, since they have no names in one of the two; not looked at: {listed}"
            ));
        }
        Ok(())
    }

    pub fn rows(&self) -> usize {
        self.file.rows()
    }

    /// Inputs of some rows.
    pub fn inputs(&self, rows: std::ops::Range<usize>) -> Result<Matrix, Failure> {
        Ok(self.preparation.apply_input_rows(&self.file, rows)?)
    }

    /// Names of the columns that are passed through.
    pub fn id_names(&self) -> Vec<String> {
        self.ids.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The columns that are passed through, of some rows: each a list of texts.
    pub fn ids(&self, rows: std::ops::Range<usize>) -> Result<Vec<Vec<String>>, Failure> {
        let texts = |(_, id): &_| Ok(Preparation::texts(&self.file, id, rows.clone())?);
        self.ids.iter().map(texts).collect()
    }

    /// Inputs and targets of all rows; of targets that are values also themselves, on the user's own scale. Rows that are left out
    /// are told of.
    pub fn dataset(&self) -> Result<(Dataset, Option<Matrix<f64>>), Failure> {
        let source = self.preparation.source(&self.file)?;
        if source.dropped() > 0 {
            let (dropped, of) = (source.dropped(), output::counted(self.rows() as u64, "row"));
            output::note(format_args!(
                "note: {dropped} of {of} are left out for missing values, as in training"
            ));
        }
        let data = source.read(0..source.rows())?;
        Ok((data, raw_values(&source, self.preparation)?))
    }
}
