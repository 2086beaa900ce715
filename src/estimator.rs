//! Estimators: a network, its training and the preparation of its data in one, as in scikit-learn.
//!
//! ```
//! use wgrad::estimator::{FittedClassifier, MlpClassifier};
//! use wgrad::{Device, Matrix};
//!
//! let points: Vec<f32> = (0..400).map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0).collect();
//! let x = Matrix::new(2, points)?;
//! let labels: Vec<&str> = (0..x.rows())
//!     .map(|r| if x.row(r)[0] * x.row(r)[1] > 0.0 { "alike" } else { "unlike" })
//!     .collect();
//!
//! let classifier = MlpClassifier { hidden: vec![32], epochs: 300, batch_size: Some(32), ..MlpClassifier::default() };
//! let mut model = classifier.fit(&x, &labels)?;
//! assert!(model.score(&x, &labels)? > 0.9);
//! println!("{:?}", model.predict(&Matrix::new(2, vec![0.5, -0.5])?)?); // ["unlike"]
//! println!("{:?}", model.predict_proba(&x)?.row(0)); // a probability for each of model.classes()
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("signs.safetensors");
//! model.save(&path)?; // with its classes and its standardisation
//! let mut model = FittedClassifier::load(&path, &Device::cpu())?;
//! # assert!(model.score(&x, &labels)? > 0.9);
//! # Ok::<(), wgrad::Error>(())
//! ```

mod classifier;
mod regressor;

pub use classifier::FittedClassifier;
pub use regressor::FittedRegressor;

use std::ops::ControlFlow;
use std::path::Path;

use crate::config::activation::Activation;
use crate::config::loss::Loss;
use crate::config::optimizer::{Adam, Optimizer};
use crate::config::schedule::Schedule;
use crate::config::spec::Mlp;
use crate::data::{Dataset, Matrix, Real, Standardizer};
use crate::error::{Error, Result};
use crate::exec::device::Device;
use crate::files::{Estimated, Model};
use crate::fit::{EarlyStopping, Event, Fit, FitOptions, History, Monitor, Validation};
use crate::trainer::Trainer;

/// The two estimators have the same options.
macro_rules! estimator {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            /// Widths of the hidden layers, the first first.
            pub hidden: Vec<usize>,
            /// φ of the hidden layers.
            pub activation: Activation,
            /// The optimiser, with its learning rate.
            pub optimizer: Optimizer,
            /// The L2 penalty as scikit-learn counts it: alpha/(rows of a batch) is added to the optimiser's `weight_decay`, and
            /// so it holds for biases too. [`AdamW`](crate::AdamW) keeps its own.
            pub alpha: f64,
            /// Rows of an update; 200, or all if there are fewer, unless given.
            pub batch_size: Option<usize>,
            /// Passes over the data, at most.
            pub epochs: u64,
            /// An epoch that betters what is watched by no more than this counts as none.
            pub tol: f64,
            /// Such epochs in a row after which training stops.
            pub patience: u64,
            /// A share of the rows, in (0, 1), to hold out: then their loss is watched, and the best weights are kept. Otherwise
            /// the training loss is watched.
            pub validation: Option<f64>,
            /// How the learning rate goes.
            pub schedule: Schedule,
            /// Whether the data is standardised, each column to mean 0 and standard deviation 1.
            pub standardize: bool,
            /// What initial weights, orders of rows and validation rows are drawn from.
            pub seed: u64,
            /// Where to train; [`Device::auto`] unless given.
            pub device: Option<Device>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    hidden: vec![100],
                    activation: Activation::Relu,
                    optimizer: Adam::default().into(),
                    alpha: 1e-4,
                    batch_size: None,
                    epochs: 200,
                    tol: 1e-4,
                    patience: 10,
                    validation: None,
                    schedule: Schedule::constant(),
                    standardize: true,
                    seed: 0,
                    device: None,
                }
            }
        }

        impl $name {
            fn train(
                &self,
                data: &Dataset,
                outputs: usize,
                loss: Loss,
                callback: impl for<'f> FnMut(&mut Fit<'f>, &Event) -> Result<ControlFlow<()>>,
            ) -> Result<(Trainer, History)> {
                if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
                    return Err(Error::argument("alpha", self.alpha, "finite and ≥ 0"));
                }
                let hidden = self.hidden.iter();
                let network = hidden.fold(Mlp::new(data.inputs().cols()), |network, &width| {
                    network.dense(width, self.activation.clone())
                });
                let network = network.dense(outputs, Activation::Identity);
                let batch_size = self.batch_size.unwrap_or(BATCH.min(data.rows()));
                let mut optimizer = self.optimizer;
                let decay = self.alpha / batch_size.clamp(1, data.rows()) as f64;
                optimizer.add_l2(decay);
                let monitor = match self.validation {
                    Some(_) => Monitor::ValidationLoss,
                    None => Monitor::TrainLoss,
                };
                let options = FitOptions {
                    epochs: self.epochs,
                    batch_size,
                    seed: self.seed,
                    validation: self.validation.map_or(Validation::None, Validation::Fraction),
                    early_stopping: Some(EarlyStopping {
                        monitor,
                        patience: self.patience,
                        min_delta: self.tol,
                        restore_best: self.validation.is_some(),
                    }),
                    schedule: self.schedule,
                    plateau_monitor: monitor,
                    ..FitOptions::default()
                };
                let device = self.device.clone().map_or_else(Device::auto, Ok)?;
                let mut trainer = Trainer::new(&device, &network, loss, optimizer, self.seed)?;
                let history = trainer.fit_with(data, &options, callback)?;
                Ok((trainer, history))
            }

            /// How columns are standardised, if they are to be.
            fn standardizer(&self, x: &Matrix<impl Real>) -> Result<Option<Standardizer>> {
                self.standardize.then(|| Standardizer::fit(x)).transpose()
            }
        }
    };
}

/// Rows of a batch, where there are so many.
const BATCH: usize = 200;

estimator! {
    /// A classifier: a network of dense layers with one logit a class, trained by cross-entropy. The options are
    /// scikit-learn's, with its defaults, but that it standardises its inputs unless asked not to.
    ///
    /// Labels are integers, strings, or whatever displays: [`fit`](Self::fit) keeps their [`ClassMap`](crate::ClassMap).
    MlpClassifier
}

estimator! {
    /// A regressor: a network of dense layers with one output a target, trained by the mean squared error. The options are
    /// scikit-learn's, with its defaults, but that it standardises inputs and targets unless asked not to.
    MlpRegressor
}

/// What the two have in common once they are fitted: `$of` are the fields that stand with the model.
macro_rules! fitted {
    ($name:ident, $kind:ident, $wanted:literal, { $($of:ident),* }, $outputs:literal) => {
        impl $name {
            /// How the training went, with the losses of the targets as the network learns them.
            pub fn history(&self) -> &History {
                &self.history
            }

            /// The trainer, which takes prepared inputs, as [`prepare`](Self::prepare) makes them, and answers as the network does.
            pub fn trainer(&mut self) -> &mut Trainer {
                &mut self.trainer
            }

            /// The network with its weights and the preparation, to be kept. The history is not part of it.
            ///
            /// # Errors
            /// [`Error::DeviceLost`](crate::Error::DeviceLost).
            pub fn model(&mut self) -> Result<Model> {
                let prepared = Estimated::$kind { $($of: self.$of.clone()),* };
                prepared.model(&mut self.trainer)
            }

            /// Writes the [`model`](Self::model)'s file.
            ///
            /// # Errors
            /// As [`model`](Self::model) and [`Model::save`].
            pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
                self.model()?.save(path)
            }

            /// Writes the [`model`](Self::model) with its preparation as an ONNX file: `x` are the numbers as they are given, and
            #[doc = $outputs]
            /// see [`Model::save_onnx`].
            ///
            /// # Errors
            /// As [`model`](Self::model) and [`Model::save_onnx`].
            pub fn save_onnx(&mut self, path: impl AsRef<Path>) -> Result<()> {
                self.model()?.save_onnx(path)
            }

            /// Reads a file that [`save`](Self::save) wrote, for a device.
            ///
            /// # Errors
            /// As [`Model::load`] and [`from_model`](Self::from_model).
            pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
                Self::from_model(&Model::load(path)?, device)
            }

            /// From a [`model`](Self::model), for a device.
            ///
            /// # Errors
            /// [`Error::File`](crate::Error::File) if no such estimator made it; as [`Model::trainer`].
            pub fn from_model(model: &Model, device: &Device) -> Result<Self> {
                match Estimated::of(model)? {
                    Estimated::$kind { $($of),* } => Ok(Self {
                        $($of,)*
                        trainer: model.trainer(device, Adam::default())?,
                        history: History::default(),
                    }),
                    other => Err(other.is_not($wanted)),
                }
            }

            /// The inputs as the network takes them.
            ///
            /// # Errors
            /// [`Error::Shape`](crate::Error::Shape) for another width than that of the training data.
            pub fn prepare(&self, x: &Matrix<impl Real>) -> Result<Matrix> {
                scaled(&self.inputs, x)
            }
        }
    };
}

fitted! {
    FittedClassifier, Classifier, "a classifier", { classes, inputs },
    "the outputs are `logits`, `probabilities` and `class`, the index of the most probable;"
}

fitted! {
    FittedRegressor, Regressor, "a regressor", { inputs, targets },
    "the output is `values`, on the scale of the targets given;"
}

/// Standardised, if that is wanted.
fn scaled<T: Real>(standardizer: &Option<Standardizer>, x: &Matrix<T>) -> Result<Matrix> {
    match standardizer {
        Some(standardizer) => standardizer.apply(x),
        None => x.to_f32(),
    }
}
