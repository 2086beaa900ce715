//! Many devices in one process: each is opened on the process's only instance, whatever the thread.

use crate::common;
use wgrad::{Activation::*, Adam, Dataset, Device, DeviceOptions, Loss, Matrix, Mlp, Trainer};

fn open() -> Device {
    common::gpu_with(DeviceOptions::default())
}

/// A step on a new device, which is then dropped.
fn train_once() {
    let network = Mlp::new(3).dense(4, Tanh).dense(2, Identity);
    let x = Matrix::new(3, vec![0.5, -1.0, 2.0, 1.5, 0.25, -0.5]).unwrap();
    let data = Dataset::classes(x, vec![0, 1]).unwrap();
    let mut trainer =
        Trainer::new(&open(), &network, Loss::CrossEntropy, Adam::default(), 7).unwrap();
    trainer.step(&data).unwrap();
    assert!(trainer.take_loss().unwrap().is_finite());
}

#[test]
fn two_hundred_devices_one_after_the_other() {
    for _ in 0..200 {
        open();
    }
}

#[test]
fn devices_in_eight_threads_while_adapters_are_listed() {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..25).for_each(|_| train_once())))
            .collect();
        while !threads.iter().all(|thread| thread.is_finished()) {
            assert!(!Device::adapters().is_empty());
        }
    });
}
