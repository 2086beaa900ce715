//! Weights of rows, label smoothing, L1, clipping and gradient norms: against numbers that PyTorch computed in f64, on the f64
//! reference, the f32 CPU path and the GPU.

use crate::common;
use serde::Deserialize;
use wgrad::{
    Activation::*, Adam, AdamW, Clip, Criterion, Dataset, Device, DeviceOptions, Error, Loss,
    Matrix, Mlp, Optimizer, RmsProp, Sgd, Storage, Tensors, Trainer, verify,
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
    norms: Vec<f64>,
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
        let text = include_str!("../fixtures/loss/cases.json");
        serde_json::from_str::<Fixtures>(text).unwrap().cases
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
                l1: self.l1,
                weight_decay,
                momentum: number("momentum").unwrap_or(0.0),
                nesterov: self.args["nesterov"].as_bool().unwrap_or(false),
                ..Sgd::default()
            }
            .into(),
            "rmsprop" => RmsProp {
                lr,
                l1: self.l1,
                weight_decay,
                ..RmsProp::default()
            }
            .into(),
            "adam" => Adam {
                lr,
                l1: self.l1,
                weight_decay,
                ..Adam::default()
            }
            .into(),
            "adamw" => AdamW {
                lr,
                l1: self.l1,
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
        let clip = Clip {
            norm: self.clip_norm,
            value: self.clip_value,
        };
        trainer.set_clip(clip).unwrap();
        trainer.record_grad_norms(true);
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

/// Ten steps: the losses and the norms of the gradients before each, and the weights after them.
fn train(trainer: &mut Trainer, batch: &Dataset) -> (Vec<f64>, Vec<f64>, Tensors<f64>) {
    for _ in 0..10 {
        trainer.step(batch).unwrap();
    }
    let losses = trainer.take_losses().unwrap();
    let norms = trainer.take_grad_norms().unwrap();
    (losses, norms, trainer.weights_f64().unwrap())
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
        let (losses, norms, weights) = train(&mut case.trainer(&Device::reference()), &batch);
        close("losses", &losses, &case.losses);
        close("norms", &norms, &case.norms);
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
        let first = verify::gradients(&mut case.trainer(device), &batch).unwrap();
        assert!(first.passed(), "{}: {first}", case.name);
        let report = verify::training(&mut case.trainer(device), &vec![batch.clone(); 10]).unwrap();
        assert!(report.passed(), "{}: {report}", case.name);
        let bound = |name: &str, torch: &[f64]| {
            let mut checks = report.checks.iter();
            let check = checks.find(|check| check.name.starts_with(name));
            check.unwrap().largest_bound + 1e-9 * largest(torch)
        };
        let (losses, norms, weights) = train(&mut case.trainer(device), &batch);
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
        // The first norm is of gradients within their bounds, and has some hundred roundings of its own.
        let rounding = 256.0 * 2f64.powi(-24) * largest(&case.norms);
        let off: f64 = case
            .grad
            .iter()
            .zip(&weights)
            .map(|(torch, weight)| {
                let name = format!("gradient of {}, whole plan", weight.name);
                let check = first
                    .checks
                    .iter()
                    .find(|check| check.name == name)
                    .unwrap();
                check.largest_bound.powi(2) * torch.len() as f64
            })
            .sum();
        let (error, most) = ((norms[0] - case.norms[0]).abs(), off.sqrt() + rounding);
        assert!(
            error <= most && most <= 1e-3 * norms[0],
            "{}: {error:e} > {most:e}",
            case.name
        );
        // The others are of gradients at weights within their bounds, and move no more than those times the curvature, which is
        // under 10 here.
        let moved: f64 = weights
            .iter()
            .zip(&case.after10)
            .map(|(weight, torch)| bound(&weight.name, torch).powi(2) * torch.len() as f64)
            .sum();
        let (error, most) = (
            distance(&norms, &case.norms),
            10.0 * moved.sqrt() + rounding,
        );
        assert!(error <= most, "{}, norms: {error:e} > {most:e}", case.name);
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
fn smoothing_of_0_keeps_the_bits() {
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

const INPUTS: usize = 9;

fn data() -> Dataset {
    let x = Matrix::new(INPUTS, common::numbers(67 * INPUTS, 3)).unwrap();
    Dataset::values(x, Matrix::new(3, common::numbers(67 * 3, 5)).unwrap()).unwrap()
}

fn network() -> Mlp {
    Mlp::new(INPUTS)
        .dense(60, Tanh)
        .dense(17, Tanh)
        .dense(3, Identity)
}

fn momentum() -> Sgd {
    Sgd {
        lr: 0.1,
        momentum: 0.9,
        l1: 1e-3,
        ..Sgd::default()
    }
}

fn clipped(device: &Device, clip: Clip) -> Trainer {
    let mut trainer = Trainer::new(device, &network(), Loss::Mse, momentum(), 5).unwrap();
    trainer.set_clip(clip).unwrap();
    trainer
}

/// A GPU that goes op by op, one whose bindings hold 4 KiB, so that the parameters have several segments, and the CPUs.
fn devices() -> [Device; 4] {
    let gpu = |binding_limit| {
        common::gpu_with(DeviceOptions {
            small_network: Some(false),
            binding_limit,
            ..DeviceOptions::default()
        })
    };
    [
        gpu(None),
        gpu(Some(4096)),
        Device::cpu(),
        Device::reference(),
    ]
}

fn bits(trainer: &mut Trainer) -> Vec<u64> {
    let weights = trainer.weights_f64().unwrap();
    let data = weights.iter().flat_map(|t| &t.data);
    data.map(|x| x.to_bits()).collect()
}

#[test]
fn an_epoch_that_clips_gives_the_bits_and_the_norms_of_its_steps() {
    let data = data();
    let both = Clip {
        norm: Some(0.2),
        value: Some(0.05),
    };
    for device in devices() {
        for clip in [
            both,
            Clip { norm: None, ..both },
            Clip {
                value: None,
                ..both
            },
        ] {
            let (mut epochs, mut steps) = (clipped(&device, clip), clipped(&device, clip));
            epochs.record_grad_norms(true);
            steps.record_grad_norms(true);
            let mut loaded = epochs.load(&data, Storage::F32).unwrap();
            for epoch in 0..3 {
                epochs.epoch(&mut loaded, 16, Some(epoch)).unwrap();
                for batch in data.batches(16).unwrap().shuffled(epoch) {
                    steps.step(&batch).unwrap();
                }
            }
            epochs.unload(loaded);
            assert_eq!(bits(&mut epochs), bits(&mut steps), "{device}");
            let norms = epochs.take_grad_norms().unwrap();
            assert_eq!(norms, steps.take_grad_norms().unwrap());
            assert_eq!(norms.len(), 15);
            assert!(norms.iter().all(|n| n.is_finite() && *n > 0.0));
            assert!(epochs.take_grad_norms().unwrap().is_empty());
        }
    }
}

#[test]
fn limits_that_nothing_reaches_change_no_bit_and_neither_do_norms() {
    let data = data();
    for device in devices() {
        let run = |clip: Clip, norms: bool| {
            let mut trainer = clipped(&device, clip);
            trainer.record_grad_norms(norms);
            for batch in data.batches(16).unwrap() {
                trainer.step(&batch).unwrap();
            }
            for batch in data.batches(16).unwrap() {
                trainer.accumulate(&batch).unwrap();
            }
            trainer.apply().unwrap();
            let norms = trainer.take_grad_norms().unwrap();
            (bits(&mut trainer), norms)
        };
        let (plain, none) = run(Clip::default(), false);
        assert!(none.is_empty());
        let (recorded, norms) = run(Clip::default(), true);
        assert_eq!(recorded, plain, "{device}");
        assert_eq!(norms.len(), 6);
        let far = Clip {
            norm: Some(1e6),
            value: None,
        };
        // scale·1 is scale.
        assert_eq!(run(far, false), (plain, norms), "{device}");
    }
}

#[test]
fn a_clipped_step_is_as_long_as_the_limit() {
    // Plain descent: the step is lr times the clipped gradient.
    let data = data();
    let sgd = Sgd {
        lr: 0.5,
        ..Sgd::default()
    };
    for device in devices() {
        let step = |clip: Clip| {
            let mut trainer = Trainer::new(&device, &network(), Loss::Mse, sgd, 5).unwrap();
            trainer.set_clip(clip).unwrap();
            let before = trainer.weights_f64().unwrap();
            // Micro-batches: it is the whole gradient that is clipped.
            for batch in data.batches(16).unwrap() {
                trainer.accumulate(&batch).unwrap();
            }
            trainer.apply().unwrap();
            let gradients = trainer.gradients_f64().unwrap();
            let after = trainer.weights_f64().unwrap();
            let flat = |t: &Tensors<f64>| t.iter().flat_map(|t| t.data.clone()).collect::<Vec<_>>();
            let moved: Vec<f64> = flat(&before)
                .iter()
                .zip(flat(&after))
                .map(|(b, a)| (b - a) / 0.5)
                .collect();
            (moved, flat(&gradients), trainer.take_grad_norms().unwrap())
        };
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A weight below 1 is rounded to 2⁻²⁵ at most, and divided by 0.5 here; some 1,700 of them make 5e-6 at most.
        let bound = 1e-5;
        let (moved, gradients, norms) = step(Clip {
            norm: Some(0.01),
            value: None,
        });
        assert!(
            (norm(&moved) - 0.01).abs() <= bound,
            "{device}: {}",
            norm(&moved)
        );
        assert!(
            (norms[0] - norm(&gradients)).abs() <= 1e-5 * norms[0],
            "{device}"
        );
        assert!(norms[0] > 0.05, "{norms:?}");
        let (moved, gradients, norms) = step(Clip {
            norm: None,
            value: Some(0.02),
        });
        assert!(norms.is_empty());
        let mut reached = 0;
        for (moved, gradient) in moved.iter().zip(&gradients) {
            assert!((moved - gradient.clamp(-0.02, 0.02)).abs() <= bound);
            reached += usize::from(gradient.abs() > 0.02);
        }
        assert!(reached > 10, "{reached}");
    }
}

#[test]
fn norms_are_a_ring_of_the_latest_4096() {
    let (device, data) = (Device::cpu(), data().head(2));
    let (mut all, mut last) = (
        clipped(&device, Clip::default()),
        clipped(&device, Clip::default()),
    );
    all.record_grad_norms(true);
    for i in 0..4100 {
        all.step(&data).unwrap();
        // Only those that are recorded take a place.
        last.record_grad_norms(i >= 4090);
        last.step(&data).unwrap();
    }
    let (all, last) = (
        all.take_grad_norms().unwrap(),
        last.take_grad_norms().unwrap(),
    );
    assert_eq!((all.len(), last.len()), (4096, 10));
    assert_eq!(all[4086..], last);
}

#[test]
fn small_networks_clip_by_value_and_have_l1_but_no_norms() {
    let data = data();
    let small = common::gpu_with(DeviceOptions {
        small_network: Some(true),
        ..DeviceOptions::default()
    });
    let value = Clip {
        norm: None,
        value: Some(0.03),
    };
    let run = |device: &Device, clip: Clip, norms: bool| {
        let mut trainer = clipped(device, clip);
        trainer.record_grad_norms(norms);
        for _ in 0..5 {
            trainer.step(&data).unwrap();
        }
        let weights = trainer.weights_f64().unwrap();
        (
            weights
                .iter()
                .flat_map(|t| t.data.clone())
                .collect::<Vec<_>>(),
            trainer.take_grad_norms().unwrap(),
        )
    };
    let expected = run(&Device::reference(), value, false).0;
    let plain = run(&Device::reference(), Clip::default(), false).0;
    let (whole, _) = run(&small, value, false);
    // Gradients below 1 of 67 rows are off by 64 roundings at most, and momentum adds up to ten of them, times lr 0.1, in each of
    // five steps.
    let bound = 5.0 * 0.1 * 10.0 * 64.0 * 2f64.powi(-24);
    assert!(distance(&whole, &expected) <= bound);
    assert!(distance(&plain, &expected) > 100.0 * bound);
    // With norms it goes op by op, and still does the same.
    let (by_ops, norms) = run(&small, value, true);
    assert_eq!(norms.len(), 5);
    assert!(distance(&by_ops, &expected) <= bound);
}

#[test]
fn a_norm_that_overflows_is_refused_and_said() {
    let point = |x: f32, t: f32| {
        let matrix = |v| Matrix::new(1, vec![v]).unwrap();
        Dataset::values(matrix(x), matrix(t)).unwrap()
    };
    let network = Mlp::new(1).dense(1, Identity);
    let optimizers: [Optimizer; 4] = [
        Sgd::default().into(),
        momentum().into(),
        RmsProp::default().into(),
        Adam::default().into(),
    ];
    for device in [common::gpu(), Device::cpu()] {
        for optimizer in optimizers {
            let mut trainer =
                Trainer::new(&device, &network, Loss::SquaredError, optimizer, 0).unwrap();
            let mut zero = trainer.weights().unwrap();
            zero.iter_mut().for_each(|t| t.data.fill(0.0));
            trainer.set_weights(&zero).unwrap();
            let clip = Clip {
                norm: Some(1.0),
                value: None,
            };
            trainer.set_clip(clip).unwrap();
            // g = −2·t·x = −2e22, whose square is beyond f32, while the loss 1e20 is not.
            trainer.step(&point(1e12, 1e10)).unwrap();
            assert!(matches!(trainer.take_loss(), Err(Error::NonFiniteUpdate)));
            assert_eq!(trainer.take_grad_norms().unwrap(), [f64::INFINITY]);
            assert_eq!(trainer.weights().unwrap(), zero);
            trainer.step(&point(1.0, 1.0)).unwrap();
            trainer.take_loss().unwrap();
            assert_ne!(trainer.weights().unwrap(), zero);
            // A loss that is not finite refuses the step as ever, and its norm says so.
            let before = trainer.weights().unwrap();
            trainer.step(&point(1e30, 0.0)).unwrap();
            assert!(matches!(
                trainer.take_loss(),
                Err(Error::NonFiniteLoss { batches: 1 })
            ));
            assert_eq!(trainer.weights().unwrap(), before);
            let norms = trainer.take_grad_norms().unwrap();
            assert!(norms.len() == 2 && !norms[1].is_finite(), "{norms:?}");
            trainer.step(&point(1.0, 1.0)).unwrap();
            trainer.take_loss().unwrap();
        }
    }
}

#[test]
fn limits_and_penalties_out_of_range_are_refused() {
    let mut trainer = clipped(&Device::cpu(), Clip::default());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-45, 1e39] {
        let limits = [
            (
                "norm",
                Clip {
                    norm: Some(bad),
                    value: None,
                },
            ),
            (
                "value",
                Clip {
                    norm: Some(1.0),
                    value: Some(bad),
                },
            ),
        ];
        for (name, clip) in limits {
            let error = trainer.set_clip(clip).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .contains(&format!("the {name} to clip to")),
                "{error}"
            );
            assert_eq!(trainer.clip(), Clip::default());
        }
    }
    for l1 in [-0.1, f64::NAN, f64::INFINITY, 1e39] {
        let optimizers: [Optimizer; 4] = [
            Sgd {
                l1,
                ..Sgd::default()
            }
            .into(),
            RmsProp {
                l1,
                ..RmsProp::default()
            }
            .into(),
            Adam {
                l1,
                ..Adam::default()
            }
            .into(),
            AdamW {
                l1,
                ..AdamW::default()
            }
            .into(),
        ];
        for optimizer in optimizers {
            let error =
                Trainer::new(&Device::cpu(), &network(), Loss::Mse, optimizer, 1).unwrap_err();
            assert!(error.to_string().contains("'s l1"), "{error}");
        }
    }
}

#[test]
fn l1_pulls_every_parameter_to_0_and_leaves_0_there() {
    // Without a gradient: targets are what the network gives.
    let x = Matrix::new(2, vec![0.0, 0.0]).unwrap();
    let data = Dataset::values(x, Matrix::new(2, vec![0.25, 0.0]).unwrap()).unwrap();
    let network = Mlp::new(2).dense(2, Identity);
    let sgd = Sgd {
        lr: 0.5,
        l1: 0.125,
        ..Sgd::default()
    };
    for device in devices() {
        let mut trainer = Trainer::new(&device, &network, Loss::Mse, sgd, 1).unwrap();
        let mut weights = trainer.weights().unwrap();
        let tensors: Vec<&mut wgrad::Tensor> = weights.iter_mut().collect();
        for (tensor, data) in tensors
            .into_iter()
            .zip([&[1.0, -1.0, 0.0, 0.5][..], &[0.25, 0.0]])
        {
            tensor.data.copy_from_slice(data);
        }
        trainer.set_weights(&weights).unwrap();
        trainer.step(&data).unwrap();
        let after = trainer.weights().unwrap();
        let data: Vec<f32> = after.iter().flat_map(|t| t.data.clone()).collect();
        assert_eq!(
            data,
            [0.9375, -0.9375, 0.0, 0.4375, 0.1875, 0.0],
            "{device}"
        );
    }
}
