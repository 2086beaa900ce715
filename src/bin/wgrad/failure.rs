//! What ends the program, and its exit code.

use wgrad::Error;

use crate::options::Wrong;
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

    /// Says on standard error what happened.
    pub fn tell(&self) {
        match self {
            Failure::Library(error) => output::note(format_args!("error: {error}")),
            Failure::Usage(text)
            | Failure::Check(text)
            | Failure::File(text)
            | Failure::Device(text) => {
                output::note(format_args!("error: {text}"));
            }
            Failure::Interrupted | Failure::Closed => {}
        }
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

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::Usage(wrong.0)
    }
}

/// An error of the file system at a path.
pub fn file(path: &std::path::Path, what: &str, error: &std::io::Error) -> Failure {
    let advice = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "choose a place that you may write to"
        }
        std::io::ErrorKind::StorageFull
        | std::io::ErrorKind::QuotaExceeded
        | std::io::ErrorKind::FileTooLarge => "free some space or choose another disk",
        std::io::ErrorKind::NotFound => "see that the path is right",
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed: choose another"
        }
        std::io::ErrorKind::IsADirectory => "a folder stands there: choose another name",
        _ => "see what the system says of this disk",
    };
    Failure::File(format!("{}: {what} ({error}): {advice}", path.display()))
}
