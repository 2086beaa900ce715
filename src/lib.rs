//! Train multi-layer perceptrons on any GPU, and prove the gradients.

pub mod activation;
mod bounded;
mod cpu;
pub mod data;
pub mod device;
pub mod error;
mod executor;
mod gpu;
pub mod init;
pub mod kernels;
pub mod loss;
pub mod metrics;
pub mod optimizer;
mod plan;
pub mod profile;
mod scalar;
pub mod spec;
pub mod tensor;
pub mod trainer;
pub mod verify;

pub use activation::Activation;
pub use data::{Batches, Dataset, Matrix, Targets};
pub use device::{AdapterChoice, AdapterDescription, Device, DeviceOptions, Fault};
pub use error::{Error, Result};
pub use init::Init;
pub use loss::{Criterion, Loss, Reduction};
pub use metrics::Evaluation;
pub use optimizer::{Adam, AdamW, Optimizer, RmsProp, Sgd};
pub use spec::{Layer, Mlp};
pub use tensor::{Tensor, Tensors};
pub use trainer::Trainer;
