//! Dropout and residual connections: differences, devices against one another, whole epochs, resumed runs.

mod common;

use common::numbers;
use wgrad::verify::{self, Report};
use wgrad::{
    Activation::{self, *},
    Adam, Dataset, Device, Error, Loss, Matrix, Mlp, Sgd, Storage, Tensors, Trainer,
};

/// Networks of 6 inputs and 6 outputs that have everything somewhere: residual connections in a row, at the first and the last
/// layer, around dropout and not; dropout alone.
fn networks(last: &Activation) -> Vec<(&'static str, Mlp)> {
    vec![
        (
            "residual in the middle",
            Mlp::new(6)
                .dense(7, Tanh)
                .dense(7, Gelu)
                .residual()
                .dense(7, Silu)
                .residual()
                .dense(6, last.clone()),
        ),
        (
            "residual at both ends",
            Mlp::new(6)
                .dense(6, Softplus)
                .residual()
                .dense(6, Identity)
                .residual(),
        ),
        (
            "dropout",
            Mlp::new(6)
                .dense(8, Tanh)
                .dropout(0.25)
                .dense(5, Sigmoid)
                .dropout(0.5)
                .dense(6, last.clone()),
        ),
        (
            "dropout and residual",
            Mlp::new(6)
                .dense(6, Gelu)
                .dropout(0.1)
                .residual()
                .dense(6, Relu)
                .dropout(0.0)
                .dense(6, Tanh)
                .dropout(0.3)
                .residual()
                .dense(6, last.clone()),
        ),
    ]
}

fn inputs(rows: usize) -> Matrix {
    Matrix::new(6, numbers(rows * 6, 1)).unwrap()
}

fn labelled(rows: usize) -> Dataset {
    Dataset::classes(
        inputs(rows),
        (0..rows).map(|r| (r * 5 % 6) as u32).collect(),
    )
    .unwrap()
}

/// Targets in [0, 1] that sum to 1 in each row.
fn with_values(rows: usize) -> Dataset {
    let mut values: Vec<f32> = numbers(rows * 6, 3).iter().map(|x| x.abs() + 0.1).collect();
    for row in values.chunks_mut(6) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    Dataset::values(inputs(rows), Matrix::new(6, values).unwrap()).unwrap()
}

fn passes(report: &Report) {
    assert!(report.passed(), "{report}");
}

#[test]
fn gradients_are_those_of_central_differences() {
    let mut checked = 0;
    for loss in Loss::table() {
        let last = match loss {
            Loss::OutputCrossEntropy | Loss::KlDivergence => Softmax,
            Loss::Mse => Tanh,
            _ => Identity,
        };
        for (name, network) in networks(&last) {
            let ends_residual = network.layers().last().unwrap().residual;
            if ends_residual && last == Softmax {
                continue;
            }
            let mut trainer =
                Trainer::new(&Device::reference(), &network, loss, Sgd::default(), 5).unwrap();
            let report = verify::finite_differences(&mut trainer, &with_values(5)).unwrap();
            assert!(report.passed(), "{name}: {report}");
            checked += report.checks.iter().map(|c| c.elements).sum::<usize>();
        }
    }
    assert!(checked > 2000, "{checked}");
}

/// The devices that train.
fn devices() -> [Device; 2] {
    [common::gpu(), Device::cpu()]
}

#[test]
fn a_step_keeps_to_its_bounds_op_by_op_and_as_a_whole() {
    for device in devices() {
        for (_, network) in networks(&Identity) {
            for (loss, batch) in [
                (Loss::CrossEntropy, labelled(9)),
                (Loss::Huber { delta: 0.5 }, with_values(9)),
            ] {
                let mut trainer =
                    Trainer::new(&device, &network, loss, Adam::default(), 5).unwrap();
                passes(&verify::gradients(&mut trainer, &batch).unwrap());
            }
        }
    }
}

#[test]
fn whole_runs_are_those_of_f64() {
    for device in devices() {
        for (_, network) in networks(&Identity) {
            let sgd = Sgd {
                lr: 0.05,
                momentum: 0.9,
                ..Sgd::default()
            };
            let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, sgd, 5).unwrap();
            let batches = [labelled(7), labelled(8), labelled(5), labelled(8)];
            passes(&verify::training(&mut trainer, &batches).unwrap());
        }
    }
}

/// After some steps and micro-batches.
fn trained(device: &Device, network: &Mlp) -> (Tensors, f64) {
    let mut trainer =
        Trainer::new(device, network, Loss::CrossEntropy, Adam::default(), 5).unwrap();
    for rows in [8, 8, 3, 8] {
        trainer.step(&labelled(rows)).unwrap();
    }
    trainer.accumulate(&labelled(4)).unwrap();
    trainer.accumulate(&labelled(7)).unwrap();
    trainer.apply().unwrap();
    (trainer.weights().unwrap(), trainer.take_loss().unwrap())
}

#[test]
fn the_same_run_gives_the_same_bits() {
    for device in devices() {
        for (_, network) in networks(&Identity) {
            assert_eq!(trained(&device, &network), trained(&device, &network));
        }
    }
}

#[test]
fn an_epoch_is_its_steps_to_the_bit_however_the_data_is_kept() {
    // Inputs that every storage holds exactly.
    let x: Vec<f32> = (0..29 * 6).map(|i| (i * 31 % 256) as f32 / 64.0).collect();
    let data = Dataset::classes(
        Matrix::new(6, x).unwrap(),
        (0..29).map(|r| r * 5 % 6).collect(),
    )
    .unwrap();
    for device in devices() {
        for (name, network) in networks(&Identity) {
            let new =
                || Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 5).unwrap();
            let mut stepped = new();
            for epoch in 0..2 {
                for batch in data.batches(8).unwrap().shuffled(epoch) {
                    stepped.step(&batch).unwrap();
                }
            }
            let expected = stepped.weights().unwrap();
            for storage in [
                Storage::F32,
                Storage::F16,
                Storage::U8 { scale: 1.0 / 64.0 },
            ] {
                let mut trainer = new();
                let mut loaded = trainer.load(&data, storage).unwrap();
                for epoch in 0..2 {
                    trainer.epoch(&mut loaded, 8, Some(epoch)).unwrap();
                }
                assert_eq!(
                    trainer.weights().unwrap(),
                    expected,
                    "{name}, {storage}, {device}"
                );
            }
        }
    }
}

#[test]
fn masks_depend_on_seed_and_batch_alone_and_a_resumed_run_goes_on_with_them() {
    let (_, network) = networks(&Identity).swap_remove(3);
    for device in devices() {
        let new = |seed| {
            Trainer::new(&device, &network, Loss::CrossEntropy, Sgd::default(), seed).unwrap()
        };
        let mut whole = new(5);
        for _ in 0..3 {
            whole.step(&labelled(8)).unwrap();
        }
        let middle = whole.weights().unwrap();
        assert_eq!((whole.seed(), whole.batches()), (5, 3));
        whole.step(&labelled(8)).unwrap();
        let expected = whole.weights().unwrap();
        let resumed = |seed, batches| {
            let mut trainer = new(seed);
            trainer.set_weights(&middle).unwrap();
            trainer.set_batches(batches);
            trainer.step(&labelled(8)).unwrap();
            assert_eq!(trainer.take_losses().unwrap().len(), 1);
            trainer.weights().unwrap()
        };
        assert_eq!(resumed(5, 3), expected);
        assert_ne!(resumed(5, 2), expected);
        assert_ne!(resumed(6, 3), expected);
    }
}

#[test]
fn evaluation_drops_nothing_and_training_does() {
    let plain = Mlp::new(6).dense(40, Relu).dense(6, Identity);
    let dropping = Mlp::new(6).dense(40, Relu).dropout(0.5).dense(6, Identity);
    assert_eq!(dropping.tensors()[2].0, "3.weight");
    for device in devices() {
        let new = |network| {
            Trainer::new(&device, network, Loss::CrossEntropy, Sgd::default(), 5).unwrap()
        };
        let (mut without, mut with) = (new(&plain), new(&dropping));
        let (data, x) = (labelled(16), inputs(16));
        assert_eq!(with.predict(&x).unwrap(), without.predict(&x).unwrap());
        let loss = with.evaluate(&data).unwrap();
        assert_eq!(loss, without.evaluate(&data).unwrap());
        with.step(&data).unwrap();
        without.step(&data).unwrap();
        let (with, without) = (with.take_loss().unwrap(), without.take_loss().unwrap());
        assert!((without - loss.loss).abs() < 1e-5);
        assert!((with - without).abs() > 1e-3, "{with} {without}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_not_dropped() {
    // The loss must see the overflow even where almost everything is dropped.
    let network = Mlp::new(1)
        .dense(1, Identity)
        .dropout(0.999)
        .dense(1, Identity);
    for device in devices() {
        let mut trainer = Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 1).unwrap();
        let mut weights = trainer.weights().unwrap();
        weights.iter_mut().for_each(|t| t.data.fill(1e30));
        trainer.set_weights(&weights).unwrap();
        let point = |x| Matrix::new(1, vec![x]).unwrap();
        trainer
            .step(&Dataset::values(point(1e30), point(0.0)).unwrap())
            .unwrap();
        assert_eq!(
            trainer.take_loss(),
            Err(Error::NonFiniteLoss { batches: 1 })
        );
        assert_eq!(trainer.weights().unwrap(), weights);
    }
}

/// What a network is refused for.
fn refusal(network: &Mlp, loss: Loss) -> String {
    match Trainer::new(&Device::cpu(), network, loss, Sgd::default(), 0) {
        Err(error @ (Error::Network { .. } | Error::OutputActivation { .. })) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{network} is not refused"),
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    let hidden = || Mlp::new(4).dense(4, Relu);
    let cases = [
        (
            Mlp::new(4).dropout(0.1).dense(4, Relu),
            "before any dense layer",
        ),
        (
            Mlp::new(4).residual().dense(4, Relu),
            "before any dense layer",
        ),
        (
            hidden().dropout(0.1).dropout(0.2).dense(4, Identity),
            "twice for layer 0",
        ),
        (hidden().residual().residual(), "twice for layer 0"),
        (hidden().dropout(1.0).dense(4, Identity), "dropout 1"),
        (hidden().dropout(-0.1).dense(4, Identity), "dropout -0.1"),
        (hidden().dropout(f64::NAN).dense(4, Identity), "dropout NaN"),
        (hidden().dropout(0.1), "zeros among the predictions"),
        (hidden().dense(3, Relu).residual(), "4 inputs and 3 outputs"),
        (hidden().dense(4, Softmax).residual(), "no probability"),
    ];
    for (network, reason) in cases {
        let message = refusal(&network, Loss::Mse);
        assert!(message.contains(reason), "{message}");
    }
    // A sum is no probability, whatever the activation.
    let network = hidden().dense(4, Sigmoid).residual();
    let message = refusal(&network, Loss::OutputCrossEntropy);
    assert!(message.contains("residual"), "{message}");
}
