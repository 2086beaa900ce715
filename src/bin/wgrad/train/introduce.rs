//! What is said before training begins.

use wgrad::Trainer;
use wgrad::data::Targets;
use wgrad::fit::{FitOptions, Monitor};

use super::prepare::Job;
use crate::failure::Failure;
use crate::folder;
use crate::output;
use crate::progress::Voice;

/// Says what will be trained, on what.
pub fn introduce(
    voice: &Voice,
    job: &Job,
    options: &FitOptions<'_>,
    trainer: &Trainer,
) -> Result<(), Failure> {
    let s = &job.settings;
    let rows = job.data.rows();
    voice.say(format_args!(
        "data       {}: {}",
        folder::near(crate::data::path(s)?).display(),
        job.read
    ));
    voice.say(format_args!("           {}", job.preparation));
    let validation = match &job.validation {
        None => "none to validate with".into(),
        Some(held) => format!("{} to validate with", output::count(held.rows() as u64)),
    };
    voice.say(format_args!(
        "           {} rows to train on, {validation}",
        output::count(rows as u64)
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
        voice.say(format_args!(
            "           {l:>5}  {text:<28}  {:>10}",
            output::count(layer.outputs as u64 * each)
        ));
        inputs = layer.outputs;
    }
    voice.say(format_args!(
        "           in all {} parameters",
        output::count(job.network.parameters())
    ));
    let batch = options.batch_size.min(rows);
    let per_epoch = trainer.steps_per_epoch(rows, batch);
    voice.say(format_args!(
        "training   {}, {}, learning rate {}{}{}",
        job.criterion,
        trainer.optimizer().name(),
        trainer.optimizer().lr(),
        if s.schedule == "constant" {
            String::new()
        } else {
            format!(", schedule {}", s.schedule)
        },
        if s.warmup > 0 {
            format!(", warm-up {}", s.warmup)
        } else {
            String::new()
        },
    ));
    voice.say(format_args!(
        "           at most {} of {} of {}{}",
        output::counted(options.epochs, "epoch"),
        output::counted(per_epoch, "step"),
        output::counted(batch as u64, "row"),
        match &options.early_stopping {
            Some(stopping) if stopping.patience < u64::MAX => {
                let watched = match stopping.monitor {
                    Monitor::TrainLoss => "training loss",
                    Monitor::ValidationAccuracy => "validation accuracy",
                    _ => "validation loss",
                };
                format!(", patience {} for the {watched}", stopping.patience)
            }
            _ => String::new(),
        }
    ));
    if job.small_batch {
        voice.say(
            "           steps of a tenth of the rows, as these are few; --batch-size says otherwise",
        );
    }
    let outputs = match job.data.targets() {
        Targets::Classes(_) => 1,
        Targets::Values(values) => values.cols(),
    };
    let resident = rows as u64 * 4 * (job.network.inputs() + outputs) as u64;
    voice.say(format_args!(
        "memory     {} for the network, its optimiser and a batch; {} for the data",
        output::bytes(trainer.bytes()),
        output::bytes(resident)
    ));
    voice.say(format_args!("device     {} ({})", job.device, job.why));
    Ok(())
}
