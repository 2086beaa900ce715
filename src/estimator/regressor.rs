//! The regressor, once fitted.

use std::ops::ControlFlow;

use super::{MlpRegressor, scaled};
use crate::config::loss::Loss;
use crate::data::{Dataset, Matrix, Real, Standardizer};
use crate::error::Result;
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
        let inputs = self.standardizer(x)?;
        let outputs = self.standardizer(targets)?;
        let data = Dataset::values(scaled(&inputs, x)?, scaled(&outputs, targets)?)?;
        let (trainer, history) = self.train(&data, targets.cols(), Loss::Mse, callback)?;
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
    pub(super) inputs: Option<Standardizer>,
    pub(super) targets: Option<Standardizer>,
    pub(super) trainer: Trainer,
    pub(super) history: History,
}

impl FittedRegressor {
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
