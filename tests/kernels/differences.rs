//! The first rung: the f64 twins' gradients against central differences, every activation × loss × depth.

use crate::common::numbers;
use wgrad::{Activation, Dataset, Device, Loss, Matrix, Mlp, Reduction, Sgd, Trainer, verify};

/// Rows of probabilities, none of them 0.
fn probabilities(rows: usize, cols: usize) -> Matrix {
    let mut data: Vec<f32> = numbers(rows * cols, 3)
        .iter()
        .map(|x| x.abs() + 0.1)
        .collect();
    for row in data.chunks_mut(cols) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    Matrix::new(cols, data).unwrap()
}

/// The output activations that a loss takes.
fn outputs(loss: Loss) -> Vec<Activation> {
    match loss {
        Loss::CrossEntropy | Loss::BinaryCrossEntropy => vec![Activation::Identity],
        // ln a needs a > 0.
        Loss::OutputCrossEntropy | Loss::KlDivergence => vec![
            Activation::Softmax,
            Activation::Sigmoid,
            Activation::Softplus,
        ],
        _ => {
            let mut all = Activation::table();
            all.push(Activation::Softmax);
            all
        }
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let (rows, inputs, cols) = (4, 5, 3);
    let x = || Matrix::new(inputs, numbers(rows * inputs, 1)).unwrap();
    let (mut checked, mut skipped) = (0, 0);
    for hidden in Activation::table() {
        for loss in Loss::table() {
            for last in outputs(loss) {
                for depth in 0..=3 {
                    // Every pair once, at one depth; every activation with itself at all depths.
                    if last != hidden && last != Activation::Identity && depth != 1 {
                        continue;
                    }
                    let mut network = Mlp::new(inputs);
                    for l in 0..depth {
                        network = network.dense(4 + l, hidden.clone());
                    }
                    network = network.dense(cols, last.clone());
                    let reduction = if depth % 2 == 0 {
                        Reduction::Mean
                    } else {
                        Reduction::Sum
                    };
                    let criterion = wgrad::Criterion {
                        reduction,
                        ..loss.into()
                    };
                    let device = Device::reference();
                    let mut trainer =
                        Trainer::new(&device, &network, criterion, Sgd::default(), depth as u64)
                            .unwrap();
                    let mut batches =
                        vec![Dataset::values(x(), probabilities(rows, cols)).unwrap()];
                    if matches!(
                        loss,
                        Loss::CrossEntropy | Loss::OutputCrossEntropy | Loss::KlDivergence
                    ) {
                        batches.push(Dataset::classes(x(), vec![0, 2, 1, 2]).unwrap());
                    }
                    for batch in &batches {
                        let report = verify::finite_differences(&mut trainer, batch).unwrap();
                        assert!(report.passed(), "{report}");
                        checked += report
                            .checks
                            .iter()
                            .map(|check| check.elements)
                            .sum::<usize>();
                        skipped += report
                            .checks
                            .iter()
                            .map(|check| check.skipped)
                            .sum::<usize>();
                    }
                }
            }
        }
    }
    println!("{checked} coordinates checked, {skipped} skipped at kinks");
    assert!(skipped * 20 < checked, "{skipped} skipped of {checked}");
}

#[test]
fn a_wrong_derivative_is_noticed() {
    let wrong = Activation::custom(
        "cubic",
        "fn activate(z: f32) -> f32 { return z * z * z; }\nfn activate_grad(z: f32) -> f32 { return 3.0 * z * z; }",
        |z| z * z * z,
        |z| 3.000_01 * z * z,
    )
    .unwrap();
    let network = Mlp::new(5).dense(4, wrong).dense(3, Activation::Identity);
    let mut trainer = Trainer::new(
        &Device::reference(),
        &network,
        Loss::CrossEntropy,
        Sgd::default(),
        1,
    )
    .unwrap();
    let x = Matrix::new(5, numbers(20, 1)).unwrap();
    let batch = Dataset::classes(x, vec![0, 2, 1, 2]).unwrap();
    let report = verify::finite_differences(&mut trainer, &batch).unwrap();
    let failed: Vec<&str> = report.failures().map(|check| check.name.as_str()).collect();
    // The last layer's gradient does not pass through the activation's derivative.
    assert_eq!(failed, ["gradient of 0.weight", "gradient of 0.bias"]);
}
