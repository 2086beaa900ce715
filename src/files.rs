//! Files that outlive a run: weights that PyTorch reads, models that predict, checkpoints that go on.
//!
//! [`Tensors::save`](crate::Tensors::save) writes weights alone, under PyTorch's `state_dict` names.
//! A [`Model`] adds what is needed to predict: the network, the loss, how data is prepared. A [`Checkpoint`] holds all that
//! decides how training goes on, so that stopping and resuming gives the bits of not stopping.
//!
//! All are safetensors files but one: [`Model::save_onnx`] writes an ONNX file, which other runtimes run and this crate does not
//! read.
//!
//! A file is written beside its final place, synced and renamed; after a crash there is the old file or the new one, whole.
//! [`replace`] and [`Replacement`] do so with files of any kind.
//!
//! A model or a checkpoint has a checksum over every byte: a damaged, truncated or foreign file is an
//! [`Error::File`](crate::Error::File) that says what is wrong.

mod checkpoint;
mod container;
mod disk;
mod estimated;
mod folder;
mod model;
mod onnx;
mod trainer;
mod weights;

pub use checkpoint::Checkpoint;
pub(crate) use checkpoint::MOST;
pub use disk::{Replacement, replace};
pub(crate) use estimated::Estimated;
pub use folder::{CheckpointFolder, Found, Skipped};
pub use model::Model;
