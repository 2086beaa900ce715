//! Checkpoints: all that decides how training goes on.

use serde::{Deserialize, Serialize};

use super::container::{self, Entry, take};
use super::model::{Model, absent, complete, prefixed, take_tensors};
use crate::config::activation::Activation;
use crate::config::loss::Criterion;
use crate::config::optimizer::Optimizer;
use crate::config::spec::Mlp;
use crate::config::tensor::{Tensor, Tensors};
use crate::error::{Error, Result};
use crate::exec::choices::Choices;
use crate::plan::HISTORY;
use crate::trainer::{State, StoredArray};

const KIND: &str = "checkpoint";

/// All that decides how training goes on: weights, optimiser and its state, gradients of micro-batches that wait for their
/// update, what the device keeps of the losses, counters, the choice of kernels, and what the loop around the trainer puts with
/// it. Made by [`Trainer::checkpoint`](crate::Trainer::checkpoint), taken up by [`Trainer::resume`](crate::Trainer::resume):
/// training that was stopped and resumed gives the bits of training that was not. A
/// [`CheckpointFolder`](crate::CheckpointFolder) keeps several.
///
/// ```
/// use wgrad::{Activation::*, Adam, Checkpoint, Dataset, Device, Loss, Matrix, Mlp, Trainer};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("checkpoint.safetensors");
/// let x = Matrix::from_rows(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])?;
/// let data = Dataset::classes(x, vec![0, 1, 1, 0])?;
/// let network = Mlp::new(2).dense(8, Tanh).dense(2, Identity);
/// let device = Device::cpu();
/// let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 7)?;
/// trainer.step(&data)?;
/// trainer.checkpoint()?.save(&path)?;
/// trainer.step(&data)?;
///
/// let mut resumed = Trainer::resume(&device, &Checkpoint::load(&path)?)?;
/// resumed.step(&data)?;
/// assert_eq!(resumed.weights()?, trainer.weights()?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub(crate) state: State,
    /// Weights, optimiser state, ledger, losses and, where micro-batches wait, gradients: those of [`State::arrays`], in its order.
    pub(crate) arrays: Vec<StoredArray>,
    version: String,
    /// State of the loop around the trainer: epoch, place in the permutation, schedule, what has been seen so far.
    pub fit: Option<serde_json::Value>,
    /// How a row of data becomes a row of x, as whoever prepared it describes it.
    pub preparation: Option<serde_json::Value>,
    /// The best weights so far, where the loop keeps them.
    pub best: Option<Tensors>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointBody {
    state: State,
    #[serde(default)]
    fit: Option<serde_json::Value>,
    #[serde(default)]
    preparation: Option<serde_json::Value>,
    /// Whether there are tensors of the best weights.
    #[serde(default)]
    best: bool,
}

/// Counters beyond this do not come from training.
pub(crate) const MOST: u64 = 1 << 53;

const BEST: &str = "best.";

impl Checkpoint {
    pub(crate) fn new(state: State, arrays: Vec<StoredArray>) -> Self {
        Self {
            state,
            arrays,
            version: env!("CARGO_PKG_VERSION").into(),
            fit: None,
            preparation: None,
            best: None,
        }
    }

    /// The network.
    pub fn network(&self) -> &Mlp {
        &self.state.network
    }

    /// The loss and its reduction.
    pub fn criterion(&self) -> Criterion {
        self.state.criterion
    }

    /// The optimiser, with its learning rate of that moment.
    pub fn optimizer(&self) -> &Optimizer {
        &self.state.optimizer
    }

    /// Updates made until then.
    pub fn steps(&self) -> u64 {
        self.state.steps
    }

    /// The device that it was made on.
    pub fn device(&self) -> &str {
        &self.state.device
    }

    /// The choice of kernels with which it was made.
    pub fn choices(&self) -> &Choices {
        &self.state.choices
    }

    /// Version of this crate that made it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The weights and running statistics of that moment.
    pub fn weights(&self) -> Tensors {
        let tensors = self.state.network.state_tensors().into_iter();
        let tensor = |(name, shape): (String, Vec<usize>)| {
            let array = self.arrays.iter().find(|array| array.name == name)?;
            let data = array.numbers.to_f32();
            Some(Tensor { name, shape, data })
        };
        Tensors::new(tensors.filter_map(tensor).collect())
    }

    /// A model of the best weights, or of those of that moment where the loop kept no best ones.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn model(&self) -> Result<Model> {
        let weights = self.best.clone().unwrap_or_else(|| self.weights());
        let mut model = Model::new(&self.state.network, self.state.criterion, weights)?;
        model.preparation.clone_from(&self.preparation);
        Ok(model)
    }

    /// The checkpoint with functions of your own in the place of those of their names: a file holds no more than the name of a
    /// [custom](Activation::custom) activation.
    ///
    /// # Errors
    /// [`Error::MissingActivation`] if there is still one of which only the name is known.
    pub fn with_activations(mut self, own: &[Activation]) -> Result<Self> {
        self.state.network = self.state.network.with_activations(own)?;
        Ok(self)
    }

    fn write(&self, to: &mut dyn std::io::Write) -> std::io::Result<()> {
        let body = CheckpointBody {
            state: self.state.clone(),
            fit: self.fit.clone(),
            preparation: self.preparation.clone(),
            best: self.best.is_some(),
        };
        let arrays = self.arrays.iter().map(Entry::array);
        let best = self.best.iter().flatten().map(|t| prefixed(BEST, t));
        container::write_sealed(to, KIND, &body, arrays.chain(best).collect())
    }

    fn read(bytes: &[u8], file: &str) -> Result<Self> {
        let (body, mut found, version): (CheckpointBody, _, _) =
            container::read_sealed(bytes, KIND, file)?;
        let state = body.state;
        let (pending, loss) = (&state.pending, &state.loss_rows);
        let counters = [
            state.steps,
            state.batches,
            pending.rows,
            loss.rows,
            state.norms.0,
        ];
        let weights = [pending.weight, loss.weight];
        let mut weights = weights.iter().chain(&state.history);
        let sound = counters.iter().all(|&count| count <= MOST)
            && weights.all(|weight| weight.is_finite() && *weight >= 0.0)
            && state.history.len() <= HISTORY
            && state.history.len() as u64 <= state.batches
            && state.norms.1 <= HISTORY
            && state.norms.1 as u64 <= state.norms.0;
        if !sound {
            let problem = "its counters do not come from training";
            let advice = "another program has made it: take the original";
            return Err(Error::file(file, problem, advice));
        }
        let mut arrays = Vec::new();
        for (name, shape) in state.arrays() {
            let array = take(&mut found, &name, &shape);
            arrays.push(array.ok_or_else(|| absent(file, &name, &shape))?);
        }
        let best = body.best.then(|| {
            let best = take_tensors(&mut found, &state.network, BEST, file)?;
            complete(&state.network, best, file)
        });
        let best = best.transpose()?;
        let checkpoint = Self {
            state,
            arrays,
            version,
            fit: body.fit,
            preparation: body.preparation,
            best,
        };
        complete(&checkpoint.state.network, checkpoint.weights(), file)?;
        Ok(checkpoint)
    }
}

super::container::sealed_file!(Checkpoint, "checkpoint");
