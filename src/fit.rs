//! Training without a loop: epochs, validation, schedules, early stopping, callbacks.
//!
//! [`Trainer::fit`] does it all. [`Trainer::fit_with`] tells a callback of each epoch, and of every so many steps if asked;
//! the callback can stop it. A [`Fit`] is the same in pieces: advance, look, save, go on.
//!
//! ```
//! use wgrad::fit::{EarlyStopping, FitOptions, Validation};
//! use wgrad::{Activation::*, Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer};
//!
//! let points: Vec<f32> = (0..800).map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0).collect();
//! let inside = points.chunks(2).map(|p| u32::from(p[0] * p[0] + p[1] * p[1] < 0.6)).collect();
//! let (train, test) = Dataset::classes(Matrix::new(2, points)?, inside)?.split(0.8, 7)?;
//!
//! let network = Mlp::new(2).dense(32, Relu).dense(2, Identity);
//! let adam = Adam { lr: 0.01, ..Adam::default() };
//! let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, adam, 7)?;
//! let options = FitOptions {
//!     epochs: 40,
//!     batch_size: 16,
//!     validation: Validation::Fraction(0.2),
//!     early_stopping: Some(EarlyStopping::default()),
//!     ..FitOptions::default()
//! };
//! let history = trainer.fit(&train, &options)?;
//! println!("{history}"); // a table, a line an epoch
//! println!("{}", trainer.report(&test)?);
//! # assert!(trainer.evaluate(&test)?.accuracy > Some(0.9));
//! # Ok::<(), wgrad::Error>(())
//! ```

mod check;
mod epoch;
mod history;
mod options;
mod state;

pub use history::{EpochRecord, GradNorm, History, Stop};
pub use options::{EarlyStopping, FitOptions, Monitor, Validation};
pub use state::FitState;

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::data::{Cut, Dataset};
use crate::error::{Error, Result};
use crate::files::Checkpoint;
use crate::trainer::{Amount, Loaded, Trainer, check_batch, check_batches, cut};
use check::{check_monitors, check_state};
use epoch::total;

/// What a fit tells a callback.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Some steps were made, and the epoch goes on.
    Steps(Progress),
    /// An epoch ended.
    Epoch(EpochRecord),
}

/// Where a fit stands in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Epochs, at most.
    pub epochs: u64,
    /// Updates of this epoch so far.
    pub step: u64,
    /// Updates of an epoch.
    pub steps: u64,
    /// Rows of this epoch so far.
    pub rows: u64,
    /// Seconds of this epoch so far. On a GPU steps may be on their way that are counted already.
    pub seconds: f64,
}

/// The training rows, where they are.
#[derive(Debug)]
enum TrainingRows<'a> {
    Loaded(Box<Loaded<'a>>),
    /// In host memory, for micro-batches.
    Host(Cow<'a, Dataset>),
}

/// A fit in pieces: [`advance`](Self::advance) makes steps, [`state`](Self::state) tells where it stands,
/// [`resume`](Self::resume) goes on from there, [`finish`](Self::finish) ends it.
///
/// ```
/// # use wgrad::fit::{Fit, FitOptions};
/// # use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};
/// # let train = Dataset::classes(Matrix::new(1, vec![0.5; 100])?, vec![0; 100])?;
/// # let network = Mlp::new(1).dense(2, Identity);
/// # let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, Sgd::default(), 7)?;
/// let options = FitOptions { epochs: 3, ..FitOptions::default() };
/// let mut fit = Fit::new(&mut trainer, &train, &options)?;
/// fit.advance(2)?; // two steps of the first epoch
/// let state = fit.state()?;
/// drop(fit); // and perhaps another day, with a trainer in the same state:
/// let mut fit = Fit::resume(&mut trainer, &train, &options, state)?;
/// while let Some(event) = fit.advance(u64::MAX)? {
///     println!("{event:?}"); // the ends of epochs
/// }
/// println!("{}", fit.finish()?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Fit<'a> {
    trainer: &'a mut Trainer,
    /// Taken when it ends.
    rows: Option<TrainingRows<'a>>,
    validation: Option<Cow<'a, Dataset>>,
    options: FitOptions<'a>,
    state: FitState,
    /// The order of the epoch of this number.
    order: (Option<u64>, Vec<u32>),
    /// What the batches weigh whose losses were not read yet.
    unread: Vec<f64>,
    /// How many norms of gradients the trainer had recorded when they were last read.
    norms_read: u64,
    /// What ended it.
    failed: Option<Error>,
}

impl<'a> Fit<'a> {
    /// A fit that begins.
    ///
    /// # Errors
    /// [`Error::Argument`] if an option is out of range, or early stopping or a plateau watches what there will not be; as
    /// [`Trainer::step`] if training or validation data does not fit the network; [`Error::Pending`] if micro-batches were
    /// accumulated and not applied; what [`Trainer::take_loss`] says of steps before.
    pub fn new(
        trainer: &'a mut Trainer,
        data: &'a Dataset,
        options: &FitOptions<'a>,
    ) -> Result<Self> {
        Self::start(trainer, data, options, None)
    }

    /// Goes on from a state, with a trainer in the state that it had, the same data and the same options: the rest is then,
    /// to the bit, as if the fit had not stopped. More or fewer epochs than before may be asked for, and another patience.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Argument`] if data or options are not those of the state, or its best weights are
    /// missing.
    pub fn resume(
        trainer: &'a mut Trainer,
        data: &'a Dataset,
        options: &FitOptions<'a>,
        state: FitState,
    ) -> Result<Self> {
        Self::start(trainer, data, options, Some(state))
    }

    fn start(
        trainer: &'a mut Trainer,
        data: &'a Dataset,
        options: &FitOptions<'a>,
        state: Option<FitState>,
    ) -> Result<Self> {
        options.check()?;
        let (train, validation) = match options.validation {
            Validation::None => (Cow::Borrowed(data), None),
            Validation::Data(validation) => (Cow::Borrowed(data), Some(Cow::Borrowed(validation))),
            Validation::Fraction(fraction) => {
                let (train, validation) = data.split(1.0 - fraction, options.seed)?;
                (Cow::Owned(train), Some(Cow::Owned(validation)))
            }
        };
        check_batch(trainer.plan(), &train)?;
        if let Some(validation) = &validation {
            check_batch(trainer.plan(), validation)?;
            Amount::of(validation).check("the validation data")?;
        }
        let mut options = options.clone();
        let rows = train.rows();
        options.batch_size = options.batch_size.min(rows);
        let micro = options.micro_batch.unwrap_or(options.batch_size);
        check_batches(trainer.plan(), options.batch_size, micro)?;
        let cut = cut(trainer.plan(), options.batch_size);
        options.schedule.check(total(&options, cut.count(rows)))?;
        check_monitors(&options, validation.as_deref())?;

        let fresh = FitState {
            rows: rows as u64,
            batch_size: options.batch_size as u64,
            shuffle: options.shuffle,
            seed: options.seed,
            validation_fraction: match options.validation {
                Validation::Fraction(fraction) => Some(fraction),
                _ => None,
            },
            base_lr: trainer.optimizer().lr(),
            ..FitState::default()
        };
        let mut state = match state {
            None => fresh,
            Some(state) => {
                check_state(&state, &fresh, &options, cut)?;
                if let Some(weights) = &state.best_weights {
                    trainer.check_weights(weights)?;
                }
                state
            }
        };
        // More epochs, or more patience, than when it ended.
        state.history.stop = None;
        trainer.check_applied("fit")?;
        trainer.settle()?;

        let rows = match options.micro_batch.filter(|&n| n < options.batch_size) {
            Some(_) => TrainingRows::Host(train),
            None => TrainingRows::Loaded(Box::new(trainer.load_cow(train, options.storage)?)),
        };
        take_gradients_over(trainer, &options, &mut state)?;
        let norms_read = trainer.grad_norms();
        let mut fit = Self {
            trainer,
            rows: Some(rows),
            validation,
            options,
            state,
            order: (None, Vec::new()),
            unread: Vec::new(),
            norms_read,
            failed: None,
        };
        fit.look_for_end();
        Ok(fit)
    }

    /// Makes up to `steps` updates, at least one, but not beyond the end of the epoch, and says what came of it: the record of
    /// the epoch if that ended, else how far it is. None if the fit is over.
    ///
    /// # Errors
    /// [`Error::NonFiniteLoss`] or [`Error::NonFiniteUpdate`] at the end of the epoch; [`Error::DeviceLost`] and the like.
    pub fn advance(&mut self, steps: u64) -> Result<Option<Event>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.state.history.stop.is_some() {
            return Ok(None);
        }
        let began = Instant::now();
        let result = self.train(steps);
        self.state.seconds += began.elapsed().as_secs_f64();
        result?;
        if self.state.row < self.state.rows {
            return Ok(Some(Event::Steps(self.progress())));
        }
        self.end_epoch().map(|record| Some(Event::Epoch(record)))
    }

    /// Advances to the end, with a callback after each event, which can look, save, and stop it.
    ///
    /// # Errors
    /// As [`advance`](Self::advance), and the callback's.
    pub fn run(
        &mut self,
        mut callback: impl FnMut(&mut Fit<'a>, &Event) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        loop {
            let steps = match self.options.event_steps {
                None => u64::MAX,
                // In step with the epoch, wherever it was taken up.
                Some(n) => n - self.state.row.div_ceil(self.state.batch_size) % n,
            };
            let Some(event) = self.advance(steps)? else {
                return Ok(());
            };
            if callback(self, &event)?.is_break() {
                self.state.history.stop.get_or_insert(Stop::Callback);
                return Ok(());
            }
        }
    }

    /// Where it stands. Waits for the device.
    ///
    /// # Errors
    /// As [`advance`](Self::advance) at the end of an epoch, so that no state is one of a run that has failed.
    pub fn state(&mut self) -> Result<FitState> {
        self.settle()?;
        Ok(self.state.clone())
    }

    /// All of the run, to be saved: the trainer's [checkpoint](Trainer::checkpoint), with the [state](Self::state) of the fit
    /// and its best weights.
    ///
    /// ```
    /// # use wgrad::fit::{Fit, FitOptions, FitState};
    /// # use wgrad::{Activation::*, Checkpoint, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};
    /// # let train = Dataset::classes(Matrix::new(1, vec![0.5; 100])?, vec![0; 100])?;
    /// # let network = Mlp::new(1).dense(2, Identity);
    /// # let device = Device::cpu();
    /// # let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, Sgd::default(), 7)?;
    /// # let options = FitOptions { epochs: 3, ..FitOptions::default() };
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("checkpoint.safetensors");
    /// let mut fit = Fit::new(&mut trainer, &train, &options)?;
    /// fit.advance(2)?;
    /// fit.checkpoint()?.save(&path)?;
    ///
    /// // In another process:
    /// let checkpoint = Checkpoint::load(&path)?;
    /// let mut trainer = Trainer::resume(&device, &checkpoint)?;
    /// let mut fit = Fit::resume(&mut trainer, &train, &options, FitState::of(&checkpoint)?)?;
    /// # assert_eq!(fit.progress().step, 2);
    /// while fit.advance(u64::MAX)?.is_some() {}
    /// fit.finish()?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let state = self.state()?;
        let mut checkpoint = self.trainer.checkpoint()?;
        let value = serde_json::to_value(&state);
        checkpoint.fit = Some(value.unwrap_or_else(|e| unreachable!("numbers: {e}")));
        checkpoint.best = state.best_weights;
        Ok(checkpoint)
    }

    /// How far the epoch is.
    pub fn progress(&self) -> Progress {
        let cut = self.cut();
        let steps = |rows: u64| cut.count(rows as usize) as u64;
        Progress {
            epoch: self.state.epoch + 1,
            epochs: self.options.epochs,
            step: steps(self.state.row),
            steps: steps(self.state.rows),
            rows: self.state.row,
            seconds: self.state.seconds,
        }
    }

    /// The training loss over the epoch so far; none at its beginning. Reads a few bytes back.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn loss(&mut self) -> Result<Option<f64>> {
        self.settle()?;
        Ok((self.state.row > 0).then(|| self.mean_loss()))
    }

    /// What was so far.
    pub fn history(&self) -> &History {
        &self.state.history
    }

    /// The trainer, to look at or to save. Steps made with it are not the fit's, and change what it does.
    pub fn trainer(&mut self) -> &mut Trainer {
        self.trainer
    }

    /// The validation data, if there is any.
    pub fn validation(&self) -> Option<&Dataset> {
        self.validation.as_deref()
    }

    /// Ends it: the best weights are put back if early stopping is to restore them, the learning rate is what it was before
    /// the schedule, gradients are clipped and their norms recorded as before, and the device's copy of the data is given back.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn finish(mut self) -> Result<History> {
        let restore = self.options.early_stopping.is_some_and(|s| s.restore_best);
        let last = (self.state.epoch, self.state.row);
        let best = self.state.history.best_epoch;
        if let Some(best) = best.filter(|&best| restore && (best, 0) != last) {
            debug_assert!(best <= last.0);
            if let Some(weights) = &self.state.best_weights {
                self.trainer.set_weights(weights)?;
            }
        }
        self.close();
        Ok(std::mem::take(&mut self.state.history))
    }

    /// How an epoch is cut into batches.
    fn cut(&self) -> Cut {
        cut(self.trainer.plan(), self.options.batch_size)
    }

    fn close(&mut self) {
        if let Some(TrainingRows::Loaded(loaded)) = self.rows.take() {
            self.trainer.unload(*loaded);
        }
        // They were valid before.
        let _ = self.trainer.set_lr(self.state.base_lr);
        if let Some(clip) = self.state.base_clip {
            let _ = self.trainer.set_clip(clip);
        }
        if let Some(record) = self.state.base_grad_norms {
            self.trainer.record_grad_norms(record);
        }
    }
}

impl Drop for Fit<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Has the trainer clip and record as the options say, and notes in the state how it did before. What the trainer of a fit
/// that goes on has may be the fit's own.
fn take_gradients_over(
    trainer: &mut Trainer,
    options: &FitOptions<'_>,
    state: &mut FitState,
) -> Result<()> {
    if let Some(clip) = options.clip() {
        state.base_clip.get_or_insert(trainer.clip());
        trainer.set_clip(clip)?;
    } else if let Some(base) = state.base_clip.take() {
        trainer.set_clip(base)?;
    }
    if options.grad_norm {
        state.base_grad_norms.get_or_insert(trainer.rule().norms);
        trainer.record_grad_norms(true);
    } else if let Some(base) = state.base_grad_norms.take() {
        trainer.record_grad_norms(base);
    }
    Ok(())
}

impl Trainer {
    /// Trains by epochs, with validation, schedule and early stopping as the options say, and tells how it went. On a GPU the
    /// data is brought there once, and with the same kernels the weights are those of [`step`](Self::step) for each batch, to
    /// the bit; see the [module](crate::fit).
    ///
    /// # Errors
    /// As [`Fit::new`] and [`Fit::advance`].
    pub fn fit(&mut self, data: &Dataset, options: &FitOptions<'_>) -> Result<History> {
        self.fit_with(data, options, |_, _| Ok(ControlFlow::Continue(())))
    }

    /// [`fit`](Self::fit) with a callback for each [`Event`]: a progress bar, a checkpoint, a reason to stop.
    ///
    /// ```
    /// # use wgrad::fit::{Event, FitOptions};
    /// # use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};
    /// # let train = Dataset::classes(Matrix::new(1, vec![0.5; 100])?, vec![0; 100])?;
    /// # let network = Mlp::new(1).dense(2, Identity);
    /// # let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, Sgd::default(), 7)?;
    /// use std::ops::ControlFlow::{Break, Continue};
    ///
    /// let options = FitOptions { event_steps: Some(2), ..FitOptions::default() };
    /// let history = trainer.fit_with(&train, &options, |fit, event| {
    ///     match event {
    ///         Event::Steps(p) => println!("{} of {}: loss {:?}", p.step, p.steps, fit.loss()?),
    ///         Event::Epoch(record) if record.loss < 0.5 => return Ok(Break(())),
    ///         event => println!("{event:?}"),
    ///     }
    ///     Ok(Continue(()))
    /// })?;
    /// # assert!(history.epochs.len() <= 10);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and the callback's.
    pub fn fit_with<'a>(
        &'a mut self,
        data: &'a Dataset,
        options: &FitOptions<'a>,
        callback: impl FnMut(&mut Fit<'a>, &Event) -> Result<ControlFlow<()>>,
    ) -> Result<History> {
        let mut fit = Fit::new(self, data, options)?;
        fit.run(callback)?;
        fit.finish()
    }
}
