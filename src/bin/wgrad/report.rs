//! What a model is worth: metrics of data, and the report of a run.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use wgrad::data::{Dataset, Preparation, TargetEncoding, Targets};
use wgrad::files::replace;
use wgrad::fit::{History, Stop};
use wgrad::metrics::{Regression, Report, Scores};
use wgrad::{Loss, Matrix, Trainer};

use crate::failure::{Failure, unusable};
use crate::model::{self, Answers};
use crate::plots::Plotted;
use crate::{folder, output};

/// Metrics, and of values the pairs they come from.
pub struct Evaluated {
    pub report: Report,
    /// Predicted and true values, in the units of the training data.
    pub pairs: Option<(Matrix<f64>, Matrix<f64>)>,
}

/// Metrics of prepared data, of values in the units of the training data. The loss is that of training. `raw` are the true
/// values as they stand in the file, a row for each of `data`; without them they are brought back from what the network
/// learns, which has the digits of an f32.
pub fn evaluate(
    trainer: &mut Trainer,
    data: &Dataset,
    preparation: &Preparation,
    raw: Option<&Matrix<f64>>,
) -> Result<Evaluated, Failure> {
    let mut report = trainer.report(data)?;
    let names = model::target_names(preparation);
    if let Some(classes) = preparation.classes() {
        report = report.named(classes.names());
    } else if !matches!(report.scores, Scores::Classification(_)) {
        report = report.named(&names);
    }
    let loss = trainer.criterion().loss;
    let pairs = match (preparation.target(), data.targets()) {
        (TargetEncoding::Values { .. }, Targets::Values(targets)) => {
            let outputs = trainer.predict(data.inputs())?;
            let Answers::Values(predicted) = model::answers(&outputs, preparation, loss)? else {
                return Ok(Evaluated {
                    report,
                    pairs: None,
                });
            };
            let targets = match (raw, loss) {
                (Some(raw), _) => raw.clone(),
                (None, Loss::BinaryCrossEntropy) => targets.to_f64(),
                (None, _) => preparation.inverse_target(targets)?,
            };
            // Beside zeros and ones the report has the metrics of classes or of labels.
            if matches!(report.scores, Scores::Regression(_) | Scores::LossOnly) {
                let regression = Regression::new(&predicted, &targets)?;
                report.scores = Scores::Regression(regression.named(&names));
                Some((predicted, targets))
            } else {
                None
            }
        }
        _ => None,
    };
    Ok(Evaluated { report, pairs })
}

/// What was trained, on what.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    pub version: String,
    pub data: PathBuf,
    pub rows: usize,
    pub preparation: String,
    pub network: String,
    pub parameters: u64,
    pub loss: String,
    pub optimizer: String,
    pub device: String,
    pub seed: u64,
}

/// The report of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    #[serde(flatten)]
    facts: About,
    seconds: f64,
    epochs: usize,
    /// `validation` or `training`: what it was evaluated on.
    evaluated_on: String,
    pub report: Report,
    pub history: History,
}

impl Summary {
    pub fn new(facts: About, history: History, on: &str, report: Report) -> Self {
        Self {
            seconds: history.seconds(),
            epochs: history.epochs.len(),
            evaluated_on: on.into(),
            report,
            history,
            facts,
        }
    }

    /// The metrics as text.
    pub fn scores(&self) -> String {
        self.report.to_string()
    }

    /// Writes `report.md`, with these plots in it, and `report.json`.
    pub fn write(&self, folder: &Path, plots: &[Plotted]) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(self);
        let fail = |e| unusable(format!("the report cannot be written as JSON: {e}"));
        let json = json.or_else(fail)?;
        let file = |kind| folder.join(format!("{}.{kind}", folder::REPORT));
        replace(file("json"), json.as_bytes())?;
        replace(file("md"), self.markdown(plots).as_bytes())?;
        Ok(())
    }

    fn markdown(&self, plots: &[Plotted]) -> String {
        let f = &self.facts;
        let mut out = String::from("# Report of a run\n\n| | |\n|---|---|\n");
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(out, "| {name} | {} |", value.replace('|', "\\|"));
        };
        let (data, rows) = (f.data.display(), output::count(f.rows as u64));
        row("data", &format!("{data}, {rows} rows"));
        row("preparation", &f.preparation);
        row("network", &f.network);
        row("parameters", &output::count(f.parameters));
        row("loss", &f.loss);
        row("optimiser", &f.optimizer);
        row("seed", &f.seed.to_string());
        row("device", &f.device);
        row("time", &output::duration(self.seconds));
        let ended = match (self.history.stop, self.history.best_epoch) {
            (Some(Stop::Patience), Some(best)) => {
                format!("{}: no improvement since epoch {best}", self.epochs)
            }
            (_, Some(best)) => format!("{}, the best of which was {best}", self.epochs),
            _ => self.epochs.to_string(),
        };
        row("epochs", &ended);
        row("wgrad", &f.version);
        let (on, report) = (&self.evaluated_on, &self.report);
        let _ = write!(out, "\n## On {on} data\n\n```text\n{report}\n```\n");
        if on == "training" {
            out += "\nNothing was held out: these figures say nothing about new data.\n";
        }
        if !plots.is_empty() {
            out += "\n## Plots\n";
            for plot in plots {
                let _ = write!(out, "\n![{}]({}.svg)\n", plot.title, plot.name);
            }
        }
        let (history, every) = thinned(&self.history);
        let _ = write!(out, "\n## Epochs\n\n```text\n{history}\n```\n");
        if every > 1 {
            let all = format!("all are in `{}`", folder::HISTORY);
            let _ = write!(
                out,
                "\nThe first, one of {every}, the best and the last; {all}.\n"
            );
        }
        out
    }
}

/// Epochs that a page shows.
const MOST_EPOCHS: usize = 100;

/// The epochs that a page has room for, and of how many each is one.
fn thinned(history: &History) -> (History, usize) {
    let mut shown = history.clone();
    let every = history.epochs.len().div_ceil(MOST_EPOCHS).max(1);
    let always = [history.last().map(|e| e.epoch), history.best_epoch];
    let mut place = 0;
    shown.epochs.retain(|e| {
        place += 1;
        (place - 1) % every == 0 || always.contains(&Some(e.epoch))
    });
    (shown, every)
}
