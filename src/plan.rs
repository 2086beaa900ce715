//! The plan: a network, a loss and an optimiser, lowered to a flat list of ops over named buffers.
//!
//! The order of backpropagation stands here and nowhere else; every executor runs this list. There is no wgpu, no WGSL
//! and no arithmetic in this file.

mod buffers;
mod grad_norm;
mod op;

use arrayvec::ArrayVec;

use crate::config::activation::{Activation, Saved};
use crate::config::loss::{Criterion, Loss};
use crate::config::optimizer::{Optimizer, Rule};
use crate::config::spec::{Layer, Layout, Mlp, Norm, Slot};
use crate::config::tensor::Tensors;
use crate::error::{Error, Result};
use crate::kernels::small_network::{self, SmallNetworkSpec};
use crate::kernels::{
    Call, Format, RowLoss, batch_norm, batch_norm_grad, batch_norm_stats, dense_backward_input,
    dense_backward_params, dense_forward, dropout, dropout_grad, gather_inputs, gather_rows, hits,
    layer_norm, layer_norm_grad, loss_sum, norm_params_grad, part_length, softmax, softmax_grad,
    threefry::Mask, weigh_rows, word,
};

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

/// Where the first layer's rows come from: a batch, or a data set on the device through an order.
#[derive(Debug, Clone, Copy)]
struct Source {
    x: View,
    order: View,
    format: Option<Format>,
}

impl Source {
    fn code(&self) -> u32 {
        self.format.map_or(0, Format::code)
    }

    fn scale(&self) -> f64 {
        self.format.map_or(1.0, Format::scale)
    }
}

/// What rows bring beside their inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Targets are class indices.
    pub labels: bool,
    /// Rows have weights.
    pub weighted: bool,
}

impl Kind {
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
    pub fn kind(&self) -> Kind {
        Kind {
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
            return Err(Error::OutOfMemory {
                what: format!("the network of {network}"),
                need,
                have: None,
                advice: "use a smaller network or an optimiser with less state".into(),
            });
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
            return Err(Error::Limit {
                what: format!("{what} of {reduction}"),
                need: reduction,
                limit: self.limits.tiled,
                in_bytes: false,
                advice: advice.into(),
            });
        }
        let most = self.limits.iterations.saturating_mul(8);
        if reduction <= most {
            return Ok(());
        }
        Err(Error::Limit {
            what: format!("a sum over {what} of {reduction}"),
            need: reduction,
            limit: most,
            in_bytes: false,
            advice: advice.into(),
        })
    }

    /// Whether a workspace for `rows` rows is possible: every buffer must fit one binding.
    pub fn check_rows(&self, rows: u64) -> Result<()> {
        let per_row = self.buffers.iter().filter(|spec| spec.per_row);
        let widest = per_row.max_by_key(|spec| spec.len(1));
        if let Some(widest) = widest.filter(|spec| spec.len(rows) > self.limits.binding) {
            let most = self.limits.binding / widest.len(1);
            return Err(Error::Limit {
                what: format!(
                    "buffer {} ({} wide) for a batch of {rows} rows, in one storage binding,",
                    widest.name,
                    widest.len(1)
                ),
                need: widest.len(rows).saturating_mul(4),
                in_bytes: true,
                limit: self.limits.binding.saturating_mul(4),
                advice: if most == 0 {
                    format!("layers may be {} wide here", self.limits.binding)
                } else {
                    format!(
                        "one batch may have {most} rows here; accumulate() several and apply() once"
                    )
                },
            });
        }
        self.check_size(
            rows,
            "a batch",
            "accumulate() smaller batches and apply() once",
        )
    }

    /// Whether this view is the place for outputs that nobody wants.
    pub fn is_placeholder(&self, view: View) -> bool {
        view.buffer == self.placeholder
    }

    /// Most ops that one submission has: a whole step.
    pub fn max_ops(&self, optimizer: &Optimizer) -> usize {
        let kind = Kind {
            labels: false,
            weighted: true,
        };
        let rule = Rule {
            norms: true,
            ..Rule::from(*optimizer)
        };
        // Three more for the targets, the weights and the inputs of data on the device.
        3 + self.gradients(1, 1, kind, false).len() + self.update(&rule, 1, 1.0).len()
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
        View {
            buffer,
            offset: 0,
            len: self.buffers[buffer].len(rows),
        }
    }

    fn slot(first_segment: usize, slot: Slot) -> View {
        View {
            buffer: first_segment + slot.segment,
            offset: slot.offset,
            len: slot.len,
        }
    }

    /// Buffers that a batch is uploaded to.
    pub fn uploads(&self) -> [usize; 3] {
        [self.x, self.targets, self.row_weights]
    }

    /// Forward and loss of a batch.
    pub fn losses(&self, mode: Mode, rows: u32, room: u64, kind: Kind) -> Vec<Op> {
        let mut ops = self.forward(mode, rows, room);
        ops.extend(self.loss(rows, room, kind));
        ops
    }

    /// Forward, loss and backward of a batch.
    pub fn gradients(&self, rows: u32, room: u64, kind: Kind, accumulate: bool) -> Vec<Op> {
        let mut ops = self.losses(Mode::Training, rows, room, kind);
        ops.extend(self.backward(rows, room, accumulate));
        ops
    }

    /// [`gradients`](Self::gradients) of rows of a data set on the device, from the first of its order; see [`Call::at`].
    pub fn gradients_of(
        &self,
        data: &ResidentData,
        rows: u32,
        room: u64,
        accumulate: bool,
    ) -> Vec<Op> {
        let source = Source {
            x: data.x,
            order: data.order,
            format: Some(data.format),
        };
        let gather = |cols: u32, from: View, to: usize| Op {
            call: Call::GatherRows(gather_rows::Params {
                rows,
                cols,
                start: 0,
            }),
            activation: Activation::Identity,
            reads: vec![from, data.order],
            writes: vec![self.whole(to, room)],
            layer: None,
            choice: None,
            part: None,
        };
        let mut ops = vec![gather(data.target_words, data.targets, self.targets)];
        let weights = data
            .weights
            .map(|weights| gather(1, weights, self.row_weights));
        ops.extend(weights);
        if self.network.layers()[0].residual {
            // It is added to the layer's output, and so has to be there as numbers.
            let inputs = self.network.inputs() as u32;
            ops.push(Op {
                call: Call::GatherInputs(gather_inputs::Params {
                    rows,
                    inputs,
                    format: data.format.code(),
                    start: 0,
                    scale: data.format.scale(),
                }),
                activation: Activation::Identity,
                reads: vec![data.x, data.order],
                writes: vec![self.x_view(room)],
                layer: Some(0),
                choice: None,
                part: None,
            });
        }
        ops.extend(self.forward_from(&source, Mode::Training, rows, room));
        ops.extend(self.loss(rows, room, data.kind()));
        ops.extend(self.backward_from(&source, rows, room, accumulate));
        ops
    }

    /// A step of the whole network as one op, where it is small and plain enough for that: parameters in one segment, one
    /// activation for all hidden layers whose derivative comes from its output, an identity output, rows without weights, no norms, and
    /// a loss that small_network computes. From the batch that was uploaded, or from data on the device; see [`Call::at`].
    pub fn small_network(
        &self,
        data: Option<&ResidentData>,
        rows: u32,
        room: u64,
        Kind { labels, weighted }: Kind,
        rule: &Rule,
    ) -> Option<Op> {
        let Rule {
            ref optimizer,
            clip,
            ..
        } = *rule;
        if weighted || rule.takes_norms() {
            return None;
        }
        let layers = self.network.layers();
        let (last, hidden) = layers.split_last()?;
        let whole =
            self.layout.segments.len() == 1 && self.layout.layers.iter().all(|p| p.len() == 1);
        let phi = hidden
            .first()
            .map_or(Activation::Identity, |l| l.activation.clone());
        let changed = |layer: &Layer| layer.norm.is_some() || layer.residual || layer.drops();
        let plain = !layers.iter().any(changed)
            && last.activation == Activation::Identity
            && phi.saved() == Saved::Output
            && hidden.iter().all(|layer| layer.activation == phi);
        if !whole || !plain || layers.len() > small_network::MAX_LAYERS {
            return None;
        }
        let cols = last.outputs as u32;
        let call = self.criterion.call(&last.activation, rows, cols, labels);
        let (row_loss, row_scale) = match call {
            Call::SoftmaxCrossEntropy(p) if p.labels != 0 && p.share == 0.0 => {
                (RowLoss::CrossEntropy, 1.0)
            }
            Call::SquaredError(p) => (RowLoss::SquaredError, p.scale),
            _ => return None,
        };
        let mut widths = ArrayVec::<u32, { small_network::MAX_LAYERS + 1 }>::new();
        widths.push(self.network.inputs() as u32);
        widths.extend(layers.iter().map(|layer| layer.outputs as u32));
        let spec = SmallNetworkSpec {
            rows,
            widths: &widths,
            row_loss,
            row_scale,
            target_words: if labels { 1 } else { cols },
            format: data.map(|data| data.format),
            optimizer,
            clip,
            grad_scale: self.criterion.batch_scale(f64::from(rows)),
            count: self.layout.segments[0] as u32,
            history_length: HISTORY as u32,
        };
        let state = |slot: usize, placeholder: usize| {
            let buffer = if slot < optimizer.slots() {
                self.states + slot
            } else {
                placeholder
            };
            self.whole(buffer, 0)
        };
        let (x, order, targets) = match data {
            Some(data) => (data.x, data.order, data.targets),
            None => (
                self.x_view(room),
                self.whole(self.no_order, 0),
                self.targets_view(room),
            ),
        };
        Some(Op {
            call: spec.call(),
            activation: phi,
            reads: vec![x, order, targets],
            writes: vec![
                self.whole(self.weights, 0),
                self.whole(self.grads, 0),
                state(0, self.placeholder),
                state(1, self.placeholder2),
                self.ledger_view(),
                self.history_view(),
            ],
            layer: None,
            choice: None,
            part: None,
        })
    }

    /// Where each part of the parameters goes.
    pub fn placed<'a, T>(&self, tensors: &'a Tensors<T>) -> Vec<(View, &'a [T])> {
        let mut parts = Vec::new();
        for (tensor, panels) in tensors.iter().zip(self.parameter_views(false)) {
            let mut rest = &tensor.data[..];
            for view in panels {
                let (part, others) = rest.split_at(view.len as usize);
                parts.push((view, part));
                rest = others;
            }
        }
        parts
    }

    /// The batch's inputs.
    pub fn x_view(&self, room: u64) -> View {
        self.whole(self.x, room)
    }

    /// The batch's targets.
    pub fn targets_view(&self, room: u64) -> View {
        self.whole(self.targets, room)
    }

    /// The weights of the batch's rows.
    pub fn row_weights_view(&self, room: u64) -> View {
        self.whole(self.row_weights, room)
    }

    /// The network's output.
    pub fn output_view(&self, room: u64) -> View {
        self.whole(self.layers[self.layers.len() - 1].h, room)
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

    /// The running statistics in the order of [`Mlp::buffers`].
    pub fn running_views(&self) -> Vec<View> {
        let layers = self.layers.iter();
        let running = layers.filter_map(|buffers| buffers.norm?.running);
        running
            .flat_map(|running| {
                let whole = self.whole(running, 0);
                let len = whole.len / 2;
                [0, len].map(|offset| View {
                    offset,
                    len,
                    ..whole
                })
            })
            .collect()
    }

    /// The activation from which the loss takes the output: what a residual connection adds to comes from none.
    fn output_activation(network: &Mlp) -> &Activation {
        let last = &network.layers()[network.layers().len() - 1];
        if last.residual {
            &Activation::Identity
        } else {
            &last.activation
        }
    }

    /// Each row's loss.
    pub fn losses_view(&self, room: u64) -> View {
        self.whole(self.losses, room)
    }

    /// Running sums of the loss; see shaders/loss_sum.wgsl.
    pub fn ledger_view(&self) -> View {
        self.whole(self.ledger, 0)
    }

    /// The loss of each of the latest batches, batch b at b mod [`HISTORY`], summed over its rows.
    pub fn history_view(&self) -> View {
        self.whole(self.history, 0)
    }

    /// The panels of each tensor in the order of [`Mlp::tensors`]: weights, or gradients.
    pub fn parameter_views(&self, grads: bool) -> Vec<Vec<View>> {
        self.views_in(if grads { self.grads } else { self.weights })
    }

    /// The panels of each tensor's share of a slot of the optimiser's state, in the same order.
    pub fn state_views(&self, slot: usize) -> Vec<Vec<View>> {
        self.views_in(self.states + slot * self.layout.segments.len())
    }

    fn views_in(&self, first: usize) -> Vec<Vec<View>> {
        let layers = self.layout.layers.iter().zip(&self.layout.norms);
        layers
            .flat_map(|(panels, norm)| {
                let weight = panels.iter().map(|p| Self::slot(first, p.weight)).collect();
                let bias = panels.iter().map(|p| Self::slot(first, p.bias)).collect();
                let norm = norm.iter().flatten();
                let norm = norm.map(|slot| vec![Self::slot(first, *slot)]);
                [weight, bias].into_iter().chain(norm)
            })
            .collect()
    }

    /// All parameters, segment by segment.
    pub fn weight_segments(&self) -> Vec<View> {
        let segments = 0..self.layout.segments.len();
        segments.map(|s| self.whole(self.weights + s, 0)).collect()
    }

    /// Activations of each layer whose derivative has a kink, for checks by differences.
    pub fn kinked_views(&self, room: u64) -> Vec<View> {
        let layers = self.network.layers().iter().zip(&self.layers);
        layers
            .filter(|(layer, _)| layer.activation.has_kink())
            .map(|(_, buffers)| self.whole(buffers.z.unwrap_or(buffers.a), room))
            .collect()
    }

    fn part_number(parts: usize, part: usize) -> Option<usize> {
        (parts > 1).then_some(part)
    }

    /// x → z, a, h, layer by layer. `room` is the number of rows that buffers have room for.
    pub fn forward(&self, mode: Mode, rows: u32, room: u64) -> Vec<Op> {
        self.forward_from(&self.batch(room), mode, rows, room)
    }

    fn forward_from(&self, source: &Source, mode: Mode, rows: u32, room: u64) -> Vec<Op> {
        let mut ops = Vec::new();
        let mut input = *source;
        for (l, layer) in self.network.layers().iter().enumerate() {
            let buffers = self.layers[l];
            let softmax = layer.activation == Activation::Softmax;
            let drops = layer.drops() && mode == Mode::Training;
            let apart = layer.residual || drops;
            let phi_to = if apart { buffers.a } else { buffers.h };
            // A softmax layer's product is z itself: it goes through the kernel's a, with the identity.
            let (z, a) = match buffers.z {
                Some(z) if softmax => (None, z),
                z => (z, phi_to),
            };
            let phi = if softmax {
                Activation::Identity
            } else {
                layer.activation.clone()
            };
            // What is normalised has neither z nor φ yet.
            let (dense_z, dense_a, dense_phi) = match buffers.norm {
                Some(norm) => (None, norm.u, Activation::Identity),
                None => (z, a, phi.clone()),
            };
            let panels = &self.layout.layers[l];
            for (p, panel) in panels.iter().enumerate() {
                ops.push(Op {
                    call: Call::DenseForward(dense_forward::Params {
                        rows,
                        inputs: self.network.inputs_of(l) as u32,
                        outputs: panel.outputs,
                        first: panel.first,
                        stride: layer.outputs as u32,
                        store_z: u32::from(dense_z.is_some()),
                        format: input.code(),
                        start: 0,
                        scale: input.scale(),
                    }),
                    activation: dense_phi.clone(),
                    reads: vec![
                        input.x,
                        input.order,
                        Self::slot(self.weights, panel.weight),
                        Self::slot(self.weights, panel.bias),
                    ],
                    writes: vec![
                        self.whole(dense_z.unwrap_or(self.placeholder), room),
                        self.whole(dense_a, room),
                    ],
                    layer: Some(l),
                    choice: None,
                    part: Self::part_number(panels.len(), p),
                });
            }
            if let Some(norm) = buffers.norm {
                self.normalise(l, norm, mode, (z, a, phi), (rows, room), &mut ops);
            }
            if softmax {
                ops.push(Op {
                    call: Call::Softmax(softmax::Params {
                        rows,
                        cols: layer.outputs as u32,
                    }),
                    activation: Activation::Identity,
                    reads: vec![self.whole(a, room)],
                    writes: vec![self.whole(phi_to, room)],
                    layer: Some(l),
                    choice: None,
                    part: None,
                });
            }
            if apart {
                let a = self.whole(buffers.a, room);
                let (key, p) = self.dropout_of(l, mode);
                ops.push(Op {
                    call: Call::Dropout(dropout::Params {
                        count: rows * layer.outputs as u32,
                        residual: u32::from(layer.residual),
                        key0: key[0],
                        key1: key[1],
                        batch: 0,
                        threshold: Mask::threshold(p),
                        scale: 1.0 / (1.0 - p),
                    }),
                    activation: Activation::Identity,
                    reads: vec![
                        a,
                        if layer.residual {
                            self.input_view(l, room)
                        } else {
                            a
                        },
                    ],
                    writes: vec![self.whole(buffers.h, room)],
                    layer: Some(l),
                    choice: None,
                    part: None,
                });
            }
            input = Source {
                x: self.whole(buffers.h, room),
                ..self.batch(room)
            };
        }
        ops
    }

    /// u → z, φ(z) of layer l.
    fn normalise(
        &self,
        l: usize,
        norm: NormBuffers,
        mode: Mode,
        (z, a, phi): (Option<usize>, usize, Activation),
        (rows, room): (u32, u64),
        ops: &mut Vec<Op>,
    ) {
        let cols = self.network.layers()[l].outputs as u32;
        let store_z = u32::from(z.is_some());
        let eps = Norm::EPS;
        let u = self.whole(norm.u, room);
        let stats = self.whole(norm.stats, room);
        let [gamma, beta] = self.norm_parameters(self.weights, l);
        let mut op = |call: Call, activation: Activation, reads: Vec<View>, writes: Vec<View>| {
            ops.push(Op {
                call,
                activation,
                reads,
                writes,
                layer: Some(l),
                choice: None,
                part: None,
            });
        };
        let z = self.whole(z.unwrap_or(self.placeholder), room);
        let a = self.whole(a, room);
        let Some(running) = norm.running else {
            let call = Call::LayerNorm(layer_norm::Params {
                rows,
                cols,
                store_z,
                eps,
            });
            op(call, phi, vec![u, gamma, beta], vec![stats, z, a]);
            return;
        };
        let running = self.whole(running, room);
        let evaluation = mode == Mode::Evaluation;
        if !evaluation {
            let call = Call::BatchNormStats(batch_norm_stats::Params {
                rows,
                cols,
                eps,
                momentum: Norm::MOMENTUM,
                keep: 1.0 - Norm::MOMENTUM,
                // A batch of one row was refused.
                unbias: f64::from(rows) / f64::from(rows.max(2) - 1),
            });
            op(call, Activation::Identity, vec![u], vec![stats, running]);
        }
        let call = Call::BatchNorm(batch_norm::Params {
            rows,
            cols,
            running: u32::from(evaluation),
            store_z,
            eps,
        });
        let stats = if evaluation { running } else { stats };
        op(call, phi, vec![u, stats, gamma, beta], vec![z, a]);
    }

    /// δ of layer l → ∂L/∂u and the gradients of γ and β.
    fn derive_norm(
        &self,
        l: usize,
        norm: NormBuffers,
        (rows, room): (u32, u64),
        accumulate: u32,
        ops: &mut Vec<Op>,
    ) {
        let cols = self.network.layers()[l].outputs as u32;
        let delta = self.whole(self.layers[l].delta, room);
        let u = self.whole(norm.u, room);
        let stats = self.whole(norm.stats, room);
        let sums = self.whole(norm.sums, room);
        let [gamma, _] = self.norm_parameters(self.weights, l);
        let [grad_gamma, grad_beta] = self.norm_parameters(self.grads, l);
        let mut op = |call: Call, reads: Vec<View>, writes: Vec<View>| {
            ops.push(Op {
                call,
                activation: Activation::Identity,
                reads,
                writes,
                layer: Some(l),
                choice: None,
                part: None,
            });
        };
        let by_row = u32::from(norm.norm == Norm::Layer);
        let call = Call::NormParamsGrad(norm_params_grad::Params {
            rows,
            cols,
            by_row,
            accumulate,
        });
        let reads = vec![delta, u, stats];
        op(call, reads, vec![sums, grad_gamma, grad_beta]);
        let to = vec![self.whole(norm.delta_u, room)];
        match norm.norm {
            Norm::Layer => {
                let call = Call::LayerNormGrad(layer_norm_grad::Params { rows, cols });
                op(call, vec![delta, u, stats, gamma], to);
            }
            Norm::Batch => {
                let call = Call::BatchNormGrad(batch_norm_grad::Params { rows, cols });
                op(call, vec![delta, u, stats, sums, gamma], to);
            }
        }
    }

    /// γ and β of layer l, or their gradients, in segments from this one on.
    fn norm_parameters(&self, first: usize, l: usize) -> [View; 2] {
        let Some(slots) = self.layout.norms[l] else {
            unreachable!("layer {l} has no normalisation")
        };
        slots.map(|slot| Self::slot(first, slot))
    }

    /// Layer l's input as numbers.
    fn input_view(&self, l: usize, room: u64) -> View {
        match l {
            0 => self.x_view(room),
            _ => self.whole(self.layers[l - 1].h, room),
        }
    }

    /// The key of layer l's masks, and the probability with which they drop.
    fn dropout_of(&self, l: usize, mode: Mode) -> ([u32; 2], f64) {
        let p = match mode {
            Mode::Training => self.network.layers()[l].dropout.unwrap_or(0.0),
            Mode::Evaluation => 0.0,
        };
        (Mask::key(self.seed, l), p)
    }

    /// The batch that was uploaded.
    fn batch(&self, room: u64) -> Source {
        Source {
            x: self.whole(self.x, room),
            order: self.whole(self.no_order, 0),
            format: None,
        }
    }

    /// What φ′ of layer l is computed from.
    fn saved(&self, l: usize, room: u64) -> View {
        let buffers = self.layers[l];
        match self.network.layers()[l].activation.saved() {
            Saved::Input => self.whole(buffers.z.unwrap_or(buffers.a), room),
            Saved::Output => self.whole(buffers.a, room),
        }
    }

    /// Output, targets (class indices, or rows of numbers) and weights of rows → each row's loss and δ of the last layer.
    pub fn loss(&self, rows: u32, room: u64, Kind { labels, weighted }: Kind) -> Vec<Op> {
        let l = self.layers.len() - 1;
        let last = self.layers[l];
        let layer = &self.network.layers()[l];
        let cols = layer.outputs as u32;
        let phi = Self::output_activation(&self.network);
        let from_logits = self.criterion.loss.takes_logits(phi);
        let targets = self.whole(self.targets, room);
        let mut reads = Vec::new();
        if layer.residual {
            // The identity's derivative looks at nothing.
            let h = self.whole(last.h, room);
            reads.push(h);
            reads.extend((!from_logits).then_some(h));
        } else if from_logits {
            // An identity layer's a is its z.
            reads.push(self.whole(last.z.unwrap_or(last.a), room));
        } else {
            reads.push(self.whole(last.a, room));
            reads.push(self.saved(l, room));
        }
        reads.push(targets);
        let delta = self.whole(last.delta, room);
        let first = self.output_grad.or(last.grad);
        let first = first.map_or(delta, |g| self.whole(g, room));
        let mut ops = vec![Op {
            call: self.criterion.call(phi, rows, cols, labels),
            activation: phi.clone(),
            reads,
            writes: vec![self.whole(self.losses, room), first],
            layer: None,
            choice: None,
            part: None,
        }];
        if weighted {
            // δ is linear in what comes from the loss.
            ops.push(Op {
                call: Call::WeighRows(weigh_rows::Params { rows, cols }),
                activation: Activation::Identity,
                reads: vec![self.row_weights_view(room)],
                writes: vec![self.whole(self.losses, room), first],
                layer: None,
                choice: None,
                part: None,
            });
        }
        if self.output_grad.is_some() {
            ops.push(Op {
                call: Call::SoftmaxGrad(softmax_grad::Params { rows, cols }),
                activation: Activation::Identity,
                reads: vec![self.whole(last.a, room), first],
                writes: vec![delta],
                layer: Some(l),
                choice: None,
                part: None,
            });
        }
        ops
    }

    /// After the loss of a batch of class indices: a 1 for each row whose largest output is the class, in
    /// [`hits_view`](Self::hits_view).
    pub fn hits(&self, rows: u32, room: u64) -> Op {
        Op {
            call: Call::Hits(hits::Params {
                rows,
                cols: self.network.outputs() as u32,
            }),
            activation: Activation::Identity,
            reads: vec![self.output_view(room), self.whole(self.targets, room)],
            writes: vec![self.hits_view(room)],
            layer: None,
            choice: None,
            part: None,
        }
    }

    /// Where the hits are: at the beginning of the last δ, which an evaluation has no other use for.
    pub fn hits_view(&self, room: u64) -> View {
        let last = self.layers[self.layers.len() - 1];
        self.whole(last.delta, room)
    }

    /// The batch's loss into the ledger, and the δ recursion: each layer's gradients from its δ, then the δ of the layer
    /// before. `accumulate` adds to the gradients that are there.
    pub fn backward(&self, rows: u32, room: u64, accumulate: bool) -> Vec<Op> {
        self.backward_from(&self.batch(room), rows, room, accumulate)
    }

    fn backward_from(&self, source: &Source, rows: u32, room: u64, accumulate: bool) -> Vec<Op> {
        let accumulate = u32::from(accumulate);
        let mut ops = vec![Op {
            call: Call::LossSum(loss_sum::Params {
                rows,
                accumulate,
                slot: 0,
            }),
            activation: Activation::Identity,
            reads: vec![self.whole(self.losses, room)],
            writes: vec![self.ledger_view(), self.history_view()],
            layer: None,
            choice: None,
            part: None,
        }];
        for (l, layer) in self.network.layers().iter().enumerate().rev() {
            ops.extend(self.derive(l, rows, room));
            let norm = self.layers[l].norm;
            if let Some(norm) = norm {
                self.derive_norm(l, norm, (rows, room), accumulate, &mut ops);
            }
            let inputs = self.network.inputs_of(l) as u32;
            let stride = layer.outputs as u32;
            let delta = norm.map_or(self.layers[l].delta, |norm| norm.delta_u);
            let delta = self.whole(delta, room);
            let input = match l {
                0 => *source,
                _ => Source {
                    x: self.whole(self.layers[l - 1].h, room),
                    ..self.batch(room)
                },
            };
            let panels = &self.layout.layers[l];
            for (p, panel) in panels.iter().enumerate() {
                ops.push(Op {
                    call: Call::DenseBackwardParams(dense_backward_params::Params {
                        rows,
                        inputs,
                        outputs: panel.outputs,
                        first: panel.first,
                        stride,
                        accumulate,
                        format: input.code(),
                        start: 0,
                        scale: input.scale(),
                    }),
                    activation: Activation::Identity,
                    reads: vec![delta, input.x, input.order],
                    writes: vec![
                        Self::slot(self.grads, panel.weight),
                        Self::slot(self.grads, panel.bias),
                    ],
                    layer: Some(l),
                    choice: None,
                    part: Self::part_number(panels.len(), p),
                });
            }
            if l == 0 {
                continue;
            }
            let before = self.layers[l - 1];
            // δ of the layer before at once, unless something stands behind its activation.
            let (to, phi) = match before.grad {
                Some(grad) => (grad, Activation::Identity),
                None => (
                    before.delta,
                    self.network.layers()[l - 1].activation.clone(),
                ),
            };
            for (p, panel) in panels.iter().enumerate() {
                ops.push(Op {
                    call: Call::DenseBackwardInput(dense_backward_input::Params {
                        rows,
                        inputs,
                        outputs: panel.outputs,
                        first: panel.first,
                        stride,
                        accumulate: u32::from(p > 0),
                        last: u32::from(p + 1 == panels.len()),
                    }),
                    activation: phi.clone(),
                    reads: vec![
                        delta,
                        Self::slot(self.weights, panel.weight),
                        self.saved(l - 1, room),
                    ],
                    writes: vec![self.whole(to, room)],
                    layer: Some(l),
                    choice: None,
                    part: Self::part_number(panels.len(), p),
                });
            }
        }
        ops
    }

    /// ∂L/∂h of layer l → its δ, where something stands behind its activation, or the next layer has a residual connection.
    fn derive(&self, l: usize, rows: u32, room: u64) -> Option<Op> {
        let buffers = self.layers[l];
        let grad = self.whole(buffers.grad?, room);
        let layer = &self.network.layers()[l];
        let skip = self.skip(l + 1, room);
        let (key, p) = self.dropout_of(l, Mode::Training);
        let total = buffers.total.unwrap_or(self.placeholder);
        Some(Op {
            call: Call::DropoutGrad(dropout_grad::Params {
                count: rows * layer.outputs as u32,
                add_skip: u32::from(skip.is_some()),
                store_total: u32::from(buffers.total.is_some()),
                key0: key[0],
                key1: key[1],
                batch: 0,
                threshold: Mask::threshold(p),
                scale: 1.0 / (1.0 - p),
            }),
            activation: layer.activation.clone(),
            reads: vec![grad, skip.unwrap_or(grad), self.saved(l, room)],
            writes: vec![self.whole(total, room), self.whole(buffers.delta, room)],
            layer: Some(l),
            choice: None,
            part: None,
        })
    }

    /// ∂L/∂h of layer l, where it has a residual connection: what that carries to its input.
    fn skip(&self, l: usize, room: u64) -> Option<View> {
        let residual = self.network.layers().get(l)?.residual;
        let buffers = self.layers[l];
        let whole = buffers.total.or(buffers.grad).filter(|_| residual)?;
        Some(self.whole(whole, room))
    }

    /// One update a segment, at step `step` from 1, with gradients that were summed over rows that weigh so much together; before
    /// it, if the rule takes norms, the norm of the whole gradient.
    pub fn update(&self, rule: &Rule, step: u64, weight: f64) -> Vec<Op> {
        let grad_scale = self.criterion.batch_scale(weight);
        let segments = self.layout.segments.len();
        let optimizer = &rule.optimizer;
        let mut ops = Vec::new();
        if rule.takes_norms() {
            self.norm(rule.clip, grad_scale, &mut ops);
        }
        let updates = self.layout.segments.iter().enumerate().map(|(s, &len)| {
            let mut writes = vec![self.whole(self.weights + s, 0)];
            for slot in 0..optimizer.slots() {
                writes.push(self.whole(self.states + slot * segments + s, 0));
            }
            writes.push(self.ledger_view());
            Op {
                call: optimizer.call(len as u32, step, grad_scale, rule.clip),
                activation: Activation::Identity,
                reads: vec![self.whole(self.grads + s, 0)],
                writes,
                layer: None,
                choice: None,
                part: Self::part_number(segments, s),
            }
        });
        ops.extend(updates);
        ops
    }
}
