//! What an exported file holds, message by message: names, types, constants; and what its graph computes, in the types that it
//! says, where rten has no doubles.

mod evaluate;
#[allow(dead_code)]
#[path = "../../src/files/onnx/proto.rs"]
mod proto;

use std::collections::HashSet;

use prost::Message;
use serde_json::json;
use wgrad::Activation::*;
use wgrad::{
    ClassMap, Criterion, CsvOptions, Device, Error, Loss, Matrix, Missing, Mlp, Model, Preparation,
    PreparationOptions, Standardizer, Table, Tensor, Tensors, Unseen,
};

use evaluate::{Numbers, evaluate};

fn model(network: &Mlp, criterion: impl Into<Criterion>) -> Model {
    let tensors = network.tensors().into_iter().chain(network.buffers());
    let tensor = |(name, shape): (String, Vec<usize>)| Tensor {
        data: vec![0.5; shape.iter().product()],
        name,
        shape,
    };
    Model::new(
        network,
        criterion,
        Tensors::new(tensors.map(tensor).collect()),
    )
    .unwrap()
}

/// The file as it is read again, after what ONNX asks of every graph has been seen to: a value has one origin, which stands before
/// its use; a constant has as many elements as its shape; names of nodes are nobody else's.
fn read(model: &Model) -> (proto::ModelProto, proto::GraphProto) {
    let bytes = model.to_onnx().unwrap();
    let file = proto::ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!(file.encode_to_vec(), bytes);
    let graph = file.graph.clone().unwrap();
    let mut names: HashSet<&str> = graph.input.iter().map(|x| x.name.as_str()).collect();
    for constant in &graph.initializer {
        assert!(names.insert(&constant.name), "{} twice", constant.name);
        let count: i64 = constant.dims.iter().product();
        let size = match constant.data_type {
            proto::FLOAT => 4,
            proto::DOUBLE | proto::INT64 => 8,
            other => panic!("{other}"),
        };
        assert_eq!(constant.raw_data.len() as i64, size * count);
    }
    for node in &graph.node {
        for input in &node.input {
            assert!(names.contains(input.as_str()), "{input} comes from nowhere");
        }
        for output in &node.output {
            assert!(names.insert(output), "{output} twice");
        }
    }
    for node in &graph.node {
        assert!(names.insert(&node.name), "{} twice", node.name);
    }
    for output in &graph.output {
        assert!(names.contains(output.name.as_str()), "{}", output.name);
    }
    (file, graph)
}

/// Name, type and dimensions of inputs or outputs.
fn described(values: &[proto::ValueInfoProto]) -> Vec<String> {
    let describe = |value: &proto::ValueInfoProto| {
        let tensor = value.r#type.clone().unwrap().tensor_type.unwrap();
        let dims = tensor.shape.unwrap().dim.into_iter();
        let dims = dims.map(|d| {
            d.dim_param
                .unwrap_or_else(|| d.dim_value.unwrap().to_string())
        });
        let dims: Vec<String> = dims.collect();
        format!("{} {} ({})", value.name, tensor.elem_type, dims.join(", "))
    };
    values.iter().map(describe).collect()
}

fn metadata<'a>(file: &'a proto::ModelProto, key: &str) -> Option<&'a str> {
    let entry = file.metadata_props.iter().find(|entry| entry.key == key)?;
    Some(&entry.value)
}

#[test]
fn a_classifier_has_its_classes_and_outputs() {
    let network = Mlp::new(3)
        .dense(4, Gelu)
        .batch_norm()
        .dropout(0.5)
        .dense(4, Gelu)
        .layer_norm()
        .residual()
        .dense(2, Identity);
    let mut model = model(&network, Loss::CrossEntropy);
    // The first would be another class as a number.
    let classes = ClassMap::new(["00501", "y\"es"]).unwrap();
    let inputs = Standardizer::identity(3);
    model.preparation =
        Some(json!({ "estimator": "classifier", "classes": classes, "inputs": inputs }));
    let (file, graph) = read(&model);
    assert_eq!((file.ir_version, file.producer_name.as_str()), (7, "wgrad"));
    assert_eq!(file.producer_version, env!("CARGO_PKG_VERSION"));
    let opsets: Vec<_> = file
        .opset_import
        .iter()
        .map(|o| (o.domain.as_str(), o.version))
        .collect();
    assert_eq!(opsets, [("", 13)]);
    assert_eq!(described(&graph.input), ["x 1 (batch, 3)"]);
    let outputs = [
        "logits 1 (batch, 2)",
        "probabilities 1 (batch, 2)",
        "class 7 (batch)",
    ];
    assert_eq!(described(&graph.output), outputs);
    // The weights under PyTorch's names, with their bits.
    for tensor in model.weights() {
        let found = graph
            .initializer
            .iter()
            .find(|t| t.name == tensor.name)
            .unwrap();
        let bits: Vec<u8> = tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(found.raw_data, bits);
        let shape: Vec<i64> = tensor.shape.iter().map(|&side| side as i64).collect();
        assert_eq!(found.dims, shape);
    }
    let ops = |op: &str| graph.node.iter().filter(|node| node.op_type == op).count();
    assert_eq!(
        (ops("Gemm"), ops("BatchNormalization"), ops("Erf")),
        (3, 1, 2)
    );
    assert_eq!((ops("Sub"), ops("Dropout")), (1, 0)); // the layer's, since scales that change nothing are left out
    assert_eq!(metadata(&file, "class_names"), Some(r#"["00501","y\"es"]"#));
    assert_eq!(
        metadata(&file, "network"),
        Some(network.to_string().as_str())
    );
    assert_eq!(metadata(&file, "loss"), Some("cross_entropy (mean)"));
    assert_eq!(metadata(&file, "input_names"), None);
    assert_eq!(metadata(&file, "input_type"), Some("float32"));
    assert_eq!(metadata(&file, "values_type"), None);
}

#[test]
fn values_have_their_units() {
    let network = Mlp::new(2).dense(
        1,
        LeakyRelu {
            negative_slope: 0.0,
        },
    );
    let mut model = model(&network, Loss::Mse);
    let (inputs, targets) = (scale(&[0.1; 2], &[2.0; 2]), scale(&[3.0], &[0.25]));
    model.preparation = Some(of_regressor(&inputs, &targets));
    let (_, graph) = read(&model);
    assert_eq!(described(&graph.output), ["values 1 (batch, 1)"]);
    let constant = |name: &str| -> Vec<f32> {
        let found = graph.initializer.iter().find(|t| t.name == name).unwrap();
        let chunks = found.raw_data.chunks_exact(4);
        chunks
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    // 0.1 in two parts.
    let (high, low) = (constant("x.shift")[0], constant("x.shift_rest")[0]);
    assert_eq!(high, 0.1);
    assert!(low != 0.0 && (f64::from(high) + f64::from(low) - 0.1).abs() < 1e-16);
    assert_eq!(constant("x.factor"), [2.0; 2]);
    assert_eq!(
        (constant("values.scale"), constant("values.shift")),
        (vec![4.0], vec![3.0])
    );
    // A slope of 0 is written all the same.
    let leaky = graph
        .node
        .iter()
        .find(|node| node.op_type == "LeakyRelu")
        .unwrap();
    assert_eq!(leaky.attribute[0].f, Some(0.0));
}

fn scale(shift: &[f64], factor: &[f64]) -> Standardizer {
    let mut standardizer = Standardizer::identity(shift.len());
    standardizer.shift = shift.to_vec();
    standardizer.factor = factor.to_vec();
    standardizer
}

/// How a regressor's data is prepared, as it stands with its model.
fn of_regressor(inputs: &Standardizer, targets: &Standardizer) -> serde_json::Value {
    json!({ "estimator": "regressor", "inputs": inputs, "targets": targets })
}

fn regressor(inputs: Standardizer, targets: Standardizer) -> Model {
    let network = Mlp::new(inputs.cols()).dense(3, Tanh);
    let mut model = model(&network.dense(targets.cols(), Identity), Loss::Mse);
    model.preparation = Some(of_regressor(&inputs, &targets));
    model
}

/// Types of `x` and `values`, as the graph and as the metadata has them.
fn types(inputs: Standardizer, targets: Standardizer) -> [bool; 2] {
    let (file, graph) = read(&regressor(inputs, targets));
    let doubles = [&graph.input, &graph.output].map(|of| described(of)[0].contains(" 11 "));
    for (key, doubles) in ["input_type", "values_type"].into_iter().zip(doubles) {
        let wanted = if doubles { "float64" } else { "float32" };
        assert_eq!(metadata(&file, key), Some(wanted));
    }
    doubles
}

#[test]
fn numbers_are_doubles_where_f32_cannot_hold_them() {
    let scales = [
        (0.0, 1.0, false),
        (16.0, 1.0, false),
        (-16.0, 1.0, false),
        (0.16, -100.0, false),
        (16.1, 1.0, true),
        (-0.17, 100.0, true),
        (1987.0, 1.0 / 20.0, true),
        // The mean of a constant column, whose factor is 1.
        (1.7e9, 1.0, true),
        (0.0, 0.9e-30, true),
        (0.0, 1.1e30, true),
        (1e-35, 1e36, true),
        (-1e300, 1e-301, true),
    ];
    for (shift, factor, far) in scales {
        let (near, own) = (Standardizer::identity(1), scale(&[shift], &[factor]));
        assert_eq!(
            types(own.clone(), near.clone()),
            [far, false],
            "{shift} {factor}"
        );
        assert_eq!(types(near, own), [false, far], "{shift} {factor}");
        // One such column is enough.
        let of_two = scale(&[0.0, shift], &[1.0, factor]);
        assert_eq!(types(of_two.clone(), of_two), [far; 2], "{shift} {factor}");
    }
    // What the bound is for: within it, rounding to f32 moves a number by less than 10⁻⁶ of a deviation.
    let moved = |shift: f64, deviation: f64| {
        let numbers = (-1000..=1000).map(|i| shift + deviation * f64::from(i) / 999.7);
        let off = numbers.map(|x| (f64::from(x as f32) - x).abs() / deviation);
        off.fold(0.0, f64::max)
    };
    assert!(moved(16.0, 1.0) < 1e-6 && moved(1.6e-8, 1e-9) < 1e-6 && moved(1.6e10, 1e9) < 1e-6);
    assert!(moved(40.0, 1.0) > 1e-6);
}

#[test]
fn doubles_are_subtracted_before_they_are_rounded() {
    // Times, and a constant far away; prices in a narrow band, and values that f32 holds.
    let inputs = scale(&[1.7e9, -3e12, 0.5], &[1.0 / 30.0, 1.0, 2.0]);
    let targets = scale(&[4e8, 1.0], &[1.0 / 0.007, 0.3]);
    let model = regressor(inputs.clone(), targets.clone());
    let (_, graph) = read(&model);
    assert_eq!(described(&graph.input), ["x 11 (batch, 3)"]);
    assert_eq!(described(&graph.output), ["values 11 (batch, 2)"]);
    let x = Matrix::from_rows(&[
        [1.7e9 + 1.25, -3e12 + 0.5, 1.0],
        [1.7e9 + 1.5, -3e12, 0.25],
        [1.7e9 - 47.0, -3e12 - 1.0, 0.1],
    ]);
    let x: Matrix<f64> = x.unwrap();
    let doubles = Numbers::new(proto::DOUBLE, vec![3, 3], x.data().to_vec());
    let values = evaluate(&graph, doubles);
    let ours = inputs.apply(&x).unwrap();
    // To the bit.
    let rounded = &values["x.rounded"];
    assert_eq!(rounded.kind, proto::FLOAT);
    assert_eq!(rounded.data, ours.to_f64().data());
    assert_eq!(rounded.data[0], f64::from((1.25f64 / 30.0) as f32));
    let answers = model.predict(&Device::cpu(), &ours).unwrap();
    let answers = targets.inverse(&answers).unwrap();
    let got = &values["values"];
    assert_eq!(
        (got.kind, got.shape.as_slice()),
        (proto::DOUBLE, [3, 2].as_slice())
    );
    for (i, (got, want)) in got.data.iter().zip(answers.data()).enumerate() {
        let deviation = 1.0 / targets.factor[i % 2];
        assert!((got - want).abs() < 1e-6 * deviation, "{got} {want}");
    }
    // Rows 0 and 1 are told apart, which f32 cannot do at 4e8: the network's slope there is some 1e-2 of a deviation.
    assert!((got.data[0] - got.data[2]).abs() > 1e-5);
}

/// Fitted on `csv`, with a network of its widths.
fn fitted(csv: &str, options: &PreparationOptions) -> (Model, Preparation, Table) {
    let table = Table::from_bytes("table.csv", csv, &CsvOptions::default()).unwrap();
    let preparation = Preparation::fit(&table, options).unwrap();
    let network = Mlp::new(preparation.input_width()).dense(3, Tanh);
    let loss = match preparation.classes() {
        Some(_) => Loss::CrossEntropy,
        None => Loss::Mse,
    };
    let mut model = model(&network.dense(preparation.output_width(), Identity), loss);
    model.preparation = Some(serde_json::to_value(&preparation).unwrap());
    (model, preparation, table)
}

const NAN: f64 = f64::NAN;

#[test]
fn a_missing_category_becomes_what_the_preparation_fills_in() {
    for (offset, kind) in [(0.0, proto::FLOAT), (1e9, proto::DOUBLE)] {
        let csv = format!(
            "city,time,kind,label\nBonn,{},a,yes\nEssen,,b,no\n,{},a,yes\nBonn,{},,no\nKöln,{},b,yes\n",
            offset + 1.0,
            offset + 2.0,
            offset + 4.0,
            offset + 3.0
        );
        let options = PreparationOptions {
            missing: Missing::Mean,
            ..PreparationOptions::default()
        };
        let (model, preparation, table) = fitted(&csv, &options);
        let (file, graph) = read(&model);
        let names = r#"["city=Bonn","city=Essen","city=Köln","time","kind=a","kind=b"]"#;
        assert_eq!(metadata(&file, "input_names"), Some(names));
        assert_eq!(metadata(&file, "class_names"), Some(r#"["no","yes"]"#));
        let rows = [
            [1.0, 0.0, 0.0, offset + 1.0, 1.0, 0.0],
            [0.0, 1.0, 0.0, NAN, 0.0, 1.0],
            [NAN, NAN, NAN, offset + 2.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, offset + 4.0, NAN, NAN],
            [0.0, 0.0, 1.0, offset + 3.0, 0.0, 1.0],
        ];
        let values = evaluate(&graph, Numbers::new(kind, vec![5, 6], rows.concat()));
        let ours = preparation.apply_inputs(&table).unwrap();
        assert_eq!(ours.row(2)[..3], [1.0, 0.0, 0.0]); // Bonn, the most frequent
        assert_eq!(ours.row(3)[4..], [1.0, 0.0]); // a, the first of equals
        let ready = &values[if kind == proto::FLOAT {
            "x.scaled"
        } else {
            "x.rounded"
        }];
        for (got, want) in ready.data.iter().zip(ours.data()) {
            assert!((got - f64::from(*want)).abs() < 1e-6, "{got} {want}");
        }
        assert!(values["class"].data.iter().all(|&class| class >= 0.0));
        // Some of a column's inputs are no missing category: nothing is made of them, nor of the row.
        let mut broken = rows;
        broken[0][0] = NAN;
        broken[4][5] = NAN;
        let values = evaluate(&graph, Numbers::new(kind, vec![5, 6], broken.concat()));
        let lost = |r: usize| values["probabilities"].data[2 * r].is_nan();
        assert_eq!(
            (0..5).map(lost).collect::<Vec<_>>(),
            [true, false, false, false, true]
        );
        let classes = &values["class"];
        assert_eq!(classes.kind, proto::INT64);
        assert_eq!((classes.data[0], classes.data[4]), (-1.0, -1.0));
        assert!(classes.data[1..4].iter().all(|&class| class >= 0.0));
    }
}

/// The network's inputs for a row of NaN.
fn of_nothing(csv: &str, options: &PreparationOptions) -> Vec<f64> {
    let (model, preparation, _) = fitted(csv, options);
    let (_, graph) = read(&model);
    let cols = preparation.input_width();
    let values = evaluate(
        &graph,
        Numbers::new(proto::FLOAT, vec![1, cols], vec![NAN; cols]),
    );
    let first = graph.node.iter().find(|node| node.op_type == "Gemm");
    values[&first.unwrap().input[0]].data.clone()
}

#[test]
fn what_is_filled_in_may_be_no_category() {
    let csv = "city,rent\nBonn,1\nEssen,2\nBonn,4\n";
    let constant = |unseen: Unseen, text: &str| PreparationOptions {
        missing: Missing::Constant(text.into()),
        unseen,
        ..PreparationOptions::default()
    };
    // Nothing was missing, so that the constant is none of the categories.
    assert_eq!(
        of_nothing(csv, &constant(Unseen::Zeros, "Köln")),
        [0.0, 0.0]
    );
    let left = of_nothing(csv, &constant(Unseen::Error, "Köln"));
    assert!(left.iter().all(|x| x.is_nan()));
    assert_eq!(
        of_nothing(csv, &constant(Unseen::Error, "Essen")),
        [0.0, 1.0]
    );
    // It was missing, so that it is one.
    let csv = "city,rent\nBonn,1\n,2\nBonn,4\n";
    assert_eq!(
        of_nothing(csv, &constant(Unseen::Error, "Köln")),
        [0.0, 1.0]
    );
    // Without a rule there is nothing to fill in.
    let csv = "city,rent\nBonn,1\nEssen,2\nBonn,4\n";
    let left = of_nothing(csv, &PreparationOptions::default());
    assert!(left.iter().all(|x| x.is_nan()));
}

#[test]
fn a_preparation_that_gives_no_numbers_is_refused() {
    let said = |model: &Model, parts: &[&str]| {
        let error = model.to_onnx().unwrap_err();
        assert!(matches!(error, Error::Export { .. }), "{error}");
        let text = error.to_string();
        parts
            .iter()
            .for_each(|part| assert!(text.contains(part), "{text} has no {part}"));
    };
    let near = || scale(&[0.0; 2], &[1.0; 2]);
    let subnormal = || scale(&[0.0; 2], &[1.0, 1e-310]);
    said(
        &regressor(subnormal(), near()),
        &["input 1", "1e-310", "train"],
    );
    said(
        &regressor(near(), subnormal()),
        &["target 1", "1e-310", "train"],
    );
    let csv = "size,rent\n1,10\n2,20\n,40\n";
    let options = PreparationOptions {
        missing: Missing::Mean,
        ..PreparationOptions::default()
    };
    let (mut model, ..) = fitted(csv, &options);
    assert!(model.to_onnx().is_ok());
    for fill in ["", "many", "inf", "1e300"] {
        let preparation = model.preparation.as_mut().unwrap();
        preparation["inputs"][0]["fill"] = fill.into();
        said(&model, &["\"size\"", &format!("{fill:?}"), "no number"]);
    }
    let preparation = model.preparation.as_mut().unwrap();
    preparation["inputs"][0]["encoding"]["Number"]["factor"] = 1e-310.into();
    preparation["inputs"][0]["fill"] = "1".into();
    said(&model, &["input 0", "1e-310"]);
    // Of a constant column of inputs nothing shall come.
    let preparation = model.preparation.as_mut().unwrap();
    preparation["inputs"][0]["encoding"]["Number"]["factor"] = 0.0.into();
    assert!(model.to_onnx().is_ok());
}
