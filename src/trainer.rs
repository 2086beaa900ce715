//! Training: steps, micro-batches, evaluation. No mathematics; the plan has the order and the kernels have the rest.

mod check;
mod clip;
mod epoch;
mod evaluate;
mod report;
mod small;
mod state;
mod weights;

use check::check_inputs;
pub(crate) use check::{check_batch, check_batches, check_training, cut};
pub(crate) use epoch::row_order;
pub use epoch::{Loaded, Storage};
pub(crate) use state::{State, StoredArray, architecture};

use std::collections::VecDeque;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::config::init::layer_rng;
use crate::config::loss::Criterion;
use crate::config::optimizer::{Clip, Optimizer, Rule};
use crate::config::spec::Mlp;
use crate::data::{Dataset, Targets};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::exec::device::Device;
use crate::kernels::{StepAt, word};
use crate::plan::{HISTORY, Op, Payload, Plan, RowKind, View};
use crate::tune;

/// Rows that evaluation and prediction take at a time, unless training has used larger batches.
const EVALUATION_ROWS: usize = 256;

/// A network in training on a device. Parameters, gradients and optimiser state stay there; only
/// [`evaluate`](Self::evaluate), [`predict`](Self::predict), [`take_loss`](Self::take_loss), [`weights`](Self::weights) and
/// [`gradients`](Self::gradients) bring anything back, and these have asynchronous forms, for any executor;
/// [`step`](Self::step) only submits, and waits for nothing but a free place among the submissions in flight.
///
/// ```
/// use wgrad::{Activation::*, Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer};
///
/// let x = Matrix::from_rows(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])?;
/// let data = Dataset::classes(x, vec![0, 1, 1, 0])?;
/// let network = Mlp::new(2).dense(8, Tanh).dense(2, Identity);
/// let adam = Adam { lr: 0.05, ..Adam::default() };
/// let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, adam, 7)?;
/// for _ in 0..200 {
///     trainer.step(&data)?;
/// }
/// assert_eq!(trainer.evaluate(&data)?.accuracy, Some(1.0));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    device: Device,
    optimizer: Optimizer,
    plan: Plan,
    executor: Executor,
    /// Rows that the workspace has room for.
    room: usize,
    /// Updates made.
    steps: u64,
    /// Accumulated since the last update.
    pending: Amount,
    /// Behind the gradients that are there.
    gradient_rows: Amount,
    /// Since the loss was last taken.
    loss_rows: Amount,
    /// Batches so far.
    batches: u64,
    /// What the latest batches weigh whose losses were not taken, the oldest first.
    history: VecDeque<f64>,
    clip: Clip,
    record_norms: bool,
    /// Norms of gradients so far, and how many of the latest were not taken.
    norms: (u64, usize),
    /// The ops of the latest step, which the next one most likely repeats.
    template: Option<Template>,
    /// What tells this trainer's data from another's.
    id: u64,
}

/// Rows, and what they weigh together: as much as there are, where they have no weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amount {
    pub rows: u64,
    pub weight: f64,
}

impl Amount {
    pub fn of(data: &Dataset) -> Self {
        Self {
            rows: data.rows() as u64,
            weight: data.total_weight(),
        }
    }

    fn plus(self, more: Self) -> Self {
        Self {
            rows: self.rows + more.rows,
            weight: self.weight + more.weight,
        }
    }

    /// Whether a mean over these rows of `what` can be taken.
    pub fn check(self, what: &str) -> Result<()> {
        if self.weight > 0.0 {
            return Ok(());
        }
        Err(Error::NoWeight {
            what: what.into(),
            rows: self.rows,
        })
    }
}

/// The ops of a step, and what they depend on.
#[derive(Debug)]
struct Template {
    rows: usize,
    room: usize,
    kind: RowKind,
    accumulate: bool,
    rule: Rule,
    ops: Vec<Op>,
}

impl Trainer {
    /// A trainer with initial weights drawn from `seed`, from which [dropout](Mlp::dropout) draws too. The workspace is allocated
    /// by the first batch and grows when a larger one comes; see [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::OutputActivation`] or [`Error::Argument`] if network, loss and optimiser do not fit
    /// together; [`Error::OutOfMemory`] or [`Error::Limit`] if they do not fit the device.
    pub fn new(
        device: &Device,
        network: &Mlp,
        criterion: impl Into<Criterion>,
        optimizer: impl Into<Optimizer>,
        seed: u64,
    ) -> Result<Self> {
        let optimizer = optimizer.into();
        let plan = Plan::new(
            network,
            criterion.into(),
            &optimizer,
            device.plan_limits(),
            seed,
        )?;
        let executor = Executor::of_plan(device, &plan, 0, plan.max_ops(&optimizer))?;
        let mut trainer = Self {
            device: device.clone(),
            optimizer,
            plan,
            executor,
            room: 0,
            steps: 0,
            pending: Amount::default(),
            gradient_rows: Amount::default(),
            loss_rows: Amount::default(),
            batches: 0,
            history: VecDeque::with_capacity(HISTORY),
            clip: Clip::default(),
            record_norms: false,
            norms: (0, 0),
            template: None,
            id: epoch::next_id(),
        };
        initial_weights(&trainer.plan, seed, |view, data| {
            trainer.executor.write(view, Payload::Floats(data))
        })?;
        Ok(trainer)
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The network.
    pub fn network(&self) -> &Mlp {
        &self.plan.network
    }

    /// The loss and its reduction.
    pub fn criterion(&self) -> Criterion {
        self.plan.criterion
    }

    /// The optimiser.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Updates asked for so far, those included that the device refused because their loss was not finite.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The seed of the initial weights and of [dropout](Mlp::dropout).
    pub fn seed(&self) -> u64 {
        self.plan.seed
    }

    /// Batches trained on so far, each micro-batch counting one: with the [seed](Self::seed), what dropout's next masks depend on.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Goes on as after so many [batches](Self::batches), with dropout's masks from there on: to resume a run. Losses that were not
    /// [taken](Self::take_losses) yet are forgotten.
    pub fn set_batches(&mut self, batches: u64) {
        self.history.clear();
        self.batches = batches;
    }

    /// Bytes that parameters, gradients, optimiser state and the workspace take on the device.
    pub fn bytes(&self) -> u64 {
        self.plan.bytes(self.room as u64)
    }

    /// Buffers, bind groups and pipelines made on the GPU so far, 0 on a CPU. It stands still in a training loop.
    pub fn device_objects(&self) -> u64 {
        self.executor.created()
    }

    /// Sets the learning rate from the next update on.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is negative or not finite.
    pub fn set_lr(&mut self, lr: f64) -> Result<()> {
        let mut optimizer = self.optimizer;
        optimizer.set_lr(lr);
        optimizer.check()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// Updates of an [`epoch`](Self::epoch) over `rows` rows in batches of `batch_size`, the last of which has what is left. With
    /// [batch normalisation](Mlp::batch_norm) a single row that is left goes into the batch before it. 0 where there are no
    /// rows, or none in a batch.
    pub fn steps_per_epoch(&self, rows: usize, batch_size: usize) -> u64 {
        match batch_size.min(rows) {
            0 => 0,
            size => cut(&self.plan, size).count(rows) as u64,
        }
    }

    /// Makes room for batches of `rows` rows, which the first batch would do otherwise.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Limit`] if they do not fit; nothing is lost then.
    pub fn reserve(&mut self, rows: usize) -> Result<()> {
        if rows > self.room {
            self.plan.check_rows(rows as u64)?;
            self.executor.resize(&self.plan.buffers, rows as u64)?;
            self.room = rows;
        }
        Ok(())
    }

    /// One update from one batch: forward, loss, backward, optimiser. Nothing is read back. Micro-batches that were
    /// [accumulated](Self::accumulate) and not yet applied take part in it.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Targets`], [`Error::Label`] or [`Error::Value`] if the batch does not fit,
    /// [`Error::NoWeight`] if all its rows have weight 0, before anything is changed; [`Error::OutOfMemory`] or [`Error::Limit`] if it is too large; [`Error::DeviceLost`].
    pub fn step(&mut self, batch: &Dataset) -> Result<()> {
        check_training(&self.plan, batch)?;
        let amount = Amount::of(batch);
        self.pending.plus(amount).check("the batch")?;
        self.reserve(batch.rows())?;
        let uploads = uploads(&self.plan, batch, self.room as u64);
        self.run_step(amount, kind(batch), &uploads)
    }

    /// One update from a batch that is there or comes with `uploads`.
    fn run_step(
        &mut self,
        amount: Amount,
        kind: RowKind,
        uploads: &[(View, Payload<'_>)],
    ) -> Result<()> {
        let room = self.room;
        // The learning rate is the step's: ops stay when a schedule changes it.
        let mut rule = self.rule();
        rule.optimizer.set_lr(0.0);
        let rows = amount.rows as usize;
        let accumulate = self.pending.rows > 0;
        let total = self.pending.plus(amount).weight;
        let fits = |t: &Template| {
            (t.rows, t.room, t.kind, t.accumulate) == (rows, room, kind, accumulate)
                && t.rule == rule
        };
        let template = match self.template.take().filter(fits) {
            Some(template) => template,
            None => {
                let small = if accumulate {
                    None
                } else {
                    self.small_step(None, rows, kind)?
                };
                let ops = match small {
                    Some(op) => vec![op],
                    None => {
                        let (rows, room) = (rows as u32, room as u64);
                        let mut ops = self.plan.gradients(rows, room, kind, accumulate);
                        ops.extend(self.plan.update(&rule));
                        tune::prepare(&self.device, &ops)?;
                        ops
                    }
                };
                Template {
                    rows,
                    room,
                    kind,
                    accumulate,
                    rule,
                    ops,
                }
            }
        };
        let at = self.step_at(self.optimizer.lr(), 0, 0, total);
        let submitted = self.executor.submit(&template.ops, &[at], uploads);
        self.template = Some(template);
        submitted?;
        self.count_rows(amount);
        self.count_update();
        Ok(())
    }

    /// Adds a micro-batch to the gradients; [`apply`](Self::apply) makes the update. Micro-batches of any sizes give exactly
    /// the mean (or sum) over all their rows. A micro-batch may weigh nothing, as long as not all of an update do.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn accumulate(&mut self, batch: &Dataset) -> Result<()> {
        check_training(&self.plan, batch)?;
        self.reserve(batch.rows())?;
        let (rows, room) = (batch.rows() as u32, self.room as u64);
        let accumulate = self.pending.rows > 0;
        let ops = self.plan.gradients(rows, room, kind(batch), accumulate);
        let amount = Amount::of(batch);
        let at = self.step_at(self.optimizer.lr(), 0, 0, amount.weight);
        self.submit_batch(&ops, &at, batch)?;
        self.count_rows(amount);
        Ok(())
    }

    /// The update from everything accumulated.
    ///
    /// # Errors
    /// [`Error::NothingAccumulated`] without [`accumulate`](Self::accumulate) before; [`Error::NoWeight`] if all rows so far
    /// have weight 0: accumulate more; [`Error::DeviceLost`].
    pub fn apply(&mut self) -> Result<()> {
        if self.pending.rows == 0 {
            return Err(Error::nothing_accumulated("apply"));
        }
        self.pending.check("the micro-batches")?;
        let weight = self.pending.weight;
        let ops = self.plan.update(&self.rule());
        let at = self.step_at(self.optimizer.lr(), 0, 0, weight);
        self.executor.submit(&ops, &[at], &[])?;
        self.count_update();
        Ok(())
    }

    fn count_rows(&mut self, amount: Amount) {
        self.pending = self.pending.plus(amount);
        self.gradient_rows = self.pending;
        self.loss_rows = self.loss_rows.plus(amount);
        self.batches += 1;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(amount.weight);
    }

    fn count_update(&mut self) {
        self.steps += 1;
        self.pending = Amount::default();
        if self.rule().takes_norms() {
            self.norms = (self.norms.0 + 1, HISTORY.min(self.norms.1 + 1));
        }
    }

    fn submit_batch(&mut self, ops: &[Op], at: &StepAt, batch: &Dataset) -> Result<()> {
        tune::prepare(&self.device, ops)?;
        let uploads = uploads(&self.plan, batch, self.room as u64);
        self.executor.submit(ops, &[*at], &uploads)
    }

    /// The training loss over all batches since the last call, reduced as the criterion says, each batch with the weights of
    /// its time. Reads a few bytes back.
    ///
    /// # Errors
    /// [`Error::NonFiniteLoss`] if the loss of some batch was NaN or infinite; the updates of those batches were skipped.
    /// [`Error::NonFiniteUpdate`] if an update would have made some weights so; those weights were left as they were.
    /// [`Error::NothingAccumulated`] if there was no batch.
    pub fn take_loss(&mut self) -> Result<f64> {
        pollster::block_on(self.take_loss_async())
    }

    /// [`take_loss`](Self::take_loss) for asynchronous code.
    ///
    /// # Errors
    /// As [`take_loss`](Self::take_loss).
    pub async fn take_loss_async(&mut self) -> Result<f64> {
        if self.loss_rows.rows == 0 {
            return Err(Error::nothing_accumulated("take_loss"));
        }
        let ledger = self.plan.ledger_view();
        let read = self.executor.read_f64(&[ledger]).await?;
        let read = &read[0];
        // The words after these belong to the micro-batches that are pending and to the optimiser.
        let taken = word::OVERFLOW + 1;
        self.executor.write(
            ledger.head(taken as u64),
            Payload::Floats(&[0.0; word::OVERFLOW + 1]),
        )?;
        let rows = std::mem::take(&mut self.loss_rows);
        if read[word::FAULTS] > 0.0 {
            return Err(Error::NonFiniteLoss {
                batches: read[word::FAULTS] as u64,
            });
        }
        if read[word::OVERFLOW] > 0.0 {
            return Err(Error::NonFiniteUpdate);
        }
        let sum = read[word::RECENT] + read[word::OLDER];
        Ok(sum * self.plan.criterion.batch_scale(rows.weight))
    }

    /// Takes the losses of all steps so far and forgets them, but for what was wrong with them.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.history.clear();
        match self.loss_rows.rows {
            0 => Ok(()),
            _ => self.take_loss().map(|_| ()),
        }
    }

    /// The loss of each batch since the last call, the oldest first, reduced as the criterion says: of the latest 4,096 batches
    /// at most. A loss that was NaN or infinite is among them as it was. What [`take_loss`](Self::take_loss) sums is not
    /// touched.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn take_losses(&mut self) -> Result<Vec<f64>> {
        pollster::block_on(self.take_losses_async())
    }

    /// [`take_losses`](Self::take_losses) for asynchronous code.
    ///
    /// # Errors
    /// As [`take_losses`](Self::take_losses).
    pub async fn take_losses_async(&mut self) -> Result<Vec<f64>> {
        if self.history.is_empty() {
            return Ok(Vec::new());
        }
        let view = self.plan.history_view();
        let read = self.executor.read_f64(&[view]).await?;
        let first = self.batches - self.history.len() as u64;
        let losses = self.history.iter().zip(first..).map(|(&weight, batch)| {
            let sum = read[0][(batch % HISTORY as u64) as usize];
            sum * self.plan.criterion.batch_scale(weight)
        });
        let losses = losses.collect();
        self.history.clear();
        Ok(losses)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Draws the weights, panel by panel, so that host memory holds one panel at a time; what normalisations begin with.
pub(crate) fn initial_weights(
    plan: &Plan,
    seed: u64,
    mut write: impl FnMut(View, &[f32]) -> Result<()>,
) -> Result<()> {
    let network = &plan.network;
    let init = network.initialisation();
    let mut views = plan.parameter_views(false).into_iter();
    let mut next = || views.next().into_iter().flatten();
    for (l, layer) in network.layers().iter().enumerate() {
        let inputs = network.inputs_of(l);
        let mut rng = layer_rng(seed, l);
        for view in next() {
            let mut weight = vec![0.0; view.len as usize];
            init.fill_weight(&mut weight, inputs, layer.outputs, &mut rng);
            write(view, &weight)?;
        }
        for view in next() {
            let mut bias = vec![0.0; view.len as usize];
            init.fill_bias(&mut bias, inputs, &mut rng);
            write(view, &bias)?;
        }
        if layer.norm.is_some() {
            for (parameter, start) in [(next(), 1.0), (next(), 0.0)] {
                for view in parameter {
                    write(view, &vec![start; view.len as usize])?;
                }
            }
        }
    }
    for (i, view) in plan.running_views().into_iter().enumerate() {
        // Means and variances in turn.
        write(view, &vec![(i % 2) as f32; view.len as usize])?;
    }
    Ok(())
}

/// What a batch brings.
pub(crate) fn kind(batch: &Dataset) -> RowKind {
    RowKind {
        labels: matches!(batch.targets(), Targets::Classes(_)),
        weighted: batch.weights().is_some(),
    }
}

/// A batch as it is uploaded: inputs, targets and, where there are some, weights.
pub(crate) fn uploads<'a>(
    plan: &Plan,
    batch: &'a Dataset,
    room: u64,
) -> ArrayVec<(View, Payload<'a>), 3> {
    let targets = match batch.targets() {
        Targets::Classes(labels) => Payload::Words(labels),
        Targets::Values(values) => Payload::Floats(values.data()),
    };
    let mut uploads = ArrayVec::new();
    uploads.push((plan.x_view(room), Payload::Floats(batch.inputs().data())));
    uploads.push((plan.targets_view(room), targets));
    let weights = batch.weights().map(Payload::Floats);
    uploads.extend(weights.map(|weights| (plan.row_weights_view(room), weights)));
    uploads
}

/// Σ of a number a row, times the row's weight; rows of weight 0 are left out, whatever their number.
fn weighted_sum(rows: &Dataset, numbers: &[f64]) -> f64 {
    match rows.weights() {
        None => numbers.iter().sum(),
        Some(weights) => {
            let pairs = weights.iter().zip(numbers).filter(|(w, _)| **w != 0.0);
            pairs.map(|(w, x)| f64::from(*w) * x).sum()
        }
    }
}
