//! From options to a network, a loss, an optimiser, a device.

use wgrad::activation::Activation;
use wgrad::data::{Preparation, TargetEncoding};
use wgrad::fit::{EarlyStopping, FitOptions, Monitor, Validation};
use wgrad::schedule::{OneCycle, Per, Plateau, Schedule, Shape};
use wgrad::{
    Adam, AdamW, AdapterChoice, Criterion, Dataset, Device, DeviceOptions, Loss, Mlp, Optimizer,
    RmsProp, Sgd,
};

use crate::failure::{Failure, usage};
use crate::options::{MonitorName, Named, NormName, OptimizerName, Settings, whole};

/// Which device, and why.
pub struct Chosen {
    pub device: Device,
    pub why: String,
}

/// Opens the device of this name.
pub fn device(name: &str) -> Result<Chosen, Failure> {
    let said = |device, why: &str| {
        Ok(Chosen {
            device,
            why: why.into(),
        })
    };
    let named = |adapter| {
        Device::open(&DeviceOptions {
            adapter: Some(adapter),
            ..DeviceOptions::default()
        })
    };
    match name {
        "auto" => {
            let device = Device::auto()?;
            let why = match device.adapter() {
                Some(_) if std::env::var_os("WGPU_ADAPTER_NAME").is_some() => {
                    "WGPU_ADAPTER_NAME asks for it"
                }
                Some(_) => "the best GPU",
                None if Device::adapters().is_empty() => "there is no GPU",
                None => "there is no real GPU, and the CPU is faster than a software one",
            };
            said(device, why)
        }
        "cpu" => said(Device::cpu(), "asked for"),
        "gpu" => said(Device::gpu()?, "asked for"),
        _ => match name.parse() {
            Ok(index) => said(named(AdapterChoice::Index(index))?, "asked for"),
            Err(_) => said(named(AdapterChoice::Name(name.into()))?, "asked for"),
        },
    }
}

/// The loss for targets of this kind.
pub fn criterion(s: &Settings, preparation: &Preparation) -> Result<Criterion, Failure> {
    let named = Named::parse("the loss", &s.loss)?;
    let classes = matches!(preparation.target(), TargetEncoding::Classes { .. });
    let loss = match named.name.as_str() {
        "auto" if classes => Loss::CrossEntropy,
        "auto" => Loss::Mse,
        "huber" => Loss::Huber {
            delta: named.arguments(&[("delta", 1.0)])?[0],
        },
        name => {
            let known = Loss::table();
            let Some(loss) = known.into_iter().find(|loss| loss.name() == name) else {
                let names: Vec<&str> = known.iter().map(Loss::name).collect();
                return usage(format!(
                    "there is no loss {name:?}; there are auto, {}",
                    names.join(", ")
                ));
            };
            loss
        }
    };
    if named.name != "huber" {
        named.arguments(&[])?;
    }
    let for_classes = matches!(
        loss,
        Loss::CrossEntropy | Loss::OutputCrossEntropy | Loss::KlDivergence
    );
    if for_classes != classes {
        let (have, fit, task) = match classes {
            true => ("classes", "cross_entropy", "regression"),
            false => ("numbers", "mse", "classification"),
        };
        return usage(format!(
            "loss {} does not fit: {}: take --loss {fit}, or --task {task} if these are no {have}",
            loss.name(),
            preparation.target()
        ));
    }
    Ok(loss.mean().label_smoothing(s.label_smoothing))
}

/// The network for data that is so prepared.
pub fn network(s: &Settings, preparation: &Preparation, loss: Loss) -> Result<Mlp, Failure> {
    let phi: Activation = s.activation.parse()?;
    let mut network = Mlp::new(preparation.input_width()).init(s.init.into());
    let mut residuals = 0;
    for &width in &s.hidden.0 {
        let fits = network
            .layers()
            .last()
            .map_or(network.inputs(), |layer| layer.outputs)
            == width;
        network = network.dense(width, phi.clone());
        network = match s.norm {
            NormName::None => network,
            NormName::Layer => network.layer_norm(),
            NormName::Batch => network.batch_norm(),
        };
        if s.dropout != 0.0 {
            network = network.dropout(s.dropout);
        }
        if s.residual && fits {
            network = network.residual();
            residuals += 1;
        }
    }
    if s.residual && residuals == 0 {
        return usage(format!(
            "--residual needs a hidden layer as wide as its input, but with {} inputs the hidden widths are {:?}: \
             repeat a width, as in --hidden 128,128",
            network.inputs(),
            s.hidden.0
        ));
    }
    let last = match loss {
        Loss::OutputCrossEntropy | Loss::KlDivergence => Activation::Softmax,
        _ => Activation::Identity,
    };
    Ok(network.dense(preparation.output_width(), last))
}

/// The optimiser.
pub fn optimizer(s: &Settings) -> Optimizer {
    let l1 = s.l1;
    let decay = s.weight_decay.unwrap_or(0.0);
    let lr = s.lr.unwrap_or(1e-3);
    let betas = (s.beta1, s.beta2.unwrap_or(0.999));
    match s.optimizer {
        OptimizerName::Adam => Adam {
            lr,
            betas,
            eps: s.eps,
            weight_decay: decay,
            l1,
        }
        .into(),
        OptimizerName::Adamw => {
            let weight_decay = s.weight_decay.unwrap_or(0.01);
            AdamW {
                lr,
                betas,
                eps: s.eps,
                weight_decay,
                l1,
            }
            .into()
        }
        OptimizerName::Sgd => Sgd {
            lr: s.lr.unwrap_or(1e-2),
            momentum: s.momentum,
            weight_decay: decay,
            l1,
            nesterov: s.nesterov,
            ..Sgd::default()
        }
        .into(),
        OptimizerName::Rmsprop => RmsProp {
            lr,
            alpha: s.beta2.unwrap_or(0.99),
            eps: s.eps,
            weight_decay: decay,
            l1,
        }
        .into(),
    }
}

/// The schedule.
pub fn schedule(s: &Settings) -> Result<Schedule, Failure> {
    let named = Named::parse("the schedule", &s.schedule)?;
    let lr = optimizer(s).lr();
    let shape = match named.name.as_str() {
        "constant" => {
            named.arguments(&[])?;
            Shape::Constant
        }
        "step" => {
            let a = named.arguments(&[("every", 10.0), ("gamma", 0.1)])?;
            Shape::Step {
                every: whole("every of the schedule", a[0])?,
                gamma: a[1],
            }
        }
        "exponential" => Shape::Exponential {
            gamma: named.arguments(&[("gamma", 0.95)])?[0],
        },
        "cosine" => Shape::Cosine {
            min_lr: named.arguments(&[("min_lr", 0.0)])?[0],
        },
        "one_cycle" => {
            let d = OneCycle::default();
            let known = [
                ("max_lr", lr),
                ("pct_start", d.pct_start),
                ("div_factor", d.div_factor),
                ("final_div_factor", d.final_div_factor),
            ];
            let a = named.arguments(&known)?;
            Shape::OneCycle(OneCycle {
                max_lr: a[0],
                pct_start: a[1],
                div_factor: a[2],
                final_div_factor: a[3],
                ..d
            })
        }
        "plateau" => {
            let d = Plateau::default();
            let known = [
                ("factor", d.factor),
                ("patience", d.patience as f64),
                ("threshold", d.threshold),
                ("cooldown", d.cooldown as f64),
                ("min_lr", d.min_lr),
                ("eps", d.eps),
            ];
            let a = named.arguments(&known)?;
            Shape::Plateau(Plateau {
                factor: a[0],
                patience: whole("patience of the schedule", a[1])?,
                threshold: a[2],
                cooldown: whole("cooldown of the schedule", a[3])?,
                min_lr: a[4],
                eps: a[5],
            })
        }
        name => {
            return usage(format!(
                "there is no schedule {name:?}; there are constant, step, exponential, cosine, one_cycle, plateau"
            ));
        }
    };
    let mut schedule = Schedule::from(shape);
    if let Some(per) = s.schedule_per {
        schedule.per = Per::from(per);
    }
    if s.warmup > 0 {
        schedule = schedule.with_warmup(s.warmup);
    }
    Ok(schedule)
}

/// Rows below which nothing is held out unless that is asked for.
pub const FEW: usize = 20;

/// The bound of epochs that nobody gives: far away, so that patience decides. What falls over the whole run must come to its
/// end, and has a nearer one.
pub fn default_epochs(s: &Settings) -> u64 {
    let named = Named::parse("the schedule", &s.schedule);
    match named {
        Ok(named) if ["cosine", "one_cycle"].contains(&named.name.as_str()) => 100,
        _ => 1000,
    }
}

/// Settles what depends on the data where it was not given: so many training rows, and validation or none.
pub fn settle(s: &mut Settings, rows: usize, held: bool) {
    s.epochs.get_or_insert(default_epochs(s));
    s.batch_size.get_or_insert(default_batch(s, rows));
    // What is held out is measured anew; the training loss falls as long as there is anything to learn by heart, and where it
    // falls no more the last weights are as good as any.
    s.min_delta.get_or_insert(if held { 0.0 } else { 1e-4 });
    s.restore_best.get_or_insert(held);
}

/// Rows of a batch that leave at least some ten updates an epoch.
fn default_batch(s: &Settings, rows: usize) -> usize {
    // One row has nothing that it could be normalised with.
    let least = match s.norm {
        NormName::Batch => 2,
        _ => 1,
    };
    (rows / 10).clamp(least, 64)
}

/// What is watched, of settings that are [settled](settle), where validation is held or not.
pub fn watched(s: &Settings, held: bool) -> EarlyStopping {
    let monitor = match s.monitor {
        MonitorName::Auto if held => Monitor::ValidationLoss,
        MonitorName::Auto | MonitorName::TrainLoss => Monitor::TrainLoss,
        MonitorName::ValidationLoss => Monitor::ValidationLoss,
        MonitorName::ValidationAccuracy => Monitor::ValidationAccuracy,
    };
    EarlyStopping {
        monitor,
        patience: if s.patience == 0 {
            u64::MAX
        } else {
            s.patience
        },
        min_delta: s.min_delta.unwrap_or_default(),
        restore_best: s.restore_best.unwrap_or(held),
    }
}

/// The options of the fit, of settings that are [settled](settle).
pub fn fit_options<'a>(
    s: &Settings,
    validation: Option<&'a Dataset>,
    classes: bool,
) -> Result<FitOptions<'a>, Failure> {
    let held = validation.is_some();
    let stopping = watched(s, held);
    let monitor = stopping.monitor;
    if !held && monitor != Monitor::TrainLoss {
        return usage(
            "--monitor watches validation, but there is none: give --validation 0.2 or a file",
        );
    }
    if !classes && monitor == Monitor::ValidationAccuracy {
        return usage(
            "--monitor watches the accuracy, but numbers have none: give --monitor validation-loss",
        );
    }
    let options = FitOptions {
        epochs: s.epochs.unwrap_or_else(|| default_epochs(s)),
        batch_size: s.batch_size.unwrap_or(64),
        micro_batch: s.micro_batch,
        shuffle: s.shuffle,
        seed: s.seed,
        validation: validation.map_or(Validation::None, Validation::Data),
        early_stopping: Some(stopping),
        schedule: schedule(s)?,
        plateau_monitor: monitor,
        clip_norm: s.clip_norm,
        clip_value: s.clip_value,
        grad_norm: s.grad_norm,
        storage: s.storage.into(),
        ..FitOptions::default()
    };
    options.check()?;
    Ok(options)
}
