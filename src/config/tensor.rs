//! Named tensors: weights and gradients as they leave and enter a trainer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, shortest};

/// A named, row-major array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensor<T = f32> {
    /// PyTorch's name in `nn.Sequential(Linear, activation, …)`: `{2l}.weight` or `{2l}.bias` of dense layer l.
    pub name: String,
    /// (outputs, inputs) of a weight, (outputs) of a bias.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<T>,
}

/// The parameters of a network, or something of the same shapes: for each layer its weight and its bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensors<T = f32> {
    tensors: Vec<Tensor<T>>,
}

impl<T> Tensors<T> {
    /// From tensors in any order; [`Trainer::set_weights`](crate::Trainer::set_weights) checks names and shapes.
    pub fn new(tensors: Vec<Tensor<T>>) -> Self {
        Self { tensors }
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor<T>> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The tensor of this name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor<T>> {
        self.tensors.iter_mut().find(|tensor| tensor.name == name)
    }

    /// The number before the names of dense layer `layer`: the weights of dense layers have two dimensions, those of
    /// normalisations one. In a set without them, what it is in a network of dense layers alone.
    fn module(&self, layer: usize) -> usize {
        let dense = self.tensors.iter().filter(|t| t.shape.len() == 2);
        let numbers = dense.filter_map(|t| t.name.strip_suffix(".weight")?.parse().ok());
        let mut numbers: Vec<usize> = numbers.collect();
        numbers.sort_unstable();
        numbers.get(layer).copied().unwrap_or(2 * layer)
    }

    /// Weight of dense layer `layer`, from 0: of the dense layers that are here.
    pub fn weight(&self, layer: usize) -> Option<&Tensor<T>> {
        self.get(&format!("{}.weight", self.module(layer)))
    }

    /// Bias of dense layer `layer`, from 0.
    pub fn bias(&self, layer: usize) -> Option<&Tensor<T>> {
        self.get(&format!("{}.bias", self.module(layer)))
    }

    /// Weight of dense layer `layer`, to change.
    pub fn weight_mut(&mut self, layer: usize) -> Option<&mut Tensor<T>> {
        self.get_mut(&format!("{}.weight", self.module(layer)))
    }

    /// Bias of dense layer `layer`, to change.
    pub fn bias_mut(&mut self, layer: usize) -> Option<&mut Tensor<T>> {
        self.get_mut(&format!("{}.bias", self.module(layer)))
    }

    /// All tensors, layer after layer.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor<T>> {
        self.tensors.iter()
    }

    /// All tensors, to change.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Tensor<T>> {
        self.tensors.iter_mut()
    }
}

impl<'a, T> IntoIterator for &'a Tensors<T> {
    type Item = &'a Tensor<T>;
    type IntoIter = std::slice::Iter<'a, Tensor<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Whether `tensor` has the shape that the network's tensor of its name has, and finite elements.
pub(crate) fn check(tensor: &Tensor, shape: &[usize]) -> Result<()> {
    let count: usize = shape.iter().product();
    if tensor.shape != shape || tensor.data.len() != count {
        return Err(Error::shape(
            format!("tensor {}", tensor.name),
            format!("{:?} with {} elements", tensor.shape, tensor.data.len()),
            format!("{shape:?}"),
            "a weight is (outputs, inputs), all else (outputs)",
        ));
    }
    if let Some(i) = tensor.data.iter().position(|x| !x.is_finite()) {
        let cols = shape.last().copied().unwrap_or(1);
        let (what, x) = (format!("tensor {}", tensor.name), shortest(tensor.data[i]));
        return Err(Error::value(what, x, (i, cols), "finite"));
    }
    Ok(())
}

impl<T> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.shape)
    }
}
