//! What a user says: the network, its loss and optimiser, schedules, initial weights, named tensors.

pub mod activation;
pub(crate) mod fragment;
pub mod init;
pub mod loss;
pub mod optimizer;
pub(crate) mod row_loss;
pub mod schedule;
pub mod spec;
pub mod tensor;
pub(crate) mod update;
