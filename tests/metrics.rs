//! Metrics: equal to scikit-learn's on shared examples, and typed errors where there is nothing to say.

mod common;

use serde::Deserialize;
use wgrad::metrics::{
    Averages, ClassScores, Confusion, Regression, accuracy, log_loss, mean_absolute_error,
    r2_score, roc_auc, root_mean_squared_error, top_k_accuracy,
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
    serde_json::from_str(include_str!("fixtures/sklearn/metrics.json")).unwrap()
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
    argument(Confusion::new(&[0], &[0], 5000).unwrap_err());
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

/// A network that gives its inputs back: the report must then be what the functions say about the inputs.
fn echo(cols: usize, activation: wgrad::Activation, loss: Loss, device: &Device) -> Trainer {
    let network = Mlp::new(cols).dense(cols, activation);
    let mut trainer = Trainer::new(device, &network, loss, Sgd::default(), 7).unwrap();
    let mut weights = trainer.weights().unwrap();
    let eye = &mut weights.weight_mut(0).unwrap().data;
    for (i, w) in eye.iter_mut().enumerate() {
        *w = f32::from(u8::from(i % (cols + 1) == 0));
    }
    weights.bias_mut(0).unwrap().data.fill(0.0);
    trainer.set_weights(&weights).unwrap();
    trainer
}

#[test]
fn a_report_says_what_the_functions_say() {
    // More rows than go through at a time, and classes in an uneven mix.
    let (rows, cols) = (600, 7);
    let x = common::numbers(rows * cols, 3);
    let labels: Vec<u32> = (0..rows).map(|r| ((r * r) % 11 % 7) as u32).collect();
    let x = Matrix::new(cols, x).unwrap();
    let data = Dataset::classes(x.clone(), labels.clone()).unwrap();
    for device in [Device::cpu(), common::gpu()] {
        let mut trainer = echo(cols, Identity, Loss::CrossEntropy, &device);
        let report = trainer.report(&data).unwrap();
        let evaluation = trainer.evaluate(&data).unwrap();
        assert_eq!(report.evaluation, evaluation);
        let c = report.classification().unwrap();
        let predicted: Vec<u32> = (0..rows)
            .map(|r| {
                let row = x.row(r);
                (0..cols)
                    .rev()
                    .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                    .unwrap() as u32
            })
            .collect();
        assert_eq!(Some(c.accuracy), evaluation.accuracy);
        assert_eq!(c.accuracy, accuracy(&predicted, &labels).unwrap());
        assert_eq!(
            c.confusion,
            Some(Confusion::new(&predicted, &labels, cols).unwrap())
        );
        assert_eq!(
            c.scores,
            Averages::new(&predicted, &labels, cols, 0.0).unwrap()
        );
        assert_eq!(c.top_5, Some(top_k_accuracy(&x, &labels, 5).unwrap()));
        assert_eq!(c.roc_auc, None);
        // The mean cross-entropy is the log loss; the device has it in f32.
        let bound = 1e-6 * evaluation.loss;
        assert!(
            (c.log_loss.unwrap() - evaluation.loss).abs() <= bound,
            "{report}"
        );
        let text = report.clone().named(&["zero", "one"]).to_string();
        assert!(
            text.contains("macro average") && text.contains(" one "),
            "{text}"
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(
            serde_json::from_str::<wgrad::metrics::Report>(&json).unwrap(),
            report
        );
    }
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

#[test]
fn values_and_probabilities() {
    let x = Matrix::new(3, common::numbers(3 * 400, 1)).unwrap();
    let t = Matrix::new(3, common::numbers(3 * 400, 2)).unwrap();
    let data = Dataset::values(x.clone(), t.clone()).unwrap();
    let report = echo(3, Identity, Loss::Mse, &common::gpu())
        .report(&data)
        .unwrap();
    let expected = Regression::new(&x, &t).unwrap();
    assert_eq!(report.regression(), Some(&expected));
    assert!(report.to_string().contains("RMSE"), "{report}");

    // Outputs of a sigmoid are probabilities of a kind; beyond 1 they are none, and there is no log loss.
    let labels: Vec<u32> = (0..400).map(|r| (r % 3) as u32).collect();
    let data = Dataset::classes(x, labels).unwrap();
    let mut trainer = echo(3, Sigmoid, Loss::OutputCrossEntropy, &Device::cpu());
    let report = trainer.report(&data).unwrap();
    assert!(report.classification().unwrap().log_loss.is_some());
    let mut trainer = echo(3, Softplus, Loss::OutputCrossEntropy, &Device::cpu());
    let report = trainer.report(&data).unwrap();
    assert_eq!(report.classification().unwrap().log_loss, None);
}
