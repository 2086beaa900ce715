//! From options to a network, a loss, an optimiser, a device.

use wgrad::activation::Activation;
use wgrad::data::{Preparation, TargetEncoding};
use wgrad::fit::{EarlyStopping, FitOptions, Monitor, Validation};
use wgrad::loss::TargetKind;
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
    pub why: &'static str,
}

/// Opens the device of this name.
pub fn device(name: &str) -> Result<Chosen, Failure> {
    let named = |adapter| {
        Device::open(&DeviceOptions {
            adapter: Some(adapter),
            ..DeviceOptions::default()
        })
    };
    let device = match name {
        "auto" => Device::auto()?,
        "cpu" => Device::cpu(),
        "gpu" => Device::gpu()?,
        _ => match name.parse() {
            Ok(index) => named(AdapterChoice::Index(index))?,
            Err(_) => named(AdapterChoice::Name(name.into()))?,
        },
    };
    let by_name = std::env::var_os("WGPU_ADAPTER_NAME").is_some();
    let why = match device.adapter() {
        _ if name != "auto" => "asked for",
        Some(_) if by_name => "WGPU_ADAPTER_NAME asks for it",
        Some(_) => "the best GPU",
        None if Device::adapters().is_empty() => "there is no GPU",
        None => "there is no real GPU, and the CPU is faster than a software one",
    };
    Ok(Chosen { device, why })
}

/// The loss for targets of this kind.
pub fn criterion(s: &Settings, preparation: &Preparation) -> Result<Criterion, Failure> {
    let named = Named::parse("the loss", &s.loss)?;
    let classes = matches!(preparation.target(), TargetEncoding::Classes { .. });
    let loss = match named.name.as_str() {
        "auto" if classes => Loss::CrossEntropy,
        "auto" => Loss::Mse,
        "huber" => {
            let [delta] = named.arguments([("delta", 1.0)])?;
            Loss::Huber { delta }
        }
        name => {
            let known = Loss::table();
            let Some(loss) = known.into_iter().find(|loss| loss.name() == name) else {
                let names: Vec<&str> = known.iter().map(Loss::name).collect();
                let names = names.join(", ");
                return usage(format!(
                    "there is no loss {name:?}; there are auto, {names}"
                ));
            };
            loss
        }
    };
    if named.name != "huber" {
        named.arguments([])?;
    }
    if (loss.targets() == TargetKind::Classes) != classes {
        let (have, fit, task) = match classes {
            true => ("classes", "cross_entropy", "regression"),
            false => ("numbers", "mse", "classification"),
        };
        let what = format!(
            "loss {} does not fit: {}",
            loss.name(),
            preparation.target()
        );
        return usage(format!(
            "{what}: take --loss {fit}, or --task {task} if these are no {have}"
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
        let before = network.layers().last().map(|layer| layer.outputs);
        let fits = before.unwrap_or(network.inputs()) == width;
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
        let (inputs, widths) = (network.inputs(), &s.hidden.0);
        return usage(format!(
            "--residual needs a hidden layer as wide as its input, but with {inputs} inputs the hidden widths are \
             {widths:?}: repeat a width, as in --hidden 128,128"
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
    let (l1, eps) = (s.l1, s.eps);
    let weight_decay = s.weight_decay.unwrap_or(match s.optimizer {
        OptimizerName::Adamw => 0.01,
        _ => 0.0,
    });
    let lr = s.lr.unwrap_or(1e-3);
    let betas = (s.beta1, s.beta2.unwrap_or(0.999));
    match s.optimizer {
        OptimizerName::Adam => Optimizer::Adam(Adam {
            lr,
            betas,
            eps,
            weight_decay,
            l1,
        }),
        OptimizerName::Adamw => Optimizer::AdamW(AdamW {
            lr,
            betas,
            eps,
            weight_decay,
            l1,
        }),
        OptimizerName::Sgd => Optimizer::Sgd(Sgd {
            lr: s.lr.unwrap_or(1e-2),
            momentum: s.momentum,
            weight_decay,
            l1,
            nesterov: s.nesterov,
            ..Sgd::default()
        }),
        OptimizerName::Rmsprop => Optimizer::RmsProp(RmsProp {
            lr,
            alpha: s.beta2.unwrap_or(0.99),
            eps,
            weight_decay,
            l1,
        }),
    }
}

/// The schedule.
pub fn schedule(s: &Settings) -> Result<Schedule, Failure> {
    let named = Named::parse("the schedule", &s.schedule)?;
    let lr = optimizer(s).lr();
    let shape = match named.name.as_str() {
        "constant" => {
            named.arguments([])?;
            Shape::Constant
        }
        "step" => {
            let [every, gamma] = named.arguments([("every", 10.0), ("gamma", 0.1)])?;
            let every = whole("every of the schedule", every)?;
            Shape::Step { every, gamma }
        }
        "exponential" => {
            let [gamma] = named.arguments([("gamma", 0.95)])?;
            Shape::Exponential { gamma }
        }
        "cosine" => {
            let [min_lr] = named.arguments([("min_lr", 0.0)])?;
            Shape::Cosine { min_lr }
        }
        "one_cycle" => {
            let d = OneCycle::default();
            let [max_lr, pct_start, div_factor, final_div_factor] = named.arguments([
                ("max_lr", lr),
                ("pct_start", d.pct_start),
                ("div_factor", d.div_factor),
                ("final_div_factor", d.final_div_factor),
            ])?;
            Shape::OneCycle(OneCycle {
                max_lr,
                pct_start,
                div_factor,
                final_div_factor,
                ..d
            })
        }
        "plateau" => {
            let d = Plateau::default();
            let [factor, patience, threshold, cooldown, min_lr, eps] = named.arguments([
                ("factor", d.factor),
                ("patience", d.patience as f64),
                ("threshold", d.threshold),
                ("cooldown", d.cooldown as f64),
                ("min_lr", d.min_lr),
                ("eps", d.eps),
            ])?;
            Shape::Plateau(Plateau {
                factor,
                patience: whole("patience of the schedule", patience)?,
                threshold,
                cooldown: whole("cooldown of the schedule", cooldown)?,
                min_lr,
                eps,
            })
        }
        name => {
            let known = "constant, step, exponential, cosine, one_cycle, plateau";
            return usage(format!("there is no schedule {name:?}; there are {known}"));
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
    match Named::parse("the schedule", &s.schedule) {
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
    let least = if s.norm == NormName::Batch { 2 } else { 1 };
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
        let advice = "give --validation 0.2 or a file";
        return usage(format!(
            "--monitor watches validation, but there is none: {advice}"
        ));
    }
    if !classes && monitor == Monitor::ValidationAccuracy {
        let advice = "give --monitor validation-loss";
        return usage(format!(
            "--monitor watches the accuracy, but numbers have none: {advice}"
        ));
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
