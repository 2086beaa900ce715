//! What arithmetic is made of: the numbers that twins are computed with, elementary functions, loops and matrix products.

pub(crate) mod bounded;
mod elementary;
mod gemm;
pub(crate) mod loops;
pub(crate) mod numbers;
pub(crate) mod pool;
pub(crate) mod scalar;
