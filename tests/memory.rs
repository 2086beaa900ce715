//! A long run: nothing is created on the device and memory is flat. Alone in its process, whose size it looks at.
#![cfg(target_os = "linux")]

mod common;

use wgrad::{Activation::*, Adam, Dataset, Loss, Matrix, Mlp, Storage, Trainer};

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
    // One batch of each size, and everything is there.
    steps(&mut trainer, batches.len());
    let (objects, bytes) = (trainer.device_objects(), trainer.bytes());
    steps(&mut trainer, 300);
    let before = resident();
    steps(&mut trainer, 10_000);
    assert_eq!(trainer.device_objects(), objects);
    assert_eq!(trainer.bytes(), bytes);
    // A leak of one upload a step (8 KiB) would be 80 MiB.
    let growth = resident().saturating_sub(before);
    assert!(growth < 8 << 10, "{growth} KiB more after 10,000 steps");

    // And by whole epochs on data that is on the device.
    let mut loaded = trainer.load(&data, Storage::F32).unwrap();
    trainer.epoch(&mut loaded, 24, Some(0)).unwrap();
    let objects = trainer.device_objects();
    for epoch in 1..100 {
        trainer.epoch(&mut loaded, 24, Some(epoch)).unwrap();
    }
    trainer.take_loss().unwrap();
    let before = resident();
    for epoch in 0..3334 {
        trainer.epoch(&mut loaded, 24, Some(epoch)).unwrap();
    }
    trainer.take_loss().unwrap();
    assert_eq!(trainer.device_objects(), objects);
    let growth = resident().saturating_sub(before);
    assert!(
        growth < 8 << 10,
        "{growth} KiB more after 10,002 steps of epochs"
    );
}
