//! `wgrad evaluate`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wgrad::metrics::Scores;

use crate::data::{New, Reading, Truth};
use crate::failure::Failure;
use crate::model::Answering;
use crate::{output, report, setup};

const EXAMPLES: &str = "\
Examples:
  wgrad evaluate model.safetensors test.csv
  wgrad evaluate runs/iris-1 test.csv --json
  wgrad evaluate model.safetensors test.csv --at-least 0.95

Classes: accuracy, log loss, precision, recall, F1, confusion matrix; ROC-AUC of two. Numbers:
R², MAE, RMSE of each target, in the units of the training data. Several labels of 0 and 1, with
binary cross-entropy: accuracy, precision, recall, F1, ROC-AUC of each, and the share of rows with
all of them right. The loss is that of training.";

/// Metrics of a model on data with targets
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A model, a checkpoint, or the folder of a run
    model: PathBuf,
    /// Data with targets; - is standard input
    data: PathBuf,
    /// End with exit code 1 if the accuracy (of several labels the share of rows with all right), or R² for numbers, is
    /// lower than this
    #[arg(long, value_name = "X")]
    at_least: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where to compute: auto, cpu, gpu, or a name or number as `wgrad devices` lists it
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    truth: Truth,
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    let device = setup::device(&a.device)?.device;
    let mut model = Answering::open(&a.model, &device)?;
    let preparation = a.reading.preparation(model.preparation.clone())?;
    let (data, values) = New::open(&a.data, &a.reading, &a.truth, &preparation)?.dataset()?;
    let report = report::evaluate(&mut model.trainer, &data, &preparation, values.as_ref())?.report;
    let score = match &report.scores {
        Scores::Classification(c) => Some(("accuracy", c.accuracy)),
        Scores::MultiLabel(m) => {
            Some(("the share of rows with all labels right", m.subset_accuracy))
        }
        Scores::Regression(r) => r.r2.map(|r2| ("R²", r2)),
        _ => None,
    };
    if a.json {
        let loss = model.criterion.to_string();
        let told = json!({ "model": a.model, "data": a.data, "loss": loss, "report": report });
        output::json(&told)?;
    } else {
        output::line(&report)?;
    }
    let Some(least) = a.at_least else {
        return Ok(());
    };
    Err(Failure::Check(match score {
        Some((_, x)) if x >= least => return Ok(()),
        Some((name, x)) => format!("{name} is {x:.6}, and {least} was asked for"),
        None => "there is neither an accuracy nor an R² of this data".into(),
    }))
}
