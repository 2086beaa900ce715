//! The digits example's run as a test: its accuracy, and its loss curve against the f64 reference.

mod common;
#[path = "../examples/digits/data.rs"]
mod data;

use wgrad::{Activation::*, AdamW, Dataset, Device, Loss, Mlp, Trainer, verify};

const SEED: u64 = 1;
const BATCH: usize = 32;
const EPOCHS: u64 = 40;

fn setting(device: &Device) -> (Trainer, Dataset, Dataset) {
    let (train, test) = data::load().unwrap().split(0.8, SEED).unwrap();
    let network = Mlp::new(64).dense(256, Relu).dense(10, Identity);
    let adamw = AdamW {
        weight_decay: 0.1,
        ..AdamW::default()
    };
    let trainer = Trainer::new(device, &network, Loss::CrossEntropy, adamw, SEED).unwrap();
    (trainer, train, test)
}

fn batches(train: &Dataset, epochs: u64) -> Vec<Dataset> {
    (0..epochs)
        .flat_map(|epoch| train.batches(BATCH).unwrap().shuffled(SEED + epoch))
        .collect()
}

#[test]
fn at_least_97_percent_of_held_out_digits_are_right() {
    let (mut trainer, train, test) = setting(&common::gpu());
    for batch in batches(&train, EPOCHS) {
        trainer.step(&batch).unwrap();
    }
    let evaluation = trainer.evaluate(&test).unwrap();
    println!("{evaluation}");
    assert!(evaluation.accuracy.unwrap() >= 0.97, "{evaluation}");
}

#[test]
fn the_loss_curve_is_that_of_the_f64_reference() {
    let (mut trainer, train, _) = setting(&common::gpu());
    let report = verify::training(&mut trainer, &batches(&train, EPOCHS)).unwrap();
    println!("{report}");
    assert!(report.passed(), "{report}");
}
