//! Reading and replacing whole files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result, unreadable};

/// What to do about an error of the file system while writing.
fn advice(error: &io::Error) -> &'static str {
    use ErrorKind::*;
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "free some space or choose another disk; what was there before is unchanged"
        }
        PermissionDenied | ReadOnlyFilesystem => {
            "choose a folder that you may write to; what was there before is unchanged"
        }
        NotFound => "create the folder first",
        NotADirectory | AlreadyExists => {
            "a file stands where a folder is needed: choose another folder"
        }
        IsADirectory | DirectoryNotEmpty => "a folder stands there: choose another name",
        _ => "see what the system says of this disk; what was there before is unchanged",
    }
}

/// An error of the file system while writing.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> Error {
    let problem = format!("it cannot be written ({error})");
    Error::file(path.display().to_string(), problem, advice(error))
}

/// The folder that a path is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

const TEMPORARY: &str = ".wgrad-tmp";

/// Removes the temporary files in a folder that were to get a name that `ours` takes, and whose writers are gone: a writer holds a
/// lock on its file for as long as it lives.
pub(crate) fn sweep(folder: &Path, ours: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let of = file_name.to_str().and_then(|f| {
            let name = f.strip_suffix(TEMPORARY)?.strip_prefix('.')?;
            // NAME.PROCESS-COUNT
            name.rsplit_once('.').map(|(name, _)| name)
        });
        let path = entry.path();
        if of.is_some_and(&ours) && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            // What cannot be removed does no harm.
            let _ = fs::remove_file(path);
        }
    }
}

/// A temporary file, removed unless it became what it was made for.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file in the making that takes the place of another, or of none, when it is [finished](Self::finish); until then, and where
/// that does not happen, what was there stays as it is.
///
/// It is written beside its place, as `.NAME.….wgrad-tmp`. One that a process left behind when it was killed is removed when the
/// same file is next written.
///
/// ```
/// use std::io::Write;
/// use wgrad::files::Replacement;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("answers.csv");
/// let mut file = Replacement::create(&path)?;
/// for row in 0..3 {
///     writeln!(file, "{row},{}", row * row)?;
/// }
/// assert!(!path.exists());
/// file.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "0,0\n1,1\n2,4\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    // Closed before it is removed.
    writer: BufWriter<File>,
    temporary: Temporary,
}

impl Replacement {
    /// Begins the file for this place.
    ///
    /// # Errors
    /// [`Error::File`] if nothing can be written there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = path.as_ref();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            let problem = "this is no name for a file";
            let advice = "give a path that ends in a file's name, in Unicode";
            return Err(Error::file(path.display().to_string(), problem, advice));
        };
        let folder = folder_of(path);
        sweep(folder, |of| of == name);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let temporary = folder.join(format!(".{name}.{process}-{count}{TEMPORARY}"));
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).open(&temporary);
        let file = file.map_err(|error| write_error(path, &error))?;
        // Where the file system has no locks, another writer of the same name might take this file for abandoned; its rename fails.
        let _ = file.try_lock();
        Ok(Self {
            path: path.into(),
            writer: BufWriter::with_capacity(1 << 20, file),
            temporary: Temporary {
                path: temporary,
                kept: false,
            },
        })
    }

    /// Puts it in its place, to stay there whatever happens to the machine: synced, renamed, and the folder synced.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written; what was there before is there then.
    pub fn finish(mut self) -> Result<()> {
        self.put().map_err(|error| write_error(&self.path, &error))
    }

    fn put(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        fs::rename(&self.temporary.path, &self.path)?;
        self.temporary.kept = true;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes a file so that at every moment, whatever fails, the old one or the new one stands there whole: a [`Replacement`] of
/// these bytes.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.txt");
/// wgrad::files::replace(&path, b"first")?;
/// wgrad::files::replace(&path, b"second")?;
/// assert_eq!(std::fs::read(&path)?, b"second");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::File`] if it cannot be written; what was there before is there then.
pub fn replace(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write(path.as_ref(), |to| to.write_all(bytes))
}

/// [`replace`] for what is not in memory as one piece.
pub(crate) fn write(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let mut file = Replacement::create(path)?;
    content(&mut file).map_err(|error| write_error(path, &error))?;
    file.finish()
}

/// Makes renames and removals in a folder durable. Windows has no such call, and needs none.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The bytes of a file that begins as a safetensors file of its length would: nothing else is read into memory.
pub(crate) fn read_safetensors(path: &Path) -> Result<Vec<u8>> {
    let io = |error: io::Error| unreadable(path, &error);
    let fail =
        |problem: &str, advice: &str| Err(Error::file(path.display().to_string(), problem, advice));
    // Before it is opened: opening a pipe waits for its writer.
    if !fs::metadata(path).map_err(io)?.is_file() {
        let advice = "give the path of a safetensors file";
        return fail("this is no regular file", advice);
    }
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let mut start = [0; 9];
    if len < start.len() as u64 {
        let problem = format!("{len} bytes are no safetensors file");
        return fail(&problem, "it was cut short or is something else");
    }
    file.read_exact(&mut start).map_err(io)?;
    let (header, first) = start.split_at(8);
    let header = u64::from_le_bytes(header.try_into().unwrap_or_default());
    if header > len - 8 || first != b"{" {
        let problem = "it does not begin as a safetensors file of its length does";
        return fail(problem, "it was cut short, is damaged or is something else");
    }
    let mut bytes = Vec::new();
    if usize::try_from(len).map_or(true, |len| bytes.try_reserve_exact(len).is_err()) {
        return Err(Error::out_of_memory(
            format!("reading {}", path.display()),
            len,
            None,
            "read it on a machine with more memory",
        ));
    }
    bytes.extend_from_slice(&start);
    let mut rest = file.take(len - start.len() as u64);
    rest.read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_the_old_one_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        // The disk fills up after some bytes have been written.
        let full = write(&path, |to| {
            to.write_all(&[0; 3 << 20])?;
            Err(ErrorKind::StorageFull.into())
        });
        let error = full.unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn abandoned_temporary_files_go_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".file.1-0.wgrad-tmp"), "abandoned").unwrap();
        fs::write(at(".other.1-0.wgrad-tmp"), "of another name").unwrap();
        fs::write(at(".file.notes"), "a user's").unwrap();
        let held = File::create(at(".file.2-0.wgrad-tmp")).unwrap();
        held.try_lock().unwrap();
        replace(at("file"), b"new").unwrap();
        let left = ".file.2-0.wgrad-tmp .file.notes .other.1-0.wgrad-tmp file";
        assert_eq!(names(folder.path()).join(" "), left);
        sweep(folder.path(), |name| name == "other");
        assert!(!at(".other.1-0.wgrad-tmp").exists());
        assert!(at(".file.2-0.wgrad-tmp").exists());
    }

    #[test]
    fn what_is_not_a_safetensors_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let fails = |path: &Path, what: &str| {
            let error = read_safetensors(path).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        };
        fails(&at("nothing"), "see that the path is right");
        fails(folder.path(), "no regular file");
        if cfg!(unix) {
            fails(Path::new("/dev/zero"), "no regular file");
        }
        fs::write(at("empty"), "").unwrap();
        fails(&at("empty"), "0 bytes are no safetensors file");
        // A terabyte of which nothing is on the disk: an attempt to read it would not end.
        let sparse = File::create(at("sparse")).unwrap();
        if sparse.set_len(1 << 40).is_ok() {
            fails(&at("sparse"), "does not begin as a safetensors file");
        }
    }
}
