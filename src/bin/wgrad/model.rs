//! A model, wherever it is: a model's file, a checkpoint's, or a run's folder; and its answers.

use std::path::{Path, PathBuf};

use wgrad::data::{ClassMap, Preparation, TargetEncoding};
use wgrad::metrics::softmax;
use wgrad::{Checkpoint, CheckpointFolder, Criterion, Device, Loss, Matrix, Model, Sgd, Trainer};

use crate::failure::{Failure, unusable_at};
use crate::folder;

/// What was found where a model was asked for.
pub enum ModelSource {
    Model(Model),
    /// A checkpoint, from which a model can be made.
    Checkpoint(Box<Checkpoint>),
}

/// Reads a model's or a checkpoint's file, or what a run's folder has: its model, or its newest checkpoint.
pub fn open(path: &Path) -> Result<(ModelSource, PathBuf), Failure> {
    if path.is_dir() {
        let model = path.join(folder::MODEL);
        if model.exists() {
            return Ok((ModelSource::Model(Model::load(&model)?), model));
        }
        let inside = path.join(folder::CHECKPOINTS);
        let inside = if inside.is_dir() { &inside } else { path };
        let none = "it has neither a model nor a checkpoint: give the folder of a run, a model or a checkpoint";
        return match CheckpointFolder::new(inside, 1)?.latest()? {
            Some(found) => Ok((
                ModelSource::Checkpoint(Box::new(found.checkpoint)),
                found.path,
            )),
            None => unusable_at(path, none),
        };
    }
    let source = match Model::load(path) {
        Ok(model) => ModelSource::Model(model),
        // The model's message is the better one, unless it is a checkpoint.
        Err(error) => match Checkpoint::load(path) {
            Ok(checkpoint) => ModelSource::Checkpoint(Box::new(checkpoint)),
            Err(_) => return Err(error.into()),
        },
    };
    Ok((source, path.to_owned()))
}

impl ModelSource {
    pub fn model(self) -> Result<Model, Failure> {
        match self {
            ModelSource::Model(model) => Ok(model),
            ModelSource::Checkpoint(checkpoint) => Ok(checkpoint.model()?),
        }
    }
}

/// A model ready to answer.
pub struct Answering {
    pub trainer: Trainer,
    pub preparation: Preparation,
    pub criterion: Criterion,
}

/// What a model says of rows.
pub enum Answers {
    /// A class each, with the probability of each class.
    Classes {
        indices: Vec<u32>,
        probabilities: Vec<f64>,
    },
    /// Numbers, in the units of the training data.
    Values(Matrix<f64>),
}

/// How data was prepared for a model.
pub fn preparation(model: &Model, path: &Path) -> Result<Preparation, Failure> {
    let Some(value) = &model.preparation else {
        let text = "it does not say how data is prepared for it, so no file can be brought into its form: \
                    take a model that `wgrad train` made, or use the library";
        return unusable_at(path, text);
    };
    if value.get("estimator").is_some() {
        let text = "an estimator of a program saved it, which knows no columns of files: load it in that program";
        return unusable_at(path, text);
    }
    let advice = "take a model that `wgrad train` made";
    let unread = |e| format!("its preparation cannot be read ({e}): {advice}");
    let preparation: Preparation =
        serde_json::from_value(value.clone()).or_else(|e| unusable_at(path, unread(e)))?;
    let (x, t) = (model.network().inputs(), model.network().outputs());
    let (inputs, outputs) = (preparation.input_width(), preparation.output_width());
    if (inputs, outputs) != (x, t) {
        let gives = format!("gives {inputs} inputs and {outputs} outputs");
        let text = format_args!("its preparation {gives}, its network has {x} and {t}: {advice}");
        return unusable_at(path, text);
    }
    Ok(preparation)
}

impl Answering {
    pub fn open(path: &Path, device: &Device) -> Result<Self, Failure> {
        let (source, path) = open(path)?;
        let model = source.model()?;
        let preparation = preparation(&model, &path)?;
        Ok(Self {
            trainer: model.trainer(device, Sgd::default())?,
            criterion: model.criterion(),
            preparation,
        })
    }

    pub fn answers(&mut self, x: &Matrix) -> Result<Answers, Failure> {
        let outputs = self.trainer.predict(x)?;
        answers(&outputs, &self.preparation, self.criterion.loss)
    }
}

/// What outputs mean.
pub fn answers(
    outputs: &Matrix,
    preparation: &Preparation,
    loss: Loss,
) -> Result<Answers, Failure> {
    match preparation.target() {
        TargetEncoding::Classes { .. } => {
            let mut indices = Vec::with_capacity(outputs.rows());
            let mut probabilities = Vec::with_capacity(outputs.data().len());
            for r in 0..outputs.rows() {
                let row: Vec<f64> = outputs.row(r).iter().map(|&x| f64::from(x)).collect();
                // The first of equals.
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                indices.push(row.iter().position(|&x| x == most).unwrap_or(0) as u32);
                probabilities.extend(match loss {
                    Loss::CrossEntropy => softmax(&row),
                    _ => row,
                });
            }
            Ok(Answers::Classes {
                indices,
                probabilities,
            })
        }
        _ => {
            let sigmoid = |z: &f32| 1.0 / (1.0 + (-f64::from(*z)).exp());
            let sigmoids = || outputs.data().iter().map(sigmoid).collect();
            Ok(Answers::Values(match loss {
                Loss::BinaryCrossEntropy => Matrix::new(outputs.cols(), sigmoids())?,
                _ => preparation.inverse_target(outputs)?,
            }))
        }
    }
}

/// Names of the columns of values.
pub fn target_names(preparation: &Preparation) -> Vec<String> {
    let name = |column: &wgrad::Column| match &column.name {
        Some(name) => name.clone(),
        None => format!("column {}", column.index),
    };
    match preparation.target() {
        TargetEncoding::None => Vec::new(),
        TargetEncoding::Classes { column, .. } => vec![name(column)],
        TargetEncoding::Values { columns, .. } => columns.iter().map(name).collect(),
    }
}

/// The name of a class.
pub fn class_name(classes: &ClassMap, index: u32) -> &str {
    classes.name(index as usize).unwrap_or("?")
}
