//! `wgrad train`: this file goes through a run from its command line to its model, the files below it each have a part.

mod ended;
mod finish;
mod introduce;
mod prepare;
mod signals;
mod start;
mod steps;

use std::path::{Path, PathBuf};

use clap::Args;
use wgrad::fit::{Fit, FitState};
use wgrad::{CheckpointFolder, Error, Preparation};

use crate::failure::{At, Failure, told};
use crate::folder::{self, Folder, again};
use crate::options::Options;
use crate::progress::Voice;
use crate::{output, setup};

use finish::finish;
use introduce::{introduce, outline};
use prepare::Job;
use start::Start;
use steps::train;

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
    /// Say what would be trained, with --json as JSON, and train nothing
    #[arg(long, help_heading = "Run")]
    dry_run: bool,
    /// Print the outcome as JSON on standard output; what people read goes to standard error
    #[arg(long, help_heading = "Run")]
    json: bool,
    /// Print nothing but errors
    #[arg(long, short, help_heading = "Run")]
    quiet: bool,
}

pub fn run(a: Arguments) -> Result<(), Failure> {
    signals::watch()?;
    let voice = Voice::new(a.quiet, a.json);
    let start = Start::of(&a, &voice)?;
    let (job, mut trainer) = prepare::job(&start)?;
    let options = setup::fit_options(&job.settings, job.validation.as_ref(), job.known.classes)?;
    let batch = options.micro_batch.unwrap_or(options.batch_size);
    trainer.reserve(batch.min(job.data.rows()))?;
    introduce(&voice, &job, &options, &trainer)?;
    let outline = (a.dry_run && a.json).then(|| outline(&job, &options, &trainer));
    let outline = outline.transpose()?;

    // Whether the options are right is known when the fit begins; nothing has been written until then.
    let state = start.checkpoint().map(FitState::of).transpose()?;
    let ended = match &state {
        Some(state) => ended::check(&start, &job.settings, state)?,
        None => None,
    };
    let began_at = state.as_ref().map(|s| (s.epoch, s.steps));
    let mut fit = match state {
        Some(state) => Fit::resume(&mut trainer, &job.data, &options, state)?,
        None => Fit::new(&mut trainer, &job.data, &options)?,
    };
    if a.dry_run {
        voice.say("nothing was trained: this was a dry run");
        return outline.map_or(Ok(()), |outline| output::json(&outline));
    }

    let path = match &start.resumed {
        Some(resumed) => resumed.folder.clone(),
        None => {
            let data = crate::data::path(&job.settings)?;
            folder::make(job.settings.run.as_deref(), data)?
        }
    };
    let mut folder = Folder::hold(path)?;
    let kept = start.resumed.as_ref().map(|r| &r.table);
    folder.write_config(&job.settings.text(job.known, kept)?, &job.facts)?;
    let state = fit.state()?;
    folder.rewind(state.steps, &state.history)?;
    let checkpoints = CheckpointFolder::new(folder.file(folder::CHECKPOINTS), job.settings.keep)?;
    voice.say(format_args!("run        {}", folder.path().display()));
    if let Some(ended) = ended {
        voice.say(format_args!("           {ended}"));
    } else if let Some((epoch, steps)) = began_at {
        let (next, steps) = (epoch + 1, output::counted(steps, "step"));
        voice.say(format_args!(
            "           goes on in epoch {next}, after {steps}"
        ));
    }
    voice.say("");

    let resumed = began_at.is_some();
    let (voice, outcome) = train(&mut fit, &job, &mut folder, &checkpoints, voice, resumed);
    outcome.map_err(|failure| with_advice(failure, &job, folder.path()))?;

    let history = fit.finish()?;
    let summary = finish(&voice, &job, &mut trainer, &folder, history)
        .map_err(|failure| with_advice(failure, &job, folder.path()))?;
    if a.json {
        output::json(&summary)?;
    }
    Ok(())
}

/// What to do after a failure that leaves a run behind.
fn with_advice(failure: Failure, job: &Job, path: &Path) -> Failure {
    let resume = again(job.settings.data.as_deref(), path);
    let on = format!("The run goes on from its last checkpoint with: {resume}");
    match failure {
        Failure::Library(e @ (Error::NonFiniteLoss { .. } | Error::NonFiniteUpdate)) => {
            Failure::Check(format!(
                "{}\nThe run cannot go on as it is. Begin anew with a lower --lr, with --clip-norm 1, or with --scaling standard; \
             checkpoints from before are in {}",
                told(&e, At::Train),
                path.join(folder::CHECKPOINTS).display()
            ))
        }
        Failure::Library(e) => {
            let text = format!("{}\n{on}", told(&e, At::Train));
            match e {
                Error::DeviceLost { .. } | Error::Gpu { .. } => Failure::Device(text),
                Error::OutOfMemory { .. } => Failure::Device(text),
                _ => Failure::File(text),
            }
        }
        Failure::File(text) => Failure::File(format!("{text}\n{on}")),
        other => other,
    }
}

/// The preparation as it stands with checkpoints and models.
fn stored(preparation: &Preparation) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(preparation)
        .map_err(|e| Failure::File(format!("the preparation cannot be stored: {e}")))
}
