//! Files of data of any kind, told apart by their first bytes and their names.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::array::{Array, Arrays, Task};
use super::bytes::{Bytes, GZIP};
use super::pair::{Pair, Part};
use super::table::{CsvOptions, Table};
use super::wording::{listed, nearest};
use super::{Dataset, Preparation, PreparationOptions, Raw, foreign, idx, npy, npz, tensors};
use crate::error::{Error, Result, Size};

/// How files of data are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenOptions {
    /// Of tables.
    pub csv: CsvOptions,
    /// Of a table of targets in a file of its own. `None`: as the others.
    pub targets_csv: Option<CsvOptions>,
    /// Name of the array of inputs in an NPZ or safetensors file. `None`: the first there is of x, X, inputs, images, features,
    /// data, x_train, X_train, arr_0.
    pub inputs: Option<String>,
    /// Name of the array of targets. `None`: the first there is of y, Y, t, targets, target, labels, label, y_train, Y_train,
    /// arr_1; without one there are no targets.
    pub targets: Option<String>,
    /// Whether targets of arrays are classes or values; a [`Preparation`] is told by its own options, and goes by this one where they say
    /// nothing.
    pub task: Task,
}

const INPUTS: [&str; 9] = [
    "x", "X", "inputs", "images", "features", "data", "x_train", "X_train", "arr_0",
];
const TARGETS: [&str; 10] = [
    "y", "Y", "t", "targets", "target", "labels", "label", "y_train", "Y_train", "arr_1",
];

/// Bytes that a table in a gzip file may have.
const UNPACKED_TABLE: u64 = 1 << 30;

/// A file of data, or a pair of files, as it is: not yet prepared.
///
/// | file | told by | holds |
/// |---|---|---|
/// | CSV, TSV | its name, or that it is text | a [`Table`] |
/// | NPY | its first bytes | an array: inputs, or with a second file targets |
/// | NPZ, safetensors | its first bytes; its name | arrays of inputs and targets, by their names |
/// | IDX | its first bytes, or `idx` or `ubyte` in its name | an array, as NPY |
///
/// Each may be in gzip, too. Of large files see [`Table`] and [`Array`].
#[derive(Debug, Clone)]
pub enum DataFile {
    /// A table of text.
    Table(Table),
    /// Arrays of numbers.
    Arrays(Arrays),
    /// Inputs and targets in two files, of which at least one is a table.
    Pair(Pair),
}

impl<'a> From<&'a DataFile> for Raw<'a> {
    fn from(file: &'a DataFile) -> Self {
        match file {
            DataFile::Table(table) => table.into(),
            DataFile::Arrays(arrays) => arrays.into(),
            DataFile::Pair(pair) => pair.into(),
        }
    }
}

impl DataFile {
    /// Opens a file that has inputs and perhaps targets, or a pair of files, inputs and targets (MNIST's images and labels in
    /// either order).
    ///
    /// # Errors
    /// [`Error::File`] if a file cannot be read, is not what its name or its first bytes say, is damaged, cut short or has
    /// more than it states, or is of no kind known; [`Error::UnknownColumn`] if an array is not there; [`Error::Shape`] if
    /// inputs and targets differ in rows; as [`Table::open`] for tables; [`Error::Argument`] for more files than that.
    pub fn open<P: AsRef<Path>>(paths: &[P], options: &OpenOptions) -> Result<Self> {
        match paths {
            [path] => {
                let path = path.as_ref();
                Self::of(name_of(path), path, Bytes::open(path)?, options)
            }
            [inputs, targets] => {
                let inputs = part(inputs.as_ref(), options)?;
                let of_targets = OpenOptions {
                    csv: options.targets_csv.clone().unwrap_or(options.csv.clone()),
                    ..OpenOptions::default()
                };
                let targets = part(targets.as_ref(), &of_targets)?;
                let (inputs, targets) = match (inputs, targets) {
                    (Part::Array(inputs), Part::Array(targets)) => (inputs, targets),
                    (inputs, targets) => return Ok(Self::Pair(Pair::new(inputs, targets)?)),
                };
                // One number a row is what is to be learnt.
                let (inputs, targets) = match (inputs.shape().len(), targets.shape().len()) {
                    (1, 2..) => (targets, inputs),
                    _ => (inputs, targets),
                };
                Ok(Self::Arrays(Arrays::new(
                    inputs,
                    Some(targets),
                    options.task,
                )?))
            }
            _ => Err(Error::Argument {
                name: "the number of data files".into(),
                value: paths.len().to_string(),
                allowed: "one, or two that have inputs and targets".into(),
            }),
        }
    }

    /// What these bytes hold, of a file that would have this name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(
        name: &str,
        bytes: impl Into<Vec<u8>>,
        options: &OpenOptions,
    ) -> Result<Self> {
        Self::of(name.into(), Path::new(name), bytes.into().into(), options)
    }

    fn of(file: String, path: &Path, bytes: Bytes, options: &OpenOptions) -> Result<Self> {
        let (kind, bytes) = recognised(&file, path, bytes)?;
        let one = |array| Ok(Self::Arrays(Arrays::new(array, None, options.task)?));
        match kind {
            Kind::Table => Ok(Self::Table(table(file, path, bytes, options)?)),
            Kind::Npy => one(npy::read(&file, &bytes)?),
            Kind::Idx => one(idx::read(&file, &bytes)?),
            Kind::Npz => {
                let mut archive = npz::Archive::open(&file, &bytes)?;
                let (inputs, targets) = chosen(&file, &archive.names, options)?;
                let inputs = archive.array(&inputs)?;
                let targets = targets.map(|targets| archive.array(&targets)).transpose()?;
                Ok(Self::Arrays(
                    Arrays::new(inputs, targets, options.task)?.by_name(),
                ))
            }
            Kind::Safetensors => {
                let (inputs, targets) = chosen(&file, &tensors::names(&file, &bytes)?, options)?;
                let inputs = tensors::read(&file, &bytes, &inputs)?;
                let targets = targets
                    .map(|name| tensors::read(&file, &bytes, &name))
                    .transpose()?;
                Ok(Self::Arrays(
                    Arrays::new(inputs, targets, options.task)?.by_name(),
                ))
            }
        }
    }
}

impl Array {
    /// The array of an NPY or IDX file, which may be in gzip.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, is neither, is damaged, is cut short or has more than it states;
    /// [`Error::EmptyData`] if it has no elements.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        array(path.as_ref())
    }
}

impl Dataset {
    /// The data of a file, or of a pair of files, ready for a network, and the preparation that made it so: what
    /// [`DataFile::open`], [`Preparation::fit`] and [`Preparation::apply`] do one after the other. For new data, keep the
    /// preparation.
    ///
    /// # Errors
    /// As these three.
    pub fn open<P: AsRef<Path>>(
        paths: &[P],
        open: &OpenOptions,
        prepare: &PreparationOptions,
    ) -> Result<(Self, Preparation)> {
        let file = DataFile::open(paths, open)?;
        let preparation = Preparation::fit(&file, prepare)?;
        let data = preparation.apply(&file)?;
        Ok((data, preparation))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Table,
    Npy,
    Npz,
    Idx,
    Safetensors,
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// Whether a file has one of these extensions, one of gzip left aside.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| extensions.contains(&extension))
}

/// What kind of file it is, by its name.
fn kind_by_name(path: &Path) -> Option<Kind> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    if has_extension(path, &["csv", "tsv", "tab", "txt"]) {
        Some(Kind::Table)
    } else if has_extension(path, &["npy"]) {
        Some(Kind::Npy)
    } else if has_extension(path, &["npz"]) {
        Some(Kind::Npz)
    } else if has_extension(path, &["safetensors"]) {
        Some(Kind::Safetensors)
    } else if name.contains("idx") || name.contains("ubyte") {
        Some(Kind::Idx)
    } else {
        None
    }
}

/// What kind of file it is, by its first bytes.
fn kind_by_bytes(bytes: &[u8]) -> Option<Kind> {
    let text = |bytes: &[u8]| !bytes.is_empty() && !bytes.contains(&0);
    match bytes {
        _ if bytes.starts_with(npy::MAGIC) => Some(Kind::Npy),
        _ if foreign::is_zip(bytes) => Some(Kind::Npz),
        _ if idx::is_idx(bytes) => Some(Kind::Idx),
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(Kind::Safetensors),
        _ if text(&bytes[..bytes.len().min(1024)]) => Some(Kind::Table),
        _ => None,
    }
}

fn recognised(file: &str, path: &Path, bytes: Bytes) -> Result<(Kind, Bytes)> {
    let by_name = kind_by_name(path);
    let unknown = |bytes: &[u8]| Error::File {
        file: file.into(),
        problem: format!(
            "is of no kind that is read: it begins with {}",
            npy::first_bytes(bytes)
        ),
        advice: "give CSV, NPY, NPZ, IDX or safetensors, with the extension that tells which"
            .into(),
    };
    if !bytes.starts_with(GZIP) {
        foreign::check(file, &bytes)?;
        // Arrays and archives that are named as a table.
        let by_name = match by_name {
            Some(Kind::Table) if foreign::is_zip(&bytes) => Some(Kind::Npz),
            Some(Kind::Table) if bytes.starts_with(npy::MAGIC) => Some(Kind::Npy),
            by_name => by_name,
        };
        let kind = by_name.or_else(|| kind_by_bytes(&bytes));
        return Ok((kind.ok_or_else(|| unknown(&bytes))?, bytes));
    }
    let mut kind = by_name;
    let unpacked = bytes.unpacked(file, |first| {
        foreign::check(file, first)?;
        let of = *kind.get_or_insert(kind_by_bytes(first).ok_or_else(|| unknown(first))?);
        match of {
            Kind::Npy => npy::length(file, first),
            Kind::Idx => idx::length(file, first),
            Kind::Table => Ok(UNPACKED_TABLE),
            Kind::Npz | Kind::Safetensors => Err(Error::File {
                file: file.into(),
                problem: "is in gzip".into(),
                advice: "unpack it with gunzip".into(),
            }),
        }
    })?;
    if kind == Some(Kind::Table) && unpacked.len() as u64 > UNPACKED_TABLE {
        return Err(Error::File {
            file: file.into(),
            problem: format!("has more than {} when unpacked", Size(UNPACKED_TABLE)),
            advice: "unpack it with gunzip, so that it need not be in memory".into(),
        });
    }
    Ok((kind.ok_or_else(|| unknown(&unpacked))?, unpacked))
}

/// The one array of a file.
fn array(path: &Path) -> Result<Array> {
    match part(path, &OpenOptions::default())? {
        Part::Array(array) => Ok(array),
        Part::Table(table) => Err(not_one_array(table.file())),
    }
}

/// The one array or table of a file.
fn part(path: &Path, options: &OpenOptions) -> Result<Part> {
    let file = name_of(path);
    Ok(match recognised(&file, path, Bytes::open(path)?)? {
        (Kind::Npy, bytes) => Part::Array(npy::read(&file, &bytes)?),
        (Kind::Idx, bytes) => Part::Array(idx::read(&file, &bytes)?),
        (Kind::Table, bytes) => Part::Table(table(file, path, bytes, options)?),
        (Kind::Npz | Kind::Safetensors, _) => return Err(not_one_array(&file)),
    })
}

fn not_one_array(file: &str) -> Error {
    Error::File {
        file: file.into(),
        problem: "is no file of one array".into(),
        advice: "give NPY, IDX or a table; NPZ and safetensors hold inputs and targets in one file"
            .into(),
    }
}

fn table(file: String, path: &Path, bytes: Bytes, options: &OpenOptions) -> Result<Table> {
    let tabs = has_extension(path, &["tsv", "tab"]);
    Table::new(file, bytes, &options.csv, tabs)
}

/// Names of the arrays of inputs and targets.
fn chosen(file: &str, names: &[String], options: &OpenOptions) -> Result<(String, Option<String>)> {
    let unknown = |wanted: &str| Error::UnknownColumn {
        file: file.into(),
        column: format!("array {wanted:?}"),
        nearest: nearest(wanted, names),
        known: match names {
            [] => "none".into(),
            names => listed(names),
        },
    };
    let find = |wanted: &Option<String>, usual: &[&str]| match wanted {
        Some(name) if names.contains(name) => Ok(Some(name.clone())),
        Some(name) => Err(unknown(name)),
        None => Ok(usual
            .iter()
            .find(|&&u| names.iter().any(|n| n == u))
            .map(|&u| u.to_string())),
    };
    let inputs = find(&options.inputs, &INPUTS)?;
    let targets = find(&options.targets, &TARGETS)?;
    match (inputs, names) {
        (Some(inputs), _) => Ok((inputs, targets)),
        (None, [only]) if targets.is_none() => Ok((only.clone(), None)),
        (None, _) => Err(unknown("x")),
    }
}
