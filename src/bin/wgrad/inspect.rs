//! `wgrad inspect`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use wgrad::fit::FitState;
use wgrad::{Checkpoint, Criterion, Mlp, Preparation, Tensors};

use crate::failure::Failure;
use crate::folder;
use crate::model::{self, Saved};
use crate::output;

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
    let mut facts = Listing {
        lines: Vec::new(),
        json: serde_json::Map::new(),
    };
    if a.path.is_dir() && a.path.join(folder::CONFIG).exists() {
        of_run(&a.path, &mut facts)?;
    }
    let (source, path) = model::open(&a.path)?;
    match &source {
        Saved::Model(model) => {
            facts.same("model", path.display());
            facts.same("wgrad version", model.version());
            network(model.network(), model.criterion(), &mut facts);
            weights(model.weights(), &mut facts);
            prepared(model.preparation.as_ref(), &mut facts);
        }
        Saved::Checkpoint(checkpoint) => of_checkpoint(checkpoint, &path, &mut facts)?,
    }
    if a.json {
        return output::json(&facts.json);
    }
    let width = facts
        .lines
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
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
    let report = std::fs::read_to_string(path.join("report.json"));
    let report = report
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok());
    // A run that went on after its report has more epochs by now.
    let state = folder::newest(path)?.and_then(|found| FitState::of(&found.checkpoint).ok());
    let now = state.map(|state| (state.epoch, state.row));
    let told = report.as_ref().and_then(|report| report["epochs"].as_u64());
    let finished = now.zip(told).is_some_and(|(now, told)| now == (told, 0));
    let state = match finished {
        true => "finished".into(),
        false => format!(
            "not finished: go on with `{}`",
            folder::again(options.data.as_deref(), path)
        ),
    };
    facts.add(
        "state",
        state,
        if finished { "finished" } else { "not finished" },
    );
    if let Some(report) = report {
        let evaluation = &report["report"]["evaluation"];
        let number = |value: &Value| value.as_f64().map(output::short);
        let mut text = format!(
            "{} epochs; {} loss {}",
            report["epochs"],
            report["evaluated_on"].as_str().unwrap_or("?"),
            number(&evaluation["loss"]).unwrap_or("?".into())
        );
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
    let mut lines = vec![format!(
        "{:<18} {:>14} {:>11} {:>11} {:>11}",
        "tensor", "shape", "mean", "deviation", "largest"
    )];
    let mut all = Vec::new();
    for tensor in weights.iter() {
        let n = tensor.data.len().max(1) as f64;
        let mean = tensor.data.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = tensor
            .data
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / n;
        let largest = tensor
            .data
            .iter()
            .fold(0.0f64, |m, &x| m.max(f64::from(x).abs()));
        let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "{:<18} {:>14} {:>11} {:>11} {:>11}",
            tensor.name,
            shape.join("×"),
            output::short(mean),
            output::short(variance.sqrt()),
            output::short(largest)
        ));
        all.push(json!({
            "name": tensor.name, "shape": tensor.shape, "mean": mean,
            "deviation": variance.sqrt(), "largest": largest,
        }));
    }
    facts.add("weights", lines.join("\n"), all);
}

fn prepared(value: Option<&Value>, facts: &mut Listing) {
    let Some(value) = value else {
        facts.add(
            "preparation",
            "none: it takes rows as they are",
            Value::Null,
        );
        return;
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
    let optimizer = checkpoint.optimizer();
    facts.add(
        "optimiser",
        format_args!("{}, learning rate {}", optimizer.name(), optimizer.lr()),
        json!({ "name": optimizer.name(), "lr": optimizer.lr() }),
    );
    facts.add(
        "steps",
        output::count(checkpoint.steps()),
        checkpoint.steps(),
    );
    facts.same("made on", checkpoint.device());
    if let Ok(state) = FitState::of(checkpoint) {
        facts.add(
            "epoch",
            format_args!(
                "{}, {} of its {} rows done",
                state.epoch + 1,
                state.row,
                state.rows
            ),
            state.epoch + 1,
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
