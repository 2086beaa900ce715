//! What a fit tells of itself.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::Monitor;
use crate::metrics::{Evaluation, Short};

/// What is known at the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Updates so far, in all epochs.
    pub steps: u64,
    /// The learning rate of its last update.
    pub lr: f64,
    /// The training loss over the epoch, reduced as the criterion says, each batch with the weights of its time.
    pub loss: f64,
    /// Over the validation data, with the weights that the epoch ends with.
    pub validation: Option<Evaluation>,
    /// Of the gradients of the epoch's updates, where their norms are computed: see
    /// [`FitOptions::grad_norm`](super::FitOptions::grad_norm).
    pub grad_norm: Option<GradNorm>,
    /// Whether it was the best so far by what early stopping watches.
    pub best: bool,
    /// Seconds that it took, with its validation.
    pub seconds: f64,
    /// Rows trained in a second, without the validation.
    pub rows_per_second: f64,
}

/// Norms of gradients over the updates of an epoch: Euclidean, of the gradient of the loss as the criterion reduces it, all
/// tensors together, before it is clipped and before the optimiser's penalties.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradNorm {
    /// Their mean.
    #[serde(with = "crate::metrics::number")]
    pub mean: f64,
    /// The largest: what a limit to clip by can be chosen from.
    #[serde(with = "crate::metrics::number")]
    pub max: f64,
}

impl EpochRecord {
    /// The number that is watched; none without it.
    pub fn monitored(&self, monitor: Monitor) -> Option<f64> {
        match monitor {
            Monitor::TrainLoss => Some(self.loss),
            Monitor::ValidationLoss => self.validation.map(|v| v.loss),
            Monitor::ValidationAccuracy => self.validation.and_then(|v| v.accuracy),
        }
    }
}

/// One line, without the units of a table.
impl fmt::Display for EpochRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}: loss {}", self.epoch, Short(self.loss))?;
        if let Some(validation) = &self.validation {
            write!(f, ", validation {validation}")?;
        }
        if let Some(norm) = &self.grad_norm {
            write!(f, ", gradient {}", Short(norm.mean))?;
        }
        write!(
            f,
            ", lr {:.2e}, {:.2} s, {:.0} rows/s",
            self.lr, self.seconds, self.rows_per_second
        )
    }
}

/// Why a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// All epochs were done.
    Epochs,
    /// What early stopping watches did not improve for its patience.
    Patience,
    /// A callback asked for it; the fit can be taken up again.
    Callback,
}

/// What a fit did, epoch by epoch. Shown as a table; serialisable; [CSV](Self::csv).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// The epochs, the first first.
    pub epochs: Vec<EpochRecord>,
    /// The best epoch, from 1, by what early stopping watches.
    pub best_epoch: Option<u64>,
    /// Why it ended; none while it has not.
    pub stop: Option<Stop>,
}

impl History {
    /// The last epoch.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }

    /// Whether the fit ended at its bound of [epochs](super::FitOptions::epochs) while what is watched still improved, so that
    /// more epochs would likely help.
    ///
    /// The rule: the best of the last epochs, a tenth of all and at least three, is better than the best of those before, by more
    /// than 1 % of that. Of fewer than four epochs, only the last counts as last. False where it ended otherwise, where
    /// there are fewer than two epochs, or where nothing of the kind was watched.
    ///
    /// ```
    /// # use wgrad::fit::{FitOptions, Monitor};
    /// # use wgrad::{Activation::*, Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer};
    /// # let train = Dataset::classes(Matrix::new(1, vec![-1.0, 1.0])?, vec![0, 1])?;
    /// # let network = Mlp::new(1).dense(2, Identity);
    /// # let adam = Adam { lr: 0.1, ..Adam::default() };
    /// # let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, adam, 7)?;
    /// let history = trainer.fit(&train, &FitOptions { epochs: 10, ..FitOptions::default() })?;
    /// assert!(history.still_improving(Monitor::TrainLoss)); // give it more epochs
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn still_improving(&self, monitor: Monitor) -> bool {
        /// Gains that count, as a share of what there was.
        const SHARE: f64 = 0.01;
        let count = self.epochs.len();
        if self.stop != Some(Stop::Epochs) || count < 2 {
            return false;
        }
        let last = if count < 4 { 1 } else { (count / 10).max(3) };
        let best = |epochs: &[EpochRecord]| {
            let values = epochs.iter().filter_map(|e| e.monitored(monitor));
            let values = values.filter(|x| x.is_finite());
            match monitor.higher_is_better() {
                true => values.reduce(f64::max),
                false => values.reduce(f64::min),
            }
        };
        let (before, after) = self.epochs.split_at(count - last);
        let (Some(before), Some(after)) = (best(before), best(after)) else {
            return false;
        };
        let gain = match monitor.higher_is_better() {
            true => after - before,
            false => before - after,
        };
        gain > SHARE * before.abs()
    }

    /// Seconds of all epochs.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }

    /// One line an epoch, after a header: numbers in full, what there is not left empty.
    pub fn csv(&self) -> String {
        let mut out = "epoch,steps,lr,loss,validation_loss,validation_accuracy,grad_norm,grad_norm_max,best,seconds,\
                       rows_per_second\n"
            .to_string();
        for e in &self.epochs {
            let text = |x: Option<f64>| x.map(|x| x.to_string()).unwrap_or_default();
            let maybe = [
                e.validation.map(|v| v.loss),
                e.validation.and_then(|v| v.accuracy),
                e.grad_norm.map(|n| n.mean),
                e.grad_norm.map(|n| n.max),
            ];
            let maybe = maybe.map(text).join(",");
            let (best, seconds, rows) = (u8::from(e.best), e.seconds, e.rows_per_second);
            let _ = write!(out, "{},{},{},{},{maybe}", e.epoch, e.steps, e.lr, e.loss);
            let _ = writeln!(out, ",{best},{seconds},{rows}");
        }
        out
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A column only where there is something in it.
        let norms = self.epochs.iter().any(|e| e.grad_norm.is_some());
        let gradient = if norms { "    gradient" } else { "" };
        let head = "epoch        loss  validation  accuracy";
        write!(f, "{head}{gradient}        lr  seconds    rows/s")?;
        for e in &self.epochs {
            write!(f, "\n{:>5}  {:>10}  ", e.epoch, Short(e.loss))?;
            let loss = e.validation.map(|v| Short(v.loss).to_string());
            let accuracy = e.validation.and_then(|v| v.accuracy);
            let accuracy = accuracy.map(|a| format!("{:.2} %", 100.0 * a));
            let [loss, accuracy] = [loss, accuracy].map(Option::unwrap_or_default);
            write!(f, "{loss:>10}  {accuracy:>8}")?;
            match e.grad_norm {
                Some(norm) => write!(f, "  {:>10}", Short(norm.mean))?,
                None if norms => write!(f, "{:>12}", "")?,
                None => {}
            }
            let (lr, seconds, rows) = (e.lr, e.seconds, e.rows_per_second);
            let best = if e.best { "  best" } else { "" };
            write!(f, "  {lr:>8.2e}  {seconds:>7.2}  {rows:>8.0}{best}")?;
        }
        match (self.stop, self.best_epoch) {
            (Some(Stop::Patience), best) => {
                let since = best.map_or(String::new(), |best| format!(" since epoch {best}"));
                write!(f, "\nstopped: no improvement{since}")
            }
            (Some(Stop::Callback), _) => write!(f, "\nstopped when asked to"),
            _ => Ok(()),
        }
    }
}
