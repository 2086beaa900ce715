//! What can go wrong, each with what was given, what is allowed and what to do.

mod constructors;

use std::io;
use std::path::Path;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong. The message says what came, what is allowed and what to do.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network has no layers, no inputs, or a layer without outputs.
    #[error("the network cannot be built: {reason}; it has {network}")]
    Network {
        /// What is wrong.
        reason: String,
        /// The network as given.
        network: String,
    },

    /// An argument is out of range.
    #[error("{name} is {value}, but must be {allowed}")]
    Argument {
        /// Name of the argument.
        name: String,
        /// The value that came.
        value: String,
        /// What is allowed.
        allowed: String,
    },

    /// A training batch of one row, in which batch normalisation has nothing to compare a row with.
    #[error(
        "batch normalisation needs at least 2 rows in every training batch, but {what} has 1: choose another batch size, or leave \
         that row out"
    )]
    OneRow {
        /// Which batch.
        what: String,
    },

    /// Two shapes do not fit.
    #[error("{what}: got {got}, expected {expected}: {advice}")]
    Shape {
        /// What was given.
        what: String,
        /// Its shape.
        got: String,
        /// The shape that fits.
        expected: String,
        /// Why, and what to do.
        advice: String,
    },

    /// A data set without rows.
    #[error("the data set is empty: {what} has 0 rows, and at least 1 is needed")]
    EmptyData {
        /// What is empty.
        what: String,
    },

    /// A batch size of 0 or beyond the data.
    #[error(
        "a batch of {batch} rows was asked for, but the data set has {rows}: choose 1 to {rows}"
    )]
    BatchSize {
        /// Rows asked for.
        batch: usize,
        /// Rows there are.
        rows: usize,
    },

    /// A class index that the network has no output for.
    #[error("row {row} of this batch has label {label}, but the network has {classes} outputs: labels go from 0 to {last}", last = .classes - 1)]
    Label {
        /// Row in the batch, from 0.
        row: usize,
        /// The label.
        label: u32,
        /// Outputs of the network.
        classes: usize,
    },

    /// A class index beyond the classes there are.
    #[error("row {row} has class {label}, but there are {classes} classes: they go from 0 to {last}", last = .classes.saturating_sub(1))]
    Class {
        /// Row, from 0.
        row: usize,
        /// The class index.
        label: u32,
        /// Classes there are.
        classes: usize,
    },

    /// A metric that says nothing about this data.
    #[error("{metric} is not defined here: {reason}")]
    Undefined {
        /// The metric.
        metric: String,
        /// Why.
        reason: String,
    },

    /// A number that is NaN or infinite, or outside the range that a loss allows.
    #[error("{what}: {value} stands at row {row}, column {col}, but must be {allowed}")]
    Value {
        /// What was given.
        what: String,
        /// The number.
        value: f64,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        col: usize,
        /// What is allowed.
        allowed: String,
    },

    /// The targets are of a kind that cannot be taken here.
    #[error("{what} takes {expected}, but the data has {got}: {advice}")]
    Targets {
        /// What takes targets of another kind: a loss, a method, or what is made of the data.
        what: String,
        /// What it takes.
        expected: String,
        /// What came.
        got: String,
        /// What to do.
        advice: String,
    },

    /// Output activation and loss do not fit.
    #[error("{loss} needs {needs} in the last layer, but it has {activation}: {advice}")]
    OutputActivation {
        /// The loss.
        loss: String,
        /// What it needs.
        needs: String,
        /// What the last layer has.
        activation: String,
        /// What to do.
        advice: String,
    },

    /// A custom activation's fragment does not compile.
    #[error("the WGSL fragment of activation {name:?} cannot be used:\n{message}")]
    Fragment {
        /// Name of the activation.
        name: String,
        /// The compiler's message, with the fragment's line.
        message: String,
    },

    /// A kernel does not compile on this adapter.
    #[error("kernel {kernel} does not compile on {adapter}:\n{message}")]
    Kernel {
        /// Name of the kernel.
        kernel: String,
        /// The adapter.
        adapter: String,
        /// The compiler's message.
        message: String,
    },

    /// The training loss is not finite. The updates concerned were skipped, so the weights are as they were before.
    #[error(
        "the loss of {batches} batch(es) was not finite; their updates were skipped, and the weights are as those batches \
         found them: start again from earlier weights with a lower learning rate, scale the inputs, or see that outputs \
         under −t·ln(a) stay above 0"
    )]
    NonFiniteLoss {
        /// Batches since the loss was last taken.
        batches: u64,
    },

    /// An update would have made some weights NaN or infinite; those weights were left as they were.
    #[error(
        "an update would have overflowed some weights; those were left as they were: \
         lower the learning rate, or scale the inputs"
    )]
    NonFiniteUpdate,

    /// `apply`, `gradients` or `take_loss` without a batch before it.
    #[error("{call} needs a batch, but no batch came before it: call step or accumulate first")]
    NothingAccumulated {
        /// The method called.
        call: String,
    },

    /// Rows that are to be averaged, and all have weight 0.
    #[error(
        "the {rows} row(s) of {what} all have weight 0, so there is no mean to take: leave them out, use larger batches, \
         or give some a weight"
    )]
    NoWeight {
        /// What the rows are.
        what: String,
        /// How many there are.
        rows: u64,
    },

    /// A call that does not take part in micro-batches, while some are waiting for their update.
    #[error("{call} while {rows} accumulated rows wait for their update: call apply() first")]
    Pending {
        /// Rows accumulated.
        rows: u64,
        /// The method called.
        call: String,
    },

    /// A tensor's name is not the network's.
    #[error("there is no tensor {name:?}; this network has {known}")]
    UnknownTensor {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// A file that cannot be used as a whole: it is not there, is cut short, or is not what its format says.
    #[error("{file}: {problem}: {advice}")]
    File {
        /// The file, with the name of the array in it where there is one.
        file: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },

    /// A line of a table that cannot be used.
    #[error("{file}, line {line}: {problem}: {advice}")]
    Line {
        /// The file.
        file: String,
        /// The line as an editor counts, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },

    /// A tensor of the network is not among those given.
    #[error("{what} has no tensor {name:?}, which this network needs; it has {found}")]
    MissingTensor {
        /// Where the tensors come from.
        what: String,
        /// The name that is missing.
        name: String,
        /// The names there are.
        found: String,
    },

    /// An activation that a file only names, because it is a function of the user's own.
    #[error(
        "activation {name:?} is a function of your own, and a file holds no more than its name: make it again with \
         Activation::custom and hand it to with_activations"
    )]
    MissingActivation {
        /// The activation's name.
        name: String,
    },

    /// A model that has no form in another format.
    #[error("{what} cannot be written as {format}: {reason}: {advice}")]
    Export {
        /// What was to be written.
        what: String,
        /// The format.
        format: String,
        /// What the format lacks, or what is wrong.
        reason: String,
        /// What to do.
        advice: String,
    },

    /// A checkpoint or a model of another network, loss or optimiser.
    #[error(
        "{what} is of another architecture; it is of\n  {found}\nand here is\n  {expected}\n{advice}"
    )]
    Architecture {
        /// What was given.
        what: String,
        /// Its network, and what else must fit.
        found: String,
        /// What would fit.
        expected: String,
        /// What to do.
        advice: String,
    },

    /// A value of a table that cannot be used.
    #[error("{0}")]
    Cell(Box<Cell>),

    /// A column of raw data that cannot be used as it seems to be meant.
    #[error("{file}, {column}: {problem}: {advice}")]
    Column {
        /// The file, or what the data is.
        file: String,
        /// The column: its name, or its number from 0.
        column: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
        /// What is wrong, for programs.
        kind: ColumnKind,
    },

    /// A column that the table does not have, or an array that the file does not have.
    #[error("{file} has no {column}{}; it has {known}", .nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default())]
    UnknownColumn {
        /// The file.
        file: String,
        /// The column asked for.
        column: String,
        /// The most similar name there is, if any is similar.
        nearest: Option<String>,
        /// The columns there are.
        known: String,
    },

    /// A classification of data that has one class only.
    #[error(
        "{file}, {column}: all {rows} rows are of one class, {class:?}, so there is nothing to learn: give data of at least two classes, or choose another target"
    )]
    OneClass {
        /// The file, or what the data is.
        file: String,
        /// The column.
        column: String,
        /// The class.
        class: String,
        /// Rows seen.
        rows: usize,
    },

    /// A checkpoint that would go on with other bits than it would have where it was made.
    #[error(
        "the checkpoint was made on {recorded}, and this is {found}: from here on the bits would differ; resume it there, or \
         use Trainer::resume_elsewhere to go on all the same"
    )]
    OtherDevice {
        /// The device that the checkpoint was made on.
        recorded: String,
        /// This device, or what is different with it.
        found: String,
    },

    /// No adapter at all.
    #[error(
        "no GPU adapter was found ({detail}); install a Vulkan driver (on Debian and Ubuntu \
         `apt-get install mesa-vulkan-drivers` brings a software one), or use Device::cpu()"
    )]
    NoAdapter {
        /// What was looked for.
        detail: String,
    },

    /// An adapter name or index that matches nothing.
    #[error("no adapter matches {wanted:?}; the adapters are:\n{available}")]
    AdapterNotFound {
        /// What was asked for.
        wanted: String,
        /// One line an adapter.
        available: String,
    },

    /// The network does not fit.
    #[error("{what} needs {}: {advice}", memory(*.need, *.have))]
    OutOfMemory {
        /// What was to be allocated.
        what: String,
        /// Bytes needed.
        need: u64,
        /// Bytes there are, where that can be told.
        have: Option<u64>,
        /// What to do.
        advice: String,
    },

    /// A limit of the device is exceeded.
    #[error("{what} needs {}: {advice}", allowed(*.need, *.limit, *.in_bytes))]
    Limit {
        /// What exceeds it.
        what: String,
        /// What it needs.
        need: u64,
        /// What is allowed.
        limit: u64,
        /// Whether these are bytes.
        in_bytes: bool,
        /// What to do.
        advice: String,
    },

    /// The device is gone. Its buffers are lost; build a new `Device` and `Trainer` and set the last weights read.
    #[error(
        "the GPU device was lost ({reason}): open a new Device and start from the last weights you read"
    )]
    DeviceLost {
        /// The driver's reason.
        reason: String,
    },

    /// Anything else that the driver reports.
    #[error("the GPU driver reports an error: {message}")]
    Gpu {
        /// The driver's message.
        message: String,
    },
}

/// A value of a table that cannot be used: where it stands, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}, {place}, {column}: {value:?} {problem}: {advice}")]
pub struct Cell {
    /// The file, or what the data is.
    pub file: String,
    /// `line 7`, as an editor counts; of data without lines, `row 7`, from 0.
    pub place: String,
    /// The column: its name, or its number from 0.
    pub column: String,
    /// The value as it stands there.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub advice: String,
    /// What is wrong with it, for programs.
    pub kind: CellKind,
}

/// What is wrong with a value of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CellKind {
    /// An input is missing, and nothing says what becomes of it.
    MissingInput,
    /// A target is missing.
    MissingTarget,
    /// Text where a number must be.
    NotANumber,
    /// A number that is infinite, or would be when it is scaled.
    NotFinite,
    /// A whole number beyond those that an f64 holds exactly.
    TooLarge,
    /// A category that the training data did not have.
    UnseenCategory,
    /// A class that the training data did not have.
    UnseenClass,
    /// No weight of a row.
    Weight,
    /// A number that can be read in two ways, as the decimal mark is not known.
    Notation,
    /// Anything else.
    #[default]
    Other,
}

/// What is wrong with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// It has no values.
    Empty,
    /// It has no values, and it is the target.
    EmptyTarget,
    /// Names where each of several targets must be numbers.
    TextTarget,
    /// A target that stands among the inputs too.
    TargetAmongInputs,
    /// All its values are one, and it is the target.
    ConstantTarget,
    /// About as many classes as rows.
    ManyClasses,
    /// Too many categories, or about as many as rows.
    ManyCategories,
    /// Numbers with a currency or a percent sign.
    Currency,
}

/// The f64 whose shortest decimal form is that of this f32, for a message: 0.1, not 0.10000000149011612.
pub(crate) fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// Bytes needed and to be had, for people; in full where their short forms are the same.
fn memory(need: u64, have: Option<u64>) -> String {
    let Some(have) = have else {
        return Size(need).to_string();
    };
    let [short, had] = [need, have].map(|n| Size(n).to_string());
    match short == had {
        true => format!("{need} bytes, but {have} are to be had"),
        false => format!("{short}, but {had} are to be had"),
    }
}

/// What is needed and what a device allows.
fn allowed(need: u64, limit: u64, in_bytes: bool) -> String {
    let [short, most] = [need, limit].map(|n| Size(n).to_string());
    match in_bytes && short != most {
        true => format!("{short}, but the device allows {most}"),
        false => format!("{need}, but the device allows {limit}"),
    }
}

/// A number of bytes for people: `12.3 GiB`.
pub(crate) struct Size(pub u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let mut x = self.0 as f64;
        let mut unit = None;
        for next in UNITS {
            // What would be shown as 1024.0 is one of the next.
            if x < 1023.95 {
                break;
            }
            x /= 1024.0;
            unit = Some(next);
        }
        match unit {
            None => write!(f, "{} bytes", self.0),
            Some(unit) => write!(f, "{x:.1} {unit}"),
        }
    }
}

/// The error of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::File {
        file: path.display().to_string(),
        problem: format!("it cannot be read ({error})"),
        advice: match error.kind() {
            io::ErrorKind::NotFound => "see that the path is right".into(),
            io::ErrorKind::PermissionDenied => "see that you may read it".into(),
            _ => "see what the system says of this disk".into(),
        },
    }
}

/// The message, so that `unwrap` and a `main` that returns the error tell what to do.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_units_of_people() {
        let need = |need, have| {
            let error = Error::OutOfMemory {
                what: "it".into(),
                need,
                have,
                advice: "wait".into(),
            };
            error.to_string()
        };
        assert_eq!(need(13_207_024_435, None), "it needs 12.3 GiB: wait");
        assert_eq!(
            need(1000, Some(1)),
            "it needs 1000 bytes, but 1 bytes are to be had: wait"
        );
        let told = "it needs 1.0 TiB, but 7.6 GiB are to be had: wait";
        assert_eq!(need((1 << 40) - 1, Some(8_160_000_000)), told);
        let told = "it needs 8589934593 bytes, but 8589934592 are to be had: wait";
        assert_eq!(need((8 << 30) + 1, Some(8 << 30)), told);
        assert_eq!(Size(u64::MAX).to_string(), "16.0 EiB");
    }
}
