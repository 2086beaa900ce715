//! Parameters beyond one binding, and loops beyond 65,535.

use crate::common::{self, numbers};
use wgrad::{
    Activation::*, Adam, Dataset, Device, DeviceOptions, Loss, Matrix, Mlp, Sgd, Trainer, verify,
};

/// A GPU whose bindings hold `bytes`.
fn small_bindings(bytes: u64) -> Device {
    common::gpu_with(DeviceOptions {
        binding_limit: Some(bytes),
        ..DeviceOptions::default()
    })
}

#[test]
fn weights_split_into_row_panels_are_proven_like_whole_ones() {
    let network = Mlp::new(40)
        .dense(70, Silu)
        .dense(90, Relu)
        .dense(3, Identity);
    let x = Matrix::new(40, numbers(9 * 40, 1)).unwrap();
    let data = Dataset::values(x, Matrix::new(3, numbers(27, 2)).unwrap()).unwrap();
    // 4 KiB: 25 rows of the first weight, 14 of the second, and the activations of 11 rows.
    let device = small_bindings(4096);
    let mut trainer = Trainer::new(&device, &network, Loss::Mse, Adam::default(), 1).unwrap();
    let report = verify::gradients(&mut trainer, &data).unwrap();
    assert!(report.passed(), "{report}");
    let panels = report.checks.iter().filter(|check| {
        check
            .name
            .starts_with("dense_backward_input, layer 1, part")
            && !check.name.ends_with("summed")
    });
    assert_eq!(panels.count(), 7, "{report}");

    // And a whole run: the same weights as without panels, within the bound of a run.
    let batches = vec![data.clone(); 5];
    let report = verify::training(&mut trainer, &batches).unwrap();
    assert!(report.passed(), "{report}");
    let mut whole = Trainer::new(&common::gpu(), &network, Loss::Mse, Adam::default(), 1).unwrap();
    assert_eq!(whole.weights().unwrap(), trainer.weights().unwrap());
}

#[test]
fn panels_and_segments_go_with_normalisation_dropout_and_residual_connections() {
    let network = Mlp::new(40)
        .dense(70, Silu)
        .layer_norm()
        .dense(70, Tanh)
        .batch_norm()
        .dropout(0.2)
        .residual()
        .dense(3, Identity);
    let x = Matrix::new(40, numbers(9 * 40, 1)).unwrap();
    let data = Dataset::values(x, Matrix::new(3, numbers(27, 2)).unwrap()).unwrap();
    let device = small_bindings(4096);
    let mut trainer = Trainer::new(&device, &network, Loss::Mse, Sgd::default(), 1).unwrap();
    let report = verify::gradients(&mut trainer, &data).unwrap();
    assert!(report.passed(), "{report}");
    let parts = report.checks.iter().filter(|check| {
        check.name.contains("layer 1, part") || check.name.starts_with("sgd, part")
    });
    assert!(parts.count() > 10, "{report}");
    let report = verify::training(&mut trainer, &vec![data; 5]).unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn an_8192_square_layer_trains() {
    // Its weight is 256 MiB: two bindings of lavapipe's, and with its gradient a quarter of its memory.
    const LR: f64 = 2e-4;
    let width = 8192;
    let network = Mlp::new(width).dense(width, Identity);
    let gpu = common::gpu();
    let rows = 2;
    let x = Matrix::new(width, numbers(rows * width, 1)).unwrap();
    let t = Matrix::new(width, numbers(rows * width, 2)).unwrap();
    let data = Dataset::values(x, t).unwrap();
    let sgd = Sgd {
        lr: LR,
        ..Sgd::default()
    };
    let mut on_gpu = Trainer::new(&gpu, &network, Loss::SquaredError, sgd, 1).unwrap();
    let mut on_cpu = Trainer::new(&Device::cpu(), &network, Loss::SquaredError, sgd, 1).unwrap();
    let first = on_gpu.evaluate(&data).unwrap().loss;
    for trainer in [&mut on_gpu, &mut on_cpu] {
        trainer.step(&data).unwrap();
    }
    assert!(on_gpu.evaluate(&data).unwrap().loss < 0.5 * first);
    // w − lr·δᵀx with δ = 2(x·wᵀ + b − t). |x|, |t| ≤ 1, |w|, |b| ≤ 1/√8192, so a sum of 8192 products is within
    // (K + 2)·2⁻²⁴·Σ|x||w| ≤ 8194·2⁻²⁴·√8192, δ within twice that, and the mean over rows of δᵀx no further; the
    // two devices' difference is twice as large. All times lr, and roundings of a weight below 1.
    let bound = LR * 2.0 * 2.0 * 8194.0 * 2f64.powi(-24) * 8192f64.sqrt() + 1e-6;
    let (a, b) = (on_gpu.weights().unwrap(), on_cpu.weights().unwrap());
    let mut moved = 0.0;
    let initial = Trainer::new(&Device::cpu(), &network, Loss::SquaredError, sgd, 1);
    let initial = initial.unwrap().weights().unwrap();
    for ((a, b), i) in a.iter().zip(&b).zip(&initial) {
        assert_eq!(a.shape, b.shape);
        for ((x, y), i) in a.data.iter().zip(&b.data).zip(&i.data) {
            let error = f64::from((x - y).abs());
            assert!(error <= bound, "{}: {x} and {y}", a.name);
            moved = f64::max(moved, f64::from((x - i).abs()));
        }
    }
    // The bound says something: the step itself is far larger.
    assert!(moved > 2.0 * bound, "moved {moved}, bound {bound}");
}

#[test]
fn sums_over_more_than_65_535_inputs_and_rows_are_right() {
    // Few non-zero inputs, so that the rounding bound of the long sum would show a single missing term.
    let (rows, inputs) = (3, 70_001);
    let mut x = vec![0.0; rows * inputs];
    for r in 0..rows {
        for i in (r * 100..inputs).step_by(2000).chain([inputs - 1]) {
            x[r * inputs + i] = 1.0 + (i % 7) as f32;
        }
    }
    let data = Dataset::classes(Matrix::new(inputs, x).unwrap(), vec![0, 1, 2]).unwrap();
    let network = Mlp::new(inputs).dense(5, Tanh).dense(3, Identity);
    let mut trainer = Trainer::new(
        &common::gpu(),
        &network,
        Loss::CrossEntropy,
        Adam::default(),
        1,
    )
    .unwrap();
    let report = verify::gradients(&mut trainer, &data).unwrap();
    assert!(report.passed(), "{report}");

    let rows = 70_001;
    let x = Matrix::new(2, numbers(2 * rows, 1)).unwrap();
    let labels = (0..rows).map(|r| (r % 3) as u32).collect();
    let data = Dataset::classes(x, labels).unwrap();
    let network = Mlp::new(2).dense(4, Relu).dense(3, Identity);
    let mut on_gpu = Trainer::new(
        &common::gpu(),
        &network,
        Loss::CrossEntropy,
        Adam::default(),
        1,
    )
    .unwrap();
    let report = verify::gradients(&mut on_gpu, &data).unwrap();
    assert!(report.passed(), "{report}");
    // In one piece and in small ones; each row's loss is of the order of 1, so a lost row of 70,001 would show at 1e-5.
    on_gpu.accumulate(&data).unwrap();
    let whole = on_gpu.gradients_f64().unwrap();
    let mut parts = Trainer::new(
        &Device::reference(),
        &network,
        Loss::CrossEntropy,
        Adam::default(),
        1,
    )
    .unwrap();
    for batch in data.batches(1000).unwrap() {
        parts.accumulate(&batch).unwrap();
    }
    for (a, b) in whole.iter().zip(&parts.gradients_f64().unwrap()) {
        for (x, y) in a.data.iter().zip(&b.data) {
            assert!((x - y).abs() <= 2e-6, "{}: {x} and {y}", a.name);
        }
    }
}

#[test]
fn outputs_beyond_65_535_are_right() {
    let outputs = 66_000;
    let network = Mlp::new(3).dense(outputs, Identity);
    let x = Matrix::new(3, numbers(6, 1)).unwrap();
    let data = Dataset::classes(x, vec![65_999, 3]).unwrap();
    let mut trainer = Trainer::new(
        &common::gpu(),
        &network,
        Loss::CrossEntropy,
        Sgd::default(),
        1,
    )
    .unwrap();
    let report = verify::gradients(&mut trainer, &data).unwrap();
    assert!(report.passed(), "{report}");
}
