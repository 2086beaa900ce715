//! Exported models, run by two other programs: rten, always, and onnxruntime, where a Python has it.

use crate::common::{
    Near, UNIT, assert_within, forward_row, numbers, python, run_python, softmax, some_weights,
};
use rten_tensor::AsView;
use wgrad::estimator::{FittedClassifier, FittedRegressor};
use wgrad::{
    Activation, Activation::*, Criterion, CsvOptions, Device, Encoding, Error, Loss, Matrix,
    Missing, Mlp, MlpClassifier, MlpRegressor, Model, Preparation, PreparationOptions,
    Standardizer, Table, TargetEncoding,
};

/// A model, inputs for it, and how they are prepared.
struct Case {
    name: String,
    model: Model,
    x: Matrix<f64>,
    inputs: Standardizer,
    targets: Option<Standardizer>,
}

/// Whether f32 cannot hold the numbers that come to a scale, as the documentation of `save_onnx` says it.
fn far(Standardizer { shift, factor, .. }: &Standardizer) -> bool {
    let mut scales = shift.iter().zip(factor);
    scales.any(|(shift, factor)| (shift * factor).abs() > 16.0)
}

impl Case {
    /// Whether `x` is f64.
    fn takes_doubles(&self) -> bool {
        far(&self.inputs)
    }

    /// Whether `values` are f64.
    fn gives_doubles(&self) -> bool {
        self.targets.as_ref().is_some_and(far)
    }

    /// The first `rows` rows, in the type of the graph's input.
    fn head(&self, rows: usize) -> Matrix<f64> {
        let round = |x: &f64| match self.takes_doubles() {
            true => *x,
            false => f64::from(*x as f32),
        };
        let cols = self.x.cols();
        let x = self.x.data()[..rows * cols].iter().map(round);
        Matrix::new(cols, x.collect()).unwrap()
    }
}

fn plain(name: &str, network: Mlp, criterion: impl Into<Criterion>) -> Case {
    let x = numbers(7 * network.inputs(), 5);
    let x = x.iter().map(|x| f64::from(3.0 * x)).collect();
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

/// Columns of four scales; `far` ones are too far from 0 for f32.
fn columns(far: bool) -> Matrix<f64> {
    let x = numbers(40 * 4, 3);
    let place = |(i, &x): (usize, &f32)| {
        let x = f64::from(x);
        match (i % 4, far) {
            (0, _) => x,
            (1, true) => 1.7e9 + 0.4 * x,
            (1, false) => -2e6 + 4e5 * x,
            (2, _) => 1e-12 * x,
            (_, true) => -2020.0 + x.trunc(),
            (_, false) => -2.0 + x.trunc(),
        }
    };
    Matrix::new(4, x.iter().enumerate().map(place).collect()).unwrap()
}

fn classifier(far: bool) -> (FittedClassifier, Matrix<f64>) {
    let x = columns(far);
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

fn regressor(far: bool) -> (FittedRegressor, Matrix<f64>) {
    let x = columns(far);
    let targets = numbers(40 * 2, 9).into_iter().enumerate();
    let offset = if far { 1.7e9 } else { -3.0 };
    let targets = targets.map(|(i, t)| match i % 2 {
        0 => offset + f64::from(t),
        _ => 1e-3 * f64::from(t),
    });
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
    "size,city,age,rent\n50,Bonn,34,500\n70,Essen,,630\n60,Bonn,23,610\n,Köln,54,700\n";

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
    for (far, name) in [(false, ""), (true, ", far")] {
        let (mut classifier, x) = classifier(far);
        let model = classifier.model().unwrap();
        cases.push(Case {
            name: format!("classifier{name}"),
            inputs: standardizer(&model.preparation.as_ref().unwrap()["inputs"]),
            targets: None,
            model,
            x,
        });
        let (mut regressor, x) = regressor(far);
        let model = regressor.model().unwrap();
        let preparation = model.preparation.as_ref().unwrap();
        cases.push(Case {
            name: format!("regressor{name}"),
            inputs: standardizer(&preparation["inputs"]),
            targets: Some(standardizer(&preparation["targets"])),
            model,
            x,
        });
    }
    let (mut case, _, _) = flats("rent");
    // size, city=Bonn, city=Essen, city=Köln, age
    case.x = Matrix::from_rows(&[
        [50.0, 1.0, 0.0, 0.0, 34.0],
        [71.5, 0.0, 1.0, 0.0, 4.0],
        [64.0, 0.0, 0.0, 0.0, 74.0],
    ])
    .unwrap();
    cases.push(case);
    let (mut case, _, _) = flats("city");
    // size, age, rent
    case.x = Matrix::from_rows(&[[50.0, 34.0, 500.0], [1e4, 4.0, 0.0]]).unwrap();
    cases.push(case);
    cases
}

/// Outputs by name, in the order of the file.
type Answers = Vec<(String, Vec<f64>)>;

/// An f32 implementation of (x − shift)·factor may round shift, factor and three results; a shift in two parts leaves 2⁻⁴⁸ of it. One
/// of f64 rounds to f32 once, which is less.
fn prepared(case: &Case, row: &[f64]) -> Vec<Near> {
    let scale = |(c, &x): (usize, &f64)| {
        let (shift, factor) = (case.inputs.shift[c], case.inputs.factor[c]);
        if (shift, factor) == (0.0, 1.0) {
            return (x, 0.0);
        }
        let d = x - shift;
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
                        let unit = match case.gives_doubles() {
                            true => f64::EPSILON,
                            false => UNIT,
                        };
                        (y + shift[c], e + 5.0 * unit * size)
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
        let largest = |row: &[f64]| {
            let most = row.iter().copied().fold(f64::MIN, f64::max);
            row.iter().position(|x| *x == most).unwrap() as f64
        };
        let rows: Vec<f64> = answers[0].1.chunks(cols).map(largest).collect();
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

/// Runs a file with rten, which has no doubles.
fn rten(bytes: Vec<u8>, cols: usize, x: &[f64]) -> Answers {
    let model = rten::Model::load(bytes).unwrap();
    let [id] = model.input_ids() else {
        panic!("one input")
    };
    assert_eq!(model.node_info(*id).unwrap().name(), Some("x"));
    let shape = [x.len() / cols, cols];
    let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let x = rten_tensor::NdTensor::from_data(shape, x);
    let ids = model.output_ids();
    let outputs = model.run(vec![(*id, x.into())], ids, None).unwrap();
    let name = |id: &rten::NodeId| model.node_info(*id).unwrap().name().unwrap().to_owned();
    let numbers = |value: rten::Value| match value {
        rten::Value::FloatTensor(x) => x.iter().map(|&x| f64::from(x)).collect(),
        rten::Value::Int32Tensor(x) => x.iter().map(|&x| f64::from(x)).collect(),
        other => panic!("{other:?}"),
    };
    ids.iter()
        .map(name)
        .zip(outputs.into_iter().map(numbers))
        .collect()
}

#[test]
fn rten_gives_our_outputs() {
    let mut doubles = 0;
    for mut case in cases() {
        check_ours(&case);
        if case.takes_doubles() || case.gives_doubles() {
            doubles += 1;
            continue;
        }
        let bytes = case.model.to_onnx().unwrap();
        // The batch is of any size.
        for (rows, what) in [(case.x.rows(), "rten"), (1, "rten, one row")] {
            case.x = case.head(rows);
            let answers = rten(bytes.clone(), case.x.cols(), case.x.data());
            check(what, &case, &answers);
        }
    }
    assert_eq!(doubles, 2);
}

const ONNXRUNTIME: &str = r#"
import json, sys
import numpy as np, onnx, onnxruntime
folder = sys.argv[1]
types = {"float32": "tensor(float)", "float64": "tensor(double)"}
for case in json.load(open(f"{folder}/cases.json")):
    path = f"{folder}/{case}.onnx"
    onnx.checker.check_model(path, full_check=True)
    for level in ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map
        (i,) = session.get_inputs()
        assert i.name == "x" and i.shape[0] == "batch" and i.type == types[about["input_type"]], i
        x = np.fromfile(f"{folder}/{case}.x", "<f8").reshape(-1, i.shape[1]).astype(about["input_type"])
        for rows in [len(x), 1]:
            outputs = session.run(None, {"x": x[:rows]})
            for o, y in zip(session.get_outputs(), outputs):
                assert o.shape == ["batch", *y.shape[1:]] and len(y) == rows, (o.shape, y.shape)
                said = types[about["values_type"]] if o.name == "values" else "tensor(float)"
                assert o.type == ("tensor(int64)" if o.name == "class" else said), (o.name, o.type)
            named = [[o.name, y.ravel().tolist()] for o, y in zip(session.get_outputs(), outputs)]
            json.dump(named, open(f"{folder}/{case}.{level}.{rows}", "w"))
    m = session.get_modelmeta()
    assert m.producer_name == "wgrad" and m.graph_name == "mlp", (m.producer_name, m.graph_name)
    json.dump(m.custom_metadata_map, open(f"{folder}/{case}.metadata", "w"))
print(onnxruntime.__version__)
"#;

#[test]
fn onnxruntime_gives_our_outputs() {
    let Some(python) = python("onnx, onnxruntime, numpy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let cases = cases();
    for (i, case) in cases.iter().enumerate() {
        case.model.save_onnx(at(format!("{i}.onnx"))).unwrap();
        let x: Vec<u8> = case.x.data().iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(at(format!("{i}.x")), x).unwrap();
    }
    let all: Vec<usize> = (0..cases.len()).collect();
    std::fs::write(at("cases.json".into()), format!("{all:?}")).unwrap();
    let version = run_python(&python, ONNXRUNTIME, &[folder.path()]);
    println!("{} files, onnxruntime {}", cases.len(), version.trim());
    for (i, mut case) in cases.into_iter().enumerate() {
        let text = std::fs::read_to_string(at(format!("{i}.metadata"))).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(metadata["network"], case.model.network().to_string());
        let kind = |doubles: bool| if doubles { "float64" } else { "float32" };
        assert_eq!(metadata["input_type"], kind(case.takes_doubles()));
        if let Some(values) = metadata.get("values_type") {
            assert_eq!(values, kind(case.gives_doubles()));
        }
        for rows in [case.x.rows(), 1] {
            case.x = case.head(rows);
            for level in ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"] {
                let text = std::fs::read_to_string(at(format!("{i}.{level}.{rows}"))).unwrap();
                let answers: Answers = serde_json::from_str(&text).unwrap();
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
    let rows = |size: f64, age: f64, city: [f64; 3]| {
        let [bonn, essen, köln] = city;
        [
            [50.0, 1.0, 0.0, 0.0, 34.0],
            [70.0, bonn, essen, köln, age],
            [60.0, 1.0, 0.0, 0.0, 23.0],
            [size, 0.0, 0.0, 1.0, 54.0],
        ]
    };
    let nan = f64::NAN;
    let gaps = rows(nan, nan, [0.0, 1.0, 0.0]);
    let bytes = case.model.to_onnx().unwrap();
    case.x = Matrix::from_rows(&rows(60.0, 37.0, [0.0, 1.0, 0.0])).unwrap();
    check("rten", &case, &rten(bytes.clone(), 5, gaps.as_flattened()));
    let near: Vec<Near> = expected(&case)[0].1.clone();
    assert_within("ours", ours.data(), &near.into_iter().unzip());
    // A city too: the most frequent.
    let gaps = rows(nan, nan, [nan; 3]);
    case.x = Matrix::from_rows(&rows(60.0, 37.0, [1.0, 0.0, 0.0])).unwrap();
    check("rten", &case, &rten(bytes.clone(), 5, gaps.as_flattened()));
    // Some of its inputs are no missing city.
    let answers = rten(bytes, 5, rows(nan, nan, [nan, 1.0, nan]).as_flattened());
    let lost: Vec<bool> = answers[0].1.iter().map(|y| y.is_nan()).collect();
    assert_eq!(lost, [false, true, false, false]);
}

/// Of a row that nothing fills in, the outputs say nothing, and the class says so.
#[test]
fn a_nan_that_stays_has_no_class() {
    let (mut classifier, x) = classifier(false);
    let bytes = classifier.model().unwrap().to_onnx().unwrap();
    for lost in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut x = x.data().to_vec();
        x[4] = lost;
        let answers = rten(bytes.clone(), 4, &x);
        let (name, classes) = answers.last().unwrap();
        assert_eq!((name.as_str(), classes[1]), ("class", -1.0));
        let mut others = classes.iter().enumerate().filter(|(r, _)| *r != 1);
        assert!(others.all(|(_, &class)| class >= 0.0));
        for (name, outputs) in &answers[..2] {
            let cols = outputs.len() / classes.len();
            for (i, y) in outputs.iter().enumerate() {
                assert_eq!(y.is_nan(), i / cols == 1, "{name}, element {i}, of {lost}");
            }
        }
    }
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
    model.preparation = Some(scales(1e-310));
    said(model.to_onnx().unwrap_err(), &["input 1", "1e-310"]);
    // Beyond the range of f32, but not of f64.
    model.preparation = Some(scales(1e40));
    assert!(model.to_onnx().is_ok());
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
