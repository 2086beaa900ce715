//! `wgrad evaluate`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::data::{New, Reading, Truth};
use crate::failure::Failure;
use crate::model::Answering;
use crate::output;
use crate::report;
use crate::setup;

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
    let classes = report
        .classification()
        .map(|c| ("accuracy", Some(c.accuracy)));
    let labels = report.multi_label().map(|m| {
        (
            "the share of rows with all labels right",
            Some(m.subset_accuracy),
        )
    });
    let values = report.regression().map(|r| ("R²", r.r2));
    if a.json {
        output::json(
            &json!({ "model": a.model, "data": a.data, "loss": model.criterion.to_string(), "report": report }),
        )?;
    } else {
        output::line(&report)?;
    }
    let Some(least) = a.at_least else {
        return Ok(());
    };
    match classes.or(labels).or(values) {
        Some((_, Some(x))) if x >= least => Ok(()),
        Some((name, Some(x))) => Err(Failure::Check(format!(
            "{name} is {x:.6}, and {least} was asked for"
        ))),
        _ => Err(Failure::Check(
            "there is neither an accuracy nor an R² of this data".into(),
        )),
    }
}
