//! Runs that have ended, and what makes them go on; runs that ended too soon.

use wgrad::fit::{EarlyStopping, FitState, History, Monitor};

use super::start::Start;
use crate::failure::{Failure, usage};
use crate::folder::{again, shown};
use crate::options::Settings;
use crate::{output, setup};

/// Options that change something only where there are epochs to come.
const OF_EPOCHS: &[&str] = &[
    "epochs",
    "patience",
    "min-delta",
    "checkpoint-epochs",
    "checkpoint-steps",
    "checkpoint-minutes",
    "keep",
    "log-steps",
    "storage",
    "micro-batch",
];

/// What is to be said of a run that has nothing more to do, if it had nothing more to do before this.
///
/// # Errors
/// [`Failure::Usage`] if it has done more epochs than it is to have now, or if options were given that do nothing any more.
pub fn check(start: &Start, s: &Settings, state: &FitState) -> Result<Option<String>, Failure> {
    let Some(resumed) = &start.resumed else {
        return Ok(None);
    };
    let wanted = s.epochs.unwrap_or_else(|| setup::default_epochs(s));
    let path = shown(&resumed.folder);
    let within = state.row > 0;
    let least = state.epoch + u64::from(within);
    if least > wanted {
        let done = output::counted(state.epoch, "epoch");
        let part = if within {
            " and a part of the next"
        } else {
            ""
        };
        let why = format!("the run in {path} has done {done}{part}");
        return usage(format!(
            "{why}, so that --epochs {wanted} cannot be: give {least} or more"
        ));
    }
    // What it had before this decides whether it had ended; what it has now, whether it has to go on.
    let ended = |s: &Settings| {
        let epochs = s.epochs.unwrap_or_else(|| setup::default_epochs(s));
        let patient = s.patience == 0 || state.bad_epochs < s.patience;
        !within && (state.epoch >= epochs || !patient)
    };
    if !ended(&resumed.settings) || !ended(s) {
        return Ok(None);
    }
    let mut why = Vec::new();
    let mut more = String::new();
    if s.patience > 0 && state.bad_epochs >= s.patience {
        let since = output::counted(state.bad_epochs, "epoch");
        why.push(format!("nothing improved for {since}"));
        more += &format!(" --patience {}", state.bad_epochs.saturating_mul(2));
    }
    if state.epoch >= wanted {
        why.push(format!("its {} are done", output::counted(wanted, "epoch")));
        more += &format!(" --epochs {}", wanted.saturating_mul(2));
    }
    let why = why.join(", and ");
    let again = again(s.data.as_deref(), &resumed.folder);
    let on = format!("`{again}{more}` makes it go on");
    let idle = OF_EPOCHS.iter().find(|&&name| {
        let same = || resumed.settings.epochs == s.epochs;
        start.given.line.contains_key(name) && !(name == "epochs" && same())
    });
    match idle {
        Some(name) => {
            let ended = format!("the run in {path} has ended: {why}");
            usage(format!("{ended}, so that --{name} would do nothing: {on}"))
        }
        None => Ok(Some(format!("the run has ended: {why}; {on}"))),
    }
}

/// What to say of a run that ended at its bound of epochs while the number that is watched still improved.
pub fn too_soon(history: &History, watched: EarlyStopping, again: &str) -> Option<String> {
    if !history.still_improving(watched.monitor) {
        return None;
    }
    let done = history.epochs.len() as u64;
    let (what, higher) = (
        monitor_name(watched.monitor),
        watched.monitor.higher_is_better(),
    );
    let way = if higher { "rose" } else { "fell" };
    let (bound, epochs) = (output::counted(done, "epoch"), done.saturating_mul(10));
    let why = format!("it ended at its bound of {bound} while the {what} still {way}");
    Some(format!("{why}; to go on:\n  {again} --epochs {epochs}"))
}

/// What is watched, in words.
pub fn monitor_name(monitor: Monitor) -> &'static str {
    match monitor {
        Monitor::TrainLoss => "training loss",
        Monitor::ValidationAccuracy => "validation accuracy",
        _ => "validation loss",
    }
}
