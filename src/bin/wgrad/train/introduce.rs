//! What is said before training begins.

use serde_json::{Value, json};
use wgrad::data::{ClassMap, Targets};
use wgrad::fit::FitOptions;
use wgrad::{Dataset, Layer, Trainer};

use super::ended::monitor_name;
use super::prepare::Job;
use crate::failure::Failure;
use crate::progress::Voice;
use crate::{folder, output};

/// Says what will be trained, on what.
pub fn introduce(
    voice: &Voice,
    job: &Job,
    options: &FitOptions<'_>,
    trainer: &Trainer,
) -> Result<(), Failure> {
    let s = &job.settings;
    let rows = job.data.rows();
    let path = folder::near(crate::data::path(s)?).display();
    voice.say(format_args!("data       {path}: {}", job.found.summary));
    voice.say(format_args!("           {}", job.preparation));
    for guess in &job.found.guesses {
        voice.say(format_args!("           {guess}"));
    }
    for (i, line) in crate::data::table(&job.found.columns).iter().enumerate() {
        let head = if i == 0 { "columns" } else { "" };
        voice.say(format_args!("{head:<10} {line}"));
    }
    let validation = match &job.validation {
        None => "none to validate with".into(),
        Some(held) => format!("{} to validate with", output::count(held.rows() as u64)),
    };
    let count = output::count(rows as u64);
    voice.say(format_args!(
        "           {count} rows to train on, {validation}"
    ));
    voice.say("network    layer  output                        parameters");
    let mut inputs = job.network.inputs();
    for (l, layer) in job.network.layers().iter().enumerate() {
        let mut text = format!("{inputs} → {} {}", layer.outputs, layer.activation);
        if let Some(norm) = &layer.norm {
            text += &format!(", {norm}");
        }
        if let Some(p) = layer.dropout {
            text += &format!(", dropout {p}");
        }
        if layer.residual {
            text += ", residual";
        }
        let each = inputs as u64 + 1 + 2 * u64::from(layer.norm.is_some());
        let count = output::count(layer.outputs as u64 * each);
        voice.say(format_args!("           {l:>5}  {text:<28}  {count:>10}"));
        inputs = layer.outputs;
    }
    let parameters = output::count(job.network.parameters());
    voice.say(format_args!("           in all {parameters} parameters"));
    let batch = options.batch_size.min(rows);
    let per_epoch = trainer.steps_per_epoch(rows, batch);
    let (name, lr) = (trainer.optimizer().name(), trainer.optimizer().lr());
    let mut training = format!("{}, {name}, learning rate {lr}", job.criterion);
    if s.schedule != "constant" {
        training += &format!(", schedule {}", s.schedule);
    }
    if s.warmup > 0 {
        training += &format!(", warm-up {}", s.warmup);
    }
    voice.say(format_args!("training   {training}"));
    let stopping = options.early_stopping.filter(|s| s.patience < u64::MAX);
    let patience = stopping.map_or(String::new(), |stopping| {
        let watched = monitor_name(stopping.monitor);
        format!(", patience {} for the {watched}", stopping.patience)
    });
    let counts = [
        (options.epochs, "epoch"),
        (per_epoch, "step"),
        (batch as u64, "row"),
    ];
    let [epochs, steps, rows] = counts.map(|(n, what)| output::counted(n, what));
    voice.say(format_args!(
        "           at most {epochs} of {steps} of {rows}{patience}"
    ));
    if job.small_batch {
        let few = "steps of a tenth of the rows, as these are few; --batch-size says otherwise";
        voice.say(format_args!("           {few}"));
    }
    let (own, data) = (output::bytes(trainer.bytes()), output::bytes(resident(job)));
    let own = format!("{own} for the network, its optimiser and a batch");
    voice.say(format_args!("memory     {own}; {data} for the data"));
    voice.say(format_args!("device     {} ({})", job.device, job.why));
    for warning in &job.found.warnings {
        voice.say(format_args!("warning    {warning}"));
    }
    Ok(())
}

/// Bytes of the training data as it is trained on.
fn resident(job: &Job) -> u64 {
    let outputs = match job.data.targets() {
        Targets::Classes(_) => 1,
        Targets::Values(values) => values.cols(),
    };
    job.data.rows() as u64 * 4 * (job.network.inputs() + outputs) as u64
}

/// The same for programs.
pub fn outline(job: &Job, options: &FitOptions<'_>, trainer: &Trainer) -> Result<Value, Failure> {
    let s = &job.settings;
    let rows = job.data.rows();
    let batch = options.batch_size.min(rows);
    let mut inputs = job.network.inputs();
    let layer = |layer: &Layer| {
        json!({
            "inputs": std::mem::replace(&mut inputs, layer.outputs),
            "outputs": layer.outputs,
            "activation": layer.activation.to_string(),
            "norm": layer.norm.as_ref().map(ToString::to_string),
            "dropout": layer.dropout,
            "residual": layer.residual,
        })
    };
    let layers: Vec<Value> = job.network.layers().iter().map(layer).collect();
    let stopping = options.early_stopping;
    let patience = stopping.map(|s| s.patience).filter(|&n| n < u64::MAX);
    Ok(json!({
        "data": {
            "path": s.data,
            "found": job.found,
            "rows": job.facts.rows,
            "training_rows": rows,
            "validation_rows": job.validation.as_ref().map_or(0, Dataset::rows),
            "inputs": job.preparation.input_names(),
            "classes": job.preparation.classes().map(ClassMap::names),
            "preparation": super::stored(&job.preparation)?,
        },
        "network": {
            "inputs": job.network.inputs(),
            "layers": layers,
            "parameters": job.network.parameters(),
        },
        "training": {
            "loss": job.criterion.to_string(),
            "optimizer": trainer.optimizer().name(),
            "lr": trainer.optimizer().lr(),
            "schedule": s.schedule,
            "epochs": options.epochs,
            "batch_size": batch,
            "steps_per_epoch": rows.div_ceil(batch),
            "patience": patience,
            "monitor": stopping.map(|s| s.monitor),
        },
        "memory": { "trainer_bytes": trainer.bytes(), "data_bytes": resident(job) },
        "device": { "name": job.device.to_string(), "why": job.why },
    }))
}
