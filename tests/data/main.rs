//! Data and metrics. Nothing here needs a GPU.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod data;
mod metrics;
mod ndarray;
mod same_numbers;
