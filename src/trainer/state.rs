//! All that decides how a trainer goes on: what files keep of it.

use serde::{Deserialize, Serialize};

use super::{Amount, Trainer};
use crate::config::loss::Criterion;
use crate::config::optimizer::{Clip, Optimizer};
use crate::config::spec::Mlp;
use crate::error::Result;
use crate::exec::choices::Choices;
use crate::kernels::word;
use crate::number::numbers::Numbers;
use crate::plan::{HISTORY, View};

/// A named array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredArray {
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

/// What is no array. A later version may add fields that have a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub network: Mlp,
    pub criterion: Criterion,
    pub optimizer: Optimizer,
    /// What [`Device::identity`](crate::Device) calls the device.
    pub device: String,
    pub choices: Choices,
    pub steps: u64,
    pub batches: u64,
    /// Of the initial weights, and of dropout.
    pub seed: u64,
    pub clip: Clip,
    pub record_norms: bool,
    /// Norms of gradients so far, and how many of the latest were not taken.
    pub norms: (u64, usize),
    /// Rows accumulated since the last update.
    pub pending: Amount,
    /// Rows since the loss was last taken.
    pub loss_rows: Amount,
    /// Weight of the latest batches whose losses were not taken, the oldest first.
    pub history: Vec<f64>,
}

/// Names of the arrays beside the weights, which have PyTorch's names.
pub(crate) const LEDGER: &str = "ledger";
pub(crate) const LOSSES: &str = "losses";
pub(crate) const NORMS: &str = "norms";
/// How the names of a slot of the optimiser's state begin.
pub(crate) fn slot_prefix(slot: usize) -> String {
    format!("optimizer.{slot}.")
}

/// How the names of the gradients that wait begin.
pub(crate) const GRADIENTS: &str = "gradients.";

impl State {
    /// Names and shapes of the arrays that belong to it.
    pub fn arrays(&self) -> Vec<(String, Vec<usize>)> {
        let tensors = self.network.tensors();
        let mut prefixes = vec![String::new()];
        prefixes.extend((0..self.optimizer.slots()).map(slot_prefix));
        if self.pending.rows > 0 {
            prefixes.push(GRADIENTS.into());
        }
        let named = |prefix: &String| {
            let prefix = prefix.clone();
            let of = move |(name, shape): &(String, Vec<usize>)| {
                (format!("{prefix}{name}"), shape.clone())
            };
            tensors.iter().map(of).collect::<Vec<_>>()
        };
        let mut all: Vec<(String, Vec<usize>)> = prefixes.iter().flat_map(named).collect();
        all.extend(self.network.buffers());
        all.push((LEDGER.into(), vec![word::COUNT]));
        all.push((LOSSES.into(), vec![self.history.len()]));
        all.push((NORMS.into(), vec![self.norms.1]));
        all
    }

    /// Network, loss and optimiser in one line.
    pub fn architecture(&self) -> String {
        architecture(&self.network, self.criterion, &self.optimizer)
    }
}

/// Network, loss and optimiser in one line.
pub(crate) fn architecture(network: &Mlp, criterion: Criterion, optimizer: &Optimizer) -> String {
    format!("{network}; {criterion}; {}", optimizer.name())
}

impl Trainer {
    /// All that decides how training goes on, with the arrays that belong to it.
    pub(crate) async fn state(&mut self) -> Result<(State, Vec<StoredArray>)> {
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
            if name == LOSSES {
                numbers = numbers.picked(&self.history_slots());
            } else if name == NORMS {
                numbers = numbers.picked(&slots(self.norms.0, self.norms.1));
            }
            StoredArray {
                name,
                shape,
                numbers,
            }
        });
        let arrays = arrays.collect();
        Ok((state, arrays))
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

    /// Takes a state of this architecture, with its arrays.
    pub(crate) fn take(&mut self, state: &State, arrays: &[StoredArray]) -> Result<()> {
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
        for (StoredArray { name, numbers, .. }, views) in arrays.iter().zip(views) {
            if name == LOSSES {
                let ring = numbers.placed(&self.history_slots(), HISTORY);
                self.executor.write_numbers(&views, &ring)?;
            } else if name == NORMS {
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
