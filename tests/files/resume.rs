//! A fit that is stopped at ten random steps and each time taken up from a file by a device opened anew is the fit that never
//! stopped, to the bit: weights, running statistics, optimiser state, history. With all that has a state or draws.

use crate::common::{gpu, gpu_with, numbers};
use safetensors::SafeTensors;
use wgrad::fit::{EpochRecord, Fit, FitState, Monitor};
use wgrad::schedule::Plateau;
use wgrad::{
    Activation::*, Adam, Checkpoint, CheckpointFolder, Choices, Clip, Criterion, Dataset, Device,
    DeviceOptions, EarlyStopping, FitOptions, History, Loss, Matrix, Mlp, Optimizer, Schedule, Sgd,
    Trainer, Validation,
};

const INPUTS: usize = 6;

fn data() -> Dataset {
    let x = numbers(120 * INPUTS, 3);
    let class = |row: &[f32]| u32::from(row[0] * row[1] > 0.0) + u32::from(row[2] > 0.3);
    let labels = x.chunks(INPUTS).map(class).collect();
    Dataset::classes(Matrix::new(INPUTS, x).unwrap(), labels).unwrap()
}

struct Run {
    name: &'static str,
    data: Dataset,
    network: Mlp,
    criterion: Criterion,
    optimizer: Optimizer,
    clip: Clip,
    options: FitOptions<'static>,
}

fn runs() -> Vec<Run> {
    let network = Mlp::new(INPUTS)
        .dense(11, Gelu)
        .batch_norm()
        .dropout(0.3)
        .dense(11, Tanh)
        .layer_norm()
        .dropout(0.2)
        .residual()
        .dense(3, Identity);
    let all = Run {
        name: "all layers, a row left over, adam, cosine with warm-up, clipped by norm",
        data: data(),
        network,
        criterion: Loss::CrossEntropy.mean().label_smoothing(0.1),
        optimizer: Adam {
            lr: 0.01,
            ..Adam::default()
        }
        .into(),
        clip: Clip {
            norm: Some(0.7),
            value: None,
        },
        options: FitOptions {
            epochs: 5,
            // Of 96 rows: the last batch has 6.
            batch_size: 5,
            seed: 4,
            validation: Validation::Fraction(0.2),
            early_stopping: Some(EarlyStopping::default()),
            schedule: Schedule::cosine(1e-4).per_step().with_warmup(7),
            ..FitOptions::default()
        },
    };
    let weights = numbers(120, 8).iter().map(|x| 1.0 + x).collect();
    let micro = Run {
        name: "batch norm and dropout, nesterov, plateau, row weights, micro-batches, clipped by value",
        data: data().with_weights(weights).unwrap(),
        network: Mlp::new(INPUTS)
            .dense(14, Relu)
            .batch_norm()
            .dropout(0.5)
            .dense(3, Identity),
        criterion: Loss::CrossEntropy.into(),
        optimizer: Sgd {
            lr: 0.1,
            momentum: 0.9,
            nesterov: true,
            ..Sgd::default()
        }
        .into(),
        clip: Clip {
            norm: None,
            value: Some(0.02),
        },
        options: FitOptions {
            epochs: 5,
            // 4, 4 and 5 rows.
            batch_size: 13,
            micro_batch: Some(4),
            seed: 5,
            validation: Validation::Fraction(0.25),
            schedule: Schedule::plateau(Plateau {
                patience: 0,
                ..Plateau::default()
            }),
            plateau_monitor: Monitor::ValidationLoss,
            ..FitOptions::default()
        },
    };
    let data = data();
    let cycle = Run {
        name: "layer norm and dropout, adam, one-cycle, epochs in the order of the data",
        network: Mlp::new(INPUTS)
            .dense(8, Silu)
            .layer_norm()
            .dropout(0.1)
            .dense(3, Identity),
        criterion: Loss::CrossEntropy.into(),
        optimizer: Adam::default().into(),
        clip: Clip::default(),
        options: FitOptions {
            epochs: 4,
            batch_size: 8,
            shuffle: false,
            schedule: Schedule::one_cycle(0.02),
            ..FitOptions::default()
        },
        data,
    };
    vec![all, micro, cycle]
}

fn start(run: &Run, device: &Device) -> Trainer {
    let mut trainer = Trainer::new(device, &run.network, run.criterion, run.optimizer, 7).unwrap();
    trainer.set_clip(run.clip).unwrap();
    trainer.record_grad_norms(true);
    trainer
}

/// A history without what the clock says.
fn timeless(history: &History) -> Vec<EpochRecord> {
    let timeless = history.epochs.iter().map(|record| {
        let mut record = *record;
        (record.seconds, record.rows_per_second) = (0.0, 0.0);
        record
    });
    timeless.collect()
}

/// All that a run ends with: its history, and the tensors of a last checkpoint by name, in bytes.
fn end(fit: Fit<'_>) -> (Vec<EpochRecord>, Vec<(String, Vec<u8>)>) {
    let mut fit = fit;
    let last = fit.checkpoint().unwrap();
    let bytes = last.to_bytes();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter();
    let mut tensors: Vec<_> = tensors
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect();
    tensors.sort();
    (timeless(&fit.finish().unwrap()), tensors)
}

/// Steps so far.
fn steps(fit: &Fit<'_>) -> u64 {
    let progress = fit.progress();
    (progress.epoch - 1) * progress.steps + progress.step
}

/// Ten steps of so many, drawn at random, in order.
fn ten_of(steps: u64, salt: u64) -> Vec<u64> {
    let mut state = salt;
    let mut drawn = Vec::new();
    while drawn.len() < 10 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let step = 1 + (state >> 33) % (steps - 1);
        if !drawn.contains(&step) {
            drawn.push(step);
        }
    }
    drawn.sort_unstable();
    drawn
}

/// `first` opens the device of the run's beginning, `again` those that take it up.
fn stop_and_resume(run: &Run, first: &dyn Fn() -> Device, again: &dyn Fn() -> Device) {
    let (data, options) = (&run.data, &run.options);
    let mut trainer = start(run, &first());
    let mut fit = Fit::new(&mut trainer, data, options).unwrap();
    let total = options.epochs * fit.progress().steps;
    while fit.advance(u64::MAX).unwrap().is_some() {}
    let (history, tensors) = end(fit);
    assert_eq!(history.len() as u64, options.epochs);
    // The file holds what this test is about.
    for part in ["0.weight", "optimizer.0.0.weight", "ledger", "norms"] {
        assert!(tensors.iter().any(|(name, _)| name == part), "no {part}");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = CheckpointFolder::new(folder.path().join("run"), 2).unwrap();
    for salt in [1, 2] {
        let stops = ten_of(total, salt);
        let mut found: Option<Checkpoint> = None;
        for &stop in &stops {
            let mut trainer = match &found {
                None => start(run, &first()),
                Some(checkpoint) => Trainer::resume(&again(), checkpoint).unwrap(),
            };
            let mut fit = match &found {
                None => Fit::new(&mut trainer, data, options).unwrap(),
                Some(checkpoint) => {
                    let state = FitState::of(checkpoint).unwrap();
                    Fit::resume(&mut trainer, data, options, state).unwrap()
                }
            };
            // An advance ends with the epoch.
            while steps(&fit) < stop {
                fit.advance(stop - steps(&fit)).unwrap();
            }
            folder.save(&fit.checkpoint().unwrap()).unwrap();
            found = Some(folder.latest().unwrap().unwrap().checkpoint);
        }
        let checkpoint = found.unwrap();
        let mut trainer = Trainer::resume(&again(), &checkpoint).unwrap();
        let state = FitState::of(&checkpoint).unwrap();
        let mut fit = Fit::resume(&mut trainer, data, options, state).unwrap();
        while fit.advance(u64::MAX).unwrap().is_some() {}
        let (resumed_history, resumed_tensors) = end(fit);
        let what = format!("{}, stopped at {stops:?}", run.name);
        assert_eq!(resumed_history, history, "{what}");
        for (resumed, whole) in resumed_tensors.iter().zip(&tensors) {
            assert!(resumed == whole, "{what}: {}", whole.0);
        }
        assert_eq!(resumed_tensors.len(), tensors.len(), "{what}");
    }
}

#[test]
fn ten_stops_are_none_on_the_cpu() {
    for run in runs() {
        stop_and_resume(&run, &Device::cpu, &Device::cpu);
    }
}

#[test]
fn ten_stops_are_none_on_the_reference() {
    for run in runs() {
        stop_and_resume(&run, &Device::reference, &Device::reference);
    }
}

#[test]
fn ten_stops_are_none_on_the_gpu() {
    for run in runs() {
        stop_and_resume(&run, &gpu, &gpu);
    }
}

/// The run began with other forms of the products than the device would take by itself; the file has them.
#[test]
fn ten_stops_are_none_with_other_kernels() {
    let run = &runs()[0];
    let mut trainer = start(run, &gpu());
    trainer.fit(&run.data, &run.options).unwrap();
    let defaults = trainer.device().choices();
    let text = serde_json::to_string(&defaults).unwrap();
    let other = ["tiles_32x32", "tiles_64x64"]
        .into_iter()
        .find(|form| !text.contains(form))
        .expect("a form that is not the default");
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (_, choice) in json["products"].as_object_mut().unwrap() {
        choice["form"] = other.into();
        choice["parts"] = 1.into();
    }
    let choices: Choices = serde_json::from_value(json).unwrap();
    assert_ne!(choices, defaults);
    let pinned = || {
        gpu_with(DeviceOptions {
            choices: choices.clone(),
            ..DeviceOptions::default()
        })
    };
    stop_and_resume(run, &pinned, &gpu);
}
