//! What a call of `wgrad train` begins with: its options, and the run that it goes on with.

use std::path::{Path, PathBuf};

use toml::Table;
use wgrad::Checkpoint;

use super::Arguments;
use crate::failure::{self, Failure, usage};
use crate::folder::{self, Facts, shown};
use crate::input::is_standard;
use crate::options::{ARCHITECTURE, CHANGEABLE, Given, Held, Known, Options, Settings, Situation};
use crate::outputs::{self, OutputKind, named};
use crate::progress::Voice;
use crate::setup;

/// What to train by.
pub struct Start {
    pub settings: Settings,
    /// Where they come from.
    pub given: Given,
    /// Whether somebody said what to hold out.
    pub share_asked: bool,
    pub resumed: Option<Resumed>,
}

/// The run to go on with.
pub struct Resumed {
    pub folder: PathBuf,
    /// The options that it had, and those of them that its file has.
    pub settings: Settings,
    pub table: Table,
    /// Whether it may go on on another device than it began on.
    pub elsewhere: bool,
    pub facts: Option<Facts>,
    pub checkpoint: Option<Checkpoint>,
}

impl Start {
    /// From the command line and the files that it names; what can be seen to be wrong before the data is read, is.
    pub fn of(a: &Arguments, voice: &Voice) -> Result<Self, Failure> {
        let start = match &a.resume {
            Some(path) => resume(a, path, voice)?,
            None => begin(a)?,
        };
        start.check_options(&start.settings, None)?;
        check(&start, a.config.as_ref())?;
        Ok(start)
    }

    /// Sees that each option that was given does something, as far as that is known.
    pub fn check_options(&self, settings: &Settings, known: Option<Known>) -> Result<(), Failure> {
        self.given.check(&Situation { settings, known })
    }

    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.resumed.as_ref()?.checkpoint.as_ref()
    }
}

/// A new run.
fn begin(a: &Arguments) -> Result<Start, Failure> {
    let mut given = Given {
        line: a.options.table()?,
        file: None,
    };
    let file = match &a.config {
        None => Options::default(),
        Some(path) => {
            let name = path.display().to_string();
            let options = Options::parse(&failure::read(path)?, &name)?;
            given.file = Some((name, options.table()?));
            options
        }
    };
    let options = a.options.over(&file)?;
    Ok(Start {
        given,
        share_asked: options.validation.is_some(),
        settings: anchored(Settings::of(options))?,
        resumed: None,
    })
}

/// The run in a folder, with the options that may change.
fn resume(a: &Arguments, path: &Path, voice: &Voice) -> Result<Start, Failure> {
    let stored = folder::config(path)?;
    let settings = anchored(Settings::of(a.options.over(&stored)?))?;
    let before = Settings::of(stored.clone());
    let (new, old) = (settings.options().table()?, before.options().table()?);
    // What came by standard input is gone, and is known again by its digest.
    let piped = before.data.as_deref().is_some_and(is_standard);
    if piped && a.options.data.is_none() {
        return usage(format!(
            "the data of the run in {} came by standard input, and cannot be read again: give it, as `{}`, or - and the \
             same on standard input",
            path.display(),
            folder::again(before.data.as_deref(), path)
        ));
    }
    let fixed = |key: &&String| !(CHANGEABLE.contains(&key.as_str()) || piped && *key == "data");
    let mut keys = new.keys().filter(fixed);
    let changed = keys.find(|key| old.get(*key) != new.get(*key));
    if a.options.run.is_some() {
        return usage("--run and --resume exclude each other: a run stays in its folder");
    }
    let found = folder::newest(path)?;
    if let Some(found) = &found {
        for skipped in &found.skipped {
            voice.say(format_args!("note: {skipped}"));
        }
    }
    let checkpoint = found.map(|found| found.checkpoint);
    if let Some(key) = changed
        && !ARCHITECTURE.contains(&key.as_str())
    {
        let value = |table: &toml::Table| match table.get(key) {
            Some(value) => format!("with --{key} {value}"),
            None => format!("without --{key}"),
        };
        return usage(format!(
            "the run in {} began {}, and cannot go on {}: leave it out, or begin anew, with --init-from {} for the \
             weights",
            path.display(),
            value(&old),
            value(&new),
            shown(path)
        ));
    }
    let facts = checkpoint.is_some().then(|| folder::facts(path));
    let facts = facts.transpose()?;
    Ok(Start {
        settings,
        given: Given {
            line: a.options.table()?,
            file: None,
        },
        share_asked: stored.validation.is_some(),
        resumed: Some(Resumed {
            folder: path.to_owned(),
            settings: before,
            table: stored.table()?,
            elsewhere: a.elsewhere,
            facts,
            checkpoint,
        }),
    })
}

/// All paths made to hold wherever the run goes on from.
fn anchored(mut s: Settings) -> Result<Settings, Failure> {
    let held = match &mut s.validation {
        Held::File(path) => Some(path),
        Held::Share(_) => None,
    };
    let own = [
        &mut s.data,
        &mut s.targets,
        &mut s.validation_targets,
        &mut s.out,
        &mut s.init_from,
    ];
    let paths = own.into_iter().flatten().chain(held);
    for path in paths.filter(|path| !is_standard(path)) {
        *path =
            std::path::absolute(&*path).map_err(|e| failure::file(path, "it has no place", &e))?;
    }
    Ok(s)
}

/// What can be seen to be wrong before the data is read.
fn check(start: &Start, config: Option<&PathBuf>) -> Result<(), Failure> {
    let s = &start.settings;
    let held = match &s.validation {
        Held::File(path) => Some(path),
        Held::Share(_) => None,
    };
    let read = [
        named("the data", s.data.as_ref()),
        named("--targets", s.targets.as_ref()),
        named("--validation", held),
        named("--validation-targets", s.validation_targets.as_ref()),
        named("--init-from", s.init_from.as_ref()),
        named("--config", config),
        named("--run", s.run.as_ref()),
        named("--resume", start.resumed.as_ref().map(|r| &r.folder)),
    ];
    let read: Vec<_> = read.into_iter().flatten().collect();
    let written = named("--out", s.out.as_ref()).map(|out| (out, OutputKind::Tensors));
    outputs::check(&read, written.as_slice())?;
    if let (None, Some(run)) = (&start.resumed, &s.run) {
        folder::check_new(run)?;
    }
    if s.data.as_deref().is_some_and(is_standard) && held.is_some_and(|held| is_standard(held)) {
        return usage(
            "- is standard input, which cannot be the data and --validation at once: give a file for one of them",
        );
    }
    setup::schedule(s)?;
    if s.keep == 0 {
        return usage("--keep is 0, but at least 1 checkpoint must be kept");
    }
    let counts = [
        ("checkpoint-steps", s.checkpoint_steps),
        ("log-steps", s.log_steps),
    ];
    if let Some((name, _)) = counts.iter().find(|(_, n)| *n == Some(0)) {
        return usage(format!(
            "--{name} is 0, but must be 1 or more; leave it out for none"
        ));
    }
    let sound = |minutes: f64| minutes > 0.0 && minutes.is_finite();
    if !s.checkpoint_minutes.is_none_or(sound) {
        return usage("--checkpoint-minutes must be above 0; leave it out for none");
    }
    Ok(())
}
