//! Data from files, or from standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use wgrad::data::{DataFile, OpenOptions};

use crate::failure::{Failure, usage};

/// Whether a path stands for standard input, or standard output. A file of that name is `./-`.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Opens a file of data, or a pair of inputs and targets; `-` is standard input, which is read to its end and stays in memory.
///
/// # Errors
/// [`Failure::Usage`] if one of a pair is to come by standard input; [`Failure::File`] if that cannot be read; as
/// [`DataFile::open`].
pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<DataFile, Failure> {
    if !paths.iter().any(|path| is_standard(path)) {
        return Ok(DataFile::open(paths, options)?);
    }
    if paths.len() > 1 {
        return usage(
            "- is standard input, which has one file, but inputs and targets are two here: give them as two files, or as one \
             NPZ or safetensors file",
        );
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|e| {
        Failure::File(format!(
            "standard input cannot be read ({e}): give the name of a file"
        ))
    })?;
    Ok(DataFile::from_bytes("standard input", bytes, options)?)
}
