//! Numbers at the edges: large logits, kinks, accuracy of the functions, targets that meet a zero.

use crate::common;
use wgrad::{
    Activation, Activation::*, Adam, Dataset, Device, Error, Loss, Matrix, Mlp, Sgd, Tensor,
    Tensors, Trainer, verify,
};

/// A network of one layer that hands its input through: z = x.
fn pass_through(device: &Device, width: usize, activation: Activation, loss: Loss) -> Trainer {
    let network = Mlp::new(width).dense(width, activation);
    let mut trainer = Trainer::new(device, &network, loss, Sgd::default(), 0).unwrap();
    let mut identity = vec![0.0; width * width];
    (0..width).for_each(|i| identity[i * width + i] = 1.0);
    let weights = Tensors::new(vec![
        Tensor {
            name: "0.weight".into(),
            shape: vec![width, width],
            data: identity,
        },
        Tensor {
            name: "0.bias".into(),
            shape: vec![width],
            data: vec![0.0; width],
        },
    ]);
    trainer.set_weights(&weights).unwrap();
    trainer
}

fn devices() -> [Device; 3] {
    [common::gpu(), Device::cpu(), Device::reference()]
}

#[test]
fn losses_are_stable_for_logits_up_to_1e4() {
    let z =
        Matrix::from_rows(&[[1e4, -1e4, 0.0], [-1e4, 1e4, 9999.0], [-1e4, -1e4, -1e4]]).unwrap();
    // −ln softmax, by hand: 0 and 20000; 1 + ln(1 + e⁻¹) for the last of the second row; ln 3.
    let expected = [0.0, 1.0 + (-1f64).exp().ln_1p(), 3f64.ln()];
    let labels = Dataset::classes(z.clone(), vec![0, 2, 1]).unwrap();
    let wrong = Dataset::classes(z.clone(), vec![1, 0, 0]).unwrap();
    let fractions =
        Matrix::from_rows(&[[1.0, 0.0, 0.5], [1.0, 0.0, 0.25], [0.0, 0.0, 1.0]]).unwrap();
    let binary = Dataset::values(z, fractions).unwrap();
    for device in devices() {
        for (activation, loss) in [
            (Identity, Loss::CrossEntropy),
            (Softmax, Loss::OutputCrossEntropy),
        ] {
            let mut trainer = pass_through(&device, 3, activation, loss);
            let right = trainer.evaluate(&labels).unwrap();
            approx::assert_relative_eq!(
                right.loss,
                expected.iter().sum::<f64>() / 3.0,
                max_relative = 1e-6
            );
            let far = trainer.evaluate(&wrong).unwrap();
            approx::assert_relative_eq!(
                far.loss,
                (40_000.0 + (-1f64).exp().ln_1p() + 3f64.ln()) / 3.0,
                max_relative = 1e-6
            );
            trainer.step(&wrong).unwrap();
            assert!(
                trainer
                    .weights()
                    .unwrap()
                    .iter()
                    .all(|t| t.data.iter().all(|x| x.is_finite()))
            );
        }
        let mut trainer = pass_through(&device, 3, Identity, Loss::BinaryCrossEntropy);
        let evaluation = trainer.evaluate(&binary).unwrap();
        // Right and sure: 0; at 0: ln 2; wrong and sure: |z|; t = ¼ at 9999: ¾ of it.
        let sum = 2f64.ln() + 1e4 + 1e4 + 0.75 * 9999.0 + 1e4;
        approx::assert_relative_eq!(evaluation.loss, sum / 9.0, max_relative = 1e-6);
    }
}

#[test]
fn every_activation_fits_its_fragment_and_its_derivative() {
    for device in devices() {
        for phi in Activation::table() {
            let report = verify::activation(&device, &phi).unwrap();
            assert!(report.passed(), "{report}");
        }
    }
}

#[test]
fn the_derivative_at_zero_is_the_documented_choice() {
    for (phi, expected) in [
        (Relu, 0.0),
        (ReluWith { grad_at_zero: 0.5 }, 0.5),
        (ReluWith { grad_at_zero: 1.0 }, 1.0),
        (
            LeakyRelu {
                negative_slope: 0.25,
            },
            0.25,
        ),
        (Elu { alpha: 1.5 }, 1.5),
    ] {
        assert_eq!(phi.derivative(0.0), expected, "{phi}");
        for device in devices() {
            // z = 0·1 + 0 exactly; L = (φ(z) − 1)², so ∂L/∂b = −2·φ′(0).
            let network = Mlp::new(1).dense(1, phi.clone());
            let mut trainer =
                Trainer::new(&device, &network, Loss::SquaredError, Sgd::default(), 0).unwrap();
            let mut zero = trainer.weights().unwrap();
            zero.iter_mut().for_each(|t| t.data.fill(0.0));
            trainer.set_weights(&zero).unwrap();
            let one = || Matrix::new(1, vec![1.0]).unwrap();
            trainer
                .accumulate(&Dataset::values(one(), one()).unwrap())
                .unwrap();
            let gradients = trainer.gradients().unwrap();
            assert_eq!(
                gradients.bias(0).unwrap().data,
                [-2.0 * expected as f32],
                "{phi} on {device}"
            );
        }
    }
}

#[test]
fn gelu_is_good_to_f32_rounding() {
    // Against libm's erf: z·Φ(z) within a few units of the last place of max(|z|, 1)·Φ: a polynomial, not a rough fit.
    let z: Vec<f32> = (-60_000..=60_000).map(|i| i as f32 / 10_000.0).collect();
    let x = Matrix::new(1, z.clone()).unwrap();
    for device in devices() {
        let mut trainer = pass_through(&device, 1, Gelu, Loss::Mse);
        let outputs = trainer.predict(&x).unwrap();
        let mut worst = 0.0;
        for (&z, &a) in z.iter().zip(outputs.data()) {
            let z = f64::from(z);
            let exact = z * 0.5 * (1.0 + libm::erf(z / 2f64.sqrt()));
            let error = (f64::from(a) - exact).abs() / z.abs().max(1e-3);
            worst = f64::max(worst, error);
        }
        // Φ is ½(1 + erf): 6 roundings of erf, 3 of the rest, each at most 2⁻²⁴ of 1.
        assert!(worst <= 9.0 * 2f64.powi(-24), "{device}: {worst:e}");
        println!("{device}: gelu is off by {worst:e} of z at most");
    }
}

#[test]
fn a_zero_output_under_a_positive_target_refuses_the_step() {
    let x = Matrix::from_rows(&[[1.0, -1.0], [2.0, 3.0]]).unwrap();
    let t = Matrix::from_rows(&[[0.5, 0.5], [0.5, 0.5]]).unwrap();
    let bad = Dataset::values(x, t).unwrap();
    let x = Matrix::from_rows(&[[1.0, -1.0], [2.0, 3.0]]).unwrap();
    // A zero output is no harm where its target is 0.
    let t = Matrix::from_rows(&[[1.0, 0.0], [0.5, 0.5]]).unwrap();
    let good = Dataset::values(x, t).unwrap();
    for device in devices() {
        for loss in [Loss::OutputCrossEntropy, Loss::KlDivergence] {
            let mut trainer = pass_through(&device, 2, Relu, loss);
            let before = trainer.weights().unwrap();
            trainer.step(&bad).unwrap();
            assert_eq!(trainer.weights().unwrap(), before, "{device}");
            assert_eq!(
                trainer.take_loss(),
                Err(Error::NonFiniteLoss { batches: 1 })
            );
            assert_eq!(trainer.evaluate(&bad).unwrap().loss, f64::INFINITY);
            trainer.step(&good).unwrap();
            assert!(trainer.take_loss().unwrap().is_finite());
            assert_ne!(trainer.weights().unwrap(), before);
        }
    }
}

#[test]
fn a_refused_step_does_not_count_as_one() {
    let x = || Matrix::new(1, vec![1.0]).unwrap();
    let (refused, good) = (
        Dataset::classes(x(), vec![1]).unwrap(),
        Dataset::classes(x(), vec![0]).unwrap(),
    );
    let network = Mlp::new(1).dense(2, Relu);
    let optimizers: [wgrad::Optimizer; 2] = [
        Adam {
            lr: 0.1,
            ..Adam::default()
        }
        .into(),
        Sgd {
            lr: 0.1,
            momentum: 0.9,
            dampening: 0.5,
            ..Sgd::default()
        }
        .into(),
    ];
    for device in devices() {
        for optimizer in optimizers {
            let after = |refusals: usize| {
                let mut trainer =
                    Trainer::new(&device, &network, Loss::OutputCrossEntropy, optimizer, 0)
                        .unwrap();
                let mut weights = trainer.weights().unwrap();
                weights
                    .iter_mut()
                    .for_each(|t| t.data.copy_from_slice(&[1.0, -2.0]));
                trainer.set_weights(&weights).unwrap();
                for _ in 0..refusals {
                    trainer.step(&refused).unwrap();
                }
                trainer.step(&good).unwrap();
                trainer.step(&good).unwrap();
                trainer.weights().unwrap()
            };
            assert_eq!(after(0), after(1), "{device}");
            assert_eq!(after(0), after(3), "{device}");
        }
    }
}

#[test]
fn huber_is_quadratic_within_delta_and_linear_beyond() {
    let z = Matrix::new(1, vec![0.5, -0.5, 3.0, -3.0, 2.0]).unwrap();
    let zeros = Matrix::new(1, vec![0.0; 5]).unwrap();
    let data = Dataset::values(z, zeros).unwrap();
    for device in devices() {
        let mut trainer = pass_through(&device, 1, Identity, Loss::Huber { delta: 2.0 });
        let loss = trainer.evaluate(&data).unwrap().loss;
        approx::assert_relative_eq!(
            loss,
            (0.125 + 0.125 + 4.0 + 4.0 + 2.0) / 5.0,
            max_relative = 1e-15
        );
    }
}

#[test]
fn mean_and_sum_divide_by_what_they_say() {
    let x = || Matrix::from_rows(&[[1.0, 2.0], [3.0, 5.0]]).unwrap();
    let zeros = Matrix::new(2, vec![0.0; 4]).unwrap();
    let values = Dataset::values(x(), zeros).unwrap();
    let total = 1.0 + 4.0 + 9.0 + 25.0;
    for device in devices() {
        let loss = |criterion: wgrad::Criterion| {
            let network = Mlp::new(2).dense(2, Identity);
            let mut trainer =
                Trainer::new(&device, &network, criterion, Sgd::default(), 0).unwrap();
            let weights = pass_through(&device, 2, Identity, Loss::Mse)
                .weights()
                .unwrap();
            trainer.set_weights(&weights).unwrap();
            // Forward as evaluated, and the gradient of the first bias: 2·(1 + 3) over the divisor.
            trainer.accumulate(&values).unwrap();
            let gradient = trainer.gradients().unwrap().bias(0).unwrap().data[0];
            (trainer.evaluate(&values).unwrap().loss, gradient)
        };
        assert_eq!(loss(Loss::SquaredError.sum()), (total, 8.0));
        assert_eq!(loss(Loss::SquaredError.mean()), (total / 2.0, 4.0));
        assert_eq!(loss(Loss::Mse.sum()), (total, 8.0));
        assert_eq!(loss(Loss::Mse.mean()), (total / 4.0, 2.0));
    }
}
