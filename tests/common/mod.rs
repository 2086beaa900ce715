//! What the integration tests share.
#![allow(dead_code, unused_imports, unused_macros)]

use wgrad::{AdapterChoice, Device, DeviceOptions};

/// The error of a call that must fail, after a look at its variant and at its message.
macro_rules! refused {
    ($result:expr, $pattern:pat $(if $guard:expr)?, [$($part:expr),+ $(,)?]) => {{
        let error = match $result {
            Ok(_) => panic!("{} was accepted", stringify!($result)),
            Err(error) => error,
        };
        assert!(
            matches!(error, $pattern $(if $guard)?),
            "{} gave {error:?}",
            stringify!($result)
        );
        let message = error.to_string();
        $(assert!(message.contains(&*$part), "{message:?} does not say {:?}", $part);)+
        error
    }};
}
pub(crate) use refused;

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

/// What the test runner calls a test of the module that `module_path!()` gives: the path without the crate.
pub fn name_in_the_binary(module: &str, test: &str) -> String {
    let (_, module) = module.split_once("::").expect("a module of a test binary");
    format!("{module}::{test}")
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

/// Weights as of no network in particular, with norms and running statistics that are none's beginnings.
pub fn some_weights(network: &wgrad::Mlp) -> wgrad::Tensors {
    let all = network.tensors().into_iter().chain(network.buffers());
    let tensor = |(i, (name, shape)): (usize, (String, Vec<usize>))| {
        let x = numbers(shape.iter().product(), i + 11).into_iter();
        let data = match shape.len() {
            2 => {
                let scale = 2.0 / (shape[1] as f32).sqrt();
                x.map(|x| x * scale).collect()
            }
            _ if name.ends_with("var") => x.map(|x| 0.6 + 0.5 * x).collect(),
            _ => x.collect(),
        };
        wgrad::Tensor { name, shape, data }
    };
    wgrad::Tensors::new(all.enumerate().map(tensor).collect())
}

/// A number in f64, and how far an f32 implementation may be from it.
pub type Near = (f64, f64);

/// Half the distance between 1 and the next f32: what a rounding may change a number by, relative to it.
pub const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// A network's output for each row of x in f64, and how far an f32 implementation may be from it.
pub fn forward_bound(
    network: &wgrad::Mlp,
    weights: &wgrad::Tensors,
    x: &wgrad::Matrix,
) -> (Vec<f64>, Vec<f64>) {
    let row = |r| x.row(r).iter().map(|&x| (f64::from(x), 0.0)).collect();
    let rows = (0..x.rows()).map(|r| forward_row(network, weights, row(r)).0);
    rows.flatten().unzip()
}

/// The network's output for a row, and z of its last layer, in evaluation.
///
/// A sum of K products and a bias is off by (K+2)·2⁻²⁴·(Σ|w||a| + |b|) in any order, and passes on Σ|w|·e of its inputs' error e.
/// No φ here is steeper than 1.13 (GELU at √2). Its own evaluation may be off by 8·2⁻²⁴ of the largest of 1, |z|: the
/// vectorised functions of the libraries compared keep within a few units in the last place of that. Softmax is not steeper
/// than 1 in the largest error among its z, and its quotient of a sum of C terms is off by (C + 8)·2⁻²⁴.
pub fn forward_row(
    network: &wgrad::Mlp,
    weights: &wgrad::Tensors,
    x: Vec<Near>,
) -> (Vec<Near>, Vec<Near>) {
    let mut h = x;
    let mut z = Vec::new();
    for (l, layer) in network.layers().iter().enumerate() {
        let of = |module: usize, name: &str| -> &[f32] {
            let name = format!("{module}.{name}");
            let tensor = weights.get(&name);
            &tensor.unwrap_or_else(|| panic!("no {name}")).data
        };
        let module = network.module_of(l);
        let (w, b) = (of(module, "weight"), of(module, "bias"));
        let k = h.len();
        z = (0..layer.outputs)
            .map(|j| {
                let bias = f64::from(b[j]);
                let (mut z, mut size, mut passed) = (bias, bias.abs(), 0.0);
                for (&w, &(a, e)) in w[j * k..][..k].iter().zip(&h) {
                    let w = f64::from(w);
                    z += w * a;
                    size += w.abs() * (a.abs() + e);
                    passed += w.abs() * e;
                }
                (z, passed + (k as f64 + 2.0) * UNIT * size)
            })
            .collect();
        if let Some(norm) = layer.norm {
            let (gamma, beta) = (of(module + 1, "weight"), of(module + 1, "bias"));
            match norm {
                wgrad::Norm::Batch => {
                    let mean = of(module + 1, "running_mean");
                    batch_norm(&mut z, gamma, beta, mean, of(module + 1, "running_var"));
                }
                _ => layer_norm(&mut z, gamma, beta),
            }
        }
        let mut a = z.clone();
        if layer.activation == wgrad::Activation::Softmax {
            a = softmax(&z);
        } else if layer.activation != wgrad::Activation::Identity {
            for (z, e) in &mut a {
                let own = 8.0 * UNIT * z.abs().max(1.0);
                (*z, *e) = (layer.activation.apply(*z), 1.13 * *e + own);
            }
        }
        if layer.residual {
            for (a, x) in a.iter_mut().zip(&h) {
                let sum = a.0 + x.0;
                let e = a.1 + x.1;
                *a = (sum, e + UNIT * (sum.abs() + e));
            }
        }
        h = a;
    }
    (h, z)
}

/// See [`forward_row`].
pub fn softmax(z: &[Near]) -> Vec<Near> {
    let largest = z.iter().map(|z| z.0).fold(f64::MIN, f64::max);
    let sum: f64 = z.iter().map(|z| (z.0 - largest).exp()).sum();
    let error = z.iter().map(|z| z.1).fold(0.0, f64::max);
    let own = (z.len() as f64 + 8.0) * UNIT;
    z.iter()
        .map(|z| ((z.0 - largest).exp() / sum, error + own))
        .collect()
}

/// γ·(u − mean)·s + β with s = 1/√(variance + eps), or u·(γ·s) + (β − mean·γ·s), as an implementation likes: nine roundings at
/// most (eps, its sum, the root, the quotient, and up to five products and sums) of terms no larger than these.
fn batch_norm(z: &mut [Near], gamma: &[f32], beta: &[f32], mean: &[f32], variance: &[f32]) {
    for (c, (z, e)) in z.iter_mut().enumerate() {
        let [gamma, beta, mean, variance] = [gamma, beta, mean, variance].map(|x| f64::from(x[c]));
        let slope = gamma / (variance + wgrad::Norm::EPS).sqrt();
        let size = slope.abs() * (z.abs() + *e + mean.abs()) + beta.abs();
        *e = slope.abs() * *e + 9.0 * UNIT * size;
        *z = slope * (*z - mean) + beta;
    }
}

/// The same over the row. Its variance may be off by what the errors e of u move it, and, as Σu²/C − mean² of sums of C terms,
/// by (C + 4)·2⁻²⁴ of both; 1/√ is then between its values at the ends of that interval.
fn layer_norm(z: &mut [Near], gamma: &[f32], beta: &[f32]) {
    let count = z.len() as f64;
    let average = |f: &dyn Fn(&Near) -> f64| z.iter().map(f).sum::<f64>() / count;
    let mean = average(&|u| u.0);
    let mean_error = average(&|u| u.1 + (count + 1.0) * UNIT * (u.0.abs() + u.1));
    let centred = |u: &Near| (u.0 - mean, u.1 + mean_error + UNIT * (u.0 - mean).abs());
    let variance = average(&|u| centred(u).0.powi(2));
    let moved = average(&|u| {
        let (c, e) = centred(u);
        2.0 * c.abs() * e + e * e
    });
    let squares = average(&|u| (u.0.abs() + u.1).powi(2));
    let off = moved + (count + 4.0) * UNIT * 2.0 * squares;
    let inverse = |variance: f64| 1.0 / (variance.max(0.0) + wgrad::Norm::EPS).sqrt();
    let at = inverse(variance);
    let spread = (inverse(variance - off) - at).max(at - inverse(variance + off)) + 5.0 * UNIT * at;
    let new = z.iter().zip(gamma.iter().zip(beta)).map(|(u, (&g, &b))| {
        let (c, e) = centred(u);
        let (g, b) = (f64::from(g), f64::from(b));
        let passed = g.abs() * (e * (at + spread) + c.abs() * spread);
        let own = 3.0 * UNIT * (g.abs() * (c.abs() + e) * (at + spread) + b.abs());
        (g * c * at + b, passed + own)
    });
    let new: Vec<Near> = new.collect();
    z.copy_from_slice(&new);
}

/// Panics where `got` is further from the f64 output than the bound.
pub fn assert_within<T: Copy + Into<f64> + std::fmt::Display>(
    what: &str,
    got: &[T],
    (expected, bounds): &(Vec<f64>, Vec<f64>),
) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&got, (&expected, &bound))) in got.iter().zip(expected.iter().zip(bounds)).enumerate()
    {
        let error = (got.into() - expected).abs();
        assert!(
            error <= bound,
            "{what}, element {i}: {got} is {error:.2e} from {expected}, beyond {bound:.2e}"
        );
    }
}

/// A network that gives its inputs back: the report must then be what the functions say about the inputs.
pub fn echo(
    cols: usize,
    activation: wgrad::Activation,
    loss: wgrad::Loss,
    device: &Device,
) -> wgrad::Trainer {
    let network = wgrad::Mlp::new(cols).dense(cols, activation);
    let mut trainer =
        wgrad::Trainer::new(device, &network, loss, wgrad::Sgd::default(), 7).unwrap();
    let mut weights = trainer.weights().unwrap();
    let eye = &mut weights.weight_mut(0).unwrap().data;
    for (i, w) in eye.iter_mut().enumerate() {
        *w = f32::from(u8::from(i % (cols + 1) == 0));
    }
    weights.bias_mut(0).unwrap().data.fill(0.0);
    trainer.set_weights(&weights).unwrap();
    trainer
}
