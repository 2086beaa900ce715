//! The way through a run: steps, checkpoints, log, progress, and the end when the user asks for it.

use std::time::{Duration, Instant};

use serde_json::json;
use wgrad::CheckpointFolder;
use wgrad::fit::{Event, Fit};

use super::prepare::Job;
use super::signals;
use crate::failure::Failure;
use crate::folder::{Folder, again};
use crate::output;
use crate::progress::{RunProgress, Voice};

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

/// Trains to the end, or until interrupted, and says so.
pub fn train(
    fit: &mut Fit<'_>,
    job: &Job,
    folder: &mut Folder,
    checkpoints: &CheckpointFolder,
    voice: Voice,
    resumed: bool,
) -> (Voice, Result<(), Failure>) {
    let rows_per_step = job.data.rows() as f64 / fit.progress().steps.max(1) as f64;
    let mut progress = RunProgress::new(voice, rows_per_step);
    signals::training(true);
    let outcome = steps(fit, job, folder, checkpoints, &mut progress, resumed);
    signals::training(false);
    let voice = progress.end();
    let outcome = outcome.and_then(|stopped| {
        let Some((epoch, step)) = stopped else {
            return Ok(());
        };
        let steps = output::counted(step, "step");
        let stopped = format!("stopped in epoch {epoch}, after {steps}, and saved");
        let again = again(job.settings.data.as_deref(), folder.path());
        output::note(format_args!("{stopped}; to go on:\n  {again}"));
        Err(Failure::Interrupted)
    });
    (voice, outcome)
}

/// Trains to the end, or until interrupted: then the epoch and the steps are returned.
fn steps(
    fit: &mut Fit<'_>,
    job: &Job,
    folder: &mut Folder,
    checkpoints: &CheckpointFolder,
    progress: &mut RunProgress,
    resumed: bool,
) -> Result<Option<(u64, u64)>, Failure> {
    let s = &job.settings;
    let done = |fit: &Fit<'_>| {
        let place = fit.progress();
        (place.epoch - 1) * place.steps + place.step
    };
    let mut saver = Saver {
        checkpoints,
        preparation: super::stored(&job.preparation)?,
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
        if signals::interrupted() {
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
        let late = |minutes: f64| saver.when.elapsed().as_secs_f64() >= 60.0 * minutes;
        let mut due = s.checkpoint_steps.is_some_and(|n| at.is_multiple_of(n))
            || s.checkpoint_minutes.is_some_and(late);
        match event {
            Event::Epoch(record) => {
                folder.epoch(&record)?;
                // The place is that of the next epoch already.
                let mut ended = place;
                ended.epoch = record.epoch;
                ended.step = ended.steps;
                progress.epoch(&ended, &record);
                progress.first(&record, s, job.criterion.loss);
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
                    let lr = fit.trainer().optimizer().lr();
                    folder.log(json!({
                        "step": at, "epoch": place.epoch, "train/running_loss": loss, "lr": lr,
                    }))?;
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
