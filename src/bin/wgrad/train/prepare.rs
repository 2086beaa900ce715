//! All that a run needs before its first step: data, network, trainer.

use wgrad::{
    Checkpoint, Criterion, Dataset, Device, Error, Matrix, Mlp, Optimizer, Preparation, Trainer,
};

use super::start::Start;
use crate::data::Findings;
use crate::failure::{Failure, unusable, unusable_at, usage};
use crate::folder::{self, Facts};
use crate::options::{ClassWeights, Held, Known, Settings};
use crate::{model, output, setup};

/// What is trained, on what.
pub struct Job {
    pub settings: Settings,
    pub data: Dataset,
    pub validation: Option<Dataset>,
    pub preparation: Preparation,
    pub device: Device,
    pub network: Mlp,
    pub criterion: Criterion,
    pub facts: Facts,
    /// The targets that are values, on the user's own scale, of the rows to train on and of those held out.
    pub values: [Option<Matrix<f64>>; 2],
    /// What was found in the files.
    pub found: Findings,
    /// What decides which options do something.
    pub known: Known,
    /// Whether the size of a batch is what suits so few rows, and nobody's wish.
    pub small_batch: bool,
    /// Why it is this device.
    pub why: &'static str,
}

/// The job, and the trainer for it, with the weights that it begins with or goes on with.
pub fn job(start: &Start) -> Result<(Job, Trainer), Failure> {
    let mut settings = start.settings.clone();
    // The data, prepared as it was where the run goes on.
    let checkpoint = start.checkpoint();
    let stored = checkpoint.and_then(|c| c.preparation.clone());
    let fitted = stored
        .map(serde_json::from_value::<Preparation>)
        .transpose();
    let fitted = fitted.or_else(|e| {
        let what = format!("the checkpoint's preparation cannot be read ({e})");
        unusable(format!("{what}: take one that `wgrad train` made"))
    })?;
    let held = match settings.validation {
        Held::Share(share) => share,
        Held::File(_) => 0.0,
    };
    // A few rows are held out only where somebody asks for it.
    let share = |rows| match rows {
        setup::FEW.. => held,
        _ if start.share_asked => held,
        _ => 0.0,
    };
    let read = crate::data::training(&settings, fitted.as_ref(), share)?;
    let rows = read.all.rows();
    if share(rows) != held {
        settings.validation = Held::Share(0.0);
    }
    // Of rows held out from the file itself the digest has seen enough.
    let outside = match settings.validation {
        Held::File(_) => read.validation.as_ref(),
        Held::Share(_) => None,
    };
    let mut facts = Facts {
        version: env!("CARGO_PKG_VERSION").into(),
        device: String::new(),
        data: folder::digest(std::iter::once(&read.all).chain(outside)),
        rows,
    };
    if let Some(before) = start.resumed.as_ref().and_then(|r| r.facts.as_ref())
        && before.data != facts.data
    {
        let counts = format!("{rows} rows now, {} then, or other values", before.rows);
        let text = format!(
            "the data has changed since the run began ({counts}): put back what it was, or \
             begin anew with --init-from for the weights"
        );
        return unusable_at(crate::data::path(&settings)?, text);
    }
    // Weights of classes are for training alone: what is held out tells how good it is.
    let (mut data, validation) = (read.data, read.validation);
    setup::settle(&mut settings, data.rows(), validation.is_some());
    let criterion = setup::criterion(&settings, &read.preparation)?;
    let chosen = setup::device(&settings.device)?;
    facts.device = chosen.device.to_string();
    let known = Known {
        classes: read.preparation.classes().is_some(),
        loss: criterion.loss,
        rows: data.rows(),
        cpu: chosen.device.adapter().is_none(),
    };
    start.check_options(&settings, Some(known))?;
    if let Some(weights) = class_weights(&settings, &data, &read.preparation)? {
        data = data.with_class_weights(&weights)?;
    }
    let mut values = read.values;
    if let Some(weights) = data.weights() {
        // Rows that weigh nothing take no part; a batch of nothing else could not be trained on.
        let weighty: Vec<usize> = (0..data.rows()).filter(|&r| weights[r] > 0.0).collect();
        if weighty.is_empty() {
            return usage(
                "all rows to train on have weight 0: give some of them a weight, by --weights-column or --class-weights",
            );
        }
        if weighty.len() < data.rows() {
            values[0] = values[0].as_ref().map(|values| values.select(&weighty));
            data = data.select(&weighty);
        }
    }

    // The network, and what it is trained by.
    let network = setup::network(&settings, &read.preparation, criterion.loss)?;
    let optimizer = setup::optimizer(&settings);
    if let Some(checkpoint) = checkpoint {
        check_architecture(checkpoint, &network, criterion, optimizer.name())?;
    }
    let trainer = trainer(start, &chosen.device, &network, criterion, optimizer)?;
    let job = Job {
        data,
        validation,
        preparation: read.preparation,
        device: chosen.device,
        network,
        criterion,
        facts,
        known,
        small_batch: start.settings.batch_size.is_none() && settings.batch_size < Some(64),
        settings,
        values,
        found: read.found,
        why: chosen.why,
    };
    Ok((job, trainer))
}

/// The trainer of the checkpoint, or a new one.
fn trainer(
    start: &Start,
    device: &Device,
    network: &Mlp,
    criterion: Criterion,
    optimizer: Optimizer,
) -> Result<Trainer, Failure> {
    if let Some(resumed) = &start.resumed
        && let Some(checkpoint) = &resumed.checkpoint
    {
        return Ok(match resumed.elsewhere {
            true => Trainer::resume_elsewhere(device, checkpoint)?,
            false => Trainer::resume(device, checkpoint)?,
        });
    }
    let mut trainer = Trainer::new(device, network, criterion, optimizer, start.settings.seed)?;
    if let Some(path) = &start.settings.init_from {
        let (source, path) = model::open(path)?;
        let source = source.model()?;
        if source.network().to_string() != network.to_string() {
            let what = path.display().to_string();
            let (there, here) = (source.network().to_string(), network.to_string());
            let advice = "give options that make the network the same, or leave --init-from out";
            return Err(another(what, there, here, advice));
        }
        trainer.set_weights(source.weights())?;
    }
    Ok(trainer)
}

/// The weight of each class, where they have any.
fn class_weights(
    s: &Settings,
    data: &Dataset,
    preparation: &Preparation,
) -> Result<Option<Vec<f32>>, Failure> {
    let given = match &s.class_weights {
        ClassWeights::None => return Ok(None),
        ClassWeights::Balanced => return Ok(Some(data.balanced_class_weights()?)),
        ClassWeights::Given(given) => given,
    };
    let Some(classes) = preparation.classes() else {
        return usage(
            "--class-weights needs classes, but the targets are numbers: leave it out, or give --task classification",
        );
    };
    let names = classes.names();
    if let Some(unknown) = given.keys().find(|&class| !names.contains(class)) {
        return usage(format!(
            "--class-weights has a weight for {unknown:?}, but there is no such class; there are {}",
            output::listed(names)
        ));
    }
    let weight = |name: &String| given.get(name).map_or(1.0, |&weight| weight as f32);
    Ok(Some(names.iter().map(weight).collect()))
}

/// That the options make what the checkpoint is of.
fn check_architecture(
    found: &Checkpoint,
    network: &Mlp,
    criterion: Criterion,
    optimizer: &str,
) -> Result<(), Failure> {
    let there = (found.network(), found.criterion(), found.optimizer().name());
    let there = format!("{}; {}; {}", there.0, there.1, there.2);
    let here = format!("{network}; {criterion}; {optimizer}");
    if there == here {
        return Ok(());
    }
    let advice = "leave the options out that differ, or begin a new run with them";
    Err(another("the checkpoint".into(), there, here, advice))
}

/// A network, or what else must fit, is another than the options make.
fn another(what: String, found: String, expected: String, advice: &str) -> Failure {
    Failure::Library(Error::Architecture {
        what,
        found,
        expected,
        advice: advice.into(),
    })
}
