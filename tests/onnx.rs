//! Exported models, run by two other programs: rten, always, and onnxruntime, where a Python has it.

mod common;

use std::path::Path;

use common::{
    Near, UNIT, assert_within, forward_row, numbers, python, run_python, softmax, some_weights,
};
use rten_tensor::AsView;
use wgrad::estimator::{FittedClassifier, FittedRegressor};
use wgrad::{
    Activation, Activation::*, Criterion, CsvOptions, Device, Encoding, Error, Loss, Matrix,
    Missing, Mlp, MlpClassifier, MlpRegressor, Model, Preparation, PreparationOptions,
    Standardizer, Table, TargetEncoding, Tensor, Tensors,
};

/// A model, inputs for it, and how they are prepared.
struct Case {
    name: String,
    model: Model,
    x: Matrix,
    inputs: Standardizer,
    targets: Option<Standardizer>,
}

fn plain(name: &str, network: Mlp, criterion: impl Into<Criterion>) -> Case {
    let x = numbers(7 * network.inputs(), 5);
    let x = x.iter().map(|x| 3.0 * x).collect();
    Case {
        name: name.into(),
        model: Model::new(&network, criterion, some_weights(&network)).unwrap(),
        x: Matrix::new(network.inputs(), x).unwrap(),
        inputs: Standardizer::identity(network.inputs()),
        targets: None,
    }
}

/// Every activation, hidden and at the output; every kind of layer; every kind of output.
fn networks() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut table = Activation::table();
    table.extend([
        LeakyRelu {
            negative_slope: 0.0,
        },
        LeakyRelu {
            negative_slope: 0.3,
        },
        Elu { alpha: 0.7 },
        ReluWith { grad_at_zero: 0.0 },
    ]);
    for phi in table {
        let network = Mlp::new(5).dense(8, phi.clone()).dense(4, phi.clone());
        let mut case = plain(&format!("{phi}"), network, Loss::Mse);
        // From one end of φ to the other.
        let x = case.x.data().iter().map(|x| x.powi(3)).collect();
        case.x = Matrix::new(5, x).unwrap();
        cases.push(case);
        let network = Mlp::new(5).dense(8, phi.clone()).batch_norm();
        let network = network.dense(8, phi.clone()).layer_norm().residual();
        cases.push(plain(
            &format!("{phi} with norms"),
            network.dense(4, Identity),
            Loss::Mse,
        ));
    }
    let losses = [
        (Identity, Loss::CrossEntropy),
        (Identity, Loss::BinaryCrossEntropy),
        (Softmax, Loss::OutputCrossEntropy),
        (Softmax, Loss::KlDivergence),
        (Sigmoid, Loss::OutputCrossEntropy),
        (Softmax, Loss::Mse),
        (Identity, Loss::SquaredError),
        (Tanh, Loss::Huber { delta: 0.5 }),
    ];
    for (phi, loss) in losses {
        let name = format!("{} of {phi}", loss.name());
        let network = Mlp::new(6).dense(9, Relu).dense(3, phi.clone());
        cases.push(plain(&name, network, loss));
        let network = Mlp::new(6)
            .dense(9, Gelu)
            .batch_norm()
            .dropout(0.5)
            .dense(9, Silu)
            .layer_norm()
            .dropout(0.1)
            .residual()
            .dense(3, phi)
            .batch_norm();
        cases.push(plain(&format!("{name}, all layers"), network, loss));
    }
    let network = Mlp::new(4).dense(4, Identity).layer_norm().residual();
    cases.push(plain("one layer", network, Loss::CrossEntropy));
    cases
}

/// Columns far from 0, and far from each other's scale.
fn far_data() -> Matrix {
    let x = numbers(40 * 4, 3);
    let place = |(i, x): (usize, &f32)| match i % 4 {
        0 => *x,
        1 => 1.7e9 + 4e5 * x,
        2 => 1e-12 * x,
        _ => -2020.0 + x.trunc(),
    };
    Matrix::new(4, x.iter().enumerate().map(place).collect()).unwrap()
}

fn classifier() -> (FittedClassifier, Matrix) {
    let x = far_data();
    let labels: Vec<&str> = (0..x.rows())
        .map(|r| ["ant", "bee \"b\"", "çà"][(r * r) % 3])
        .collect();
    let classifier = MlpClassifier {
        hidden: vec![12, 7],
        epochs: 3,
        device: Some(Device::cpu()),
        ..MlpClassifier::default()
    };
    (classifier.fit(&x, &labels).unwrap(), x)
}

fn regressor() -> (FittedRegressor, Matrix) {
    let x = far_data();
    let targets = numbers(40 * 2, 9).into_iter().enumerate();
    let targets = targets.map(|(i, t)| if i % 2 == 0 { 1e6 + t } else { 1e-3 * t });
    let targets = Matrix::new(2, targets.collect()).unwrap();
    let regressor = MlpRegressor {
        hidden: vec![10],
        epochs: 3,
        device: Some(Device::cpu()),
        ..MlpRegressor::default()
    };
    (regressor.fit(&x, &targets).unwrap(), x)
}

fn standardizer(value: &serde_json::Value) -> Standardizer {
    serde_json::from_value(value.clone()).unwrap()
}

const FLATS: &str =
    "size,city,year,rent\n50,Bonn,1990,500\n70,Essen,,630\n60,Bonn,2001,610\n,Köln,1970,700\n";

/// A table of numbers and categories, with a value missing in each of two columns, and its rows as the graph takes them.
fn flats(target: &str) -> (Case, Preparation, Table) {
    let table = Table::from_bytes("flats.csv", FLATS, &CsvOptions::default()).unwrap();
    let options = PreparationOptions {
        missing: Missing::Mean,
        targets: vec![target.into()],
        ..PreparationOptions::default()
    };
    let preparation = Preparation::fit(&table, &options).unwrap();
    let width = preparation.input_width();
    let network = Mlp::new(width).dense(6, Tanh);
    let (loss, network) = match preparation.classes() {
        Some(classes) => (Loss::CrossEntropy, network.dense(classes.len(), Identity)),
        None => (Loss::Mse, network.dense(1, Identity)),
    };
    let mut case = plain(&format!("table, {target}"), network, loss);
    case.model.preparation = Some(serde_json::to_value(&preparation).unwrap());
    case.inputs = Standardizer::identity(width);
    let mut at = 0;
    for input in preparation.inputs() {
        match &input.encoding {
            Encoding::Number { shift, factor, .. } => {
                (case.inputs.shift[at], case.inputs.factor[at]) = (*shift, *factor);
                at += 1;
            }
            Encoding::OneHot { categories, .. } => at += categories.len(),
        }
    }
    if let TargetEncoding::Values { standardizer, .. } = preparation.target() {
        case.targets = Some(standardizer.clone());
    }
    (case, preparation, table)
}

fn cases() -> Vec<Case> {
    let mut cases = networks();
    let (mut classifier, x) = classifier();
    let model = classifier.model().unwrap();
    cases.push(Case {
        name: "classifier".into(),
        inputs: standardizer(&model.preparation.as_ref().unwrap()["inputs"]),
        targets: None,
        model,
        x,
    });
    let (mut regressor, x) = regressor();
    let model = regressor.model().unwrap();
    let preparation = model.preparation.as_ref().unwrap();
    cases.push(Case {
        name: "regressor".into(),
        inputs: standardizer(&preparation["inputs"]),
        targets: Some(standardizer(&preparation["targets"])),
        model,
        x,
    });
    let (mut case, _, _) = flats("rent");
    // size, city=Bonn, city=Essen, city=Köln, year
    case.x = Matrix::from_rows(&[
        [50.0, 1.0, 0.0, 0.0, 1990.0],
        [71.5, 0.0, 1.0, 0.0, 2020.0],
        [64.0, 0.0, 0.0, 0.0, 1950.0],
    ])
    .unwrap();
    cases.push(case);
    let (mut case, _, _) = flats("city");
    // size, year, rent
    case.x = Matrix::from_rows(&[[50.0, 1990.0, 500.0], [1e4, 2020.0, 0.0]]).unwrap();
    cases.push(case);
    cases
}

/// Outputs by name, in the order of the file.
type Answers = Vec<(String, Vec<f32>)>;

/// An f32 implementation of (x − shift)·factor may round shift, factor and three results; a shift in two parts leaves 2⁻⁴⁸ of it.
fn prepared(case: &Case, row: &[f32]) -> Vec<Near> {
    let scale = |(c, &x): (usize, &f32)| {
        let (shift, factor) = (case.inputs.shift[c], case.inputs.factor[c]);
        if (shift, factor) == (0.0, 1.0) {
            return (f64::from(x), 0.0);
        }
        let d = f64::from(x) - shift;
        let off = 5.0 * UNIT * d.abs() + 2.0 * UNIT * UNIT * shift.abs();
        (d * factor, off * factor.abs())
    };
    row.iter().enumerate().map(scale).collect()
}

/// What each output must be near.
fn expected(case: &Case) -> Vec<(String, Vec<Near>)> {
    let mut outputs: Vec<(String, Vec<Near>)> = Vec::new();
    let network = case.model.network();
    let softmax_at_end = network.layers().last().unwrap().activation == Softmax;
    for r in 0..case.x.rows() {
        let x = prepared(case, case.x.row(r));
        let (h, z) = forward_row(network, case.model.weights(), x);
        let row: Vec<(&str, Vec<Near>)> = match case.model.criterion().loss {
            Loss::CrossEntropy => vec![("logits", h.clone()), ("probabilities", softmax(&h))],
            Loss::BinaryCrossEntropy => {
                let sigmoid = |z: &Near| (Sigmoid.apply(z.0), z.1 / 4.0 + 8.0 * UNIT);
                let probabilities = h.iter().map(sigmoid).collect();
                vec![("logits", h), ("probabilities", probabilities)]
            }
            Loss::OutputCrossEntropy | Loss::KlDivergence if softmax_at_end => {
                vec![("logits", z), ("probabilities", h)]
            }
            Loss::OutputCrossEntropy | Loss::KlDivergence => vec![("probabilities", h)],
            _ => {
                let scale = |(c, &(y, e)): (usize, &Near)| match &case.targets {
                    // The scale, its inverse, two results; the shift.
                    Some(Standardizer { shift, factor, .. }) => {
                        let y = y / factor[c];
                        let e = e / factor[c].abs();
                        let size = y.abs() + e + shift[c].abs();
                        (y + shift[c], e + 5.0 * UNIT * size)
                    }
                    None => (y, e),
                };
                vec![("values", h.iter().enumerate().map(scale).collect())]
            }
        };
        for (i, (name, row)) in row.into_iter().enumerate() {
            if r == 0 {
                outputs.push((name.into(), Vec::new()));
            }
            outputs[i].1.extend(row);
        }
    }
    outputs
}

/// Whether outputs are near what they must be, and `class` the largest of the first of them.
fn check(what: &str, case: &Case, answers: &Answers) {
    let what = format!("{}, {what}", case.name);
    let expected = expected(case);
    let names: Vec<&str> = answers.iter().map(|(name, _)| name.as_str()).collect();
    let mut wanted: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let loss = case.model.criterion().loss;
    if !matches!(loss, Loss::BinaryCrossEntropy) && wanted != ["values"] {
        wanted.push("class");
    }
    assert_eq!(names, wanted, "{what}");
    for ((name, got), (_, near)) in answers.iter().zip(&expected) {
        let near = near.iter().copied().unzip();
        assert_within(&format!("{what}, {name}"), got, &near);
    }
    if wanted.contains(&"class") {
        let (_, classes) = answers.last().unwrap();
        let cols = case.model.network().outputs();
        let largest = |row: &[f32]| {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter().position(|x| *x == most).unwrap() as f32
        };
        let rows: Vec<f32> = answers[0].1.chunks(cols).map(largest).collect();
        assert_eq!(classes, &rows, "{what}");
    }
}

/// What our own path gives for the network's output must be near too: the model is what was exported.
fn check_ours(case: &Case) {
    let prepared: Vec<f32> = (0..case.x.rows())
        .flat_map(|r| prepared(case, case.x.row(r)))
        .map(|x| x.0 as f32)
        .collect();
    let x = Matrix::new(case.x.cols(), prepared).unwrap();
    let got = case.model.predict(&Device::cpu(), &x).unwrap();
    let rows = (0..x.rows()).flat_map(|r| {
        let row = x.row(r).iter();
        let row = row.map(|&x| (f64::from(x), 0.0)).collect();
        forward_row(case.model.network(), case.model.weights(), row).0
    });
    assert_within(&case.name, got.data(), &rows.unzip());
}

/// Runs a file with rten.
fn rten(bytes: Vec<u8>, cols: usize, x: &[f32]) -> Answers {
    let model = rten::Model::load(bytes).unwrap();
    let [id] = model.input_ids() else {
        panic!("one input")
    };
    assert_eq!(model.node_info(*id).unwrap().name(), Some("x"));
    let x = rten_tensor::NdTensor::from_data([x.len() / cols, cols], x.to_vec());
    let ids = model.output_ids();
    let outputs = model.run(vec![(*id, x.into())], ids, None).unwrap();
    let name = |id: &rten::NodeId| model.node_info(*id).unwrap().name().unwrap().to_owned();
    let numbers = |value: rten::Value| match value {
        rten::Value::FloatTensor(x) => x.to_vec(),
        rten::Value::Int32Tensor(x) => x.iter().map(|&x| x as f32).collect(),
        other => panic!("{other:?}"),
    };
    ids.iter()
        .map(name)
        .zip(outputs.into_iter().map(numbers))
        .collect()
}

#[test]
fn rten_gives_our_outputs() {
    for case in cases() {
        check_ours(&case);
        let bytes = case.model.to_onnx().unwrap();
        check(
            "rten",
            &case,
            &rten(bytes.clone(), case.x.cols(), case.x.data()),
        );
        // The batch is of any size.
        let one = Case {
            x: Matrix::new(case.x.cols(), case.x.row(1).to_vec()).unwrap(),
            ..case
        };
        check(
            "rten, one row",
            &one,
            &rten(bytes, one.x.cols(), one.x.data()),
        );
    }
}

const ONNXRUNTIME: &str = r#"
import json, sys
import numpy as np, onnx, onnxruntime
from safetensors.numpy import load_file, save_file
folder = sys.argv[1]
for case in json.load(open(f"{folder}/cases.json")):
    path = f"{folder}/{case}.onnx"
    onnx.checker.check_model(path, full_check=True)
    for level in ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        x = load_file(f"{folder}/{case}.x")["x"]
        assert [(i.name, i.shape) for i in session.get_inputs()] == [("x", ["batch", x.shape[1]])]
        names = [o.name for o in session.get_outputs()]
        for rows in [len(x), 1]:
            outputs = session.run(None, {"x": x[:rows]})
            for o, y in zip(session.get_outputs(), outputs):
                assert o.shape == ["batch", *y.shape[1:]] and len(y) == rows, (o.shape, y.shape)
                assert (o.type == "tensor(int64)") == (o.name == "class"), o.type
            # Numbered, since a file has its tensors in an order of its own.
            named = {f"{i} {name}": np.asarray(y, np.float32) for i, (name, y) in enumerate(zip(names, outputs))}
            save_file(named, f"{folder}/{case}.{level}.{rows}")
    m = session.get_modelmeta()
    assert m.producer_name == "wgrad" and m.graph_name == "mlp", (m.producer_name, m.graph_name)
    json.dump(m.custom_metadata_map, open(f"{folder}/{case}.metadata", "w"))
print(onnxruntime.__version__)
"#;

fn save_x(x: &Matrix, path: &Path) {
    let tensor = Tensor {
        name: "x".into(),
        shape: vec![x.rows(), x.cols()],
        data: x.data().to_vec(),
    };
    Tensors::new(vec![tensor]).save(path).unwrap();
}

#[test]
fn onnxruntime_gives_our_outputs() {
    let Some(python) = python("onnx, onnxruntime, numpy, safetensors.numpy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let cases = cases();
    for (i, case) in cases.iter().enumerate() {
        case.model.save_onnx(at(format!("{i}.onnx"))).unwrap();
        save_x(&case.x, &at(format!("{i}.x")));
    }
    let all: Vec<usize> = (0..cases.len()).collect();
    std::fs::write(at("cases.json".into()), format!("{all:?}")).unwrap();
    let version = run_python(&python, ONNXRUNTIME, &[folder.path()]);
    println!("{} files, onnxruntime {}", cases.len(), version.trim());
    for (i, mut case) in cases.into_iter().enumerate() {
        let text = std::fs::read_to_string(at(format!("{i}.metadata"))).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(metadata["network"], case.model.network().to_string());
        let x = case.x.clone();
        for rows in [x.rows(), 1] {
            case.x = Matrix::new(x.cols(), x.data()[..rows * x.cols()].to_vec()).unwrap();
            for level in ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"] {
                let read = Tensors::load(at(format!("{i}.{level}.{rows}"))).unwrap();
                let mut answers: Answers = read
                    .iter()
                    .map(|t| (t.name.clone(), t.data.clone()))
                    .collect();
                answers.sort_by(|a, b| a.0.cmp(&b.0));
                for (name, _) in &mut answers {
                    *name = name[2..].into();
                }
                check(&format!("onnxruntime, {level}"), &case, &answers);
            }
        }
    }
}

/// With missing values filled in, as the tool does it.
#[test]
fn a_missing_number_is_filled_in() {
    let (mut case, preparation, table) = flats("rent");
    let x = preparation.apply_inputs(&table).unwrap();
    let ours = case.model.predict(&Device::cpu(), &x).unwrap();
    let ours = preparation.inverse_target(&ours).unwrap();
    let rows = |size: f32, year: f32| {
        [
            [50.0, 1.0, 0.0, 0.0, 1990.0],
            [70.0, 0.0, 1.0, 0.0, year],
            [60.0, 1.0, 0.0, 0.0, 2001.0],
            [size, 0.0, 0.0, 1.0, 1970.0],
        ]
    };
    let gaps = rows(f32::NAN, f32::NAN);
    let answers = rten(case.model.to_onnx().unwrap(), 5, gaps.as_flattened());
    // What the graph fills in is the mean in f32.
    case.x = Matrix::from_rows(&rows(60.0, 5961.0 / 3.0)).unwrap();
    check("rten", &case, &answers);
    let near: Vec<Near> = expected(&case)[0].1.clone();
    // Ours fills in the mean itself, which is within 2⁻²⁴ of it. That goes through the year's factor, a weight of each hidden unit,
    // tanh, whose slope is 1 at most, the unit's weight at the output, and the scale of the rents.
    let weights = case.model.weights();
    let (first, last) = (weights.weight(0).unwrap(), weights.weight(1).unwrap());
    let ways = (0..6).map(|j| f64::from(first.data[5 * j + 4] * last.data[j]).abs());
    let slope =
        ways.sum::<f64>() * case.inputs.factor[4] / case.targets.as_ref().unwrap().factor[0];
    let moved = 1987.0 * UNIT * slope;
    let near = near.into_iter().map(|(y, e)| (y, e + moved));
    assert_within("ours", ours.data(), &near.unzip());
}

#[test]
fn what_onnx_cannot_say_is_refused() {
    let wgsl = "fn activate(z: f32) -> f32 { return z * z; }\nfn activate_grad(z: f32) -> f32 { return 2.0 * z; }";
    let square = Activation::custom("square", wgsl, |z| z * z, |z| 2.0 * z).unwrap();
    let network = Mlp::new(2).dense(3, Tanh).dense(1, square);
    let model = Model::new(&network, Loss::Mse, some_weights(&network)).unwrap();
    let said = |error: Error, parts: &[&str]| {
        assert!(matches!(error, Error::Export { .. }), "{error}");
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{text} has no {part}");
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, "what was there").unwrap();
    said(
        model.save_onnx(&path).unwrap_err(),
        &["\"square\"", "layer 1", "ONNX", "built-in"],
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
    // Of which only the name is known.
    let loaded = Model::from_bytes(&model.to_bytes()).unwrap();
    let error = loaded.to_onnx().unwrap_err();
    assert!(matches!(error, Error::MissingActivation { .. }), "{error}");

    let network = Mlp::new(2).dense(1, Identity);
    let mut model = Model::new(&network, Loss::Mse, some_weights(&network)).unwrap();
    model.preparation = Some(serde_json::json!({"mean": [1.0, 2.0]}));
    said(model.to_onnx().unwrap_err(), &["preparation", "None"]);
    let (flats, ..) = flats("rent");
    model.preparation = flats.model.preparation;
    said(
        model.to_onnx().unwrap_err(),
        &["gives 5 inputs and 1 outputs", "has 2 and 1"],
    );
    let scales = |factor: f64| {
        let of =
            |x: f64| serde_json::json!({"shift": [0.0, 0.0], "factor": [1.0, x], "constant": []});
        serde_json::json!({"estimator": "regressor", "inputs": of(factor), "targets": null})
    };
    model.preparation = Some(scales(1e40));
    said(
        model.to_onnx().unwrap_err(),
        &["factor of column 1", "1e40"],
    );
    model.preparation = Some(scales(0.0));
    let error = model.to_onnx().unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    model.preparation = Some(scales(2.0));
    assert!(model.to_onnx().is_ok());
    // A network that no trainer would take.
    let network = Mlp::new(2).dense(1, Softmax).dense(1, Identity);
    let model = Model::new(&network, Loss::Mse, some_weights(&network)).unwrap();
    let error = model.to_onnx().unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    let network = Mlp::new(2).dense(1, Tanh);
    let model = Model::new(&network, Loss::CrossEntropy, some_weights(&network)).unwrap();
    let error = model.to_onnx().unwrap_err();
    assert!(matches!(error, Error::OutputActivation { .. }), "{error}");
}
