//! Regression on real data, from a table of text to answers in its own units: how much flavanoids 178 wines hold, told from their
//! other measurements and their cultivar. (S. Aeberhard and M. Forina, UCI Machine Learning Repository, CC BY 4.0; see
//! `examples/wine/README.md`.)
//!
//! ```sh
//! cargo run --release --example regression
//! ```

use wgrad::fit::{EarlyStopping, FitOptions, Validation};
use wgrad::metrics::Regression;
use wgrad::{
    Activation::*, AdamW, CsvOptions, Device, Loss, Mlp, Preparation, PreparationOptions, Table,
    Targets, Trainer,
};

const CSV: &str = include_str!("wine/wine.csv");

fn main() -> wgrad::Result<()> {
    let table = Table::from_bytes("wine.csv", CSV, &CsvOptions::default())?;
    // The cultivars are numbers in the file, but 3 is not three times 1.
    let options = PreparationOptions {
        targets: vec!["flavanoids".into()],
        categorical: vec!["cultivar".into()],
        ..PreparationOptions::default()
    };
    let preparation = Preparation::fit(&table, &options)?;
    println!("{preparation}\n");
    let (train, test) = preparation.apply(&table)?.split(0.8, 7)?;

    let network = Mlp::new(preparation.input_width())
        .dense(32, Relu)
        .dense(preparation.output_width(), Identity);
    let device = Device::auto()?;
    println!("{network}\non {device}\n");
    let adamw = AdamW {
        weight_decay: 0.1,
        ..AdamW::default()
    };
    let mut trainer = Trainer::new(&device, &network, Loss::Mse, adamw, 7)?;
    let options = FitOptions {
        epochs: 200,
        batch_size: 16,
        validation: Validation::Fraction(0.2),
        early_stopping: Some(EarlyStopping {
            patience: 20,
            ..EarlyStopping::default()
        }),
        ..FitOptions::default()
    };
    let history = trainer.fit(&train, &options)?;
    println!(
        "{} epochs, the best was {}",
        history.epochs.len(),
        history.best_epoch.unwrap_or_default()
    );

    // The network answers in standard deviations; back to the file's units.
    let answers = preparation.inverse_target(&trainer.predict(test.inputs())?)?;
    let Targets::Values(targets) = test.targets() else {
        unreachable!("the target column is one of values");
    };
    let targets = preparation.inverse_target(targets)?;
    for r in 0..3 {
        println!(
            "{:.2} instead of {:.2}",
            answers.row(r)[0],
            targets.row(r)[0]
        );
    }
    let scores = Regression::new(&answers, &targets)?;
    println!("held out, {} wines: {scores}", test.rows());
    // R² is 0 for whoever answers with the mean, and 1 for who is always right.
    assert!(scores.r2 > Some(0.7));
    Ok(())
}
