//! Rows with weights: what they do to losses, gradients, evaluation and epochs, and what is wrong input.

use crate::common::{self, numbers};
use wgrad::fit::{FitOptions, Validation};
use wgrad::{
    Activation::*, Adam, Dataset, Device, DeviceOptions, Error, Loss, Matrix, Mlp, Sgd, Storage,
    Stream, Tensors, Trainer, verify,
};

const INPUTS: usize = 11;

/// 67 rows of 5 classes with weights, every seventh of which is 0.
fn data() -> Dataset {
    let x = Matrix::new(INPUTS, numbers(67 * INPUTS, 3)).unwrap();
    let labels = (0..67).map(|r| (r * r + r / 3) % 5).collect();
    Dataset::classes(x, labels)
        .unwrap()
        .with_weights(weights(67))
        .unwrap()
}

fn weights(rows: usize) -> Vec<f32> {
    (0..rows).map(|r| (r % 7) as f32 / 4.0).collect()
}

fn values() -> Dataset {
    let t = Matrix::new(3, numbers(67 * 3, 5)).unwrap();
    Dataset::values(data().inputs().clone(), t)
        .unwrap()
        .with_weights(weights(67))
        .unwrap()
}

fn network() -> Mlp {
    Mlp::new(INPUTS)
        .dense(18, Gelu)
        .dense(7, Tanh)
        .dense(5, Identity)
}

fn trainer(device: &Device) -> Trainer {
    let sgd = Sgd {
        lr: 0.1,
        momentum: 0.9,
        ..Sgd::default()
    };
    Trainer::new(device, &network(), Loss::CrossEntropy, sgd, 11).unwrap()
}

fn bits(weights: &Tensors) -> Vec<u32> {
    let data = weights.iter().flat_map(|t| &t.data);
    data.map(|x| x.to_bits()).collect()
}

fn devices() -> [Device; 3] {
    [common::gpu(), Device::cpu(), Device::reference()]
}

#[test]
fn weights_are_carried_along() {
    let data = data();
    let own = data.weights().unwrap();
    assert_eq!(
        data.select(&[3, 1, 3]).weights(),
        Some(&[own[3], own[1], own[3]][..])
    );
    assert_eq!(data.head(9).weights(), Some(&own[..9]));
    assert_eq!(
        data.total_weight(),
        own.iter().map(|&w| f64::from(w)).sum::<f64>()
    );
    // Each row keeps its own, wherever it goes: x tells which it is.
    let check = |part: &Dataset| {
        for r in 0..part.rows() {
            let mut rows = 0..67;
            let from = rows
                .find(|&i| data.inputs().row(i) == part.inputs().row(r))
                .unwrap();
            assert_eq!(part.weights().unwrap()[r], own[from]);
        }
    };
    let (a, b) = data.split(0.6, 1).unwrap();
    check(&a);
    check(&b);
    data.batches(10)
        .unwrap()
        .shuffled(4)
        .for_each(|batch| check(&batch));
    for batch in Stream::new(&data, 10, 20).unwrap().shuffled(4) {
        check(&batch.unwrap());
    }
    for (train, validation) in data.folds(3, 2).unwrap() {
        check(&train);
        check(&validation);
    }
}

#[test]
fn class_weights_multiply_what_is_there() {
    let x = Matrix::new(1, vec![0.0; 6]).unwrap();
    let data = Dataset::classes(x, vec![0, 2, 2, 2, 5, 0]).unwrap();
    // scikit-learn: compute_class_weight("balanced", classes=[0, 2, 5], y=[0, 2, 2, 2, 5, 0]) is [1, 2/3, 2].
    let balanced = data.balanced_class_weights().unwrap();
    assert_eq!(balanced, [1.0, 1.0, 2.0 / 3.0, 1.0, 1.0, 2.0]);
    let data = data.with_class_weights(&balanced).unwrap();
    assert_eq!(data.weights().unwrap()[3..], [2.0 / 3.0, 2.0, 1.0]);
    let data = data.with_class_weights(&[3.0; 6]).unwrap();
    assert_eq!(data.weights().unwrap()[3..], [2.0, 6.0, 3.0]);
    // Rows count alike for the balance.
    assert_eq!(data.balanced_class_weights().unwrap(), balanced);
}

#[test]
fn a_whole_weight_is_so_many_rows_and_0_is_none() {
    let data = data();
    let counts: Vec<usize> = (0..67).map(|r| r % 3).collect();
    let weighted = data
        .clone()
        .with_weights(counts.iter().map(|&n| n as f32).collect())
        .unwrap();
    let repeated: Vec<usize> = (0..67).flat_map(|r| vec![r; counts[r]]).collect();
    let plain = Dataset::classes(
        data.inputs().clone(),
        match data.targets() {
            wgrad::Targets::Classes(labels) => labels.clone(),
            wgrad::Targets::Values(_) => unreachable!(),
        },
    );
    let repeated = plain.unwrap().select(&repeated);
    // In f64 both are the same sums in another order: some hundred roundings of terms below 10.
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12, "{a} and {b}");
    let (mut one, mut other) = (trainer(&Device::reference()), trainer(&Device::reference()));
    let (a, b) = (
        one.evaluate(&weighted).unwrap(),
        other.evaluate(&repeated).unwrap(),
    );
    close(a.loss, b.loss);
    close(a.accuracy.unwrap(), b.accuracy.unwrap());
    assert_eq!((a.rows, b.rows), (67, 66));
    one.step(&weighted).unwrap();
    other.step(&repeated).unwrap();
    close(one.take_loss().unwrap(), other.take_loss().unwrap());
    let weights = (one.weights_f64().unwrap(), other.weights_f64().unwrap());
    for (a, b) in weights.0.iter().zip(&weights.1) {
        a.data.iter().zip(&b.data).for_each(|(&a, &b)| close(a, b));
    }
}

#[test]
fn a_row_of_weight_0_takes_no_part_whatever_its_loss() {
    // −ln 0: the second output of that row is 0.
    let x = Matrix::new(1, vec![1.0, 1.0]).unwrap();
    let data = Dataset::classes(x, vec![1, 0]).unwrap();
    let network = Mlp::new(1).dense(2, Relu);
    for device in devices() {
        let sgd = Sgd::default();
        let mut trainer =
            Trainer::new(&device, &network, Loss::OutputCrossEntropy, sgd, 0).unwrap();
        let mut start = trainer.weights().unwrap();
        start
            .iter_mut()
            .for_each(|t| t.data.copy_from_slice(&[1.0, -2.0]));
        trainer.set_weights(&start).unwrap();
        let weighted = data.clone().with_weights(vec![0.0, 2.0]).unwrap();
        trainer.step(&weighted).unwrap();
        let loss = trainer.take_loss().unwrap();
        // A device's logarithm is within 3 ULP.
        let error = (loss + std::f64::consts::LN_2).abs();
        assert!(error <= 3.0 * 2f64.powi(-24), "{device}: {loss}");
        let after = bits(&trainer.weights().unwrap());
        // −ln a = −ln 2 of the other row alone: its weight cancels in the mean.
        trainer.set_weights(&start).unwrap();
        assert_eq!(
            trainer.evaluate(&weighted).unwrap().loss.to_bits(),
            trainer.evaluate(&data.select(&[1])).unwrap().loss.to_bits()
        );
        trainer.step(&data.select(&[1])).unwrap();
        assert_eq!(bits(&trainer.weights().unwrap()), after, "{device}");
    }
}

#[test]
fn an_epoch_of_weighted_rows_gives_the_bits_of_its_steps() {
    // A device whose bindings hold 4 KiB takes chunks.
    let small = common::gpu_with(DeviceOptions {
        binding_limit: Some(4096),
        ..DeviceOptions::default()
    });
    let many = data().select(&(0..67 * 9).map(|i| i % 67).collect::<Vec<_>>());
    for device in devices().into_iter().chain([small]) {
        for storage in [Storage::F32, Storage::F16] {
            let mut epochs = trainer(&device);
            let mut loaded = epochs.load(&many, storage).unwrap();
            let mut steps = trainer(&device);
            let held = loaded.data().clone();
            for epoch in 0..2 {
                epochs.epoch(&mut loaded, 16, Some(epoch)).unwrap();
                for batch in held.batches(16).unwrap().shuffled(epoch) {
                    steps.step(&batch).unwrap();
                }
            }
            let expected = bits(&steps.weights().unwrap());
            assert_eq!(
                bits(&epochs.weights().unwrap()),
                expected,
                "{device}, {loaded}"
            );
            let losses = steps.take_losses().unwrap();
            assert_eq!(epochs.take_losses().unwrap(), losses);
            assert_eq!(epochs.take_loss().unwrap(), steps.take_loss().unwrap());
            epochs.unload(loaded);
        }
    }
}

#[test]
fn a_large_batch_widens_weighted_chunks() {
    let device = common::gpu_with(DeviceOptions {
        binding_limit: Some(7_000_000),
        ..DeviceOptions::default()
    });
    let many = data().select(&(0..200_003).map(|i| i * i % 67).collect::<Vec<_>>());
    let (mut epochs, mut steps) = (trainer(&device), trainer(&device));
    let mut loaded = epochs.load(&many, Storage::F32).unwrap();
    assert!(!loaded.is_resident(), "{loaded}");
    epochs.epoch(&mut loaded, 90_000, Some(1)).unwrap();
    for batch in many.batches(90_000).unwrap().shuffled(1) {
        steps.step(&batch).unwrap();
    }
    let expected = bits(&steps.weights().unwrap());
    assert_eq!(bits(&epochs.weights().unwrap()), expected, "{loaded}");
}

#[test]
fn every_loss_can_be_weighed() {
    for loss in Loss::table() {
        let last = match loss {
            Loss::OutputCrossEntropy | Loss::KlDivergence => Softmax,
            _ => Identity,
        };
        // Probabilities, and a softmax that is not fused with its loss.
        for last in [last, Softmax] {
            if last == Softmax && matches!(loss, Loss::CrossEntropy | Loss::BinaryCrossEntropy) {
                continue;
            }
            let network = Mlp::new(INPUTS).dense(6, Tanh).dense(3, last);
            let t = values();
            let wgrad::Targets::Values(t) = t.targets() else {
                unreachable!()
            };
            let t = t.data().iter().map(|t| t.abs()).collect();
            let data = Dataset::values(values().inputs().clone(), Matrix::new(3, t).unwrap());
            let data = data.unwrap().with_weights(weights(67)).unwrap().head(20);
            for criterion in [loss.mean(), loss.sum()] {
                for device in devices() {
                    let adam = Adam::default();
                    let mut trainer = Trainer::new(&device, &network, criterion, adam, 1).unwrap();
                    let report = verify::gradients(&mut trainer, &data).unwrap();
                    assert!(report.passed(), "{report}");
                    assert!(
                        report
                            .checks
                            .iter()
                            .any(|c| c.name.starts_with("weigh_rows"))
                    );
                    let before = trainer.evaluate(&data).unwrap().loss;
                    trainer.step(&data).unwrap();
                    let loss = trainer.take_loss().unwrap();
                    // f32: 20 rows, some dozens of roundings each.
                    let bound = 64.0 * 2f64.powi(-24) * before.abs();
                    assert!(
                        (loss - before).abs() <= bound,
                        "{device}: {loss} and {before}"
                    );
                }
                let mut trainer = Trainer::new(
                    &Device::reference(),
                    &network,
                    criterion,
                    Adam::default(),
                    1,
                )
                .unwrap();
                let report = verify::finite_differences(&mut trainer, &data).unwrap();
                assert!(report.passed(), "{report}");
            }
        }
    }
}

#[test]
fn data_without_weights_runs_the_ops_that_it_ran() {
    let plain = Dataset::values(
        values().inputs().clone(),
        match values().targets() {
            wgrad::Targets::Values(t) => t.clone(),
            wgrad::Targets::Classes(_) => unreachable!(),
        },
    );
    let plain = plain.unwrap();
    let ones = plain.clone().with_weights(vec![1.0; 67]).unwrap();
    let network = Mlp::new(INPUTS).dense(6, Tanh).dense(3, Identity);
    for device in devices() {
        let new = || Trainer::new(&device, &network, Loss::Mse, Adam::default(), 1).unwrap();
        let report = verify::gradients(&mut new(), &plain.head(9)).unwrap();
        assert!(
            !report
                .checks
                .iter()
                .any(|c| c.name.starts_with("weigh_rows"))
        );
        // Weights of 1 are no weights: 1·x is x. (A small network in one workgroup sums in another order, so not that.)
        let device = match device.adapter() {
            None => device,
            Some(_) => common::gpu_with(DeviceOptions {
                small_network: Some(false),
                ..DeviceOptions::default()
            }),
        };
        let run = |data: &Dataset| {
            let mut trainer =
                Trainer::new(&device, &network, Loss::Mse, Adam::default(), 1).unwrap();
            for batch in data.batches(20).unwrap() {
                trainer.step(&batch).unwrap();
            }
            (
                bits(&trainer.weights().unwrap()),
                trainer.take_losses().unwrap(),
            )
        };
        assert_eq!(run(&plain), run(&ones));
    }
}

#[test]
fn a_fit_weighs_training_and_validation() {
    let data = data();
    let device = Device::reference();
    let mut trainer = trainer(&device);
    let options = FitOptions {
        epochs: 2,
        batch_size: 16,
        validation: Validation::Data(&data),
        ..FitOptions::default()
    };
    let history = trainer.fit(&data, &options).unwrap();
    let evaluation = trainer.evaluate(&data).unwrap();
    assert_eq!(history.last().unwrap().validation, Some(evaluation));
    let mut steps = self::trainer(&device);
    for epoch in 0..2 {
        steps.settle_losses();
        for batch in data.batches(16).unwrap().shuffled(epoch) {
            steps.step(&batch).unwrap();
        }
    }
    let loss = steps.take_loss().unwrap();
    let found = history.last().unwrap().loss;
    assert!((found - loss).abs() <= 1e-12 * loss, "{found} and {loss}");
    assert_eq!(
        bits(&trainer.weights().unwrap()),
        bits(&steps.weights().unwrap())
    );
    // And as micro-batches, one of which weighs nothing: rows 0 and 7 come together.
    let mut order: Vec<usize> = (0..67).collect();
    order.swap(1, 7);
    let data = data.select(&order);
    let options = FitOptions {
        micro_batch: Some(2),
        shuffle: false,
        validation: Validation::None,
        ..options
    };
    assert_eq!(data.head(2).total_weight(), 0.0);
    let mut trainer = self::trainer(&device);
    let history = trainer.fit(&data, &options).unwrap();
    let mut whole = self::trainer(&device);
    let expected = whole
        .fit(
            &data,
            &FitOptions {
                micro_batch: None,
                ..options
            },
        )
        .unwrap();
    let (found, expected) = (history.last().unwrap().loss, expected.last().unwrap().loss);
    assert!(
        (found - expected).abs() <= 1e-9 * expected,
        "{found} and {expected}"
    );
}

/// Forgets the losses so far.
trait Settle {
    fn settle_losses(&mut self);
}

impl Settle for Trainer {
    fn settle_losses(&mut self) {
        let _ = self.take_loss();
    }
}

#[test]
fn a_report_weighs_its_evaluation() {
    let mut trainer = trainer(&Device::reference());
    let data = data();
    let report = trainer.report(&data).unwrap();
    assert_eq!(report.evaluation, trainer.evaluate(&data).unwrap());
    let classification = report.classification().unwrap();
    assert_ne!(report.evaluation.accuracy, Some(classification.accuracy));
}

#[test]
fn wrong_weights_are_refused() {
    let plain = || Dataset::classes(data().inputs().clone(), vec![0; 67]).unwrap();
    let say = |error: Error| error.to_string();
    let error = say(plain().with_weights(vec![1.0; 66]).unwrap_err());
    assert!(error.contains("66") && error.contains("67"), "{error}");
    for bad in [
        -1.0,
        f32::NAN,
        f32::INFINITY,
        1e-20,
        1e20,
        -f32::MIN_POSITIVE,
    ] {
        let mut weights = vec![1.0; 67];
        weights[5] = bad;
        let error = say(plain().with_weights(weights).unwrap_err());
        assert!(
            error.contains("row 5") && error.contains("1e-18"),
            "{error}"
        );
        let error = plain().with_class_weights(&[bad, 1.0]).unwrap_err();
        assert!(matches!(error, Error::Value { row: 0, .. }), "{error}");
    }
    let error = say(data().with_class_weights(&[1.0; 4]).unwrap_err());
    assert!(
        error.contains("class 4") && error.contains("0 to 3"),
        "{error}"
    );
    assert!(data().with_class_weights(&[]).is_err());
    for error in [
        say(values().with_class_weights(&[1.0]).unwrap_err()),
        say(values().balanced_class_weights().unwrap_err()),
    ] {
        assert!(
            error.contains("class indices") && error.contains("with_weights"),
            "{error}"
        );
    }
    let x = Matrix::new(1, vec![0.0]).unwrap();
    let far = Dataset::classes(x, vec![u32::MAX]).unwrap();
    let error = say(far.balanced_class_weights().unwrap_err());
    assert!(error.contains("number the classes from 0"), "{error}");
    // Products beyond the range, though each factor is within it.
    let data = data().with_weights(vec![1e10; 67]).unwrap();
    assert!(matches!(
        data.with_class_weights(&[1e10; 5]),
        Err(Error::Value { .. })
    ));
}

#[test]
fn a_batch_that_weighs_nothing_is_refused_and_nothing_is_changed() {
    let nothing = data().head(9).with_weights(vec![0.0; 9]).unwrap();
    let mut holed = data().weights().unwrap().to_vec();
    holed[32..48].fill(0.0);
    let holed = data().with_weights(holed).unwrap();
    for device in devices() {
        let mut trainer = trainer(&device);
        let before = bits(&trainer.weights().unwrap());
        let error = trainer.step(&nothing).unwrap_err();
        assert!(matches!(error, Error::NoWeight { rows: 9, .. }), "{error}");
        let error = trainer.evaluate(&nothing).unwrap_err();
        assert!(matches!(error, Error::NoWeight { rows: 9, .. }), "{error}");
        let mut loaded = trainer.load(&holed, Storage::F32).unwrap();
        let error = trainer.epoch(&mut loaded, 16, None).unwrap_err();
        assert!(matches!(error, Error::NoWeight { rows: 16, .. }), "{error}");
        assert_eq!(trainer.steps(), 0);
        assert!(trainer.take_loss().is_err());
        // Batches of another size do weigh something.
        trainer.epoch(&mut loaded, 30, None).unwrap();
        trainer.take_loss().unwrap();
        trainer.unload(loaded);
        // Micro-batches: only all of them together must weigh something.
        let mut trainer = self::trainer(&device);
        trainer.accumulate(&nothing).unwrap();
        let error = trainer.apply().unwrap_err();
        assert!(error.to_string().contains("9 row(s)"), "{error}");
        assert_eq!(bits(&trainer.weights().unwrap()), before);
        assert_eq!(trainer.take_loss().unwrap(), 0.0);
        trainer.accumulate(&data().head(5)).unwrap();
        trainer.apply().unwrap();
        assert_ne!(bits(&trainer.weights().unwrap()), before);
        let options = FitOptions {
            batch_size: 16,
            shuffle: false,
            ..FitOptions::default()
        };
        let error = trainer.fit(&holed, &options).unwrap_err();
        assert!(matches!(error, Error::NoWeight { .. }), "{error}");
        let options = FitOptions {
            validation: Validation::Data(&nothing),
            ..FitOptions::default()
        };
        let error = trainer.fit(&data(), &options).unwrap_err();
        assert!(error.to_string().contains("validation"), "{error}");
    }
}
