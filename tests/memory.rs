//! A long run: nothing is created on the device and memory is flat. Alone in its process, whose size it looks at.
#![cfg(target_os = "linux")]

mod common;

use wgrad::{Activation::*, Adam, Dataset, Loss, Matrix, Mlp, Trainer};

/// Kilobytes of this process in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

#[test]
fn a_long_run_creates_nothing_on_the_device_and_its_memory_is_flat() {
    let x = (0..64 * 19)
        .map(|i| (i % 101) as f32 / 50.0 - 1.0)
        .collect();
    let labels = (0..64).map(|r| r % 5).collect();
    let data = Dataset::classes(Matrix::new(19, x).unwrap(), labels).unwrap();
    let network = Mlp::new(19)
        .dense(33, Gelu)
        .dense(17, Tanh)
        .dense(5, Identity);
    let batches: Vec<Dataset> = data.batches(24).unwrap().collect();
    let mut trainer = Trainer::new(
        &common::gpu(),
        &network,
        Loss::CrossEntropy,
        Adam::default(),
        3,
    )
    .unwrap();
    let steps = |trainer: &mut Trainer, n: usize| {
        for i in 0..n {
            trainer.step(&batches[i % batches.len()]).unwrap();
        }
        trainer.take_loss().unwrap();
    };
    steps(&mut trainer, 300);
    let (objects, bytes, before) = (trainer.device_objects(), trainer.bytes(), resident());
    steps(&mut trainer, 3000);
    assert_eq!(trainer.device_objects(), objects);
    assert_eq!(trainer.bytes(), bytes);
    // A leak of one upload a step (8 KiB) would be 24 MiB.
    let growth = resident().saturating_sub(before);
    assert!(growth < 8 << 10, "{growth} KiB more after 3000 steps");
}
