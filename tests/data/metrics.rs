//! Metrics: equal to scikit-learn's on shared examples, and typed errors where there is nothing to say.

use crate::common::{self, echo};
use serde::Deserialize;
use wgrad::metrics::{
    Averages, ClassScores, Confused, Confusion, Regression, Report, accuracy, log_loss,
    mean_absolute_error, r2_score, roc_auc, root_mean_squared_error, top_k_accuracy,
};
use wgrad::{Activation::*, Dataset, Device, Error, Loss, Matrix, Mlp, Sgd, Trainer};

/// A handful of f64 operations in another order.
const ULPS: f64 = 64.0 * f64::EPSILON;

#[derive(Deserialize)]
struct Fixture {
    classes: Vec<Classes>,
    scores: Vec<ScoresCase>,
    binary: Vec<Binary>,
    values: Vec<Values>,
}

#[derive(Deserialize)]
struct Classes {
    name: String,
    classes: usize,
    targets: Vec<u32>,
    predicted: Vec<u32>,
    accuracy: f64,
    confusion: Vec<Vec<u64>>,
    each_0: (Vec<f64>, Vec<f64>, Vec<f64>, Vec<u64>),
    each_1: (Vec<f64>, Vec<f64>, Vec<f64>, Vec<u64>),
    macro_0: (f64, f64, f64, u64),
    macro_1: (f64, f64, f64, u64),
    weighted_0: (f64, f64, f64, u64),
    weighted_1: (f64, f64, f64, u64),
}

#[derive(Deserialize)]
struct ScoresCase {
    name: String,
    targets: Vec<u32>,
    scores: Vec<Vec<f32>>,
    top_k: Vec<(usize, f64)>,
    log_loss: f64,
}

#[derive(Deserialize)]
struct Binary {
    name: String,
    targets: Vec<u32>,
    scores: Vec<f64>,
    roc_auc: f64,
}

#[derive(Deserialize)]
struct Values {
    name: String,
    targets: Vec<Vec<f32>>,
    predicted: Vec<Vec<f32>>,
    r2: Option<f64>,
    mae: f64,
    rmse: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/sklearn/metrics.json")).unwrap()
}

#[track_caller]
fn close(name: &str, got: f64, expected: f64, relative: f64) {
    let bound = relative * expected.abs().max(1.0);
    assert!(
        (got - expected).abs() <= bound,
        "{name}: {got}, but scikit-learn says {expected}"
    );
}

fn close_scores(name: &str, got: &ClassScores, (p, r, f, support): (f64, f64, f64, u64)) {
    close(name, got.precision, p, ULPS);
    close(name, got.recall, r, ULPS);
    close(name, got.f1, f, ULPS);
    assert_eq!(got.support, support, "{name}");
}

#[test]
fn predicted_classes() {
    let cases = fixture().classes;
    assert!(cases.len() >= 9);
    for case in cases {
        let (p, t, n) = (&case.predicted, &case.targets, case.classes);
        close(&case.name, accuracy(p, t).unwrap(), case.accuracy, ULPS);
        let confusion = Confusion::new(p, t, n).unwrap();
        assert_eq!(confusion.counts(), case.confusion, "{}", case.name);
        assert_eq!(
            confusion.scores(),
            Averages::new(p, t, n, 0.0).unwrap(),
            "{}",
            case.name
        );
        let sides = [
            (0.0, case.each_0, case.macro_0, case.weighted_0),
            (1.0, case.each_1, case.macro_1, case.weighted_1),
        ];
        for (zero, (ps, rs, fs, supports), macros, weighted) in sides {
            let scores = Averages::new(p, t, n, zero).unwrap();
            assert_eq!(scores.classes.len(), n);
            for (c, got) in scores.classes.iter().enumerate() {
                let name = format!("{}, class {c}, zero_division {zero}", case.name);
                close_scores(&name, got, (ps[c], rs[c], fs[c], supports[c]));
            }
            close_scores(&case.name, &scores.macro_average, macros);
            close_scores(&case.name, &scores.weighted_average, weighted);
        }
    }
}

#[test]
fn scores_and_probabilities() {
    for case in fixture().scores {
        let scores = Matrix::from_rows(&case.scores).unwrap();
        for (k, expected) in case.top_k {
            let got = top_k_accuracy(&scores, &case.targets, k).unwrap();
            close(&format!("{}, k = {k}", case.name), got, expected, ULPS);
        }
        // scikit-learn clips and takes logarithms in f32: half an ulp of each logarithm, of 16 at most, and of the clip.
        let got = log_loss(&scores, &case.targets).unwrap();
        close(
            &case.name,
            got,
            case.log_loss,
            2.0 * f64::from(f32::EPSILON),
        );
    }
}

#[test]
fn areas_under_the_curve() {
    for case in fixture().binary {
        let got = roc_auc(&case.scores, &case.targets).unwrap();
        close(&case.name, got, case.roc_auc, ULPS);
    }
}

#[test]
fn predicted_values() {
    for case in fixture().values {
        let t = Matrix::from_rows(&case.targets).unwrap();
        let a = Matrix::from_rows(&case.predicted).unwrap();
        let got = Regression::new(&a, &t).unwrap();
        assert_eq!(got.r2.is_some(), case.r2.is_some(), "{}", case.name);
        if let Some(r2) = case.r2 {
            // Σ(t − t̄)² of targets far from 0 loses what their mean is off: 2⁻⁵³·|t̄|·N beside a spread of 1.
            close(&case.name, r2_score(&a, &t).unwrap(), r2, 1e-9);
        } else {
            let error = r2_score(&a, &t).unwrap_err();
            assert!(matches!(error, Error::Undefined { .. }), "{error}");
        }
        close(
            &case.name,
            mean_absolute_error(&a, &t).unwrap(),
            case.mae,
            ULPS,
        );
        close(
            &case.name,
            root_mean_squared_error(&a, &t).unwrap(),
            case.rmse,
            ULPS,
        );
    }
}

#[test]
fn a_constant_that_is_no_binary_fraction_is_constant() {
    let t = Matrix::new(1, vec![0.1; 1000]).unwrap();
    let right = Regression::new(&t, &t).unwrap();
    assert_eq!(right.r2, Some(1.0));
    let wrong = Matrix::new(1, vec![0.2; 1000]).unwrap();
    assert_eq!(Regression::new(&wrong, &t).unwrap().r2, Some(0.0));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let one = Matrix::new(1, vec![1.0]).unwrap();
    let two = Matrix::new(2, vec![0.5, 0.5]).unwrap();
    let shape = |e: Error| assert!(matches!(e, Error::Shape { .. }), "{e}");
    let class = |e: Error| assert!(matches!(e, Error::Class { .. }), "{e}");
    let argument = |e: Error| assert!(matches!(e, Error::Argument { .. }), "{e}");
    let empty = |e: Error| assert!(matches!(e, Error::EmptyData { .. }), "{e}");
    let undefined = |e: Error| assert!(matches!(e, Error::Undefined { .. }), "{e}");
    empty(accuracy(&[], &[]).unwrap_err());
    shape(accuracy(&[0], &[0, 1]).unwrap_err());
    class(Confusion::new(&[0], &[2], 2).unwrap_err());
    class(Confusion::new(&[2], &[0], 2).unwrap_err());
    class(Confusion::new(&[0], &[0], 0).unwrap_err());
    argument(Averages::new(&[0], &[0], 1, 2.0).unwrap_err());
    argument(Averages::new(&[0], &[0], 1, f64::NAN).unwrap_err());
    class(top_k_accuracy(&two, &[2], 1).unwrap_err());
    argument(top_k_accuracy(&two, &[1], 0).unwrap_err());
    shape(log_loss(&two, &[0, 1]).unwrap_err());
    let high = Matrix::new(2, vec![1.5, 0.0]).unwrap();
    let error = log_loss(&high, &[0]).unwrap_err();
    assert!(
        matches!(error, Error::Value { row: 0, col: 0, .. }),
        "{error}"
    );
    undefined(roc_auc(&[0.1, 0.2], &[1, 1]).unwrap_err());
    undefined(roc_auc(&[0.1, f64::NAN], &[0, 1]).unwrap_err());
    class(roc_auc(&[0.1, 0.2], &[0, 2]).unwrap_err());
    shape(Regression::new(&one, &two).unwrap_err());
}

/// Classes have their names in both tables, or numbers beside names that are too long to stand above a column.
#[test]
fn a_confusion_matrix_names_its_classes() {
    let x = Matrix::new(2, vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]).unwrap();
    let data = Dataset::classes(x, vec![0, 0, 1, 1]).unwrap();
    let report = echo(2, Identity, Loss::CrossEntropy, &Device::cpu())
        .report(&data)
        .unwrap();
    let table = |names: [&str; 2]| {
        let text = report.clone().named(&names).to_string();
        let lines = text.lines().rev().take(3).map(str::trim_start);
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(table(["1", "2"]), ["2 1 1", "1 2 0", "t \\ p 1 2"]);
    assert_eq!(
        table(["no", "yes"]),
        ["yes   1   1", "no   2   0", "t \\ p  no yes"]
    );
    let long = ["virginica (1) 1 1", "x (0) 2 0", "t \\ p 0 1"];
    assert_eq!(table(["x", "virginica"]), long);
}

#[test]
fn two_classes_have_a_curve() {
    let x = common::numbers(2 * 300, 5);
    let labels: Vec<u32> = (0..300).map(|r| u32::from(x[2 * r + 1] > 0.1)).collect();
    let margins: Vec<f64> = (0..300)
        .map(|r| f64::from(x[2 * r + 1]) - f64::from(x[2 * r]))
        .collect();
    let x = Matrix::new(2, x).unwrap();
    let data = Dataset::classes(x, labels.clone()).unwrap();
    let report = echo(2, Identity, Loss::CrossEntropy, &Device::reference()).report(&data);
    let expected = roc_auc(&margins, &labels).unwrap();
    assert_eq!(
        report.unwrap().classification().unwrap().roc_auc,
        Some(expected)
    );

    // One logit beside 0s and 1s.
    let z = common::numbers(300, 9);
    let scores: Vec<f64> = z.iter().map(|&z| z.into()).collect();
    let t = labels.iter().map(|&t| t as f32).collect();
    let data = Dataset::values(Matrix::new(1, z).unwrap(), Matrix::new(1, t).unwrap()).unwrap();
    let report = echo(1, Identity, Loss::BinaryCrossEntropy, &Device::reference()).report(&data);
    let report = report.unwrap();
    let c = report.classification().unwrap();
    assert_eq!(c.roc_auc, Some(roc_auc(&scores, &labels).unwrap()));
    let predicted: Vec<u32> = scores.iter().map(|&z| u32::from(z > 0.0)).collect();
    assert_eq!(c.accuracy, accuracy(&predicted, &labels).unwrap());
    assert!((c.log_loss.unwrap() - report.evaluation.loss).abs() <= 1e-12);
}

/// Numbers far from 0: what is small beside them is scored all the same.
#[test]
fn values_far_from_zero() {
    // Seconds since 1970, and the same less their offset.
    let near: Vec<f64> = (0..200).map(|i| f64::from((i * 37) % 61) - 30.0).collect();
    let answers: Vec<f64> = near.iter().map(|t| 0.9 * t + 1.0).collect();
    let expected = Regression::new(
        &Matrix::new(1, answers.clone()).unwrap(),
        &Matrix::new(1, near.clone()).unwrap(),
    );
    let expected = expected.unwrap();
    for offset in [1.7e9, -4e11] {
        let far = |x: &[f64]| Matrix::new(1, x.iter().map(|x| x + offset).collect()).unwrap();
        let got = Regression::new(&far(&answers), &far(&near)).unwrap();
        // An answer beside 4e11 is rounded to 3e-5.
        let bound = 1e-16 * f64::abs(offset);
        assert!(
            (got.r2.unwrap() - expected.r2.unwrap()).abs() < bound,
            "{got}"
        );
        assert!((got.rmse - expected.rmse).abs() < bound, "{got}");
        assert!((got.mae - expected.mae).abs() < bound, "{got}");
    }
    // Every answer the mean: R² is 0, not 1.
    let mean = near.iter().sum::<f64>() / 200.0;
    let same = Matrix::new(1, vec![1.7e9 + mean; 200]).unwrap();
    let far = Matrix::new(1, near.iter().map(|x| x + 1.7e9).collect()).unwrap();
    assert!(r2_score(&same, &far).unwrap().abs() < 1e-6);
}

/// Two targets in different units: each by its name, and only R² as a mean.
#[test]
fn several_targets_each_have_their_own_metrics() {
    let t = Matrix::new(2, vec![1.0, 1000.0, 2.0, 2000.0, 3.0, 6000.0]).unwrap();
    let a = Matrix::new(2, vec![1.0, 2000.0, 2.0, 2000.0, 4.0, 5000.0]).unwrap();
    let got = Regression::new(&a, &t).unwrap().named(&["width", "weight"]);
    let [width, weight] = &got.targets[..] else {
        panic!("{got}")
    };
    assert_eq!(
        (width.name.as_str(), weight.name.as_str()),
        ("width", "weight")
    );
    // Spreads of 2 and 14e6, squares of 1 and 2e6.
    close("width", width.r2.unwrap(), 0.5, ULPS);
    close("weight", weight.r2.unwrap(), 1.0 - 2.0 / 14.0, ULPS);
    close("width", width.mae, 1.0 / 3.0, ULPS);
    close("weight", weight.mae, 2000.0 / 3.0, ULPS);
    close("width", width.rmse, (1.0f64 / 3.0).sqrt(), ULPS);
    close("weight", weight.rmse, (2e6f64 / 3.0).sqrt(), ULPS);
    close(
        "mean",
        got.r2.unwrap(),
        (0.5 + 1.0 - 2.0 / 14.0) / 2.0,
        ULPS,
    );
    close("mean", got.mae, (width.mae + weight.mae) / 2.0, ULPS);
    let text = got.to_string();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["target", "R²", "MAE", "RMSE"]);
    assert_eq!(lines[1], ["width", "0.50000", "0.33333", "0.57735"]);
    assert_eq!(lines[2], ["weight", "0.85714", "666.66667", "816.49658"]);
    assert_eq!(lines[3], ["mean", "0.67857"]);
}

/// Three labels a row, from logits: the counts below are those of the rows written here.
#[test]
fn several_labels_each_have_their_own_metrics() {
    let logits = vec![
        [2.0, -1.0, 0.5],
        [-0.5, 1.0, 0.5],
        [1.5, -2.0, 0.1],
        [-1.0, 3.0, 0.2],
    ];
    let targets = vec![
        [1.0, 0.0, 1.0],
        [1.0, 1.0, 1.0],
        [0.0, 0.0, 1.0],
        [0.0, 1.0, 1.0],
    ];
    let x = Matrix::from_rows(&logits).unwrap();
    let data = Dataset::values(x, Matrix::from_rows(&targets).unwrap()).unwrap();
    let mut trainer = echo(3, Identity, Loss::BinaryCrossEntropy, &Device::reference());
    let report = trainer
        .report(&data)
        .unwrap()
        .named(&["red", "round", "old"]);
    let m = report.multi_label().unwrap();
    // Rows 1 and 2 have red wrong.
    assert_eq!(m.subset_accuracy, 0.5);
    let red = &m.labels[0];
    let half = ClassScores {
        precision: 0.5,
        recall: 0.5,
        f1: 0.5,
        support: 2,
    };
    assert_eq!(
        (red.name.as_str(), red.accuracy, red.scores),
        ("red", 0.5, half)
    );
    // Of the pairs of a 1 and a 0 of red, 2 > 1.5, 2 > −1 and −0.5 > −1, but −0.5 < 1.5.
    assert_eq!(red.roc_auc, Some(0.75));
    let round = &m.labels[1];
    assert_eq!(
        (round.accuracy, round.scores.f1, round.roc_auc),
        (1.0, 1.0, Some(1.0))
    );
    // A label that all rows have has no curve.
    let old = &m.labels[2];
    assert_eq!(
        (old.accuracy, old.scores.support, old.roc_auc),
        (1.0, 4, None)
    );
    close("macro F1", m.macro_average.f1, 2.5 / 3.0, ULPS);
    let text = report.to_string();
    assert!(
        text.contains("all labels right in 0.5000 of the rows"),
        "{text}"
    );
    assert!(text.contains("  round    1.0000"), "{text}");
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["scores"]["multi_label"]["labels"][0]["f1"], 0.5);

    // Targets between 0 and 1 are no labels.
    let x = Matrix::from_rows(&logits).unwrap();
    let halves = Matrix::new(3, vec![0.5; 12]).unwrap();
    let report = trainer
        .report(&Dataset::values(x, halves).unwrap())
        .unwrap();
    assert!(matches!(report.scores, wgrad::metrics::Scores::LossOnly));
}

/// Of many classes the counts take memory and room by rows and classes, not by the square of the classes.
#[test]
fn many_classes_are_told_in_few_lines() {
    let (classes, rows) = (100_000u32, 400_000u32);
    let targets: Vec<u32> = (0..rows).map(|r| r % classes).collect();
    // A tenth goes to the next class.
    let wrong = |r: u32| r % 10 == 3;
    let predicted: Vec<u32> = (0..rows)
        .map(|r| (r % classes + u32::from(wrong(r))) % classes)
        .collect();
    let confusion = Confusion::new(&predicted, &targets, classes as usize).unwrap();
    assert_eq!(confusion.get(3, 4), 4);
    assert_eq!((confusion.get(4, 3), confusion.get(100_000, 0)), (0, 0));
    let most = confusion.most_confused(2);
    let pair = |target, predicted| Confused {
        target,
        predicted,
        rows: 4,
    };
    assert_eq!(most.pairs, [pair(3, 4), pair(13, 14)]);
    assert_eq!((most.more_pairs, most.more_rows), (9_998, 39_992));
    let text = confusion.to_string();
    assert!(
        text.lines().count() < 30 && text.contains("4  3 taken for 4"),
        "{text}"
    );
    assert!(text.ends_with("39920  in 9980 pairs more"), "{text}");
    let json = serde_json::to_string(&confusion).unwrap();
    assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), confusion);
    for broken in [
        r#"{"classes": 2, "counts": [[1, 2]]}"#,
        r#"{"classes": 2, "counts": [[1, 2], [3]]}"#,
        r#"{"classes": 2, "cells": [[0, 2, 1]]}"#,
    ] {
        let error = serde_json::from_str::<Confusion>(broken)
            .unwrap_err()
            .to_string();
        assert!(error.contains("confusion matrix of 2 classes"), "{error}");
    }

    // A report of 1,000 classes, and of twice as many: twice the size.
    let size = |classes: usize| {
        let rows = 3 * classes;
        let x = common::numbers(rows, 7);
        let labels = (0..rows).map(|r| (r % classes) as u32).collect();
        let data = Dataset::classes(Matrix::new(1, x).unwrap(), labels).unwrap();
        let network = Mlp::new(1).dense(classes, Identity);
        let mut trainer = Trainer::new(
            &Device::cpu(),
            &network,
            Loss::CrossEntropy,
            Sgd::default(),
            7,
        )
        .unwrap();
        let names: Vec<String> = (0..classes).map(|c| format!("{c:>060}")).collect();
        let report = trainer.report(&data).unwrap().named(&names);
        let text = report.to_string();
        assert!(text.lines().count() < 90, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() < 120),
            "{text}"
        );
        assert!(text.contains("most often confused:"), "{text}");
        let json = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&json).unwrap();
        let (read, c) = (
            read.classification().unwrap().clone(),
            report.classification().unwrap(),
        );
        assert_eq!(
            (read.confusion, read.most_confused),
            (None, c.most_confused.clone())
        );
        assert_eq!(c.most_confused.pairs.len(), 100);
        json.len()
    };
    let (one, two) = (size(1000), size(2000));
    assert!(one < 300_000 && two < 2 * one + 10_000, "{one} {two}");
}

/// The loss and the log loss are one number, or the report says why not.
#[test]
fn the_log_loss_is_the_loss_or_says_why_not() {
    // The last row's class has a probability of e⁻⁹⁰, which f32 has not.
    let x = Matrix::new(2, vec![1.0, 0.0, 0.0, 2.0, 90.0, 0.0]).unwrap();
    let data = Dataset::classes(x.clone(), vec![0, 1, 1]).unwrap();
    let of = |criterion: wgrad::Criterion, data: &Dataset| {
        let network = Mlp::new(2).dense(2, Identity);
        let mut trainer =
            Trainer::new(&Device::reference(), &network, criterion, Sgd::default(), 7).unwrap();
        let mut weights = trainer.weights().unwrap();
        weights
            .weight_mut(0)
            .unwrap()
            .data
            .copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
        weights.bias_mut(0).unwrap().data.fill(0.0);
        trainer.set_weights(&weights).unwrap();
        let report = trainer.report(data).unwrap();
        let c = report.classification().unwrap();
        (
            report.evaluation.loss,
            c.log_loss.unwrap(),
            c.log_loss_note.clone(),
            report.to_string(),
        )
    };
    let expected = ((-1f64).exp().ln_1p() + (-2f64).exp().ln_1p() + 90.0) / 3.0;
    let (loss, log_loss, note, _) = of(Loss::CrossEntropy.mean(), &data);
    close("loss", loss, expected, ULPS);
    close("log loss", log_loss, expected, ULPS);
    assert_eq!(note, None);

    let (loss, log_loss, note, text) = of(Loss::CrossEntropy.mean().label_smoothing(0.25), &data);
    close("log loss", log_loss, expected, ULPS);
    assert!((loss - log_loss).abs() > 1.0);
    let said = "without the label smoothing 0.25 of the loss";
    assert_eq!(note.as_deref(), Some(said));
    assert!(
        text.contains(&format!("log loss {log_loss:.4} ({said})")),
        "{text}"
    );

    let (loss, log_loss, note, _) = of(Loss::CrossEntropy.sum(), &data);
    close("loss", loss, 3.0 * log_loss, ULPS);
    assert_eq!(
        note.as_deref(),
        Some("a mean over rows, where the loss is a sum")
    );

    let weighted = data.clone().with_weights(vec![1.0, 1.0, 0.0]).unwrap();
    let (loss, log_loss, note, _) = of(Loss::CrossEntropy.mean(), &weighted);
    assert!(loss < 1.0 && log_loss > 30.0);
    assert_eq!(note.as_deref(), Some("of rows without their weights"));
}
