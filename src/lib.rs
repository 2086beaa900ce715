//! Train multi-layer perceptrons on any Vulkan, Metal or DX12 GPU through WGSL compute shaders, and prove the gradients.
//!
//! ```
//! use wgrad::{Activation::*, Adam, Dataset, Device, Loss, Matrix, Mlp, Trainer, verify};
//!
//! // Points inside and outside a circle.
//! let points: Vec<f32> = (0..800).map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0).collect();
//! let inside = points.chunks(2).map(|p| u32::from(p[0] * p[0] + p[1] * p[1] < 0.6)).collect();
//! let (train, test) = Dataset::classes(Matrix::new(2, points)?, inside)?.split(0.8, 7)?;
//!
//! let network = Mlp::new(2).dense(32, Relu).dense(2, Identity); // logits
//! let device = Device::auto()?; // a real GPU, else the CPU path
//! println!("{device}");
//! let adam = Adam { lr: 0.01, ..Adam::default() };
//! let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, adam, 7)?;
//! for epoch in 0..30 {
//!     for batch in train.batches(16)?.shuffled(epoch) {
//!         trainer.step(&batch)?; // stays on the device
//!     }
//! }
//! let evaluation = trainer.evaluate(&test)?;
//! println!("{evaluation}");
//! assert!(evaluation.accuracy > Some(0.9));
//!
//! let report = verify::gradients(&mut trainer, &test.head(32))?; // per op and tensor: error, bound, verdict
//! println!("{report}");
//! assert!(report.passed());
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! # What it does and does not
//! It trains fully connected networks in f32: dense layers with any of the [activations](Activation) or your own,
//! [layer](Mlp::layer_norm) and [batch normalisation](Mlp::batch_norm), [dropout](Mlp::dropout) and [residual connections](Mlp::residual), the [losses](Loss) and [optimisers](Optimizer) listed
//! there, on one device; rows and classes may have [weights](Dataset::with_weights), targets be
//! [smoothed](Criterion::label_smoothing()), gradients be [clipped](Clip). It has no convolutions, no attention, no automatic
//! differentiation of arbitrary programs, no half precision and no multi-GPU training. [`Trainer::fit`] runs epochs with validation, schedules, early stopping and callbacks; [`MlpClassifier`] and
//! [`MlpRegressor`] prepare their data too. [Files of data](DataFile) are CSV, NPY, NPZ, IDX and safetensors; a [`Preparation`]
//! that is fitted to training data makes numbers of them, and a [`Stream`] goes through one larger than memory.
//!
//! # How it is built
//! *One plan, several executors.* A network, a loss and an optimiser are lowered once to a flat list of ops (forward, loss, the
//! δ recursion, gradients, update). The GPU executor encodes that list; the CPU executor runs it. The order of
//! backpropagation stands in one file, `src/plan/backward.rs`.
//!
//! *Every WGSL kernel has a CPU twin of the same name*, generic over the number type. In f64 the twin is the reference; in f32,
//! with the `gemm` crate and all cores, it is the CPU path that people train on; and over a number that carries a rounding
//! bound beside its value it yields the tolerance for every element that a GPU computes.
//!
//! *Nothing degrades silently.* No adapter, a bad label, a batch too large, a non-finite loss: each is an [`Error`] that
//! says what came, what is allowed and what to do. A software adapter is called one wherever its name appears.
//!
//! *Floors.* A module uses only what stands above it in this table; `tests/floors.rs` reads the sources and sees to it.
//!
//! | file | has |
//! |---|---|
//! | `src/error.rs` | what went wrong, what is allowed, what to do |
//! | `src/number.rs`, `number/*.rs` | number types, among them `Bounded`, which carries a rounding bound: a kernel's bound comes from there; elementary functions, loops, matrix products |
//! | `src/data.rs`, `data/*.rs` | data sets, splits, batches; readers, one a file; preparation; streams of data larger than memory |
//! | `src/config.rs`, `config/*.rs` | what a user says: network, activations, losses, optimisers, schedules, initial weights, tensors; `activation.rs`, `row_loss.rs` and `update.rs` have the formulas that fragments of WGSL have, too |
//! | `src/kernels.rs`, `kernels/*.rs`, `shaders/*.wgsl` | one kernel a file, in Rust (its declaration, twin, awkward cases) and in WGSL; `declare.rs` makes structs of a declaration and `assemble.rs` the text, `step.rs` is what changes from step to step, `form.rs`, `shaders/form/` and `shaders/operand/` are the forms of the matmul |
//! | `src/plan.rs`, `plan/*.rs` | the lowering: `forward.rs`, `loss.rs`, `backward.rs` with the δ recursion, `update.rs`, `small_network.rs` |
//! | `src/metrics.rs`, `metrics/*.rs` | metrics, and the report made of them |
//! | `src/exec.rs`, `exec/*.rs` | devices; the CPU executor; recorded choices of kernels; `exec/gpu/` is the only place that names wgpu: a batch becomes device words in its `upload.rs` |
//! | `src/check.rs` | a kernel's case, or ops of a plan, on a device against the twin with its bound |
//! | `src/tune.rs` | measures, before the first step, which form of the matmul is fastest |
//! | `src/trainer.rs`, `trainer/*.rs` | steps, micro-batches, evaluation; whole epochs, small networks |
//! | `src/files.rs`, `files/*.rs` | weights, models and checkpoints as safetensors files; models as ONNX |
//! | `src/fit.rs`, `fit/*.rs` | training without a loop: options, history, state, early stopping |
//! | `src/verify.rs`, `verify/*.rs` | the proof |
//! | `src/profile.rs` | where the time goes |
//! | `src/estimator.rs`, `estimator/*.rs` | classifier and regressor as in scikit-learn |
//! | `src/book.rs`, `book/*.md` | the book |
//!
//! # Conventions
//! Row-major, batch first: `x (B, I)`, `W (O, I)`, `b (O)`, `z = x·Wᵀ + b (B, O)`, `a = φ(z)`, targets `t`, `δ = ∂L/∂z`. W has
//! PyTorch's layout and the tensors PyTorch's names, so that a `state_dict` carries over. The recursion: `δ_L` from the loss;
//! `δ_l = (δ_{l+1}·W_{l+1}) ⊙ φ′_l(z_l)`; `∂L/∂W_l = δ_lᵀ·a_{l−1}`; `∂L/∂b_l = Σ_rows δ_l`. The device sums over rows; the
//! division by the number of rows happens once, in the update, so that micro-batches of any sizes give exactly the mean of the
//! whole. φ′ at a kink is part of the contract: `relu'(0)` is 0, or what [`Activation::ReluWith`] says.
//!
//! # The proof
//! Each rung checks the next, and `cargo test` climbs all of them: central differences ⟶ the f64 twins; numbers computed by
//! PyTorch ⟶ the plan; the f64 twin, fed the GPU's own inputs ⟶ each GPU kernel, per element, within the rounding bound
//! `(K+2)·2⁻²⁴·Σ|a||b|` carried through the op, on awkward shapes with NaNs around every operand; whole runs ⟶ whole runs;
//! planted faults ⟶ the checks themselves. [`verify`] gives users the same checks for their network and their driver.
//!
//! The mathematics, formula by formula, and the five derivations that the crate comes from, in its symbols: [`book::mathematics`].
//! `examples/derivations.rs` runs them; `tests/kernels/derivations.rs` computes their printed formulas literally.
//!
//! # The book
//! [`book`] has the rest: the [start](book::start), [training](book::training), [data](book::data),
//! [verification](book::verification), [performance](book::performance), [recipes](book::recipes), and
//! [questions with answers](book::faq). To add an activation, a loss or an optimiser to the crate, see [`book::contributing`].

pub mod book;
mod check;
mod config;
pub mod data;
pub mod error;
pub mod estimator;
mod exec;
pub mod files;
pub mod fit;
pub mod kernels;
pub mod metrics;
mod number;
mod plan;
pub mod profile;
pub mod trainer;
mod tune;
pub mod verify;

pub use config::{activation, init, loss, optimizer, schedule, spec, tensor};
pub use exec::{choices as tuning, device};

#[doc(inline)]
pub use activation::Activation;
#[doc(inline)]
pub use data::{
    Array, Batches, ClassMap, Column, ColumnRef, CsvOptions, DataFile, Dataset, Delimiter, Element,
    Encoding, Folds, Guess, InputColumn, Matrix, Missing, OpenOptions, Part, Preparation,
    PreparationOptions, Prepared, Raw, Real, Scaling, Source, Standardizer, Stream, Survey, Table,
    TargetEncoding, Targets, Task, Unseen,
};
#[doc(inline)]
pub use device::{
    AdapterChoice, AdapterDescription, AdapterDetails, Assumed, Device, DeviceOptions, Fault,
};
#[doc(inline)]
pub use error::{Error, Result};
#[doc(inline)]
pub use estimator::{MlpClassifier, MlpRegressor};
#[doc(inline)]
pub use files::{Checkpoint, CheckpointFolder, Found, Model};
#[doc(inline)]
pub use fit::{EarlyStopping, Fit, FitOptions, History, Validation};
#[doc(inline)]
pub use init::Init;
#[doc(inline)]
pub use loss::{Criterion, Loss, Reduction};
#[doc(inline)]
pub use metrics::Evaluation;
#[doc(inline)]
pub use optimizer::{Adam, AdamW, Clip, Optimizer, RmsProp, Sgd};
#[doc(inline)]
pub use schedule::Schedule;
#[doc(inline)]
pub use spec::{Layer, Mlp, Norm};
#[doc(inline)]
pub use tensor::{Tensor, Tensors};
#[doc(inline)]
pub use trainer::{Loaded, Storage, Trainer};
#[doc(inline)]
pub use tuning::{Choices, Tuning, TuningCache, TuningReport};

/// The README's program is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
