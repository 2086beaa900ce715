//! Metrics of predicted values.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Short, check_rows};
use crate::data::{Matrix, Real};
use crate::error::{Error, Result};

/// How far predicted values are from their targets: the mean over the outputs of each output's own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Regression {
    /// 1 − Σ(t − a)²/Σ(t − t̄)², 1 at best: scikit-learn's `r2_score`. Of a constant target 1 if every prediction is right,
    /// else 0. None with fewer than two rows.
    pub r2: Option<f64>,
    /// Mean of |t − a|.
    pub mae: f64,
    /// Root of the mean of (t − a)².
    pub rmse: f64,
}

impl Regression {
    /// From predictions a and targets t, (N, O) both.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without targets, [`Error::Shape`] if the shapes differ.
    pub fn new<P: Real, T: Real>(predicted: &Matrix<P>, targets: &Matrix<T>) -> Result<Self> {
        check_rows("predictions", predicted.rows(), targets.rows())?;
        if predicted.cols() != targets.cols() {
            return Err(Error::Shape {
                what: "predictions".into(),
                got: format!("{} columns", predicted.cols()),
                expected: format!("{} columns as the targets have", targets.cols()),
                advice: "every output needs one prediction".into(),
            });
        }
        let mut sums = RegressionSums::new(targets);
        for r in 0..targets.rows() {
            sums.add(predicted.row(r).iter().map(|&a| a.into()), targets.row(r));
        }
        Ok(sums.finish())
    }
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(r2) = self.r2 {
            write!(f, "R² {}, ", Short(r2))?;
        }
        write!(f, "MAE {}, RMSE {}", Short(self.mae), Short(self.rmse))
    }
}

/// The coefficient of determination R²; see [`Regression::r2`].
///
/// # Errors
/// As [`Regression::new`]; [`Error::Undefined`] with fewer than two rows.
pub fn r2_score<P: Real, T: Real>(predicted: &Matrix<P>, targets: &Matrix<T>) -> Result<f64> {
    let regression = Regression::new(predicted, targets)?;
    regression.r2.ok_or_else(|| Error::Undefined {
        metric: "R²".into(),
        reason: "it needs at least two rows".into(),
    })
}

/// The mean absolute error; see [`Regression::mae`].
///
/// # Errors
/// As [`Regression::new`].
pub fn mean_absolute_error<P: Real, T: Real>(
    predicted: &Matrix<P>,
    targets: &Matrix<T>,
) -> Result<f64> {
    Ok(Regression::new(predicted, targets)?.mae)
}

/// The root of the mean squared error; see [`Regression::rmse`].
///
/// # Errors
/// As [`Regression::new`].
pub fn root_mean_squared_error<P: Real, T: Real>(
    predicted: &Matrix<P>,
    targets: &Matrix<T>,
) -> Result<f64> {
    Ok(Regression::new(predicted, targets)?.rmse)
}

/// Sums over rows, for each output. Targets are known beforehand, and so their means and spreads.
#[derive(Debug, Clone)]
pub(crate) struct RegressionSums {
    rows: usize,
    squares: Vec<f64>,
    absolutes: Vec<f64>,
    /// Σ(t − t̄)².
    spreads: Vec<f64>,
}

impl RegressionSums {
    pub fn new<T: Real>(targets: &Matrix<T>) -> Self {
        let (rows, cols) = (targets.rows(), targets.cols());
        let column = |c: usize| (0..rows).map(move |r| targets.row(r)[c].into());
        let spreads = (0..cols).map(|c| {
            // The mean of equals may round, and then they would seem to differ.
            let first = column(c).next().unwrap_or(0.0);
            if column(c).all(|t| t == first) {
                return 0.0;
            }
            let mean = column(c).sum::<f64>() / rows as f64;
            column(c).map(|t| (t - mean) * (t - mean)).sum()
        });
        Self {
            rows,
            squares: vec![0.0; cols],
            absolutes: vec![0.0; cols],
            spreads: spreads.collect(),
        }
    }

    pub fn add<T: Real>(&mut self, predicted: impl Iterator<Item = f64>, targets: &[T]) {
        for (c, (a, &t)) in predicted.zip(targets).enumerate() {
            let error = t.into() - a;
            self.squares[c] += error * error;
            self.absolutes[c] += error.abs();
        }
    }

    pub fn finish(&self) -> Regression {
        let (rows, cols) = (self.rows as f64, self.squares.len() as f64);
        let mean = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>() / cols;
        let r2 = mean(
            &mut self
                .squares
                .iter()
                .zip(&self.spreads)
                .map(|(&square, &spread)| {
                    if spread != 0.0 {
                        1.0 - square / spread
                    } else {
                        f64::from(u8::from(square == 0.0))
                    }
                }),
        );
        Regression {
            r2: (self.rows >= 2).then_some(r2),
            mae: mean(&mut self.absolutes.iter().map(|a| a / rows)),
            rmse: mean(&mut self.squares.iter().map(|s| (s / rows).sqrt())),
        }
    }
}
