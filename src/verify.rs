//! Proof: what a device computes, held against the f64 reference with a bound for every element.
//!
//! - [`kernels()`] runs the whole kernel table on awkward shapes: a test of this adapter and its driver.
//! - [`gradients()`] runs a training step of your network op by op: each op's result against the f64 twin fed the device's
//!   own inputs, and each gradient against an f64 run of the whole plan.
//! - [`finite_differences()`] holds the f64 reference itself against central differences.
//! - [`training()`] follows a whole run step by step.
//! - [`dimensions()`] holds the shapes of derivatives against the parameters'.
//! - [`activation()`] holds an activation's fragment, its Rust functions and its derivative against each other.
//!
//! The bounds follow from the lengths of the sums and from WGSL's accuracy rules; none is tuned. A comparison holds if
//! both sides and the bound are finite and |device − reference| ≤ bound, so a NaN never passes.

mod activation;
mod differences;
mod dimensions;
mod gradients;
mod kernels;
mod training;

pub use activation::activation;
pub use differences::finite_differences;
pub use dimensions::dimensions;
pub use gradients::gradients;
pub use kernels::{KernelOptions, KernelProgress, kernels, kernels_with, kernels_with_progress};
pub use training::training;

pub use crate::check::{Check, Report};
