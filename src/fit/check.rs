//! Whether a fit can begin, or go on, as it is asked to.

use super::{FitOptions, FitState, Monitor};
use crate::config::schedule::Shape;
use crate::data::{Cut, Dataset};
use crate::error::{Error, Result};

/// Whether what is watched will be there.
pub(super) fn check_monitors(options: &FitOptions<'_>, validation: Option<&Dataset>) -> Result<()> {
    let plateau = matches!(options.schedule.shape, Shape::Plateau(_));
    let watched = [
        ("early stopping", options.early_stopping.map(|s| s.monitor)),
        ("the plateau", plateau.then_some(options.plateau_monitor)),
    ];
    for (who, monitor) in watched {
        let classes = validation.is_some_and(|validation| validation.labels().is_some());
        let missing = match monitor {
            None | Some(Monitor::TrainLoss) => continue,
            Some(_) if validation.is_none() => "there is no validation data",
            Some(Monitor::ValidationAccuracy) if !classes => "the targets are no class indices",
            Some(_) => continue,
        };
        let name = format!("what {who} watches");
        let value = format!("{:?}, but {missing}", monitor.unwrap_or_default());
        let allowed = "what there is: give validation data, or watch another Monitor";
        return Err(Error::argument(name, value, allowed));
    }
    Ok(())
}

/// Whether a state belongs to this data and these options.
pub(super) fn check_state(
    state: &FitState,
    fresh: &FitState,
    options: &FitOptions<'_>,
    cut: Cut,
) -> Result<()> {
    let text = |x: &dyn std::fmt::Debug| format!("{x:?}");
    let of = |state: &FitState| {
        [
            ("the number of training rows", text(&state.rows)),
            ("batch_size", text(&state.batch_size)),
            ("shuffle", text(&state.shuffle)),
            ("seed", text(&state.seed)),
            ("the validation fraction", text(&state.validation_fraction)),
        ]
    };
    for ((name, value), (_, before)) in of(fresh).into_iter().zip(of(state)) {
        if value != before {
            let name = format!("{name} of a fit that goes on");
            let allowed = format!("{before}, as when it stopped");
            return Err(Error::argument(name, value, allowed));
        }
    }
    // Between two batches, as they are cut.
    let between = |row: u64| {
        let (row, rows) = (row as usize, state.rows as usize);
        row == cut.first(row / options.batch_size, rows)
    };
    if !state.is_sound() || !between(state.row) {
        let name = "the state of a fit";
        let value = format!("at row {} after {} epochs", state.row, state.epoch);
        return Err(Error::argument(name, value, "as the fit gave it"));
    }
    let restore = options.early_stopping.is_some_and(|s| s.restore_best);
    if restore && state.best.is_some() && state.best_weights.is_none() {
        let value = "without the weights of its best epoch";
        let allowed = "with them, by FitState::with_best_weights, or with restore_best off";
        return Err(Error::argument("the state of a fit", value, allowed));
    }
    Ok(())
}
