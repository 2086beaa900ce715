//! Weights as PyTorch has them, and models: PyTorch's files here, ours in PyTorch.

use crate::common::{assert_within, forward_bound, gpu, numbers, python, run_python, some_weights};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use wgrad::{
    Activation, Activation::*, Adam, Device, Error, Init, Loss, Matrix, Mlp, Model, Sgd, Tensor,
    Tensors, Trainer,
};

/// That of fixtures/weights/make.py.
fn network() -> Mlp {
    Mlp::new(5).dense(9, Gelu).dense(6, Tanh).dense(3, Identity)
}

const F32: &[u8] = include_bytes!("../fixtures/weights/f32.safetensors");
const F64: &[u8] = include_bytes!("../fixtures/weights/f64.safetensors");
const F16: &[u8] = include_bytes!("../fixtures/weights/f16.safetensors");
const BF16: &[u8] = include_bytes!("../fixtures/weights/bf16.safetensors");
const WITH_INTEGER: &[u8] = include_bytes!("../fixtures/weights/with_integer.safetensors");
const LAYERS: &[u8] = include_bytes!("../fixtures/weights/layers.safetensors");
const LAYERS_IO: &[u8] = include_bytes!("../fixtures/weights/layers_io.safetensors");
const IO: &[u8] = include_bytes!("../fixtures/weights/io.safetensors");

fn trainer(device: &Device, network: &Mlp) -> Trainer {
    Trainer::new(device, network, Loss::Mse, Sgd::default(), 3).unwrap()
}

#[test]
fn pytorch_s_weights_give_pytorch_s_outputs() {
    let io = Tensors::from_bytes(IO).unwrap();
    let x = Matrix::new(5, io.get("x").unwrap().data.clone()).unwrap();
    let weights = Tensors::from_bytes(F32).unwrap();
    let bound = forward_bound(&network(), &weights, &x);
    assert_within("PyTorch", &io.get("y").unwrap().data, &bound);
    for device in [Device::cpu(), gpu()] {
        let mut trainer = trainer(&device, &network());
        trainer.set_weights(&weights).unwrap();
        let got = trainer.predict(&x).unwrap();
        assert_within(&device.to_string(), got.data(), &bound);
    }
}

/// With normalisation, its running statistics, dropout and a residual connection; PyTorch counts batches, too.
#[test]
fn pytorch_s_layers_give_pytorch_s_outputs() {
    let network = Mlp::new(5)
        .dense(9, Gelu)
        .batch_norm()
        .dropout(0.3)
        .dense(9, Tanh)
        .layer_norm()
        .residual()
        .dense(3, Identity);
    let x = Tensors::from_bytes(IO).unwrap().get("x").unwrap().clone();
    let x = Matrix::new(5, x.data).unwrap();
    let theirs = SafeTensors::deserialize(LAYERS).unwrap();
    assert!(theirs.tensor("1.num_batches_tracked").is_ok());
    let weights = Tensors::from_bytes(LAYERS).unwrap();
    let bound = forward_bound(&network, &weights, &x);
    let y = Tensors::from_bytes(LAYERS_IO).unwrap();
    assert_within("PyTorch", &y.get("y").unwrap().data, &bound);
    for device in [Device::cpu(), gpu()] {
        let mut trainer = trainer(&device, &network);
        trainer.set_weights(&weights).unwrap();
        let got = trainer.predict(&x).unwrap();
        assert_within(&device.to_string(), got.data(), &bound);
        // What we write of them is what PyTorch wrote, but for its count.
        let model = trainer.model().unwrap();
        let bytes = model.to_bytes();
        let ours = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(ours.len(), theirs.len() - 1);
        for (name, view) in ours.iter() {
            assert_eq!(theirs.tensor(name).unwrap(), view, "{name}");
        }
    }
}

#[test]
fn other_number_formats_become_f32_as_documented() {
    let plain = Tensors::from_bytes(F32).unwrap();
    assert_eq!(Tensors::from_bytes(F64).unwrap(), plain); // each f64 was an f32
    let (half, brain) = (
        Tensors::from_bytes(F16).unwrap(),
        Tensors::from_bytes(BF16).unwrap(),
    );
    let mut different = 0;
    for tensor in &plain {
        let half = &half.get(&tensor.name).unwrap().data;
        let brain = &brain.get(&tensor.name).unwrap().data;
        for (i, &x) in tensor.data.iter().enumerate() {
            assert_eq!(half[i], half::f16::from_f32(x).to_f32());
            assert_eq!(brain[i], half::bf16::from_f32(x).to_f32());
            different += usize::from(half[i] != x);
        }
    }
    assert!(different > 0);
    let error = Tensors::from_bytes(WITH_INTEGER).unwrap_err();
    assert!(matches!(error, Error::File { .. }));
    let text = error.to_string();
    assert!(text.contains("\"steps\"") && text.contains("I64"), "{text}");
}

#[test]
fn an_f64_is_rounded_or_refused() {
    let file = |x: f64| {
        let bytes = x.to_le_bytes();
        let view = TensorView::new(Dtype::F64, vec![1], &bytes).unwrap();
        serialize([("a", view)], None).unwrap()
    };
    let loaded = Tensors::from_bytes(&file(0.1)).unwrap();
    assert_eq!(loaded.get("a").unwrap().data, [0.1f32]);
    // Rounds to f32::MAX, and what is half a step beyond it does not.
    let loaded = Tensors::from_bytes(&file(f64::from(f32::MAX) * (1.0 + 1e-9))).unwrap();
    assert_eq!(loaded.get("a").unwrap().data, [f32::MAX]);
    let error = Tensors::from_bytes(&file(1e39)).unwrap_err();
    assert!(matches!(error, Error::Value { .. }), "{error}");
}

/// Our file has the names, types, shapes and bits that PyTorch's has.
#[test]
fn our_file_is_pytorch_s() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut trainer = trainer(&gpu(), &network());
    trainer
        .set_weights(&Tensors::from_bytes(F32).unwrap())
        .unwrap();
    trainer.save_weights(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let ours = SafeTensors::deserialize(&bytes).unwrap();
    let theirs = SafeTensors::deserialize(F32).unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (name, view) in theirs.iter() {
        assert_eq!(ours.tensor(name).unwrap(), view, "{name}");
    }
    trainer.load_weights(&path).unwrap();
    assert_eq!(
        trainer.weights().unwrap(),
        Tensors::from_bytes(F32)
            .map(|t| {
                let order = network().tensors().into_iter();
                Tensors::new(
                    order
                        .map(|(name, _)| t.get(&name).unwrap().clone())
                        .collect(),
                )
            })
            .unwrap()
    );
}

/// Every activation and every kind of layer that an nn.Sequential can have, with residual connections around parts of it.
const PYTORCH_LOADS_OURS: &str = r#"
import json, re, sys
import torch
from safetensors.torch import load_file, save_file
nn = torch.nn
folder = sys.argv[1]
def activation(text):
    name, argument = re.fullmatch(r"(\w+)(?:\(\w+=(.*)\))?", text).groups()
    argument = float(argument) if argument else None
    return {
        "identity": nn.Identity, "relu": nn.ReLU, "relu_with": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(argument),
        "elu": lambda: nn.ELU(argument), "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softplus": nn.Softplus, "silu": nn.SiLU,
        "gelu": nn.GELU, "gelu_tanh": lambda: nn.GELU(approximate="tanh"), "softmax": lambda: nn.Softmax(-1),
    }[name]()
def build(case):
    modules, parts, inputs = [], [], case["inputs"]
    for layer in case["layers"]:
        outputs, begin = layer["outputs"], len(modules)
        modules.append(nn.Linear(inputs, outputs))
        if layer["norm"]:
            modules.append({"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}[layer["norm"]](outputs))
        modules.append(activation(layer["activation"]))
        if layer["dropout"] is not None:
            modules.append(nn.Dropout(layer["dropout"]))
        parts.append((begin, len(modules), layer["residual"]))
        inputs = outputs
    return nn.Sequential(*modules), parts
def run(net, parts, x):
    for begin, end, residual in parts:
        x = x + net[begin:end](x) if residual else net[begin:end](x)
    return x
x = load_file(f"{folder}/x.safetensors")["x"]
torch.manual_seed(7)
for case in range(int(sys.argv[2])):
    name = f"{folder}/{case}"
    net, parts = build(json.load(open(f"{name}.json")))
    net.load_state_dict(load_file(f"{name}.safetensors"))
    net.eval()
    with torch.no_grad():
        save_file({"y": run(net, parts, x)}, f"{name}.y.safetensors")
    # And the reverse: weights that were drawn there, and statistics of batches that were seen there.
    net, parts = build(json.load(open(f"{name}.json")))
    with torch.no_grad():
        for _ in range(3):
            run(net, parts, torch.randn(16, x.shape[1]))
        net.eval()
        save_file(net.state_dict(), f"{name}.theirs.safetensors")
        save_file({"y": run(net, parts, x)}, f"{name}.theirs_y.safetensors")
print(torch.__version__)
"#;

/// Networks of every activation, alone and with every kind of layer.
fn all_networks() -> Vec<Mlp> {
    let mut table = Activation::table();
    table.extend([
        Softmax,
        LeakyRelu {
            negative_slope: 0.3,
        },
        Elu { alpha: 0.7 },
    ]);
    let mut networks = Vec::new();
    for phi in table {
        // Softmax is for the output alone.
        let hidden = if phi == Softmax { Tanh } else { phi.clone() };
        networks.push(
            Mlp::new(5)
                .dense(8, Tanh)
                .dense(7, hidden.clone())
                .dense(4, phi.clone()),
        );
        networks.push(
            Mlp::new(5)
                .dense(5, hidden.clone())
                .residual()
                .dense(8, hidden.clone())
                .batch_norm()
                .dropout(0.25)
                .dense(8, hidden)
                .layer_norm()
                .dropout(0.5)
                .residual()
                .dense(4, phi)
                .batch_norm(),
        );
    }
    networks
}

#[test]
fn pytorch_loads_ours_and_we_load_pytorch_s() {
    let Some(python) = python("torch, safetensors.torch") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let x = Matrix::new(5, numbers(5 * 17, 1).iter().map(|x| 3.0 * x).collect()).unwrap();
    let tensor = Tensor {
        name: "x".into(),
        shape: vec![17, 5],
        data: x.data().to_vec(),
    };
    Tensors::new(vec![tensor])
        .save(at("x.safetensors".into()))
        .unwrap();
    let networks = all_networks();
    for (i, network) in networks.iter().enumerate() {
        let json = serde_json::to_string(network).unwrap();
        std::fs::write(at(format!("{i}.json")), json).unwrap();
        let path = at(format!("{i}.safetensors"));
        match i % 2 {
            0 => some_weights(network).save(path).unwrap(),
            // A model's file too is a state_dict.
            _ => Model::new(network, Loss::Mse, some_weights(network))
                .unwrap()
                .save(path)
                .unwrap(),
        }
    }
    let count = networks.len().to_string();
    let version = run_python(
        &python,
        PYTORCH_LOADS_OURS,
        &[folder.path(), count.as_ref()],
    );
    println!("{count} networks, PyTorch {}", version.trim());
    for (i, network) in networks.iter().enumerate() {
        let read = |file: String| {
            let tensors = Tensors::load(at(file)).unwrap();
            tensors.get("y").unwrap().data.clone()
        };
        let mut trainer = trainer(&Device::cpu(), network);
        trainer
            .load_weights(at(format!("{i}.safetensors")))
            .unwrap();
        let bound = forward_bound(network, &some_weights(network), &x);
        assert_within(
            &format!("{network}, ours"),
            trainer.predict(&x).unwrap().data(),
            &bound,
        );
        let what = format!("{network}, ours in PyTorch");
        assert_within(&what, &read(format!("{i}.y.safetensors")), &bound);

        trainer
            .load_weights(at(format!("{i}.theirs.safetensors")))
            .unwrap();
        let model = trainer.model().unwrap();
        let bound = forward_bound(network, model.weights(), &x);
        let what = format!("{network}, PyTorch's");
        assert_within(&what, &read(format!("{i}.theirs_y.safetensors")), &bound);
        let what = format!("{network}, PyTorch's here");
        assert_within(&what, trainer.predict(&x).unwrap().data(), &bound);
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut trainer = trainer(&Device::cpu(), &network());
    let before = trainer.weights().unwrap();
    let all: Vec<Tensor> = before.iter().cloned().collect();

    Tensors::new(all[1..].to_vec()).save(&path).unwrap();
    let error = trainer.load_weights(&path).unwrap_err();
    assert!(
        matches!(&error, Error::MissingTensor { name, .. } if name == "0.weight"),
        "{error}"
    );

    let mut more = all.clone();
    more[0].name = "fc1.weight".into();
    Tensors::new(more).save(&path).unwrap();
    let error = trainer.load_weights(&path).unwrap_err();
    assert!(
        matches!(&error, Error::UnknownTensor { name, .. } if name == "fc1.weight"),
        "{error}"
    );

    let mut turned = all.clone();
    turned[0].shape.reverse();
    Tensors::new(turned).save(&path).unwrap();
    let error = trainer.load_weights(&path).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");

    let mut nan = all.clone();
    nan[3].data[1] = f32::NAN;
    Tensors::new(nan).save(&path).unwrap();
    let error = trainer.load_weights(&path).unwrap_err();
    assert!(matches!(error, Error::Value { .. }), "{error}");

    let mut short = all;
    short[0].data.pop();
    let error = Tensors::new(short).save(&path).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
    assert_eq!(trainer.weights().unwrap(), before);
}

#[test]
fn a_model_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let network = Mlp::new(4)
        .dense(
            5,
            LeakyRelu {
                negative_slope: 0.1 + 0.2,
            },
        )
        .dense(6, Elu { alpha: 1.0 / 3.0 })
        .dense(7, ReluWith { grad_at_zero: 0.25 })
        .dense(3, Softmax)
        .init(Init::HeNormal);
    let criterion = Loss::KlDivergence.sum();
    let mut trainer = Trainer::new(&gpu(), &network, criterion, Adam::default(), 9).unwrap();
    let mut model = trainer.model().unwrap();
    model.preparation = Some(serde_json::json!({"mean": [0.1, 1e-300], "names": ["a\"b\\", "é"]}));
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded, model);
    assert_eq!(loaded.network(), &network);
    assert_eq!(loaded.criterion(), criterion);
    assert_eq!(loaded.version(), env!("CARGO_PKG_VERSION"));
    // The same model is the same bytes.
    assert_eq!(loaded.to_bytes(), std::fs::read(&path).unwrap());
    let x = Matrix::new(4, numbers(12, 5)).unwrap();
    let expected = trainer.predict(&x).unwrap();
    assert_eq!(loaded.predict(&gpu(), &x).unwrap(), expected);
    // Weights alone are read from it too.
    assert_eq!(
        Tensors::load(&path).unwrap().get("4.bias"),
        model.weights().get("4.bias")
    );
}

#[test]
fn a_custom_activation_is_put_in_its_place_again() {
    let square = |name: &str| {
        let wgsl = "fn activate(z: f32) -> f32 { return z * z; }\nfn activate_grad(z: f32) -> f32 { return 2.0 * z; }";
        Activation::custom(name, wgsl, |z| z * z, |z| 2.0 * z).unwrap()
    };
    let network = Mlp::new(2).dense(3, square("square")).dense(1, Identity);
    let mut trainer = trainer(&Device::cpu(), &network);
    let model = Model::from_bytes(&trainer.model().unwrap().to_bytes()).unwrap();
    let x = Matrix::new(2, vec![0.5, -1.5]).unwrap();
    let is_missing =
        |error: &Error| matches!(error, Error::MissingActivation { name } if name == "square");
    let error = model.predict(&Device::cpu(), &x).unwrap_err();
    assert!(is_missing(&error), "{error}");
    let error = model
        .clone()
        .with_activations(&[square("cube"), Tanh])
        .unwrap_err();
    assert!(is_missing(&error), "{error}");
    let model = model
        .with_activations(&[square("cube"), square("square")])
        .unwrap();
    assert_eq!(
        model.predict(&Device::cpu(), &x).unwrap(),
        trainer.predict(&x).unwrap()
    );
}

/// One whose name is that of a built-in one is not taken for it.
#[test]
fn a_custom_activation_called_relu_is_not_relu() {
    let wgsl =
        "fn activate(z: f32) -> f32 { return z; }\nfn activate_grad(z: f32) -> f32 { return 1.0; }";
    let phi = Activation::custom("relu", wgsl, |z| z, |_| 1.0).unwrap();
    let network = Mlp::new(2).dense(1, phi);
    let model = trainer(&Device::cpu(), &network).model().unwrap();
    let loaded = Model::from_bytes(&model.to_bytes()).unwrap();
    assert_ne!(loaded.network().layers()[0].activation, Relu);
    assert!(loaded.trainer(&Device::cpu(), Sgd::default()).is_err());
}

#[test]
fn activations_come_back_from_their_text() {
    let mut table = Activation::table();
    table.extend([
        Softmax,
        LeakyRelu {
            negative_slope: 1e-300,
        },
        Elu { alpha: 0.1 + 0.2 },
    ]);
    for phi in table {
        assert_eq!(phi.to_string().parse(), Ok(phi.clone()));
        assert_eq!(
            serde_json::to_string(&phi).unwrap(),
            format!("{:?}", phi.to_string())
        );
    }
    assert_eq!("elu".parse(), Ok(Elu { alpha: 1.0 }));
    for wrong in [
        "",
        "Relu",
        "elu(",
        "elu(beta=1)",
        "elu(alpha)",
        "elu(alpha=x)",
        "elu(alpha=-1)",
        "tanh(alpha=1)",
        "custom:relu",
    ] {
        let error = wrong.parse::<Activation>().unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{wrong}: {error}");
    }
}
