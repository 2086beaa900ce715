//! What a fit is asked for.

use serde::{Deserialize, Serialize};

use crate::config::optimizer::Clip;
use crate::config::schedule::Schedule;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::trainer::Storage;

/// How [`Trainer::fit`](crate::Trainer::fit) trains.
///
/// ```
/// use wgrad::fit::{EarlyStopping, FitOptions, Validation};
/// use wgrad::Schedule;
///
/// let options = FitOptions {
///     epochs: 100,
///     batch_size: 64,
///     validation: Validation::Fraction(0.1),
///     early_stopping: Some(EarlyStopping { patience: 5, ..EarlyStopping::default() }),
///     schedule: Schedule::cosine(1e-5).with_warmup(3),
///     ..FitOptions::default()
/// };
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct FitOptions<'a> {
    /// Passes over the training data, at most.
    pub epochs: u64,
    /// Rows of an update. Data with fewer rows is one batch; the last batch of an epoch has what is left. A
    /// single row that is left goes into the batch before it where there is [batch normalisation](crate::Mlp::batch_norm).
    pub batch_size: usize,
    /// Rows that go through the network at a time, where a batch is too large for the memory: gradients are accumulated, and
    /// the update is that of the whole batch. The whole batch unless given.
    pub micro_batch: Option<usize>,
    /// Whether each epoch takes the rows in an order of its own. Epoch e, from 0, has that of
    /// [`Dataset::batches`]`(batch_size)?.shuffled(seed + e)`.
    pub shuffle: bool,
    /// What the orders, and the rows of [`Validation::Fraction`], are drawn from.
    pub seed: u64,
    /// What to evaluate after each epoch.
    pub validation: Validation<'a>,
    /// When to stop before the last epoch.
    pub early_stopping: Option<EarlyStopping>,
    /// How the optimiser's learning rate goes.
    pub schedule: Schedule,
    /// What a [`Plateau`](crate::config::schedule::Plateau) watches.
    pub plateau_monitor: Monitor,
    /// Where the gradient of an update has a larger norm, it is scaled down to this: [`Clip::norm`]. With one of the two limits
    /// given, they hold for the fit in place of what [`Trainer::set_clip`](crate::Trainer::set_clip) said, which holds again
    /// when the fit ends; with none, the trainer clips as it does.
    pub clip_norm: Option<f64>,
    /// Each element of the gradient is limited to ± this: [`Clip::value`].
    pub clip_value: Option<f64>,
    /// Whether the [norms of gradients](super::EpochRecord::grad_norm) are told. They are anyway while the gradient is clipped
    /// by its norm, or if the trainer [records](crate::Trainer::record_grad_norms) them; else it is one more pass over the
    /// gradients at each update.
    pub grad_norm: bool,
    /// How the inputs are kept on the device.
    pub storage: Storage,
    /// Steps between two [`Event::Steps`](super::Event::Steps), counted in each epoch. Only the ends of epochs are told of
    /// unless given.
    pub event_steps: Option<u64>,
}

impl Default for FitOptions<'_> {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            micro_batch: None,
            shuffle: true,
            seed: 0,
            validation: Validation::None,
            early_stopping: None,
            schedule: Schedule::constant(),
            plateau_monitor: Monitor::ValidationLoss,
            clip_norm: None,
            clip_value: None,
            grad_norm: false,
            storage: Storage::F32,
            event_steps: None,
        }
    }
}

/// What a fit evaluates after each epoch.
#[derive(Debug, Clone, Copy, Default)]
pub enum Validation<'a> {
    /// Nothing.
    #[default]
    None,
    /// So large a share of the data, in (0, 1), drawn at random, of each class alike. It takes no part in training.
    Fraction(f64),
    /// This data.
    Data(&'a Dataset),
}

/// A number that an epoch ends with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Monitor {
    /// The loss over the validation data.
    #[default]
    ValidationLoss,
    /// The accuracy over the validation data. Higher is better.
    ValidationAccuracy,
    /// The training loss of the epoch, each batch with the weights of its time.
    TrainLoss,
}

impl Monitor {
    /// Whether higher is better.
    pub fn higher_is_better(self) -> bool {
        self == Monitor::ValidationAccuracy
    }
}

/// Stops a fit that improves no more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EarlyStopping {
    /// What is watched.
    pub monitor: Monitor,
    /// Epochs without an improvement after which it stops, at least 1.
    pub patience: u64,
    /// By how much a number must be better than the best so far to count as an improvement.
    pub min_delta: f64,
    /// Whether the weights of the best epoch are put back in the end, however the fit ends. They are read back at each
    /// improvement; the optimiser's state stays that of the last epoch.
    pub restore_best: bool,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self {
            monitor: Monitor::ValidationLoss,
            patience: 10,
            min_delta: 0.0,
            restore_best: true,
        }
    }
}

impl FitOptions<'_> {
    /// The fit's own limits of gradients, if it has any.
    pub(super) fn clip(&self) -> Option<Clip> {
        let (norm, value) = (self.clip_norm, self.clip_value);
        (norm.is_some() || value.is_some()).then_some(Clip { norm, value })
    }

    /// Whether the options make sense by themselves; [`Trainer::fit`](crate::Trainer::fit) asks, too.
    ///
    /// # Errors
    /// [`Error::Argument`] that says which one is out of range.
    pub fn check(&self) -> Result<()> {
        let ask = |ok: bool, name: &str, value: String, allowed: &str| match ok {
            true => Ok(()),
            false => Err(Error::argument(name, value, allowed)),
        };
        let some = |name: &str, value: u64| ask(value > 0, name, value.to_string(), "1 or more");
        some("epochs", self.epochs)?;
        some("batch_size", self.batch_size as u64)?;
        some("micro_batch", self.micro_batch.map_or(1, |n| n as u64))?;
        some("event_steps", self.event_steps.unwrap_or(1))?;
        if let Some(clip) = self.clip() {
            clip.check()?;
        }
        if let Validation::Fraction(fraction) = self.validation {
            let ok = fraction > 0.0 && fraction < 1.0;
            let allowed = "in (0, 1), or Validation::None";
            ask(ok, "the validation fraction", fraction.to_string(), allowed)?;
        }
        if let Some(stopping) = self.early_stopping {
            some("the patience of early stopping", stopping.patience)?;
            let delta = stopping.min_delta;
            let ok = delta >= 0.0 && delta.is_finite();
            let name = "the min_delta of early stopping";
            ask(ok, name, delta.to_string(), "finite and ≥ 0")?;
        }
        Ok(())
    }
}
