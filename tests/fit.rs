//! Fit: the same bits as a loop by hand, wherever it is cut; schedules, early stopping, callbacks; typed errors.

mod common;

use std::ops::ControlFlow::{Break, Continue};

use wgrad::fit::{EpochRecord, Event, Fit, FitState, Monitor, Stop};
use wgrad::schedule::{Plateau, Schedule};
use wgrad::{
    Activation::*, Adam, Checkpoint, Dataset, Device, DeviceOptions, EarlyStopping, Error,
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
            ..base.clone()
        },
        FitOptions {
            clip_norm: Some(0.3),
            clip_value: Some(0.05),
            ..base.clone()
        },
        FitOptions {
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
            for pieces in [&[1][..], &[3, 2, 5], &[u64::MAX]] {
                let mut cut = trainer(&device, adam());
                let again = in_pieces(&mut cut, &train, options, pieces);
                assert_eq!(timeless(&again), timeless(&history), "{pieces:?}");
                assert_eq!(again.best_epoch, history.best_epoch);
                assert_eq!(again.stop, history.stop);
                same_bits(&cut.weights().unwrap(), &weights);
                assert_eq!(cut.optimizer(), whole.optimizer());
            }
        }
    }
}

/// As another process would: nothing but files between the pieces, and a device opened anew.
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
    for optimizer in optimizers {
        for open in [Device::cpu as fn() -> Device, common::gpu] {
            let mut whole = trainer(&open(), optimizer);
            let history = whole.fit(&train, &options).unwrap();
            for steps in [1, 7, 10, 13] {
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

#[test]
fn the_best_epoch_comes_back_with_its_running_statistics() {
    let (train, test) = (data(60, 1), data(200, 2));
    for device in devices() {
        let network = Mlp::new(INPUTS)
            .dense(64, Tanh)
            .batch_norm()
            .dense(3, Identity);
        let adam = Adam {
            lr: 0.05,
            ..Adam::default()
        };
        let mut trainer = Trainer::new(&device, &network, Loss::CrossEntropy, adam, 7).unwrap();
        let options = FitOptions {
            epochs: 40,
            batch_size: 20,
            validation: Validation::Data(&test),
            early_stopping: Some(EarlyStopping {
                patience: 4,
                ..EarlyStopping::default()
            }),
            ..FitOptions::default()
        };
        let history = trainer.fit(&train, &options).unwrap();
        let best = history.best_epoch.unwrap();
        assert!(best < history.epochs.len() as u64, "{history}");
        // Evaluation takes the running statistics: those of the last epoch would give another loss.
        let then = history.epochs[best as usize - 1].validation;
        assert_eq!(Some(trainer.evaluate(&test).unwrap()), then, "{history}");
    }
}

#[test]
fn gradients_are_clipped_while_it_fits_and_their_norms_are_told() {
    let train = data(64, 1);
    let norm_of = |trainer: &mut Trainer| {
        trainer.accumulate(&train).unwrap();
        let gradients = trainer.gradients_f64().unwrap();
        let squares = gradients.iter().flat_map(|g| &g.data).map(|g| g * g);
        squares.sum::<f64>().sqrt()
    };
    let sgd = Sgd {
        lr: 0.1,
        ..Sgd::default()
    };
    for device in devices() {
        // One update an epoch, of all rows in their order.
        let options = FitOptions {
            epochs: 3,
            batch_size: 64,
            shuffle: false,
            ..FitOptions::default()
        };
        let mut by_hand = trainer(&device, sgd);
        let norms: Vec<f64> = (0..3)
            .map(|_| {
                let norm = norm_of(&mut by_hand);
                by_hand.apply().unwrap();
                norm
            })
            .collect();
        let near = |a: Option<f64>, b: f64| {
            // Sums of some hundred squares in f32, and a root.
            let a = a.unwrap();
            assert!((a - b).abs() < 1e-4 * b, "{a} and {b}");
        };

        let mut plain = trainer(&device, sgd);
        let history = plain.fit(&train, &options).unwrap();
        assert!(history.epochs.iter().all(|e| e.grad_norm.is_none()));

        let told = FitOptions {
            grad_norm: true,
            ..options.clone()
        };
        let mut recorded = trainer(&device, sgd);
        let history = recorded.fit(&train, &told).unwrap();
        for (record, norm) in history.epochs.iter().zip(&norms) {
            near(record.grad_norm, *norm);
        }
        // Two updates an epoch: their mean.
        let mut halves = trainer(&device, sgd);
        halves.record_grad_norms(true);
        for batch in train.batches(32).unwrap() {
            halves.step(&batch).unwrap();
        }
        let each = halves.take_grad_norms().unwrap();
        let options2 = FitOptions {
            batch_size: 32,
            ..told.clone()
        };
        let history = trainer(&device, sgd).fit(&train, &options2).unwrap();
        let mean = (each[0] + each[1]) / 2.0;
        near(history.epochs[0].grad_norm, mean);

        // Clipped to a tenth, an update is a tenth as long; the norm that is told is the whole one.
        let clipped = FitOptions {
            epochs: 1,
            clip_norm: Some(norms[0] / 10.0),
            ..options.clone()
        };
        let mut trainer = trainer(&device, sgd);
        let before = trainer.weights().unwrap();
        let history = trainer.fit(&train, &clipped).unwrap();
        near(history.epochs[0].grad_norm, norms[0]);
        let after = trainer.weights().unwrap();
        let pairs = before.iter().zip(after.iter());
        let moved = pairs.flat_map(|(a, b)| a.data.iter().zip(&b.data));
        let moved: f64 = moved.map(|(a, b)| f64::from(b - a).powi(2)).sum();
        // Differences of weights of the order of 1, each rounded: 2⁻²⁴ of about 100, beside a step of 1e-2 of the norm.
        let expected = 0.1 * norms[0] / 10.0;
        assert!((moved.sqrt() - expected).abs() < 1e-3 * expected, "{moved}");
        // Only while it fits.
        assert_eq!(trainer.clip(), wgrad::Clip::default());
        trainer.step(&train).unwrap();
        assert!(trainer.take_grad_norms().unwrap().is_empty());
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
    let options = FitOptions {
        epochs: 2,
        batch_size: 1,
        shuffle: false,
        ..FitOptions::default()
    };
    let sgd = Sgd {
        lr: 0.01,
        ..Sgd::default()
    };
    for device in devices() {
        let history = trainer(&device, sgd).fit(&train, &options).unwrap();
        let mut by_hand = trainer(&device, sgd);
        for record in &history.epochs {
            for batch in train.batches(1).unwrap() {
                by_hand.step(&batch).unwrap();
            }
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
        ..FitOptions::default()
    };
    let history = trainer(&Device::cpu(), adam())
        .fit(&train, &options)
        .unwrap();
    assert_eq!(history.to_string().lines().count(), 4, "{history}");
    let mut csv = csv::Reader::from_reader(std::io::Cursor::new(history.csv()));
    assert_eq!(csv.headers().unwrap().len(), 10);
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    for (row, epoch) in rows.iter().zip(&history.epochs) {
        assert_eq!(row[3].parse::<f64>().unwrap(), epoch.loss);
        assert_eq!(
            row[4].parse::<f64>().unwrap(),
            epoch.validation.unwrap().loss
        );
    }
    let json = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history);
    // A validation loss that is infinite survives JSON, which has no such number.
    let mut broken = history.clone();
    broken.epochs[0].validation.as_mut().unwrap().loss = f64::INFINITY;
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
    refused(&train, &options, broken, "Fit::state");
    let mut broken = state.clone();
    broken.epoch = 9;
    refused(&train, &options, broken, "Fit::state");
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
