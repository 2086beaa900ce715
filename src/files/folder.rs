//! A folder of checkpoints: the last few, each whole.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::disk;
use crate::error::{Error, Result, unreadable};

/// A folder that keeps the last few checkpoints of one run. A file is deleted only after a newer one is on the disk, so that
/// after a crash at any moment the newest checkpoint or the one before it loads. One run writes to a folder at a time.
///
/// ```
/// use wgrad::{Activation::*, CheckpointFolder, Device, Loss, Mlp, Sgd, Trainer};
///
/// # let temporary = tempfile::tempdir().unwrap();
/// # let path = temporary.path().join("run");
/// let device = Device::cpu();
/// let folder = CheckpointFolder::new(&path, 3)?;
/// let mut trainer = match folder.latest()? {
///     Some(found) => Trainer::resume(&device, &found.checkpoint)?,
///     None => Trainer::new(&device, &Mlp::new(2).dense(1, Identity), Loss::Mse, Sgd::default(), 7)?,
/// };
/// // … steps, and now and then:
/// folder.save(&trainer.checkpoint()?)?;
/// # assert!(folder.latest()?.is_some());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFolder {
    path: PathBuf,
    keep: usize,
}

/// The newest checkpoint that loads; see [`CheckpointFolder::latest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Its file.
    pub path: PathBuf,
    /// Newer files that do not load, the newest first.
    pub skipped: Vec<Skipped>,
}

/// A file that does not load.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped {}", self.error)
    }
}

const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".safetensors";

/// The number in the name of a checkpoint's file.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

impl CheckpointFolder {
    /// A folder that keeps the last `keep` checkpoints; it is created where it does not exist.
    ///
    /// # Errors
    /// [`Error::Argument`] if `keep` is 0; [`Error::File`] if the folder cannot be created.
    pub fn new(path: impl Into<PathBuf>, keep: usize) -> Result<Self> {
        let path = path.into();
        if keep == 0 {
            let name = "the number of checkpoints to keep";
            return Err(Error::argument(name, "0", "at least 1"));
        }
        fs::create_dir_all(&path).map_err(|error| disk::write_error(&path, &error))?;
        Ok(Self { path, keep })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoints' files with their numbers, the oldest first.
    fn files(&self) -> Result<Vec<(u64, PathBuf)>> {
        let read = |error| unreadable(&self.path, &error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(read)? {
            let entry = entry.map_err(read)?;
            if let Some(number) = entry.file_name().to_str().and_then(number) {
                files.push((number, entry.path()));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Saves a checkpoint as `checkpoint-NUMBER.safetensors`, numbered on from the last one, and then deletes those beyond the
    /// last few. Temporary files that a crash left behind go too. Returns the file.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written; the older checkpoints are all there then.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<PathBuf> {
        disk::sweep(&self.path, |name| number(name).is_some());
        let files = self.files()?;
        let next = match files.last() {
            Some((u64::MAX, path)) => {
                let (file, problem) = (path.display(), "there is no number after this one's");
                let advice = "give it a smaller number";
                return Err(Error::file(file.to_string(), problem, advice));
            }
            Some((last, _)) => last + 1,
            None => 1,
        };
        let path = self.path.join(format!("{PREFIX}{next:08}{SUFFIX}"));
        checkpoint.save(&path)?;
        let beyond = (files.len() + 1).saturating_sub(self.keep);
        for (_, old) in files.iter().take(beyond) {
            // What cannot be deleted now is deleted by a later call.
            let _ = fs::remove_file(old);
        }
        Ok(path)
    }

    /// The newest checkpoint that loads completely, with the newer files that do not; nothing if there are no files.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be read, or if there are files and none loads: it says why, of each.
    pub fn latest(&self) -> Result<Option<Found>> {
        let mut skipped = Vec::new();
        for (_, path) in self.files()?.into_iter().rev() {
            match Checkpoint::load(&path) {
                Ok(checkpoint) => {
                    return Ok(Some(Found {
                        checkpoint,
                        path,
                        skipped,
                    }));
                }
                Err(error) => skipped.push(Skipped { path, error }),
            }
        }
        if skipped.is_empty() {
            return Ok(None);
        }
        let reasons: Vec<String> = skipped.iter().map(|s| s.error.to_string()).collect();
        let file = self.path.display().to_string();
        let problem = format!("none of its checkpoints loads:\n{}\n", reasons.join("\n"));
        let advice = "take copies of them, or begin anew in another folder";
        Err(Error::file(file, problem, advice))
    }
}
