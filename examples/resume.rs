//! Training that is stopped, written to a file, and taken up again: to the bit what it would have been without the stop, dropout
//! and all.
//!
//! ```sh
//! cargo run --release --example resume
//! ```

use wgrad::fit::{EarlyStopping, Fit, FitOptions, FitState, Validation};
use wgrad::{
    Activation::*, Adam, CheckpointFolder, Dataset, Device, Loss, Matrix, Mlp, Schedule, Trainer,
};

fn main() -> wgrad::Result<()> {
    // Points inside and outside a ring.
    let points: Vec<f32> = (0..2000)
        .map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0)
        .collect();
    let inside = |p: &[f32]| (0.2..0.7).contains(&(p[0] * p[0] + p[1] * p[1]));
    let labels = points.chunks(2).map(|p| u32::from(inside(p))).collect();
    let data = Dataset::classes(Matrix::new(2, points)?, labels)?;

    let network = Mlp::new(2)
        .dense(32, Relu)
        .batch_norm()
        .dropout(0.1)
        .dense(32, Relu)
        .dense(2, Identity);
    let adam = Adam {
        lr: 0.01,
        ..Adam::default()
    };
    let options = FitOptions {
        epochs: 12,
        batch_size: 25,
        validation: Validation::Fraction(0.2),
        early_stopping: Some(EarlyStopping::default()),
        schedule: Schedule::cosine(1e-4).per_step(),
        ..FitOptions::default()
    };
    let start = |device: &Device| Trainer::new(device, &network, Loss::CrossEntropy, adam, 7);
    let device = Device::auto()?;
    println!("{network}\non {device}\n");

    // Without a stop.
    let mut whole = start(&device)?;
    let history = whole.fit(&data, &options)?;
    println!("{history}\n");

    // With one in the middle of an epoch. Everything but the file goes.
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = CheckpointFolder::new(temporary.path(), 2)?; // keeps the last two
    {
        let mut trainer = start(&device)?;
        let mut fit = Fit::new(&mut trainer, &data, &options)?;
        for _ in 0..4 {
            fit.advance(u64::MAX)?; // an epoch each
        }
        fit.advance(13)?; // some steps of the fifth
        let path = folder.save(&fit.checkpoint()?)?;
        let name = path.file_name().unwrap_or_default().display();
        println!("stopped in the middle of epoch 5; wrote {name}");
    }

    // Another day, another process.
    let device = Device::auto()?;
    let found = folder.latest()?.expect("a checkpoint");
    let mut resumed = Trainer::resume(&device, &found.checkpoint)?;
    let state = FitState::of(&found.checkpoint)?;
    let mut fit = Fit::resume(&mut resumed, &data, &options, state)?;
    while fit.advance(u64::MAX)?.is_some() {}
    let again = fit.finish()?;
    println!("went on to step {}", resumed.steps());

    let (ours, theirs) = (resumed.model()?, whole.model()?); // weights and running statistics
    let (ours, theirs) = (ours.to_bytes(), theirs.to_bytes());
    assert!(ours == theirs, "the models differ");
    let losses = |h: &wgrad::History| {
        h.epochs
            .iter()
            .map(|e| e.loss.to_bits())
            .collect::<Vec<_>>()
    };
    assert!(losses(&again) == losses(&history), "the histories differ");
    println!(
        "equal to the run without a stop: all {} bytes of the model, and the losses of {} epochs",
        ours.len(),
        again.epochs.len()
    );
    Ok(())
}
