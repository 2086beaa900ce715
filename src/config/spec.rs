//! The network: its layers, their checks, and where each parameter lives.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::activation::Activation;
use crate::config::init::Init;
use crate::error::{Error, Result};

/// A normalisation between a layer's product and its activation, with PyTorch's defaults: eps 1e-5, γ from 1 and β from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Norm {
    /// Over each row (Ba, Kiros and Hinton, 2016): `nn.LayerNorm(outputs)`.
    Layer,
    /// Over each column of a batch (Ioffe and Szegedy, 2015), and over running statistics in evaluation:
    /// `nn.BatchNorm1d(outputs)`.
    Batch,
}

impl Norm {
    /// What is added to a variance before its root is taken.
    pub const EPS: f64 = 1e-5;
    /// The share of a batch's statistics in the running ones.
    pub const MOMENTUM: f64 = 0.1;
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Norm::Layer => "layer_norm",
            Norm::Batch => "batch_norm",
        })
    }
}

/// A dense layer, from its input x to its output h: `u = x·Wᵀ + b` with W (outputs, inputs), b (outputs); `z = norm(u)`, or u
/// itself; `a = φ(z)`; `h = dropout(a)`, or `h = x + dropout(a)` with a residual connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Layer {
    /// Width of the layer.
    pub outputs: usize,
    /// What stands between the product and φ; see [`Mlp::layer_norm`] and [`Mlp::batch_norm`].
    #[serde(default)]
    pub norm: Option<Norm>,
    /// φ.
    pub activation: Activation,
    /// Probability that training drops an element of a; see [`Mlp::dropout`].
    #[serde(default)]
    pub dropout: Option<f64>,
    /// Whether the layer's input is added to its output; see [`Mlp::residual`].
    #[serde(default)]
    pub residual: bool,
}

impl Layer {
    /// Whether training drops anything.
    pub(crate) fn drops(&self) -> bool {
        self.dropout.is_some_and(|p| p > 0.0)
    }
}

/// A multi-layer perceptron: the width of its input and its layers. No device takes part; nothing is checked before
/// [`Trainer::new`](crate::Trainer::new).
///
/// ```
/// use wgrad::{Activation::*, Init, Mlp};
/// let network = Mlp::new(784).dense(128, Relu).dense(10, Identity).init(Init::HeUniform);
/// assert_eq!(network.parameters(), 784 * 128 + 128 + 128 * 10 + 10);
/// // These change the dense layer before them.
/// let network = Mlp::new(784)
///     .dense(128, Relu).layer_norm()
///     .dense(128, Relu).batch_norm().dropout(0.1).residual()
///     .dense(10, Identity);
/// let names: Vec<String> = network.tensors().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names[..4], ["0.weight", "0.bias", "1.weight", "1.bias"]);
/// assert_eq!(names[4..], ["3.weight", "3.bias", "4.weight", "4.bias", "7.weight", "7.bias"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    inputs: usize,
    layers: Vec<Layer>,
    #[serde(default)]
    init: Init,
    /// A call that had no place, which [`check`](Self::check) reports.
    #[serde(skip)]
    misplaced: Option<String>,
}

impl Mlp {
    /// A network of no layers yet, for rows of `inputs` numbers.
    pub fn new(inputs: usize) -> Self {
        Self {
            inputs,
            layers: Vec::new(),
            init: Init::default(),
            misplaced: None,
        }
    }

    /// Appends a dense layer.
    #[must_use]
    pub fn dense(mut self, outputs: usize, activation: Activation) -> Self {
        self.layers.push(Layer {
            outputs,
            norm: None,
            activation,
            dropout: None,
            residual: false,
        });
        self
    }

    /// Layer normalisation between product and activation of the dense layer added last: with mean and variance of each row of
    /// `u = x·Wᵀ + b`, the variance divided by its width, `z = γ·(u − mean)/√(variance + eps) + β`. PyTorch's `nn.LayerNorm`. The
    /// same in training and evaluation. The layer must be at least 2 wide.
    #[must_use]
    pub fn layer_norm(self) -> Self {
        self.normalised("layer_norm", Norm::Layer)
    }

    /// Batch normalisation between product and activation of the dense layer added last: as [`layer_norm`](Self::layer_norm), but
    /// with mean and variance of each column over the rows of a batch, so a training batch must have 2 rows at least. PyTorch's
    /// `nn.BatchNorm1d`.
    ///
    /// Evaluation and prediction take running statistics instead, which each training batch moves: `running ← 0.9·running +
    /// 0.1·batch's`, the variance divided by rows − 1 there, from mean 0 and variance 1 on. Micro-batches have each their own
    /// statistics, as in PyTorch; rows of weight 0 count in them like others. A column whose statistics are not finite leaves the
    /// running ones as they are. The layer's bias b has no effect here, and a gradient of 0.
    #[must_use]
    pub fn batch_norm(self) -> Self {
        self.normalised("batch_norm", Norm::Batch)
    }

    fn normalised(self, call: &str, norm: Norm) -> Self {
        self.change(call, |layer| layer.norm.replace(norm).is_none())
    }

    /// Dropout (Srivastava et al., 2014) behind the activation of the dense layer added last: in training each element of `a`
    /// becomes 0 with probability `p` in [0, 1), and `a/(1 − p)` else; evaluation and prediction change nothing. PyTorch's
    /// `nn.Dropout(p)`. Not on the output layer, whose zeros would be taken for predictions.
    ///
    /// Which elements are dropped depends on the trainer's seed, the layer, the number of batches before and the element, and on
    /// nothing else: every device drops the same ones, and a run that is resumed too.
    #[must_use]
    pub fn dropout(self, p: f64) -> Self {
        self.change("dropout", |layer| {
            let first = layer.dropout.is_none();
            layer.dropout = Some(p);
            first
        })
    }

    /// A residual connection (He et al., 2016) around the dense layer added last: its input is added to its output, behind the
    /// activation and dropout: `h = x + dropout(φ(x·Wᵀ + b))`. The layer must be as wide as its input. Around the output layer,
    /// the loss sees the sum, as the logits where it takes logits.
    #[must_use]
    pub fn residual(self) -> Self {
        self.change("residual", |layer| {
            !std::mem::replace(&mut layer.residual, true)
        })
    }

    /// Changes the layer added last, unless there is none or `f` says that it has been changed so before.
    fn change(mut self, call: &str, f: impl FnOnce(&mut Layer) -> bool) -> Self {
        let l = self.layers.len();
        let why = match self.layers.last_mut().map(f) {
            None => format!("{call}() came before any dense layer; it changes the one before it"),
            Some(false) if call.ends_with("norm") => {
                format!("{call}() came where layer {} has a normalisation", l - 1)
            }
            Some(false) => format!("{call}() came twice for layer {}", l - 1),
            Some(true) => return self,
        };
        self.misplaced.get_or_insert(why);
        self
    }

    /// Chooses how the weights begin; [`Init::PyTorch`] unless chosen.
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of the output; 0 without layers.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.outputs)
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How the weights begin.
    pub fn initialisation(&self) -> Init {
        self.init
    }

    /// Width of layer `l`'s input.
    pub fn inputs_of(&self, l: usize) -> usize {
        if l == 0 {
            self.inputs
        } else {
            self.layers[l - 1].outputs
        }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let of_layer = |(l, layer): (usize, &Layer)| {
            let each = self.inputs_of(l) as u64 + 1 + 2 * u64::from(layer.norm.is_some());
            (layer.outputs as u64).saturating_mul(each)
        };
        let layers = self.layers.iter().enumerate();
        layers.map(of_layer).fold(0, u64::saturating_add)
    }

    /// Names and shapes of the parameters, as PyTorch's `nn.Sequential` of each layer's modules has them: `Linear`, where there is
    /// one `LayerNorm` or `BatchNorm1d`, activation, where there is one `Dropout`. Without these, dense layer l from 0 is
    /// `{2l}.weight` (outputs, inputs) and `{2l}.bias` (outputs); each of them moves the numbers behind it by 1. A normalisation's γ
    /// is its `weight`, β its `bias`, both (outputs). A residual connection has no number.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            let module = self.module_of(l);
            let outputs = layer.outputs;
            tensors.push((format!("{module}.weight"), vec![outputs, self.inputs_of(l)]));
            tensors.push((format!("{module}.bias"), vec![outputs]));
            if layer.norm.is_some() {
                tensors.push((format!("{}.weight", module + 1), vec![outputs]));
                tensors.push((format!("{}.bias", module + 1), vec![outputs]));
            }
        }
        tensors
    }

    /// Names and shapes of the running statistics of [batch normalisation](Self::batch_norm), as PyTorch has them:
    /// `{i}.running_mean` and `{i}.running_var` (outputs) of its module i.
    pub fn buffers(&self) -> Vec<(String, Vec<usize>)> {
        let mut buffers = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            if layer.norm == Some(Norm::Batch) {
                let module = self.module_of(l) + 1;
                for name in ["running_mean", "running_var"] {
                    buffers.push((format!("{module}.{name}"), vec![layer.outputs]));
                }
            }
        }
        buffers
    }

    /// [`tensors`](Self::tensors), and behind them [`buffers`](Self::buffers): PyTorch's `state_dict`.
    pub(crate) fn state_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = self.tensors();
        tensors.extend(self.buffers());
        tensors
    }

    /// The number of layer l's `Linear` among the modules of PyTorch's `nn.Sequential`; see [`tensors`](Self::tensors).
    pub fn module_of(&self, l: usize) -> usize {
        let before = self.layers.iter().take(l);
        before
            .map(|layer| {
                2 + usize::from(layer.norm.is_some()) + usize::from(layer.dropout.is_some())
            })
            .sum()
    }

    /// The network with functions of your own in the place of those of their names. A file holds no more than the name of a
    /// [custom](Activation::custom) activation.
    ///
    /// # Errors
    /// [`Error::MissingActivation`] if there is still one of which only the name is known.
    pub fn with_activations(mut self, own: &[Activation]) -> Result<Self> {
        for layer in &mut self.layers {
            layer.activation.replace(own)?;
        }
        Ok(self)
    }

    /// Whether the network can be built.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = |reason: String| {
            Err(Error::Network {
                reason,
                network: self.to_string(),
            })
        };
        if let Some(why) = &self.misplaced {
            return fail(why.clone());
        }
        if self.layers.is_empty() {
            return fail("it has no layers; add one with .dense(outputs, activation)".into());
        }
        if self.inputs == 0 {
            return fail("it has no inputs; Mlp::new takes the width of a row, at least 1".into());
        }
        for (l, layer) in self.layers.iter().enumerate() {
            if layer.outputs == 0 {
                return fail(format!("layer {l} has 0 outputs; at least 1 is needed"));
            }
            if u32::try_from(layer.outputs.max(self.inputs_of(l))).is_err() {
                return fail(format!("layer {l} is wider than 2³² − 1"));
            }
            if layer.activation == Activation::Softmax && l + 1 < self.layers.len() {
                return fail(format!(
                    "layer {l} of {} has softmax, which is for the last layer only",
                    self.layers.len()
                ));
            }
            layer.activation.check()?;
            let last = l + 1 == self.layers.len();
            if layer.norm == Some(Norm::Layer) && layer.outputs == 1 {
                return fail(format!(
                    "layer {l} has layer normalisation over 1 output, which leaves nothing of it but its bias: make it wider, or \
                     normalise the batch"
                ));
            }
            if let Some(p) = layer.dropout {
                if !(0.0..1.0).contains(&p) {
                    return fail(format!(
                        "layer {l} has dropout {p}; a probability from 0 to below 1 is needed"
                    ));
                }
                if last {
                    return fail(format!(
                        "layer {l} is the output and has dropout, which would put zeros among the predictions: \
                         put it on the layer before"
                    ));
                }
            }
            if layer.residual && layer.outputs != self.inputs_of(l) {
                return fail(format!(
                    "layer {l} has a residual connection, but {} inputs and {} outputs; they must be equal",
                    self.inputs_of(l),
                    layer.outputs
                ));
            }
            if layer.residual && layer.activation == Activation::Softmax {
                return fail(format!(
                    "layer {l} has softmax and a residual connection, whose sum is no probability: drop one of them"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Mlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs", self.inputs)?;
        for layer in &self.layers {
            write!(f, " → {}", layer.outputs)?;
            if let Some(norm) = layer.norm {
                write!(f, " {norm}")?;
            }
            write!(f, " {}", layer.activation)?;
            if let Some(p) = layer.dropout {
                write!(f, " dropout {p}")?;
            }
            if layer.residual {
                write!(f, " residual")?;
            }
        }
        if self.layers.is_empty() {
            write!(f, " and no layers")?;
        }
        Ok(())
    }
}

/// Where a tensor lives: elements [offset, offset + len) of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub segment: usize,
    pub offset: u64,
    pub len: u64,
}

/// Some rows of a layer's weight, and their biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panel {
    /// First output.
    pub first: u32,
    pub outputs: u32,
    pub weight: Slot,
    pub bias: Slot,
}

/// Where the parameters live. Parameters, gradients and each slot of optimiser state have the same layout: *segments* that
/// one binding can hold. A small network has one segment; a weight too large for a binding is split into row panels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Length of each segment, in elements.
    pub segments: Vec<u64>,
    /// Panels of each layer.
    pub layers: Vec<Vec<Panel>>,
    /// γ and β of each layer that has a normalisation.
    pub norms: Vec<Option<[Slot; 2]>>,
}

/// Tensors begin on multiples of 64 elements: 256 bytes, the strictest alignment of bindings.
const ALIGNMENT: u64 = 64;

impl Layout {
    /// Lays the network out in segments of at most `max_segment` elements.
    pub fn new(network: &Mlp, max_segment: u64) -> Result<Self> {
        let max_segment = max_segment / ALIGNMENT * ALIGNMENT;
        let mut layout = Layout {
            segments: vec![0],
            layers: Vec::new(),
            norms: Vec::new(),
        };
        for (l, layer) in network.layers.iter().enumerate() {
            let (inputs, outputs) = (network.inputs_of(l) as u64, layer.outputs as u64);
            let most = max_segment / inputs;
            if most == 0 {
                return Err(Error::limit_in_bytes(
                    format!("one row of layer {l}'s weight ({inputs} inputs)"),
                    4 * inputs,
                    4 * max_segment,
                    "a row must fit one storage binding: use fewer inputs",
                ));
            }
            let mut panels = Vec::new();
            let mut first = 0;
            while first < outputs {
                let rows = most.min(outputs - first);
                panels.push(Panel {
                    first: first as u32,
                    outputs: rows as u32,
                    weight: layout.place(rows * inputs, max_segment),
                    bias: layout.place(rows, max_segment),
                });
                first += rows;
            }
            layout.layers.push(panels);
            if layer.norm.is_some() && outputs > max_segment {
                return Err(Error::limit_in_bytes(
                    format!("the normalisation of layer {l} ({outputs} outputs)"),
                    4 * outputs,
                    4 * max_segment,
                    "it must fit one storage binding: use fewer outputs",
                ));
            }
            let mut slot = || layout.place(outputs, max_segment);
            let norm = layer.norm.map(|_| [slot(), slot()]);
            layout.norms.push(norm);
        }
        Ok(layout)
    }

    fn place(&mut self, len: u64, max_segment: u64) -> Slot {
        let padded = len.next_multiple_of(ALIGNMENT);
        let last = self.segments.len() - 1;
        if self.segments[last] > 0 && self.segments[last] + padded > max_segment {
            self.segments.push(0);
        }
        let segment = self.segments.len() - 1;
        let offset = self.segments[segment];
        self.segments[segment] += padded;
        Slot {
            segment,
            offset,
            len,
        }
    }
}
