//! The functions of shaders/math.wgsl and WGSL's own, measured on this adapter against f64: within what src/bounded.rs
//! claims for them, which is the ground that every other bound stands on.

use crate::common;
use wgrad::{Activation, Loss, Matrix, Mlp, Sgd, Trainer};

/// Unit roundoff of f32.
const U: f64 = 1.0 / 16_777_216.0;

/// The fragment's values at `arguments` on the GPU.
fn on_gpu(wgsl: &str, arguments: &[f32]) -> Vec<f32> {
    let fragment = format!(
        "fn activate(z: f32) -> f32 {{ return {wgsl}; }}\nfn activate_grad(z: f32) -> f32 {{ return 1.0; }}"
    );
    let phi = Activation::custom("probe", &fragment, |z| z, |_| 1.0).unwrap();
    let network = Mlp::new(1).dense(1, phi);
    let mut trainer = Trainer::new(&common::gpu(), &network, Loss::Mse, Sgd::default(), 0).unwrap();
    let mut weights = trainer.weights().unwrap();
    weights.weight_mut(0).unwrap().data[0] = 1.0;
    weights.bias_mut(0).unwrap().data[0] = 0.0;
    trainer.set_weights(&weights).unwrap();
    let outputs = trainer
        .predict(&Matrix::new(1, arguments.to_vec()).unwrap())
        .unwrap();
    outputs.data().to_vec()
}

/// The exact function, its arguments, and the error that is allowed at (x, f(x)).
type Exact = fn(f64) -> f64;
type Allowed = fn(f64, f64) -> f64;

#[test]
fn every_function_keeps_to_the_accuracy_that_the_bounds_assume() {
    let sweep = |from: f64, to: f64| -> Vec<f32> {
        (0..=200_000)
            .map(|i| (from + (to - from) * f64::from(i) / 200_000.0) as f32)
            .collect()
    };
    // Magnitudes from 1e-30 on, both signs.
    let tiny: Vec<f32> = (0..60_000)
        .map(|i| (if i % 2 == 0 { 1.0 } else { -1.0 }) * 10f32.powf(-30.0 + i as f32 / 2000.0))
        .collect();
    let floor = f64::from(f32::MIN_POSITIVE);
    let cases: [(&str, Exact, Vec<f32>, Allowed); 12] = [
        ("exp(z)", f64::exp, sweep(-87.0, 30.0), |x, f| {
            (6.0 + 4.0 * x.abs()) * U * f
        }),
        (
            "exp_nonpositive(z)",
            f64::exp,
            sweep(-200.0, 0.0),
            |x, f| (6.0 + 4.0 * x.abs()) * U * f,
        ),
        ("log(z)", f64::ln, sweep(0.5, 2.0), |_, _| 2f64.powi(-21)),
        ("log(z)", f64::ln, sweep(2.001, 1e6), |_, f| {
            6.0 * U * f.abs()
        }),
        ("log(z)", f64::ln, sweep(1e-6, 0.4999), |_, f| {
            6.0 * U * f.abs()
        }),
        ("sqrt(z)", f64::sqrt, sweep(0.0, 100.0), |_, f| 9.0 * U * f),
        ("1.0 / z", f64::recip, sweep(0.01, 100.0), |_, f| {
            5.0 * U * f
        }),
        (
            "expm1_nonpositive(z)",
            f64::exp_m1,
            sweep(-20.0, 0.0),
            |_, f| 16.0 * U * f.abs(),
        ),
        ("log1p_unit(z)", f64::ln_1p, sweep(0.0, 1.0), |_, f| {
            12.0 * U * f
        }),
        ("tanh_accurate(z)", f64::tanh, sweep(-20.0, 20.0), |_, f| {
            18.0 * U * f.abs()
        }),
        ("erf(z)", libm::erf, sweep(-12.0, 12.0), |_, f| {
            6.0 * U * f.abs()
        }),
        (
            "tanh_accurate(z) + erf(z)",
            |x| x.tanh() + libm::erf(x),
            tiny,
            |_, f| 26.0 * U * f.abs(),
        ),
    ];
    for (wgsl, exact, arguments, allowed) in cases {
        let values = on_gpu(wgsl, &arguments);
        let mut worst = (0.0, 0.0, 0.0);
        for (&x, &value) in arguments.iter().zip(&values) {
            let x = f64::from(x);
            let f = exact(x);
            let error = (f64::from(value) - f).abs();
            let bound = allowed(x, f) + floor;
            assert!(
                error <= bound,
                "{wgsl} at {x}: {value} instead of {f}, off by {error:e} > {bound:e}"
            );
            if error / bound > worst.0 {
                worst = (error / bound, x, error / f.abs() / U);
            }
        }
        println!(
            "{wgsl}: {:.0} % of its bound at {}, {:.1} U",
            100.0 * worst.0,
            worst.1,
            worst.2
        );
    }
}
