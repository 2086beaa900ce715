//! Files of weights, models and checkpoints, and runs that go on from them. Most need a GPU.

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod onnx;
mod onnx_graph;
mod resume;
mod weights;
