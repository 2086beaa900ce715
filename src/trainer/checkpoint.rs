//! Checkpoints and models of a trainer.

use std::path::Path;

use super::Trainer;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::files::{self, Array, Checkpoint, Model, Numbers, State};
use crate::plan::{HISTORY, View};
use crate::tensor::Tensors;

impl Trainer {
    /// The network with its weights of this moment, for a file of its own.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn model(&mut self) -> Result<Model> {
        let weights = self.state_dict()?;
        Model::new(&self.plan.network, self.plan.criterion, weights)
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
        let weights = files::complete(&self.plan.network, weights, &what)?;
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
        let state = State {
            network: self.plan.network.clone(),
            criterion: self.plan.criterion,
            optimizer: self.optimizer,
            device: self.device.identity(),
            choices: self.device.choices(),
            steps: self.steps,
            batches: self.batches,
            seed: self.plan.seed,
            clip: self.clip,
            record_norms: self.record_norms,
            norms: self.norms,
            pending: self.pending,
            loss_rows: self.loss_rows,
            history: self.history.iter().copied().collect(),
        };
        let views = self.checkpoint_views(&state);
        let all: Vec<View> = views.iter().flatten().copied().collect();
        let mut read = self.executor.read_numbers(&all).await?.into_iter();
        let arrays = state.arrays().into_iter().zip(&views);
        let arrays = arrays.map(|((name, shape), views)| {
            let parts: Vec<Numbers> = read.by_ref().take(views.len()).collect();
            let mut numbers = Numbers::joined(parts);
            if name == files::LOSSES {
                numbers = numbers.picked(&self.history_slots());
            } else if name == files::NORMS {
                numbers = numbers.picked(&slots(self.norms.0, self.norms.1));
            }
            Array {
                name,
                shape,
                numbers,
            }
        });
        let arrays = arrays.collect();
        Ok(Checkpoint::new(state, arrays))
    }

    /// Where the arrays of [`State::arrays`] are, in its order.
    fn checkpoint_views(&self, state: &State) -> Vec<Vec<View>> {
        let plan = &self.plan;
        let mut views = plan.parameter_views(false);
        for slot in 0..state.optimizer.slots() {
            views.extend(plan.state_views(slot));
        }
        if state.pending.rows > 0 {
            views.extend(plan.parameter_views(true));
        }
        views.extend(plan.running_views().into_iter().map(|view| vec![view]));
        views.push(vec![plan.ledger_view()]);
        views.push(vec![plan.history_view()]);
        views.push(vec![plan.norms_view()]);
        views
    }

    /// Where the losses that were not taken are, the oldest first.
    fn history_slots(&self) -> Vec<usize> {
        slots(self.batches, self.history.len())
    }

    /// A trainer that goes on from a checkpoint, with the bits that it would have had without stopping. On a GPU the recorded
    /// choice of kernels is used from now on.
    ///
    /// # Errors
    /// [`Error::OtherDevice`] if the bits would not be the same: on another adapter, driver or CPU, or on a device that already
    /// computes with other kernels. [`Error::MissingActivation`] if an activation of your own was not
    /// [handed over](Checkpoint::with_activations). Else as [`Trainer::new`].
    pub fn resume(device: &Device, checkpoint: &Checkpoint) -> Result<Self> {
        device.pin(checkpoint)?;
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
        trainer.take(checkpoint)?;
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
        let here = files::architecture(&self.plan.network, self.plan.criterion, &self.optimizer);
        if there != here || checkpoint.state.criterion != self.plan.criterion {
            return Err(Error::Architecture {
                what: "the checkpoint".into(),
                found: there,
                expected: here,
                advice: "use Trainer::resume, which builds what the checkpoint says".into(),
            });
        }
        self.device.pin(checkpoint)?;
        self.take(checkpoint)
    }

    /// Takes everything from a checkpoint of this architecture.
    fn take(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let state = &checkpoint.state;
        state.optimizer.check()?;
        state.clip.check()?;
        self.optimizer = state.optimizer;
        self.steps = state.steps;
        self.batches = state.batches;
        self.plan.seed = state.seed;
        self.clip = state.clip;
        self.record_norms = state.record_norms;
        self.norms = state.norms;
        self.pending = state.pending;
        self.gradient_rows = state.pending;
        self.loss_rows = state.loss_rows;
        self.history = state.history.iter().copied().collect();
        self.history.reserve(HISTORY - self.history.len());
        self.template = None;
        let views = self.checkpoint_views(state);
        for (Array { name, numbers, .. }, views) in checkpoint.arrays.iter().zip(views) {
            if name == files::LOSSES {
                let ring = numbers.placed(&self.history_slots(), HISTORY);
                self.executor.write_numbers(&views, &ring)?;
            } else if name == files::NORMS {
                let ring = numbers.placed(&slots(self.norms.0, self.norms.1), HISTORY);
                self.executor.write_numbers(&views, &ring)?;
            } else {
                self.executor.write_numbers(&views, numbers)?;
            }
        }
        Ok(())
    }
}

/// Where the latest of so many things are in a ring, the oldest first.
fn slots(so_far: u64, latest: usize) -> Vec<usize> {
    let first = so_far - latest as u64;
    (first..so_far)
        .map(|i| (i % HISTORY as u64) as usize)
        .collect()
}
