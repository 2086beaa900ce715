//! Metrics of predicted values.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Short, check_rows, cut};
use crate::data::{Matrix, Real};
use crate::error::{Error, Result};

/// How far predicted values are from their targets: each target's own, and the mean over the targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Regression {
    /// The mean of the targets' [`r2`](TargetScores::r2): scikit-learn's `r2_score`. None with fewer than two rows.
    pub r2: Option<f64>,
    /// The mean of the targets' [`mae`](TargetScores::mae), which says something where all are in one unit:
    /// scikit-learn's `mean_absolute_error`.
    pub mae: f64,
    /// The mean of the targets' [`rmse`](TargetScores::rmse), which says something where all are in one unit:
    /// scikit-learn's `root_mean_squared_error`.
    pub rmse: f64,
    /// Each target's own, in their order.
    pub targets: Vec<TargetScores>,
}

/// How far the predictions of one target are from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TargetScores {
    /// The target's name, its number from 0 unless [given](Regression::named).
    pub name: String,
    /// 1 − Σ(t − a)²/Σ(t − t̄)², 1 at best. Of a constant target 1 if every prediction is right, else 0. None with fewer
    /// than two rows.
    pub r2: Option<f64>,
    /// Mean of |t − a|, in the target's unit.
    pub mae: f64,
    /// Root of the mean of (t − a)², in the target's unit.
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
            let got = format!("{} columns", predicted.cols());
            let expected = format!("{} columns as the targets have", targets.cols());
            let advice = "every output needs one prediction";
            return Err(Error::shape("predictions", got, expected, advice));
        }
        let mut sums = RegressionSums::new(targets);
        for r in 0..targets.rows() {
            sums.add(predicted.row(r).iter().map(|&a| a.into()), targets.row(r));
        }
        Ok(sums.finish())
    }

    /// With the targets' names, for the table; names missing stay numbers.
    #[must_use]
    pub fn named<S: AsRef<str>>(mut self, names: &[S]) -> Self {
        for (target, name) in self.targets.iter_mut().zip(names) {
            target.name = name.as_ref().into();
        }
        self
    }
}

/// Targets that a table shows.
const SHOWN: usize = 50;

/// Of one target a line, of several a table: a mean of errors in different units would say nothing, a mean of R² does.
impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.targets.len() < 2 {
            if let Some(r2) = self.r2 {
                write!(f, "R² {}, ", Short(r2))?;
            }
            return write!(f, "MAE {}, RMSE {}", Short(self.mae), Short(self.rmse));
        }
        let shown = &self.targets[..self.targets.len().min(SHOWN)];
        let widths = shown.iter().map(|t| cut(&t.name).chars().count());
        let width = widths.max().unwrap_or(0).max("target".len());
        let [head, r2, mae, rmse] = ["target", "R²", "MAE", "RMSE"];
        write!(f, "{head:>width$}  {r2:>10}  {mae:>10}  {rmse:>10}")?;
        for t in shown {
            let (name, mae, rmse) = (cut(&t.name), Short(t.mae), Short(t.rmse));
            let r2 = t.r2.map_or("-".into(), |r2| Short(r2).to_string());
            write!(f, "\n{name:>width$}  {r2:>10}  {mae:>10}  {rmse:>10}")?;
        }
        if self.targets.len() > SHOWN {
            write!(f, "\n({} targets more)", self.targets.len() - SHOWN)?;
        }
        match self.r2 {
            Some(r2) => write!(f, "\n{:>width$}  {:>10}", "mean", Short(r2)),
            None => Ok(()),
        }
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
        let spreads = (0..cols).map(|c| {
            // From the first target on: a mean of numbers far from 0 rounds by as much as near ones differ.
            let first: f64 = targets.data().get(c).map_or(0.0, |&t| t.into());
            let column = || (0..rows).map(|r| targets.row(r)[c].into() - first);
            let mean = column().sum::<f64>() / rows as f64;
            column().map(|t| (t - mean) * (t - mean)).sum()
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
        let rows = self.rows as f64;
        let target = |c: usize| {
            let (square, spread) = (self.squares[c], self.spreads[c]);
            let r2 = match spread {
                0.0 => f64::from(u8::from(square == 0.0)),
                _ => 1.0 - square / spread,
            };
            TargetScores {
                name: c.to_string(),
                r2: (self.rows >= 2).then_some(r2),
                mae: self.absolutes[c] / rows,
                rmse: (square / rows).sqrt(),
            }
        };
        let targets: Vec<TargetScores> = (0..self.squares.len()).map(target).collect();
        let mean = |of: &dyn Fn(&TargetScores) -> f64| {
            targets.iter().map(of).sum::<f64>() / targets.len() as f64
        };
        Regression {
            r2: (self.rows >= 2).then(|| mean(&|t| t.r2.unwrap_or(0.0))),
            mae: mean(&|t| t.mae),
            rmse: mean(&|t| t.rmse),
            targets,
        }
    }
}
