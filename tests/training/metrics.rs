//! Metrics of what a trainer computes, on the CPU and on the GPU; `tests/data/metrics.rs` has the functions.

use wgrad::metrics::{Averages, Confusion, Regression, accuracy, top_k_accuracy};
use wgrad::{Activation::*, Dataset, Device, Loss, Matrix};

use crate::common::{self, echo};

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
