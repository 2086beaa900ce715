//! Damaged and hostile checkpoints, models and weights: cut short at every byte, with bits turned, and forged: with a checksum that
//! fits what was changed. None makes a panic, and none an allocation that its own size does not account for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::{LARGEST, Random, alone};
use serde_json::Value;
use wgrad::fit::{EarlyStopping, Fit, FitState};
use wgrad::{
    Activation::*, Adam, Checkpoint, Clip, Dataset, Device, Error, FitOptions, Loss, Matrix, Mlp,
    Model, Schedule, Tensors, Trainer, Validation,
};
use xxhash_rust::xxh3::xxh3_128;

fn data() -> Dataset {
    let x = (0..60).map(|i| (i * 7919 % 199) as f32 / 100.0 - 1.0);
    let labels = (0..20).map(|r| (r * r % 3) as u32).collect();
    Dataset::classes(Matrix::new(3, x.collect()).unwrap(), labels).unwrap()
}

fn options() -> FitOptions<'static> {
    FitOptions {
        epochs: 3,
        batch_size: 4,
        validation: Validation::Fraction(0.2),
        early_stopping: Some(EarlyStopping::default()),
        schedule: Schedule::cosine(1e-4),
        ..FitOptions::default()
    }
}

/// A checkpoint in the middle of a fit, with all that one may have, and its model.
fn original() -> (Checkpoint, Model) {
    let network = Mlp::new(3)
        .dense(4, Elu { alpha: 0.5 })
        .batch_norm()
        .dropout(0.25)
        .dense(4, Tanh)
        .layer_norm()
        .residual()
        .dense(3, Identity);
    let criterion = Loss::CrossEntropy.mean().label_smoothing(0.1);
    let adam = Adam::default();
    let mut trainer = Trainer::new(&Device::cpu(), &network, criterion, adam, 7).unwrap();
    trainer
        .set_clip(Clip {
            norm: Some(1.0),
            value: Some(0.5),
        })
        .unwrap();
    let data = data();
    let mut fit = Fit::new(&mut trainer, &data, &options()).unwrap();
    for _ in 0..2 {
        fit.advance(3).unwrap();
    }
    let mut checkpoint = fit.checkpoint().unwrap();
    assert!(checkpoint.best.is_some());
    checkpoint.preparation =
        Some(serde_json::json!({"estimator": "classifier", "classes": ["a", "b", "c"]}));
    let model = checkpoint.model().unwrap();
    (checkpoint, model)
}

/// A panic is reported with the bytes that made it.
fn survives<T>(what: &str, bytes: &[u8], f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        let path = std::env::temp_dir().join("hostile.safetensors");
        std::fs::write(&path, bytes).unwrap();
        panic!("{what}: {}", path.display())
    })
}

/// Reads as what it may be taken for, and says what came of it as a checkpoint. A typed error is one that names the bytes.
///
/// Everything of the file is copied at most a few times, and in pieces: its header, once as text, once read; names and numbers,
/// each tensor by itself. What is read by serde may have grown to twice its length.
fn load(what: &str, bytes: &[u8]) -> Result<Checkpoint, Error> {
    LARGEST.store(0, Ordering::Relaxed);
    let (checkpoint, model, weights) = survives(what, bytes, || {
        (
            Checkpoint::from_bytes(bytes),
            Model::from_bytes(bytes),
            Tensors::from_bytes(bytes),
        )
    });
    let largest = LARGEST.load(Ordering::Relaxed);
    let most = 4 * bytes.len() + 4096;
    assert!(largest <= most, "{what}: {largest} bytes at once");
    for error in [model.err(), weights.err()].into_iter().flatten() {
        assert!(!error.to_string().is_empty());
    }
    checkpoint
}

#[test]
fn hostile_files_are_taken_or_refused() {
    let _alone = alone();
    damage_is_always_found();
    damaged_weights_are_read_or_refused();
    forged_bits_are_taken_or_refused();
    forged_values_are_taken_or_refused();
}

fn damage_is_always_found() {
    let (checkpoint, model) = original();
    let (checkpoint, model) = (checkpoint.to_bytes(), model.to_bytes());
    assert!(load("undamaged", &checkpoint).is_ok());
    for bytes in [&checkpoint, &model] {
        let read = |bytes: &[u8]| {
            let checkpoint = load("damaged", bytes);
            (checkpoint.is_ok(), Model::from_bytes(bytes).is_ok())
        };
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), (false, false), "cut at {len}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(read(&longer), (false, false), "a byte more");
        // The checksum is over every byte, so that no bit is free.
        let mut random = Random(7);
        for _ in 0..10_000 {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert_eq!(read(&damaged), (false, false), "bit {bit} of byte {at}");
        }
    }
    println!("{} and {} bytes", checkpoint.len(), model.len());
}

/// Weights alone have no checksum, as PyTorch's files have none: a number that was damaged is another number.
fn damaged_weights_are_read_or_refused() {
    let (checkpoint, _) = original();
    let weights = checkpoint.weights();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    weights.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for len in 0..bytes.len() {
        let _ = load("cut", &bytes[..len]);
        assert!(Tensors::from_bytes(&bytes[..len]).is_err(), "cut at {len}");
    }
    let mut trainer = checkpoint.model().unwrap();
    let network = trainer.network().clone();
    let mut trainer = trainer_of(&mut trainer);
    let mut random = Random(8);
    let (mut read, mut taken) = (0, 0);
    for _ in 0..10_000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random.below(3) {
            damaged[random.below(bytes.len())] ^= 1 << random.below(8);
        }
        let _ = load("weights", &damaged);
        let Ok(tensors) = Tensors::from_bytes(&damaged) else {
            continue;
        };
        read += 1;
        let before = trainer.model().unwrap();
        match survives("set_weights", &damaged, || trainer.set_weights(&tensors)) {
            Ok(()) => taken += 1,
            // Nothing was half done.
            Err(_) => assert!(trainer.model().unwrap() == before),
        }
        // What is taken is finite and of the network's shapes.
        let now = trainer.model().unwrap();
        assert!(Model::new(&network, Loss::CrossEntropy, now.weights().clone()).is_ok());
    }
    assert!(taken > 1000 && read > taken, "{taken} of {read} taken");
}

fn trainer_of(model: &mut Model) -> Trainer {
    model.trainer(&Device::cpu(), Adam::default()).unwrap()
}

const BEGINNING: &[u8] = br#""wgrad":"{\"checksum\":\""#;

/// Puts the checksum in that a file's bytes have, if there is a place for it.
fn seal(bytes: &mut [u8]) -> bool {
    let Some(length) = bytes.first_chunk::<8>() else {
        return false;
    };
    let header = (u64::from_le_bytes(*length) as usize).saturating_add(8);
    let header = &bytes[..header.min(bytes.len())];
    let at = header.windows(BEGINNING.len()).position(|w| w == BEGINNING);
    let Some(at) = at.map(|at| at + BEGINNING.len()) else {
        return false;
    };
    let Some(place) = bytes.get_mut(at..at + 32) else {
        return false;
    };
    place.fill(b'0');
    let digits = format!("{:032x}", xxh3_128(bytes));
    bytes[at..at + 32].copy_from_slice(digits.as_bytes());
    true
}

/// The header as JSON, the note in it as JSON, and the data.
fn parts(bytes: &[u8]) -> (Value, Value, Vec<u8>) {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let note = header["__metadata__"]["wgrad"].as_str().unwrap();
    let note = serde_json::from_str(note).unwrap();
    (header, note, bytes[8 + length..].to_vec())
}

/// A file of these, sealed.
fn forged(header: &Value, note: &Value, data: &[u8]) -> Vec<u8> {
    let zeros = "0".repeat(32);
    // The checksum comes first, whatever the order of a map.
    let text = format!(
        r#"{{"checksum":"{zeros}","format":{},"kind":{},"version":{},"body":{}}}"#,
        note["format"], note["kind"], note["version"], note["body"]
    );
    let mut header = header.clone();
    header["__metadata__"]["wgrad"] = text.into();
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    assert!(seal(&mut bytes));
    bytes
}

/// Takes a forged file that was accepted as far as it goes: to a trainer, some steps, a fit, a model.
fn go_on(what: &str, bytes: &[u8], checkpoint: &Checkpoint) {
    survives(what, bytes, || {
        // In bytes, since a NaN is not equal to itself.
        let written = checkpoint.to_bytes();
        let again = Checkpoint::from_bytes(&written).unwrap();
        assert!(again.to_bytes() == written, "{what}: other when read again");
        let _ = checkpoint.model().map(|model| model.to_onnx());
        let Ok(mut trainer) = Trainer::resume(&Device::cpu(), checkpoint) else {
            return;
        };
        // What set_clip and the like would refuse is refused here.
        trainer.set_clip(trainer.clip()).unwrap();
        trainer.set_lr(trainer.optimizer().lr()).unwrap();
        let data = data();
        let _ = trainer.take_losses();
        let _ = trainer.take_grad_norms();
        let _ = trainer.step(&data);
        let _ = trainer.checkpoint().map(|checkpoint| checkpoint.to_bytes());
        let _ = trainer.apply();
        let _ = trainer.take_loss();
        let Ok(mut trainer) = Trainer::resume(&Device::cpu(), checkpoint) else {
            return;
        };
        let Ok(state) = FitState::of(checkpoint) else {
            return;
        };
        if let Ok(mut fit) = Fit::resume(&mut trainer, &data, &options(), state) {
            let _ = fit.progress();
            for _ in 0..20 {
                if !matches!(fit.advance(3), Ok(Some(_))) {
                    break;
                }
            }
            let _ = fit.checkpoint().map(|checkpoint| checkpoint.to_bytes());
            let _ = fit.finish().map(|history| history.to_string());
        }
    });
}

fn forged_bits_are_taken_or_refused() {
    let bytes = original().0.to_bytes();
    let mut random = Random(9);
    let mut taken = 0;
    for _ in 0..10_000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random.below(3) {
            damaged[random.below(bytes.len())] ^= 1 << random.below(8);
        }
        if seal(&mut damaged)
            && let Ok(checkpoint) = load("forged", &damaged)
        {
            taken += 1;
            go_on("forged", &damaged, &checkpoint);
        }
    }
    assert!(taken > 1000, "{taken} taken");
}

/// Places of a JSON value that hold a value of their own.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.into());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{key}"), all);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                places(value, &format!("{at}/{i}"), all);
            }
        }
        _ => {}
    }
}

/// Every value of the description, and of the list of tensors, replaced by values that nobody expects there.
fn forged_values_are_taken_or_refused() {
    let bytes = original().0.to_bytes();
    let (header, note, tensors) = parts(&bytes);
    let same = forged(&header, &note, &tensors);
    assert!(load("forged alike", &same).unwrap() == Checkpoint::from_bytes(&bytes).unwrap());
    let hostile: Vec<Value> = [
        "null",
        "true",
        "0",
        "1",
        "2",
        "-1",
        "4095",
        "4096",
        "4097",
        "4294967296",
        "9007199254740992",
        "9223372036854775807",
        "18446744073709551615",
        "0.5",
        "-0.0",
        "1e-320",
        "1e300",
        "\"\"",
        "\"x\"",
        "[]",
        "{}",
        "[0]",
        "[1e300, -1]",
    ]
    .map(|text| serde_json::from_str(text).unwrap())
    .to_vec();
    let (mut tried, mut taken) = (0, 0);
    let mut all = Vec::new();
    places(&note, "", &mut all);
    for place in all.iter().filter(|place| place.starts_with("/body")) {
        for value in &hostile {
            let mut note = note.clone();
            *note.pointer_mut(place).unwrap() = value.clone();
            let what = format!("{place} = {value}");
            let bytes = forged(&header, &note, &tensors);
            tried += 1;
            if let Ok(checkpoint) = load(&what, &bytes) {
                taken += 1;
                go_on(&what, &bytes, &checkpoint);
            }
        }
        // Left out, or twice as long.
        let mut note = note.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        match note.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.remove(key)),
            Value::Array(list) => list.extend(list.clone()),
            _ => {}
        }
        let what = format!("{place} gone or twice");
        let bytes = forged(&header, &note, &tensors);
        if let Ok(checkpoint) = load(&what, &bytes) {
            go_on(&what, &bytes, &checkpoint);
        }
    }
    let mut all = Vec::new();
    places(&header, "", &mut all);
    for place in all
        .iter()
        .filter(|place| !place.is_empty() && !place.starts_with("/__meta"))
    {
        for value in &hostile {
            let mut header = header.clone();
            *header.pointer_mut(place).unwrap() = value.clone();
            let what = format!("{place} = {value}");
            let bytes = forged(&header, &note, &tensors);
            tried += 1;
            if let Ok(checkpoint) = load(&what, &bytes) {
                taken += 1;
                go_on(&what, &bytes, &checkpoint);
            }
        }
    }
    println!("{taken} of {tried} taken");
    assert!(taken > 100);
}
