//! What the integration tests share.
#![allow(dead_code)]

use wgrad::{AdapterChoice, Device, DeviceOptions};

/// The GPU under test. Tests never pass by skipping: without an adapter this fails, and says how to get one.
pub fn gpu() -> Device {
    Device::gpu().unwrap_or_else(|error| panic!("the GPU tests need an adapter: {error}"))
}

/// The same GPU with other options.
pub fn gpu_with(options: DeviceOptions) -> Device {
    let index = std::env::var_os("WGPU_ADAPTER_NAME")
        .is_none()
        .then_some(AdapterChoice::Index(0));
    let options = DeviceOptions {
        adapter: index,
        ..options
    };
    Device::open(&options).unwrap_or_else(|error| panic!("no GPU for the tests: {error}"))
}

/// Deterministic numbers in (−1, 1).
pub fn numbers(n: usize, salt: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + salt * 104_729 + 13) % 1999) as f32 / 1000.0 - 1.0)
        .collect()
}
