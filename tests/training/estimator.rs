//! Estimators: as good as scikit-learn's on the digits, familiar in what they take and give, and clear about bad input.

use std::ops::ControlFlow::{Break, Continue};

use crate::common;
use serde::Deserialize;
use wgrad::estimator::{FittedClassifier, FittedRegressor};
use wgrad::{
    Activation, AdamW, Device, Error, Matrix, MlpClassifier, MlpRegressor, Schedule, Sgd, metrics,
};

/// All digits: pixels from 0 to 16, and what they show.
fn digits() -> (Vec<Vec<f32>>, Vec<u32>) {
    let text = include_bytes!("../../examples/digits/optdigits.csv");
    let rows = csv::Reader::from_reader(text.as_slice()).into_deserialize::<Vec<f32>>();
    rows.map(|row| {
        let mut row = row.unwrap();
        let label = row.pop().unwrap() as u32;
        (row, label)
    })
    .unzip()
}

/// The rows that `seed` of five tests on, or the rest.
fn part(x: &[Vec<f32>], y: &[u32], seed: usize, test: bool) -> (Matrix, Vec<u32>) {
    let rows: Vec<usize> = (0..y.len()).filter(|r| (r % 5 == seed) == test).collect();
    let pixels: Vec<&[f32]> = rows.iter().map(|&r| x[r].as_slice()).collect();
    let labels = rows.iter().map(|&r| y[r]).collect();
    (Matrix::from_rows(&pixels).unwrap(), labels)
}

#[derive(Deserialize)]
struct Fixture {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    hidden: Vec<usize>,
    inputs: String,
    accuracies: Vec<f64>,
}

/// Both with their defaults, but for the hidden layers; the same rows to train on and to test on.
#[test]
fn as_good_as_scikit_learn_on_the_digits() {
    let json = include_str!("../fixtures/sklearn/digits.json");
    let runs = serde_json::from_str::<Fixture>(json).unwrap().runs;
    let (x, y) = digits();
    let mean = |of: &[f64]| 100.0 * of.iter().sum::<f64>() / of.len() as f64;
    for hidden in [vec![100], vec![64, 32]] {
        let ours: Vec<f64> = (0..5)
            .map(|seed| {
                let classifier = MlpClassifier {
                    hidden: hidden.clone(),
                    seed: seed as u64,
                    device: Some(Device::cpu()),
                    ..MlpClassifier::default()
                };
                let (train, labels) = part(&x, &y, seed, false);
                let mut model = classifier.fit(&train, &labels).unwrap();
                let (test, labels) = part(&x, &y, seed, true);
                model.score(&test, &labels).unwrap()
            })
            .collect();
        // Its MLPClassifier takes the pixels as they are; with a StandardScaler before it, it does as we do.
        let theirs: Vec<&Run> = runs.iter().filter(|run| run.hidden == hidden).collect();
        assert_eq!(theirs.len(), 2);
        for run in theirs {
            let (ours, theirs) = (mean(&ours), mean(&run.accuracies));
            println!(
                "{hidden:?}: {ours:.2} %, scikit-learn {theirs:.2} % ({})",
                run.inputs
            );
            assert!(
                ours >= theirs - 0.5,
                "{hidden:?}: {ours} %, but scikit-learn has {theirs} %"
            );
        }
    }
}

/// Points in the plane by the signs of their coordinates.
fn quadrants(rows: usize, salt: usize) -> Matrix {
    Matrix::new(2, common::numbers(2 * rows, salt)).unwrap()
}

fn small() -> MlpClassifier {
    MlpClassifier {
        hidden: vec![16],
        optimizer: Sgd {
            lr: 0.5,
            momentum: 0.9,
            ..Sgd::default()
        }
        .into(),
        batch_size: Some(32),
        epochs: 60,
        device: Some(Device::cpu()),
        ..MlpClassifier::default()
    }
}

#[test]
fn labels_are_what_displays() {
    let (x, test) = (quadrants(300, 1), quadrants(100, 2));
    let class = |x: &Matrix| -> Vec<usize> {
        let of = |r| 2 * usize::from(x.row(r)[0] > 0.0) + usize::from(x.row(r)[1] > 0.0);
        (0..x.rows()).map(of).collect()
    };
    // Not in the order of the classes; ten sorts after nine as a number and before it as text.
    let numbers = [10, -1, 9, 200];
    let names = ["south", "North", "east", "west"];
    let integers: Vec<i64> = class(&x).iter().map(|&c| numbers[c]).collect();
    let strings: Vec<&str> = class(&x).iter().map(|&c| names[c]).collect();
    let mut by_number = small().fit(&x, &integers).unwrap();
    let mut by_name = small().fit(&x, &strings).unwrap();
    assert_eq!(by_number.classes(), ["-1", "9", "10", "200"]);
    assert_eq!(by_name.classes(), ["North", "east", "south", "west"]);

    let right: Vec<i64> = class(&test).iter().map(|&c| numbers[c]).collect();
    let score = by_number.score(&test, &right).unwrap();
    assert!(score > 0.9, "{score}");
    let predicted = by_number.predict(&test).unwrap();
    let hits = predicted
        .iter()
        .zip(&right)
        .filter(|(p, r)| **p == r.to_string());
    assert_eq!(hits.count() as f64 / 100.0, score);
    let right: Vec<&str> = class(&test).iter().map(|&c| names[c]).collect();
    let report = by_name.report(&test, &right).unwrap();
    let accuracy = report.classification().unwrap().accuracy;
    assert_eq!(by_name.score(&test, &right).unwrap(), accuracy);
    assert!(report.to_string().contains("North"), "{report}");

    let proba = by_name.predict_proba(&test).unwrap();
    let classes = by_name.predict_classes(&test).unwrap();
    for (r, &c) in classes.iter().enumerate() {
        let row = proba.row(r);
        // Four roundings to f32.
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 4.0 * f32::EPSILON);
        assert!(row.iter().all(|p| *p <= row[c as usize]));
    }
    let labels: Vec<u32> = right
        .iter()
        .map(|n| by_name.classes().iter().position(|c| c == n).unwrap() as u32)
        .collect();
    let log_loss = metrics::log_loss(&proba, &labels).unwrap();
    // Probabilities are rounded to f32 before their logarithms are taken; clipping takes part at 1e-7.
    assert!((log_loss - report.classification().unwrap().log_loss.unwrap()).abs() < 1e-6);
}

#[test]
fn two_classes() {
    let x = quadrants(400, 3);
    let labels: Vec<bool> = (0..400).map(|r| x.row(r)[0] * x.row(r)[1] > 0.0).collect();
    let mut model = small().fit(&x, &labels).unwrap();
    assert_eq!(model.classes(), ["false", "true"]);
    assert!(model.score(&x, &labels).unwrap() > 0.95);
    let report = model.report(&x, &labels).unwrap();
    assert!(
        report.classification().unwrap().roc_auc.unwrap() > 0.98,
        "{report}"
    );
    let proba = model.predict_proba(&x).unwrap();
    let scores: Vec<f64> = (0..400).map(|r| proba.row(r)[1].into()).collect();
    let ones: Vec<u32> = labels.iter().map(|&l| l.into()).collect();
    let auc = metrics::roc_auc(&scores, &ones).unwrap();
    // Probabilities near 1 tie in f32 where their logits do not.
    assert!((auc - report.classification().unwrap().roc_auc.unwrap()).abs() < 1e-3);
}

#[test]
fn the_same_seed_gives_the_same_model_and_another_another() {
    let x = quadrants(100, 4);
    let labels: Vec<bool> = (0..100).map(|r| x.row(r)[0] > 0.0).collect();
    for device in [Device::cpu(), common::gpu()] {
        let fit = |seed| {
            let classifier = MlpClassifier {
                seed,
                epochs: 3,
                device: Some(device.clone()),
                ..small()
            };
            classifier
                .fit(&x, &labels)
                .unwrap()
                .predict_proba(&x)
                .unwrap()
        };
        assert_eq!(fit(1), fit(1));
        assert_ne!(fit(1), fit(2));
    }
}

/// Three values of a point, on scales far apart.
fn values(x: &Matrix) -> Matrix {
    let row = |r: usize| {
        let (a, b) = (x.row(r)[0], x.row(r)[1]);
        [1e3 + 50.0 * (2.0 * a).sin(), 1e-3 * a * b, b - 7.0]
    };
    Matrix::from_rows(&(0..x.rows()).map(row).collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_regressor_learns_values_on_any_scale() {
    let (x, test) = (quadrants(500, 5), quadrants(200, 6));
    let regressor = MlpRegressor {
        hidden: vec![32],
        batch_size: Some(32),
        device: Some(Device::cpu()),
        ..MlpRegressor::default()
    };
    let mut model = regressor.fit(&x, &values(&x)).unwrap();
    let score = model.score(&test, &values(&test)).unwrap();
    assert!(score > 0.98, "{score}\n{}", model.history());
    let report = model.report(&test, &values(&test)).unwrap();
    assert_eq!(report.r2, Some(score));
    let first = model.predict(&test).unwrap().row(0)[0];
    assert!((900.0..1100.0).contains(&first), "{first}");

    // Without standardisation the first column drowns the others.
    let plain = MlpRegressor {
        standardize: false,
        ..regressor
    };
    let worse = plain
        .fit(&x, &values(&x))
        .unwrap()
        .score(&test, &values(&test))
        .unwrap();
    assert!(worse < score, "{worse}");
}

#[test]
fn options_reach_the_training() {
    let x = quadrants(200, 7);
    let labels: Vec<bool> = (0..200).map(|r| x.row(r)[0] > 0.0).collect();
    let classifier = MlpClassifier {
        validation: Some(0.25),
        schedule: Schedule::cosine(0.0),
        activation: Activation::Tanh,
        alpha: 0.5,
        epochs: 4,
        patience: 100,
        ..small()
    };
    let mut model = classifier.fit(&x, &labels).unwrap();
    let history = model.history().clone();
    assert_eq!(history.epochs.len(), 4);
    assert!(
        history
            .epochs
            .iter()
            .all(|e| e.validation.unwrap().rows == 50)
    );
    assert!(history.epochs[3].lr < history.epochs[0].lr);
    assert_eq!(
        model.trainer().network().layers()[0].activation,
        Activation::Tanh
    );
    let wgrad::Optimizer::Sgd(sgd) = model.trainer().optimizer() else {
        panic!()
    };
    assert_eq!(sgd.weight_decay, 0.5 / 32.0);
    let adamw = MlpClassifier {
        optimizer: AdamW::default().into(),
        epochs: 1,
        ..small()
    };
    let mut model = adamw.fit(&x, &labels).unwrap();
    assert_eq!(model.trainer().optimizer(), &AdamW::default().into());

    // Without improvement by more than tol it stops.
    let impatient = MlpClassifier {
        tol: 100.0,
        patience: 2,
        ..small()
    };
    assert_eq!(
        impatient.fit(&x, &labels).unwrap().history().epochs.len(),
        3
    );

    let mut epochs = 0;
    let model = small().fit_with(&x, &labels, |_, _| {
        epochs += 1;
        Ok(if epochs == 5 { Break(()) } else { Continue(()) })
    });
    assert_eq!(model.unwrap().history().epochs.len(), 5);
}

#[test]
fn a_stored_estimator_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let x = quadrants(100, 8);
    let labels: Vec<&str> = (0..100)
        .map(|r| if x.row(r)[0] > 0.0 { "right" } else { "left" })
        .collect();
    let mut classifier = MlpClassifier {
        epochs: 2,
        ..small()
    }
    .fit(&x, &labels)
    .unwrap();
    classifier.save(&path).unwrap();
    let mut loaded = FittedClassifier::load(&path, &Device::cpu()).unwrap();
    assert_eq!(loaded.classes(), ["left", "right"]);
    assert_eq!(
        loaded.predict_proba(&x).unwrap(),
        classifier.predict_proba(&x).unwrap()
    );
    let wrong = FittedRegressor::load(&path, &Device::cpu()).unwrap_err();
    assert!(wrong.to_string().contains("it is a classifier"), "{wrong}");

    let regressor = MlpRegressor {
        epochs: 2,
        device: Some(Device::cpu()),
        ..MlpRegressor::default()
    };
    let mut regressor = regressor.fit(&x, &values(&x)).unwrap();
    regressor.save(&path).unwrap();
    let mut loaded = FittedRegressor::load(&path, &Device::cpu()).unwrap();
    assert_eq!(loaded.predict(&x).unwrap(), regressor.predict(&x).unwrap());
    let wrong = FittedClassifier::load(&path, &Device::cpu()).unwrap_err();
    assert!(wrong.to_string().contains("it is a regressor"), "{wrong}");

    // What no estimator made, and what was tampered with.
    let mut model = classifier.model().unwrap();
    let good = model.preparation.clone().unwrap();
    let mut short = good.clone();
    short["inputs"]["factor"].as_array_mut().unwrap().pop();
    let mut zero = good.clone();
    zero["inputs"]["factor"][0] = 0.0.into();
    let mut classes = good.clone();
    classes["classes"] = serde_json::json!(["left", "middle", "right"]);
    for (preparation, words) in [
        (None, "not made by an estimator"),
        (
            Some(serde_json::json!({"estimator": "oracle"})),
            "not made by an estimator",
        ),
        (Some(short), "does not fit"),
        (Some(zero), "does not fit"),
        (Some(classes), "does not fit"),
    ] {
        model.preparation = preparation;
        let error = FittedClassifier::from_model(&model, &Device::cpu()).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words:?}"
        );
    }
    model.preparation = Some(good);
    FittedClassifier::from_model(&model, &Device::cpu()).unwrap();
}

#[test]
fn bad_input_is_named() {
    let x = quadrants(20, 1);
    let labels: Vec<u32> = (0..20).map(|r| r % 3).collect();
    let says = |error: Error, words: &str| {
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words:?}"
        );
    };
    let fail = |classifier: MlpClassifier| classifier.fit(&x, &labels).unwrap_err();
    says(
        fail(MlpClassifier {
            epochs: 0,
            ..small()
        }),
        "epochs is 0",
    );
    says(
        fail(MlpClassifier {
            batch_size: Some(0),
            ..small()
        }),
        "batch_size is 0",
    );
    says(
        fail(MlpClassifier {
            patience: 0,
            ..small()
        }),
        "patience of early stopping is 0",
    );
    says(
        fail(MlpClassifier {
            tol: -1.0,
            ..small()
        }),
        "min_delta of early stopping is -1",
    );
    says(
        fail(MlpClassifier {
            alpha: f64::NAN,
            ..small()
        }),
        "alpha is NaN",
    );
    says(
        fail(MlpClassifier {
            alpha: -1.0,
            ..small()
        }),
        "alpha is -1",
    );
    says(
        fail(MlpClassifier {
            validation: Some(1.5),
            ..small()
        }),
        "validation fraction is 1.5",
    );
    says(
        fail(MlpClassifier {
            hidden: vec![0],
            ..small()
        }),
        "0 outputs",
    );
    says(small().fit(&x, &["a"; 20]).unwrap_err(), "one class");
    says(small().fit(&x, &labels[1..]).unwrap_err(), "19 rows");
    says(small().fit::<u32>(&x, &[]).unwrap_err(), "empty");
    let none = Matrix::<f32>::new(2, Vec::new()).unwrap();
    assert!(small().fit(&none, &labels).is_err());
    assert!(MlpRegressor::default().fit(&none, &none).is_err());

    let mut model = MlpClassifier {
        epochs: 1,
        ..small()
    }
    .fit(&x, &labels)
    .unwrap();
    let wide = Matrix::new(3, vec![0.0; 3]).unwrap();
    assert!(matches!(
        model.predict(&wide).unwrap_err(),
        Error::Shape { .. }
    ));
    assert!(matches!(
        model.predict(&none).unwrap_err(),
        Error::EmptyData { .. }
    ));
    says(model.score(&x, &labels[1..]).unwrap_err(), "19 rows");
    let mut strange = labels.clone();
    strange[7] = 99;
    says(
        model.report(&x, &strange).unwrap_err(),
        "label of row 7 is \"99\"",
    );
    let score = model.score(&x, &strange).unwrap();
    assert!(score <= model.score(&x, &labels).unwrap());
}
