//! Whole epochs over a data set that is on the device, or that goes there in chunks.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayVec;

use super::{Amount, Trainer, check_batch, check_batches, cut, kind};
use crate::data::{Cut, Dataset, Targets, order};
use crate::error::{Error, Result, shortest};
use crate::exec::Executor;
use crate::kernels::{Call, Format, StepAt};
use crate::plan::{HISTORY, Op, Payload, ResidentData, View};
use crate::tune;

/// How the inputs of a data set are kept on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Storage {
    /// As they are.
    #[default]
    F32,
    /// In half precision: half the memory and the traffic. Inputs are rounded to 11 significant bits; beyond ±65,504 they are
    /// refused, and below 6.1e-5 they become 0.
    F16,
    /// As bytes, a quarter of the memory: every input must be `scale` times a whole number from 0 to 255, exactly as f32
    /// arithmetic has it. Pixels, for instance, divided by 255 on the host: `scale` is 1/255 as an f32 then.
    U8 {
        /// What a byte counts.
        scale: f64,
    },
}

impl Storage {
    fn format(self) -> Format {
        match self {
            Storage::F32 => Format::F32,
            Storage::F16 => Format::F16,
            Storage::U8 { scale } => Format::U8 { scale },
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Storage::F32 => f.write_str("f32"),
            Storage::F16 => f.write_str("f16"),
            Storage::U8 { scale } => write!(f, "u8 × {scale}"),
        }
    }
}

/// Where a loaded data set is.
#[derive(Debug)]
enum Place {
    /// On a GPU, whole.
    Resident(ResidentData),
    /// In host memory; so many rows at a time go to the GPU.
    Chunks { window: ResidentData, rows: usize },
    /// In host memory, and the trainer too.
    Host,
}

/// A data set that a trainer was given to keep; see [`Trainer::load`].
#[derive(Debug)]
pub struct Loaded<'a> {
    data: Cow<'a, Dataset>,
    storage: Storage,
    place: Place,
    /// The trainer's.
    owner: u64,
    /// Rows of a chunk on their way; kept for its memory.
    words: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
}

impl Loaded<'_> {
    /// The data, rounded as the storage rounds it.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Whether the whole data set is on the GPU. Else it goes there in chunks, because it is larger than a binding or than
    /// what memory is left; or the trainer runs on the CPU.
    pub fn is_resident(&self) -> bool {
        matches!(self.place, Place::Resident(_))
    }
}

impl fmt::Display for Loaded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows as {}, ", self.data.rows(), self.storage)?;
        match &self.place {
            Place::Resident(_) => f.write_str("on the GPU"),
            Place::Chunks { rows, .. } => write!(f, "to the GPU in chunks of {rows} rows"),
            Place::Host => f.write_str("in host memory"),
        }
    }
}

/// Bytes of a chunk, about.
const CHUNK: usize = 4 << 20;

/// What tells one trainer's data from another's.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Words of a row's targets.
fn target_words(data: &Dataset) -> usize {
    match data.targets() {
        Targets::Classes(_) => 1,
        Targets::Values(values) => values.cols(),
    }
}

/// Appends a row's targets as words.
fn push_target(data: &Dataset, row: usize, out: &mut Vec<u32>) {
    match data.targets() {
        Targets::Classes(labels) => out.push(labels[row]),
        Targets::Values(values) => out.extend(values.row(row).iter().map(|t| t.to_bits())),
    }
}

impl Trainer {
    /// Brings a data set to the device for [`epoch`](Self::epoch): whole, where it fits one binding an operand and the memory
    /// that is left; else in chunks, as it is needed. Its description says which. The memory is given back by
    /// [`unload`](Self::unload), or with the trainer.
    ///
    /// # Errors
    /// As [`step`](Self::step) if the data does not fit the network; [`Error::Value`] if the storage cannot hold an input.
    ///
    /// ```
    /// # use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Storage, Trainer};
    /// # let train = Dataset::classes(Matrix::new(1, vec![0.0; 10])?, vec![0; 10])?;
    /// # let network = Mlp::new(1).dense(2, Identity);
    /// let mut trainer = Trainer::new(&Device::auto()?, &network, Loss::CrossEntropy, Sgd::default(), 7)?;
    /// let mut data = trainer.load(&train, Storage::F32)?;
    /// for epoch in 0..30 {
    ///     trainer.epoch(&mut data, 4, Some(epoch))?; // nothing comes back, nothing is copied together
    /// }
    /// println!("{:.4}", trainer.take_loss()?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn load<'a>(&mut self, data: &'a Dataset, storage: Storage) -> Result<Loaded<'a>> {
        self.load_cow(Cow::Borrowed(data), storage)
    }

    pub(crate) fn load_cow<'a>(
        &mut self,
        data: Cow<'a, Dataset>,
        storage: Storage,
    ) -> Result<Loaded<'a>> {
        check_batch(&self.plan, &data)?;
        let format = storage.format();
        let data = rounded(data, storage)?;
        let rows = data.rows();
        let row_words = format.row_words(data.inputs().cols() as u64);
        let target_words = target_words(&data);
        let place = match &mut self.executor {
            Executor::Cpu(_) | Executor::Reference(_) => Place::Host,
            Executor::Gpu(gpu) => {
                let weighted = data.weights().is_some();
                let sizes = |rows: u64| {
                    let mut sizes = vec![
                        ("data", row_words.saturating_mul(rows)),
                        ("data targets", target_words as u64 * rows),
                        ("order", rows),
                    ];
                    if weighted {
                        sizes.push(("data weights", rows));
                    }
                    sizes
                };
                let limit = self.device.plan_limits().binding;
                let of_binding = |rows: u64| sizes(rows).iter().all(|(_, len)| *len <= limit);
                let bytes = |rows: u64| sizes(rows).iter().map(|(_, len)| 4 * len).sum();
                let resident = of_binding(rows as u64)
                    && gpu
                        .gpu
                        .check_memory("the data set", bytes(rows as u64))
                        .is_ok();
                let of = |views: Vec<View>, format| ResidentData {
                    x: views[0],
                    targets: views[1],
                    order: views[2],
                    weights: views.get(3).copied(),
                    format,
                    target_words: target_words as u32,
                    labels: matches!(data.targets(), Targets::Classes(_)),
                };
                if resident {
                    let placed = of(gpu.add_data(&sizes(rows as u64))?, format);
                    gpu.reserve_steps(0)?;
                    Place::Resident(placed)
                } else {
                    let chunk =
                        CHUNK / (4 * (row_words as usize + target_words + usize::from(weighted)));
                    let rows = chunk.clamp(1, rows);
                    let window = of(gpu.add_data(&sizes(rows as u64))?, format);
                    gpu.reserve_steps(bytes(rows as u64))?;
                    Place::Chunks { window, rows }
                }
            }
        };
        let loaded = Loaded {
            data,
            storage,
            place,
            owner: self.id,
            words: Vec::new(),
            targets: Vec::new(),
            weights: Vec::new(),
        };
        match &loaded.place {
            Place::Resident(place) => {
                let place = *place;
                self.fill(&loaded.data, storage, &place)?;
            }
            Place::Chunks { window, .. } => {
                // Within a chunk, rows lie in the order in which they are taken.
                let order: Vec<u32> = (0..window.order.len as u32).collect();
                self.executor.write(window.order, Payload::Words(&order))?;
            }
            Place::Host => {}
        }
        Ok(loaded)
    }

    /// Writes all rows to their place, piece by piece, so that host memory holds one piece.
    fn fill(&mut self, data: &Dataset, storage: Storage, place: &ResidentData) -> Result<()> {
        let format = storage.format();
        let (mut words, mut at) = (Vec::new(), 0);
        for row in 0..data.rows() {
            format.encode(data.inputs().row(row), &mut words);
            if 4 * words.len() >= CHUNK || row + 1 == data.rows() {
                let view = View {
                    offset: place.x.offset + at,
                    len: words.len() as u64,
                    ..place.x
                };
                self.executor.write(view, Payload::Words(&words))?;
                at += words.len() as u64;
                words.clear();
            }
        }
        if let (Some(view), Some(weights)) = (place.weights, data.weights()) {
            self.executor.write(view, Payload::Floats(weights))?;
        }
        match data.targets() {
            Targets::Classes(labels) => self.executor.write(place.targets, Payload::Words(labels)),
            Targets::Values(x) => self
                .executor
                .write(place.targets, Payload::Floats(x.data())),
        }
    }

    /// Gives the device memory of a data set back.
    pub fn unload(&mut self, data: Loaded<'_>) {
        let views = match &data.place {
            Place::Resident(place) | Place::Chunks { window: place, .. } => place.views(),
            Place::Host => return,
        };
        if let (Executor::Gpu(gpu), true) = (&mut self.executor, data.owner == self.id) {
            gpu.remove_data(&views);
        }
    }

    /// One pass over the data: an update from every `batch_size` rows, the last one from what is left; a single row that is
    /// left goes into the batch before it where there is [batch normalisation](crate::Mlp::batch_norm). The rows come in the
    /// order of [`Dataset::batches`], there [`joined`](crate::Batches::joined), shuffled by the seed if there is one; with the
    /// same choices of kernels the weights are those of a [`step`](Self::step) for each of these batches, to the bit. On a GPU many steps go out in one submission,
    /// and gather their rows by the order; nothing is read back.
    ///
    /// # Errors
    /// [`Error::BatchSize`] if the size is 0 or beyond the data; [`Error::OneRow`] if it is 1 and there is batch normalisation; [`Error::Argument`] if another trainer loaded the data;
    /// [`Error::Pending`] if micro-batches were [accumulated](Self::accumulate) and not applied; [`Error::NoWeight`] if a batch
    /// would weigh nothing, before the first step; else as [`step`](Self::step).
    pub fn epoch(
        &mut self,
        data: &mut Loaded<'_>,
        batch_size: usize,
        shuffle_seed: Option<u64>,
    ) -> Result<()> {
        if data.owner != self.id {
            return Err(Error::argument(
                "the data of an epoch",
                data,
                "what this trainer's own load() gave",
            ));
        }
        let rows = data.data.rows();
        if batch_size == 0 || batch_size > rows {
            return Err(Error::BatchSize {
                batch: batch_size,
                rows,
            });
        }
        check_batches(&self.plan, batch_size, batch_size)?;
        let order = row_order(rows, shuffle_seed);
        let cut = cut(&self.plan, batch_size);
        let lr = self.optimizer.lr();
        self.epoch_part(data, cut, (&order, true), 0..rows, &|_| lr)
    }

    /// Steps over some places of an order of the rows of data that this trainer loaded, which the device does not have yet if it is
    /// fresh. The range begins with a batch, and it ends with one. `lr` gives the learning rate of each of the steps, from 0.
    pub(crate) fn epoch_part(
        &mut self,
        data: &mut Loaded<'_>,
        cut: Cut,
        (order, fresh): (&[u32], bool),
        range: Range<usize>,
        lr: &dyn Fn(u64) -> f64,
    ) -> Result<()> {
        self.check_applied("epoch")?;
        if data.data.weights().is_some() {
            for batch in cut.ranges(range.clone()) {
                amount(&data.data, &order[batch]).check("a batch of the epoch")?;
            }
        }
        // Of the whole epoch: what is made for one part of it is there for the next.
        let largest = cut.largest(order.len());
        self.reserve(largest)?;
        match data.place {
            Place::Resident(place) => {
                if fresh {
                    self.executor.write(place.order, Payload::Words(order))?;
                }
                self.epoch_of(&data.data, order, &place, range, (cut, lr), &[])
            }
            Place::Chunks { window, rows } => {
                let (window, rows) = self.widened(window, rows, largest)?;
                data.place = Place::Chunks { window, rows };
                let mut batches = cut.ranges(range).peekable();
                let mut done = 0;
                while let Some(first) = batches.next() {
                    // As many whole batches as the window holds.
                    let start = first.start;
                    let mut end = first.end;
                    while let Some(next) = batches.next_if(|next| next.end - start <= rows) {
                        end = next.end;
                    }
                    let chunk = &order[start..end];
                    data.words.clear();
                    data.targets.clear();
                    data.weights.clear();
                    let format = data.storage.format();
                    for &row in chunk {
                        format.encode(data.data.inputs().row(row as usize), &mut data.words);
                        push_target(&data.data, row as usize, &mut data.targets);
                    }
                    let mut uploads = ArrayVec::<_, 3>::new();
                    uploads.push((window.x, Payload::Words(&data.words)));
                    uploads.push((window.targets, Payload::Words(&data.targets)));
                    if let (Some(view), Some(weights)) = (window.weights, data.data.weights()) {
                        let of_chunk = chunk.iter().map(|&row| weights[row as usize]);
                        data.weights.extend(of_chunk);
                        uploads.push((view, Payload::Floats(&data.weights)));
                    }
                    let range = 0..chunk.len();
                    let later = |step| lr(done + step);
                    self.epoch_of(&data.data, chunk, &window, range, (cut, &later), &uploads)?;
                    done += cut.count(chunk.len()) as u64;
                }
                Ok(())
            }
            Place::Host => self.epoch_on_host(&data.data, &order[range], cut, lr),
        }
    }

    /// Whether no micro-batches wait for their update.
    pub(crate) fn check_applied(&self, call: &str) -> Result<()> {
        match self.pending.rows {
            0 => Ok(()),
            rows => Err(Error::Pending {
                rows,
                call: call.into(),
            }),
        }
    }

    /// The window for chunks of `rows` rows, or a wider one that holds a batch.
    fn widened(
        &mut self,
        window: ResidentData,
        rows: usize,
        batch_size: usize,
    ) -> Result<(ResidentData, usize)> {
        let Executor::Gpu(gpu) = &mut self.executor else {
            return Ok((window, rows));
        };
        if rows >= batch_size {
            return Ok((window, rows));
        }
        let of = |view: View| view.len / rows as u64 * batch_size as u64;
        let mut sizes = vec![
            ("data", of(window.x)),
            ("data targets", of(window.targets)),
            ("order", batch_size as u64),
        ];
        if window.weights.is_some() {
            sizes.push(("data weights", batch_size as u64));
        }
        gpu.reserve_steps(sizes.iter().map(|(_, len)| 4 * len).sum())?;
        let views = gpu.add_data(&sizes)?;
        gpu.remove_data(&window.views());
        let wider = ResidentData {
            x: views[0],
            targets: views[1],
            order: views[2],
            weights: views.get(3).copied(),
            ..window
        };
        let order: Vec<u32> = (0..batch_size as u32).collect();
        self.executor.write(wider.order, Payload::Words(&order))?;
        Ok((wider, batch_size))
    }

    /// Steps over some places of an order of the data's rows, many in one submission; the first submission brings `uploads`.
    fn epoch_of(
        &mut self,
        data: &Dataset,
        order: &[u32],
        place: &ResidentData,
        range: Range<usize>,
        (cut, lr): (Cut, &dyn Fn(u64) -> f64),
        mut uploads: &[(View, Payload<'_>)],
    ) -> Result<()> {
        let Range { start: mut at, end } = range;
        let mut done = 0;
        let (mut steps, mut amounts) = (Vec::new(), Vec::new());
        while at < end {
            // Batches of one size go together.
            let rows = cut.next(end - at);
            let small = self.small_step(Some(place), rows, place.kind())?;
            let ops = match &small {
                Some(_) => Vec::new(),
                None => {
                    let ops = self.resident_ops(place, rows);
                    tune::prepare(&self.device, &ops)?;
                    ops
                }
            };
            let cost: u64 = ops
                .iter()
                .chain(&small)
                .map(|op| op.call.cost().total())
                .sum();
            while at < end && cut.next(end - at) == rows {
                let mut most = match &self.executor {
                    Executor::Gpu(gpu) => gpu.steps_at_once(cost, ops.len()),
                    _ => 1,
                };
                if let Some(Call::SmallNetwork(p)) = small.as_ref().map(|op| op.call) {
                    let loops = self.device.plan_limits().iterations / p.iterations();
                    most = most.min(loops.max(1) as usize);
                }
                steps.clear();
                amounts.clear();
                while at < end && cut.next(end - at) == rows && steps.len() < most {
                    let amount = amount(data, &order[at..at + rows]);
                    let later = steps.len() as u64;
                    let lr = lr(done);
                    steps.push(self.step_at(lr, later, at as u32, amount.weight));
                    done += 1;
                    amounts.push(amount);
                    at += rows;
                }
                match &small {
                    // The kernel has one learning rate for all steps of a dispatch.
                    Some(_) if steps.iter().all(|at| at.lr == steps[0].lr) => {
                        let at = StepAt {
                            steps: steps.len() as u32,
                            ..steps[0]
                        };
                        self.executor.submit(small.as_slice(), &[at], uploads)?;
                    }
                    Some(_) => self.executor.submit(small.as_slice(), &steps, uploads)?,
                    None => self.executor.submit(&ops, &steps, uploads)?,
                }
                uploads = &[];
                for amount in &amounts {
                    self.count_rows(*amount);
                    self.count_update();
                }
            }
        }
        Ok(())
    }

    fn resident_ops(&self, place: &ResidentData, rows: usize) -> Vec<Op> {
        let room = self.room as u64;
        let mut ops = self.plan.gradients_of(place, rows as u32, room, false);
        ops.extend(self.plan.update(&self.rule()));
        ops
    }

    /// The `later`-th step from now on, of this learning rate, with rows that weigh so much together.
    pub(super) fn step_at(&self, lr: f64, later: u64, start: u32, weight: f64) -> StepAt {
        let mut optimizer = self.optimizer;
        optimizer.set_lr(lr);
        StepAt {
            start,
            slot: ((self.batches + later) % HISTORY as u64) as u32,
            norm_slot: ((self.norms.0 + later) % HISTORY as u64) as u32,
            batch: (self.batches + later) as u32,
            ..self.plan.at(&optimizer, self.steps + later + 1, weight)
        }
    }

    fn epoch_on_host(
        &mut self,
        data: &Dataset,
        order: &[u32],
        cut: Cut,
        lr: &dyn Fn(u64) -> f64,
    ) -> Result<()> {
        for (step, batch) in cut.ranges(0..order.len()).enumerate() {
            self.optimizer.set_lr(lr(step as u64));
            let rows = &order[batch];
            let room = self.room as u64;
            let (x, targets) = (self.plan.x_view(room), self.plan.targets_view(room));
            self.executor
                .gather(x, rows, |r| Payload::Floats(data.inputs().row(r)));
            self.executor
                .gather(targets, rows, |r| match data.targets() {
                    Targets::Classes(labels) => Payload::Words(&labels[r..=r]),
                    Targets::Values(values) => Payload::Floats(values.row(r)),
                });
            if let Some(weights) = data.weights() {
                let view = self.plan.row_weights_view(room);
                self.executor
                    .gather(view, rows, |r| Payload::Floats(&weights[r..=r]));
            }
            self.run_step(amount(data, rows), kind(data), &[])?;
        }
        Ok(())
    }
}

/// What these rows are together.
fn amount(data: &Dataset, rows: &[u32]) -> Amount {
    Amount {
        rows: rows.len() as u64,
        weight: data.weight_of(rows),
    }
}

/// The order of an epoch, as a device has it.
pub(crate) fn row_order(rows: usize, shuffle_seed: Option<u64>) -> Vec<u32> {
    let order = order(rows, shuffle_seed);
    order.into_iter().map(|r| r as u32).collect()
}

/// The data as the storage holds it.
fn rounded(data: Cow<'_, Dataset>, storage: Storage) -> Result<Cow<'_, Dataset>> {
    if let Storage::U8 { scale } = storage {
        let scale = scale as f32;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::argument(
                "the scale of u8 data",
                scale,
                "finite and > 0 as an f32",
            ));
        }
    }
    let format = storage.format();
    let cols = data.inputs().cols();
    let mut same = true;
    let mut values = Vec::new();
    for (i, &x) in data.inputs().data().iter().enumerate() {
        let Some(held) = format.holds(x) else {
            let what = format!("data to be kept as {storage}");
            let allowed = match storage {
                Storage::U8 { scale } => {
                    format!("{scale} times a whole number from 0 to 255, or kept as f32")
                }
                _ => "within ±65504, or kept as f32".into(),
            };
            return Err(Error::value(what, shortest(x), (i, cols), allowed));
        };
        if same && held.to_bits() != x.to_bits() {
            same = false;
            values = data.inputs().data()[..i].to_vec();
        }
        if !same {
            values.push(held);
        }
    }
    if same {
        return Ok(data);
    }
    let inputs = crate::data::Matrix::new(cols, values)?;
    Ok(Cow::Owned(data.with_inputs(inputs)?))
}
