//! One dispatch.

use std::fmt;

use super::View;
use crate::config::activation::Activation;
use crate::kernels::{Call, Choice};

/// One dispatch: a kernel with its parameters and operands.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub call: Call,
    pub activation: Activation,
    pub reads: Vec<View>,
    pub writes: Vec<View>,
    /// Layer, from 0.
    pub layer: Option<usize>,
    /// How a GPU computes this product, where that is not left to the device.
    pub choice: Option<Choice>,
    /// Panel of the layer's weight, or segment of the parameters, where there is more than one.
    pub part: Option<usize>,
}

impl Op {
    /// An op that belongs to no layer, with the identity, computed as the device chooses.
    pub fn new(call: impl Into<Call>, reads: Vec<View>, writes: Vec<View>) -> Self {
        Self {
            call: call.into(),
            activation: Activation::Identity,
            reads,
            writes,
            layer: None,
            choice: None,
            part: None,
        }
    }

    /// The same with this activation.
    pub fn through(self, activation: &Activation) -> Self {
        Self {
            activation: activation.clone(),
            ..self
        }
    }

    /// The same as an op of layer `layer`, from 0.
    pub fn of_layer(self, layer: usize) -> Self {
        Self {
            layer: Some(layer),
            ..self
        }
    }

    /// The same in this form.
    pub fn chosen(self, choice: Option<Choice>) -> Self {
        Self { choice, ..self }
    }

    /// The same as a part of several, or the whole.
    pub fn part_of(self, part: Option<usize>) -> Self {
        Self { part, ..self }
    }

    /// The same op with its parameters as a GPU holds them, rounded to f32.
    pub fn as_device(&self) -> Self {
        Self {
            call: self.call.as_device(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.call.name())?;
        if let Some(layer) = self.layer {
            write!(f, ", layer {layer}")?;
        }
        if let Some(part) = self.part {
            write!(f, ", part {part}")?;
        }
        if self.call.kernel().activation {
            write!(f, ", {}", self.activation)?;
        }
        Ok(())
    }
}
