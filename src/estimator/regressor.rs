//! The regressor, once fitted.

use std::ops::ControlFlow;
use std::path::Path;

use super::{MlpRegressor, scaled};
use crate::config::loss::Loss;
use crate::config::optimizer::Adam;
use crate::data::{Dataset, Matrix, Real, Standardizer};
use crate::error::Result;
use crate::exec::device::Device;
use crate::files::Estimated;
use crate::files::Model;
use crate::fit::{Event, Fit, History};
use crate::metrics::{Regression, r2_score};
use crate::trainer::Trainer;

impl MlpRegressor {
    /// Trains on inputs x (N, I) and targets t (N, O).
    ///
    /// # Errors
    /// [`Error::EmptyData`](crate::Error::EmptyData) without rows, [`Error::Shape`](crate::Error::Shape) if the numbers of
    /// rows differ, [`Error::Argument`](crate::Error::Argument) or [`Error::Network`](crate::Error::Network) for an option
    /// out of range; what [`Trainer::fit`] says.
    pub fn fit(
        &self,
        x: &Matrix<impl Real>,
        targets: &Matrix<impl Real>,
    ) -> Result<FittedRegressor> {
        self.fit_with(x, targets, |_, _| Ok(ControlFlow::Continue(())))
    }

    /// [`fit`](Self::fit) with a callback; see [`Trainer::fit_with`].
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and the callback's.
    pub fn fit_with(
        &self,
        x: &Matrix<impl Real>,
        targets: &Matrix<impl Real>,
        callback: impl for<'f> FnMut(&mut Fit<'f>, &Event) -> Result<ControlFlow<()>>,
    ) -> Result<FittedRegressor> {
        let inputs = self.standardize.then(|| Standardizer::fit(x)).transpose()?;
        let outputs = self
            .standardize
            .then(|| Standardizer::fit(targets))
            .transpose()?;
        let data = Dataset::values(scaled(&inputs, x)?, scaled(&outputs, targets)?)?;
        let training = self.training();
        let (trainer, history) = training.run(&data, targets.cols(), Loss::Mse, callback)?;
        Ok(FittedRegressor {
            inputs,
            targets: outputs,
            trainer,
            history,
        })
    }
}

/// A trained regressor, with its preparation of inputs and targets.
#[derive(Debug)]
pub struct FittedRegressor {
    inputs: Option<Standardizer>,
    targets: Option<Standardizer>,
    trainer: Trainer,
    history: History,
}

impl FittedRegressor {
    /// How the training went. Its losses are those of the standardised targets.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The trainer. It takes prepared inputs, and answers on the scale of the standardised targets.
    pub fn trainer(&mut self) -> &mut Trainer {
        &mut self.trainer
    }

    /// The network with its weights and the preparation, to be kept. The history is not part of it.
    ///
    /// # Errors
    /// [`Error::DeviceLost`](crate::Error::DeviceLost).
    pub fn model(&mut self) -> Result<Model> {
        let prepared = Estimated::Regressor {
            inputs: self.inputs.clone(),
            targets: self.targets.clone(),
        };
        prepared.model(&mut self.trainer)
    }

    /// Writes the [`model`](Self::model)'s file.
    ///
    /// # Errors
    /// As [`model`](Self::model) and [`Model::save`].
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.model()?.save(path)
    }

    /// Writes the [`model`](Self::model) with its preparation as an ONNX file: `x` are the numbers as they are given, and the output is
    /// `values`, on the scale of the targets given; see
    /// [`Model::save_onnx`].
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
        let (inputs, targets) = match Estimated::of(model)? {
            Estimated::Regressor { inputs, targets } => (inputs, targets),
            other => return Err(other.is_not("a regressor")),
        };
        Ok(Self {
            inputs,
            targets,
            trainer: model.trainer(device, Adam::default())?,
            history: History::default(),
        })
    }

    /// The inputs as the network takes them.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for another width than that of the training data.
    pub fn prepare(&self, x: &Matrix<impl Real>) -> Result<Matrix> {
        scaled(&self.inputs, x)
    }

    /// The values (N, O), on the scale of the targets given, in f64.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for another width than that of the training data;
    /// [`Error::EmptyData`](crate::Error::EmptyData) without rows; [`Error::Value`](crate::Error::Value) if an output is not
    /// finite.
    pub fn predict(&mut self, x: &Matrix<impl Real>) -> Result<Matrix<f64>> {
        let x = self.prepare(x)?;
        let outputs = self.trainer.predict(&x)?;
        match &self.targets {
            Some(standardizer) => standardizer.inverse(&outputs),
            None => Ok(outputs.to_f64()),
        }
    }

    /// R², 1 at best; see [`Regression::r2`].
    ///
    /// # Errors
    /// As [`predict`](Self::predict) and [`r2_score`].
    pub fn score(&mut self, x: &Matrix<impl Real>, targets: &Matrix<impl Real>) -> Result<f64> {
        r2_score(&self.predict(x)?, targets)
    }

    /// R², MAE and RMSE, on the scale of the targets given.
    ///
    /// # Errors
    /// As [`predict`](Self::predict) and [`Regression::new`].
    pub fn report(
        &mut self,
        x: &Matrix<impl Real>,
        targets: &Matrix<impl Real>,
    ) -> Result<Regression> {
        Regression::new(&self.predict(x)?, targets)
    }
}
