//! The book: how to use this crate, and why it can be believed. (The map of the source is on the [front page](crate).)
//!
//! | chapter | about |
//! |---|---|
//! | [`start`] | the first training, in five minutes |
//! | [`training`] | networks and losses, steps, fits, learning rates, early stopping, clipping |
//! | [`data`] | files, preparation, splits, weights, data larger than memory |
//! | [`files`] | weights, models, checkpoints, ONNX |
//! | [`tool`] | the program `wgrad`: from files to files, without Rust |
//! | [`verification`] | what each rung proves, checks of your network and driver, reading a report, planting a fault |
//! | [`performance`] | epochs on the device, forms and the tuner, small networks, whether a GPU is worth it, reading benches |
//! | [`mathematics`] | every formula, the δ recursion, the five derivations in our symbols |
//! | [`recipes`] | an activation or a loop of your own, freezing a layer, class imbalance, cross-validation |
//! | [`faq`] | limits, errors that people meet, drivers, software adapters, determinism |
//! | [`contributing`] | to add an activation, a loss, an optimiser to the crate |
//!
//! Whole programs are in `examples/`; each runs in seconds.

#[doc = include_str!("../book/start.md")]
pub mod start {}

#[doc = include_str!("../book/training.md")]
pub mod training {}

#[doc = include_str!("../book/data.md")]
pub mod data {}

#[doc = include_str!("../book/files.md")]
pub mod files {}

#[doc = include_str!("../book/tool.md")]
pub mod tool {}

#[doc = include_str!("../book/verification.md")]
pub mod verification {}

#[doc = include_str!("../book/performance.md")]
pub mod performance {}

#[doc = include_str!("../book/mathematics.md")]
pub mod mathematics {}

#[doc = include_str!("../book/recipes.md")]
pub mod recipes {}

#[doc = include_str!("../book/faq.md")]
pub mod faq {}

#[doc = include_str!("../book/contributing.md")]
pub mod contributing {}
