//! Bad input: each kind gives a typed error that says what came, what is allowed and what to do. Nothing panics, nothing
//! hangs, and a refused call leaves no trace: weights, gradients, optimiser state and the running loss go on as if it had
//! never been made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::common::{self, refused};
use wgrad::Activation::{self, *};
use wgrad::{
    Adam, AdamW, AdapterChoice, Dataset, Device, DeviceOptions, Error, Fault, Loss, Matrix, Mlp,
    Optimizer, RmsProp, Sgd, Targets, Tensor, Tensors, Trainer, verify,
};

/// The CPU path and the GPU.
fn devices() -> [Device; 2] {
    [Device::cpu(), common::gpu()]
}

/// Numbers in [0, 1) that look like data.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 37 + seed * 11 + 5) % 101) as f32 / 101.0;
    (0..count).map(number).collect()
}

fn matrix(rows: usize, cols: usize) -> Matrix {
    Matrix::new(cols, numbers(rows * cols, rows)).unwrap()
}

/// Rows for a network of 3 inputs and 2 classes.
fn classes(rows: usize) -> Dataset {
    let labels = (0..rows).map(|r| (r * r % 2) as u32).collect();
    Dataset::classes(matrix(rows, 3), labels).unwrap()
}

/// Rows for a network of 3 inputs and 2 outputs.
fn values(rows: usize) -> Dataset {
    Dataset::values(matrix(rows, 3), matrix(rows, 2)).unwrap()
}

fn network() -> Mlp {
    Mlp::new(3).dense(5, Tanh).dense(2, Identity)
}

fn classifier(device: &Device) -> Trainer {
    Trainer::new(device, &network(), Loss::CrossEntropy, Adam::default(), 7).unwrap()
}

fn bits(trainer: &mut Trainer) -> Vec<u32> {
    let weights = trainer.weights().unwrap();
    let elements = weights.iter().flat_map(|tensor| &tensor.data);
    elements.map(|w| w.to_bits()).collect()
}

fn all_finite(trainer: &mut Trainer) -> bool {
    let weights = trainer.weights().unwrap();
    weights
        .iter()
        .all(|tensor| tensor.data.iter().all(|w| w.is_finite()))
}

/// Trains two trainers alike, makes a refused call on one of them in the middle of an accumulation, and goes on: whatever
/// is compared must have the same bits.
fn leaves_no_trace(
    build: impl Fn() -> Trainer,
    batch: &Dataset,
    refused_call: impl Fn(&mut Trainer),
) {
    let run = |hit: bool| {
        let mut trainer = build();
        trainer.step(batch).unwrap();
        trainer.accumulate(batch).unwrap();
        let before = bits(&mut trainer);
        if hit {
            refused_call(&mut trainer);
            assert_eq!(
                bits(&mut trainer),
                before,
                "the refused call changed weights"
            );
        }
        let gradients = trainer.gradients().unwrap();
        trainer.accumulate(&batch.head(1)).unwrap();
        trainer.apply().unwrap();
        trainer.step(batch).unwrap();
        assert_ne!(bits(&mut trainer), before, "training does not go on");
        let loss = trainer.take_loss().unwrap();
        (gradients, bits(&mut trainer), loss, trainer.steps())
    };
    assert!(run(true) == run(false), "the refused call left a trace");
}

/// [`leaves_no_trace`] for a classifier on each device.
fn leaves_no_trace_in_a_classifier(refused_call: impl Fn(&mut Trainer)) {
    for device in devices() {
        leaves_no_trace(|| classifier(&device), &classes(4), &refused_call);
    }
}

// Networks.

#[test]
fn a_network_without_layers_inputs_or_width_is_refused() {
    for device in devices() {
        let build = |network: Mlp| Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 0);
        refused!(
            build(Mlp::new(4)),
            Error::Network { .. },
            ["no layers", "4 inputs", ".dense(outputs, activation)"]
        );
        refused!(
            build(Mlp::new(0).dense(2, Identity)),
            Error::Network { .. },
            ["no inputs", "0 inputs → 2 identity", "at least 1"]
        );
        refused!(
            build(Mlp::new(4).dense(3, Relu).dense(0, Relu).dense(2, Identity)),
            Error::Network { .. },
            ["layer 1 has 0 outputs", "3 relu → 0 relu", "at least 1"]
        );
    }
}

#[test]
fn softmax_in_a_hidden_layer_is_refused() {
    for device in devices() {
        let network = Mlp::new(4)
            .dense(3, Relu)
            .dense(3, Softmax)
            .dense(2, Identity);
        refused!(
            Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 0),
            Error::Network { .. },
            [
                "layer 1",
                "softmax",
                "last layer only",
                "3 softmax → 2 identity"
            ]
        );
    }
}

#[test]
fn activation_arguments_out_of_range_are_refused() {
    let bad: [(Activation, [&str; 3]); 9] = [
        (
            LeakyRelu {
                negative_slope: -0.1,
            },
            ["leaky_relu's negative_slope", "is -0.1", "≥ 0"],
        ),
        (
            LeakyRelu {
                negative_slope: f64::NAN,
            },
            ["leaky_relu's negative_slope", "is NaN", "finite"],
        ),
        (
            LeakyRelu {
                negative_slope: f64::INFINITY,
            },
            ["leaky_relu's negative_slope", "is inf", "finite"],
        ),
        (Elu { alpha: 0.0 }, ["elu's alpha", "is 0", "> 0"]),
        (Elu { alpha: -1.0 }, ["elu's alpha", "is -1", "> 0"]),
        (Elu { alpha: f64::NAN }, ["elu's alpha", "is NaN", "finite"]),
        (
            ReluWith { grad_at_zero: 2.0 },
            ["relu_with's grad_at_zero", "is 2", "[0, 1]"],
        ),
        (
            ReluWith { grad_at_zero: -0.5 },
            ["relu_with's grad_at_zero", "is -0.5", "[0, 1]"],
        ),
        (
            ReluWith {
                grad_at_zero: f64::NAN,
            },
            ["relu_with's grad_at_zero", "is NaN", "[0, 1]"],
        ),
    ];
    for device in devices() {
        for (phi, parts) in &bad {
            for network in [
                Mlp::new(3).dense(4, phi.clone()).dense(2, Identity),
                Mlp::new(3).dense(2, phi.clone()),
            ] {
                refused!(
                    Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 0),
                    Error::Argument { .. },
                    [parts[0], parts[1], parts[2]]
                );
            }
        }
    }
}

/// Arguments that f64 holds and f32 does not: what the GPU would see is infinity.
#[test]
fn arguments_beyond_f32_are_refused_or_harmless() {
    for device in devices() {
        let slope = LeakyRelu {
            negative_slope: 1e300,
        };
        let networks = [
            Mlp::new(3).dense(2, slope),
            Mlp::new(3).dense(2, Elu { alpha: 1e300 }),
        ];
        for network in networks {
            refused!(
                Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 0),
                Error::Argument { .. },
                ["1000000000000"]
            );
        }
        let optimizers: [Optimizer; 5] = [
            Sgd {
                lr: 1e300,
                ..Sgd::default()
            }
            .into(),
            Sgd {
                momentum: 1e300,
                ..Sgd::default()
            }
            .into(),
            Adam {
                lr: 1e300,
                ..Adam::default()
            }
            .into(),
            AdamW {
                weight_decay: 1e300,
                ..AdamW::default()
            }
            .into(),
            RmsProp {
                lr: 1e300,
                ..RmsProp::default()
            }
            .into(),
        ];
        for optimizer in optimizers {
            let Ok(mut trainer) = Trainer::new(&device, &network(), Loss::Mse, optimizer, 0) else {
                continue;
            };
            for _ in 0..3 {
                trainer.step(&values(4)).unwrap();
            }
            assert!(
                all_finite(&mut trainer),
                "{optimizer:?} on {device} made weights that are not finite"
            );
        }
    }
}

// Batches.

#[test]
fn a_batch_whose_width_does_not_fit_is_refused_with_both_shapes() {
    leaves_no_trace_in_a_classifier(|trainer| {
        let batch = Dataset::classes(matrix(6, 4), vec![0; 6]).unwrap();
        let parts = ["x: got (6, 4)", "expected (6, 3)", "3 inputs"];
        let [shape, needed, network] = parts;
        refused!(
            trainer.step(&batch),
            Error::Shape { .. },
            [shape, needed, network]
        );
        refused!(
            trainer.accumulate(&batch),
            Error::Shape { .. },
            [shape, needed, network]
        );
        refused!(
            trainer.evaluate(&batch),
            Error::Shape { .. },
            [shape, needed, network]
        );
        refused!(
            trainer.predict(batch.inputs()),
            Error::Shape { .. },
            [shape, needed, network]
        );
        refused!(
            verify::gradients(trainer, &batch),
            Error::Shape { .. },
            [shape, needed, network]
        );
        refused!(
            verify::training(trainer, &[classes(3), batch.clone()]),
            Error::Shape { .. },
            [shape, needed, network]
        );
        refused!(
            verify::finite_differences(trainer, &batch),
            Error::Shape { .. },
            [shape, needed, network]
        );
    });
}

#[test]
fn targets_whose_width_does_not_fit_are_refused_with_both_shapes() {
    leaves_no_trace_in_a_classifier(|trainer| {
        let batch = Dataset::values(matrix(6, 3), matrix(6, 4)).unwrap();
        for result in [
            trainer.step(&batch),
            trainer.accumulate(&batch),
            trainer.evaluate(&batch).map(drop),
        ] {
            refused!(
                result,
                Error::Shape { .. },
                ["targets: got (6, 4)", "expected (6, 2)", "2 identity"]
            );
        }
    });
}

#[test]
fn labels_where_values_are_needed_are_refused() {
    for device in devices() {
        for (loss, name) in [
            (Loss::Mse, "mse"),
            (Loss::SquaredError, "squared_error"),
            (Loss::Huber { delta: 1.0 }, "huber"),
        ] {
            let build = || Trainer::new(&device, &network(), loss, Adam::default(), 7).unwrap();
            leaves_no_trace(build, &values(4), |trainer| {
                for result in [
                    trainer.step(&classes(4)),
                    trainer.accumulate(&classes(4)),
                    trainer.evaluate(&classes(4)).map(drop),
                ] {
                    refused!(
                        result,
                        Error::Targets { .. },
                        [name, "class indices", "row of numbers", "Dataset::values"]
                    );
                }
            });
        }
        let mut trainer = Trainer::new(
            &device,
            &network(),
            Loss::BinaryCrossEntropy,
            Adam::default(),
            7,
        )
        .unwrap();
        refused!(
            trainer.step(&classes(4)),
            Error::Targets { .. },
            ["binary_cross_entropy", "class indices", "Dataset::values"]
        );
    }
}

#[test]
fn targets_outside_0_to_1_are_refused_where_a_loss_needs_probabilities() {
    let softmax = Mlp::new(3).dense(2, Softmax);
    for device in devices() {
        for (network, loss) in [
            (network(), Loss::BinaryCrossEntropy),
            (network(), Loss::CrossEntropy),
            (softmax.clone(), Loss::OutputCrossEntropy),
            (softmax.clone(), Loss::KlDivergence),
        ] {
            for (bad, printed) in [(1.5, "1.5"), (-0.25, "-0.25")] {
                let mut targets = numbers(8, 1);
                targets[5] = bad;
                let batch =
                    Dataset::values(matrix(4, 3), Matrix::new(2, targets).unwrap()).unwrap();
                let build = || Trainer::new(&device, &network, loss, Adam::default(), 7).unwrap();
                leaves_no_trace(build, &values(4), |trainer| {
                    for result in [
                        trainer.step(&batch),
                        trainer.accumulate(&batch),
                        trainer.evaluate(&batch).map(drop),
                    ] {
                        refused!(
                            result,
                            Error::Value { row: 2, col: 1, .. },
                            [loss.name(), printed, "row 2, column 1", "[0, 1]"]
                        );
                    }
                });
            }
        }
    }
}

#[test]
fn a_label_outside_the_classes_is_named_with_its_row() {
    leaves_no_trace_in_a_classifier(|trainer| {
        for label in [2, u32::MAX] {
            let batch = Dataset::classes(matrix(4, 3), vec![0, 1, label, 5]).unwrap();
            let printed = format!("label {label}");
            for result in [
                trainer.step(&batch),
                trainer.accumulate(&batch),
                trainer.evaluate(&batch).map(drop),
                verify::gradients(trainer, &batch).map(drop),
            ] {
                refused!(
                    result,
                    Error::Label {
                        row: 2,
                        classes: 2,
                        ..
                    },
                    ["row 2", printed, "2 outputs", "0 to 1"]
                );
            }
        }
    });
}

// Data.

#[test]
fn a_data_set_needs_rows_and_a_target_for_each() {
    let nothing = || Matrix::new(3, vec![]).unwrap();
    refused!(
        Dataset::classes(nothing(), vec![]),
        Error::EmptyData { .. },
        ["x has 0 rows", "at least 1"]
    );
    refused!(
        Dataset::values(nothing(), nothing()),
        Error::EmptyData { .. },
        ["x has 0 rows", "at least 1"]
    );
    refused!(
        Dataset::classes(matrix(4, 3), vec![0; 5]),
        Error::Shape { .. },
        ["targets", "5 rows", "4 rows", "one target"]
    );
    refused!(
        Dataset::values(matrix(4, 3), matrix(3, 2)),
        Error::Shape { .. },
        ["targets", "3 rows", "4 rows", "one target"]
    );
    leaves_no_trace_in_a_classifier(|trainer| {
        refused!(
            trainer.predict(&nothing()),
            Error::EmptyData { .. },
            ["x has 0 rows", "at least 1"]
        );
        refused!(
            verify::training(trainer, &[]),
            Error::EmptyData { .. },
            ["list of batches"]
        );
    });
}

// Weights.

#[test]
fn weights_that_do_not_fit_are_refused_and_none_is_set() {
    let good = || Tensor {
        name: "0.bias".into(),
        shape: vec![5],
        data: vec![9.0; 5],
    };
    let weight = |name: &str, shape: &[usize], data: Vec<f32>| Tensor {
        name: name.into(),
        shape: shape.into(),
        data,
    };
    let with = |index: usize, value: f32| {
        let mut data = numbers(10, 0);
        data[index] = value;
        data
    };
    leaves_no_trace_in_a_classifier(|trainer| {
        // With the good one before the bad one, and after it.
        let mut set = |bad: &Tensor| {
            let one = trainer.set_weights(&Tensors::new(vec![good(), bad.clone()]));
            let other = trainer.set_weights(&Tensors::new(vec![bad.clone(), good()]));
            // As text, because NaN is not equal to itself.
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
            one
        };
        for (value, printed) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
            refused!(
                set(&weight("2.weight", &[2, 5], with(7, value))),
                Error::Value { row: 1, col: 2, .. },
                ["tensor 2.weight", printed, "row 1, column 2", "finite"]
            );
        }
        for shape in [&[5, 2][..], &[10], &[1, 2, 5], &[2, 6], &[]] {
            let printed = format!("{shape:?}");
            refused!(
                set(&weight("2.weight", shape, numbers(10, 0))),
                Error::Shape { .. },
                ["tensor 2.weight", printed, "[2, 5]", "(outputs, inputs)"]
            );
        }
        for count in [0, 9, 11] {
            let printed = format!("{count} elements");
            refused!(
                set(&weight("2.weight", &[2, 5], numbers(count, 0))),
                Error::Shape { .. },
                ["tensor 2.weight", printed, "[2, 5]"]
            );
        }
        for name in ["1.weight", "2.Weight", ""] {
            let printed = format!("{name:?}");
            refused!(
                set(&weight(name, &[2, 5], numbers(10, 0))),
                Error::UnknownTensor { .. },
                [printed, "0.weight, 0.bias, 2.weight, 2.bias"]
            );
        }
    });
}

// Losses and optimisers.

#[test]
fn a_loss_whose_output_activation_does_not_fit_names_the_fix() {
    let bad = [
        (
            Loss::CrossEntropy,
            Softmax,
            "softmax",
            "use Identity, or keep Softmax and use Loss::OutputCrossEntropy",
        ),
        (
            Loss::CrossEntropy,
            Tanh,
            "tanh",
            "use Identity, or Loss::OutputCrossEntropy",
        ),
        (
            Loss::BinaryCrossEntropy,
            Sigmoid,
            "sigmoid",
            "applies the sigmoid itself: use Identity",
        ),
        (Loss::BinaryCrossEntropy, Softmax, "softmax", "use Identity"),
        (Loss::KlDivergence, Identity, "identity", "use Softmax"),
        (
            Loss::OutputCrossEntropy,
            Identity,
            "identity",
            "use Softmax, or keep Identity and use Loss::CrossEntropy",
        ),
    ];
    for device in devices() {
        for (loss, last, printed, advice) in &bad {
            let network = Mlp::new(3).dense(4, Relu).dense(2, last.clone());
            refused!(
                Trainer::new(&device, &network, *loss, Adam::default(), 0),
                Error::OutputActivation { .. },
                [loss.name(), printed, "last layer", advice]
            );
        }
    }
}

#[test]
fn huber_needs_a_delta_above_0() {
    for device in devices() {
        for (delta, printed) in [
            (0.0, "is 0,"),
            (-1.0, "is -1,"),
            (f64::NAN, "is NaN,"),
            (f64::INFINITY, "is inf,"),
        ] {
            refused!(
                Trainer::new(
                    &device,
                    &network(),
                    Loss::Huber { delta },
                    Adam::default(),
                    0
                ),
                Error::Argument { .. },
                ["huber's delta", printed, "> 0"]
            );
        }
    }
}

#[test]
fn optimiser_arguments_out_of_range_are_refused() {
    let sgd = Sgd::default();
    let adam = Adam::default();
    let adamw = AdamW::default();
    let rmsprop = RmsProp::default();
    let nan = f64::NAN;
    let bad: Vec<(Optimizer, &str, &str, &str)> = vec![
        (
            Sgd { lr: -0.1, ..sgd }.into(),
            "sgd's lr",
            "is -0.1,",
            "≥ 0",
        ),
        (
            Sgd { lr: nan, ..sgd }.into(),
            "sgd's lr",
            "is NaN,",
            "finite",
        ),
        (
            Sgd {
                lr: f64::INFINITY,
                ..sgd
            }
            .into(),
            "sgd's lr",
            "is inf,",
            "finite",
        ),
        (
            Sgd {
                momentum: -0.9,
                ..sgd
            }
            .into(),
            "momentum",
            "is -0.9,",
            "≥ 0",
        ),
        (
            Sgd {
                momentum: nan,
                ..sgd
            }
            .into(),
            "momentum",
            "is NaN,",
            "finite",
        ),
        (
            Sgd {
                dampening: nan,
                ..sgd
            }
            .into(),
            "dampening",
            "is NaN,",
            "finite",
        ),
        (
            Sgd {
                weight_decay: -1.0,
                ..sgd
            }
            .into(),
            "weight_decay",
            "is -1,",
            "≥ 0",
        ),
        (
            Sgd {
                nesterov: true,
                ..sgd
            }
            .into(),
            "nesterov",
            "momentum 0 and dampening 0",
            "momentum > 0",
        ),
        (
            Sgd {
                nesterov: true,
                momentum: 0.9,
                dampening: 0.5,
                ..sgd
            }
            .into(),
            "nesterov",
            "momentum 0.9 and dampening 0.5",
            "dampening = 0",
        ),
        (
            RmsProp {
                lr: -1.0,
                ..rmsprop
            }
            .into(),
            "rmsprop's lr",
            "is -1,",
            "≥ 0",
        ),
        (
            RmsProp {
                alpha: 1.0,
                ..rmsprop
            }
            .into(),
            "alpha",
            "is 1,",
            "[0, 1)",
        ),
        (
            RmsProp {
                alpha: nan,
                ..rmsprop
            }
            .into(),
            "alpha",
            "is NaN,",
            "[0, 1)",
        ),
        (
            RmsProp {
                eps: -1e-8,
                ..rmsprop
            }
            .into(),
            "eps",
            "is -0.00000001,",
            "at least 1.2e-38",
        ),
        (
            RmsProp {
                weight_decay: nan,
                ..rmsprop
            }
            .into(),
            "weight_decay",
            "is NaN,",
            "≥ 0",
        ),
        (
            Adam { lr: nan, ..adam }.into(),
            "adam's lr",
            "is NaN,",
            "finite",
        ),
        (
            Adam {
                betas: (1.0, 0.9),
                ..adam
            }
            .into(),
            "adam's beta1",
            "is 1,",
            "[0, 1)",
        ),
        (
            Adam {
                betas: (0.9, 1.0),
                ..adam
            }
            .into(),
            "adam's beta2",
            "is 1,",
            "[0, 1)",
        ),
        (
            Adam {
                betas: (-0.1, 0.9),
                ..adam
            }
            .into(),
            "adam's beta1",
            "is -0.1,",
            "[0, 1)",
        ),
        (
            Adam {
                betas: (0.9, nan),
                ..adam
            }
            .into(),
            "adam's beta2",
            "is NaN,",
            "[0, 1)",
        ),
        (
            Adam { eps: -1.0, ..adam }.into(),
            "adam's eps",
            "is -1,",
            "at least 1.2e-38",
        ),
        (
            Adam {
                weight_decay: -1.0,
                ..adam
            }
            .into(),
            "weight_decay",
            "is -1,",
            "≥ 0",
        ),
        (
            AdamW { lr: -1.0, ..adamw }.into(),
            "adamw's lr",
            "is -1,",
            "≥ 0",
        ),
        (
            AdamW {
                betas: (0.9, 1.0),
                ..adamw
            }
            .into(),
            "adamw's beta2",
            "is 1,",
            "[0, 1)",
        ),
        (
            AdamW { eps: nan, ..adamw }.into(),
            "adamw's eps",
            "is NaN,",
            "finite",
        ),
        (
            AdamW {
                weight_decay: nan,
                ..adamw
            }
            .into(),
            "weight_decay",
            "is NaN,",
            "finite",
        ),
    ];
    for device in devices() {
        for (optimizer, argument, printed, allowed) in &bad {
            refused!(
                Trainer::new(&device, &network(), Loss::Mse, *optimizer, 0),
                Error::Argument { .. },
                [argument, printed, allowed]
            );
        }
    }
}

#[test]
fn a_learning_rate_out_of_range_is_refused_and_the_old_one_stays() {
    leaves_no_trace_in_a_classifier(|trainer| {
        for (lr, printed) in [
            (f64::NAN, "is NaN,"),
            (-1e-3, "is -0.001,"),
            (f64::INFINITY, "is inf,"),
        ] {
            refused!(
                trainer.set_lr(lr),
                Error::Argument { .. },
                ["adam's lr", printed, "≥ 0"]
            );
            assert_eq!(trainer.optimizer().lr(), 1e-3);
        }
    });
}

#[test]
fn apply_gradients_and_take_loss_need_a_batch_before_them() {
    for device in devices() {
        let mut trainer = classifier(&device);
        let before = bits(&mut trainer);
        refused!(
            trainer.apply(),
            Error::NothingAccumulated { .. },
            ["apply", "no batch", "accumulate"]
        );
        refused!(
            trainer.gradients(),
            Error::NothingAccumulated { .. },
            ["gradients", "no batch", "accumulate"]
        );
        refused!(
            trainer.take_loss(),
            Error::NothingAccumulated { .. },
            ["take_loss", "no batch", "step"]
        );
        // An evaluation is no batch.
        trainer.evaluate(&classes(4)).unwrap();
        refused!(trainer.apply(), Error::NothingAccumulated { .. }, ["apply"]);
        refused!(
            trainer.gradients(),
            Error::NothingAccumulated { .. },
            ["gradients"]
        );
        refused!(
            trainer.take_loss(),
            Error::NothingAccumulated { .. },
            ["take_loss"]
        );
        assert_eq!(bits(&mut trainer), before);
        assert_eq!(trainer.steps(), 0);

        trainer.accumulate(&classes(4)).unwrap();
        trainer.apply().unwrap();
        refused!(trainer.apply(), Error::NothingAccumulated { .. }, ["apply"]);
        trainer.take_loss().unwrap();
        refused!(
            trainer.take_loss(),
            Error::NothingAccumulated { .. },
            ["take_loss"]
        );
    }
}

/// What take_loss misses is a batch, not gradients.
#[test]
fn take_loss_without_a_batch_does_not_ask_for_gradients() {
    let mut trainer = classifier(&Device::cpu());
    let message = trainer.take_loss().unwrap_err().to_string();
    assert!(!message.contains("needs gradients"), "{message}");
}

// Memory and limits.

/// A GPU that may allocate so many bytes.
fn gpu_of(memory: u64) -> Device {
    common::gpu_with(DeviceOptions {
        memory_limit: Some(memory),
        ..DeviceOptions::default()
    })
}

/// Bytes that a trainer of [`network`] needs before its first batch, as the refusal states them.
fn bytes_needed() -> u64 {
    let error = Trainer::new(
        &gpu_of(1),
        &network(),
        Loss::CrossEntropy,
        Adam::default(),
        7,
    )
    .map(drop)
    .unwrap_err();
    match error {
        Error::OutOfMemory { need, .. } => need,
        other => panic!("{other}"),
    }
}

#[test]
fn a_network_beyond_the_memory_is_refused_with_the_exact_need() {
    let need = bytes_needed();
    let build = |memory| {
        Trainer::new(
            &gpu_of(memory),
            &network(),
            Loss::CrossEntropy,
            Adam::default(),
            7,
        )
    };
    for memory in [0, 1, need - 1] {
        refused!(
            build(memory),
            Error::OutOfMemory { need: n, have: Some(h), .. } if n == need && h == memory,
            ["the network on ", " are to be had", "smaller network"]
        );
    }
    let trainer = build(need).unwrap();
    assert!(need >= trainer.bytes(), "{need} < {}", trainer.bytes());
}

#[test]
fn a_batch_beyond_the_memory_is_refused_and_training_goes_on() {
    let memory = bytes_needed() + 100_000;
    let device = gpu_of(memory);
    let had = format!("{:.1} KiB are to be had", memory as f64 / 1024.0);
    leaves_no_trace(
        || classifier(&device),
        &classes(4),
        |trainer| {
            let large = classes(20_000);
            for result in [
                trainer.step(&large),
                trainer.accumulate(&large),
                trainer.reserve(20_000),
            ] {
                refused!(
                    result,
                    Error::OutOfMemory { need, have: Some(h), .. } if need > memory && h == memory,
                    ["workspace", had, "smaller batches"]
                );
            }
        },
    );
}

/// Weights that cannot be brought back are lost.
#[test]
fn weights_and_losses_can_be_read_however_tight_the_memory() {
    let network = Mlp::new(300).dense(100, Tanh).dense(2, Identity);
    let build = |memory| {
        Trainer::new(
            &gpu_of(memory),
            &network,
            Loss::CrossEntropy,
            Adam::default(),
            7,
        )
    };
    let Err(Error::OutOfMemory { need, .. }) = build(1) else {
        panic!("1 byte was enough")
    };
    let batch = Dataset::classes(matrix(1, 300), vec![1]).unwrap();
    // The tightest limit under which a batch of one row can be trained.
    let trained = (need..).step_by(256).take(1000).find_map(|memory| {
        let mut trainer = build(memory).ok()?;
        trainer.step(&batch).ok()?;
        Some(trainer)
    });
    let mut trainer = trained.expect("256,000 bytes more than the network needs");
    trainer.take_loss().unwrap();
    trainer.weights().unwrap();
    trainer.gradients().unwrap();
    trainer.predict(batch.inputs()).unwrap();
}

/// The limit is the device's, not each trainer's.
#[test]
fn two_trainers_share_the_memory_limit_of_their_device() {
    let device = gpu_of(bytes_needed() * 3 / 2);
    let first = classifier(&device);
    refused!(
        Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 7),
        Error::OutOfMemory { .. },
        ["KiB are to be had"]
    );
    drop(first);
    classifier(&device);
}

#[test]
fn a_network_far_beyond_the_memory_is_refused_at_once() {
    // 3.6 GB of weights, four times: lavapipe has a heap of 2 GiB, and a real GPU gets that limit here.
    let device = gpu_of(2 << 30);
    let network = Mlp::new(30_000).dense(30_000, Relu).dense(10, Identity);
    let start = Instant::now();
    let error = refused!(
        Trainer::new(&device, &network, Loss::CrossEntropy, Adam::default(), 0),
        Error::OutOfMemory { have: Some(have), .. } if have <= 2 << 30,
        ["the network", "smaller network", "optimiser with less state"]
    );
    assert!(start.elapsed() < Duration::from_secs(1));
    let Error::OutOfMemory { need, .. } = error else {
        unreachable!()
    };
    // Weights, gradients and two slots of state, and little else: the read-back buffer's 4 MiB above all.
    let state = 16 * network.parameters();
    assert!((state..state + (8 << 20)).contains(&need), "{need}");
}

/// A GPU whose bindings hold so many numbers.
fn gpu_binding(numbers: u64) -> Device {
    common::gpu_with(DeviceOptions {
        binding_limit: Some(4 * numbers),
        ..DeviceOptions::default()
    })
}

/// (network, elements a binding holds, rows that the widest buffer leaves room for).
fn narrow_bindings() -> [(Mlp, u64, usize); 3] {
    [
        // The input is widest.
        (Mlp::new(8).dense(4, Tanh).dense(2, Identity), 256, 32),
        // A hidden layer is widest.
        (Mlp::new(3).dense(20, Tanh).dense(2, Identity), 256, 12),
        // The output is widest.
        (Mlp::new(3).dense(5, Tanh).dense(16, Identity), 256, 16),
    ]
}

fn values_for(network: &Mlp, rows: usize) -> Dataset {
    let (x, t) = (
        matrix(rows, network.inputs()),
        matrix(rows, network.outputs()),
    );
    Dataset::values(x, t).unwrap()
}

#[test]
fn a_batch_beyond_a_binding_is_refused_with_the_largest_that_fits() {
    for (network, binding, most) in narrow_bindings() {
        let device = gpu_binding(binding);
        let build = || Trainer::new(&device, &network, Loss::Mse, Adam::default(), 7).unwrap();
        let advice = format!("one batch may have {most} rows");
        let refuse = |trainer: &mut Trainer| {
            for rows in [most + 1, 100, 300] {
                let large = values_for(&network, rows);
                for result in [
                    trainer.step(&large),
                    trainer.accumulate(&large),
                    trainer.reserve(rows),
                ] {
                    refused!(
                        result,
                        Error::Limit { need, limit, .. } if need > limit && limit == 4 * binding,
                        ["the device allows", "accumulate()", advice]
                    );
                }
            }
        };
        // After some training, and before any.
        leaves_no_trace(build, &values_for(&network, 4), refuse);
        let mut trainer = build();
        refuse(&mut trainer);
        trainer.step(&values_for(&network, most)).unwrap();
        assert!(trainer.take_loss().unwrap().is_finite());
    }
}

/// Evaluation and prediction choose their chunks themselves: they need not ask for more than fits.
#[test]
fn evaluation_and_prediction_take_any_number_of_rows_through_a_narrow_binding() {
    for (network, binding, most) in narrow_bindings() {
        let data = values_for(&network, 300);
        let run = |device: &Device, rows: usize| {
            let sgd = Sgd::default();
            let mut trainer = Trainer::new(device, &network, Loss::Mse, sgd, 7).unwrap();
            trainer.step(&data.head(rows)).unwrap();
            let evaluation = trainer.evaluate(&data).unwrap();
            let outputs = trainer.predict(data.inputs()).unwrap();
            (evaluation.loss, outputs)
        };
        for rows in [1, most] {
            let (loss, outputs) = run(&gpu_binding(binding), rows);
            let (expected_loss, expected) = run(&Device::reference(), rows);
            assert!((loss - expected_loss).abs() <= 1e-5 * expected_loss);
            for (a, b) in outputs.data().iter().zip(expected.data()) {
                assert!((a - b).abs() <= 1e-5, "{a} instead of {b}");
            }
        }
    }
}

#[test]
fn evaluation_takes_smaller_chunks_where_memory_is_tight() {
    // Room for 16 rows of 3,000 inputs, not for 256.
    let network = Mlp::new(3_000).dense(2, Identity);
    let need = {
        let mut trainer =
            Trainer::new(&common::gpu(), &network, Loss::Mse, Sgd::default(), 7).unwrap();
        trainer.reserve(16).unwrap();
        trainer.bytes()
    };
    let device = gpu_of(need + (2 << 20));
    let mut trainer = Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 7).unwrap();
    let data = values_for(&network, 300);
    trainer.step(&data.head(16)).unwrap();
    let evaluation = trainer.evaluate(&data).unwrap();
    assert!(evaluation.loss.is_finite());
    assert_eq!(trainer.predict(data.inputs()).unwrap().rows(), 300);
}

#[test]
fn a_row_beyond_a_binding_is_refused_when_the_trainer_is_made() {
    let device = gpu_binding(64);
    for (network, printed) in [
        (Mlp::new(65).dense(2, Identity), "65 inputs"),
        (Mlp::new(2).dense(65, Tanh).dense(2, Identity), "65"),
        // No weight of it is too long, but no batch could ever be given.
        (Mlp::new(2).dense(65, Identity), "65"),
    ] {
        refused!(
            Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 0),
            Error::Limit { limit: 256, .. },
            [printed, "256", "binding"]
        );
    }
    for binding in [0, 1] {
        refused!(
            Trainer::new(
                &gpu_binding(binding),
                &network(),
                Loss::CrossEntropy,
                Sgd::default(),
                0
            ),
            Error::Limit { .. },
            ["binding"]
        );
    }
}

#[test]
fn an_absurd_reservation_is_refused() {
    for device in devices() {
        let build = || {
            let network = Mlp::new(1).dense(1, Identity);
            Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 0).unwrap()
        };
        let batch = Dataset::values(matrix(4, 1), matrix(4, 1)).unwrap();
        leaves_no_trace(build, &batch, |trainer| {
            for rows in [1 << 62, usize::MAX, usize::MAX / 4 + 1] {
                refused!(
                    trainer.reserve(rows),
                    Error::Limit { need, limit, .. } | Error::OutOfMemory { need, have: Some(limit), .. }
                        if need > limit,
                    ["rows", "accumulate()"]
                );
            }
        });
    }
}

/// Runs this test again in a process that may take 8 GiB of addresses and two minutes, so that a runaway allocation ends the
/// child and fails the test instead of taking the machine down. Returns whether this is the child.
#[cfg(unix)]
fn in_a_child(test: &str) -> bool {
    const MARK: &str = "WGRAD_BAD_INPUT_CHILD";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 8388608; ulimit -t 120; exec \"$0\" --exact \"$1\" --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(common::name_in_the_binary(module_path!(), test))
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}: {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

#[cfg(unix)]
#[test]
fn an_absurd_width_gives_an_error_and_no_abort() {
    if !in_a_child("an_absurd_width_gives_an_error_and_no_abort") {
        return;
    }
    for device in devices() {
        for (inputs, outputs) in [
            (4_000_000_000, 4_000_000_000),
            (usize::MAX, usize::MAX),
            (1, usize::MAX),
            (usize::MAX, 1),
            (1, 1 << 32),
            (4_000_000_000, 1),
            (1_000_000, 4_000_000_000),
            (2_000_000_000, 4_000_000_000),
            (30_000_000, 4_000_000_000),
        ] {
            let network = Mlp::new(inputs).dense(outputs, Relu).dense(2, Identity);
            let start = Instant::now();
            refused!(
                Trainer::new(&device, &network, Loss::Mse, Adam::default(), 0),
                Error::Network { .. } | Error::Limit { .. } | Error::OutOfMemory { .. },
                [": "]
            );
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{network} took {:?}",
                start.elapsed()
            );
        }
    }
}

/// The CPU path has no adapter.
#[test]
fn limits_of_the_cpu_path_are_not_called_the_adapters() {
    let network = Mlp::new(4_000_000_000).dense(2, Identity);
    let error = refused!(
        Trainer::new(&Device::cpu(), &network, Loss::Mse, Sgd::default(), 0),
        Error::Limit { .. } | Error::OutOfMemory { .. },
        ["4000000000"]
    );
    assert!(!error.to_string().contains("adapter"), "{error}");
}

// Adapters.

#[test]
fn an_adapter_that_matches_nothing_is_refused_with_the_list() {
    let adapters = Device::adapters();
    let first = adapters.first().expect("the GPU tests need an adapter");
    let line = first.to_string();
    refused!(
        Device::gpu_named("no such adapter"),
        Error::AdapterNotFound { .. },
        ["\"no such adapter\"", first.name, line]
    );
    for index in [adapters.len(), usize::MAX] {
        let printed = format!("index {index}");
        refused!(
            Device::open(&DeviceOptions {
                adapter: Some(AdapterChoice::Index(index)),
                ..DeviceOptions::default()
            }),
            Error::AdapterNotFound { .. },
            [printed, first.name, line]
        );
    }
}

// Custom activations.

const GOOD: &str = "fn activate(z: f32) -> f32 { return z * z; }
fn activate_grad(z: f32) -> f32 { return 2.0 * z; }
";

fn custom(wgsl: &str) -> wgrad::Result<Activation> {
    Activation::custom("my_square", wgsl, |z| z * z, |z| 2.0 * z)
}

#[test]
fn a_fragment_with_a_syntax_error_is_refused_with_its_line() {
    refused!(
        custom(&GOOD.replace("return 2.0 * z;", "retrun 2.0 * z;")),
        Error::Fragment { .. },
        ["\"my_square\"", "my_square:2:", "retrun"]
    );
    refused!(
        custom(&format!("\n\n{}", GOOD.replace("z * z;", "z * z"))),
        Error::Fragment { .. },
        ["my_square:3:", "expected"]
    );
    refused!(
        custom("fn activate(z: f32) -> f32 {"),
        Error::Fragment { .. },
        ["my_square:"]
    );
    refused!(
        custom(&GOOD.replace("2.0 * z", "unheard_of(z)")),
        Error::Fragment { .. },
        ["my_square:2:", "unheard_of"]
    );
}

#[test]
fn a_fragment_with_a_type_error_is_refused_with_its_line() {
    refused!(
        custom(&GOOD.replace("2.0 * z", "2u * z")),
        Error::Fragment { .. },
        ["my_square:2:"]
    );
    refused!(
        custom(&GOOD.replace("2.0 * z", "vec2<f32>(z, z)")),
        Error::Fragment { .. },
        ["my_square:2:"]
    );
    refused!(
        custom(&GOOD.replace("2.0 * z", "z > 0.0")),
        Error::Fragment { .. },
        ["my_square:2:"]
    );
}

#[test]
fn a_fragment_without_one_of_the_two_functions_is_refused() {
    for missing in ["activate_grad", "activate"] {
        let declaration = format!("fn {missing}(");
        let needed = format!("fn {missing}(z: f32) -> f32");
        refused!(
            custom(&GOOD.replace(&declaration, "fn another(")),
            Error::Fragment { .. },
            ["\"my_square\"", needed]
        );
    }
    refused!(
        custom(""),
        Error::Fragment { .. },
        ["fn activate(z: f32) -> f32"]
    );
}

#[test]
fn a_fragment_with_a_wrong_signature_is_refused() {
    for wrong in [
        "fn activate_grad(z: f32, a: f32) -> f32 { return z + a; }",
        "fn activate_grad() -> f32 { return 1.0; }",
        "fn activate_grad(z: f32) { }",
        "fn activate_grad(z: f32) -> u32 { return u32(z); }",
        "fn activate_grad(z: vec4<f32>) -> f32 { return z.x; }",
        "fn activate_grad(z: i32) -> f32 { return f32(z); }",
    ] {
        let fragment = format!("fn activate(z: f32) -> f32 {{ return z; }}\n{wrong}");
        refused!(
            custom(&fragment),
            Error::Fragment { .. },
            ["\"my_square\"", "fn activate_grad(z: f32) -> f32"]
        );
    }
}

/// What the kernels around a fragment forbid must be found with it, not at the first step.
#[test]
fn a_fragment_that_no_kernel_can_take_is_refused_when_it_is_made() {
    let device = common::gpu();
    let slope = "fn activate_grad(z: f32) -> f32 { return 1.0; }\n";
    let mut accepted = Vec::new();
    for fragment in [
        // Names that a kernel has already.
        format!("{GOOD}const GROUP: u32 = 1u;"),
        format!("{GOOD}const T: u32 = 4u;"),
        format!("{GOOD}const params: f32 = 1.0;"),
        format!("{GOOD}struct Params {{ x: f32 }}"),
        format!("{GOOD}alias x = f32;"),
        format!("{GOOD}fn dense_forward(z: f32) -> f32 {{ return z; }}"),
        // A directive comes first in a file; in a kernel, the fragment does not.
        format!("diagnostic(off, derivative_uniformity);\n{GOOD}"),
        format!("enable f16;\n{GOOD}"),
        // Compute shaders do not have it.
        format!("{slope}fn activate(z: f32) -> f32 {{ return dpdx(z); }}"),
        format!("{slope}fn activate(z: f32) -> f32 {{ discard; return z; }}"),
    ] {
        let phi = match custom(&fragment) {
            Err(error) => {
                assert!(matches!(error, Error::Fragment { .. }), "{error:?}");
                continue;
            }
            Ok(phi) => phi,
        };
        // Accepted: then it has to run.
        let network = Mlp::new(3).dense(4, phi.clone()).dense(2, Identity);
        let mut trainer = Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 0).unwrap();
        let step = trainer.step(&values(4));
        let verified = verify::activation(&device, &phi).map(drop);
        if let Err(error) = step.and(verified) {
            accepted.push(format!("{fragment}\n{error}"));
        }
    }
    assert!(
        accepted.is_empty(),
        "accepted, and then:\n{}",
        accepted.join("\n\n")
    );
}

/// A helper's name of shaders/math.wgsl is taken; the message points into the fragment, not behind it.
#[test]
fn a_fragment_that_redefines_a_helper_is_refused_with_its_line() {
    refused!(
        custom(&format!("{GOOD}fn erf(x: f32) -> f32 {{ return x; }}\n")),
        Error::Fragment { .. },
        ["my_square:3:", "erf"]
    );
}

// Faults.

fn gpu_with_fault(fault: Fault) -> wgrad::Result<Device> {
    Device::open(&DeviceOptions {
        adapter: Some(AdapterChoice::Index(0)),
        faults: vec![fault],
        ..DeviceOptions::default()
    })
}

/// A fault that is nowhere planted would make a test of the tests prove nothing.
#[test]
fn a_fault_that_cannot_be_planted_is_refused() {
    refused!(
        gpu_with_fault(Fault::new("update", "no such text", "x")),
        Error::Argument { .. },
        ["kernel update", "\"no such text\"", "occurs in the kernel"]
    );
    refused!(
        gpu_with_fault(Fault::new("dense_foward", "+", "-")),
        Error::Argument { .. },
        ["\"dense_foward\"", "dense_forward"]
    );
}

/// The last op of a step, so that everything before it is ready to go out.
#[test]
fn a_kernel_that_does_not_compile_is_named_and_nothing_runs() {
    let device = gpu_with_fault(Fault::new("update", "fn update(", "fn update(,")).unwrap();
    let mut trainer = classifier(&device);
    let before = bits(&mut trainer);
    for _ in 0..2 {
        refused!(
            trainer.step(&classes(4)),
            Error::Kernel { .. },
            ["kernel update", "does not compile", "expected"]
        );
    }
    assert_eq!(bits(&mut trainer), before);
    assert_eq!(trainer.steps(), 0);
    // Nothing was counted either.
    refused!(
        trainer.take_loss(),
        Error::NothingAccumulated { .. },
        ["take_loss"]
    );
    trainer.evaluate(&classes(4)).unwrap();
}

// Numbers that overflow.

#[test]
fn training_that_diverges_is_reported_and_leaves_finite_weights() {
    let x = (0..24).map(|i| (i * 37 % 11) as f32 / 3.0 - 1.0).collect();
    let t = (0..16).map(|i| (i % 5) as f32).collect();
    let data = Dataset::values(Matrix::new(3, x).unwrap(), Matrix::new(2, t).unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut check = |device: &Device, loss: Loss, hidden: usize, seed: u64, lr: f64| {
        let network = (0..hidden).fold(Mlp::new(3), |network, _| network.dense(8, Relu));
        let network = network.dense(2, Identity);
        let sgd = Sgd {
            lr,
            ..Sgd::default()
        };
        let mut trainer = Trainer::new(device, &network, loss, sgd, seed).unwrap();
        for _ in 0..40 {
            trainer.step(&data).unwrap();
        }
        let taken = trainer.take_loss();
        let reported = matches!(taken, Err(Error::NonFiniteLoss { batches: 1..=39 }));
        let finite = all_finite(&mut trainer);
        // Squared error overflows at each of these rates; Huber's need not.
        if !finite || (loss == Loss::SquaredError && !reported) {
            let name = loss.name();
            let weights = if finite { "finite" } else { "not finite" };
            wrong.push(format!(
                "{name}, {network}, seed {seed}, lr {lr:e}, {device}: {taken:?}, weights {weights}",
            ));
        }
        if let Err(error) = taken {
            let message = error.to_string();
            assert!(message.contains("lower learning rate"), "{message}");
        }
    };
    for device in devices() {
        for loss in [Loss::SquaredError, Loss::Huber { delta: 1.0 }] {
            for (hidden, seed) in [(1, 0), (2, 0), (2, 2), (4, 0), (4, 1)] {
                for lr in [3.2, 32.0, 320.0, 1e10, 1e30] {
                    check(&device, loss, hidden, seed, lr);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// z = ∞ − ∞ in a layer: a loss computed from it is no loss.
#[test]
fn a_nan_inside_the_network_is_never_hidden() {
    let x = || Matrix::new(2, vec![2.0, 2.0]).unwrap();
    // In every output of layer 0, or in the second one only.
    let nan_in_layer_0 = |network: &Mlp, all: bool| {
        let tensors = network.tensors().into_iter().map(|(name, shape)| {
            let element = |i: usize| match (name.as_str(), i) {
                ("0.weight", 0 | 1) if !all => 0.25,
                ("0.weight", i) if i % 2 == 0 => 3e38,
                ("0.weight", _) => -3e38,
                _ => 0.25,
            };
            Tensor {
                data: (0..shape.iter().product()).map(element).collect(),
                name,
                shape,
            }
        });
        Tensors::new(tensors.collect())
    };
    let mut hidden = Vec::new();
    for device in devices() {
        let mut check = |network: Mlp, loss: Loss, data: &Dataset, all: bool| {
            let mut trainer = Trainer::new(&device, &network, loss, Sgd::default(), 7).unwrap();
            let weights = nan_in_layer_0(&network, all);
            trainer.set_weights(&weights).unwrap();
            trainer.step(data).unwrap();
            let taken = trainer.take_loss();
            if !matches!(taken, Err(Error::NonFiniteLoss { batches: 1 })) {
                let targets = matches!(data.targets(), Targets::Classes(_));
                let case = format!("{}, labels: {targets}, all: {all}", loss.name());
                hidden.push(format!("{network}, {case}, {device}: {taken:?}"));
            }
        };
        let rows = Dataset::values(x(), Matrix::new(2, vec![0.75, 0.25]).unwrap()).unwrap();
        let label = Dataset::classes(x(), vec![0]).unwrap();
        for phi in Activation::table() {
            let hidden_layer = Mlp::new(2).dense(3, phi.clone()).dense(2, Identity);
            check(hidden_layer, Loss::Mse, &rows, true);
            check(Mlp::new(2).dense(2, phi), Loss::Mse, &rows, true);
        }
        for loss in Loss::table() {
            let (last, takes_labels) = match loss {
                Loss::OutputCrossEntropy | Loss::KlDivergence => (vec![Softmax], true),
                Loss::CrossEntropy => (vec![Identity], true),
                Loss::BinaryCrossEntropy => (vec![Identity], false),
                _ => (vec![Identity, Softmax], false),
            };
            for last in last {
                let network = Mlp::new(2).dense(2, last);
                for all in [true, false] {
                    check(network.clone(), loss, &rows, all);
                    if takes_labels {
                        check(network.clone(), loss, &label, all);
                    }
                }
            }
        }
    }
    assert!(hidden.is_empty(), "{}", hidden.join("\n"));
}

/// A step whose loss is finite may still overflow a weight: that update has to be skipped, too, or reported.
#[test]
fn an_update_that_overflows_leaves_finite_weights() {
    for device in devices() {
        let sgd = Sgd {
            lr: 3e38,
            ..Sgd::default()
        };
        let mut trainer = Trainer::new(&device, &network(), Loss::SquaredError, sgd, 7).unwrap();
        let data = Dataset::values(
            Matrix::new(3, vec![50.0; 12]).unwrap(),
            Matrix::new(2, vec![100.0; 8]).unwrap(),
        )
        .unwrap();
        trainer.step(&data).unwrap();
        assert!(all_finite(&mut trainer), "on {device}");
    }
}

/// 0/0 in an update: dead inputs have no gradient at all.
#[test]
fn an_optimiser_with_eps_0_leaves_finite_weights() {
    for device in devices() {
        let optimizers: [Optimizer; 4] = [
            Adam {
                eps: 0.0,
                ..Adam::default()
            }
            .into(),
            Adam {
                eps: 1e-60,
                ..Adam::default()
            }
            .into(),
            AdamW {
                eps: 1e-60,
                ..AdamW::default()
            }
            .into(),
            RmsProp {
                eps: 1e-60,
                ..RmsProp::default()
            }
            .into(),
        ];
        for optimizer in optimizers {
            let Ok(mut trainer) = Trainer::new(&device, &network(), Loss::Mse, optimizer, 7) else {
                continue;
            };
            let x = Matrix::new(3, vec![0.5, 0.0, 0.25, 1.0, 0.0, 0.5]).unwrap();
            let data = Dataset::values(x, matrix(2, 2)).unwrap();
            trainer.step(&data).unwrap();
            assert!(all_finite(&mut trainer), "{optimizer:?} on {device}");
        }
    }
}

/// Each batch's loss is finite; it is their sum that is not.
#[test]
fn a_sum_of_losses_that_overflows_is_no_infinite_loss() {
    for device in devices() {
        let network = Mlp::new(1).dense(1, Identity);
        let still = Sgd {
            lr: 0.0,
            ..Sgd::default()
        };
        let mut trainer = Trainer::new(&device, &network, Loss::SquaredError, still, 7).unwrap();
        let data = Dataset::values(
            Matrix::new(1, vec![1.0]).unwrap(),
            Matrix::new(1, vec![1.5e19]).unwrap(),
        )
        .unwrap();
        for _ in 0..4 {
            trainer.step(&data).unwrap();
        }
        match trainer.take_loss() {
            Ok(loss) => assert!((loss / 2.25e38 - 1.0).abs() < 1e-3, "{loss} on {device}"),
            Err(error) => assert!(matches!(error, Error::NonFiniteLoss { .. }), "{error:?}"),
        }
        trainer.step(&classes_of_one()).unwrap();
        assert!(trainer.take_loss().unwrap() < 100.0);
    }
}

fn classes_of_one() -> Dataset {
    Dataset::values(matrix(2, 1), matrix(2, 1)).unwrap()
}

#[test]
fn an_infinite_cross_entropy_is_reported_and_skipped() {
    for device in devices() {
        // relu gives 0 where the target is 1: −ln 0.
        let network = Mlp::new(1).dense(2, Relu);
        let build = || {
            Trainer::new(
                &device,
                &network,
                Loss::OutputCrossEntropy,
                Sgd::default(),
                7,
            )
            .unwrap()
        };
        let mut trainer = build();
        let weights = [
            ("0.weight", vec![2, 1], vec![1.0, -1.0]),
            ("0.bias", vec![2], vec![0.5, 0.0]),
        ];
        let weights = weights.map(|(name, shape, data)| Tensor {
            name: name.into(),
            shape,
            data,
        });
        trainer.set_weights(&Tensors::new(weights.into())).unwrap();
        let before = bits(&mut trainer);
        let x = || Matrix::new(1, vec![1.0]).unwrap();
        let bad = Dataset::classes(x(), vec![1]).unwrap();
        let good = Dataset::classes(x(), vec![0]).unwrap();
        trainer.step(&bad).unwrap();
        trainer.step(&bad).unwrap();
        // A bad micro-batch spoils the update that it belongs to.
        trainer.accumulate(&bad).unwrap();
        trainer.accumulate(&good).unwrap();
        trainer.apply().unwrap();
        refused!(
            trainer.take_loss(),
            Error::NonFiniteLoss { batches: 3 },
            ["3 batch(es)", "skipped", "−t·ln(a)"]
        );
        assert_eq!(bits(&mut trainer), before);
        trainer.step(&good).unwrap();
        assert!(trainer.take_loss().unwrap().is_finite());
        assert_ne!(bits(&mut trainer), before);
    }
}

/// A classifier on 1 input whose outputs are both NaN.
fn overflowing_classifier(device: &Device) -> Trainer {
    let network = Mlp::new(1).dense(2, Identity).dense(2, Identity);
    let mut trainer =
        Trainer::new(device, &network, Loss::CrossEntropy, Sgd::default(), 7).unwrap();
    let huge = |name: &str, shape: &[usize], data: Vec<f32>| Tensor {
        name: name.into(),
        shape: shape.into(),
        data,
    };
    trainer
        .set_weights(&Tensors::new(vec![
            huge("0.weight", &[2, 1], vec![3e38; 2]),
            huge("2.weight", &[2, 2], vec![3e38, -3e38, 3e38, -3e38]),
        ]))
        .unwrap();
    trainer
}

#[test]
fn a_prediction_that_overflows_is_called_the_networks_output() {
    for device in devices() {
        let x = Matrix::new(1, vec![2.0]).unwrap();
        refused!(
            overflowing_classifier(&device).predict(&x),
            Error::Value { row: 0, col: 0, .. },
            ["output", "row 0, column 0"]
        );
    }
}

/// A network whose outputs are all NaN knows nothing.
#[test]
fn outputs_that_are_nan_are_never_right() {
    for device in devices() {
        for label in [0, 1] {
            let x = Matrix::new(1, vec![2.0]).unwrap();
            let data = Dataset::classes(x, vec![label]).unwrap();
            if let Ok(evaluation) = overflowing_classifier(&device).evaluate(&data) {
                assert!(!evaluation.loss.is_finite());
                assert_eq!(evaluation.accuracy, Some(0.0), "label {label} on {device}");
            }
        }
    }
}

// A device that goes away.

/// Runs `f` and fails the test if it takes longer than a minute or panics.
fn within_a_minute(f: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(catch_unwind(AssertUnwindSafe(f)));
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => panic!("it hangs"),
    }
}

#[test]
fn every_call_on_a_lost_device_gives_an_error() {
    within_a_minute(|| {
        let device = common::gpu();
        let mut trained = classifier(&device);
        trained.step(&classes(4)).unwrap();
        trained.accumulate(&classes(4)).unwrap();
        let mut fresh = classifier(&device);
        let weights = trained.weights().unwrap();
        device.clone().destroy();
        for trainer in [&mut trained, &mut fresh] {
            // Twice: the second call meets what the first left behind.
            for _ in 0..2 {
                let batch = classes(4);
                for result in [
                    trainer.step(&batch),
                    trainer.accumulate(&batch),
                    trainer.step(&classes(50)),
                    trainer.evaluate(&batch).map(drop),
                    trainer.weights().map(drop),
                    trainer.weights_f64().map(drop),
                    trainer.predict(batch.inputs()).map(drop),
                    trainer.reserve(1000),
                    trainer.set_weights(&weights),
                    verify::gradients(trainer, &batch).map(drop),
                    verify::training(trainer, std::slice::from_ref(&batch)).map(drop),
                    verify::finite_differences(trainer, &batch).map(drop),
                ] {
                    refused!(
                        result,
                        Error::DeviceLost { .. },
                        ["lost", "open a new Device"]
                    );
                }
            }
        }
        for result in [
            trained.apply(),
            trained.take_loss().map(drop),
            trained.gradients().map(drop),
            Trainer::new(&device, &network(), Loss::CrossEntropy, Adam::default(), 7).map(drop),
            verify::kernels(&device).map(drop),
            verify::activation(&device, &Tanh).map(drop),
        ] {
            refused!(
                result,
                Error::DeviceLost { .. },
                ["lost", "open a new Device"]
            );
        }
        device.destroy();
        assert!(!format!("{trained:?} {device:?} {device}").is_empty());
        // The weights that were read go on elsewhere.
        let mut next = classifier(&common::gpu());
        next.set_weights(&weights).unwrap();
        next.step(&classes(4)).unwrap();
        assert!(next.take_loss().unwrap().is_finite());
    });
}

#[test]
fn a_device_lost_in_the_middle_of_training_ends_it_with_an_error() {
    within_a_minute(|| {
        // Many times: where the loss strikes is a matter of chance.
        for round in 0..12 {
            let read_back = round % 2 == 1;
            let device = common::gpu();
            let mut trainer = classifier(&device);
            let (sender, receiver) = mpsc::channel();
            let training = std::thread::spawn(move || {
                let mut step = || {
                    trainer.step(&classes(4))?;
                    if read_back {
                        trainer.take_loss()?;
                        trainer.weights()?;
                    }
                    Ok(())
                };
                let mut steps = 0;
                let error: Error = loop {
                    match step() {
                        Ok(()) => steps += 1,
                        Err(error) => break error,
                    }
                    if steps == 20 {
                        sender.send(()).unwrap();
                    }
                };
                error
            });
            receiver.recv().unwrap();
            device.destroy();
            let error = training.join().expect("no panic");
            assert!(
                matches!(error, Error::DeviceLost { .. }),
                "round {round}: {error:?}"
            );
        }
    });
}

// Futures that are dropped.

/// A time-out or a `select!` drops a future half-way; the trainer must work afterwards.
#[test]
fn a_read_back_that_is_given_up_half_way_does_no_harm() {
    within_a_minute(|| {
        let batch = classes(4);
        let give_up: [fn(&mut Trainer, &Dataset, &mut Context<'_>) -> bool; 4] = [
            |trainer, _, context| pin!(trainer.weights_async()).poll(context).is_pending(),
            |trainer, _, context| pin!(trainer.take_loss_async()).poll(context).is_pending(),
            |trainer, batch, context| {
                pin!(trainer.evaluate_async(batch))
                    .poll(context)
                    .is_pending()
            },
            |trainer, batch, context| {
                pin!(trainer.predict_async(batch.inputs()))
                    .poll(context)
                    .is_pending()
            },
        ];
        let trained = || {
            let mut trainer = classifier(&common::gpu());
            // So much work that the read-back cannot be there at once.
            for _ in 0..200 {
                trainer.step(&classes(2000)).unwrap();
            }
            trainer
        };
        let expected = bits(&mut trained());
        for (i, give_up) in give_up.into_iter().enumerate() {
            let mut context = Context::from_waker(Waker::noop());
            // On a busy machine this thread may sleep for longer than the device works: then it is tried again.
            let given_up = (0..20).find_map(|_| {
                let mut trainer = trained();
                give_up(&mut trainer, &batch, &mut context).then_some(trainer)
            });
            let mut trainer = given_up.unwrap_or_else(|| panic!("future {i} was always ready"));
            let weights = trainer.weights();
            assert!(weights.is_ok(), "future {i}: {}", weights.unwrap_err());
            assert_eq!(bits(&mut trainer), expected);
            trainer.step(&batch).unwrap();
            assert!(trainer.take_loss().unwrap().is_finite());
        }
    });
}

/// A custom function that panics is the user's bug; the trainer is the user's, too.
#[test]
fn a_trainer_survives_a_panic_in_a_custom_function() {
    let phi = Activation::custom(
        "brittle",
        GOOD,
        |z| {
            assert!(z.abs() < 100.0, "the user's own panic");
            z * z
        },
        |z| 2.0 * z,
    );
    let network = Mlp::new(3).dense(5, phi.unwrap()).dense(2, Identity);
    let mut trainer =
        Trainer::new(&Device::cpu(), &network, Loss::Mse, Adam::default(), 7).unwrap();
    trainer.step(&values(4)).unwrap();
    let before = bits(&mut trainer);
    let huge = Matrix::new(3, vec![1e6; 12]).unwrap();
    let huge = Dataset::values(huge, matrix(4, 2)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| trainer.step(&huge))).is_err());
    assert_eq!(bits(&mut trainer), before);
    trainer.step(&values(4)).unwrap();
    assert!(trainer.take_loss().unwrap().is_finite());
}

/// The threads of the CPU path are shared: trainers on many threads, and in the jobs of another pool, wait for no other for ever,
/// not even when a user's function panics among them, and compute what each computes alone.
#[test]
fn trainers_on_many_threads_at_once() {
    within_a_minute(|| {
        use rayon::prelude::*;
        let labels = (0..64).map(|r| r % 96).collect();
        let data = &Dataset::classes(matrix(64, 96), labels).unwrap();
        let train = |seed: u64| {
            let network = Mlp::new(96).dense(160, Relu).dense(96, Identity);
            let cpu = Device::cpu();
            let mut trainer =
                Trainer::new(&cpu, &network, Loss::CrossEntropy, Adam::default(), seed).unwrap();
            for _ in 0..40 {
                trainer.step(data).unwrap();
            }
            bits(&mut trainer)
        };
        let panics = || {
            let phi = Activation::custom("brittle", GOOD, |_| panic!("the user's own"), |z| z);
            let network = Mlp::new(96).dense(160, phi.unwrap()).dense(96, Identity);
            let cpu = Device::cpu();
            let mut trainer =
                Trainer::new(&cpu, &network, Loss::CrossEntropy, Adam::default(), 1).unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| trainer.step(data))).is_err());
        };
        let alone: Vec<_> = (0..6).map(train).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|seed| scope.spawn(move || train(seed)))
                .collect();
            scope.spawn(panics);
            let jobs: Vec<_> = (0..6_u64).into_par_iter().map(train).collect();
            assert_eq!(jobs, alone);
            for (thread, alone) in threads.into_iter().zip(&alone) {
                assert_eq!(&thread.join().unwrap(), alone);
            }
        });
    });
}

// Calls in any order.

/// Training with everything that only looks on in between, or without: the same bits.
#[test]
fn looking_on_does_not_disturb_training() {
    let rows = Dataset::values(matrix(6, 3), matrix(6, 2)).unwrap();
    for device in devices() {
        let run = |look: bool| {
            let mut trainer = classifier(&device);
            let looks_on = |trainer: &mut Trainer| {
                if !look {
                    return;
                }
                // One row, more than there is room for, one row again; labels, then probabilities.
                for count in [1, 300, 1] {
                    trainer.evaluate(&classes(count)).unwrap();
                    trainer.evaluate(&values(count)).unwrap();
                    assert_eq!(trainer.predict(&matrix(count, 3)).unwrap().rows(), count);
                }
                let weights = trainer.weights().unwrap();
                trainer.set_weights(&weights).unwrap();
                trainer.set_weights(&Tensors::new(vec![])).unwrap();
                let _ = trainer.gradients();
                verify::gradients(trainer, &classes(3)).unwrap();
                trainer.reserve(400).unwrap();
            };
            let mut losses = Vec::new();
            looks_on(&mut trainer);
            for count in [1, 7, 2, 64, 1] {
                trainer.step(&classes(count)).unwrap();
                looks_on(&mut trainer);
                trainer.accumulate(&rows).unwrap();
                looks_on(&mut trainer);
                trainer.accumulate(&classes(count)).unwrap();
                // Between accumulate and apply.
                losses.push(trainer.take_loss().unwrap().to_bits());
                looks_on(&mut trainer);
                trainer.apply().unwrap();
                trainer.step(&rows).unwrap();
            }
            losses.push(trainer.take_loss().unwrap().to_bits());
            (losses, bits(&mut trainer), trainer.steps())
        };
        assert_eq!(run(true), run(false), "on {device}");
    }
}

/// Growing batches, so that every trainer gets new buffers again and again while the others wait for theirs.
#[test]
fn trainers_on_one_device_in_many_threads_do_not_disturb_each_other() {
    within_a_minute(|| {
        let device = common::gpu();
        let train = |device: &Device, seed: u64| -> wgrad::Result<_> {
            let adam = Adam::default();
            let mut trainer = Trainer::new(device, &network(), Loss::CrossEntropy, adam, seed)?;
            let mut losses = Vec::new();
            for i in 0..60 {
                trainer.step(&classes(1 + i))?;
                losses.push(trainer.evaluate(&classes(1))?.loss.to_bits());
                if i % 3 == 0 {
                    losses.push(trainer.take_loss()?.to_bits());
                }
            }
            Ok((losses, bits(&mut trainer)))
        };
        let alone: Vec<_> = (0..4)
            .map(|seed| train(&device, seed).expect("training alone"))
            .collect();
        std::thread::scope(|scope| {
            for (seed, alone) in alone.iter().enumerate() {
                let device = device.clone();
                scope.spawn(move || {
                    for _ in 0..6 {
                        let together = train(&device, seed as u64).expect("training together");
                        assert!(together == *alone, "another thread changed the result");
                    }
                });
            }
        });
    });
}

/// `unwrap`, `expect` and a `main` that returns the error print its Debug form.
#[test]
fn the_debug_form_of_an_error_is_its_message() {
    let error = Matrix::new(3, vec![0.0; 7]).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}
