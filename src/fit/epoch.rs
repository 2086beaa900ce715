//! The way through an epoch: updates, what is read back of them, and what is known at its end.

use std::ops::Range;
use std::time::Instant;

use super::{EpochRecord, Fit, FitOptions, GradNorm, Stop, TrainingRows};
use crate::config::loss::Reduction;
use crate::config::schedule::{Per, Shape};
use crate::error::Result;
use crate::plan::HISTORY;
use crate::trainer::{cut, row_order};

impl Fit<'_> {
    /// Updates of the epoch, up to `steps`.
    pub(super) fn train(&mut self, steps: u64) -> Result<()> {
        let cut = self.cut();
        let rows = self.state.rows as usize;
        let mut left = steps.max(1);
        while left > 0 && (self.state.row as usize) < rows {
            let fresh = self.order.0 != Some(self.state.epoch);
            if fresh {
                let seed = self.options.seed.wrapping_add(self.state.epoch);
                let seed = self.options.shuffle.then_some(seed);
                self.order = (None, row_order(rows, seed));
            }
            self.set_lr(0)?;
            let at = self.state.row as usize;
            // No more at once than losses are kept.
            let most = match &self.rows {
                Some(TrainingRows::Loaded(_)) => HISTORY,
                _ => 1,
            };
            let steps = usize::try_from(left).unwrap_or(usize::MAX).min(most);
            let end = at + cut.first(steps, rows - at);
            let batches = cut.count(end - at);
            if self.unread.len() + batches > HISTORY {
                self.read_losses()?;
            }
            let rates: Vec<f64> = (0..batches as u64).map(|step| self.lr(step)).collect();
            match self.rows.as_mut() {
                Some(TrainingRows::Loaded(loaded)) => {
                    let order = &self.order.1;
                    let lr = |step: u64| rates[step as usize];
                    let range = at..end;
                    self.trainer
                        .epoch_part(loaded, cut, (order, fresh), range, &lr)?;
                    let batches = cut.ranges(at..end);
                    let weights = batches.map(|batch| loaded.data().weight_of(&order[batch]));
                    self.unread.extend(weights);
                }
                Some(TrainingRows::Host(_)) => self.accumulate(at..end)?,
                None => return Ok(()),
            }
            // What is told of the epoch is the last step's.
            self.set_lr(batches as u64 - 1)?;
            self.order.0 = Some(self.state.epoch);
            self.state.row = end as u64;
            self.state.steps += batches as u64;
            left -= left.min(batches as u64);
        }
        Ok(())
    }

    /// One update from these places of the order, some rows at a time.
    fn accumulate(&mut self, range: Range<usize>) -> Result<()> {
        let micro = self.options.micro_batch.unwrap_or(range.len());
        let micro = cut(self.trainer.plan(), micro);
        // For every batch of the run, so that the workspace is made once.
        let (cut, rows) = (self.cut(), self.state.rows as usize);
        let last = rows - cut.first(cut.count(rows) - 1, rows);
        let first = cut.next(rows);
        let largest = micro.largest(first).max(micro.largest(last));
        self.trainer.reserve(largest)?;
        for part in micro.ranges(range) {
            if self.unread.len() == HISTORY {
                self.read_losses()?;
            }
            let Some(TrainingRows::Host(data)) = &self.rows else {
                return Ok(());
            };
            let part: Vec<usize> = self.order.1[part].iter().map(|&r| r as usize).collect();
            let part = data.select(&part);
            self.trainer.accumulate(&part)?;
            self.unread.push(part.total_weight());
        }
        self.trainer.apply()
    }

    /// Gives the trainer the learning rate of the `later`-th update from now on.
    fn set_lr(&mut self, later: u64) -> Result<()> {
        let lr = self.lr(later);
        if lr != self.trainer.optimizer().lr() {
            self.trainer.set_lr(lr)?;
        }
        Ok(())
    }

    /// The learning rate of the `later`-th update from now on, in this epoch.
    fn lr(&self, later: u64) -> f64 {
        let schedule = &self.options.schedule;
        let t = match schedule.per {
            Per::Epoch => self.state.epoch,
            Per::Step => self.state.steps + later,
        };
        let steps = self.cut().count(self.state.rows as usize);
        let total = total(&self.options, steps);
        schedule.lr_after(self.state.base_lr, t, total, &self.state.plateau)
    }

    /// Reads the losses of the batches since the last time and adds them in the order of the batches, so that the sum is the
    /// same wherever the epoch was cut.
    fn read_losses(&mut self) -> Result<()> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let losses = self.trainer.take_losses()?;
        let mean = self.trainer.criterion().reduction == Reduction::Mean;
        for (loss, weight) in losses.iter().zip(self.unread.drain(..)) {
            self.state.loss_sum += if mean { loss * weight } else { *loss };
            self.state.loss_weight += weight;
        }
        self.read_norms()
    }

    /// Adds the norms of gradients since the last time, in the order of the updates. There are no more than losses, of which
    /// no more are left unread than are kept.
    fn read_norms(&mut self) -> Result<()> {
        for norm in self.trainer.grad_norms_since(self.norms_read)? {
            self.state.grad_norm_sum += norm;
            self.state.grad_norm_max = self.state.grad_norm_max.max(norm);
            self.state.grad_norms = self.state.grad_norms.saturating_add(1);
        }
        self.norms_read = self.trainer.grad_norms();
        Ok(())
    }

    /// Reads what the device knows of the steps so far, failures first.
    pub(super) fn settle(&mut self) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let began = Instant::now();
        let result = self.read_losses().and_then(|()| self.trainer.settle());
        if let Err(error) = result {
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.state.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }

    /// The mean loss over the rows done, or their sum, as the criterion says.
    pub(super) fn mean_loss(&self) -> f64 {
        match self.trainer.criterion().reduction {
            Reduction::Mean => self.state.loss_sum / self.state.loss_weight,
            Reduction::Sum => self.state.loss_sum,
        }
    }

    pub(super) fn end_epoch(&mut self) -> Result<EpochRecord> {
        let lr = self.trainer.optimizer().lr();
        self.settle()?;
        let training = self.state.seconds;
        let began = Instant::now();
        let validation = match &self.validation {
            Some(data) => Some(self.trainer.evaluate(data)?),
            None => None,
        };
        let mut record = EpochRecord {
            epoch: self.state.epoch + 1,
            steps: self.state.steps,
            lr,
            loss: self.mean_loss(),
            validation,
            grad_norm: (self.state.grad_norms > 0).then(|| GradNorm {
                mean: self.state.grad_norm_sum / self.state.grad_norms as f64,
                max: self.state.grad_norm_max,
            }),
            best: false,
            seconds: 0.0,
            rows_per_second: self.state.rows as f64 / training.max(1e-9),
        };
        if let Some(stopping) = self.options.early_stopping {
            let value = record.monitored(stopping.monitor).unwrap_or(f64::NAN);
            let higher = stopping.monitor.higher_is_better();
            record.best = match self.state.best {
                None => value.is_finite(),
                Some(best) if higher => value > best + stopping.min_delta,
                Some(best) => value < best - stopping.min_delta,
            };
            if record.best {
                if stopping.restore_best {
                    self.state.best_weights = Some(self.trainer.state_dict()?);
                }
                self.state.best = Some(value);
                self.state.bad_epochs = 0;
                self.state.history.best_epoch = Some(record.epoch);
            } else {
                self.state.bad_epochs += 1;
            }
        }
        let schedule = &self.options.schedule;
        if let Shape::Plateau(plateau) = &schedule.shape
            && schedule.is_warm(self.state.epoch)
        {
            let monitor = self.options.plateau_monitor;
            let value = record.monitored(monitor).unwrap_or(f64::NAN);
            let higher = monitor.higher_is_better();
            self.state.plateau.observe(plateau, lr, value, higher);
        }
        record.seconds = training + began.elapsed().as_secs_f64();
        self.state.history.epochs.push(record);
        self.state.begin_epoch();
        self.look_for_end();
        Ok(record)
    }

    /// Whether the fit is over, between two epochs.
    pub(super) fn look_for_end(&mut self) {
        let patience = self.options.early_stopping.map(|s| s.patience);
        if self.state.row == 0 && patience.is_some_and(|p| self.state.bad_epochs >= p) {
            self.state.history.stop = Some(Stop::Patience);
        } else if self.state.epoch >= self.options.epochs {
            self.state.history.stop = Some(Stop::Epochs);
        }
    }
}

/// Epochs or steps of the whole run, as the schedule counts; of `steps` an epoch.
pub(super) fn total(options: &FitOptions<'_>, steps: usize) -> u64 {
    match options.schedule.per {
        Per::Epoch => options.epochs,
        Per::Step => options.epochs.saturating_mul(steps as u64),
    }
}
