//! `wgrad inspect`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use wgrad::fit::FitState;
use wgrad::{Checkpoint, Criterion, Mlp, Preparation, Tensors};

use crate::failure::Failure;
use crate::model::{self, ModelSource};
use crate::{folder, output};

const EXAMPLES: &str = "\
Examples:
  wgrad inspect model.safetensors
  wgrad inspect runs/iris-1
  wgrad inspect runs/iris-1/checkpoints/checkpoint-00000007.safetensors --json";

/// What a model, a checkpoint or a run's folder holds
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A model, a checkpoint, or the folder of a run
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is said: a name and a value each.
#[derive(Default)]
struct Listing {
    lines: Vec<(String, String)>,
    json: serde_json::Map<String, Value>,
}

impl Listing {
    fn add(&mut self, name: &str, text: impl std::fmt::Display, value: impl Into<Value>) {
        self.lines.push((name.into(), text.to_string()));
        self.json.insert(name.replace(' ', "_"), value.into());
    }

    fn same(&mut self, name: &str, text: impl std::fmt::Display) {
        let text = text.to_string();
        self.add(name, &text, text.clone());
    }
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    let mut facts = Listing::default();
    if a.path.is_dir() && a.path.join(folder::CONFIG).exists() {
        of_run(&a.path, &mut facts)?;
    }
    let (source, path) = model::open(&a.path)?;
    match &source {
        ModelSource::Model(model) => {
            facts.same("model", path.display());
            facts.same("wgrad version", model.version());
            network(model.network(), model.criterion(), &mut facts);
            weights(model.weights(), &mut facts);
            prepared(model.preparation.as_ref(), &mut facts);
        }
        ModelSource::Checkpoint(checkpoint) => of_checkpoint(checkpoint, &path, &mut facts)?,
    }
    if a.json {
        return output::json(&facts.json);
    }
    let widths = facts.lines.iter().map(|(name, _)| name.chars().count());
    let width = widths.max().unwrap_or(0);
    for (name, text) in &facts.lines {
        for (i, line) in text.lines().enumerate() {
            let name = if i == 0 { name } else { "" };
            output::line(format_args!("{name:width$}  {line}"))?;
        }
    }
    Ok(())
}

fn of_run(path: &Path, facts: &mut Listing) -> Result<(), Failure> {
    facts.same("run", path.display());
    let options = folder::config(path)?;
    let said = |path: Option<&PathBuf>| path.map_or("?".into(), |p| p.display().to_string());
    facts.same("data", said(options.data.as_ref()));
    if let Ok(about) = folder::facts(path) {
        facts.same("device", about.device);
        facts.add("rows", output::count(about.rows as u64), about.rows);
    }
    let report = std::fs::read(path.join("report.json")).ok();
    let report = report.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    // A run that went on after its report has more epochs by now.
    let state = folder::newest(path)?.and_then(|found| FitState::of(&found.checkpoint).ok());
    let now = state.map(|state| (state.epoch, state.row));
    let told = report.as_ref().and_then(|report| report["epochs"].as_u64());
    let finished = now.zip(told).is_some_and(|(now, told)| now == (told, 0));
    match finished {
        true => facts.same("state", "finished"),
        false => {
            let again = folder::again(options.data.as_deref(), path);
            let text = format!("not finished: go on with `{again}`");
            facts.add("state", text, "not finished");
        }
    }
    if let Some(report) = report {
        let evaluation = &report["report"]["evaluation"];
        let number = |value: &Value| value.as_f64().map(output::short);
        let on = report["evaluated_on"].as_str().unwrap_or("?");
        let loss = number(&evaluation["loss"]).unwrap_or("?".into());
        let mut text = format!("{} epochs; {on} loss {loss}", report["epochs"]);
        if let Some(accuracy) = number(&evaluation["accuracy"]) {
            text += &format!(", accuracy {accuracy}");
        }
        facts.add("result", text, report["report"].clone());
    }
    Ok(())
}

fn network(network: &Mlp, criterion: Criterion, facts: &mut Listing) {
    facts.same("network", network);
    let parameters = network.parameters();
    facts.add("parameters", output::count(parameters), parameters);
    facts.same("loss", criterion);
}

/// Shapes and sizes of the weights: a broken one is seen here.
fn weights(weights: &Tensors, facts: &mut Listing) {
    let line = |[name, shape, mean, deviation, largest]: [&str; 5]| {
        format!("{name:<18} {shape:>14} {mean:>11} {deviation:>11} {largest:>11}")
    };
    let mut lines = vec![line(["tensor", "shape", "mean", "deviation", "largest"])];
    let mut all = Vec::new();
    for tensor in weights.iter() {
        let n = tensor.data.len().max(1) as f64;
        let elements = || tensor.data.iter().map(|&x| f64::from(x));
        let mean = elements().sum::<f64>() / n;
        let variance = elements().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let deviation = variance.sqrt();
        let largest = elements().map(f64::abs).fold(0.0, f64::max);
        let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
        let [m, d, l] = [mean, deviation, largest].map(output::short);
        lines.push(line([&tensor.name, &shape.join("×"), &m, &d, &l]));
        all.push(json!({
            "name": tensor.name, "shape": tensor.shape, "mean": mean,
            "deviation": deviation, "largest": largest,
        }));
    }
    facts.add("weights", lines.join("\n"), all);
}

fn prepared(value: Option<&Value>, facts: &mut Listing) {
    let Some(value) = value else {
        return facts.add(
            "preparation",
            "none: it takes rows as they are",
            Value::Null,
        );
    };
    let text = match serde_json::from_value::<Preparation>(value.clone()) {
        Ok(preparation) => preparation.to_string(),
        Err(_) => match value.get("estimator").and_then(Value::as_str) {
            Some(estimator) => format!("that of an estimator, a {estimator}"),
            None => "that of another program".into(),
        },
    };
    facts.add("preparation", text, value.clone());
}

fn of_checkpoint(checkpoint: &Checkpoint, path: &Path, facts: &mut Listing) -> Result<(), Failure> {
    facts.same("checkpoint", path.display());
    facts.same("wgrad version", checkpoint.version());
    network(checkpoint.network(), checkpoint.criterion(), facts);
    let (name, lr) = (checkpoint.optimizer().name(), checkpoint.optimizer().lr());
    let text = format!("{name}, learning rate {lr}");
    facts.add("optimiser", text, json!({ "name": name, "lr": lr }));
    let steps = checkpoint.steps();
    facts.add("steps", output::count(steps), steps);
    facts.same("made on", checkpoint.device());
    if let Ok(state) = FitState::of(checkpoint) {
        let (epoch, row, rows) = (state.epoch + 1, state.row, state.rows);
        facts.add(
            "epoch",
            format!("{epoch}, {row} of its {rows} rows done"),
            epoch,
        );
        if let Some(best) = state.history.best_epoch {
            facts.add("best epoch", best, best);
        }
        if let Some(last) = state.history.last() {
            let value = serde_json::to_value(last).unwrap_or(Value::Null);
            facts.add("last epoch", last, value);
        }
    }
    weights(&checkpoint.weights(), facts);
    prepared(checkpoint.preparation.as_ref(), facts);
    Ok(())
}
