//! The plan: a network, a loss and an optimiser, lowered to a flat list of ops over named buffers.
//!
//! The order of backpropagation stands here and nowhere else; every executor runs this list. There is no wgpu, no WGSL
//! and no arithmetic in this file.

mod backward;
mod buffers;
mod forward;
mod grad_norm;
mod loss;
mod op;
mod small_network;
mod update;
mod views;

use arrayvec::ArrayVec;

use crate::config::activation::{Activation, Saved};
use crate::config::loss::{Criterion, Loss};
use crate::config::optimizer::{Optimizer, Rule};
use crate::config::spec::{Layer, Layout, Mlp, Norm, Slot};
use crate::error::{Error, Result};
use crate::kernels::{Format, StepAt, gather_inputs, gather_rows, part_length, word};

pub(crate) use buffers::{BufferSpec, Payload, View};
pub(crate) use op::Op;

/// What a plan may assume of the executor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Elements in one binding.
    pub binding: u64,
    /// Iterations that one loop may make.
    pub iterations: u64,
    /// Rows or columns that a grid of tiles may cover.
    pub tiled: u64,
}

impl Limits {
    /// Host memory: indices must fit u32.
    pub fn host() -> Self {
        Self {
            binding: 1 << 31,
            iterations: u64::MAX,
            tiled: u64::MAX,
        }
    }
}

/// Batches whose losses are kept on the device, and updates whose norms are.
pub(crate) const HISTORY: usize = 4096;

/// What rows bring beside their inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowKind {
    /// Targets are class indices.
    pub labels: bool,
    /// Rows have weights.
    pub weighted: bool,
}

impl RowKind {
    /// The same without weights.
    pub fn unweighted(self) -> Self {
        Self {
            weighted: false,
            ..self
        }
    }
}

/// A data set on the device: its buffers, and the order in which its rows are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResidentData {
    pub x: View,
    pub targets: View,
    pub order: View,
    /// Of the rows, where they have some.
    pub weights: Option<View>,
    pub format: Format,
    /// Words of a row's targets.
    pub target_words: u32,
    /// Targets are class indices.
    pub labels: bool,
}

impl ResidentData {
    pub fn kind(&self) -> RowKind {
        RowKind {
            labels: self.labels,
            weighted: self.weights.is_some(),
        }
    }

    /// Its buffers.
    pub fn views(&self) -> ArrayVec<View, 4> {
        let weights = self.weights.into_iter();
        [self.x, self.targets, self.order]
            .into_iter()
            .chain(weights)
            .collect()
    }
}

/// Bytes of parameters, gradients and state that no device of today has: 4 TiB.
const ABSURD: u64 = 1 << 42;

/// What the forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With dropout and the batch's statistics.
    Training,
    /// Without dropout, with running statistics.
    Evaluation,
}

/// Buffers of a layer's normalisation.
#[derive(Debug, Clone, Copy)]
struct NormBuffers {
    norm: Norm,
    /// What is normalised: the layer's product.
    u: usize,
    /// Means, and 1/√(variance + eps).
    stats: usize,
    /// Running means and variances of batch normalisation.
    running: Option<usize>,
    /// Sums over rows on the way to the gradients.
    sums: usize,
    /// ∂L/∂u.
    delta_u: usize,
}

/// Buffers of one layer.
#[derive(Debug, Clone, Copy)]
struct LayerBuffers {
    norm: Option<NormBuffers>,
    /// Stored where φ′ or the loss needs it.
    z: Option<usize>,
    /// φ(z).
    a: usize,
    /// The layer's output: a, or what dropout and the residual connection make of it.
    h: usize,
    /// ∂L/∂z.
    delta: usize,
    /// ∂L/∂h by way of the next layer's weight, or of the loss, where it is not ∂L/∂z at once.
    grad: Option<usize>,
    /// ∂L/∂h, where that is not all of it and the layer's own residual connection needs it.
    total: Option<usize>,
}

/// The lowered network.
#[derive(Debug)]
pub(crate) struct Plan {
    pub network: Mlp,
    pub criterion: Criterion,
    /// Of dropout.
    pub seed: u64,
    pub layout: Layout,
    pub buffers: Vec<BufferSpec>,
    limits: Limits,
    x: usize,
    targets: usize,
    layers: Vec<LayerBuffers>,
    /// ∂L/∂a of a softmax whose loss is not fused with it.
    output_grad: Option<usize>,
    losses: usize,
    row_weights: usize,
    ledger: usize,
    /// Losses of the latest batches.
    history: usize,
    /// Sums of the squares of gradients, a part each.
    squares: usize,
    /// Norms of the latest gradients.
    norms: usize,
    /// Bound where a kernel's optional output is not wanted.
    placeholder: usize,
    /// Another, for a kernel that has two.
    placeholder2: usize,
    /// Bound where a kernel reads no order, because the batch is there.
    no_order: usize,
    weights: usize,
    grads: usize,
    states: usize,
}

impl Plan {
    /// Lowers a network.
    pub fn new(
        network: &Mlp,
        criterion: Criterion,
        optimizer: &Optimizer,
        limits: Limits,
        seed: u64,
    ) -> Result<Self> {
        network.check()?;
        optimizer.check()?;
        let last_layer = &network.layers()[network.layers().len() - 1];
        let last = &last_layer.activation;
        if last_layer.residual && criterion.loss.takes_probabilities() {
            return Err(Error::Network {
                reason: format!(
                    "the output has a residual connection, whose sum is no probability, and {} needs one: use \
                     Loss::CrossEntropy, which takes logits",
                    criterion.loss.name()
                ),
                network: network.to_string(),
            });
        }
        criterion.loss.check(Self::output_activation(network))?;
        criterion.check_smoothing()?;
        let softmax = *last == Activation::Softmax || criterion.loss == Loss::CrossEntropy;
        if softmax && network.outputs() == 1 {
            return Err(Error::Network {
                reason: "softmax over one output is always 1: use Loss::BinaryCrossEntropy, or two outputs".into(),
                network: network.to_string(),
            });
        }
        // Before anything is laid out: a layout of absurd widths would itself not fit. The executor checks the exact bytes.
        let copies = 2 + optimizer.slots() as u64;
        let need = network.parameters().saturating_mul(4 * copies);
        if need > ABSURD {
            return Err(Error::out_of_memory(
                format!("the network of {network}"),
                need,
                None,
                "use a smaller network or an optimiser with less state",
            ));
        }
        let layout = Layout::new(network, limits.binding)?;
        let mut buffers = Vec::new();
        let mut add = |name: String, elements: u64, per_row: bool| {
            buffers.push(BufferSpec {
                name,
                elements,
                per_row,
            });
            buffers.len() - 1
        };
        let outputs = network.outputs() as u64;
        let x = add("x".into(), network.inputs() as u64, true);
        // Room for a row of numbers; class indices take less.
        let targets = add("targets".into(), outputs, true);
        let mut layers = Vec::new();
        for (l, layer) in network.layers().iter().enumerate() {
            let width = layer.outputs as u64;
            let needs_z =
                layer.activation == Activation::Softmax || layer.activation.saved() == Saved::Input;
            let around = network
                .layers()
                .get(l + 1)
                .is_some_and(|next| next.residual);
            let z = needs_z.then(|| add(format!("z{l}"), width, true));
            let a = add(format!("a{l}"), width, true);
            let apart = layer.residual || layer.drops();
            let h = if apart {
                add(format!("h{l}"), width, true)
            } else {
                a
            };
            let norm = layer.norm.map(|norm| {
                let batch = norm == Norm::Batch;
                let stats = if batch { 2 * width } else { 2 };
                NormBuffers {
                    norm,
                    u: add(format!("u{l}"), width, true),
                    stats: add(format!("stats{l}"), stats, !batch),
                    running: batch.then(|| add(format!("running{l}"), 2 * width, false)),
                    sums: add(format!("sums{l}"), 2 * width, false),
                    delta_u: add(format!("delta_u{l}"), width, true),
                }
            });
            layers.push(LayerBuffers {
                norm,
                z,
                a,
                h,
                delta: add(format!("delta{l}"), width, true),
                grad: (apart || around).then(|| add(format!("grad{l}"), width, true)),
                total: (layer.residual && around).then(|| add(format!("total{l}"), width, true)),
            });
        }
        let unfused = *last == Activation::Softmax && !criterion.loss.takes_logits(last);
        let output_grad = unfused.then(|| add("output_grad".into(), outputs, true));
        let losses = add("losses".into(), 1, true);
        let row_weights = add("row weights".into(), 1, true);
        let ledger = add("ledger".into(), word::COUNT as u64, false);
        let history = add("history".into(), HISTORY as u64, false);
        let parts = layout
            .segments
            .iter()
            .map(|&len| len.div_ceil(part_length(len)));
        let squares = add("squares".into(), parts.sum(), false);
        let norms = add("norms".into(), HISTORY as u64, false);
        let placeholder = add("placeholder".into(), 1, false);
        let placeholder2 = add("second placeholder".into(), 1, false);
        let no_order = add("no order".into(), 1, false);
        let mut add_segments = |name: &str| {
            let segments = layout.segments.iter().enumerate();
            let ids: Vec<usize> = segments
                .map(|(s, &len)| add(format!("{name}[{s}]"), len, false))
                .collect();
            ids[0]
        };
        let weights = add_segments("weights");
        let grads = add_segments("gradients");
        let slots = optimizer.slots();
        let states = grads + layout.segments.len();
        for slot in 0..slots {
            add_segments(&format!("state{slot}"));
        }
        let plan = Self {
            network: network.clone(),
            criterion,
            seed,
            buffers,
            limits,
            x,
            targets,
            layers,
            output_grad,
            losses,
            row_weights,
            ledger,
            history,
            squares,
            norms,
            placeholder,
            placeholder2,
            no_order,
            weights,
            grads,
            states,
            layout,
        };
        plan.check_rows(1)?;
        for (l, layer) in network.layers().iter().enumerate() {
            let widest = network.inputs_of(l).max(layer.outputs) as u64;
            plan.check_size(
                widest,
                &format!("the width of layer {l}"),
                "use a narrower layer",
            )?;
        }
        Ok(plan)
    }

    /// A tile walks its reduction in slices of 8 or 16, and a grid of tiles has 65,535 on a side at most.
    fn check_size(&self, reduction: u64, what: &str, advice: &str) -> Result<()> {
        if reduction > self.limits.tiled {
            return Err(Error::limit(
                format!("{what} of {reduction}"),
                reduction,
                self.limits.tiled,
                advice,
            ));
        }
        let most = self.limits.iterations.saturating_mul(8);
        if reduction <= most {
            return Ok(());
        }
        Err(Error::limit(
            format!("a sum over {what} of {reduction}"),
            reduction,
            most,
            advice,
        ))
    }

    /// Whether a workspace for `rows` rows is possible: every buffer must fit one binding.
    pub fn check_rows(&self, rows: u64) -> Result<()> {
        let per_row = self.buffers.iter().filter(|spec| spec.per_row);
        let widest = per_row.max_by_key(|spec| spec.len(1));
        if let Some(widest) = widest.filter(|spec| spec.len(rows) > self.limits.binding) {
            let most = self.limits.binding / widest.len(1);
            return Err(Error::limit_in_bytes(
                format!(
                    "buffer {} ({} wide) for a batch of {rows} rows, in one storage binding,",
                    widest.name,
                    widest.len(1)
                ),
                widest.len(rows).saturating_mul(4),
                self.limits.binding.saturating_mul(4),
                if most == 0 {
                    format!("layers may be {} wide here", self.limits.binding)
                } else {
                    format!(
                        "one batch may have {most} rows here; accumulate() several and apply() once"
                    )
                },
            ));
        }
        self.check_size(
            rows,
            "a batch",
            "accumulate() smaller batches and apply() once",
        )
    }

    /// Whether this view is a place for outputs that nobody wants.
    pub fn is_placeholder(&self, view: View) -> bool {
        [self.placeholder, self.placeholder2].contains(&view.buffer)
    }

    /// Most ops that one submission has: a whole step.
    pub fn max_ops(&self, optimizer: &Optimizer) -> usize {
        let kind = RowKind {
            labels: false,
            weighted: true,
        };
        let rule = Rule {
            norms: true,
            ..Rule::from(*optimizer)
        };
        // Three more for the targets, the weights and the inputs of data on the device.
        3 + self.gradients(1, 1, kind, false).len() + self.update(&rule).len()
    }

    /// Bytes on a device with room for `rows` rows.
    pub fn bytes(&self, rows: u64) -> u64 {
        self.buffers
            .iter()
            .map(|spec| spec.len(rows).saturating_mul(4))
            .fold(0, u64::saturating_add)
    }

    /// All of a buffer with room for `rows` rows.
    fn whole(&self, buffer: usize, rows: u64) -> View {
        View::whole(buffer, self.buffers[buffer].len(rows))
    }

    fn slot(first_segment: usize, slot: Slot) -> View {
        View {
            buffer: first_segment + slot.segment,
            offset: slot.offset,
            len: slot.len,
        }
    }

    /// Step `step`, from 1, of such a rule with gradients that were summed over rows that weigh so much together. Places are those
    /// of the first batch.
    pub fn at(&self, optimizer: &Optimizer, step: u64, weight: f64) -> StepAt {
        StepAt {
            // Beyond 2³² steps the corrections that depend on it have long been 1.
            step: u32::try_from(step).unwrap_or(u32::MAX),
            grad_scale: self.criterion.batch_scale(weight),
            lr: optimizer.lr(),
            shrink: optimizer.shrink(),
            ..StepAt::default()
        }
    }

    /// Forward and loss of a batch.
    pub fn losses(&self, mode: Mode, rows: u32, room: u64, kind: RowKind) -> Vec<Op> {
        let mut ops = self.forward(mode, rows, room);
        ops.extend(self.loss(rows, room, kind));
        ops
    }

    /// Forward, loss and backward of a batch.
    pub fn gradients(&self, rows: u32, room: u64, kind: RowKind, accumulate: bool) -> Vec<Op> {
        let mut ops = self.losses(Mode::Training, rows, room, kind);
        ops.extend(self.backward(rows, room, accumulate));
        ops
    }

    /// [`gradients`](Self::gradients) of rows of a data set on the device, from the first of its order.
    pub fn gradients_of(
        &self,
        data: &ResidentData,
        rows: u32,
        room: u64,
        accumulate: bool,
    ) -> Vec<Op> {
        let gather = |cols: u32, from: View, to: usize| {
            Op::new(
                gather_rows::Params { rows, cols },
                vec![from, data.order],
                vec![self.whole(to, room)],
            )
        };
        let mut ops = vec![gather(data.target_words, data.targets, self.targets)];
        let weights = data
            .weights
            .map(|weights| gather(1, weights, self.row_weights));
        ops.extend(weights);
        let inputs = gather_inputs::Params {
            rows,
            inputs: self.network.inputs() as u32,
            format: data.format.code(),
            scale: data.format.scale(),
        };
        let from = vec![data.x, data.order];
        ops.push(Op::new(inputs, from, vec![self.x_view(room)]).of_layer(0));
        ops.extend(self.gradients(rows, room, data.kind(), accumulate));
        ops
    }

    /// Whether evaluation takes other ops than training.
    pub fn differs_in_evaluation(&self) -> bool {
        self.normalises_batches() || self.network.layers().iter().any(Layer::drops)
    }

    /// Whether training takes statistics over the rows of a batch.
    pub fn normalises_batches(&self) -> bool {
        let mut layers = self.network.layers().iter();
        layers.any(|layer| layer.norm == Some(Norm::Batch))
    }

    /// Names of the biases that batch normalisation takes away with the mean.
    pub fn without_effect(&self) -> Vec<String> {
        let layers = self.network.layers().iter().enumerate();
        let batch = layers.filter(|(_, layer)| layer.norm == Some(Norm::Batch));
        batch
            .map(|(l, _)| format!("{}.bias", self.network.module_of(l)))
            .collect()
    }

    fn part_number(parts: usize, part: usize) -> Option<usize> {
        (parts > 1).then_some(part)
    }

    /// What φ′ of layer l is computed from.
    fn saved(&self, l: usize, room: u64) -> View {
        let buffers = self.layers[l];
        match self.network.layers()[l].activation.saved() {
            Saved::Input => self.whole(buffers.z.unwrap_or(buffers.a), room),
            Saved::Output => self.whole(buffers.a, room),
        }
    }
}
