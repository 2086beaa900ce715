//! `wgrad train`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::Map;
use wgrad::data::Targets;
use wgrad::fit::{Event, Fit, FitOptions, FitState, History, Stop};
use wgrad::{
    Checkpoint, CheckpointFolder, Criterion, Dataset, Device, Error, Mlp, Model, Preparation,
    Trainer,
};

use crate::failure::{self, Failure};
use crate::folder::{self, Facts, Folder, shown};
use crate::model;
use crate::options::{ARCHITECTURE, CHANGEABLE, ClassWeights, Held, Options, Settings, Wrong};
use crate::output;
use crate::plots;
use crate::progress::{self, Progress, Voice};
use crate::report::{self, Summary};
use crate::setup;

const EXAMPLES: &str = "\
Examples:
  wgrad train iris.csv --target species
  wgrad train houses.csv --target price --hidden 256,128 --epochs 200 --lr 0.003 --out price.safetensors
  wgrad train train-images-idx3-ubyte.gz --targets train-labels-idx1-ubyte.gz --device gpu
  wgrad train data.csv --config options.toml --run runs/third
  wgrad train --resume runs/third
  wgrad train --resume runs/third --epochs 500

A run has a folder with its options (config.toml, which --config takes too), log.jsonl,
history.csv, checkpoints, plots, a report and the model. Ctrl-C saves the run and says how to go
on; twice stops at once. A run that goes on has the bits of one that never stopped.

Exit codes: 0 done, 1 the loss became non-finite, 2 wrong options, 3 wrong data or files, 4
device, 130 interrupted and saved.";

/// Trains a network on a file of data
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// A TOML file with options, of the names they have here; the command line goes over it
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    config: Option<PathBuf>,
    /// Go on with the run in this folder, where its newest checkpoint is
    #[arg(
        long,
        value_name = "FOLDER",
        help_heading = "Run",
        conflicts_with = "config"
    )]
    resume: Option<PathBuf>,
    /// Go on with a run on another device than it began on, with other bits than there
    #[arg(long, help_heading = "Run", requires = "resume")]
    elsewhere: bool,
    /// Say what would be trained, and train nothing
    #[arg(long, help_heading = "Run")]
    dry_run: bool,
    /// Print the outcome as JSON on standard output; what people read goes to standard error
    #[arg(long, help_heading = "Run")]
    json: bool,
    /// Print nothing but errors
    #[arg(long, short, help_heading = "Run")]
    quiet: bool,
}

/// How often the user has asked to stop.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// Whether there is anything to save when that happens.
static TRAINING: AtomicBool = AtomicBool::new(false);

fn watch_signals() -> Result<(), Failure> {
    let handler = || {
        // In this order: training ends soon after it has been asked to, and then must not be cut off while it says so.
        let training = TRAINING.load(Ordering::SeqCst);
        let before = ASKED.fetch_add(1, Ordering::SeqCst);
        if before > 0 || !training {
            std::process::exit(130);
        }
        progress::note(format_args!(
            "stopping: the run is being saved (once more to stop at once, without)"
        ));
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::File(format!("Ctrl-C cannot be watched: {e}")))
}

fn interrupted() -> bool {
    ASKED.load(Ordering::SeqCst) > 0
}

/// The run to go on with.
struct Resumed {
    folder: PathBuf,
    facts: Option<Facts>,
    checkpoint: Option<Checkpoint>,
}

fn absolute(path: &mut Option<PathBuf>) -> Result<(), Failure> {
    if let Some(path) = path {
        *path =
            std::path::absolute(&*path).map_err(|e| failure::file(path, "it has no place", &e))?;
    }
    Ok(())
}

/// All paths made to hold wherever the run goes on from.
fn anchored(mut s: Settings) -> Result<Settings, Failure> {
    for path in [
        &mut s.data,
        &mut s.targets,
        &mut s.validation_targets,
        &mut s.out,
        &mut s.init_from,
    ] {
        absolute(path)?;
    }
    if let Held::File(path) = &s.validation {
        let mut path = Some(path.clone());
        absolute(&mut path)?;
        s.validation = Held::File(path.unwrap_or_default());
    }
    Ok(s)
}

/// The options of this call, and the run that they go on with.
fn settings(a: &Arguments, voice: &Voice) -> Result<(Settings, bool, Option<Resumed>), Failure> {
    if let Some(path) = &a.resume {
        let stored = folder::config(path)?;
        let given = Settings::of(a.options.over(&stored)?);
        let settings = anchored(given)?;
        let (new, old) = (settings.options().table()?, stored.table()?);
        let fixed = |key: &&String| !CHANGEABLE.contains(&key.as_str());
        let changed = new
            .keys()
            .filter(fixed)
            .find(|key| old.get(*key) != new.get(*key));
        if a.options.run.is_some() {
            return Err(Failure::Usage(
                "--run and --resume exclude each other: a run stays in its folder".into(),
            ));
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
            return Err(Failure::Usage(format!(
                "the run in {} began {}, and cannot go on {}: leave it out, or begin anew, with --init-from {} for the \
                 weights",
                path.display(),
                value(&old),
                value(&new),
                shown(path)
            )));
        }
        let facts = match &checkpoint {
            Some(_) => Some(folder::facts(path)?),
            None => None,
        };
        let resumed = Resumed {
            folder: path.clone(),
            facts,
            checkpoint,
        };
        return Ok((settings, stored.validation.is_some(), Some(resumed)));
    }
    let file = match &a.config {
        None => Options::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|e| failure::file(path, "it cannot be read", &e))?;
            Options::parse(&text, &path.display().to_string())?
        }
    };
    let given = a.options.over(&file)?;
    let share_asked = given.validation.is_some();
    Ok((anchored(Settings::of(given))?, share_asked, None))
}

/// All that is needed to train.
struct Job {
    settings: Settings,
    data: Dataset,
    validation: Option<Dataset>,
    preparation: Preparation,
    device: Device,
    network: Mlp,
    criterion: Criterion,
    facts: Facts,
}

pub fn run(a: Arguments) -> Result<(), Failure> {
    watch_signals()?;
    let voice = Voice::new(a.quiet, a.json);
    let (mut settings, share_asked, resumed) = settings(&a, &voice)?;
    check_paths(&settings, resumed.as_ref())?;

    // The data, prepared as it was where the run goes on.
    let checkpoint = resumed.as_ref().and_then(|r| r.checkpoint.as_ref());
    let stored = checkpoint.and_then(|c| c.preparation.clone());
    let fitted: Option<Preparation> = match stored {
        None => None,
        Some(value) => Some(serde_json::from_value(value).map_err(|e| {
            Failure::File(format!("the checkpoint's preparation cannot be read ({e}): take one that `wgrad train` made"))
        })?),
    };
    let read = crate::data::training(&settings, fitted.as_ref())?;
    let rows = read.data.rows();
    if !share_asked && rows < setup::FEW {
        settings.validation = Held::Share(0.0);
    }
    let mut facts = Facts {
        version: env!("CARGO_PKG_VERSION").into(),
        device: String::new(),
        data: folder::digest(std::iter::once(&read.data).chain(&read.validation)),
        rows,
    };
    if let Some(before) = resumed.as_ref().and_then(|r| r.facts.as_ref())
        && before.data != facts.data
    {
        return Err(Failure::File(format!(
            "{}: the data has changed since the run began ({} rows now, {} then, or other values): put back what it was, or \
             begin anew with --init-from for the weights",
            crate::data::path(&settings)?.display(),
            rows,
            before.rows
        )));
    }
    // Rows to train on and rows held out. Weights of classes are for training alone: what is held out tells how good it is.
    let (mut data, validation) = match (read.validation, &settings.validation) {
        (Some(file), _) => (read.data, Some(file)),
        (None, Held::Share(share)) if *share > 0.0 => {
            let (data, held) = read.data.split(1.0 - share, settings.seed)?;
            (data, Some(held))
        }
        (None, _) => (read.data, None),
    };
    if let Some(weights) = class_weights(&settings, &data, &read.preparation)? {
        data = data.with_class_weights(&weights)?;
    }

    // The network, and what it is trained by.
    let criterion = setup::criterion(&settings, &read.preparation)?;
    let network = setup::network(&settings, &read.preparation, criterion.loss)?;
    let optimizer = setup::optimizer(&settings);
    if let Some(checkpoint) = checkpoint {
        check_architecture(checkpoint, &network, criterion, optimizer.name())?;
    }
    let chosen = setup::device(&settings.device)?;
    facts.device = chosen.device.to_string();
    let mut trainer = match checkpoint {
        Some(checkpoint) if a.elsewhere => Trainer::resume_elsewhere(&chosen.device, checkpoint)?,
        Some(checkpoint) => Trainer::resume(&chosen.device, checkpoint).map_err(|e| match e {
            Error::OtherDevice { .. } => Failure::Device(format!(
                "{e}\n(`--elsewhere` goes on here all the same, with other bits)"
            )),
            e => e.into(),
        })?,
        None => {
            let mut trainer = Trainer::new(
                &chosen.device,
                &network,
                criterion,
                optimizer,
                settings.seed,
            )?;
            if let Some(path) = &settings.init_from {
                let (source, path) = model::open(path)?;
                let source = source.model()?;
                if source.network().to_string() != network.to_string() {
                    return Err(Error::Architecture {
                        what: path.display().to_string(),
                        found: source.network().to_string(),
                        expected: network.to_string(),
                        advice:
                            "give options that make the network the same, or leave --init-from out"
                                .into(),
                    }
                    .into());
                }
                trainer.set_weights(source.weights())?;
            }
            trainer
        }
    };

    let job = Job {
        data,
        validation,
        preparation: read.preparation,
        device: chosen.device.clone(),
        network,
        criterion,
        facts,
        settings,
    };
    let options = setup::fit_options(&job.settings, job.validation.as_ref())?;
    let batch = options
        .micro_batch
        .unwrap_or(options.batch_size)
        .min(job.data.rows());
    trainer.reserve(batch)?;
    introduce(&voice, &job, &options, &trainer, &read.summary, &chosen.why)?;

    // Whether the options are right is known when the fit begins; nothing has been written until then.
    let state = checkpoint.map(FitState::of).transpose()?;
    let began_at = state.as_ref().map(|s| (s.epoch, s.steps));
    let mut fit = match state {
        Some(state) => Fit::resume(&mut trainer, &job.data, &options, state)?,
        None => Fit::new(&mut trainer, &job.data, &options)?,
    };
    if a.dry_run {
        voice.say("nothing was trained: this was a dry run");
        return Ok(());
    }

    let path = match &resumed {
        Some(resumed) => resumed.folder.clone(),
        None => folder::make(
            job.settings.run.as_deref(),
            crate::data::path(&job.settings)?,
        )?,
    };
    let mut folder = Folder::hold(path)?;
    folder.write_config(&job.settings, &job.facts)?;
    let state = fit.state()?;
    folder.rewind(state.steps, &state.history)?;
    let checkpoints = CheckpointFolder::new(folder.file(folder::CHECKPOINTS), job.settings.keep)?;
    voice.say(format_args!("run        {}", folder.path().display()));
    if let Some((epoch, steps)) = began_at {
        voice.say(format_args!(
            "           goes on in epoch {}, after {}",
            epoch + 1,
            output::counted(steps, "step")
        ));
    }
    voice.say("");

    let (voice, outcome) = train(
        &mut fit,
        &job,
        &mut folder,
        &checkpoints,
        voice,
        began_at.is_some(),
    );
    outcome.map_err(|failure| with_advice(failure, folder.path()))?;

    let history = fit.finish()?;
    let summary = finish(&voice, &job, &mut trainer, &folder, history)
        .map_err(|failure| with_advice(failure, folder.path()))?;
    if a.json {
        output::json(&summary)?;
    }
    Ok(())
}

/// The weight of each class, where they have any.
fn class_weights(
    s: &Settings,
    data: &Dataset,
    preparation: &Preparation,
) -> Result<Option<Vec<f32>>, Failure> {
    let given = match &s.class_weights {
        ClassWeights::None => return Ok(None),
        ClassWeights::Balanced => return Ok(Some(data.balanced_class_weights()?)),
        ClassWeights::Given(given) => given,
    };
    let Some(classes) = preparation.classes() else {
        return Err(Wrong(
            "--class-weights needs classes, but the targets are numbers: leave it out, or give --task classification".into(),
        )
        .into());
    };
    let names = classes.names();
    if let Some(unknown) = given.keys().find(|&class| !names.contains(class)) {
        return Err(Wrong(format!(
            "--class-weights has a weight for {unknown:?}, but there is no such class; there are {}",
            output::listed(names)
        ))
        .into());
    }
    let weight = |name: &String| given.get(name).map_or(1.0, |&weight| weight as f32);
    Ok(Some(names.iter().map(weight).collect()))
}

/// What can be seen to be wrong before the data is read.
fn check_paths(s: &Settings, resumed: Option<&Resumed>) -> Result<(), Failure> {
    if let Some(out) = &s.out {
        folder::check_out(out)?;
    }
    if let (None, Some(run)) = (resumed, &s.run) {
        folder::check_new(run)?;
    }
    if s.keep == 0 {
        return Err(Wrong("--keep is 0, but at least 1 checkpoint must be kept".into()).into());
    }
    for (name, n) in [
        ("checkpoint-steps", s.checkpoint_steps),
        ("log-steps", s.log_steps),
    ] {
        if n == Some(0) {
            return Err(Wrong(format!(
                "--{name} is 0, but must be 1 or more; leave it out for none"
            ))
            .into());
        }
    }
    if s.checkpoint_minutes
        .is_some_and(|m| !(m > 0.0 && m.is_finite()))
    {
        return Err(
            Wrong("--checkpoint-minutes must be above 0; leave it out for none".into()).into(),
        );
    }
    Ok(())
}

fn check_architecture(
    found: &Checkpoint,
    network: &Mlp,
    criterion: Criterion,
    optimizer: &str,
) -> Result<(), Failure> {
    let there = format!(
        "{}; {}; {}",
        found.network(),
        found.criterion(),
        found.optimizer().name()
    );
    let here = format!("{network}; {criterion}; {optimizer}");
    if there == here {
        return Ok(());
    }
    Err(Error::Architecture {
        what: "the checkpoint".into(),
        found: there,
        expected: here,
        advice: "leave the options out that differ, or begin a new run with them".into(),
    }
    .into())
}

/// What to do after a failure that leaves a run behind.
fn with_advice(failure: Failure, path: &Path) -> Failure {
    let resume = format!("wgrad train --resume {}", shown(path));
    match failure {
        Failure::Library(e @ (Error::NonFiniteLoss { .. } | Error::NonFiniteUpdate)) => {
            Failure::Check(format!(
                "{e}\nThe run cannot go on as it is. Begin anew with a lower --lr, with --clip-norm 1, or with --scaling standard; \
             checkpoints from before are in {}",
                path.join(folder::CHECKPOINTS).display()
            ))
        }
        Failure::Library(e) => {
            let device = matches!(
                e,
                Error::DeviceLost { .. } | Error::Gpu { .. } | Error::OutOfMemory { .. }
            );
            let text = format!("{e}\nThe run goes on from its last checkpoint with: {resume}");
            if device {
                Failure::Device(text)
            } else {
                Failure::File(text)
            }
        }
        Failure::File(text) => Failure::File(format!(
            "{text}\nThe run goes on from its last checkpoint with: {resume}"
        )),
        other => other,
    }
}

/// Says what will be trained, on what.
fn introduce(
    voice: &Voice,
    job: &Job,
    options: &FitOptions<'_>,
    trainer: &Trainer,
    what: &str,
    why: &str,
) -> Result<(), Failure> {
    let s = &job.settings;
    let rows = job.data.rows();
    voice.say(format_args!(
        "data       {}: {what}",
        folder::near(crate::data::path(s)?).display()
    ));
    voice.say(format_args!("           {}", job.preparation));
    let validation = match &job.validation {
        None => "none to validate with".into(),
        Some(held) => format!("{} to validate with", output::count(held.rows() as u64)),
    };
    voice.say(format_args!(
        "           {} rows to train on, {validation}",
        output::count(rows as u64)
    ));
    voice.say("network    layer  output                        parameters");
    let mut inputs = job.network.inputs();
    for (l, layer) in job.network.layers().iter().enumerate() {
        let mut text = format!("{inputs} → {} {}", layer.outputs, layer.activation);
        if let Some(norm) = &layer.norm {
            text += &format!(", {norm}");
        }
        if let Some(p) = layer.dropout {
            text += &format!(", dropout {p}");
        }
        if layer.residual {
            text += ", residual";
        }
        let each = inputs as u64 + 1 + 2 * u64::from(layer.norm.is_some());
        voice.say(format_args!(
            "           {l:>5}  {text:<28}  {:>10}",
            output::count(layer.outputs as u64 * each)
        ));
        inputs = layer.outputs;
    }
    voice.say(format_args!(
        "           in all {} parameters",
        output::count(job.network.parameters())
    ));
    let batch = options.batch_size.min(rows);
    let per_epoch = rows.div_ceil(batch);
    voice.say(format_args!(
        "training   {}, {}, learning rate {}{}{}",
        job.criterion,
        trainer.optimizer().name(),
        trainer.optimizer().lr(),
        if s.schedule == "constant" {
            String::new()
        } else {
            format!(", schedule {}", s.schedule)
        },
        if s.warmup > 0 {
            format!(", warm-up {}", s.warmup)
        } else {
            String::new()
        },
    ));
    voice.say(format_args!(
        "           at most {} of {} of {}{}",
        output::counted(options.epochs, "epoch"),
        output::counted(per_epoch as u64, "step"),
        output::counted(batch as u64, "row"),
        match &options.early_stopping {
            Some(stopping) if stopping.patience < u64::MAX =>
                format!(", patience {}", stopping.patience),
            _ => String::new(),
        }
    ));
    let outputs = match job.data.targets() {
        Targets::Classes(_) => 1,
        Targets::Values(values) => values.cols(),
    };
    let resident = rows as u64 * 4 * (job.network.inputs() + outputs) as u64;
    voice.say(format_args!(
        "memory     {} for the network, its optimiser and a batch; {} for the data",
        output::bytes(trainer.bytes()),
        output::bytes(resident)
    ));
    voice.say(format_args!("device     {} ({why})", job.device));
    Ok(())
}

/// The preparation as it stands with checkpoints and models.
fn stored(preparation: &Preparation) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(preparation)
        .map_err(|e| Failure::File(format!("the preparation cannot be stored: {e}")))
}

/// Where the run saves what it has.
struct Saver<'a> {
    checkpoints: &'a CheckpointFolder,
    preparation: serde_json::Value,
    /// Steps at the last checkpoint, when that was, and how long it took.
    saved: Option<u64>,
    when: Instant,
    took: Duration,
}

/// So many times the time that a checkpoint takes pass before the next, where nobody says how often.
const SELDOM: u32 = 20;

impl Saver<'_> {
    /// Saves, unless that was done at this step.
    fn save(&mut self, fit: &mut Fit<'_>, steps: u64) -> Result<(), Failure> {
        if self.saved == Some(steps) {
            return Ok(());
        }
        let began = Instant::now();
        let mut checkpoint = fit.checkpoint()?;
        checkpoint.preparation = Some(self.preparation.clone());
        self.checkpoints.save(&checkpoint)?;
        self.saved = Some(steps);
        self.when = Instant::now();
        self.took = self.when - began;
        Ok(())
    }

    /// Whether a checkpoint is due at the end of this epoch.
    fn is_due(&self, every: Option<u64>, epoch: u64) -> bool {
        match every {
            Some(every) => every > 0 && epoch.is_multiple_of(every),
            None => self.when.elapsed() >= SELDOM * self.took,
        }
    }
}

/// How long it goes without a look at the clock, the user, and the bar.
const LOOK: Duration = Duration::from_millis(50);
/// How often the loss is read back for the bar.
const LIVE: Duration = Duration::from_millis(250);

fn train(
    fit: &mut Fit<'_>,
    job: &Job,
    folder: &mut Folder,
    checkpoints: &CheckpointFolder,
    voice: Voice,
    resumed: bool,
) -> (Voice, Result<(), Failure>) {
    let rows_per_step = {
        let place = fit.progress();
        job.data.rows() as f64 / place.steps.max(1) as f64
    };
    let mut progress = Progress::new(voice, rows_per_step.min(job.settings.batch_size as f64));
    TRAINING.store(true, Ordering::SeqCst);
    let outcome = steps(fit, job, folder, checkpoints, &mut progress, resumed);
    TRAINING.store(false, Ordering::SeqCst);
    let voice = progress.end();
    let outcome = outcome.and_then(|stopped| match stopped {
        None => Ok(()),
        Some((epoch, step)) => {
            output::note(format_args!(
                "stopped in epoch {epoch}, after {}, and saved; to go on:\n  wgrad train --resume {}",
                output::counted(step, "step"),
                shown(folder.path())
            ));
            Err(Failure::Interrupted)
        }
    });
    (voice, outcome)
}

/// Trains to the end, or until interrupted: then the epoch and the steps are returned.
fn steps(
    fit: &mut Fit<'_>,
    job: &Job,
    folder: &mut Folder,
    checkpoints: &CheckpointFolder,
    progress: &mut Progress,
    resumed: bool,
) -> Result<Option<(u64, u64)>, Failure> {
    let s = &job.settings;
    let done = |fit: &Fit<'_>| {
        let place = fit.progress();
        (place.epoch - 1) * place.steps + place.step
    };
    let mut saver = Saver {
        checkpoints,
        preparation: stored(&job.preparation)?,
        saved: resumed.then(|| done(fit)),
        when: Instant::now(),
        took: Duration::ZERO,
    };
    // A run that is killed at once can go on, too.
    saver.save(fit, done(fit))?;
    let mut chunk: u64 = 1;
    let mut live = Instant::now();
    loop {
        let at = done(fit);
        if interrupted() {
            saver.save(fit, at)?;
            return Ok(Some((fit.progress().epoch, at)));
        }
        let until = |every: Option<u64>| every.map_or(u64::MAX, |n| n - at % n);
        let count = chunk.min(until(s.checkpoint_steps)).min(until(s.log_steps));
        let began = Instant::now();
        let Some(event) = fit.advance(count)? else {
            break;
        };
        let took = began.elapsed();
        if took < LOOK / 2 {
            chunk = (chunk * 2).min(1 << 16);
        } else if took > 2 * LOOK {
            chunk = (chunk / 2).max(1);
        }
        let at = done(fit);
        let place = fit.progress();
        let mut due = s.checkpoint_steps.is_some_and(|n| at.is_multiple_of(n))
            || s.checkpoint_minutes
                .is_some_and(|m| saver.when.elapsed().as_secs_f64() >= 60.0 * m);
        match event {
            Event::Epoch(record) => {
                folder.epoch(&record)?;
                // The place is that of the next epoch already.
                let mut ended = place;
                ended.epoch = record.epoch;
                ended.step = ended.steps;
                progress.epoch(&ended, &record);
                due |= saver.is_due(s.checkpoint_epochs, record.epoch);
            }
            _ => {
                let logged = s.log_steps.is_some_and(|n| at.is_multiple_of(n));
                let shown = progress.is_live() && live.elapsed() >= LIVE;
                let loss = if logged || shown { fit.loss()? } else { None };
                if shown {
                    live = Instant::now();
                }
                if logged && let Some(loss) = loss {
                    let mut object = Map::new();
                    object.insert("step".into(), at.into());
                    object.insert("epoch".into(), place.epoch.into());
                    object.insert("train/running_loss".into(), loss.into());
                    object.insert("lr".into(), fit.trainer().optimizer().lr().into());
                    folder.log(object)?;
                }
                progress.steps(&place, loss);
            }
        }
        if due {
            saver.save(fit, at)?;
        }
    }
    saver.save(fit, done(fit))?;
    Ok(None)
}

/// What a run says in the end, in JSON.
#[derive(Serialize)]
struct Outcome<'a> {
    run: &'a Path,
    model: PathBuf,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// The model, the report and the plots.
fn finish(
    voice: &Voice,
    job: &Job,
    trainer: &mut Trainer,
    folder: &Folder,
    history: History,
) -> Result<serde_json::Value, Failure> {
    let mut model: Model = trainer.model()?;
    model.preparation = Some(stored(&job.preparation)?);
    let path = folder.file(folder::MODEL);
    model.save(&path)?;
    let mut saved = vec![path];
    if let Some(out) = &job.settings.out {
        model.save(out)?;
        saved.push(out.clone());
    }

    let (data, on) = match (&job.validation, job.data.targets()) {
        (Some(validation), _) => (Cow::Borrowed(validation), "validation"),
        // Without the weights that classes were trained with.
        (None, Targets::Classes(labels)) if job.data.weights().is_some() => {
            let inputs = job.data.inputs().clone();
            (
                Cow::Owned(Dataset::classes(inputs, labels.clone())?),
                "training",
            )
        }
        (None, _) => (Cow::Borrowed(&job.data), "training"),
    };
    let result = report::evaluate(trainer, &data, &job.preparation)?;
    let summary = Summary::new(job_facts(job), history, on, result.report);
    if job.settings.plots {
        plots::run(
            folder.path(),
            &summary,
            result.pairs.as_ref(),
            &job.preparation,
        )?;
    }
    summary.write(folder.path(), job.settings.plots)?;

    let history = &summary.history;
    let mut done = format!(
        "{} in {}",
        output::counted(history.epochs.len() as u64, "epoch"),
        output::duration(history.seconds())
    );
    if history.stop == Some(Stop::Patience) {
        done += &format!(": no improvement for {}", job.settings.patience);
    }
    match history.best_epoch {
        Some(best) if job.settings.restore_best => {
            done += &format!("; the model has the weights of epoch {best}, the best");
        }
        Some(best) => done += &format!("; epoch {best} was the best, the model is of the last"),
        None => {}
    }
    voice.say(done);
    let rows = output::count(data.rows() as u64);
    voice.say(format_args!("on the {rows} rows of {on} data:"));
    for line in summary.scores().lines() {
        voice.say(format_args!("  {line}"));
    }
    for path in &saved {
        voice.say(format_args!("model      {}", folder::near(path).display()));
    }
    voice.say(format_args!(
        "report     {}",
        folder.file("report.md").display()
    ));
    let outcome = Outcome {
        run: folder.path(),
        model: saved.pop().unwrap_or_default(),
        summary: &summary,
    };
    serde_json::to_value(&outcome)
        .map_err(|e| Failure::File(format!("the outcome cannot be written as JSON: {e}")))
}

fn job_facts(job: &Job) -> report::Facts {
    report::Facts {
        version: job.facts.version.clone(),
        data: job.settings.data.clone().unwrap_or_default(),
        rows: job.facts.rows,
        preparation: job.preparation.to_string(),
        network: job.network.to_string(),
        parameters: job.network.parameters(),
        loss: job.criterion.to_string(),
        optimizer: setup::optimizer(&job.settings).name().into(),
        device: job.device.to_string(),
        seed: job.settings.seed,
    }
}
