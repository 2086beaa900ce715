//! Clipping, and the norms of gradients.

use super::Trainer;
use crate::config::optimizer::{Clip, Rule};
use crate::error::Result;
use crate::plan::HISTORY;

impl Trainer {
    /// How many norms were recorded in all.
    pub(crate) fn grad_norms(&self) -> u64 {
        self.norms.0
    }

    /// The norms after so many, the oldest first, of the latest 4,096 at most. None is taken.
    pub(crate) fn grad_norms_since(&mut self, so_far: u64) -> Result<Vec<f64>> {
        let count = self.norms.0.saturating_sub(so_far).min(HISTORY as u64);
        pollster::block_on(self.latest_grad_norms(count))
    }

    /// Clips gradients from the next update on, or no more; on the device, and nothing is read back. What is clipped is the
    /// gradient of the loss as the criterion reduces it, micro-batches together, before the optimiser's penalties;
    /// [`gradients`](Self::gradients) still tells it unclipped. Clipping by norm records the norms too.
    ///
    /// ```
    /// # use wgrad::{Activation::*, Adam, Clip, Dataset, Device, Loss, Matrix, Mlp, Trainer};
    /// # let data = Dataset::classes(Matrix::new(1, vec![0.0, 1.0])?, vec![0, 1])?;
    /// # let network = Mlp::new(1).dense(2, Identity);
    /// let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, Adam::default(), 7)?;
    /// trainer.set_clip(Clip { norm: Some(1.0), ..Clip::default() })?;
    /// trainer.step(&data)?;
    /// println!("{:?}", trainer.take_grad_norms()?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if a limit is not finite or not above 0.
    pub fn set_clip(&mut self, clip: Clip) -> Result<()> {
        clip.check()?;
        self.clip = clip;
        Ok(())
    }

    /// How gradients are clipped.
    pub fn clip(&self) -> Clip {
        self.clip
    }

    /// Has the norm of the gradient recorded at each update from now on, or no more, for
    /// [`take_grad_norms`](Self::take_grad_norms). It takes one more pass over the gradients; the weights are the same to the bit,
    /// but that no [small network](crate::DeviceOptions::small_network) goes as one.
    pub fn record_grad_norms(&mut self, record: bool) {
        self.record_norms = record;
    }

    /// How an update is made.
    pub(crate) fn rule(&self) -> Rule {
        Rule {
            optimizer: self.optimizer,
            clip: self.clip,
            norms: self.record_norms,
        }
    }

    /// The Euclidean norm of the gradient of each update since the last call, the oldest first: of the latest 4,096 at most that
    /// were made while norms were [recorded](Self::record_grad_norms) or gradients [clipped](Self::set_clip) by norm. Of the loss's
    /// gradient as the criterion reduces it, all tensors together, before it is clipped. A norm that was NaN or infinite is among
    /// them as it was.
    ///
    /// # Errors
    /// [`Error::DeviceLost`](crate::Error::DeviceLost).
    pub fn take_grad_norms(&mut self) -> Result<Vec<f64>> {
        pollster::block_on(self.take_grad_norms_async())
    }

    /// [`take_grad_norms`](Self::take_grad_norms) for asynchronous code.
    ///
    /// # Errors
    /// As [`take_grad_norms`](Self::take_grad_norms).
    pub async fn take_grad_norms_async(&mut self) -> Result<Vec<f64>> {
        let norms = self.latest_grad_norms(self.norms.1 as u64).await?;
        self.norms.1 = 0;
        Ok(norms)
    }

    async fn latest_grad_norms(&mut self, count: u64) -> Result<Vec<f64>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let read = self.executor.read_f64(&[self.plan.norms_view()]).await?;
        let latest = self.norms.0 - count..self.norms.0;
        let norms = latest.map(|i| read[0][(i % HISTORY as u64) as usize]);
        Ok(norms.collect())
    }
}
