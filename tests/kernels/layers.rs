//! Normalisation, dropout and residual connections: differences, devices against one another, whole epochs, resumed runs.

use crate::common::{self, numbers};
use wgrad::verify::{self, Report};
use wgrad::{
    Activation::{self, *},
    Adam, Dataset, Device, EarlyStopping, Error, FitOptions, Loss, Matrix, Mlp, Sgd, Storage,
    Tensors, Trainer, Validation,
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
        (
            "layer normalisation",
            Mlp::new(6)
                .dense(9, Gelu)
                .layer_norm()
                .dense(40, Tanh)
                .layer_norm()
                .dense(6, last.clone()),
        ),
        (
            "batch normalisation",
            Mlp::new(6)
                .dense(9, Silu)
                .batch_norm()
                .dense(20, Sigmoid)
                .batch_norm()
                .dense(6, last.clone()),
        ),
        (
            "normalised output",
            Mlp::new(6)
                .dense(7, Relu)
                .batch_norm()
                .dense(6, last.clone())
                .layer_norm(),
        ),
        (
            "everything",
            Mlp::new(6)
                .dense(6, Gelu)
                .layer_norm()
                .dropout(0.1)
                .residual()
                .dense(6, Tanh)
                .batch_norm()
                .dropout(0.25)
                .residual()
                .dense(6, last.clone())
                .batch_norm(),
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
    (trainer.state_dict().unwrap(), trainer.take_loss().unwrap())
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
            let expected = stepped.state_dict().unwrap();
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
                    trainer.state_dict().unwrap(),
                    expected,
                    "{name}, {storage}, {device}"
                );
            }
        }
    }
}

#[test]
fn masks_depend_on_seed_and_batch_alone_and_a_resumed_run_goes_on_with_them() {
    let (_, network) = networks(&Identity).pop().unwrap();
    for device in devices() {
        let new = |seed| {
            Trainer::new(&device, &network, Loss::CrossEntropy, Sgd::default(), seed).unwrap()
        };
        let mut whole = new(5);
        for _ in 0..3 {
            whole.step(&labelled(8)).unwrap();
        }
        let middle = whole.state_dict().unwrap();
        assert_eq!((whole.seed(), whole.batches()), (5, 3));
        whole.step(&labelled(8)).unwrap();
        let expected = whole.state_dict().unwrap();
        let resumed = |seed, batches| {
            let mut trainer = new(seed);
            trainer.set_weights(&middle).unwrap();
            trainer.set_batches(batches);
            trainer.step(&labelled(8)).unwrap();
            assert_eq!(trainer.take_losses().unwrap().len(), 1);
            trainer.state_dict().unwrap()
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

#[test]
fn batch_normalisation_follows_the_batches_and_evaluation_the_running_statistics() {
    let network = Mlp::new(2).dense(3, Identity).batch_norm();
    assert_eq!(network.buffers()[1], ("1.running_var".into(), vec![3]));
    for device in devices() {
        // lr 0: only the statistics move.
        let still = Sgd {
            lr: 0.0,
            ..Sgd::default()
        };
        let mut trainer = Trainer::new(&device, &network, Loss::Mse, still, 1).unwrap();
        let start = trainer.buffers().unwrap();
        let all =
            |t: &Tensors, name: &str, x: f32| t.get(name).unwrap().data.iter().all(|&y| y == x);
        assert!(all(&start, "1.running_mean", 0.0) && all(&start, "1.running_var", 1.0));
        let x = Matrix::new(2, numbers(32, 4)).unwrap();
        let data = Dataset::values(x.clone(), Matrix::new(3, numbers(48, 5)).unwrap()).unwrap();
        let before = trainer.predict(&x).unwrap();
        trainer.evaluate(&data).unwrap();
        assert_eq!(
            trainer.buffers().unwrap(),
            start,
            "evaluation moves nothing"
        );
        // A row's prediction does not depend on its neighbours; a single row has one too.
        let one = Matrix::new(2, x.row(5).to_vec()).unwrap();
        assert_eq!(trainer.predict(&one).unwrap().row(0), before.row(5));
        // After 200 batches, 0.9²⁰⁰ of the start is left: evaluation does what training does, but for the divisor.
        for _ in 0..200 {
            trainer.step(&data).unwrap();
        }
        let batch = trainer.take_loss().unwrap();
        let running = trainer.evaluate(&data).unwrap().loss;
        let state = trainer.state_dict().unwrap();
        assert!((batch - running).abs() < 0.1 * batch, "{batch} {running}");
        let mut unbiased = state.clone();
        for t in unbiased.iter_mut() {
            if t.name.ends_with("running_var") {
                t.data.iter_mut().for_each(|v| *v *= 15.0 / 16.0);
            }
        }
        trainer.set_weights(&unbiased).unwrap();
        let running = trainer.evaluate(&data).unwrap().loss;
        // Within the roundings of 200 sums; a batch's variance in place of the running one would be off by 1/16.
        assert!((batch - running).abs() < 1e-5 * batch, "{batch} {running}");
        // The state goes into another trainer and gives the same.
        let mut other = Trainer::new(&device, &network, Loss::Mse, still, 2).unwrap();
        other.set_weights(&state).unwrap();
        trainer.set_weights(&state).unwrap();
        assert_eq!(other.predict(&x).unwrap(), trainer.predict(&x).unwrap());
        // No variance is negative.
        let mut wrong = trainer.buffers().unwrap();
        wrong.get_mut("1.running_var").unwrap().data[2] = -0.5;
        let refused = trainer.set_weights(&wrong);
        assert!(
            matches!(refused, Err(Error::Value { col: 2, .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_batch_that_overflows_leaves_the_running_statistics_alone() {
    let network = Mlp::new(1).dense(2, Identity).batch_norm();
    let column = |x: &[f32], cols| Matrix::new(cols, x.to_vec()).unwrap();
    for device in devices() {
        let mut trainer = Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 1).unwrap();
        let before = trainer.state_dict().unwrap();
        // The squares of the differences are beyond f32; an inverse of 0 would hide that.
        let x = column(&[1e25, -3e25, 2e25], 1);
        let data = Dataset::values(x, column(&[0.0; 6], 2)).unwrap();
        trainer.step(&data).unwrap();
        let taken = trainer.take_loss();
        assert_eq!(taken, Err(Error::NonFiniteLoss { batches: 1 }));
        assert_eq!(trainer.state_dict().unwrap(), before);
    }
}

#[test]
fn a_batch_of_one_row_is_refused_before_anything_happens() {
    let network = Mlp::new(6).dense(6, Relu).batch_norm().dense(6, Identity);
    for device in devices() {
        let mut trainer =
            Trainer::new(&device, &network, Loss::CrossEntropy, Sgd::default(), 1).unwrap();
        let before = trainer.state_dict();
        let refused = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::OneRow { .. })), "{result:?}");
        };
        refused(trainer.step(&labelled(1)));
        refused(trainer.accumulate(&labelled(1)));
        refused(verify::gradients(&mut trainer, &labelled(1)).map(|_| ()));
        let data = labelled(9);
        let mut loaded = trainer.load(&data, Storage::F32).unwrap();
        refused(trainer.epoch(&mut loaded, 1, None));
        for (rows, batch_size, micro_batch) in
            [(9, 1, None), (9, 9, Some(1)), (9, 4, Some(1)), (1, 4, None)]
        {
            let data = labelled(rows);
            let options = FitOptions {
                epochs: 1,
                batch_size,
                micro_batch,
                ..FitOptions::default()
            };
            refused(trainer.fit(&data, &options).map(|_| ()));
        }
        assert_eq!((trainer.batches(), trainer.state_dict()), (0, before));
        trainer.epoch(&mut loaded, 3, None).unwrap();
        trainer.evaluate(&labelled(1)).unwrap();
    }
}

/// 65 rows in batches of 64, and the like: the odd row goes into the batch before it, as if one had cut the batches so.
#[test]
fn a_last_batch_of_one_row_goes_into_the_batch_before_it() {
    let network = Mlp::new(6).dense(6, Relu).batch_norm().dense(6, Identity);
    let adam = Adam {
        lr: 0.01,
        ..Adam::default()
    };
    // Rows, batch, and what that gives.
    let cases: [(usize, usize, &[usize]); 4] = [
        (65, 64, &[65]),
        (9, 4, &[4, 5]),
        (7, 2, &[2, 2, 3]),
        (10, 4, &[4, 4, 2]),
    ];
    for device in [common::gpu(), Device::cpu(), Device::reference()] {
        for (rows, batch_size, sizes) in cases {
            let data = labelled(rows);
            let new = || Trainer::new(&device, &network, Loss::CrossEntropy, adam, 3).unwrap();
            let (mut steps, mut epochs, mut fit, mut micro) = (new(), new(), new(), new());
            let mut loss = 0.0;
            for epoch in 0..2 {
                let batches = data.batches(batch_size).unwrap().joined();
                let batches = batches.shuffled(epoch);
                assert_eq!(batches.len(), sizes.len());
                let cut: Vec<usize> = batches.clone().map(|batch| batch.rows()).collect();
                assert_eq!(cut, sizes);
                for batch in batches {
                    steps.step(&batch).unwrap();
                    if epoch == 1 {
                        let weight = batch.rows() as f64 / rows as f64;
                        loss += weight * *steps.take_losses().unwrap().last().unwrap();
                    }
                }
            }
            let expected = steps.state_dict().unwrap();
            assert_eq!(steps.steps_per_epoch(rows, batch_size), sizes.len() as u64);

            let mut loaded = epochs.load(&data, Storage::F32).unwrap();
            for epoch in 0..2 {
                epochs.epoch(&mut loaded, batch_size, Some(epoch)).unwrap();
            }
            assert_eq!(epochs.steps(), 2 * sizes.len() as u64);
            assert_eq!(epochs.state_dict().unwrap(), expected, "{rows} rows");
            // There is room for the largest batch.
            let made = epochs.device_objects();
            epochs.reserve(*sizes.iter().max().unwrap()).unwrap();
            assert_eq!(epochs.device_objects(), made);

            let options = FitOptions {
                epochs: 2,
                batch_size,
                ..FitOptions::default()
            };
            let history = fit.fit(&data, &options).unwrap();
            assert_eq!(fit.state_dict().unwrap(), expected, "{rows} rows, {device}");
            assert_eq!(history.last().unwrap().steps, 2 * sizes.len() as u64);
            approx::assert_relative_eq!(history.last().unwrap().loss, loss, max_relative = 1e-6);

            // 65 rows in parts of 2 are 31 of 2 and one of 3.
            let options = FitOptions {
                micro_batch: Some(2),
                ..options
            };
            micro.fit(&data, &options).unwrap();
            let parts: usize = sizes.iter().map(|size| size / 2).sum();
            assert_eq!(micro.steps(), 2 * sizes.len() as u64);
            assert_eq!(micro.batches(), 2 * parts as u64);
        }
    }
}

/// Without batch normalisation nothing is joined.
#[test]
fn a_last_batch_of_one_row_is_a_batch_elsewhere() {
    let network = Mlp::new(6).dense(6, Relu).layer_norm().dense(6, Identity);
    for device in devices() {
        let new = || Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 3).unwrap();
        let (mut steps, mut epochs) = (new(), new());
        let data = with_values(9);
        for batch in data.batches(4).unwrap().shuffled(5) {
            steps.step(&batch).unwrap();
        }
        let mut loaded = epochs.load(&data, Storage::F32).unwrap();
        epochs.epoch(&mut loaded, 4, Some(5)).unwrap();
        assert_eq!((steps.steps(), epochs.steps()), (3, 3));
        assert_eq!(steps.steps_per_epoch(9, 4), 3);
        assert_eq!(epochs.weights().unwrap(), steps.weights().unwrap());
    }
}

#[test]
fn a_fit_puts_the_best_running_statistics_back_too() {
    let network = Mlp::new(6).dense(6, Relu).batch_norm().dense(6, Identity);
    let data = labelled(24);
    let mut trainer = Trainer::new(
        &Device::cpu(),
        &network,
        Loss::CrossEntropy,
        // Far too fast, so that an early epoch is the best.
        Sgd {
            lr: 20.0,
            ..Sgd::default()
        },
        1,
    )
    .unwrap();
    let options = FitOptions {
        epochs: 6,
        batch_size: 8,
        validation: Validation::Data(&data),
        early_stopping: Some(EarlyStopping {
            patience: 10,
            restore_best: true,
            ..EarlyStopping::default()
        }),
        ..FitOptions::default()
    };
    let history = trainer.fit(&data, &options).unwrap();
    let best = history.best_epoch.unwrap() as usize;
    assert!(best < 6);
    let validation = history.epochs[best - 1].validation.as_ref().unwrap().loss;
    assert_eq!(trainer.evaluate(&data).unwrap().loss, validation);
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
        (
            Mlp::new(4).layer_norm().dense(4, Relu),
            "before any dense layer",
        ),
        (
            hidden().layer_norm().batch_norm(),
            "layer 0 has a normalisation",
        ),
        (hidden().dense(1, Relu).layer_norm(), "over 1 output"),
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
