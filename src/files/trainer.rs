//! What a trainer writes and reads: weights, models, checkpoints.

use std::path::Path;

use super::model::complete;
use super::{Checkpoint, Model};
use crate::config::tensor::Tensors;
use crate::error::{Error, Result};
use crate::exec::device::Device;
use crate::trainer::{Trainer, architecture};

impl Trainer {
    /// The network with its weights of this moment, for a file of its own.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn model(&mut self) -> Result<Model> {
        let weights = self.state_dict()?;
        Model::new(self.network(), self.criterion(), weights)
    }

    /// Writes the weights, and the running statistics where there are any, as a safetensors file under PyTorch's names; see [`Tensors::save`].
    ///
    /// # Errors
    /// As [`Tensors::save`] and [`weights`](Self::weights).
    pub fn save_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.state_dict()?.save(path)
    }

    /// Takes all weights from a safetensors file; see [`Tensors::load`]. For some of them, hand what that gives to
    /// [`set_weights`](Self::set_weights).
    ///
    /// # Errors
    /// As [`Tensors::load`] and [`set_weights`](Self::set_weights); [`Error::MissingTensor`] if one is not there. Then nothing
    /// is changed.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let weights = Tensors::load(path)?;
        let what = path.display().to_string();
        let weights = complete(self.network(), weights, &what)?;
        self.set_weights(&weights)
    }

    /// All that decides how training goes on. Possible at any time, between micro-batches too: their gradients are part of it.
    /// Gradients that an update has used are not, so [`gradients`](Self::gradients) needs a batch after resuming.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        pollster::block_on(self.checkpoint_async())
    }

    /// [`checkpoint`](Self::checkpoint) for asynchronous code.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub async fn checkpoint_async(&mut self) -> Result<Checkpoint> {
        let (state, arrays) = self.state().await?;
        Ok(Checkpoint::new(state, arrays))
    }

    /// A trainer that goes on from a checkpoint, with the bits that it would have had without stopping. On a GPU the recorded
    /// choice of kernels is used from now on.
    ///
    /// # Errors
    /// [`Error::OtherDevice`] if the bits would not be the same: on another adapter, driver or CPU, or on a device that already
    /// computes with other kernels. [`Error::MissingActivation`] if an activation of your own was not
    /// [handed over](Checkpoint::with_activations). Else as [`Trainer::new`].
    pub fn resume(device: &Device, checkpoint: &Checkpoint) -> Result<Self> {
        pin(device, checkpoint)?;
        Self::resume_elsewhere(device, checkpoint)
    }

    /// [`resume`](Self::resume) on whatever device: what was computed so far is kept to the bit, and training goes on with the
    /// bits of this device.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), except for [`Error::OtherDevice`].
    pub fn resume_elsewhere(device: &Device, checkpoint: &Checkpoint) -> Result<Self> {
        let state = &checkpoint.state;
        // Every weight is replaced: nothing comes of the seed but dropout.
        let (network, criterion) = (&state.network, state.criterion);
        let mut trainer = Self::new(device, network, criterion, state.optimizer, state.seed)?;
        trainer.take(state, &checkpoint.arrays)?;
        Ok(trainer)
    }

    /// Puts this trainer where it was when the checkpoint was made. Network, loss and kind of optimiser must be those of the
    /// checkpoint; learning rate and the like are taken from it.
    ///
    /// # Errors
    /// [`Error::Architecture`] if they are not; [`Error::OtherDevice`] as [`resume`](Self::resume). Then nothing is changed.
    /// [`Error::DeviceLost`].
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let there = checkpoint.state.architecture();
        let here = architecture(self.network(), self.criterion(), self.optimizer());
        if there != here || checkpoint.state.criterion != self.criterion() {
            return Err(Error::Architecture {
                what: "the checkpoint".into(),
                found: there,
                expected: here,
                advice: "use Trainer::resume, which builds what the checkpoint says".into(),
            });
        }
        pin(self.device(), checkpoint)?;
        self.take(&checkpoint.state, &checkpoint.arrays)
    }
}

/// Sees that a checkpoint goes on here with the bits of where it was made.
fn pin(device: &Device, checkpoint: &Checkpoint) -> Result<()> {
    device.pin(checkpoint.device(), checkpoint.choices())
}
