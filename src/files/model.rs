//! Models: a network with its weights, ready to predict.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::container::{self, Entry, take};
use super::weights;
use crate::config::activation::Activation;
use crate::config::loss::Criterion;
use crate::config::optimizer::{Optimizer, Sgd};
use crate::config::spec::Mlp;
use crate::config::tensor::{self, Tensor, Tensors};
use crate::data::Matrix;
use crate::error::{Error, Result};
use crate::exec::device::Device;
use crate::trainer::{StoredArray, Trainer};

const KIND: &str = "model";

/// A trained network with all that is needed to predict: its layers, its weights, the loss that they were trained for and how
/// data is prepared. Its file is a safetensors file whose tensors PyTorch loads as a `state_dict`; the rest is in the metadata.
///
/// ```
/// use wgrad::{Activation::*, Device, Loss, Matrix, Mlp, Model, Sgd, Trainer};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// let network = Mlp::new(2).dense(3, Tanh).dense(1, Identity);
/// let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::Mse, Sgd::default(), 7)?;
/// trainer.model()?.save(&path)?;
///
/// let model = Model::load(&path)?;
/// let x = Matrix::new(2, vec![0.5, -1.0])?;
/// assert_eq!(model.predict(&Device::cpu(), &x)?, trainer.predict(&x)?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    network: Mlp,
    criterion: Criterion,
    weights: Tensors,
    version: String,
    /// How a row of data becomes a row of x, as whoever prepared it describes it; [`predict`](Self::predict) takes x as it is.
    pub preparation: Option<serde_json::Value>,
}

/// What the metadata holds.
#[derive(Serialize, Deserialize)]
struct ModelBody {
    network: Mlp,
    criterion: Criterion,
    #[serde(default)]
    preparation: Option<serde_json::Value>,
}

impl Model {
    /// A model of a network with its weights.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnknownTensor`], [`Error::Shape`] or [`Error::Value`] if the weights are not the
    /// network's.
    pub fn new(network: &Mlp, criterion: impl Into<Criterion>, weights: Tensors) -> Result<Self> {
        Ok(Self {
            weights: complete(network, weights, "the weights given")?,
            network: network.clone(),
            criterion: criterion.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            preparation: None,
        })
    }

    /// The network.
    pub fn network(&self) -> &Mlp {
        &self.network
    }

    /// The loss that it was trained for.
    pub fn criterion(&self) -> Criterion {
        self.criterion
    }

    /// The weights, in the order of [`Mlp::tensors`], and behind them the running statistics, as [`Mlp::buffers`].
    pub fn weights(&self) -> &Tensors {
        &self.weights
    }

    /// Version of this crate that made it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The model with functions of your own in the place of those of their names: a file holds no more than the name of a
    /// [custom](Activation::custom) activation.
    ///
    /// # Errors
    /// [`Error::MissingActivation`] if there is still one of which only the name is known.
    pub fn with_activations(mut self, own: &[Activation]) -> Result<Self> {
        self.network = self.network.with_activations(own)?;
        Ok(self)
    }

    /// The network's output (N, O) for inputs x (N, I), computed on a device. To predict often, keep a
    /// [`trainer`](Self::trainer): this sets one up each time.
    ///
    /// # Errors
    /// As [`Trainer::new`] and [`Trainer::predict`].
    pub fn predict(&self, device: &Device, x: &Matrix) -> Result<Matrix> {
        self.trainer(device, Sgd::default())?.predict(x)
    }

    /// A trainer that begins with these weights.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn trainer(&self, device: &Device, optimizer: impl Into<Optimizer>) -> Result<Trainer> {
        // Every weight is replaced: nothing comes of the seed.
        let mut trainer = Trainer::new(device, &self.network, self.criterion, optimizer, 0)?;
        trainer.set_weights(&self.weights)?;
        Ok(trainer)
    }

    fn write(&self, to: &mut dyn std::io::Write) -> std::io::Result<()> {
        let body = ModelBody {
            network: self.network.clone(),
            criterion: self.criterion,
            preparation: self.preparation.clone(),
        };
        let entries = self.weights.iter().map(weights::entry).collect();
        container::write_sealed(to, KIND, &body, entries)
    }

    fn read(bytes: &[u8], file: &str) -> Result<Self> {
        let (body, mut arrays, version): (ModelBody, _, _) =
            container::read_sealed(bytes, KIND, file)?;
        let weights = take_tensors(&mut arrays, &body.network, "", file)?;
        Ok(Self {
            weights: complete(&body.network, weights, file)?,
            network: body.network,
            criterion: body.criterion,
            version,
            preparation: body.preparation,
        })
    }
}

super::container::sealed_file!(Model, "model");

/// The weights in the network's order, if they are all there and no others.
pub(crate) fn complete(network: &Mlp, weights: Tensors, what: &str) -> Result<Tensors> {
    let known = network.state_tensors();
    let is_extra = |t: &&Tensor| known.iter().all(|(name, _)| *name != t.name);
    if let Some(extra) = weights.iter().find(is_extra) {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let (name, known) = (extra.name.clone(), names.join(", "));
        return Err(Error::UnknownTensor { name, known });
    }
    let mut ordered = Vec::new();
    for (name, shape) in &known {
        let Some(found) = weights.get(name) else {
            let names: Vec<&str> = weights.iter().map(|t| t.name.as_str()).collect();
            return Err(Error::MissingTensor {
                what: what.to_owned(),
                name: name.clone(),
                found: names.join(", "),
            });
        };
        tensor::check(found, shape)?;
        ordered.push(found.clone());
    }
    Ok(Tensors::new(ordered))
}

/// The network's tensors, with a prefix to their names, from a file's arrays.
pub(super) fn take_tensors(
    arrays: &mut HashMap<String, StoredArray>,
    network: &Mlp,
    prefix: &str,
    file: &str,
) -> Result<Tensors> {
    let tensors = network.state_tensors().into_iter().map(|(name, shape)| {
        let wanted = format!("{prefix}{name}");
        let array = take(arrays, &wanted, &shape).ok_or_else(|| absent(file, &wanted, &shape))?;
        let data = array.numbers.to_f32();
        Ok(Tensor { name, shape, data })
    });
    Ok(Tensors::new(tensors.collect::<Result<_>>()?))
}

/// A file whose tensors are not those that its description calls for.
pub(super) fn absent(file: &str, name: &str, shape: &[usize]) -> Error {
    let problem =
        format!("it has no tensor {name:?} of shape {shape:?}, which its network calls for");
    let advice = "another program has changed it: take the original";
    Error::file(file, problem, advice)
}

/// A tensor on its way into a file under another name.
pub(super) fn prefixed<'a>(prefix: &str, tensor: &'a Tensor) -> Entry<'a> {
    let name = format!("{prefix}{}", tensor.name);
    Entry::f32(name, &tensor.shape, &tensor.data)
}
