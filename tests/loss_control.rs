//! Weights of rows, label smoothing, L1, clipping and gradient norms: against numbers that PyTorch computed in f64, on the f64
//! reference, the f32 CPU path and the GPU.

mod common;

use serde::Deserialize;
use wgrad::{
    Activation::*, Adam, AdamW, Criterion, Dataset, Device, DeviceOptions, Error, Loss, Matrix,
    Mlp, Optimizer, RmsProp, Sgd, Tensors, Trainer, verify,
};

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
}

/// What tests/fixtures/loss/make.py wrote.
#[derive(Deserialize)]
struct Case {
    name: String,
    /// `labels`, `probabilities` or `values`.
    targets: String,
    widths: Vec<usize>,
    x: Vec<Vec<f64>>,
    t: serde_json::Value,
    weights: Option<Vec<f64>>,
    class_weights: Option<Vec<f64>>,
    optimizer: String,
    args: serde_json::Value,
    smoothing: f64,
    l1: f64,
    clip_norm: Option<f64>,
    clip_value: Option<f64>,
    init: Vec<Vec<f64>>,
    /// Of the first step.
    grad: Vec<Vec<f64>>,
    losses: Vec<f64>,
    after10: Vec<Vec<f64>>,
}

fn narrow(x: &[f64]) -> Vec<f32> {
    // Exactly: make.py wrote numbers that are f32.
    x.iter()
        .map(|&x| {
            assert_eq!(f64::from(x as f32), x);
            x as f32
        })
        .collect()
}

fn matrix(rows: &[Vec<f64>]) -> Matrix {
    Matrix::new(rows[0].len(), narrow(&rows.concat())).unwrap()
}

impl Case {
    fn all() -> Vec<Self> {
        let text = include_str!("fixtures/loss/cases.json");
        let cases = serde_json::from_str::<Fixtures>(text).unwrap().cases;
        cases
            .into_iter()
            .filter(|c| c.l1 == 0.0 && c.clip_norm.is_none() && c.clip_value.is_none())
            .collect()
    }

    fn network(&self) -> Mlp {
        let last = self.widths.len() - 1;
        let mut network = Mlp::new(self.widths[0]);
        for (l, &width) in self.widths.iter().enumerate().skip(1) {
            network = network.dense(width, if l == last { Identity } else { Tanh });
        }
        network
    }

    fn criterion(&self) -> Criterion {
        let loss = match self.targets.as_str() {
            "values" => Loss::Mse,
            _ => Loss::CrossEntropy,
        };
        loss.mean().label_smoothing(self.smoothing)
    }

    fn optimizer(&self) -> Optimizer {
        let number = |name: &str| self.args[name].as_f64();
        let lr = number("lr").unwrap();
        let weight_decay = number("weight_decay").unwrap_or(0.0);
        match self.optimizer.as_str() {
            "sgd" => Sgd {
                lr,
                weight_decay,
                momentum: number("momentum").unwrap_or(0.0),
                nesterov: self.args["nesterov"].as_bool().unwrap_or(false),
                ..Sgd::default()
            }
            .into(),
            "rmsprop" => RmsProp {
                lr,
                weight_decay,
                ..RmsProp::default()
            }
            .into(),
            "adam" => Adam {
                lr,
                weight_decay,
                ..Adam::default()
            }
            .into(),
            "adamw" => AdamW {
                lr,
                weight_decay: number("weight_decay").unwrap_or(AdamW::default().weight_decay),
                ..AdamW::default()
            }
            .into(),
            other => panic!("no optimizer {other}"),
        }
    }

    fn batch(&self) -> Dataset {
        let x = matrix(&self.x);
        let data = if self.targets == "labels" {
            Dataset::classes(x, serde_json::from_value(self.t.clone()).unwrap())
        } else {
            let t: Vec<Vec<f64>> = serde_json::from_value(self.t.clone()).unwrap();
            Dataset::values(x, matrix(&t))
        };
        let mut data = data.unwrap();
        if let Some(weights) = &self.weights {
            data = data.with_weights(narrow(weights)).unwrap();
        }
        if let Some(weights) = &self.class_weights {
            data = data.with_class_weights(&narrow(weights)).unwrap();
        }
        data
    }

    fn trainer(&self, device: &Device) -> Trainer {
        let mut trainer = Trainer::new(
            device,
            &self.network(),
            self.criterion(),
            self.optimizer(),
            0,
        )
        .unwrap();
        let mut weights = trainer.weights().unwrap();
        for (tensor, init) in weights.iter_mut().zip(&self.init) {
            tensor.data.copy_from_slice(&narrow(init));
        }
        trainer.set_weights(&weights).unwrap();
        trainer
    }
}

/// Largest |a − b|, infinite if either is not finite.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |worst, (a, b)| {
        let d = (a - b).abs();
        if d.is_finite() {
            f64::max(worst, d)
        } else {
            f64::INFINITY
        }
    })
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, x| f64::max(m, x.abs()))
}

/// Ten steps: the losses before each, and the weights after them.
fn train(trainer: &mut Trainer, batch: &Dataset) -> (Vec<f64>, Tensors<f64>) {
    for _ in 0..10 {
        trainer.step(batch).unwrap();
    }
    let losses = trainer.take_losses().unwrap();
    (losses, trainer.weights_f64().unwrap())
}

#[test]
fn the_f64_reference_agrees_with_pytorch_to_1e_9() {
    for case in Case::all() {
        let batch = case.batch();
        let close = |what: &str, ours: &[f64], torch: &[f64]| {
            let relative = distance(ours, torch) / largest(torch);
            assert!(relative <= 1e-9, "{}, {what}: {relative:e}", case.name);
        };
        let mut trainer = case.trainer(&Device::reference());
        let evaluated = trainer.evaluate(&batch).unwrap();
        close("evaluation", &[evaluated.loss], &case.losses[..1]);
        // In one piece, and as micro-batches.
        for size in [batch.rows(), 5] {
            let mut trainer = case.trainer(&Device::reference());
            for part in batch.batches(size).unwrap() {
                trainer.accumulate(&part).unwrap();
            }
            for (gradient, torch) in trainer.gradients_f64().unwrap().iter().zip(&case.grad) {
                close(&gradient.name, &gradient.data, torch);
            }
            close("loss", &[trainer.take_loss().unwrap()], &case.losses[..1]);
        }
        let (losses, weights) = train(&mut case.trainer(&Device::reference()), &batch);
        close("losses", &losses, &case.losses);
        for (weight, torch) in weights.iter().zip(&case.after10) {
            close(&weight.name, &weight.data, torch);
        }
        let differences = verify::finite_differences(&mut trainer, &batch).unwrap();
        assert!(differences.passed(), "{}: {differences}", case.name);
    }
}

/// The first step op by op, and ten steps within the bound of a whole run, whose f64 side agrees with PyTorch to 1e-9.
fn agrees(device: &Device) {
    for case in Case::all() {
        let batch = case.batch();
        let report = verify::gradients(&mut case.trainer(device), &batch).unwrap();
        assert!(report.passed(), "{}: {report}", case.name);
        let report = verify::training(&mut case.trainer(device), &vec![batch.clone(); 10]).unwrap();
        assert!(report.passed(), "{}: {report}", case.name);
        let bound = |name: &str, torch: &[f64]| {
            let mut checks = report.checks.iter();
            let check = checks.find(|check| check.name.starts_with(name));
            check.unwrap().largest_bound + 1e-9 * largest(torch)
        };
        let (losses, weights) = train(&mut case.trainer(device), &batch);
        let compare = |name: &str, ours: &[f64], torch: &[f64]| {
            let (error, bound) = (distance(ours, torch), bound(name, torch));
            assert!(
                error <= bound,
                "{}, {name}: {error:e} > {bound:e}",
                case.name
            );
            // A bound that says something: under a hundredth of the numbers.
            let most = 1e-2 * largest(torch);
            assert!(bound <= most, "{}, {name}: {bound:e}", case.name);
        };
        compare("loss curve", &losses, &case.losses);
        for (weight, torch) in weights.iter().zip(&case.after10) {
            compare(&weight.name, &weight.data, torch);
        }
    }
}

#[test]
fn the_cpu_agrees_with_pytorch() {
    agrees(&Device::cpu());
}

#[test]
fn the_gpu_agrees_with_pytorch() {
    agrees(&common::gpu());
}

#[test]
fn smoothing_keeps_the_bits_when_it_is_0_and_is_no_small_network() {
    let x = Matrix::new(6, common::numbers(40 * 6, 1)).unwrap();
    let data = Dataset::classes(x, (0..40).map(|r| r * r % 3).collect()).unwrap();
    let network = Mlp::new(6).dense(8, Tanh).dense(3, Identity);
    let small = common::gpu_with(DeviceOptions {
        small_network: Some(true),
        ..DeviceOptions::default()
    });
    for device in [small, Device::cpu(), Device::reference()] {
        let run = |criterion: Criterion| {
            let mut trainer =
                Trainer::new(&device, &network, criterion, Adam::default(), 1).unwrap();
            for _ in 0..3 {
                trainer.step(&data).unwrap();
            }
            let losses = trainer.take_losses().unwrap();
            (losses, trainer.weights_f64().unwrap())
        };
        let plain = run(Loss::CrossEntropy.mean());
        assert_eq!(run(Loss::CrossEntropy.mean().label_smoothing(0.0)), plain);
        let (losses, _) = run(Loss::CrossEntropy.mean().label_smoothing(0.3));
        // 30 % of the target lie on all classes alike: with outputs that know little yet, the loss is near ln 3 all the same.
        assert!(
            (losses[0] - 3f64.ln()).abs() < 0.3 && losses[0] != plain.0[0],
            "{losses:?}"
        );
    }
}

#[test]
fn smoothing_out_of_range_or_of_another_loss_is_refused() {
    let network = Mlp::new(2).dense(3, Identity);
    let build = |criterion: Criterion| {
        Trainer::new(&Device::cpu(), &network, criterion, Adam::default(), 1)
    };
    for bad in [-0.1, 1.0, 1.0 - 1e-12, 2.0, f64::NAN, f64::INFINITY] {
        let error = build(Loss::CrossEntropy.mean().label_smoothing(bad)).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert!(error.to_string().contains("in [0, 1)"), "{error}");
    }
    let error = build(Loss::Mse.mean().label_smoothing(0.1)).unwrap_err();
    assert!(error.to_string().contains("0.1 with mse"), "{error}");
    build(Loss::Mse.sum().label_smoothing(0.0)).unwrap();
    let criterion = Loss::CrossEntropy.sum().label_smoothing(0.25);
    assert_eq!(
        criterion.to_string(),
        "cross_entropy (sum, label smoothing 0.25)"
    );
}
