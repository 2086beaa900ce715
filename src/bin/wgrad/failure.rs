//! What ends the program, and its exit code.

mod data;

use std::fmt;
use std::path::Path;

use wgrad::Error;

use crate::output;

/// What ended the program.
#[derive(Debug)]
pub enum Failure {
    /// Of the library.
    Library(Error),
    /// The command line or a file of options is wrong.
    Usage(String),
    /// A check did not pass; what it was has been said.
    Check(String),
    /// A file or a folder.
    File(String),
    /// The device.
    Device(String),
    /// Interrupted; what was saved has been said.
    Interrupted,
    /// Nobody reads the output any more.
    Closed,
}

/// The command that a message is read at: what can be done depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Train,
    /// One of the others that have `--device`.
    Device,
    /// One of those that have not.
    Elsewhere,
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Library(error) => of_library(error),
            Failure::Usage(_) => 2,
            Failure::Check(_) => 1,
            Failure::File(_) => 3,
            Failure::Device(_) => 4,
            Failure::Interrupted => 130,
            Failure::Closed => 0,
        }
    }

    /// What happened; nothing where that was said, or where nobody reads it.
    pub fn text(&self, at: At) -> Option<String> {
        match self {
            Failure::Library(error) => Some(told(error, at)),
            Failure::Usage(text)
            | Failure::Check(text)
            | Failure::File(text)
            | Failure::Device(text) => Some(text.clone()),
            Failure::Interrupted | Failure::Closed => None,
        }
    }

    /// Says on standard error what happened.
    pub fn tell(&self, at: At) {
        if let Some(text) = self.text(at) {
            output::note(format_args!("error: {text}"));
        }
    }
}

/// What an error of the library says where the tool is used: its remedies are options, where the library's are methods.
pub fn told(error: &Error, at: At) -> String {
    let mut error = error.clone();
    data::with_options(&mut error, at);
    let device = match at {
        At::Train | At::Device => ", or give --device cpu",
        At::Elsewhere => "",
    };
    match &mut error {
        Error::NoAdapter { detail } => {
            return format!(
                "no GPU adapter was found ({detail}): install a Vulkan driver (on Debian and Ubuntu \
                 `apt-get install mesa-vulkan-drivers` brings a software one){device}"
            );
        }
        Error::OtherDevice { recorded, found } => {
            return format!(
                "the checkpoint was made on {recorded}, and this is {found}, where the bits would differ: go on there, or \
                 give --elsewhere to go on here all the same"
            );
        }
        Error::MissingActivation { name } => {
            return format!(
                "activation {name:?} is a function of the program that made this model, and a file holds no more than its \
                 name: use the model in that program, or train one with a built-in activation"
            );
        }
        Error::DeviceLost { reason } => return format!("the GPU device was lost ({reason})"),
        Error::OutOfMemory { advice, .. } | Error::Limit { advice, .. } => {
            let here = match at {
                At::Train => {
                    "give narrower --hidden layers, a smaller --batch-size or --micro-batch, another --device, or less data"
                }
                At::Device => "give another --device, or use a machine with more memory",
                At::Elsewhere => "use a machine with more memory",
            };
            *advice = here.into();
        }
        Error::Argument { name, allowed, .. } => {
            if at == At::Train {
                *name = option(name);
            }
            if names_items(allowed) {
                *allowed = PROGRAM.into();
            }
        }
        Error::Value { allowed, .. } if names_items(allowed) => *allowed = PROGRAM.into(),
        Error::Shape { advice, .. }
        | Error::Targets { advice, .. }
        | Error::OutputActivation { advice, .. }
        | Error::File { advice, .. }
        | Error::Line { advice, .. }
        | Error::Export { advice, .. }
        | Error::Architecture { advice, .. }
            if names_items(advice) =>
        {
            *advice = LIBRARY.into();
        }
        Error::Cell(cell) if names_items(&cell.advice) => cell.advice = LIBRARY.into(),
        _ => {}
    }
    error.to_string()
}

/// What can be done where no option can.
const LIBRARY: &str = "no option does it, but a program can that uses the library";

/// What is allowed where only a program can bring it about.
const PROGRAM: &str = "what a program gives that uses the library";

/// Whether a text names paths or calls of Rust.
fn names_items(text: &str) -> bool {
    text.contains("::") || text.contains("()")
}

/// The option that an argument of the library comes from, where it is one.
fn option(argument: &str) -> String {
    let of = argument.rsplit_once("'s ").map_or(argument, |(_, of)| of);
    let other = match argument {
        "the norm to clip to" => Some("clip-norm"),
        "the value to clip to" => Some("clip-value"),
        "the min_delta of early stopping" => Some("min-delta"),
        "the schedule's warm-up" => Some("warmup"),
        "rmsprop's alpha" => Some("beta2"),
        _ => None,
    };
    let same = || Some(of.replace('_', "-")).filter(|name| crate::options::exists(name));
    match other.map(str::to_owned).or_else(same) {
        Some(name) => format!("--{name}"),
        None => argument.to_owned(),
    }
}

fn of_library(error: &Error) -> u8 {
    match error {
        Error::NonFiniteLoss { .. } | Error::NonFiniteUpdate => 1,
        Error::Network { .. }
        | Error::Argument { .. }
        | Error::BatchSize { .. }
        | Error::OutputActivation { .. } => 2,
        Error::NoAdapter { .. }
        | Error::AdapterNotFound { .. }
        | Error::OutOfMemory { .. }
        | Error::Limit { .. }
        | Error::DeviceLost { .. }
        | Error::Gpu { .. }
        | Error::Kernel { .. }
        | Error::OtherDevice { .. } => 4,
        _ => 3,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// What options, which are read from text, are told to be.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(At::Train).unwrap_or_default())
    }
}

impl std::error::Error for Failure {}

/// The command line or a file of options is wrong.
pub fn usage<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(text.into()))
}

/// This file or folder cannot be used.
pub fn unusable_at<T>(path: &Path, text: impl fmt::Display) -> Result<T, Failure> {
    unusable(format!("{}: {text}", path.display()))
}

/// The text of a file.
pub fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| file(path, "it cannot be read", &e))
}

/// A file or a folder cannot be used.
pub fn unusable<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::File(text.into()))
}

/// An error of the file system at a path.
pub fn file(path: &Path, what: &str, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::*;
    let advice = match error.kind() {
        PermissionDenied | ReadOnlyFilesystem => "choose a place that you may write to",
        StorageFull | QuotaExceeded | FileTooLarge => "free some space or choose another disk",
        NotFound => "see that the path is right",
        NotADirectory | AlreadyExists => "a file stands where a folder is needed: choose another",
        IsADirectory => "a folder stands there: choose another name",
        _ => "see what the system says of this disk",
    };
    Failure::File(format!("{}: {what} ({error}): {advice}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [At; 3] = [At::Train, At::Device, At::Elsewhere];

    /// Each error whose remedy in a program is an item of Rust has one here that the tool has.
    #[test]
    fn no_item_of_rust_is_a_remedy_here() {
        let text = |text: &str| text.to_owned();
        let rusty = || text("use Trainer::do_it or apply()");
        let errors = [
            Error::NoAdapter {
                detail: text("none"),
            },
            Error::OtherDevice {
                recorded: text("a GPU"),
                found: text("a CPU"),
            },
            Error::MissingActivation { name: text("mine") },
            Error::DeviceLost {
                reason: text("gone"),
            },
            Error::OutOfMemory {
                what: text("it"),
                need: 1 << 34,
                have: None,
                advice: rusty(),
            },
            Error::Limit {
                what: text("it"),
                need: 2,
                limit: 1,
                in_bytes: false,
                advice: rusty(),
            },
            Error::Shape {
                what: text("x"),
                got: text("1"),
                expected: text("2"),
                advice: rusty(),
            },
            Error::File {
                file: text("f"),
                problem: text("is damaged"),
                advice: rusty(),
            },
            Error::Export {
                what: text("it"),
                format: text("ONNX"),
                reason: text("it is not"),
                advice: rusty(),
            },
            Error::Argument {
                name: text("x"),
                value: text("1"),
                allowed: rusty(),
            },
        ];
        for error in &errors {
            for at in ALL {
                let said = told(error, at);
                assert!(!names_items(&said), "{said}");
            }
        }
        let said = told(&errors[4], At::Train);
        let begins = "it needs 16.0 GiB: give narrower --hidden";
        assert!(said.starts_with(begins), "{said}");
        let other = Error::Class {
            row: 1,
            label: 2,
            classes: 3,
        };
        assert!(ALL.iter().all(|&at| told(&other, at) == other.to_string()));
    }

    #[test]
    fn arguments_are_called_as_their_options_are() {
        let pairs = [
            ("batch_size", "--batch-size"),
            ("adam's lr", "--lr"),
            ("adamw's weight_decay", "--weight-decay"),
            ("rmsprop's alpha", "--beta2"),
            ("the norm to clip to", "--clip-norm"),
            ("huber's delta", "huber's delta"),
            ("label_smoothing", "--label-smoothing"),
        ];
        for (argument, told) in pairs {
            assert_eq!(option(argument), told);
        }
    }
}
