//! The network: widths and activations, their checks, and where each weight and bias lives.

use std::fmt;

use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::init::Init;

/// A dense layer: `a = φ(x·Wᵀ + b)` with W (outputs, inputs), b (outputs).
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Width of the layer.
    pub outputs: usize,
    /// φ.
    pub activation: Activation,
}

/// A multi-layer perceptron: the width of its input and its layers. No device takes part; nothing is checked before
/// [`Trainer::new`](crate::Trainer::new).
///
/// ```
/// use wgrad::{Activation::*, Init, Mlp};
/// let network = Mlp::new(784).dense(128, Relu).dense(10, Identity).init(Init::HeUniform);
/// assert_eq!(network.parameters(), 784 * 128 + 128 + 128 * 10 + 10);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    inputs: usize,
    layers: Vec<Layer>,
    init: Init,
}

impl Mlp {
    /// A network of no layers yet, for rows of `inputs` numbers.
    pub fn new(inputs: usize) -> Self {
        Self {
            inputs,
            layers: Vec::new(),
            init: Init::default(),
        }
    }

    /// Appends a dense layer.
    #[must_use]
    pub fn dense(mut self, outputs: usize, activation: Activation) -> Self {
        self.layers.push(Layer {
            outputs,
            activation,
        });
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

    /// Number of weights and biases.
    pub fn parameters(&self) -> u64 {
        (0..self.layers.len())
            .map(|l| (self.layers[l].outputs as u64).saturating_mul(self.inputs_of(l) as u64 + 1))
            .fold(0, u64::saturating_add)
    }

    /// Names and shapes of the parameters, as PyTorch's `nn.Sequential(Linear, activation, Linear, …)` has them: dense layer l
    /// from 0 is `{2l}.weight` (outputs, inputs) and `{2l}.bias` (outputs).
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        (0..self.layers.len())
            .flat_map(|l| {
                let outputs = self.layers[l].outputs;
                [
                    (
                        format!("{}.weight", 2 * l),
                        vec![outputs, self.inputs_of(l)],
                    ),
                    (format!("{}.bias", 2 * l), vec![outputs]),
                ]
            })
            .collect()
    }

    /// Whether the network can be built.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = |reason: String| {
            Err(Error::Network {
                reason,
                network: self.to_string(),
            })
        };
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
        }
        Ok(())
    }
}

impl fmt::Display for Mlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs", self.inputs)?;
        for layer in &self.layers {
            write!(f, " → {} {}", layer.outputs, layer.activation)?;
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
        };
        for (l, layer) in network.layers.iter().enumerate() {
            let (inputs, outputs) = (network.inputs_of(l) as u64, layer.outputs as u64);
            let most = max_segment / inputs;
            if most == 0 {
                return Err(Error::Limit {
                    what: format!("one row of layer {l}'s weight ({inputs} inputs), in bytes,"),
                    need: 4 * inputs,
                    limit: 4 * max_segment,
                    advice: "a row must fit one storage binding: use fewer inputs".into(),
                });
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
