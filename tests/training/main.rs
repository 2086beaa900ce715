//! Training: steps, epochs, fits and what can go wrong in them, on a GPU and on the CPU path. `schedule` needs no GPU.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod devices;
mod digits;
mod epoch;
mod estimator;
mod fit;
mod loss_control;
mod metrics;
mod row_weights;
mod schedule;
mod training;
