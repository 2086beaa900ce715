//! What comes of a run: the model, the report, the plots.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use wgrad::data::Targets;
use wgrad::fit::{History, Stop};
use wgrad::{Dataset, Model, Trainer};

use super::ended;
use super::prepare::Job;
use crate::failure::Failure;
use crate::folder::{self, Folder, again};
use crate::progress::Voice;
use crate::report::{self, Summary};
use crate::{output, plots, setup};

/// What a run says in the end, in JSON.
#[derive(Serialize)]
struct Outcome<'a> {
    run: &'a Path,
    model: PathBuf,
    /// Whether it ended at its bound of epochs all the same.
    still_improving: bool,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// The model, the report and the plots.
pub fn finish(
    voice: &Voice,
    job: &Job,
    trainer: &mut Trainer,
    folder: &Folder,
    history: History,
) -> Result<serde_json::Value, Failure> {
    let mut model: Model = trainer.model()?;
    model.preparation = Some(super::stored(&job.preparation)?);
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
            let data = Dataset::classes(inputs, labels.clone())?;
            (Cow::Owned(data), "training")
        }
        (None, _) => (Cow::Borrowed(&job.data), "training"),
    };
    let held = job.validation.is_some();
    let values = job.values[usize::from(held)].as_ref();
    let result = report::evaluate(trainer, &data, &job.preparation, values)?;
    let summary = Summary::new(facts(job), history, on, result.report);
    let (path, pairs) = (folder.path(), result.pairs.as_ref());
    let plotted = match job.settings.plots {
        true => plots::run(path, &summary, pairs, &job.preparation)?,
        false => Vec::new(),
    };
    summary.write(path, &plotted)?;

    let history = &summary.history;
    let watched = setup::watched(&job.settings, held);
    let again = again(job.settings.data.as_deref(), path);
    let too_soon = ended::too_soon(history, watched, &again);
    let epochs = output::counted(history.epochs.len() as u64, "epoch");
    let mut done = format!("{epochs} in {}", output::duration(history.seconds()));
    if history.stop == Some(Stop::Patience) {
        done += &format!(": no improvement for {}", job.settings.patience);
    }
    match history.best_epoch {
        Some(best) if watched.restore_best => {
            done += &format!("; the model has the weights of epoch {best}, the best");
        }
        Some(best) if best < history.epochs.len() as u64 => {
            done += &format!("; epoch {best} was the best, the model is of the last");
        }
        _ => {}
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
    let report = folder.file("report.md");
    voice.say(format_args!("report     {}", report.display()));
    if let Some(text) = &too_soon {
        voice.say(text);
    }
    let outcome = Outcome {
        run: folder.path(),
        still_improving: too_soon.is_some(),
        model: saved.pop().unwrap_or_default(),
        summary: &summary,
    };
    serde_json::to_value(&outcome)
        .map_err(|e| Failure::File(format!("the outcome cannot be written as JSON: {e}")))
}

/// What the report says of the run.
fn facts(job: &Job) -> report::About {
    report::About {
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
