//! Kernels and the plan, on a GPU, on the CPU path and on the reference. `shaders`, `differences` need no GPU.

#[path = "../common/mod.rs"]
mod common;

mod accuracy;
mod derivations;
mod differences;
mod fixtures;
mod kernels;
mod layers;
mod mutations;
mod numerics;
mod profile;
mod segments;
mod shaders;
