//! Files of data of any kind, told apart by their first bytes and their names.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::array::Array;
use super::bytes::{Bytes, GZIP};
use super::element::Task;
use super::part::Part;
use super::table::{CsvOptions, Table};
use super::wording::{listed, nearest};
use super::{Dataset, Preparation, PreparationOptions, foreign, idx, npy, npz, tensors};
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
pub struct DataFile {
    inputs: Part,
    targets: Option<Part>,
    task: Task,
    named: bool,
}

impl DataFile {
    /// Of inputs, and of targets that stand by themselves: a row of one belongs to the row of the same number of the other.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers of rows differ.
    pub fn new(inputs: Part, targets: Option<Part>, task: Task) -> Result<Self> {
        if let Some(targets) = &targets
            && targets.rows() != inputs.rows()
        {
            let both = ", and that both have a header or neither has";
            let headers = inputs.table().or(targets.table()).map_or("", |_| both);
            let got = targets.extent();
            let expected = match &inputs {
                Part::Table(table) => format!("{} rows, as {} has", table.rows(), table.file()),
                Part::Array(x) => {
                    format!("{} rows, as {} {:?} has", x.rows(), x.name(), x.shape())
                }
            };
            let advice = format!(
                "every row of inputs needs one target: see that the files belong together{headers}"
            );
            return Err(Error::shape(targets.file(), got, expected, advice));
        }
        Ok(Self {
            inputs,
            targets,
            task,
            named: false,
        })
    }

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
                let of_targets = OpenOptions {
                    csv: options.targets_csv.clone().unwrap_or(options.csv.clone()),
                    ..OpenOptions::default()
                };
                let mut inputs = part(inputs.as_ref(), options)?;
                let mut targets = part(targets.as_ref(), &of_targets)?;
                // One number a row is what is to be learnt.
                if let (Part::Array(x), Part::Array(t)) = (&inputs, &targets)
                    && x.shape().len() == 1
                    && t.shape().len() > 1
                {
                    std::mem::swap(&mut inputs, &mut targets);
                }
                Self::new(inputs, Some(targets), options.task)
            }
            _ => {
                let name = "the number of data files";
                let allowed = "one, or two that have inputs and targets";
                Err(Error::argument(name, paths.len(), allowed))
            }
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
        match kind {
            FileKind::Npz => {
                let mut archive = npz::Archive::open(&file, &bytes)?;
                let names = archive.names.clone();
                Self::by_name(&file, &names, options, |name| archive.array(name))
            }
            FileKind::Safetensors => {
                let names = tensors::names(&file, &bytes)?;
                let read = |name: &str| tensors::read(&file, &bytes, name);
                Self::by_name(&file, &names, options, read)
            }
            kind => Self::new(one(kind, file, path, bytes, options)?, None, options.task),
        }
    }

    /// The arrays of a file that has them by these names.
    fn by_name(
        file: &str,
        names: &[String],
        options: &OpenOptions,
        mut read: impl FnMut(&str) -> Result<Array>,
    ) -> Result<Self> {
        let (inputs, targets) = chosen(file, names, options)?;
        let inputs = Part::Array(read(&inputs)?);
        let targets = targets.map(|name| read(&name)).transpose()?;
        Ok(Self {
            named: true,
            ..Self::new(inputs, targets.map(Part::Array), options.task)?
        })
    }

    /// The inputs; of a table all its columns.
    pub fn inputs(&self) -> &Part {
        &self.inputs
    }

    /// The targets, where they stand by themselves.
    pub fn targets(&self) -> Option<&Part> {
        self.targets.as_ref()
    }

    /// Inputs, and targets that stand by themselves.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.inputs).chain(&self.targets)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.inputs.rows()
    }

    /// Whether it has arrays by their names.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// What was said of the targets.
    pub(crate) fn task(&self) -> Task {
        self.task
    }

    /// Some rows of arrays as they are, inputs times `scale`.
    ///
    /// # Errors
    /// As [`Array::matrix`] and [`Array::labels`]; [`Error::File`] if there are no targets, or for a table, of which a
    /// [`Preparation`] makes numbers.
    pub fn dataset(&self, rows: Range<usize>, scale: f64) -> Result<Dataset> {
        let inputs = self.inputs.numbers()?.matrix(rows.clone(), scale)?;
        let Some(targets) = &self.targets else {
            let advice = "give the array of targets too";
            return Err(Error::file(self.inputs.file(), "has no targets", advice));
        };
        let targets = targets.numbers()?;
        let classes = match self.task {
            Task::Auto => targets.cols() == 1 && targets.element().is_integer(),
            Task::Classification => true,
            Task::Regression => false,
        };
        match classes {
            true => Dataset::classes(inputs, targets.labels(rows)?),
            false => Dataset::values(inputs, targets.matrix(rows, 1.0)?),
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
        match part(path.as_ref(), &OpenOptions::default())? {
            Part::Array(array) => Ok(array),
            Part::Table(table) => Err(not_one_array(table.file())),
        }
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
enum FileKind {
    Table,
    Npy,
    Npz,
    Idx,
    Safetensors,
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// In lower case.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().to_lowercase()
}

/// Whether a file has one of these extensions, one of gzip left aside.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = file_name(path);
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| extensions.contains(&extension))
}

/// What kind of file it is, by its name.
fn kind_by_name(path: &Path) -> Option<FileKind> {
    let name = file_name(path);
    let extensions: [(FileKind, &[&str]); 4] = [
        (FileKind::Table, &["csv", "tsv", "tab", "txt"]),
        (FileKind::Npy, &["npy"]),
        (FileKind::Npz, &["npz"]),
        (FileKind::Safetensors, &["safetensors"]),
    ];
    let mut extensions = extensions.into_iter();
    let named = extensions.find(|(_, of)| has_extension(path, of));
    let idx = name.contains("idx") || name.contains("ubyte");
    named.map(|(kind, _)| kind).or(idx.then_some(FileKind::Idx))
}

/// What kind of file it is, by its first bytes.
fn kind_by_bytes(bytes: &[u8]) -> Option<FileKind> {
    let text = |bytes: &[u8]| !bytes.is_empty() && !bytes.contains(&0);
    match bytes {
        _ if bytes.starts_with(npy::MAGIC) => Some(FileKind::Npy),
        _ if foreign::is_zip(bytes) => Some(FileKind::Npz),
        _ if idx::is_idx(bytes) => Some(FileKind::Idx),
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(FileKind::Safetensors),
        _ if text(&bytes[..bytes.len().min(1024)]) => Some(FileKind::Table),
        _ => None,
    }
}

fn recognised(file: &str, path: &Path, bytes: Bytes) -> Result<(FileKind, Bytes)> {
    let by_name = kind_by_name(path);
    let unknown = |bytes: &[u8]| {
        let begin = npy::first_bytes(bytes);
        let problem = format!("is of no kind that is read: it begins with {begin}");
        let advice = "give CSV, NPY, NPZ, IDX or safetensors, with the extension that tells which";
        Error::file(file, problem, advice)
    };
    if !bytes.starts_with(GZIP) {
        foreign::check(file, &bytes)?;
        // Arrays and archives that are named as a table.
        let by_name = match by_name {
            Some(FileKind::Table) if foreign::is_zip(&bytes) => Some(FileKind::Npz),
            Some(FileKind::Table) if bytes.starts_with(npy::MAGIC) => Some(FileKind::Npy),
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
            FileKind::Npy => npy::length(file, first),
            FileKind::Idx => idx::length(file, first),
            FileKind::Table => Ok(UNPACKED_TABLE),
            _ => Err(Error::file(file, "is in gzip", "unpack it with gunzip")),
        }
    })?;
    if kind == Some(FileKind::Table) && unpacked.len() as u64 > UNPACKED_TABLE {
        let problem = format!("has more than {} when unpacked", Size(UNPACKED_TABLE));
        let advice = "unpack it with gunzip, so that it need not be in memory";
        return Err(Error::file(file, problem, advice));
    }
    Ok((kind.ok_or_else(|| unknown(&unpacked))?, unpacked))
}

/// The one array or table of a file.
fn part(path: &Path, options: &OpenOptions) -> Result<Part> {
    let file = name_of(path);
    let (kind, bytes) = recognised(&file, path, Bytes::open(path)?)?;
    one(kind, file, path, bytes, options)
}

fn one(
    kind: FileKind,
    file: String,
    path: &Path,
    bytes: Bytes,
    options: &OpenOptions,
) -> Result<Part> {
    Ok(match kind {
        FileKind::Npy => Part::Array(npy::read(&file, &bytes)?),
        FileKind::Idx => Part::Array(idx::read(&file, &bytes)?),
        FileKind::Table => {
            let tabs = has_extension(path, &["tsv", "tab"]);
            Part::Table(Table::new(file, bytes, &options.csv, tabs)?)
        }
        FileKind::Npz | FileKind::Safetensors => return Err(not_one_array(&file)),
    })
}

fn not_one_array(file: &str) -> Error {
    let advice =
        "give NPY, IDX or a table; NPZ and safetensors hold inputs and targets in one file";
    Error::file(file, "is no file of one array", advice)
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
        None => {
            let known = usual.iter().find(|&&u| names.iter().any(|n| n == u));
            Ok(known.map(|u| u.to_string()))
        }
    };
    let inputs = find(&options.inputs, &INPUTS)?;
    let targets = find(&options.targets, &TARGETS)?;
    match (inputs, names) {
        (Some(inputs), _) => Ok((inputs, targets)),
        (None, [only]) if targets.is_none() => Ok((only.clone(), None)),
        (None, _) => Err(unknown("x")),
    }
}
