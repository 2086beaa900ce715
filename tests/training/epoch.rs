//! Whole epochs on the device: the same bits as step after step, however the data is kept and however kernels are chosen.

use crate::common::{self, numbers};
use std::time::Duration;

use wgrad::{
    Activation::*, Adam, Choices, Dataset, Device, DeviceOptions, Error, Loss, Matrix, Mlp,
    Optimizer, Sgd, Storage, Tensors, Trainer, Tuning, TuningCache,
};

const INPUTS: usize = 21;

/// 67 rows with labels of 5 classes; inputs are multiples of 1/16 from 0 to 2, so that every storage holds them exactly.
fn data() -> Dataset {
    let x = numbers(67 * INPUTS, 3);
    let x = x.iter().map(|x| (8.0 * (x + 1.0)).round() / 8.0).collect();
    let labels = (0..67).map(|r| (r * r + r / 3) % 5).collect();
    Dataset::classes(Matrix::new(INPUTS, x).unwrap(), labels).unwrap()
}

fn network() -> Mlp {
    Mlp::new(INPUTS)
        .dense(36, Gelu)
        .dense(17, Tanh)
        .dense(5, Identity)
}

fn trainer(device: &Device, optimizer: impl Into<Optimizer>) -> Trainer {
    Trainer::new(device, &network(), Loss::CrossEntropy, optimizer, 11).unwrap()
}

/// A trainer that needs few variants of the products: the tuner compiles each in every form.
fn linear_trainer(device: &Device) -> Trainer {
    let network = Mlp::new(INPUTS).dense(17, Identity).dense(5, Identity);
    Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 11).unwrap()
}

fn bits(weights: &Tensors) -> Vec<u32> {
    weights
        .iter()
        .flat_map(|t| t.data.iter().map(|x| x.to_bits()))
        .collect()
}

/// Weights and loss after three epochs of batches of 16, step by step.
fn by_steps(device: &Device, optimizer: Optimizer, data: &Dataset) -> (Vec<u32>, f64) {
    let mut trainer = trainer(device, optimizer);
    for epoch in 0..3 {
        for batch in data.batches(16).unwrap().shuffled(epoch) {
            trainer.step(&batch).unwrap();
        }
    }
    let loss = trainer.take_loss().unwrap();
    (bits(&trainer.weights().unwrap()), loss)
}

/// The same by whole epochs.
fn by_epochs(
    device: &Device,
    optimizer: Optimizer,
    data: &Dataset,
    storage: Storage,
) -> (Vec<u32>, f64) {
    let mut trainer = trainer(device, optimizer);
    let mut loaded = trainer.load(data, storage).unwrap();
    for epoch in 0..3 {
        trainer.epoch(&mut loaded, 16, Some(epoch)).unwrap();
    }
    trainer.unload(loaded);
    let loss = trainer.take_loss().unwrap();
    assert_eq!(trainer.steps(), 15);
    (bits(&trainer.weights().unwrap()), loss)
}

fn momentum() -> Sgd {
    Sgd {
        lr: 0.05,
        momentum: 0.9,
        nesterov: true,
        ..Sgd::default()
    }
}

const STORAGES: [Storage; 3] = [Storage::F32, Storage::F16, Storage::U8 { scale: 0.125 }];

#[test]
fn an_epoch_gives_the_bits_of_its_steps() {
    for device in [common::gpu(), Device::cpu(), Device::reference()] {
        for optimizer in [Optimizer::from(Adam::default()), momentum().into()] {
            let expected = by_steps(&device, optimizer, &data());
            for storage in STORAGES {
                let found = by_epochs(&device, optimizer, &data(), storage);
                assert_eq!(found, expected, "{device}, {}, {storage}", optimizer.name());
            }
        }
    }
}

#[test]
fn data_in_chunks_gives_the_same_bits() {
    // 67 rows of 21 do not fit a binding of 4 KiB; weights of 36 × 21 do.
    let small = |options: DeviceOptions| DeviceOptions {
        binding_limit: Some(4096),
        ..options
    };
    let device = common::gpu_with(small(DeviceOptions::default()));
    for storage in STORAGES {
        let mut trainer = trainer(&device, momentum());
        let many = data().select(&(0..67 * 9).map(|i| i % 67).collect::<Vec<_>>());
        let mut loaded = trainer.load(&many, storage).unwrap();
        assert!(!loaded.is_resident(), "{loaded}");
        for epoch in 0..2 {
            trainer.epoch(&mut loaded, 16, Some(epoch)).unwrap();
        }
        let mut steps =
            Trainer::new(&device, &network(), Loss::CrossEntropy, momentum(), 11).unwrap();
        for epoch in 0..2 {
            for batch in many.batches(16).unwrap().shuffled(epoch) {
                steps.step(&batch).unwrap();
            }
        }
        let expected = bits(&steps.weights().unwrap());
        assert_eq!(bits(&trainer.weights().unwrap()), expected, "{loaded}");
    }
}

#[test]
fn targets_that_are_numbers_come_through_the_order_too() {
    let inputs = data().inputs().clone();
    let targets = Matrix::new(3, numbers(67 * 3, 5)).unwrap();
    let data = Dataset::values(inputs, targets).unwrap();
    let network = Mlp::new(INPUTS).dense(8, Tanh).dense(3, Identity);
    for device in [common::gpu(), Device::cpu()] {
        let new = || Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 2).unwrap();
        let (mut epochs, mut steps) = (new(), new());
        let mut loaded = epochs.load(&data, Storage::F32).unwrap();
        epochs.epoch(&mut loaded, 10, Some(1)).unwrap();
        for batch in data.batches(10).unwrap().shuffled(1) {
            steps.step(&batch).unwrap();
        }
        let expected = bits(&steps.weights().unwrap());
        assert_eq!(bits(&epochs.weights().unwrap()), expected);
    }
}

#[test]
fn the_losses_of_single_batches_can_be_had() {
    for device in [common::gpu(), Device::cpu()] {
        let mut epochs = trainer(&device, momentum());
        let data = data();
        let mut loaded = epochs.load(&data, Storage::F32).unwrap();
        epochs.epoch(&mut loaded, 16, None).unwrap();
        let losses = epochs.take_losses().unwrap();
        let mut steps = trainer(&device, momentum());
        let mut expected = Vec::new();
        for batch in data.batches(16).unwrap() {
            steps.step(&batch).unwrap();
            expected.push(steps.take_loss().unwrap());
        }
        assert_eq!(losses, expected);
        assert_eq!(losses.len(), 5);
        assert!(epochs.take_losses().unwrap().is_empty());
        let mean = epochs.take_loss().unwrap();
        let rows = [16.0, 16.0, 16.0, 16.0, 3.0];
        let sum: f64 = losses.iter().zip(rows).map(|(l, n)| l * n).sum();
        // The device adds f32 numbers: five roundings of sums below 67 · 2.
        approx::assert_abs_diff_eq!(
            mean,
            sum / 67.0,
            epsilon = 5.0 * 2f64.powi(-24) * 134.0 / 67.0
        );
    }
}

#[test]
fn several_chunks_give_the_same_bits_and_a_large_batch_widens_them() {
    // 100,003 rows of 24 words are more than this binding; a chunk has some 41,900.
    let device = common::gpu_with(DeviceOptions {
        binding_limit: Some(7_000_000),
        ..DeviceOptions::default()
    });
    let many = data().select(&(0..100_003).map(|i| i * i % 67).collect::<Vec<_>>());
    for batch in [9_000, 43_000] {
        let (mut epochs, mut steps) = (trainer(&device, momentum()), trainer(&device, momentum()));
        let mut loaded = epochs.load(&many, Storage::F32).unwrap();
        assert!(!loaded.is_resident(), "{loaded}");
        epochs.epoch(&mut loaded, batch, Some(1)).unwrap();
        for batch in many.batches(batch).unwrap().shuffled(1) {
            steps.step(&batch).unwrap();
        }
        assert_eq!(epochs.steps(), steps.steps());
        let expected = bits(&steps.weights().unwrap());
        assert_eq!(bits(&epochs.weights().unwrap()), expected, "{loaded}");
    }
}

/// The odd row of an epoch, with batch normalisation: it must fit the last window.
#[test]
fn a_single_row_that_is_left_over_joins_the_last_batch_of_a_chunk() {
    let device = common::gpu_with(DeviceOptions {
        binding_limit: Some(7_000_000),
        ..DeviceOptions::default()
    });
    let many = data().select(&(0..100_003).map(|i| i * i % 67).collect::<Vec<_>>());
    let network = Mlp::new(INPUTS)
        .dense(8, Tanh)
        .batch_norm()
        .dense(5, Identity);
    // Two in a window of some 41,900 rows; a window of its own; a window that grows for the last one by a row.
    for (batch, batches) in [(16_667, 6), (33_334, 3), (50_001, 2)] {
        assert_eq!(100_003 % batch, 1);
        let new = || Trainer::new(&device, &network, Loss::CrossEntropy, momentum(), 11).unwrap();
        let (mut epochs, mut steps) = (new(), new());
        let mut loaded = epochs.load(&many, Storage::F32).unwrap();
        assert!(!loaded.is_resident(), "{loaded}");
        epochs.epoch(&mut loaded, batch, Some(1)).unwrap();
        for batch in many.batches(batch).unwrap().joined().shuffled(1) {
            steps.step(&batch).unwrap();
        }
        assert_eq!((epochs.steps(), steps.steps()), (batches, batches));
        let expected = bits(&steps.state_dict().unwrap());
        assert_eq!(bits(&epochs.state_dict().unwrap()), expected, "{loaded}");
    }
}

/// A device with the tuner on, which remembers nothing.
fn tuned(choices: Choices, tuning: Tuning) -> Device {
    common::gpu_with(DeviceOptions {
        tuning,
        tuning_budget: Some(Duration::from_secs(600)),
        choices,
        cache: TuningCache::Nowhere,
        ..DeviceOptions::default()
    })
}

#[test]
fn recorded_choices_give_the_same_bits_and_so_does_no_tuning() {
    let device = tuned(Choices::default(), Tuning::On);
    let first = by_epochs(&device, Adam::default().into(), &data(), Storage::F32);
    let choices = device.choices();
    assert!(!device.tuning_report().measured.is_empty());
    assert_eq!(device.tuning_report().disabled, []);
    // As a run records it.
    let recorded = serde_json::to_string(&choices).unwrap();
    let again = tuned(serde_json::from_str(&recorded).unwrap(), Tuning::Off);
    assert_eq!(
        by_epochs(&again, Adam::default().into(), &data(), Storage::F32),
        first
    );
    assert_eq!(again.choices(), choices);
    assert!(again.tuning_report().measured.is_empty());
    assert_eq!(by_steps(&again, Adam::default().into(), &data()), first);
    // With the table alone.
    let table = || tuned(Choices::default(), Tuning::Off);
    let expected = by_epochs(&table(), Adam::default().into(), &data(), Storage::F32);
    assert_eq!(
        by_epochs(&table(), Adam::default().into(), &data(), Storage::F32),
        expected
    );
}

/// What runs first decides the form for good: whoever it is has to measure.
#[test]
fn whatever_runs_first_on_a_device_with_the_tuner_measures_its_products() {
    let network = Mlp::new(6).dense(5, Relu).dense(3, Identity);
    let x = Matrix::new(6, numbers(40 * 6, 6)).unwrap();
    let data = Dataset::classes(x, (0..40).map(|r| r % 3).collect()).unwrap();
    type Run = fn(&mut Trainer, &Dataset);
    let first: [(&str, Run); 4] = [
        ("a step", |trainer, data| trainer.step(data).unwrap()),
        ("an evaluation", |trainer, data| {
            trainer.evaluate(data).unwrap();
        }),
        ("verified gradients", |trainer, data| {
            wgrad::verify::gradients(trainer, data).unwrap();
        }),
        ("a profile", |trainer, data| {
            wgrad::profile::step_time(trainer, data, 0.01).unwrap();
        }),
    ];
    for (what, run) in first {
        let device = tuned(Choices::default(), Tuning::On);
        let adam = Adam::default();
        let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, adam, 5).unwrap();
        run(&mut trainer, &data);
        let report = device.tuning_report();
        let choices = device.choices();
        assert!(choices.iter().count() > 0, "{what}");
        for (product, _) in choices.iter() {
            let measured = report.measured.iter().any(|m| m.product == product);
            assert!(measured, "{what}: {product} was not measured");
        }
    }
}

#[test]
fn gradients_in_parts_of_growing_layers_share_one_step() {
    // Backward, each layer needs more room for its parts than the one before.
    let network = Mlp::new(70)
        .dense(40, Relu)
        .dense(12, Relu)
        .dense(5, Identity);
    let x = Matrix::new(70, numbers(64 * 70, 6)).unwrap();
    let data = Dataset::classes(x, (0..64).map(|r| r % 5).collect()).unwrap();
    let new = |device: &Device| {
        Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 5).unwrap()
    };
    let table = tuned(Choices::default(), Tuning::Off);
    new(&table).step(&data).unwrap();
    let mut json = serde_json::to_value(table.choices()).unwrap();
    for (product, choice) in json["products"].as_object_mut().unwrap() {
        if product.starts_with("dense_backward_params") {
            choice["parts"] = 4.into();
        }
    }
    let choices: Choices = serde_json::from_value(json).unwrap();
    let device = tuned(choices.clone(), Tuning::Off);
    let mut trainer = new(&device);
    trainer.step(&data).unwrap();
    assert_eq!(device.choices(), choices);
    let objects = trainer.device_objects();
    for _ in 0..3 {
        trainer.step(&data).unwrap();
    }
    assert_eq!(trainer.device_objects(), objects);
    let report = wgrad::verify::gradients(&mut trainer, &data).unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn measured_choices_are_kept_and_a_damaged_file_is_no_disaster() {
    let folder = std::env::temp_dir().join(format!("wgrad-choices-{}", std::process::id()));
    let open = |seconds| {
        common::gpu_with(DeviceOptions {
            tuning: Tuning::On,
            tuning_budget: Some(Duration::from_secs(seconds)),
            // As one it would be another choice to keep, and its products none.
            small_network: Some(false),
            cache: TuningCache::Folder(folder.clone()),
            ..DeviceOptions::default()
        })
    };
    let step = |device: &Device| {
        let mut trainer = linear_trainer(device);
        trainer.step(&data().head(8)).unwrap();
        trainer.take_loss().unwrap()
    };
    let first = open(600);
    let loss = step(&first);
    let mut files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().path());
    // Beside it lies the lock of those who write it.
    let file = files.find(|f| f.extension().is_some_and(|e| e == "json"));
    let file = file.unwrap();
    let second = open(600);
    assert_eq!(step(&second), loss);
    assert!(second.tuning_report().measured.is_empty());
    assert_eq!(second.choices(), first.choices());
    for damage in [
        "",
        "{",
        "[1]",
        r#"{"dense_forward 8x64x32": {"form": "none", "parts": 1}}"#,
    ] {
        std::fs::write(&file, damage).unwrap();
        // Time for some candidates.
        let third = open(2);
        let note = &third.tuning_report().notes[0];
        assert!(note.contains("delete it"), "{note}");
        step(&third);
        assert!(!third.tuning_report().measured.is_empty());
        // Whoever wrote that may want it.
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damage);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_form_that_computes_wrongly_is_not_used() {
    // A fault in the form that the table takes here, and in one that it does not.
    let faults = [
        (
            "c1 = four_steps(c1, from_1(a), left, right);",
            "subgroup_16x",
        ),
        ("block_a(m + 4u, k)", "direct_64x32"),
    ];
    for (find, form) in faults {
        let device = common::gpu_with(DeviceOptions {
            tuning: Tuning::On,
            tuning_budget: Some(Duration::from_secs(600)),
            cache: TuningCache::Nowhere,
            small_network: Some(false),
            faults: vec![wgrad::Fault::new("dense_forward", find, "block_a(m, k)")],
            ..DeviceOptions::default()
        });
        if !device.forms().iter().any(|f| f.name.starts_with(form)) {
            println!("{form} does not run here");
            continue;
        }
        let mut trainer = linear_trainer(&device);
        trainer.step(&data()).unwrap();
        let report = device.tuning_report();
        let disabled = |name: &str| report.disabled.iter().any(|d| d.variant.starts_with(name));
        assert!(disabled(form), "{report}");
        assert!(
            report
                .disabled
                .iter()
                .all(|d| d.kernel == "dense_forward" && d.variant.starts_with(form))
        );
        for (product, choice) in device.choices().iter() {
            let faulty = product.starts_with("dense_forward") && choice.form.name.starts_with(form);
            assert!(!faulty, "{product}: {choice}");
        }
        // And what is used instead is right.
        let report = wgrad::verify::gradients(&mut trainer, &data().head(9)).unwrap();
        assert!(report.passed(), "{report}");
    }
}

/// A device that trains small networks whole in one workgroup, or never.
fn small(small_network: bool) -> Device {
    common::gpu_with(DeviceOptions {
        small_network: Some(small_network),
        ..DeviceOptions::default()
    })
}

#[test]
fn a_small_network_in_one_workgroup_trains_as_op_by_op() {
    let (data, plain) = (
        data(),
        Mlp::new(INPUTS)
            .dense(12, Tanh)
            .dense(9, Tanh)
            .dense(5, Identity),
    );
    let values = Dataset::values(
        data.inputs().clone(),
        Matrix::new(5, numbers(67 * 5, 8)).unwrap(),
    )
    .unwrap();
    let optimizers = [
        Optimizer::from(Sgd::default()),
        momentum().into(),
        wgrad::RmsProp::default().into(),
        Adam::default().into(),
    ];
    let shares: Vec<f32> = numbers(67 * 5, 9).iter().map(|x| x.abs()).collect();
    let shares = Matrix::new(5, shares).unwrap();
    let shares = Dataset::values(data.inputs().clone(), shares).unwrap();
    // The optimisers with two losses; of the other losses and targets, whether they reach the kernel.
    let losses = [
        (&data, Loss::CrossEntropy.mean(), &optimizers[..]),
        (&values, Loss::Mse.mean(), &optimizers),
        (&values, Loss::Huber { delta: 0.5 }.mean(), &optimizers[..1]),
        (&shares, Loss::BinaryCrossEntropy.mean(), &optimizers[..1]),
        (&shares, Loss::CrossEntropy.mean(), &optimizers[..1]),
        (
            &data,
            Loss::CrossEntropy.mean().label_smoothing(0.2),
            &optimizers[..1],
        ),
    ];
    for (data, loss, optimizers) in losses {
        for &optimizer in optimizers {
            let device = small(true);
            let new = |device: &Device| Trainer::new(device, &plain, loss, optimizer, 4).unwrap();
            let run = |mut trainer: Trainer, storage: Storage| {
                let mut loaded = trainer.load(data, storage).unwrap();
                for epoch in 0..3 {
                    trainer.epoch(&mut loaded, 16, Some(epoch)).unwrap();
                }
                let losses = trainer.take_losses().unwrap();
                (bits(&trainer.weights().unwrap()), losses, trainer)
            };
            let (weights, losses, mut trainer) = run(new(&device), Storage::F32);
            // It was the one workgroup, for both sizes of batches.
            let used: Vec<bool> = device
                .choices()
                .small_networks()
                .map(|(_, small)| small)
                .collect();
            assert_eq!(used, [true, true]);
            // The same bits however the data is kept, and step by step.
            for storage in STORAGES {
                assert_eq!(run(new(&device), storage).0, weights);
            }
            let mut steps = new(&device);
            for epoch in 0..3 {
                for batch in data.batches(16).unwrap().shuffled(epoch) {
                    steps.step(&batch).unwrap();
                }
            }
            assert_eq!(bits(&steps.weights().unwrap()), weights);
            assert_eq!(steps.take_losses().unwrap(), losses);
            // Its gradients can be had, and micro-batches can follow.
            let gradients = trainer.gradients().unwrap();
            assert!(gradients.iter().all(|t| t.data.iter().any(|g| *g != 0.0)));
            trainer.accumulate(&data.head(5)).unwrap();
            trainer.apply().unwrap();
            // Op by op, sums run in other orders: within what f32 does to a run of 15 steps. Each step's gradients, below 1 in
            // size, differ by some 64 roundings of their terms, and updates pass on at most ten times that (momentum 0.9).
            let (expected, ..) = run(new(&small(false)), Storage::F32);
            let scale = 15.0 * 10.0 * 64.0 * 2f32.powi(-24);
            for (a, b) in weights.iter().zip(&expected) {
                let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
                // Adam and RMSprop divide by the gradient's size: rounding of a tiny one may move a weight by lr a step.
                let divides = matches!(optimizer, Optimizer::Adam(_) | Optimizer::RmsProp(_));
                let lr = if divides { 15.0 * 0.01 } else { 0.0 };
                assert!(
                    (a - b).abs() <= scale + lr,
                    "{a} and {b}, {}",
                    optimizer.name()
                );
            }
        }
    }
}

#[test]
fn a_small_network_refuses_a_step_whose_loss_is_not_finite() {
    let x = Matrix::new(2, vec![1e30, -1e30, 1.0, 2.0]).unwrap();
    let data = Dataset::values(x, Matrix::new(1, vec![0.0, 1.0]).unwrap()).unwrap();
    let network = Mlp::new(2).dense(4, Relu).dense(1, Identity);
    let mut trainer = Trainer::new(&small(true), &network, Loss::Mse, Adam::default(), 1).unwrap();
    let before = bits(&trainer.weights().unwrap());
    trainer.step(&data).unwrap();
    assert_eq!(bits(&trainer.weights().unwrap()), before);
    assert!(matches!(
        trainer.take_loss(),
        Err(Error::NonFiniteLoss { batches: 1 })
    ));
}

#[test]
fn the_tuner_decides_whether_a_network_is_small() {
    let device = tuned(Choices::default(), Tuning::On);
    let network = Mlp::new(INPUTS).dense(12, Tanh).dense(5, Identity);
    let mut trainer =
        Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 4).unwrap();
    trainer.step(&data()).unwrap();
    let report = device.tuning_report();
    let measured = &report.networks[0];
    assert!(measured.whole > 0.0 && measured.op_by_op > 0.0);
    let choices = device.choices();
    let chosen = choices.small_networks().next().unwrap();
    assert_eq!(
        chosen,
        (&*measured.network, measured.whole < measured.op_by_op)
    );
    println!("{report}");
}

#[test]
fn what_cannot_be_an_epoch_is_refused() {
    let device = common::gpu();
    let data = data();
    let (mut one, mut other) = (
        trainer(&device, Sgd::default()),
        trainer(&device, Sgd::default()),
    );
    let mut loaded = one.load(&data, Storage::F32).unwrap();
    let error = other.epoch(&mut loaded, 16, None).unwrap_err();
    assert!(error.to_string().contains("own load()"), "{error}");
    for size in [0, 68] {
        let error = one.epoch(&mut loaded, size, None).unwrap_err();
        assert!(matches!(error, Error::BatchSize { .. }), "{error}");
    }
    one.accumulate(&data.head(3)).unwrap();
    let error = one.epoch(&mut loaded, 16, None).unwrap_err();
    assert!(error.to_string().contains("apply()"), "{error}");
    one.apply().unwrap();
    one.epoch(&mut loaded, 67, None).unwrap();

    let odd = Dataset::classes(Matrix::new(INPUTS, vec![0.3; INPUTS]).unwrap(), vec![0]).unwrap();
    let error = one.load(&odd, Storage::U8 { scale: 0.125 }).unwrap_err();
    assert!(
        error.to_string().contains("0.125 times a whole number"),
        "{error}"
    );
    for scale in [0.0, f64::NAN, -1.0] {
        assert!(one.load(&data, Storage::U8 { scale }).is_err());
    }
    let large = Dataset::classes(
        Matrix::new(INPUTS, vec![70_000.0; INPUTS]).unwrap(),
        vec![0],
    )
    .unwrap();
    let error = one.load(&large, Storage::F16).unwrap_err();
    assert!(error.to_string().contains("65504"), "{error}");
    let wide = Dataset::classes(Matrix::new(2, vec![0.0; 2]).unwrap(), vec![0]).unwrap();
    assert!(matches!(
        one.load(&wide, Storage::F32),
        Err(Error::Shape { .. })
    ));
}
