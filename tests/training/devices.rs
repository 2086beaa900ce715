//! Many devices in one process: each is opened on the process's only instance, whatever the thread.

use std::time::Duration;

use crate::common;
use wgrad::{
    Activation::*, Adam, Assumed, Dataset, Device, DeviceOptions, Error, Loss, Matrix, Mlp, Sgd,
    Storage, Trainer, Tuning, TuningCache, verify,
};

fn open() -> Device {
    common::gpu_with(DeviceOptions::default())
}

/// A step on a new device, which is then dropped.
fn train_once() {
    // One layer: its pipelines are compiled for every device.
    let network = Mlp::new(3).dense(2, Identity);
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
            // Without a pause this takes a core from those who train.
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

/// A device that is taken for a real GPU with so much memory.
fn taken_for_a_gpu(memory: u64, tuning: Tuning) -> Device {
    common::gpu_with(DeviceOptions {
        assumed: Assumed {
            discrete: true,
            memory: Some(memory),
        },
        tuning,
        // Compilers for the CPU take long for what a GPU's compile at once.
        tuning_budget: Some(Duration::from_secs(4)),
        cache: TuningCache::Nowhere,
        ..DeviceOptions::default()
    })
}

fn classes(rows: usize, inputs: usize, outputs: usize) -> Dataset {
    let number = |i: usize| (i * 7919 % 1999) as f32 / 1000.0 - 1.0;
    let x = Matrix::new(inputs, (0..rows * inputs).map(number).collect()).unwrap();
    let labels = (0..rows).map(|r| (r * 31 % outputs) as u32).collect();
    Dataset::classes(x, labels).unwrap()
}

/// Steps against the f64 reference, and an epoch against the CPU.
fn trains(device: &Device, network: &Mlp, rows: usize) {
    // The bound of Adam's quotient has no end where a gradient is next to nothing.
    let sgd = Sgd {
        lr: 0.05,
        momentum: 0.9,
        ..Sgd::default()
    };
    let trainer =
        |device: &Device| Trainer::new(device, network, Loss::CrossEntropy, sgd, 7).unwrap();
    let batch = classes(rows, network.inputs(), network.outputs());
    let batches = vec![batch; 2];
    let report = verify::training(&mut trainer(device), &batches).unwrap();
    assert!(report.passed(), "{report}");

    let data = classes(5 * rows / 2, network.inputs(), network.outputs());
    let losses = [device.clone(), Device::cpu()].map(|device| {
        let mut trainer = trainer(&device);
        let mut loaded = trainer.load(&data, Storage::F32).unwrap();
        trainer.epoch(&mut loaded, rows, Some(3)).unwrap();
        trainer.take_loss().unwrap()
    });
    // Three steps apart, each with rounding of its own; a wrong kernel is off by far more.
    approx::assert_relative_eq!(losses[0], losses[1], max_relative = 1e-3);
}

/// Tables for real GPUs: small networks in one workgroup, tiles in workgroup memory, long sums in parts.
#[test]
fn what_real_gpus_take_without_measuring_is_right() {
    let device = taken_for_a_gpu(140 << 30, Tuning::Off);
    trains(
        &device,
        &Mlp::new(64).dense(32, Relu).dense(10, Identity),
        32,
    );
    let wide = Mlp::new(40).dense(160, Gelu).dense(160, Relu);
    let wide = wide.dense(7, Identity);
    trains(&device, &wide, 520);
    let layered = Mlp::new(24).dense(64, Tanh).layer_norm().dropout(0.25);
    let layered = layered.dense(64, Tanh).batch_norm().residual();
    trains(&device, &layered.dense(5, Identity), 128);

    let choices = device.choices();
    assert!(
        choices.small_networks().any(|(_, small)| small),
        "{choices}"
    );
    assert!(
        choices.iter().any(|(_, choice)| choice.parts > 1),
        "{choices}"
    );
    let of_software = |name: &str| name.starts_with("subgroup");
    assert!(
        !choices
            .iter()
            .any(|(_, choice)| of_software(choice.form.name)),
        "{choices}"
    );
}

/// The tuner measures, as it does on a real GPU unless told otherwise.
#[test]
fn what_real_gpus_choose_by_measuring_is_right() {
    let device = taken_for_a_gpu(140 << 30, Tuning::Auto);
    trains(
        &device,
        &Mlp::new(24).dense(48, Relu).dense(10, Identity),
        64,
    );
    let report = device.tuning_report();
    assert!(!report.measured.is_empty(), "{report}");
    assert!(report.disabled.is_empty(), "{report}");
}

#[test]
fn a_gpu_of_64_mib_takes_what_fits_and_refuses_the_rest() {
    let device = taken_for_a_gpu(64 << 20, Tuning::Off);
    trains(
        &device,
        &Mlp::new(64).dense(32, Relu).dense(10, Identity),
        32,
    );
    let large = Mlp::new(4096).dense(4096, Relu).dense(10, Identity);
    let refused = Trainer::new(&device, &large, Loss::CrossEntropy, Adam::default(), 7);
    assert!(
        matches!(refused, Err(Error::OutOfMemory { .. })),
        "{refused:?}"
    );
    // 80 MB of inputs come in chunks.
    let network = Mlp::new(1000).dense(8, Relu).dense(3, Identity);
    let mut trainer =
        Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 7).unwrap();
    let data = classes(20_000, 1000, 3);
    let mut loaded = trainer.load(&data, Storage::F32).unwrap();
    assert!(!loaded.is_resident(), "{loaded}");
    trainer.epoch(&mut loaded, 2000, None).unwrap();
    assert!(trainer.take_loss().unwrap().is_finite());
}

#[test]
fn what_is_assumed_is_told_by_text() {
    let assumed = |text: &str| text.parse::<Assumed>();
    let both = Assumed {
        discrete: true,
        memory: Some(64 << 20),
    };
    assert_eq!(assumed("discrete, memory=67108864").unwrap(), both);
    assert_eq!(assumed("").unwrap(), Assumed::default());
    for wrong in ["integrated", "memory=64MiB", "discrete memory=1"] {
        let error = assumed(wrong).unwrap_err().to_string();
        assert!(
            error.contains(wrong) && error.contains("memory=BYTES"),
            "{error}"
        );
    }
}
