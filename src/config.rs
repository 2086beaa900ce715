//! What a user says: the network, its loss and optimiser, schedules, initial weights, named tensors.

pub mod activation;
pub mod init;
pub mod loss;
pub mod optimizer;
pub mod schedule;
pub mod spec;
pub mod tensor;
