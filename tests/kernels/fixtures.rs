//! Numbers computed by PyTorch in f64 against the plan: on the f64 reference, the f32 CPU path and the GPU.

use std::collections::HashMap;

use crate::common;
use safetensors::{Dtype, SafeTensors};
use wgrad::{
    Activation, Adam, AdamW, Dataset, Device, Loss, Matrix, Mlp, Optimizer, RmsProp, Sgd, Tensor,
    Tensors, Trainer, verify,
};

struct Fixture {
    name: &'static str,
    case: serde_json::Value,
    arrays: HashMap<String, (Vec<usize>, Vec<f64>)>,
}

const FILES: &[(&str, &[u8])] = &[
    (
        "relu, mse, momentum",
        include_bytes!("../fixtures/13-17-11-3_relu_identity_mse_momentum_8_s20.safetensors"),
    ),
    (
        "sigmoid and tanh, huber, nesterov",
        include_bytes!("../fixtures/4-12-7-2_sigmoid_tanh_huber_nesterov_9_s20.safetensors"),
    ),
    (
        "silu, bce_with_logits, adam",
        include_bytes!("../fixtures/5-8-8-1_silu_identity_bce_with_logits_adam_16_s20.safetensors"),
    ),
    (
        "gelu, cross_entropy, adamw",
        include_bytes!("../fixtures/6-10-4_gelu_identity_cross_entropy_adamw_5_s20.safetensors"),
    ),
    (
        "tanh, cross_entropy, sgd",
        include_bytes!("../fixtures/7-9-5_tanh_identity_cross_entropy_sgd_6_s20.safetensors"),
    ),
    (
        "leaky_relu and softplus, mse, rmsprop",
        include_bytes!("../fixtures/9-6-6-6-3_leaky_relu_softplus_mse_rmsprop_4_s20.safetensors"),
    ),
    (
        "residual",
        include_bytes!("../fixtures/layers/residual_cross_entropy_sgd.safetensors"),
    ),
    (
        "residual at both ends",
        include_bytes!("../fixtures/layers/residual_at_both_ends_mse_momentum.safetensors"),
    ),
    (
        "dropout",
        include_bytes!("../fixtures/layers/dropout_cross_entropy_adam.safetensors"),
    ),
    (
        "dropout and residual",
        include_bytes!("../fixtures/layers/dropout_residual_huber_nesterov.safetensors"),
    ),
    (
        "layer norm cross entropy adamw",
        include_bytes!("../fixtures/layers/layer_norm_cross_entropy_adamw.safetensors"),
    ),
    (
        "layer norm at the output mse rmsprop",
        include_bytes!("../fixtures/layers/layer_norm_at_the_output_mse_rmsprop.safetensors"),
    ),
    (
        "batch norm mse momentum",
        include_bytes!("../fixtures/layers/batch_norm_mse_momentum.safetensors"),
    ),
    (
        "batch norm at the output bce with logits sgd",
        include_bytes!(
            "../fixtures/layers/batch_norm_at_the_output_bce_with_logits_sgd.safetensors"
        ),
    ),
    (
        "all cross entropy momentum",
        include_bytes!("../fixtures/layers/all_cross_entropy_momentum.safetensors"),
    ),
];

impl Fixture {
    fn read(name: &'static str, bytes: &[u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(bytes).expect("a safetensors header");
        let case = metadata.metadata().as_ref().expect("metadata")["case"].clone();
        let tensors = SafeTensors::deserialize(bytes).expect("safetensors");
        let arrays = tensors.iter().map(|(name, view)| {
            let data = view.data();
            let numbers: Vec<f64> = match view.dtype() {
                Dtype::F32 => data
                    .chunks(4)
                    .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
                    .collect(),
                Dtype::F64 => data
                    .chunks(8)
                    .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                    .collect(),
                Dtype::I64 => data
                    .chunks(8)
                    .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64)
                    .collect(),
                other => panic!("{name} is {other:?}"),
            };
            (name.to_owned(), (view.shape().to_vec(), numbers))
        });
        Self {
            name,
            case: serde_json::from_str(&case).expect("JSON"),
            arrays: arrays.collect(),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        FILES.iter().map(|(name, bytes)| Self::read(name, bytes))
    }

    fn text(&self, key: &str) -> &str {
        self.case[key].as_str().expect("a string")
    }

    fn array(&self, name: &str) -> &[f64] {
        &self.arrays[name].1
    }

    fn matrix(&self, name: &str) -> Matrix {
        let (shape, data) = &self.arrays[name];
        Matrix::new(shape[1], data.iter().map(|&x| x as f32).collect()).unwrap()
    }

    fn activation(name: &str) -> Activation {
        Activation::table()
            .into_iter()
            .find(|phi| phi.name() == name)
            .unwrap_or_else(|| panic!("no activation {name}"))
    }

    fn network(&self) -> Mlp {
        match self.case["layers"].as_array() {
            Some(layers) => self.network_of(layers),
            None => self.plain_network(),
        }
    }

    fn network_of(&self, layers: &[serde_json::Value]) -> Mlp {
        let mut network = Mlp::new(self.case["inputs"].as_u64().unwrap() as usize);
        for layer in layers {
            let phi = Self::activation(layer["activation"].as_str().unwrap());
            network = network.dense(layer["outputs"].as_u64().unwrap() as usize, phi);
            network = match layer["norm"].as_str() {
                Some("layer_norm") => network.layer_norm(),
                Some("batch_norm") => network.batch_norm(),
                _ => network,
            };
            if let Some(p) = layer["dropout"].as_f64() {
                network = network.dropout(p);
            }
            if layer["residual"] == true {
                network = network.residual();
            }
        }
        network
    }

    fn plain_network(&self) -> Mlp {
        let widths: Vec<usize> = self.case["widths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_u64().unwrap() as usize)
            .collect();
        let mut network = Mlp::new(widths[0]);
        for (l, &width) in widths.iter().enumerate().skip(1) {
            let last = l + 1 == widths.len();
            let name = self.text(if last { "output" } else { "activation" });
            network = network.dense(width, Self::activation(name));
        }
        network
    }

    fn loss(&self) -> Loss {
        match self.text("loss") {
            "mse" => Loss::Mse,
            "huber" => Loss::Huber { delta: 1.0 },
            "bce_with_logits" => Loss::BinaryCrossEntropy,
            "cross_entropy" => Loss::CrossEntropy,
            other => panic!("no loss {other}"),
        }
    }

    /// PyTorch's defaults are ours: only what the fixture names is set.
    fn optimizer(&self) -> Optimizer {
        let args = &self.case["optimizer_args"];
        let lr = args["lr"].as_f64().unwrap();
        let weight_decay = args["weight_decay"].as_f64();
        match self.text("optimizer") {
            "sgd" | "momentum" | "nesterov" => Sgd {
                lr,
                momentum: args["momentum"].as_f64().unwrap_or(0.0),
                nesterov: args["nesterov"].as_bool().unwrap_or(false),
                weight_decay: weight_decay.unwrap_or(0.0),
                ..Sgd::default()
            }
            .into(),
            "adam" => Adam {
                lr,
                ..Adam::default()
            }
            .into(),
            "adamw" => AdamW {
                lr,
                weight_decay: weight_decay.unwrap(),
                ..AdamW::default()
            }
            .into(),
            "rmsprop" => RmsProp {
                lr,
                ..RmsProp::default()
            }
            .into(),
            other => panic!("no optimizer {other}"),
        }
    }

    fn batch(&self) -> Dataset {
        let x = self.matrix("x");
        if self.arrays.contains_key("labels") {
            let labels = self.array("labels").iter().map(|&l| l as u32).collect();
            Dataset::classes(x, labels).unwrap()
        } else {
            Dataset::values(x, self.matrix("targets")).unwrap()
        }
    }

    fn trainer(&self, device: &Device) -> Trainer {
        let seed = self.case["seed"].as_u64().unwrap();
        let mut trainer =
            Trainer::new(device, &self.network(), self.loss(), self.optimizer(), seed).unwrap();
        let weights = trainer
            .network()
            .tensors()
            .into_iter()
            .map(|(name, shape)| {
                let (fixture_shape, data) = &self.arrays[&format!("init.{name}")];
                assert_eq!(&shape, fixture_shape, "{name}");
                Tensor {
                    data: data.iter().map(|&x| x as f32).collect(),
                    name,
                    shape,
                }
            });
        let weights = Tensors::new(weights.collect());
        trainer.set_weights(&weights).unwrap();
        trainer
    }
}

/// Largest |a − b|, infinite if either is not finite.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |worst, (a, b)| {
        let d = (a - b).abs();
        if d.is_finite() {
            f64::max(worst, d)
        } else {
            f64::INFINITY
        }
    })
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, x| f64::max(m, x.abs()))
}

/// Ten steps: the losses before each, and the weights after them.
fn train(trainer: &mut Trainer, batch: &Dataset) -> (Vec<f64>, Tensors<f64>) {
    let losses = (0..10).map(|_| {
        trainer.step(batch).unwrap();
        trainer.take_loss().unwrap()
    });
    let losses = losses.collect();
    (losses, trainer.weights_f64().unwrap())
}

#[test]
fn the_f64_reference_agrees_to_1e_9() {
    for fixture in Fixture::all() {
        let batch = fixture.batch();
        let mut trainer = fixture.trainer(&Device::reference());
        let close = |what: &str, ours: &[f64], torch: &[f64]| {
            // What is 0 but for its roundings, as the gradient of a bias that the batch's mean takes away, has no digits.
            let error = distance(ours, torch);
            let bound = 1e-9 * largest(torch) + 1e-15;
            assert!(error <= bound, "{}, {what}: {error:e}", fixture.name);
        };
        let output = trainer.predict_f64(batch.inputs()).unwrap();
        close("output", &output, fixture.array("output"));
        trainer.accumulate(&batch).unwrap();
        for gradient in &trainer.gradients_f64().unwrap() {
            let torch = fixture.array(&format!("grad.{}", gradient.name));
            close(&gradient.name, &gradient.data, torch);
        }
        let mut trainer = fixture.trainer(&Device::reference());
        let (losses, weights) = train(&mut trainer, &batch);
        close("losses", &losses, fixture.array("losses"));
        for weight in &weights {
            let torch = fixture.array(&format!("after10.{}", weight.name));
            close(&weight.name, &weight.data, torch);
        }
        for buffer in &trainer.buffers_f64().unwrap() {
            let torch = fixture.array(&format!("after10.{}", buffer.name));
            close(&buffer.name, &buffer.data, torch);
        }
        if fixture.arrays.contains_key("after10_output") {
            let output = trainer.predict_f64(batch.inputs()).unwrap();
            close("output after", &output, fixture.array("after10_output"));
        }
    }
}

/// Output and gradients within the rounding bound that the verifier carries through the plan, which itself must pass.
fn first_step_agrees(device: &Device) {
    for fixture in Fixture::all() {
        let batch = fixture.batch();
        let mut trainer = fixture.trainer(device);
        let report = verify::gradients(&mut trainer, &batch).unwrap();
        assert!(report.passed(), "{}: {report}", fixture.name);
        let torch = fixture.array("output");
        let output = trainer.predict_f64(batch.inputs()).unwrap();
        // Where evaluation differs, its own.
        let mut names = ["output in evaluation, whole plan", "output, whole plan"].iter();
        let check = names.find_map(|name| report.checks.iter().find(|check| check.name == *name));
        let bound = check.unwrap().largest_bound + 1e-9 * largest(torch);
        let error = distance(&output, torch);
        assert!(
            error <= bound,
            "{}, output: {error:e} > {bound:e}",
            fixture.name
        );
        trainer.accumulate(&batch).unwrap();
        for gradient in &trainer.gradients_f64().unwrap() {
            let torch = fixture.array(&format!("grad.{}", gradient.name));
            let name = format!("gradient of {}, whole plan", gradient.name);
            let check = report.checks.iter().find(|check| check.name == name);
            // The reference itself may be off by 1e-9.
            let bound = check.unwrap().largest_bound + 1e-9 * largest(torch);
            let error = distance(&gradient.data, torch);
            assert!(
                error <= bound,
                "{}, gradient of {}: {error:e} > {bound:e}",
                fixture.name,
                gradient.name
            );
        }
    }
}

#[test]
fn first_step_agrees_on_the_cpu() {
    first_step_agrees(&Device::cpu());
}

#[test]
fn first_step_agrees_on_the_gpu() {
    first_step_agrees(&common::gpu());
}

/// Ten steps within the bound of a whole run (see `verify::training`), whose f64 side agrees with PyTorch to 1e-9.
fn ten_steps(device: &Device) {
    for fixture in Fixture::all() {
        let batch = fixture.batch();
        let batches = vec![batch.clone(); 10];
        let report = verify::training(&mut fixture.trainer(device), &batches).unwrap();
        assert!(report.passed(), "{}: {report}", fixture.name);
        let bound = |name: &str, torch: &[f64]| {
            let check = report
                .checks
                .iter()
                .find(|check| check.name.starts_with(name));
            check.unwrap().largest_bound + 1e-9 * largest(torch)
        };
        let (losses, weights) = train(&mut fixture.trainer(device), &batch);
        let torch = fixture.array("losses");
        let (error, bound_) = (distance(&losses, torch), bound("loss curve", torch));
        assert!(
            error <= bound_,
            "{}, losses: {error:e} > {bound_:e}",
            fixture.name
        );
        for weight in &weights {
            let torch = fixture.array(&format!("after10.{}", weight.name));
            let (error, bound) = (distance(&weight.data, torch), bound(&weight.name, torch));
            assert!(
                error <= bound,
                "{}, {}: {error:e} > {bound:e}",
                fixture.name,
                weight.name
            );
            // A bound that says something: under a hundredth of the weights.
            assert!(
                bound <= 1e-2 * largest(torch),
                "{}, {}: {bound:e}",
                fixture.name,
                weight.name
            );
        }
        println!("{}: {report}", fixture.name);
    }
}

#[test]
fn ten_steps_on_the_cpu() {
    ten_steps(&Device::cpu());
}

#[test]
fn ten_steps_on_the_gpu() {
    ten_steps(&common::gpu());
}
