//! The digits example's run as a test: its accuracy, and its loss curve against the f64 reference.

#[path = "../../examples/digits/setting.rs"]
mod setting;

use crate::common;
use setting::{BATCH, EPOCHS, SEED};
use wgrad::{Dataset, verify};

/// The batches of the whole run.
fn batches(train: &Dataset) -> Vec<Dataset> {
    (0..EPOCHS)
        .flat_map(|epoch| train.batches(BATCH).unwrap().shuffled(SEED + epoch))
        .collect()
}

#[test]
fn at_least_97_percent_of_held_out_digits_are_right() {
    let (train, test) = setting::split().unwrap();
    let mut trainer = setting::trainer(&common::gpu()).unwrap();
    for batch in batches(&train) {
        trainer.step(&batch).unwrap();
    }
    let evaluation = trainer.evaluate(&test).unwrap();
    println!("{evaluation}");
    assert!(evaluation.accuracy.unwrap() >= 0.97, "{evaluation}");
}

#[test]
fn the_loss_curve_is_that_of_the_f64_reference() {
    let (train, _) = setting::split().unwrap();
    let mut trainer = setting::trainer(&common::gpu()).unwrap();
    let report = verify::training(&mut trainer, &batches(&train)).unwrap();
    println!("{report}");
    assert!(report.passed(), "{report}");
}
