//! Where a fit stands.

use serde::{Deserialize, Serialize};

use super::History;
use crate::config::optimizer::Clip;
use crate::config::schedule::PlateauState;
use crate::config::tensor::Tensors;
use crate::error::{Error, Result};
use crate::files::{Checkpoint, MOST};

/// Where a fit stands, between two updates: with the trainer's own state it is all that [`Fit::resume`](super::Fit::resume)
/// needs to go on as if it had not stopped, to the bit. Serialisable, but for the
/// [best weights](Self::best_weights), which belong among tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FitState {
    /// Epochs finished.
    pub epoch: u64,
    /// Rows of the epoch's order that are done; a multiple of the batch size.
    pub row: u64,
    /// Updates made.
    pub steps: u64,
    /// Rows of the training data.
    pub rows: u64,
    /// Rows of an update.
    pub batch_size: u64,
    /// Whether the orders are shuffled.
    pub shuffle: bool,
    /// What they are drawn from.
    pub seed: u64,
    /// Share of the data that validates.
    pub validation_fraction: Option<f64>,
    /// The optimiser's learning rate before the schedule.
    pub base_lr: f64,
    /// How the trainer clipped before the fit, where the fit has limits of its own.
    pub base_clip: Option<Clip>,
    /// Whether the trainer recorded norms before the fit, where the fit has it record them.
    pub base_grad_norms: Option<bool>,
    /// What a plateau has seen.
    pub plateau: PlateauState,
    /// The best number that early stopping has seen.
    pub best: Option<f64>,
    /// Epochs since.
    pub bad_epochs: u64,
    /// Loss over the rows of the epoch that are done, not yet divided by what they weigh.
    pub loss_sum: f64,
    /// What these rows weigh together: as much as there are, where they have no weights.
    pub loss_weight: f64,
    /// Norms of gradients over the updates of the epoch that had theirs computed, summed.
    #[serde(with = "crate::metrics::number")]
    pub grad_norm_sum: f64,
    /// The largest of them.
    #[serde(with = "crate::metrics::number")]
    pub grad_norm_max: f64,
    /// How many they are.
    pub grad_norms: u64,
    /// Seconds of the epoch so far.
    pub seconds: f64,
    /// What was.
    pub history: History,
    /// The weights of the best epoch, where early stopping restores them.
    #[serde(skip)]
    pub(super) best_weights: Option<Tensors>,
}

impl FitState {
    /// The state in a checkpoint that [`Fit::checkpoint`](super::Fit::checkpoint) made.
    ///
    /// # Errors
    /// [`Error::File`] if it has none, or one that no fit can be in.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let advice = "give one that was saved in the course of a fit";
        let missing = |problem: &str| Error::file("the checkpoint", problem, advice);
        let value = checkpoint.fit.clone();
        let value = value.ok_or_else(|| missing("it has no state of a fit"))?;
        let state: Self = serde_json::from_value(value)
            .map_err(|e| missing(&format!("its state of a fit cannot be read: {e}")))?;
        if !state.is_sound() {
            let problem = "its state of a fit is not one that a fit can be in";
            return Err(missing(problem));
        }
        Ok(state.with_best_weights(checkpoint.best.clone()))
    }

    /// After the end of an epoch.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.row = 0;
        (self.loss_sum, self.loss_weight) = (0.0, 0.0);
        (self.grad_norm_sum, self.grad_norm_max, self.grad_norms) = (0.0, 0.0, 0);
        self.seconds = 0.0;
    }

    /// Whether a fit can be in it, whatever its data and options are.
    pub(super) fn is_sound(&self) -> bool {
        let sound = |x: f64| x >= 0.0 && x.is_finite();
        self.row < self.rows
            && self.row.is_multiple_of(self.batch_size)
            && self.history.epochs.len() as u64 == self.epoch
            && self.history.best_epoch.unwrap_or_default() <= self.epoch
            && self.bad_epochs.max(self.plateau.bad) <= self.epoch
            && self.steps <= MOST
            && self.grad_norms <= self.steps
            && self.base_clip.is_none_or(|clip| clip.check().is_ok())
            && [self.base_lr, self.loss_weight, self.seconds]
                .into_iter()
                .chain(self.plateau.lr)
                .all(sound)
    }

    /// The weights of the best epoch so far, where early stopping [restores](super::EarlyStopping::restore_best) them.
    pub fn best_weights(&self) -> Option<&Tensors> {
        self.best_weights.as_ref()
    }

    /// With the best weights, which serialisation leaves out.
    #[must_use]
    pub fn with_best_weights(mut self, weights: Option<Tensors>) -> Self {
        self.best_weights = weights;
        self
    }
}
