//! Training on the GPU and on the CPU: repeatability, micro-batches, bookkeeping, memory.

use crate::common::{self, numbers};
use wgrad::{
    Activation::*, Adam, Dataset, Device, DeviceOptions, Init, Loss, Matrix, Mlp, RmsProp, Sgd,
    Tensors, Trainer, verify,
};

fn devices() -> [Device; 3] {
    [common::gpu(), Device::cpu(), Device::reference()]
}

fn classes(rows: usize, inputs: usize, classes: usize) -> Dataset {
    let x = Matrix::new(inputs, numbers(rows * inputs, 5)).unwrap();
    let labels = (0..rows)
        .map(|r| ((r * 31 + r / 7) % classes) as u32)
        .collect();
    Dataset::classes(x, labels).unwrap()
}

fn network() -> Mlp {
    Mlp::new(19)
        .dense(33, Gelu)
        .dense(17, Tanh)
        .dense(5, Identity)
}

fn bits(weights: &Tensors) -> Vec<u32> {
    weights
        .iter()
        .flat_map(|t| t.data.iter().map(|x| x.to_bits()))
        .collect()
}

/// Largest difference of two sets of tensors.
fn distance(a: &Tensors<f64>, b: &Tensors<f64>) -> f64 {
    let pairs = a
        .iter()
        .zip(b)
        .flat_map(|(a, b)| a.data.iter().zip(&b.data));
    pairs.fold(0.0, |worst, (a, b)| {
        let d = (a - b).abs();
        if d.is_finite() {
            f64::max(worst, d)
        } else {
            f64::INFINITY
        }
    })
}

/// A seeded run: three epochs with a ragged last batch.
fn run(device: &Device) -> (Vec<f64>, Tensors) {
    let data = classes(107, 19, 5);
    let mut trainer =
        Trainer::new(device, &network(), Loss::CrossEntropy, Adam::default(), 3).unwrap();
    let mut losses = Vec::new();
    for epoch in 0..3 {
        for batch in data.batches(25).unwrap().shuffled(epoch) {
            trainer.step(&batch).unwrap();
        }
        losses.push(trainer.take_loss().unwrap());
    }
    assert_eq!(trainer.steps(), 15);
    (losses, trainer.weights().unwrap())
}

#[test]
fn a_seeded_run_gives_the_same_bits_twice() {
    for device in devices() {
        let ((l1, w1), (l2, w2)) = (run(&device), run(&device));
        assert_eq!(bits(&w1), bits(&w2), "{device}");
        assert_eq!(l1, l2, "{device}");
    }
    // Another device of the same adapter, too.
    assert_eq!(bits(&run(&common::gpu()).1), bits(&run(&common::gpu()).1));
}

#[test]
fn shader_checks_do_not_change_a_bit() {
    let checked = common::gpu_with(DeviceOptions {
        shader_checks: true,
        ..DeviceOptions::default()
    });
    assert_eq!(bits(&run(&common::gpu()).1), bits(&run(&checked).1));
}

#[test]
fn initial_weights_are_the_same_bits_everywhere() {
    for init in [
        Init::PyTorch,
        Init::GlorotUniform,
        Init::GlorotNormal,
        Init::HeUniform,
        Init::HeNormal,
        Init::Zeros,
    ] {
        let network = network().init(init);
        let all: Vec<Tensors> = devices()
            .iter()
            .map(|device| {
                let trainer =
                    Trainer::new(device, &network, Loss::CrossEntropy, Adam::default(), 3);
                trainer.unwrap().weights().unwrap()
            })
            .collect();
        assert_eq!(bits(&all[0]), bits(&all[1]));
        assert_eq!(bits(&all[0]), bits(&all[2]));
    }
}

#[test]
fn initial_weights_have_the_spread_that_their_scheme_says() {
    let (inputs, outputs) = (300, 200);
    let bound = |x: f64| x.sqrt();
    for (init, deviation, largest) in [
        (Init::PyTorch, bound(1.0 / 300.0 / 3.0), bound(1.0 / 300.0)),
        (Init::GlorotUniform, bound(2.0 / 500.0), bound(6.0 / 500.0)),
        (Init::GlorotNormal, bound(2.0 / 500.0), f64::INFINITY),
        (Init::HeUniform, bound(2.0 / 300.0), bound(6.0 / 300.0)),
        (Init::HeNormal, bound(2.0 / 300.0), f64::INFINITY),
    ] {
        let network = Mlp::new(inputs).dense(outputs, Identity).init(init);
        let mut trainer =
            Trainer::new(&Device::cpu(), &network, Loss::Mse, Sgd::default(), 11).unwrap();
        let weights = trainer.weights().unwrap();
        let w = &weights.weight(0).unwrap().data;
        let n = w.len() as f64;
        let mean = w.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = w
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / n;
        // Five standard errors of the mean and, for a kurtosis of at most 3, of the variance.
        assert!(
            mean.abs() <= 5.0 * deviation / n.sqrt(),
            "{init:?}: mean {mean}"
        );
        let expected = deviation * deviation;
        assert!(
            (variance - expected).abs() <= 5.0 * expected * (2.0 / n).sqrt(),
            "{init:?}"
        );
        assert!(w.iter().all(|&x| f64::from(x.abs()) <= largest), "{init:?}");
        let biases = &weights.bias(0).unwrap().data;
        assert_eq!(biases.iter().all(|&b| b == 0.0), init != Init::PyTorch);
    }
}

#[test]
fn micro_batches_of_any_sizes_give_the_mean_of_the_whole() {
    let data = classes(60, 19, 5);
    for criterion in [Loss::CrossEntropy.mean(), Loss::CrossEntropy.sum()] {
        for device in devices() {
            let new = || Trainer::new(&device, &network(), criterion, Sgd::default(), 3).unwrap();
            let mut whole = new();
            // The rounding bound of the whole batch's gradients; micro-batches only sum in another order.
            let report = verify::gradients(&mut whole, &data).unwrap();
            assert!(report.passed(), "{report}");
            whole.step(&data).unwrap();
            let mut parts = new();
            let mut at = 0;
            for size in [1, 32, 7, 20] {
                let rows: Vec<usize> = (at..at + size).collect();
                parts.accumulate(&data.select(&rows)).unwrap();
                at += size;
            }
            parts.apply().unwrap();
            let (a, b) = (
                whole.gradients_f64().unwrap(),
                parts.gradients_f64().unwrap(),
            );
            for (a, b) in a.iter().zip(&b) {
                let name = format!("gradient of {}, whole plan", a.name);
                let check = report
                    .checks
                    .iter()
                    .find(|check| check.name == name)
                    .unwrap();
                for (x, y) in a.data.iter().zip(&b.data) {
                    let error = (x - y).abs();
                    assert!(
                        error <= 2.0 * check.largest_bound,
                        "{device}, {}: {error:e}",
                        a.name
                    );
                }
            }
            let (a, b) = (whole.take_loss().unwrap(), parts.take_loss().unwrap());
            approx::assert_relative_eq!(a, b, max_relative = 1e-5);
            assert_eq!(whole.steps(), parts.steps());
        }
    }
}

#[test]
fn on_the_reference_micro_batches_agree_to_rounding_of_f64() {
    let data = classes(60, 19, 5);
    let new = || {
        let device = Device::reference();
        Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 3).unwrap()
    };
    let (mut whole, mut parts) = (new(), new());
    whole.accumulate(&data).unwrap();
    for batch in data.batches(13).unwrap() {
        parts.accumulate(&batch).unwrap();
    }
    let error = distance(
        &whole.gradients_f64().unwrap(),
        &parts.gradients_f64().unwrap(),
    );
    assert!(error <= 1e-14, "{error:e}");
}

#[test]
fn evaluation_disturbs_nothing() {
    let data = classes(60, 19, 5);
    let other = classes(300, 19, 5);
    for device in devices() {
        let run = |disturb: bool| {
            let mut trainer =
                Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 3).unwrap();
            for batch in data.batches(20).unwrap() {
                trainer.accumulate(&batch).unwrap();
                if disturb {
                    trainer.evaluate(&other).unwrap();
                    trainer.predict(other.inputs()).unwrap();
                    trainer.gradients().unwrap();
                }
            }
            trainer.apply().unwrap();
            (
                trainer.take_loss().unwrap(),
                bits(&trainer.weights().unwrap()),
            )
        };
        assert_eq!(run(false), run(true), "{device}");
    }
}

#[test]
fn evaluation_is_the_loss_and_accuracy_of_the_predictions() {
    let data = classes(601, 19, 5);
    for device in devices() {
        let mut trainer =
            Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 3).unwrap();
        let outputs = trainer.predict(data.inputs()).unwrap();
        let wgrad::Targets::Classes(labels) = data.targets() else {
            unreachable!()
        };
        let (mut loss, mut right) = (0.0, 0);
        for (r, &label) in labels.iter().enumerate() {
            let z: Vec<f64> = outputs.row(r).iter().map(|&z| z.into()).collect();
            loss += z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label as usize];
            let largest = z.iter().cloned().fold(f64::MIN, f64::max);
            right += usize::from(z[label as usize] == largest);
        }
        let evaluation = trainer.evaluate(&data).unwrap();
        assert_eq!(evaluation.rows, 601);
        assert_eq!(evaluation.accuracy, Some(right as f64 / 601.0));
        // Each row's f32 loss is off by 2⁻²¹ at most where log's argument is near 1 (WGSL), and a few roundings.
        approx::assert_abs_diff_eq!(evaluation.loss, loss / 601.0, epsilon = 2e-6);
    }
}

#[test]
fn training_from_the_weights_of_another_device_goes_on_the_same() {
    let data = classes(40, 19, 5);
    let gpu = common::gpu();
    let new = |device: &Device, seed| {
        Trainer::new(
            device,
            &network(),
            Loss::CrossEntropy,
            RmsProp::default(),
            seed,
        )
        .unwrap()
    };
    let mut first = new(&Device::cpu(), 1);
    first.step(&data).unwrap();
    let weights = first.weights().unwrap();
    let (mut a, mut b) = (new(&gpu, 2), new(&gpu, 3));
    a.set_weights(&weights).unwrap();
    b.set_weights(&weights).unwrap();
    assert_eq!(bits(&a.weights().unwrap()), bits(&weights));
    a.step(&data).unwrap();
    b.step(&data).unwrap();
    assert_eq!(bits(&a.weights().unwrap()), bits(&b.weights().unwrap()));
}

#[test]
fn single_example_descent_learns_xor() {
    let x = Matrix::from_rows(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).unwrap();
    let t = Matrix::new(1, vec![0.0, 1.0, 1.0, 0.0]).unwrap();
    let data = Dataset::values(x, t).unwrap();
    let network = Mlp::new(2).dense(8, Tanh).dense(1, Sigmoid);
    let sgd = Sgd {
        lr: 0.3,
        momentum: 0.9,
        ..Sgd::default()
    };
    let mut trainer = Trainer::new(&common::gpu(), &network, Loss::SquaredError, sgd, 5).unwrap();
    for epoch in 0..300 {
        for pair in data.batches(1).unwrap().shuffled(epoch) {
            trainer.step(&pair).unwrap();
        }
    }
    let evaluation = trainer.evaluate(&data).unwrap();
    assert!(evaluation.loss < 0.01, "{evaluation}");
}

#[test]
fn asynchronous_calls_give_what_the_blocking_ones_do() {
    let data = classes(40, 19, 5);
    let mut trainer = Trainer::new(
        &common::gpu(),
        &network(),
        Loss::CrossEntropy,
        Adam::default(),
        3,
    )
    .unwrap();
    trainer.step(&data).unwrap();
    pollster::block_on(async {
        assert_eq!(Device::adapters_async().await, Device::adapters());
        let auto = Device::auto_async().await.unwrap();
        assert_eq!(auto.to_string(), Device::auto().unwrap().to_string());
        let a = trainer.evaluate_async(&data).await.unwrap();
        assert_eq!(a, trainer.evaluate(&data).unwrap());
        let a = trainer.predict_async(data.inputs()).await.unwrap();
        assert_eq!(a, trainer.predict(data.inputs()).unwrap());
        let a = trainer.weights_async().await.unwrap();
        assert_eq!(a, trainer.weights().unwrap());
        let a = trainer.gradients_async().await.unwrap();
        assert_eq!(a, trainer.gradients().unwrap());
        assert!(trainer.take_loss_async().await.unwrap().is_finite());
    });
}

#[test]
fn auto_never_takes_a_software_adapter() {
    let device = Device::auto().unwrap();
    if std::env::var_os("WGPU_ADAPTER_NAME").is_none() {
        assert!(!device.is_software(), "{device}");
    }
    let gpu = common::gpu();
    if gpu.is_software() {
        assert!(gpu.to_string().contains("software"), "{gpu}");
        assert!(Device::adapters().iter().all(|adapter| adapter.software));
    }
}

#[test]
fn a_correct_run_is_verified_whatever_the_seed() {
    let network = Mlp::new(3)
        .dense(5, Sigmoid)
        .dense(4, Tanh)
        .dense(2, Sigmoid);
    let devices = [Device::cpu(), common::gpu()];
    for seed in 0..40 {
        let x = Matrix::new(3, numbers(3 * 4, seed)).unwrap();
        let t = Matrix::new(2, numbers(2 * 4, seed + 1)).unwrap();
        let data = Dataset::values(x, t).unwrap();
        // One row alone, and three runs through all rows.
        for batches in [
            vec![data.head(1)],
            (0..3).flat_map(|_| data.batches(2).unwrap()).collect(),
        ] {
            for device in &devices {
                let sgd = Sgd {
                    lr: 0.1,
                    ..Sgd::default()
                };
                let mut trainer =
                    Trainer::new(device, &network, Loss::SquaredError, sgd, seed as u64).unwrap();
                let report = verify::training(&mut trainer, &batches).unwrap();
                assert!(report.passed(), "seed {seed}: {report}");
            }
        }
    }
}
