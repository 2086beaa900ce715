//! What the integration tests share.
#![allow(dead_code)]

use wgrad::{AdapterChoice, Device, DeviceOptions};

/// The GPU under test. Tests never pass by skipping: without an adapter this fails, and says how to get one.
pub fn gpu() -> Device {
    Device::gpu().unwrap_or_else(|error| panic!("the GPU tests need an adapter: {error}"))
}

/// The same GPU with other options.
pub fn gpu_with(options: DeviceOptions) -> Device {
    let index = std::env::var_os("WGPU_ADAPTER_NAME")
        .is_none()
        .then_some(AdapterChoice::Index(0));
    let options = DeviceOptions {
        adapter: index,
        ..options
    };
    Device::open(&options).unwrap_or_else(|error| panic!("no GPU for the tests: {error}"))
}

/// Deterministic numbers in (−1, 1).
pub fn numbers(n: usize, salt: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + salt * 104_729 + 13) % 1999) as f32 / 1000.0 - 1.0)
        .collect()
}

/// A Python that can import these modules: the one that WGRAD_PYTHON names, else `python3`. None where there is none; whoever
/// needs it then says that it skips.
pub fn python(modules: &str) -> Option<String> {
    let python = std::env::var("WGRAD_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = std::process::Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        println!(
            "skipped: {python} does not import {modules}; WGRAD_PYTHON may name one that does"
        );
    }
    found.then_some(python)
}

/// Runs a Python program; its output, or a panic with what it said.
pub fn run_python(python: &str, program: &str, arguments: &[&std::path::Path]) -> String {
    let output = std::process::Command::new(python)
        .args(["-c", program])
        .args(arguments)
        .output()
        .expect("python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

/// A network's output for each row of x in f64, and how far an f32 implementation may be from it.
///
/// A sum of K products and a bias is off by (K+2)·2⁻²⁴·(Σ|w||a| + |b|) in any order, and passes on Σ|w|·e of its inputs' error e.
/// No φ here is steeper than 1.13 (GELU at √2). Its own evaluation may be off by 8·2⁻²⁴ of the largest of 1, |z|: the
/// vectorised functions of the libraries compared keep within a few units in the last place of that. Softmax is not steeper
/// than 1 in the largest error among its z, and its quotient of a sum of C terms is off by (C + 8)·2⁻²⁴.
pub fn forward_bound(
    network: &wgrad::Mlp,
    weights: &wgrad::Tensors,
    x: &wgrad::Matrix,
) -> (Vec<f64>, Vec<f64>) {
    let unit = 2f64.powi(-24);
    let (mut out, mut bounds) = (Vec::new(), Vec::new());
    for r in 0..x.rows() {
        let mut a: Vec<(f64, f64)> = x.row(r).iter().map(|&x| (x.into(), 0.0)).collect();
        for (l, layer) in network.layers().iter().enumerate() {
            let w = &weights.weight(l).expect("a weight").data;
            let b = &weights.bias(l).expect("a bias").data;
            let k = a.len();
            let mut next: Vec<(f64, f64)> = (0..layer.outputs)
                .map(|j| {
                    let bias = f64::from(b[j]);
                    let (mut z, mut size, mut passed) = (bias, bias.abs(), 0.0);
                    for (&w, &(a, e)) in w[j * k..][..k].iter().zip(&a) {
                        let w = f64::from(w);
                        z += w * a;
                        size += w.abs() * (a.abs() + e);
                        passed += w.abs() * e;
                    }
                    (z, passed + (k as f64 + 2.0) * unit * size)
                })
                .collect();
            if layer.activation == wgrad::Activation::Softmax {
                let largest = next.iter().map(|z| z.0).fold(f64::MIN, f64::max);
                let sum: f64 = next.iter().map(|z| (z.0 - largest).exp()).sum();
                let error = next.iter().map(|z| z.1).fold(0.0, f64::max);
                let own = (next.len() as f64 + 8.0) * unit;
                let softmax = next
                    .iter()
                    .map(|z| ((z.0 - largest).exp() / sum, error + own));
                next = softmax.collect();
            } else if layer.activation != wgrad::Activation::Identity {
                for (z, e) in &mut next {
                    let own = 8.0 * unit * z.abs().max(1.0);
                    (*z, *e) = (layer.activation.apply(*z), 1.13 * *e + own);
                }
            }
            a = next;
        }
        out.extend(a.iter().map(|a| a.0));
        bounds.extend(a.iter().map(|a| a.1));
    }
    (out, bounds)
}

/// Panics where `got` is further from the f64 output than the bound.
pub fn assert_within(what: &str, got: &[f32], (expected, bounds): &(Vec<f64>, Vec<f64>)) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&got, (&expected, &bound))) in got.iter().zip(expected.iter().zip(bounds)).enumerate()
    {
        let error = (f64::from(got) - expected).abs();
        assert!(
            error <= bound,
            "{what}, element {i}: {got} is {error:.2e} from {expected}, beyond {bound:.2e}"
        );
    }
}
