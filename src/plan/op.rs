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
        f.write_str(self.call.kernel().name)?;
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
