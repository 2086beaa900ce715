//! Writes what the corpora of the targets for checkpoints, models and weights begin with, into `fuzz/corpus`.

use std::path::Path;

use wgrad::fit::{EarlyStopping, Fit};
use wgrad::{
    Activation::*, Adam, Clip, Dataset, Device, FitOptions, Loss, Matrix, Mlp, Optimizer, RmsProp,
    Schedule, Sgd, Trainer, Validation,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in ["checkpoint", "model", "weights"] {
        std::fs::create_dir_all(corpus.join(target))?;
    }
    let x = (0..48)
        .map(|i| (i * 7919 % 199) as f32 / 100.0 - 1.0)
        .collect();
    let data = Dataset::classes(Matrix::new(2, x)?, (0..24).map(|r| r * r % 3).collect())?;
    let adam: Optimizer = Adam::default().into();
    let momentum = Sgd {
        momentum: 0.9,
        ..Sgd::default()
    };
    let plain = Mlp::new(2).dense(3, Tanh).dense(3, Identity);
    let all = Mlp::new(2)
        .dense(3, Elu { alpha: 0.5 })
        .batch_norm()
        .dropout(0.25)
        .dense(3, Gelu)
        .layer_norm()
        .residual()
        .dense(3, Identity);
    let cases = [
        ("plain", Device::cpu(), &plain, Sgd::default().into()),
        (
            "reference",
            Device::reference(),
            &plain,
            RmsProp::default().into(),
        ),
        ("momentum", Device::cpu(), &plain, momentum.into()),
        ("all", Device::cpu(), &all, adam),
    ];
    for (name, device, network, optimizer) in cases {
        let at = |target: &str| corpus.join(target).join(format!("{name}.safetensors"));
        let mut trainer = Trainer::new(&device, network, Loss::CrossEntropy, optimizer, 7)?;
        trainer.set_clip(Clip {
            norm: Some(1.0),
            ..Clip::default()
        })?;
        let options = FitOptions {
            batch_size: 5,
            validation: Validation::Data(&data),
            early_stopping: Some(EarlyStopping::default()),
            schedule: Schedule::cosine(1e-4),
            ..FitOptions::default()
        };
        let train = data.head(20);
        let mut fit = Fit::new(&mut trainer, &train, &options)?;
        fit.advance(4)?;
        fit.advance(2)?;
        let mut checkpoint = fit.checkpoint()?;
        checkpoint.preparation = serde_json::from_str(
            r#"{"estimator": "classifier", "classes": ["a", "b", "c"], "inputs": null}"#,
        )?;
        checkpoint.save(at("checkpoint"))?;
        checkpoint.model()?.save(at("model"))?;
        checkpoint.weights().save(at("weights"))?;
    }
    Ok(())
}
