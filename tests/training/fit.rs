//! Fit: the same bits as a loop by hand, wherever it is cut; schedules, early stopping, callbacks; typed errors.

use std::ops::ControlFlow::{Break, Continue};

use crate::common;
use wgrad::fit::{EpochRecord, Event, Fit, FitState, Monitor, Stop};
use wgrad::schedule::{Plateau, Schedule};
use wgrad::{
    Activation::*, Adam, Checkpoint, Clip, Dataset, Device, DeviceOptions, EarlyStopping, Error,
    FitOptions, History, Loss, Matrix, Mlp, Optimizer, Sgd, Storage, Tensors, Trainer, Validation,
};

const INPUTS: usize = 5;

/// Points whose class a network can learn, but not from one epoch.
fn data(rows: usize, salt: usize) -> Dataset {
    let x = common::numbers(rows * INPUTS, salt);
    let class = |row: &[f32]| u32::from(row[0] * row[1] > 0.0) + u32::from(row[2] > 0.5);
    let labels = x.chunks(INPUTS).map(class).collect();
    Dataset::classes(Matrix::new(INPUTS, x).unwrap(), labels).unwrap()
}

fn trainer(device: &Device, optimizer: impl Into<Optimizer>) -> Trainer {
    let network = Mlp::new(INPUTS).dense(12, Tanh).dense(3, Identity);
    Trainer::new(device, &network, Loss::CrossEntropy, optimizer, 7).unwrap()
}

fn adam() -> Adam {
    Adam {
        lr: 0.01,
        ..Adam::default()
    }
}

fn devices() -> [Device; 2] {
    [Device::cpu(), common::gpu()]
}

#[track_caller]
fn same_bits(a: &Tensors, b: &Tensors) {
    for (a, b) in a.iter().zip(b) {
        let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a.data), bits(&b.data), "{}", a.name);
    }
}

/// A history without what the clock says.
fn timeless(history: &History) -> Vec<EpochRecord> {
    let timeless = history.epochs.iter().map(|e| {
        let mut e = *e;
        (e.seconds, e.rows_per_second) = (0.0, 0.0);
        e
    });
    timeless.collect()
}

#[test]
fn a_fit_is_the_loop_by_hand_to_the_bit() {
    let (train, test) = (data(70, 1), data(300, 2));
    for device in devices() {
        for shuffle in [true, false] {
            let options = FitOptions {
                epochs: 3,
                batch_size: 16,
                shuffle,
                seed: 5,
                validation: Validation::Data(&test),
                ..FitOptions::default()
            };
            let mut fitted = trainer(&device, adam());
            let history = fitted.fit(&train, &options).unwrap();
            let mut by_hand = trainer(&device, adam());
            for epoch in 0..3 {
                let mut batches = train.batches(16).unwrap();
                if shuffle {
                    batches = batches.shuffled(5 + epoch);
                }
                for batch in batches {
                    by_hand.step(&batch).unwrap();
                }
                let record = &history.epochs[epoch as usize];
                // The device adds the losses of an epoch in f32, the fit those of its batches in f64.
                let loss = by_hand.take_loss().unwrap();
                assert!((record.loss - loss).abs() < 1e-6 * loss, "{loss}: {record}");
                assert_eq!(record.validation, Some(by_hand.evaluate(&test).unwrap()));
                assert_eq!((record.epoch, record.steps), (epoch + 1, 5 * (epoch + 1)));
                assert!(record.seconds > 0.0 && record.rows_per_second > 0.0);
            }
            assert_eq!(history.stop, Some(Stop::Epochs));
            assert_eq!(fitted.steps(), by_hand.steps());
            same_bits(&fitted.weights().unwrap(), &by_hand.weights().unwrap());
        }
    }
}

/// Fits in pieces of so many steps; between any two the fit is dropped and its state goes through JSON.
fn in_pieces(
    trainer: &mut Trainer,
    train: &Dataset,
    options: &FitOptions<'_>,
    pieces: &[u64],
) -> History {
    let mut pieces = pieces.iter().cycle();
    let mut state: Option<FitState> = None;
    loop {
        let mut fit = match state.take() {
            None => Fit::new(trainer, train, options).unwrap(),
            Some(state) => Fit::resume(trainer, train, options, state).unwrap(),
        };
        if fit.advance(*pieces.next().unwrap()).unwrap().is_none() {
            return fit.finish().unwrap();
        }
        let now = fit.state().unwrap();
        let json = serde_json::to_string(&now).unwrap();
        let read: FitState = serde_json::from_str(&json).unwrap();
        let read = read.with_best_weights(now.best_weights().cloned());
        assert_eq!(read, now);
        state = Some(read);
    }
}

#[test]
fn a_fit_cut_anywhere_is_the_fit_uncut_to_the_bit() {
    let train = data(300, 3);
    let test = data(60, 4);
    let base = FitOptions {
        epochs: 6,
        batch_size: 16,
        seed: 3,
        validation: Validation::Fraction(0.2),
        ..FitOptions::default()
    };
    let stopping = EarlyStopping {
        patience: 2,
        min_delta: 0.01,
        ..EarlyStopping::default()
    };
    let options = [
        base.clone(),
        FitOptions {
            early_stopping: Some(stopping),
            schedule: Schedule::plateau(Plateau {
                patience: 0,
                factor: 0.5,
                ..Plateau::default()
            }),
            clip_norm: Some(0.3),
            ..base.clone()
        },
        FitOptions {
            schedule: Schedule::one_cycle(0.05),
            validation: Validation::Data(&test),
            ..base.clone()
        },
        FitOptions {
            schedule: Schedule::cosine(1e-4).with_warmup(2),
            micro_batch: Some(7),
            grad_norm: true,
            ..base
        },
    ];
    // The second GPU holds no binding large enough for the data: that goes there in chunks.
    let chunks = common::gpu_with(DeviceOptions {
        binding_limit: Some(4096),
        ..DeviceOptions::default()
    });
    let loaded = trainer(&chunks, adam())
        .load(&train, Storage::F32)
        .unwrap()
        .is_resident();
    assert!(!loaded);
    for device in devices().into_iter().chain([chunks]) {
        for options in &options {
            let mut whole = trainer(&device, adam());
            let history = whole.fit(&train, options).unwrap();
            let weights = whole.weights().unwrap();
            let normed = options.grad_norm || options.clip_norm.is_some();
            assert!(
                history
                    .epochs
                    .iter()
                    .all(|e| e.grad_norm.is_some() == normed)
            );
            for pieces in [&[1][..], &[3, 2, 5], &[u64::MAX]] {
                let mut cut = trainer(&device, adam());
                let again = in_pieces(&mut cut, &train, options, pieces);
                assert_eq!(timeless(&again), timeless(&history), "{pieces:?}");
                assert_eq!(again.best_epoch, history.best_epoch);
                assert_eq!(again.stop, history.stop);
                same_bits(&cut.weights().unwrap(), &weights);
                assert_eq!(cut.optimizer(), whole.optimizer());
                assert_eq!(cut.clip(), Clip::default());
            }
        }
    }
}

/// As another process would: nothing but files between the pieces, and a device opened anew, except where the pieces are many.
#[test]
fn a_fit_taken_up_from_files_is_the_fit_uncut_to_the_bit() {
    let train = data(200, 3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let options = FitOptions {
        epochs: 4,
        batch_size: 16,
        validation: Validation::Fraction(0.2),
        early_stopping: Some(EarlyStopping::default()),
        schedule: Schedule::cosine(1e-4).per_step().with_warmup(5),
        ..FitOptions::default()
    };
    let momentum = Sgd {
        lr: 0.1,
        momentum: 0.9,
        ..Sgd::default()
    };
    let optimizers: [Optimizer; 2] = [adam().into(), momentum.into()];
    // Without clipping, where a small network goes as one on a GPU; and with it.
    for (optimizer, clip_norm) in optimizers.into_iter().zip([None, Some(0.5)]) {
        let options = FitOptions {
            clip_norm,
            ..options.clone()
        };
        for open in [Device::cpu as fn() -> Device, common::gpu] {
            let mut whole = trainer(&open(), optimizer);
            let history = whole.fit(&train, &options).unwrap();
            let normed = clip_norm.is_some();
            assert!(
                history
                    .epochs
                    .iter()
                    .all(|e| e.grad_norm.is_some() == normed)
            );
            for steps in [1, 7, 10, 13] {
                let one = open();
                let open = || if steps == 1 { one.clone() } else { open() };
                let mut first = trainer(&open(), optimizer);
                let mut fit = Fit::new(&mut first, &train, &options).unwrap();
                fit.advance(steps).unwrap();
                fit.checkpoint().unwrap().save(&path).unwrap();
                let again = loop {
                    let checkpoint = Checkpoint::load(&path).unwrap();
                    let mut trainer = Trainer::resume(&open(), &checkpoint).unwrap();
                    let state = FitState::of(&checkpoint).unwrap();
                    let mut fit = Fit::resume(&mut trainer, &train, &options, state).unwrap();
                    if fit.advance(steps).unwrap().is_none() {
                        let history = fit.finish().unwrap();
                        same_bits(&trainer.weights().unwrap(), &whole.weights().unwrap());
                        // As before the fit, though the checkpoint's trainer was in one.
                        assert_eq!(trainer.clip(), Clip::default());
                        break history;
                    }
                    fit.checkpoint().unwrap().save(&path).unwrap();
                };
                assert_eq!(timeless(&again), timeless(&history));
            }
        }
    }
    let bare = trainer(&Device::cpu(), adam()).checkpoint().unwrap();
    let error = FitState::of(&bare).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[test]
fn schedules_set_the_learning_rate_of_each_update() {
    let train = data(50, 6);
    for device in devices() {
        for schedule in [
            Schedule::step(2, 0.1),
            Schedule::exponential(0.7).with_warmup(2),
            Schedule::one_cycle(0.1),
            Schedule::cosine(0.0).per_step().with_warmup(7),
        ] {
            let options = FitOptions {
                epochs: 5,
                batch_size: 16,
                schedule,
                ..FitOptions::default()
            };
            let mut fitted = trainer(
                &device,
                Sgd {
                    lr: 0.5,
                    ..Sgd::default()
                },
            );
            let history = fitted.fit(&train, &options).unwrap();
            let mut by_hand = trainer(
                &device,
                Sgd {
                    lr: 0.5,
                    ..Sgd::default()
                },
            );
            let mut step = 0;
            for epoch in 0..5 {
                let mut lr = 0.0;
                for batch in train.batches(16).unwrap().shuffled(epoch) {
                    lr = match schedule.per {
                        wgrad::schedule::Per::Epoch => schedule.lr(0.5, epoch, 5),
                        wgrad::schedule::Per::Step => schedule.lr(0.5, step, 20),
                    };
                    by_hand.set_lr(lr).unwrap();
                    by_hand.step(&batch).unwrap();
                    step += 1;
                }
                assert_eq!(history.epochs[epoch as usize].lr, lr);
            }
            same_bits(&fitted.weights().unwrap(), &by_hand.weights().unwrap());
            assert_eq!(fitted.optimizer().lr(), 0.5, "the base is there again");
        }
    }
}

#[test]
fn early_stopping_stops_and_restores() {
    // Labels without sense: what is learnt of them is worth nothing on the validation data.
    let noise = |salt| {
        let x = common::numbers(64 * INPUTS, salt);
        let labels = (0..64)
            .map(|r| ((r * r + salt * r) % 13 % 3) as u32)
            .collect();
        Dataset::classes(Matrix::new(INPUTS, x).unwrap(), labels).unwrap()
    };
    let (train, test) = (noise(1), noise(2));
    for device in devices() {
        let fit = |restore_best, monitor, min_delta| {
            let options = FitOptions {
                epochs: 200,
                batch_size: 8,
                validation: Validation::Data(&test),
                early_stopping: Some(EarlyStopping {
                    monitor,
                    patience: 4,
                    min_delta,
                    restore_best,
                }),
                ..FitOptions::default()
            };
            let mut trainer = trainer(&device, adam());
            let history = trainer.fit(&train, &options).unwrap();
            (history, trainer)
        };
        let (history, mut restored) = fit(true, Monitor::ValidationLoss, 0.0);
        assert_eq!(history.stop, Some(Stop::Patience), "{history}");
        let losses: Vec<f64> = history
            .epochs
            .iter()
            .map(|e| e.validation.unwrap().loss)
            .collect();
        let best = history.best_epoch.unwrap() as usize;
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(losses[best - 1], least);
        assert_eq!(history.epochs.len(), best + 4);
        assert_eq!(restored.evaluate(&test).unwrap().loss, least);
        let flags: Vec<bool> = history.epochs.iter().map(|e| e.best).collect();
        assert_eq!(flags.iter().rposition(|&b| b), Some(best - 1));

        let (same, mut last) = fit(false, Monitor::ValidationLoss, 0.0);
        assert_eq!(timeless(&same), timeless(&history));
        assert_eq!(last.evaluate(&test).unwrap().loss, *losses.last().unwrap());

        let (history, mut restored) = fit(true, Monitor::ValidationAccuracy, 0.0);
        let accuracies = history
            .epochs
            .iter()
            .map(|e| e.validation.unwrap().accuracy.unwrap());
        let most = accuracies.fold(0.0, f64::max);
        assert_eq!(restored.evaluate(&test).unwrap().accuracy, Some(most));

        // The training loss falls each epoch, but never by so much.
        let (history, _) = fit(false, Monitor::TrainLoss, 10.0);
        assert_eq!((history.epochs.len(), history.best_epoch), (5, Some(1)));
    }
}

/// Where no data can be spared to validate with, the training loss decides, and all of it works as ever.
#[test]
fn early_stopping_can_watch_the_training_loss_without_validation() {
    let train = data(64, 1);
    // Steps so long that the loss soon jumps about.
    let fast = || Adam {
        lr: 0.2,
        ..Adam::default()
    };
    for device in devices() {
        let options = FitOptions {
            epochs: 500,
            batch_size: 8,
            early_stopping: Some(EarlyStopping {
                monitor: Monitor::TrainLoss,
                patience: 6,
                min_delta: 1e-4,
                restore_best: true,
            }),
            ..FitOptions::default()
        };
        let mut stopped = trainer(&device, fast());
        let history = stopped.fit(&train, &options).unwrap();
        assert_eq!(history.stop, Some(Stop::Patience), "{history}");
        assert!(history.epochs.iter().all(|e| e.validation.is_none()));
        assert!(!history.still_improving(Monitor::TrainLoss));
        let best = history.best_epoch.unwrap();
        assert!(best > 1, "{history}");
        assert_eq!(history.epochs.len() as u64, best + 6);
        // An improvement is one by more than min_delta.
        let mut least = f64::INFINITY;
        for epoch in &history.epochs {
            assert_eq!(epoch.best, epoch.loss < least - 1e-4, "{history}");
            if epoch.best {
                least = epoch.loss;
            }
        }
        let mut until_best = trainer(&device, fast());
        let options = FitOptions {
            epochs: best,
            early_stopping: None,
            ..options
        };
        until_best.fit(&train, &options).unwrap();
        let expected = until_best.weights().unwrap();
        same_bits(&stopped.weights().unwrap(), &expected);
    }
}

/// A history as a fit leaves it: an epoch with each of these numbers as training loss, validation loss and accuracy.
fn history(values: &[f64], stop: &str) -> History {
    let epochs = values.iter().enumerate().map(|(i, value)| {
        serde_json::json!({
            "epoch": i + 1, "steps": i + 1, "lr": 0.1, "loss": value, "grad_norm": null, "best": false, "seconds": 1.0,
            "rows_per_second": 1.0, "validation": { "loss": value, "accuracy": value, "rows": 1 },
        })
    });
    let epochs: Vec<_> = epochs.collect();
    serde_json::from_value(
        serde_json::json!({ "epochs": epochs, "best_epoch": null, "stop": stop }),
    )
    .unwrap()
}

#[test]
fn a_fit_that_ends_while_it_improves_can_be_told() {
    let falling = |n: i32| -> Vec<f64> { (0..n).map(|i| 0.95f64.powi(i)).collect() };
    let cases = [
        (falling(50), true),
        (falling(2), true),
        (falling(3), true),
        // One epoch says nothing.
        (falling(1), false),
        (vec![], false),
        // Level at last, within 1 %.
        (vec![1.0, 0.5, 0.4, 0.4, 0.398, 0.399], false),
        (vec![1.0, 0.5, 0.4, 0.4, 0.398, 0.39], true),
        // The best is long ago.
        (vec![1.0, 0.3, 0.5, 0.45, 0.42, 0.4], false),
        // The last tenth: of 40 epochs the last four.
        ([vec![1.0; 36], vec![0.9, 1.0, 1.0, 1.0]].concat(), true),
        ([vec![1.0; 35], vec![0.9; 5]].concat(), false),
    ];
    for (values, expected) in cases {
        for monitor in [Monitor::TrainLoss, Monitor::ValidationLoss] {
            let ended = history(&values, "epochs");
            assert_eq!(ended.still_improving(monitor), expected, "{values:?}");
            // Not if it ended for another reason.
            assert!(!history(&values, "patience").still_improving(monitor));
            assert!(!history(&values, "callback").still_improving(monitor));
        }
        // Falling accuracy is no improvement, and rising accuracy is.
        let accuracy = Monitor::ValidationAccuracy;
        let rising: Vec<f64> = values.iter().map(|x| 0.5 / x).collect();
        assert_eq!(
            history(&rising, "epochs").still_improving(accuracy),
            expected
        );
        assert!(!history(&values, "epochs").still_improving(accuracy));
    }
    // What was not watched is not judged; a fit itself says the same.
    let options = FitOptions {
        epochs: 5,
        batch_size: 16,
        ..FitOptions::default()
    };
    let fitted = trainer(&Device::cpu(), adam())
        .fit(&data(64, 1), &options)
        .unwrap();
    assert!(fitted.still_improving(Monitor::TrainLoss), "{fitted}");
    assert!(!fitted.still_improving(Monitor::ValidationLoss));
}

/// Predictions of a network with batch normalisation depend on running statistics as well.
#[test]
fn early_stopping_restores_running_statistics_too() {
    let (train, test) = (data(64, 1), data(64, 2));
    let network = Mlp::new(INPUTS)
        .dense(16, Relu)
        .batch_norm()
        .dense(3, Identity);
    for device in devices() {
        let fit = |epochs, restore_best| {
            let options = FitOptions {
                epochs,
                batch_size: 8,
                validation: Validation::Data(&test),
                early_stopping: Some(EarlyStopping {
                    patience: 3,
                    restore_best,
                    ..EarlyStopping::default()
                }),
                ..FitOptions::default()
            };
            let fast = Adam {
                lr: 0.05,
                ..Adam::default()
            };
            let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, fast, 7).unwrap();
            let history = trainer.fit(&train, &options).unwrap();
            (history, trainer)
        };
        let (history, mut restored) = fit(200, true);
        assert_eq!(history.stop, Some(Stop::Patience), "{history}");
        let best = history.best_epoch.unwrap();
        let loss = history.epochs[best as usize - 1].validation.unwrap().loss;
        assert_eq!(restored.evaluate(&test).unwrap().loss, loss);

        // A fit that ended there has the same; one that went on has others.
        let (_, mut there) = fit(best, false);
        let (_, mut beyond) = fit(200, false);
        let restored = restored.state_dict().unwrap();
        same_bits(&restored, &there.state_dict().unwrap());
        let beyond = beyond.state_dict().unwrap();
        let running: Vec<&str> = restored
            .iter()
            .map(|t| t.name.as_str())
            .filter(|name| name.contains("running"))
            .collect();
        assert_eq!(running.len(), 2, "{running:?}");
        for name in running {
            let of = |tensors: &Tensors| tensors.get(name).unwrap().data.clone();
            assert_ne!(of(&restored), of(&beyond), "{name}");
        }
    }
}

/// The norm of all tensors together.
fn norm(tensors: &Tensors) -> f64 {
    let squares = tensors.iter().flat_map(|t| &t.data);
    let squares = squares.map(|&x| f64::from(x).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn a_history_has_the_norms_of_gradients() {
    let train = data(70, 1);
    for device in devices() {
        // Epochs of one batch: the norm is that of gradients().
        let options = FitOptions {
            epochs: 3,
            batch_size: 70,
            shuffle: false,
            grad_norm: true,
            ..FitOptions::default()
        };
        let mut fitted = trainer(&device, adam());
        let history = fitted.fit(&train, &options).unwrap();
        let mut by_hand = trainer(&device, adam());
        for record in &history.epochs {
            by_hand.step(&train).unwrap();
            let expected = norm(&by_hand.gradients().unwrap());
            let told = record.grad_norm.unwrap();
            assert_eq!(told.mean, told.max);
            // The device sums the squares of 111 numbers in f32: half of 111 roundings, of 6e-8 each, at most.
            let error = (told.mean - expected).abs();
            assert!(error <= 4e-6 * expected, "{told:?} {expected}");
        }

        // Of more batches, mean and maximum of what the trainer tells of each; which the fit leaves to be taken.
        let options = FitOptions {
            batch_size: 16,
            ..options
        };
        let mut fitted = trainer(&device, adam());
        fitted.record_grad_norms(true);
        fitted.step(&train).unwrap();
        let before = fitted.take_grad_norms().unwrap();
        let history = fitted.fit(&train, &options).unwrap();
        let norms = fitted.take_grad_norms().unwrap();
        assert_eq!((before.len(), norms.len()), (1, 15));
        for (record, norms) in history.epochs.iter().zip(norms.chunks(5)) {
            let told = record.grad_norm.unwrap();
            assert_eq!(told.mean, norms.iter().sum::<f64>() / 5.0);
            assert_eq!(told.max, norms.iter().copied().fold(0.0, f64::max));
        }

        // Norms change nothing, and are recorded no longer than was asked for.
        let quiet = FitOptions {
            grad_norm: false,
            ..options.clone()
        };
        let (mut with, mut without) = (trainer(&device, adam()), trainer(&device, adam()));
        with.fit(&train, &options).unwrap();
        let history = without.fit(&train, &quiet).unwrap();
        assert!(history.epochs.iter().all(|e| e.grad_norm.is_none()));
        same_bits(&with.weights().unwrap(), &without.weights().unwrap());
        with.take_grad_norms().unwrap();
        with.step(&train).unwrap();
        assert!(with.take_grad_norms().unwrap().is_empty());
    }
}

/// Gradients in the range of f32, the sum of whose squares is not.
#[test]
fn a_norm_beyond_f32_is_kept_by_a_state() {
    let x = Matrix::new(1, vec![1.0; 2]).unwrap();
    let train = Dataset::values(x, Matrix::new(1, vec![1e19; 2]).unwrap()).unwrap();
    let network = Mlp::new(1).dense(1, Identity);
    let slow = Sgd {
        lr: 1e-25,
        ..Sgd::default()
    };
    let options = FitOptions {
        epochs: 2,
        batch_size: 1,
        grad_norm: true,
        ..FitOptions::default()
    };
    for device in devices() {
        let start = || Trainer::new(&device, &network, Loss::Mse, slow, 1).unwrap();
        let whole = start().fit(&train, &options).unwrap();
        let history = in_pieces(&mut start(), &train, &options, &[1]);
        // Of 2e19 in weight and bias.
        assert_eq!(history.epochs[0].grad_norm.unwrap().mean, f64::INFINITY);
        assert_eq!(timeless(&history), timeless(&whole));
    }
}

#[test]
fn a_fit_clips_and_leaves_the_trainer_as_it_was() {
    let train = data(70, 1);
    let plain = Sgd {
        lr: 1.0,
        ..Sgd::default()
    };
    for device in devices() {
        // How far one update goes, and its largest element: with learning rate 1 that is the gradient.
        let moved = |clip_norm, clip_value| {
            let options = FitOptions {
                epochs: 1,
                batch_size: 70,
                clip_norm,
                clip_value,
                ..FitOptions::default()
            };
            let mut trainer = trainer(&device, plain);
            let mut before = trainer.weights().unwrap();
            trainer.fit(&train, &options).unwrap();
            let after = trainer.weights().unwrap();
            for (before, after) in before.iter_mut().zip(&after) {
                for (b, a) in before.data.iter_mut().zip(&after.data) {
                    *b -= a;
                }
            }
            let elements = before.iter().flat_map(|t| &t.data);
            let largest = elements.fold(0f32, |m, x| m.max(x.abs()));
            (norm(&before), f64::from(largest))
        };
        let (free, largest) = moved(None, None);
        assert!(free > 0.1 && largest > 0.02, "{free} {largest}");
        let (clipped, _) = moved(Some(0.05), None);
        // Weights are below 1: a step from one to the next is rounded by 6e-8 at most, in each of 111 elements.
        assert!((clipped - 0.05).abs() < 2e-6, "{clipped}");
        let (_, largest) = moved(None, Some(0.01));
        assert!((largest - 0.01).abs() < 1.2e-7, "{largest}");

        // The same bits as with the trainer's own limits; in their place while the fit lasts, and no longer.
        let (own, fits) = (Some(0.2), Some(0.05));
        let clip = |norm| Clip { norm, value: None };
        let options = FitOptions {
            epochs: 2,
            batch_size: 16,
            ..FitOptions::default()
        };
        let mut by_trainer = trainer(&device, plain);
        by_trainer.set_clip(clip(fits)).unwrap();
        let history = by_trainer.fit(&train, &options).unwrap();
        assert_eq!(by_trainer.clip(), clip(fits));
        let mut by_fit = trainer(&device, plain);
        by_fit.set_clip(clip(own)).unwrap();
        let options = FitOptions {
            clip_norm: fits,
            ..options
        };
        let again = by_fit.fit(&train, &options).unwrap();
        assert_eq!(by_fit.clip(), clip(own));
        same_bits(&by_fit.weights().unwrap(), &by_trainer.weights().unwrap());
        assert_eq!(timeless(&again), timeless(&history));
        assert!(again.epochs.iter().all(|e| e.grad_norm.is_some()));
        // A fit that is dropped leaves it so, too.
        let mut fit = Fit::new(&mut by_fit, &train, &options).unwrap();
        assert_eq!(fit.trainer().clip(), clip(fits));
        fit.advance(2).unwrap();
        drop(fit);
        assert_eq!(by_fit.clip(), clip(own));
        // And one that does not begin.
        let bytes = FitOptions {
            storage: Storage::U8 { scale: 1.0 },
            ..options
        };
        by_fit.fit(&train, &bytes).unwrap_err();
        assert_eq!(by_fit.clip(), clip(own));
    }
}

#[test]
fn a_plateau_lowers_the_learning_rate() {
    let train = data(64, 1);
    let options = FitOptions {
        epochs: 6,
        schedule: Schedule::plateau(Plateau {
            factor: 0.5,
            patience: 1,
            threshold: 0.99,
            ..Plateau::default()
        }),
        plateau_monitor: Monitor::TrainLoss,
        ..FitOptions::default()
    };
    let history = trainer(&Device::cpu(), adam())
        .fit(&train, &options)
        .unwrap();
    let lrs: Vec<f64> = history.epochs.iter().map(|e| e.lr).collect();
    assert_eq!(lrs, [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]);
}

#[test]
fn micro_batches_are_the_batch() {
    let train = data(100, 8);
    let options = FitOptions {
        epochs: 2,
        batch_size: 40,
        ..FitOptions::default()
    };
    let micro = FitOptions {
        micro_batch: Some(7),
        ..options.clone()
    };
    for device in devices() {
        let mut by_hand = trainer(&device, adam());
        for epoch in 0..2 {
            for batch in train.batches(40).unwrap().shuffled(epoch) {
                for part in batch.batches(7.min(batch.rows())).unwrap() {
                    by_hand.accumulate(&part).unwrap();
                }
                by_hand.apply().unwrap();
            }
        }
        let mut fitted = trainer(&device, adam());
        let history = fitted.fit(&train, &micro).unwrap();
        same_bits(&fitted.weights().unwrap(), &by_hand.weights().unwrap());
        assert_eq!(fitted.steps(), 6);
        let whole = trainer(&device, adam()).fit(&train, &options).unwrap();
        for (a, b) in history.epochs.iter().zip(&whole.epochs) {
            // The same sums in another order, in f32.
            assert!((a.loss - b.loss).abs() < 1e-5 * b.loss, "{a}\n{b}");
        }
    }
}

#[test]
fn callbacks_hear_of_steps_and_epochs_and_can_stop() {
    let train = data(100, 9);
    let options = FitOptions {
        epochs: 4,
        batch_size: 10,
        event_steps: Some(3),
        ..FitOptions::default()
    };
    for device in devices() {
        let mut heard = Vec::new();
        let mut trainer1 = trainer(&device, adam());
        let history = trainer1
            .fit_with(&train, &options, |fit, event| {
                match event {
                    Event::Steps(p) => {
                        assert_eq!((p.epochs, p.steps, p.rows), (4, 10, 10 * p.step));
                        assert_eq!(*p, fit.progress());
                        assert!(fit.loss()?.unwrap() > 0.0);
                        heard.push((p.epoch, p.step));
                        if heard.len() == 6 {
                            return Ok(Break(()));
                        }
                    }
                    Event::Epoch(record) => heard.push((record.epoch, 10)),
                    _ => unreachable!(),
                }
                Ok(Continue(()))
            })
            .unwrap();
        assert_eq!(heard, [(1, 3), (1, 6), (1, 9), (1, 10), (2, 3), (2, 6)]);
        assert_eq!(history.stop, Some(Stop::Callback));
        assert_eq!((history.epochs.len(), trainer1.steps()), (1, 16));

        // Stopped by a callback, taken up again, with what the callback saved.
        let mut saved = None;
        let mut stopped = trainer(&device, adam());
        let mut fit = Fit::new(&mut stopped, &train, &options).unwrap();
        fit.run(|fit, event| match event {
            Event::Steps(p) if (p.epoch, p.step) == (2, 6) => {
                saved = Some(fit.state()?);
                Ok(Break(()))
            }
            _ => Ok(Continue(())),
        })
        .unwrap();
        drop(fit);
        let mut again = Vec::new();
        let mut fit = Fit::resume(&mut stopped, &train, &options, saved.unwrap()).unwrap();
        fit.run(|_, event| {
            if let Event::Steps(p) = event {
                again.push((p.epoch, p.step));
            }
            Ok(Continue(()))
        })
        .unwrap();
        assert_eq!(again[..2], [(2, 9), (3, 3)]);
        assert_eq!(fit.finish().unwrap().stop, Some(Stop::Epochs));
        let mut whole = trainer(&device, adam());
        whole.fit(&train, &options).unwrap();
        same_bits(&stopped.weights().unwrap(), &whole.weights().unwrap());

        // A callback's error is the fit's.
        let fail = |_: &mut Fit<'_>, _: &Event| Err(Error::NonFiniteUpdate);
        let error = whole.fit_with(&train, &options, fail).unwrap_err();
        assert_eq!(error, Error::NonFiniteUpdate);
    }
}

#[test]
fn more_epochs_can_be_asked_for() {
    let train = data(40, 2);
    let options = |epochs| FitOptions {
        epochs,
        ..FitOptions::default()
    };
    let mut further = trainer(&Device::cpu(), adam());
    let mut fit = Fit::new(&mut further, &train, &options(2)).unwrap();
    fit.run(|_, _| Ok(Continue(()))).unwrap();
    let state = fit.state().unwrap();
    drop(fit);
    let mut fit = Fit::resume(&mut further, &train, &options(5), state.clone()).unwrap();
    fit.run(|_, _| Ok(Continue(()))).unwrap();
    assert_eq!(fit.finish().unwrap().epochs.len(), 5);
    let mut whole = trainer(&Device::cpu(), adam());
    whole.fit(&train, &options(5)).unwrap();
    same_bits(&further.weights().unwrap(), &whole.weights().unwrap());
    // Nothing is left to do.
    let mut fit = Fit::resume(&mut whole, &train, &options(1), state).unwrap();
    assert_eq!(fit.advance(1).unwrap(), None);
}

#[test]
fn an_epoch_may_have_more_batches_than_losses_are_kept() {
    let train = data(4200, 5);
    let options = |grad_norm| FitOptions {
        epochs: 2,
        batch_size: 1,
        shuffle: false,
        grad_norm,
        ..FitOptions::default()
    };
    let sgd = Sgd {
        lr: 0.01,
        ..Sgd::default()
    };
    // Norms only on the first, the CPU: a software GPU takes long with them, and what is read when is the same.
    for (device, normed) in devices().iter().zip([true, false]) {
        let history = trainer(device, sgd).fit(&train, &options(normed)).unwrap();
        let mut by_hand = trainer(device, sgd);
        by_hand.record_grad_norms(normed);
        for record in &history.epochs {
            let mut norms = Vec::new();
            for (i, batch) in train.batches(1).unwrap().enumerate() {
                by_hand.step(&batch).unwrap();
                if i % 1000 == 0 {
                    norms.extend(by_hand.take_grad_norms().unwrap());
                }
            }
            norms.extend(by_hand.take_grad_norms().unwrap());
            assert_eq!(norms.len(), if normed { 4200 } else { 0 });
            let mean = norms.iter().sum::<f64>() / 4200.0;
            let max = norms.iter().copied().fold(0.0, f64::max);
            let told = record.grad_norm.map(|n| (n.mean, n.max));
            assert_eq!(told, normed.then_some((mean, max)));
            let loss = by_hand.take_loss().unwrap();
            assert!((record.loss - loss).abs() < 1e-5 * loss, "{loss}: {record}");
        }
    }
}

#[test]
fn a_small_data_set_is_one_batch() {
    let train = data(10, 1);
    let mut trainer = trainer(&Device::cpu(), adam());
    let options = FitOptions {
        epochs: 3,
        batch_size: 1000,
        ..FitOptions::default()
    };
    trainer.fit(&train, &options).unwrap();
    assert_eq!(trainer.steps(), 3);
}

#[test]
fn a_sum_is_a_sum() {
    let train = data(50, 1);
    let network = Mlp::new(INPUTS).dense(3, Identity);
    let still = Sgd {
        lr: 0.0,
        ..Sgd::default()
    };
    for (criterion, rows) in [
        (Loss::CrossEntropy.sum(), 1.0),
        (Loss::CrossEntropy.mean(), 50.0),
    ] {
        let mut trainer = Trainer::new(&Device::cpu(), &network, criterion, still, 1).unwrap();
        let history = trainer.fit(
            &train,
            &FitOptions {
                epochs: 1,
                ..FitOptions::default()
            },
        );
        let expected = trainer.evaluate(&train).unwrap().loss;
        let loss = history.unwrap().epochs[0].loss;
        assert!(
            (loss - expected).abs() < 1e-6 * expected,
            "{rows}: {loss} {expected}"
        );
    }
}

#[test]
fn a_loss_that_is_not_finite_ends_the_fit() {
    let x = Matrix::new(INPUTS, vec![1e30; 20 * INPUTS]).unwrap();
    let train = Dataset::values(x, Matrix::new(1, vec![0.0; 20]).unwrap()).unwrap();
    let network = Mlp::new(INPUTS).dense(1, Identity);
    for device in devices() {
        let mut trainer = Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 1).unwrap();
        let before = trainer.weights().unwrap();
        let mut fit = Fit::new(&mut trainer, &train, &FitOptions::default()).unwrap();
        for _ in 0..2 {
            let error = fit.advance(100).unwrap_err();
            assert!(matches!(error, Error::NonFiniteLoss { .. }), "{error}");
            assert_eq!(fit.state().unwrap_err(), error);
        }
        drop(fit);
        same_bits(&trainer.weights().unwrap(), &before);
    }
}

#[test]
fn a_history_is_a_table_and_csv_and_json() {
    let (train, test) = (data(40, 1), data(20, 2));
    let options = FitOptions {
        epochs: 3,
        validation: Validation::Data(&test),
        early_stopping: Some(EarlyStopping::default()),
        grad_norm: true,
        ..FitOptions::default()
    };
    let history = trainer(&Device::cpu(), adam())
        .fit(&train, &options)
        .unwrap();
    let table = history.to_string();
    assert_eq!(table.lines().count(), 4, "{history}");
    assert!(table.lines().next().unwrap().contains("gradient"));
    let mut csv = csv::Reader::from_reader(std::io::Cursor::new(history.csv()));
    assert_eq!(csv.headers().unwrap().len(), 11);
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    for (row, epoch) in rows.iter().zip(&history.epochs) {
        assert_eq!(row[3].parse::<f64>().unwrap(), epoch.loss);
        assert_eq!(
            row[4].parse::<f64>().unwrap(),
            epoch.validation.unwrap().loss
        );
        let norm = epoch.grad_norm.unwrap();
        assert_eq!(row[6].parse::<f64>().unwrap(), norm.mean);
        assert_eq!(row[7].parse::<f64>().unwrap(), norm.max);
    }
    let json = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history);
    // What is infinite survives JSON, which has no such number.
    let mut broken = history.clone();
    broken.epochs[0].validation.as_mut().unwrap().loss = f64::INFINITY;
    broken.epochs[1].grad_norm.as_mut().unwrap().max = f64::INFINITY;
    let json = serde_json::to_string(&broken).unwrap();
    assert_eq!(serde_json::from_str::<History>(&json).unwrap(), broken);
}

#[test]
fn options_that_make_no_sense_are_named() {
    let train = data(40, 1);
    let values = Dataset::values(train.inputs().clone(), train.inputs().clone()).unwrap();
    let narrow = Dataset::classes(Matrix::new(1, vec![0.0; 4]).unwrap(), vec![0; 4]).unwrap();
    let mut trainer = trainer(&Device::cpu(), adam());
    let base = FitOptions::default;
    let stopping = |s| FitOptions {
        early_stopping: Some(s),
        validation: Validation::Fraction(0.5),
        ..base()
    };
    let good = EarlyStopping::default();
    let plateau = Schedule::plateau(Plateau::default());
    let cases: Vec<(FitOptions<'_>, &str)> = vec![
        (
            FitOptions {
                epochs: 0,
                ..base()
            },
            "epochs is 0",
        ),
        (
            FitOptions {
                batch_size: 0,
                ..base()
            },
            "batch_size is 0",
        ),
        (
            FitOptions {
                micro_batch: Some(0),
                ..base()
            },
            "micro_batch is 0",
        ),
        (
            FitOptions {
                event_steps: Some(0),
                ..base()
            },
            "event_steps is 0",
        ),
        (
            FitOptions {
                clip_norm: Some(0.0),
                ..base()
            },
            "norm to clip to is 0",
        ),
        (
            FitOptions {
                clip_value: Some(f64::NAN),
                ..base()
            },
            "value to clip to is NaN",
        ),
        (
            FitOptions {
                validation: Validation::Fraction(0.0),
                ..base()
            },
            "fraction is 0",
        ),
        (
            FitOptions {
                validation: Validation::Fraction(1.0),
                ..base()
            },
            "fraction is 1",
        ),
        (
            FitOptions {
                validation: Validation::Fraction(f64::NAN),
                ..base()
            },
            "fraction is NaN",
        ),
        (
            FitOptions {
                validation: Validation::Fraction(1e-9),
                ..base()
            },
            "leave rows for both",
        ),
        (
            stopping(EarlyStopping {
                patience: 0,
                ..good
            }),
            "patience of early stopping is 0",
        ),
        (
            stopping(EarlyStopping {
                min_delta: -1.0,
                ..good
            }),
            "min_delta of early stopping is -1",
        ),
        (
            FitOptions {
                early_stopping: Some(good),
                ..base()
            },
            "no validation data",
        ),
        (
            FitOptions {
                schedule: plateau,
                ..base()
            },
            "no validation data",
        ),
        (
            FitOptions {
                schedule: Schedule::exponential(-1.0),
                ..base()
            },
            "gamma is -1",
        ),
        (
            FitOptions {
                schedule: Schedule::constant().with_warmup(10),
                ..base()
            },
            "warm-up is 10",
        ),
    ];
    for (options, words) in cases {
        let error = trainer.fit(&train, &options).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words:?}"
        );
    }
    for validation in [&values, &narrow] {
        let validation = Validation::Data(validation);
        assert!(
            trainer
                .fit(
                    &train,
                    &FitOptions {
                        validation,
                        ..base()
                    }
                )
                .is_err()
        );
    }
    assert!(trainer.fit(&narrow, &base()).is_err());
    trainer.accumulate(&train).unwrap();
    let error = trainer.fit(&train, &base()).unwrap_err();
    assert!(matches!(error, Error::Pending { .. }), "{error}");
    trainer.apply().unwrap();

    // Accuracy, where there are no classes.
    let network = Mlp::new(INPUTS).dense(INPUTS, Identity);
    let mut regressor = Trainer::new(&Device::cpu(), &network, Loss::Mse, adam(), 1).unwrap();
    let watch = EarlyStopping {
        monitor: Monitor::ValidationAccuracy,
        ..good
    };
    let error = regressor.fit(&values, &stopping(watch)).unwrap_err();
    assert!(error.to_string().contains("no class indices"), "{error}");
}

#[test]
fn a_state_of_another_fit_is_refused() {
    let (train, other) = (data(40, 1), data(41, 1));
    let mut trainer = trainer(&Device::cpu(), adam());
    let options = FitOptions {
        validation: Validation::Fraction(0.25),
        early_stopping: Some(EarlyStopping::default()),
        ..FitOptions::default()
    };
    let mut fit = Fit::new(&mut trainer, &train, &options).unwrap();
    fit.advance(1).unwrap();
    let state = fit.state().unwrap();
    drop(fit);
    let mut refused = |data: &Dataset, options: &FitOptions<'_>, state: FitState, words: &str| {
        let error = Fit::resume(&mut trainer, data, options, state).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words:?}"
        );
    };
    refused(&other, &options, state.clone(), "training rows");
    let changed = FitOptions {
        batch_size: 7,
        ..options.clone()
    };
    refused(&train, &changed, state.clone(), "batch_size");
    let changed = FitOptions {
        seed: 7,
        ..options.clone()
    };
    refused(&train, &changed, state.clone(), "seed");
    let changed = FitOptions {
        shuffle: false,
        ..options.clone()
    };
    refused(&train, &changed, state.clone(), "shuffle");
    let changed = FitOptions {
        validation: Validation::Fraction(0.26),
        ..options.clone()
    };
    refused(&train, &changed, state.clone(), "validation fraction");
    let best = state.best_weights().cloned();
    assert!(best.is_some());
    refused(
        &train,
        &options,
        state.clone().with_best_weights(None),
        "best epoch",
    );
    let mut broken = state.clone();
    broken.row = 3;
    refused(&train, &options, broken, "as the fit gave it");
    let mut broken = state.clone();
    broken.epoch = 9;
    refused(&train, &options, broken, "as the fit gave it");
    let mut wrong = best.unwrap();
    wrong.weight_mut(0).unwrap().data.pop();
    let error = Fit::resume(
        &mut trainer,
        &train,
        &options,
        state.with_best_weights(Some(wrong)),
    );
    assert!(matches!(error.unwrap_err(), Error::Shape { .. }));
}
