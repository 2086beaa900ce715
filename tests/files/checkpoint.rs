//! Stopping and resuming is not stopping, to the bit; and what does not fit is refused.

use crate::common::{gpu, gpu_with, name_in_the_binary, numbers};
use wgrad::{
    Activation, Activation::*, Adam, AdamW, Checkpoint, CheckpointFolder, Choices, Clip, Dataset,
    Device, DeviceOptions, Error, Loss, Matrix, Mlp, Model, Optimizer, RmsProp, Sgd, Storage,
    Tensors, Trainer,
};

fn optimizers() -> Vec<Optimizer> {
    let momentum = Sgd {
        lr: 0.05,
        momentum: 0.9,
        dampening: 0.1,
        weight_decay: 1e-3,
        nesterov: false,
        ..Sgd::default()
    };
    let nesterov = Sgd {
        dampening: 0.0,
        nesterov: true,
        ..momentum
    };
    vec![
        Sgd {
            lr: 0.1,
            ..Sgd::default()
        }
        .into(),
        momentum.into(),
        nesterov.into(),
        RmsProp::default().into(),
        Adam {
            lr: 0.01,
            ..Adam::default()
        }
        .into(),
        AdamW {
            lr: 0.01,
            ..AdamW::default()
        }
        .into(),
    ]
}

fn network() -> Mlp {
    Mlp::new(6).dense(9, Gelu).dense(7, Tanh).dense(4, Identity)
}

fn data() -> Dataset {
    let labels = (0..40).map(|r| (r * 7 % 4) as u32).collect();
    Dataset::classes(Matrix::new(6, numbers(6 * 40, 3)).unwrap(), labels).unwrap()
}

/// What a run does, one after the other; a run may be stopped before each.
#[derive(Clone, Copy, Debug)]
enum Action {
    Step(usize),
    Accumulate(usize),
    Apply,
    Lr(f64),
    TakeLoss,
    TakeLosses,
    TakeNorms,
}

fn script() -> Vec<Action> {
    use Action::*;
    vec![
        Step(0),
        Step(1),
        Accumulate(2),
        Accumulate(3),
        Apply,
        TakeLosses,
        Step(4),
        Lr(0.003),
        Accumulate(0),
        Step(1),
        TakeLoss,
        Step(2),
        Accumulate(3),
        Accumulate(4),
        Apply,
        Step(0),
        TakeLosses,
        TakeLoss,
        TakeNorms,
    ]
}

/// Performs an action; the bits of what it returned.
fn perform(trainer: &mut Trainer, batches: &[Dataset], action: Action) -> Vec<u64> {
    match action {
        Action::Step(i) => trainer.step(&batches[i]).unwrap(),
        Action::Accumulate(i) => trainer.accumulate(&batches[i]).unwrap(),
        Action::Apply => trainer.apply().unwrap(),
        Action::Lr(lr) => trainer.set_lr(lr).unwrap(),
        Action::TakeLoss => return vec![trainer.take_loss().unwrap().to_bits()],
        Action::TakeNorms => {
            let norms = trainer.take_grad_norms().unwrap();
            return norms.iter().map(|norm| norm.to_bits()).collect();
        }
        Action::TakeLosses => {
            let losses = trainer.take_losses().unwrap();
            return losses.iter().map(|loss| loss.to_bits()).collect();
        }
    }
    Vec::new()
}

/// Everything of a run: what it returned, and its last checkpoint, which holds weights, state and counters.
fn finish(trainer: &mut Trainer, batches: &[Dataset], actions: &[Action]) -> (Vec<u64>, Vec<u8>) {
    let returned = actions
        .iter()
        .flat_map(|&action| perform(trainer, batches, action))
        .collect();
    let mut last = trainer.checkpoint().unwrap();
    // A small network's way of training is recorded once it was met; a resumed run knows it beforehand.
    assert!(last.network() == trainer.network());
    last.fit = None;
    (returned, last.to_bytes())
}

fn stop_and_resume(device: &Device, reopen: impl Fn() -> Device, optimizer: Optimizer) {
    stop_and_resume_of(&network(), false, device, reopen, optimizer);
}

/// With layers that have a state of their own, or draw; and with norms that wait to be taken.
fn all_layers() -> Mlp {
    Mlp::new(6)
        .dense(9, Gelu)
        .batch_norm()
        .dropout(0.3)
        .dense(9, Tanh)
        .layer_norm()
        .dropout(0.1)
        .residual()
        .dense(4, Identity)
}

fn stop_and_resume_of(
    network: &Mlp,
    clip: bool,
    device: &Device,
    reopen: impl Fn() -> Device,
    optimizer: Optimizer,
) {
    let data = data();
    let batches: Vec<Dataset> = data.batches(9).unwrap().shuffled(1).collect(); // the last one has 4 rows
    let start = |device: &Device| {
        let mut trainer = Trainer::new(device, network, Loss::CrossEntropy, optimizer, 5).unwrap();
        if clip {
            let norm = Some(0.5);
            trainer.set_clip(Clip { norm, value: None }).unwrap();
        }
        trainer
    };
    let script = script();
    let (returned, whole) = finish(&mut start(device), &batches, &script);
    assert!(returned.len() > 8);
    for stop in 0..=script.len() {
        let mut first = start(device);
        let before = script[..stop]
            .iter()
            .flat_map(|&action| perform(&mut first, &batches, action));
        let mut all: Vec<u64> = before.collect();
        let bytes = first.checkpoint().unwrap().to_bytes();
        drop(first);
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let mut resumed = Trainer::resume(&reopen(), &checkpoint).unwrap();
        // A checkpoint of what was resumed is the checkpoint.
        let again = resumed.checkpoint().unwrap().to_bytes();
        if matches!(checkpoint.choices().iter().count(), 0) {
            assert!(again == bytes, "{} at {stop}", optimizer.name());
        }
        let (after, end) = finish(&mut resumed, &batches, &script[stop..]);
        all.extend(after);
        assert_eq!(all, returned, "{} stopped at {stop}", optimizer.name());
        let state = |bytes: &[u8]| {
            let mut tensors = Vec::new();
            let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
            for (name, view) in file.iter() {
                tensors.push((name.to_owned(), view.data().to_vec()));
            }
            tensors.sort();
            tensors
        };
        assert!(
            state(&end) == state(&whole),
            "{} stopped at {stop}",
            optimizer.name()
        );
    }
}

#[test]
fn resuming_is_not_stopping_on_the_cpu() {
    for optimizer in optimizers() {
        stop_and_resume(&Device::cpu(), Device::cpu, optimizer);
    }
}

#[test]
fn resuming_is_not_stopping_on_the_reference() {
    for optimizer in optimizers() {
        stop_and_resume(&Device::reference(), Device::reference, optimizer);
    }
}

#[test]
fn resuming_is_not_stopping_on_the_gpu() {
    let device = gpu();
    for optimizer in optimizers() {
        stop_and_resume(&device, || device.clone(), optimizer);
    }
}

#[test]
fn resuming_is_not_stopping_with_layers_of_all_kinds() {
    let adam = || Adam::default().into();
    stop_and_resume_of(&all_layers(), true, &Device::cpu(), Device::cpu, adam());
    let device = gpu();
    stop_and_resume_of(&all_layers(), true, &device, || device.clone(), adam());
}

/// On devices opened anew, and with parameters in several segments and panels.
#[test]
fn resuming_is_not_stopping_on_a_gpu_opened_anew() {
    stop_and_resume(&gpu(), gpu, Adam::default().into());
    let split = || {
        gpu_with(DeviceOptions {
            binding_limit: Some(8192),
            ..DeviceOptions::default()
        })
    };
    stop_and_resume(&split(), split, Adam::default().into());
}

/// Epochs on the device, and small networks in one workgroup.
#[test]
fn epochs_go_on_after_resuming() {
    let data = data();
    for small in [Some(true), Some(false)] {
        let open = || {
            gpu_with(DeviceOptions {
                small_network: small,
                ..DeviceOptions::default()
            })
        };
        let network = Mlp::new(6).dense(8, Relu).dense(4, Identity);
        let run = |trainer: &mut Trainer, epochs: std::ops::Range<u64>| {
            let mut loaded = trainer.load(&data, Storage::F32).unwrap();
            for epoch in epochs {
                trainer.epoch(&mut loaded, 7, Some(epoch)).unwrap();
            }
        };
        let start = |device: &Device| {
            Trainer::new(device, &network, Loss::CrossEntropy, Adam::default(), 5).unwrap()
        };
        let mut whole = start(&open());
        run(&mut whole, 0..6);
        let mut first = start(&open());
        run(&mut first, 0..3);
        let checkpoint = Checkpoint::from_bytes(&first.checkpoint().unwrap().to_bytes()).unwrap();
        let mut resumed = Trainer::resume(&open(), &checkpoint).unwrap();
        run(&mut resumed, 3..6);
        assert_eq!(resumed.weights().unwrap(), whole.weights().unwrap());
        let bits = |losses: Vec<f64>| losses.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            bits(resumed.take_losses().unwrap()),
            bits(whole.take_losses().unwrap())
        );
        assert_eq!(
            resumed.take_loss().unwrap().to_bits(),
            whole.take_loss().unwrap().to_bits()
        );
    }
}

/// More batches than the device keeps losses of.
#[test]
fn the_losses_kept_are_the_latest() {
    let data = data().head(2);
    let network = Mlp::new(6).dense(4, Identity);
    let mut trainer = Trainer::new(
        &Device::cpu(),
        &network,
        Loss::CrossEntropy,
        Sgd::default(),
        5,
    )
    .unwrap();
    for _ in 0..4100 {
        trainer.step(&data).unwrap();
    }
    let checkpoint = Checkpoint::from_bytes(&trainer.checkpoint().unwrap().to_bytes()).unwrap();
    let mut resumed = Trainer::resume(&Device::cpu(), &checkpoint).unwrap();
    let losses = resumed.take_losses().unwrap();
    assert_eq!(losses.len(), 4096);
    assert!(losses[0] > losses[4095]);
    assert_eq!(losses, trainer.take_losses().unwrap());
}

#[test]
fn all_that_a_loop_puts_with_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut trainer =
        Trainer::new(&gpu(), &network(), Loss::CrossEntropy, Adam::default(), 5).unwrap();
    trainer.step(&data()).unwrap();
    let mut checkpoint = trainer.checkpoint().unwrap();
    let best = trainer.weights().unwrap();
    trainer.step(&data()).unwrap();
    checkpoint.best = Some(best.clone());
    checkpoint.fit = Some(serde_json::json!({"epoch": 3, "best": 0.1 + 0.2, "seed": u64::MAX}));
    checkpoint.preparation = Some(serde_json::json!({"mean": [1e-310]}));
    checkpoint.save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded, checkpoint);
    assert_eq!(loaded.steps(), 1);
    assert_eq!(loaded.version(), env!("CARGO_PKG_VERSION"));
    assert!(loaded.choices().iter().count() > 0);
    assert_eq!(loaded.weights(), best);
    let model = loaded.model().unwrap();
    assert_eq!(model.weights(), &best);
    assert_eq!(model.preparation, checkpoint.preparation);
    // The same checkpoint is the same bytes.
    assert_eq!(loaded.to_bytes(), std::fs::read(&path).unwrap());
    // PyTorch finds the weights in it under their names.
    let tensors = Tensors::load(&path).unwrap();
    assert_eq!(tensors.get("2.weight"), best.get("2.weight"));
}

#[test]
fn restoring_goes_back() {
    for device in [Device::cpu(), gpu()] {
        let mut trainer =
            Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 5).unwrap();
        trainer.accumulate(&data()).unwrap();
        let checkpoint = trainer.checkpoint().unwrap();
        let run = |trainer: &mut Trainer| {
            trainer.step(&data()).unwrap();
            trainer.set_lr(0.5).unwrap();
            trainer.step(&data()).unwrap();
            (trainer.weights().unwrap(), trainer.steps())
        };
        let once = run(&mut trainer);
        trainer.restore(&checkpoint).unwrap();
        assert_eq!((trainer.steps(), trainer.optimizer().lr()), (0, 1e-3));
        assert_eq!(run(&mut trainer), once);
    }
}

#[test]
fn another_architecture_is_refused_and_both_are_printed() {
    let device = Device::cpu();
    let checkpoint = |network: &Mlp, optimizer: Optimizer| {
        let mut trainer = Trainer::new(&device, network, Loss::CrossEntropy, optimizer, 5).unwrap();
        trainer.step(&data()).unwrap();
        trainer.checkpoint().unwrap()
    };
    let mut trainer =
        Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 5).unwrap();
    let before = trainer.checkpoint().unwrap();
    let wider = Mlp::new(6)
        .dense(10, Gelu)
        .dense(7, Tanh)
        .dense(4, Identity);
    let error = trainer
        .restore(&checkpoint(&wider, Adam::default().into()))
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Architecture { .. }), "{text}");
    for part in [
        "10 gelu",
        "9 gelu",
        "cross_entropy (mean)",
        "adam",
        "Trainer::resume",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let error = trainer
        .restore(&checkpoint(&network(), RmsProp::default().into()))
        .unwrap_err();
    assert!(error.to_string().contains("rmsprop"), "{error}");
    assert_eq!(trainer.checkpoint().unwrap(), before);
}

#[test]
fn another_device_is_said_and_taken_only_if_asked_for() {
    let mut trainer =
        Trainer::new(&gpu(), &network(), Loss::CrossEntropy, Adam::default(), 5).unwrap();
    trainer.step(&data()).unwrap();
    let checkpoint = trainer.checkpoint().unwrap();
    for device in [Device::cpu(), Device::reference()] {
        let error = Trainer::resume(&device, &checkpoint).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::OtherDevice { .. }), "{text}");
        assert!(
            text.contains(checkpoint.device()) && text.contains("resume_elsewhere"),
            "{text}"
        );
        let mut elsewhere = Trainer::resume_elsewhere(&device, &checkpoint).unwrap();
        assert_eq!(elsewhere.weights().unwrap(), trainer.weights().unwrap());
        elsewhere.step(&data()).unwrap();
    }
    // And back: f64 is rounded.
    let mut reference = Trainer::new(
        &Device::reference(),
        &network(),
        Loss::CrossEntropy,
        Adam::default(),
        5,
    )
    .unwrap();
    reference.step(&data()).unwrap();
    let mut here = Trainer::resume_elsewhere(&gpu(), &reference.checkpoint().unwrap()).unwrap();
    assert_eq!(here.weights().unwrap(), reference.weights().unwrap());
}

/// The kernels that a checkpoint records are used, whatever the device would have chosen; where others are in use, it says so.
#[test]
fn recorded_kernels_are_pinned() {
    let data = data();
    let run = |device: &Device| {
        let mut trainer =
            Trainer::new(device, &network(), Loss::CrossEntropy, Adam::default(), 5).unwrap();
        trainer.step(&data).unwrap();
        trainer
    };
    let defaults = run(&gpu()).device().choices();
    // Other forms than the default table's.
    let text = serde_json::to_string(&defaults).unwrap();
    let others = ["tiles_32x32", "tiles_64x64"];
    let other = others
        .iter()
        .find(|form| !text.contains(*form))
        .expect("a form that is not the default");
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (_, choice) in json["products"].as_object_mut().unwrap() {
        choice["form"] = (*other).into();
        choice["parts"] = 1.into();
    }
    let choices: Choices = serde_json::from_value(json).unwrap();
    let pinned = gpu_with(DeviceOptions {
        choices,
        ..DeviceOptions::default()
    });
    let checkpoint = run(&pinned).checkpoint().unwrap();
    assert_ne!(checkpoint.choices(), &defaults);

    let device = gpu();
    let mut resumed = Trainer::resume(&device, &checkpoint).unwrap();
    resumed.step(&data).unwrap();
    assert_eq!(&device.choices(), checkpoint.choices());

    let device = gpu();
    run(&device);
    let error = Trainer::resume(&device, &checkpoint).unwrap_err();
    assert!(matches!(error, Error::OtherDevice { .. }), "{error}");
    assert!(error.to_string().contains(other), "{error}");
    assert!(Trainer::resume_elsewhere(&device, &checkpoint).is_ok());
}

#[test]
fn a_custom_activation_must_be_handed_over() {
    let square = || {
        let wgsl = "fn activate(z: f32) -> f32 { return z * z; }\nfn activate_grad(z: f32) -> f32 { return 2.0 * z; }";
        Activation::custom("square", wgsl, |z| z * z, |z| 2.0 * z).unwrap()
    };
    let network = Mlp::new(6).dense(5, square()).dense(4, Identity);
    let mut trainer =
        Trainer::new(&gpu(), &network, Loss::CrossEntropy, Adam::default(), 5).unwrap();
    trainer.step(&data()).unwrap();
    let checkpoint = Checkpoint::from_bytes(&trainer.checkpoint().unwrap().to_bytes()).unwrap();
    let error = Trainer::resume(&gpu(), &checkpoint).unwrap_err();
    assert!(matches!(error, Error::MissingActivation { .. }), "{error}");
    let checkpoint = checkpoint.with_activations(&[square()]).unwrap();
    let mut resumed = Trainer::resume(&gpu(), &checkpoint).unwrap();
    for trainer in [&mut trainer, &mut resumed] {
        trainer.step(&data()).unwrap();
    }
    assert_eq!(resumed.weights().unwrap(), trainer.weights().unwrap());
}

fn small() -> Trainer {
    let network = Mlp::new(6).dense(2, Tanh).dense(4, Identity);
    Trainer::new(
        &Device::cpu(),
        &network,
        Loss::CrossEntropy,
        Adam::default(),
        5,
    )
    .unwrap()
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_last_few_are_kept_and_the_newest_that_loads_is_found() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("runs/one");
    let folder = CheckpointFolder::new(&path, 3).unwrap();
    assert_eq!(folder.latest().unwrap(), None);
    let mut trainer = small();
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("notes.txt"), "mine").unwrap();
    std::fs::write(
        path.join(".checkpoint-00000001.safetensors.7-0.wgrad-tmp"),
        "left by a crash",
    )
    .unwrap();
    for step in 1..=5 {
        trainer.step(&data()).unwrap();
        folder.save(&trainer.checkpoint().unwrap()).unwrap();
        let found = folder.latest().unwrap().unwrap();
        assert_eq!((found.checkpoint.steps(), found.skipped.len()), (step, 0));
    }
    let kept: Vec<String> = (3..=5)
        .map(|i| format!("checkpoint-{i:08}.safetensors"))
        .collect();
    assert_eq!(
        names(&path),
        [&kept[..], &["notes.txt".to_owned()]].concat()
    );

    // The newest is cut short, the one before it belongs to something else.
    let newest = path.join(&kept[2]);
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    trainer.model().unwrap().save(path.join(&kept[1])).unwrap();
    let found = folder.latest().unwrap().unwrap();
    assert_eq!(found.checkpoint.steps(), 3);
    assert_eq!(found.path, path.join(&kept[0]));
    let reasons: Vec<String> = found.skipped.iter().map(ToString::to_string).collect();
    assert!(reasons[0].contains(&kept[2]), "{reasons:?}");
    assert!(
        reasons[1].contains("it is a model, not a checkpoint"),
        "{reasons:?}"
    );

    // Training goes on from there, under a number of its own.
    let mut resumed = Trainer::resume(&Device::cpu(), &found.checkpoint).unwrap();
    resumed.step(&data()).unwrap();
    let saved = folder.save(&resumed.checkpoint().unwrap()).unwrap();
    assert!(saved.ends_with("checkpoint-00000006.safetensors"));
    assert_eq!(folder.latest().unwrap().unwrap().checkpoint.steps(), 4);

    // None loads.
    for name in names(&path)
        .iter()
        .filter(|name| name.starts_with("checkpoint"))
    {
        std::fs::write(path.join(name), "{}").unwrap();
    }
    let error = folder.latest().unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::File { .. }) && text.contains("checkpoint-00000006"),
        "{text}"
    );
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = CheckpointFolder::new(file.join("run"), 3).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(file.to_str().unwrap()) && text.contains("choose another folder"),
        "{text}"
    );
    let error = CheckpointFolder::new(temporary.path(), 0).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");

    let checkpoint = small().checkpoint().unwrap();
    let folder = CheckpointFolder::new(temporary.path().join("gone"), 3).unwrap();
    std::fs::remove_dir(folder.path()).unwrap();
    for error in [
        folder.save(&checkpoint).unwrap_err(),
        folder.latest().unwrap_err(),
    ] {
        assert!(error.to_string().contains("gone"), "{error}");
    }
    // A folder in the place of the file, and no file's name at all.
    let place = temporary.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let error = checkpoint.save(&place).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    assert_eq!(names(temporary.path()), ["file", "place"]);
    assert!(matches!(
        checkpoint.save("/").unwrap_err(),
        Error::File { .. }
    ));
}

/// A child process whose files may not grow beyond a few kB meets the error of a full disk half-way through a checkpoint.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_the_old_checkpoints() {
    const FOLDER: &str = "WGRAD_TEST_FULL_DISK";
    if let Some(path) = std::env::var_os(FOLDER) {
        let mut trainer = Trainer::new(
            &Device::cpu(),
            &Mlp::new(6).dense(900, Tanh).dense(4, Identity),
            Loss::CrossEntropy,
            Adam::default(),
            5,
        )
        .unwrap();
        trainer.step(&data()).unwrap();
        let folder = CheckpointFolder::new(path, 3).unwrap();
        let error = folder.save(&trainer.checkpoint().unwrap()).unwrap_err();
        println!("{error}");
        let text = error.to_string();
        assert!(
            text.contains("free some space") && text.contains("checkpoint-00000002"),
            "{text}"
        );
        // The network was too large for what is left; a smaller checkpoint is not.
        folder.save(&small().checkpoint().unwrap()).unwrap();
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let folder = CheckpointFolder::new(temporary.path(), 3).unwrap();
    let mut trainer = small();
    trainer.step(&data()).unwrap();
    let first = folder.save(&trainer.checkpoint().unwrap()).unwrap();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact \"$1\" --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(name_in_the_binary(
            module_path!(),
            "a_disk_that_fills_up_leaves_the_old_checkpoints",
        ))
        .env(FOLDER, temporary.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(Checkpoint::load(&first).unwrap().steps(), 1);
    assert_eq!(
        names(temporary.path()),
        [
            "checkpoint-00000001.safetensors",
            "checkpoint-00000002.safetensors"
        ]
    );
}

#[test]
fn files_of_one_kind_are_not_taken_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut trainer = small();
    trainer.save_weights(at("weights")).unwrap();
    trainer.model().unwrap().save(at("model")).unwrap();
    trainer
        .checkpoint()
        .unwrap()
        .save(at("checkpoint"))
        .unwrap();
    let said = |error: Error, what: &str| {
        let text = error.to_string();
        assert!(
            matches!(error, Error::File { .. }) && text.contains(what),
            "{text}"
        );
    };
    said(
        Checkpoint::load(at("weights")).unwrap_err(),
        "no checkpoint of this crate",
    );
    said(
        Model::load(at("weights")).unwrap_err(),
        "no model of this crate",
    );
    said(
        Checkpoint::load(at("model")).unwrap_err(),
        "a model, not a checkpoint",
    );
    said(
        Model::load(at("checkpoint")).unwrap_err(),
        "a checkpoint, not a model",
    );
    said(
        Checkpoint::load(at("nothing")).unwrap_err(),
        "see that the path is right",
    );
    // A later version of the format, whatever it may be.
    let bytes = std::fs::read(at("model")).unwrap();
    let find = br#"\"format\":1,"#;
    let place = bytes.windows(find.len()).position(|w| w == find).unwrap() + find.len() - 2;
    let mut later = bytes;
    later[place] = b'7';
    said(
        Model::from_bytes(&later).unwrap_err(),
        "version 7 of the format",
    );
}
