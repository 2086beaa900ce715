//! What a command writes beside what it reads: nothing that a user has is lost to a slip of the keyboard.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, usage};
use crate::folder;
use crate::input::is_standard;

/// A file by the name that it has on the command line.
pub struct NamedPath<'a> {
    /// As `--out` or `the data`.
    pub what: &'a str,
    pub path: &'a Path,
}

/// A [`NamedPath`] for each path that there is.
pub fn named<'a>(what: &'a str, path: Option<&'a PathBuf>) -> Option<NamedPath<'a>> {
    path.map(|path| NamedPath { what, path })
}

/// What a command writes into a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// Safetensors: models and weights.
    Tensors,
    Onnx,
    /// CSV or JSON.
    Text,
}

/// Sees that no output is one of the inputs, whatever the way to it, or another output, or a file of a run that is read; that
/// none takes the place of a file of another kind; and that each can be written.
///
/// # Errors
/// [`Failure::Usage`] with both names; [`Failure::File`] if nothing can be written there.
pub fn check(
    inputs: &[NamedPath<'_>],
    outputs: &[(NamedPath<'_>, OutputKind)],
) -> Result<(), Failure> {
    for (i, (output, kind)) in outputs.iter().enumerate() {
        if is_standard(output.path) {
            if *kind == OutputKind::Text {
                continue;
            }
            let (what, advice) = (output.what, "give the name of a file, ./- if it is that");
            return usage(format!(
                "{what} -: standard output takes no model: {advice}"
            ));
        }
        for input in inputs.iter().filter(|input| !is_standard(input.path)) {
            if is_same(input.path, output.path) {
                return Err(refused(output, &format!("is {}", input.what)));
            }
            if belongs_to(input.path, output.path) {
                let run = input.path.display();
                return Err(refused(output, &format!("is a file of the run in {run}")));
            }
        }
        let before = outputs[..i].iter().map(|(other, _)| other);
        if let Some(other) = before.into_iter().find(|o| is_same(o.path, output.path)) {
            return Err(refused(output, &format!("is {}, too", other.what)));
        }
        // A pipe or a device takes predictions as they come.
        let special = output.path.exists() && !output.path.is_file() && !output.path.is_dir();
        if *kind == OutputKind::Text && special {
            continue;
        }
        check_kind(output, *kind)?;
        folder::check_out(output.path)?;
    }
    Ok(())
}

fn refused(output: &NamedPath<'_>, why: &str) -> Failure {
    let (what, path) = (output.what, output.path.display());
    let text = format!("{what} {path}: this {why} and would be overwritten: give another name");
    Failure::Usage(text)
}

/// Sees that what stands at an output's place is of the kind that is written there: a table is not replaced by a model, nor a
/// model by a table.
fn check_kind(output: &NamedPath<'_>, kind: OutputKind) -> Result<(), Failure> {
    let mut start = Vec::new();
    // What cannot be read here is told of when it is to be written.
    let mut read = || File::open(output.path)?.take(64).read_to_end(&mut start);
    if !output.path.is_file() || !matches!(read(), Ok(1..)) {
        return Ok(());
    }
    let is_tensors = matches!(start[..], [_, _, _, _, _, 0, 0, 0, b'{', ..]);
    let (fits, wanted) = match kind {
        OutputKind::Tensors => (is_tensors, "neither a model nor weights"),
        // The first field, the version of the format.
        OutputKind::Onnx => (start[0] == 8, "no ONNX file"),
        OutputKind::Text => {
            let cut = std::str::from_utf8(&start).map_or_else(|e| e.valid_up_to(), str::len);
            let text = !start.contains(&0) && start.len() - cut < 4;
            (text, "no text")
        }
    };
    if fits {
        return Ok(());
    }
    let (what, path) = (output.what, output.path.display());
    let there = format!("the file that stands there is {wanted}, and would be overwritten");
    usage(format!(
        "{what} {path}: {there}: give another name, or move it away"
    ))
}

/// Whether two paths lead to one file, by links of either kind too.
fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(there), Ok(here)) => there.is_file() && here.is_file() && is_one(a, &there, b, &here),
        // Of what is not there yet the folder can be compared.
        _ => place(a).is_some_and(|a| Some(a) == place(b)),
    }
}

#[cfg(unix)]
fn is_one(_: &Path, a: &fs::Metadata, _: &Path, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_one(a: &Path, _: &fs::Metadata, b: &Path, _: &fs::Metadata) -> bool {
    place(a).is_some_and(|a| Some(a) == place(b))
}

/// Where a file is, or would be.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = fs::canonicalize(path) {
        return Some(path);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some(folder.join(path.file_name()?))
}

/// Whether a file is one of those that a run's folder, or its folder of checkpoints, has for itself.
fn belongs_to(run: &Path, path: &Path) -> bool {
    let (run, path) = (place(run), place(path));
    let both = path.as_ref().zip(run);
    let inside = both.and_then(|(path, run)| path.strip_prefix(run).ok());
    inside.is_some_and(folder::is_own)
}
