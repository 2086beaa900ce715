//! The folder of a run. At every moment, kill −9 included, it is empty or a run can go on from it: the configuration is there
//! before anything else is done, files are replaced whole, checkpoints are kept by
//! [`CheckpointFolder`](wgrad::CheckpointFolder), and what is appended to is brought back to the checkpoint when a run goes on.
//!
//! | file | has |
//! |---|---|
//! | `config.toml` | all options |
//! | `run.json` | version, device, digest of the data |
//! | `checkpoints/` | the last few checkpoints |
//! | `log.jsonl` | an object an epoch, or every so many steps |
//! | `history.csv` | a line an epoch |
//! | `model.safetensors`, `report.md`, `report.json`, `*.svg` | what came of it, at the end |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wgrad::data::{Dataset, Targets};
use wgrad::files::replace;
use wgrad::fit::{EpochRecord, History};
use wgrad::{CheckpointFolder, Found};

use crate::failure::{self, Failure, unusable_at};
use crate::input::is_standard;
use crate::options::Options;

pub const CONFIG: &str = "config.toml";
pub const RUN: &str = "run.json";
pub const CHECKPOINTS: &str = "checkpoints";
pub const LOG: &str = "log.jsonl";
pub const HISTORY: &str = "history.csv";
pub const MODEL: &str = "model.safetensors";
pub const REPORT: &str = "report";
const LOCK: &str = ".lock";
/// How the names of files end that are being written, as [`Replacement`](wgrad::files::Replacement) says.
const TEMPORARY: &str = ".wgrad-tmp";

/// What a run says of itself apart from its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub version: String,
    pub device: String,
    /// xxh3 of the prepared data, validation files included.
    pub data: String,
    pub rows: usize,
}

/// A run's folder, held by this process.
pub struct Folder {
    path: PathBuf,
    /// Held for as long as the run goes on.
    _lock: File,
    /// There once the run's options are.
    log: Option<File>,
    history: Option<File>,
}

/// The newest checkpoint of a run, if it has one.
pub fn newest(run: &Path) -> Result<Option<Found>, Failure> {
    let checkpoints = run.join(CHECKPOINTS);
    match checkpoints.is_dir() {
        true => Ok(CheckpointFolder::new(&checkpoints, 1)?.latest()?),
        false => Ok(None),
    }
}

/// Whether a folder has nothing but what a run that never began leaves behind.
fn is_empty(path: &Path) -> Result<bool, Failure> {
    let fail = |e: std::io::Error| failure::file(path, "it cannot be read", &e);
    for entry in fs::read_dir(path).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let name = name.to_string_lossy();
        if name != LOCK && name != RUN && !name.ends_with(TEMPORARY) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A folder for a new run must not have anything in it.
pub fn check_new(path: &Path) -> Result<(), Failure> {
    if path.is_dir() && !is_empty(path)? {
        let advice = match path.join(CONFIG).exists() {
            true => format!(
                "go on with the run in it by `wgrad train --resume {}`, or choose another folder",
                shown(path)
            ),
            false => "choose another folder: nothing is overwritten".into(),
        };
        return unusable_at(path, format_args!("the folder is not empty: {advice}"));
    }
    if path.exists() && !path.is_dir() {
        let text = "a file stands where the run's folder would be: choose another name";
        return unusable_at(path, text);
    }
    Ok(())
}

/// Whether a path inside the folder of a run, or of its checkpoints, is that of a file which the run has for itself.
pub fn is_own(inside: &Path) -> bool {
    let name = inside.file_name().unwrap_or_default().to_string_lossy();
    let folder = inside.parent().filter(|p| !p.as_os_str().is_empty());
    let checkpoint = name.starts_with("checkpoint-") && name.ends_with(".safetensors");
    match folder {
        None => {
            let named = [CONFIG, RUN, LOG, HISTORY, MODEL, LOCK].contains(&name.as_ref());
            let told = name.starts_with(&format!("{REPORT}."));
            named || told || checkpoint || name.ends_with(".svg")
        }
        Some(folder) => folder == Path::new(CHECKPOINTS) && checkpoint,
    }
}

/// Sees that a file can be made there, before hours are spent on what is to be written into it.
pub fn check_out(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return unusable_at(path, "a folder stands there: give the name of a file in it");
    }
    if path.exists() && !path.is_file() {
        return unusable_at(path, "this is no ordinary file: choose another name");
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let probe = folder.join(format!(".wgrad-{}{TEMPORARY}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    made.map_err(|e| failure::file(path, "it could not be written", &e))?;
    fs::remove_file(&probe).map_err(|e| failure::file(&probe, "it cannot be removed", &e))
}

/// Makes the folder of a run: the one given, or the next free one in `runs/`.
pub fn make(given: Option<&Path>, data: &Path) -> Result<PathBuf, Failure> {
    let fail = |path: &Path, e| failure::file(path, "the folder cannot be made", &e);
    if let Some(path) = given {
        fs::create_dir_all(path).map_err(|e| fail(path, e))?;
        return Ok(path.to_owned());
    }
    let name = match is_standard(data) {
        true => "stdin".into(),
        false => data.file_name().unwrap_or_default().to_string_lossy(),
    };
    let name = name.split('.').find(|part| !part.is_empty());
    let name = name.unwrap_or("data");
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(|e| fail(runs, e))?;
    for n in 1u32.. {
        let path = runs.join(format!("{name}-{n}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(fail(&path, e)),
        }
    }
    unreachable!("numbers do not end")
}

/// The command by which a run goes on. What came by standard input must be given again.
pub fn again(data: Option<&Path>, run: &Path) -> String {
    let data = match data.is_some_and(is_standard) {
        true => "DATA ",
        false => "",
    };
    format!("wgrad train {data}--resume {}", shown(run))
}

/// The options of the run in a folder.
pub fn config(path: &Path) -> Result<Options, Failure> {
    let file = path.join(CONFIG);
    if !file.exists() {
        let begin = format!("begin one with `wgrad train DATA --run {}`", shown(path));
        let none = format_args!("there is no run to go on with: it has no {CONFIG}; {begin}");
        return unusable_at(path, none);
    }
    Options::parse(&failure::read(&file)?, &file.display().to_string())
}

/// What the run says of itself.
pub fn facts(path: &Path) -> Result<Facts, Failure> {
    let file = path.join(RUN);
    let advice = "begin anew in another folder, with --init-from for the weights";
    serde_json::from_str(&failure::read(&file)?)
        .or_else(|e| unusable_at(&file, format_args!("it is damaged ({e}): {advice}")))
}

impl Folder {
    /// Takes hold of a folder. Another process that has it is an error.
    pub fn hold(path: PathBuf) -> Result<Self, Failure> {
        let lock = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&lock)
            .map_err(|e| failure::file(&lock, "it cannot be written", &e))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            let text = "another process is training in this folder: wait for it, or choose another";
            return unusable_at(&path, text);
        }
        // Where the file system has no locks there is none.
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(TEMPORARY) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self {
            log: None,
            history: None,
            path,
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes the run's options; from now on it can go on.
    pub fn write_config(&self, options: &str, facts: &Facts) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(facts);
        let json = json.map_err(|e| Failure::File(format!("{RUN}: {e}")))?;
        replace(self.file(RUN), json.as_bytes())?;
        replace(self.file(CONFIG), options.as_bytes())?;
        Ok(())
    }

    /// Brings log and history back to where a run goes on from: what came after is done again.
    pub fn rewind(&mut self, steps: u64, history: &History) -> Result<(), Failure> {
        let log = self.file(LOG);
        let text = match fs::read(&log) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|e| failure::file(&log, "it cannot be read", &e))?,
        };
        let mut kept = Vec::new();
        for line in text.split_inclusive(|&b| b == b'\n') {
            let step = serde_json::from_slice::<Value>(line)
                .ok()
                .and_then(|v| v["step"].as_u64());
            // A line cut short by a crash is no JSON.
            if step.is_some_and(|step| step <= steps) && line.ends_with(b"\n") {
                kept.extend_from_slice(line);
            }
        }
        replace(&log, &kept)?;
        let table = self.file(HISTORY);
        replace(&table, history.csv().as_bytes())?;
        let reopen = |path: &Path| {
            let opened = OpenOptions::new().append(true).open(path).map(Some);
            opened.map_err(|e| failure::file(path, "it cannot be written", &e))
        };
        (self.log, self.history) = (reopen(&log)?, reopen(&table)?);
        Ok(())
    }

    /// Appends an object to the log. Its keys are flat, for tools that draw every number they find over `step`.
    pub fn log(&mut self, mut object: Value) -> Result<(), Failure> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seconds = now.map_or(0.0, |d| (d.as_secs_f64() * 1e3).round() / 1e3);
        object["wall_time"] = seconds.into();
        append(&mut self.log, &self.path.join(LOG), &format!("{object}\n"))
    }

    /// Appends an epoch to log and history.
    pub fn epoch(&mut self, record: &EpochRecord) -> Result<(), Failure> {
        let mut line = json!({
            "step": record.steps, "epoch": record.epoch, "lr": record.lr, "best": record.best,
        });
        let some = [
            ("train/loss", Some(record.loss)),
            ("validation/loss", record.validation.map(|v| v.loss)),
            (
                "validation/accuracy",
                record.validation.and_then(|v| v.accuracy),
            ),
            ("train/grad_norm", record.grad_norm.map(|norm| norm.mean)),
            ("train/grad_norm_max", record.grad_norm.map(|norm| norm.max)),
            ("rows_per_second", Some(record.rows_per_second)),
            ("seconds", Some(record.seconds)),
        ];
        for (name, x) in some.into_iter().filter_map(|(name, x)| Some((name, x?))) {
            line[name] = x.into();
        }
        self.log(line)?;
        let mut one = History::default();
        one.epochs.push(*record);
        let text = one.csv();
        let line = text.split_inclusive('\n').nth(1).unwrap_or_default();
        append(&mut self.history, &self.path.join(HISTORY), line)
    }
}

/// Appends a line to a file that is open.
fn append(file: &mut Option<File>, path: &Path, line: &str) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let written = file.write_all(line.as_bytes());
    written.map_err(|e| failure::file(path, "it cannot be written", &e))
}

/// A digest of prepared data: the same numbers have the same.
pub fn digest<'a>(data: impl IntoIterator<Item = &'a Dataset>) -> String {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for data in data {
        let mut floats = |xs: &[f32]| {
            hash.update(&(xs.len() as u64).to_le_bytes());
            xs.iter().for_each(|x| hash.update(&x.to_le_bytes()));
        };
        floats(data.inputs().data());
        floats(data.weights().unwrap_or_default());
        match data.targets() {
            Targets::Values(values) => floats(values.data()),
            Targets::Classes(classes) => classes.iter().for_each(|c| hash.update(&c.to_le_bytes())),
        }
    }
    format!("{:032x}", hash.digest128())
}

/// A path as seen from the folder that the user is in, where it is within.
pub fn near(path: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    let near = here.and_then(|here| path.strip_prefix(here).ok());
    near.filter(|near| !near.as_os_str().is_empty())
        .unwrap_or(path)
}

/// A path as a shell takes it.
pub fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    match text.chars().all(plain) && !text.is_empty() {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
