use std::collections::HashSet;

use prost::Message;

use super::proto;
use crate::activation::Activation::*;
use crate::estimator::Prepared;
use crate::files::Model;
use crate::loss::{Criterion, Loss};
use crate::spec::Mlp;
use crate::tensor::{Tensor, Tensors};
use crate::{ClassMap, Standardizer};

fn model(network: &Mlp, criterion: impl Into<Criterion>) -> Model {
    let tensors = network.state_tensors().into_iter();
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
fn read(model: &Model) -> (proto::Model, proto::Graph) {
    let bytes = model.to_onnx().unwrap();
    let file = proto::Model::decode(bytes.as_slice()).unwrap();
    assert_eq!(file.encode_to_vec(), bytes);
    let graph = file.graph.clone().unwrap();
    let mut names: HashSet<&str> = graph.input.iter().map(|x| x.name.as_str()).collect();
    for constant in &graph.initializer {
        assert!(names.insert(&constant.name), "{} twice", constant.name);
        let count: i64 = constant.dims.iter().product();
        assert_eq!(constant.raw_data.len() as i64, 4 * count);
        assert_eq!(constant.data_type, proto::FLOAT);
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
fn described(values: &[proto::Value]) -> Vec<String> {
    let describe = |value: &proto::Value| {
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

fn metadata<'a>(file: &'a proto::Model, key: &str) -> Option<&'a str> {
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
    let prepared = Prepared::Classifier {
        classes: ClassMap::new(["no", "y\"es"]).unwrap(),
        inputs: Some(Standardizer::identity(3)),
    };
    model.preparation = Some(serde_json::to_value(prepared).unwrap());
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
    assert_eq!(metadata(&file, "class_names"), Some(r#"["no","y\"es"]"#));
    assert_eq!(
        metadata(&file, "network"),
        Some(network.to_string().as_str())
    );
    assert_eq!(metadata(&file, "loss"), Some("cross_entropy (mean)"));
    assert_eq!(metadata(&file, "input_names"), None);
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
    let scale = |shift: f64, factor: f64, cols: usize| {
        let mut standardizer = Standardizer::identity(cols);
        standardizer.shift = vec![shift; cols];
        standardizer.factor = vec![factor; cols];
        Some(standardizer)
    };
    let prepared = Prepared::Regressor {
        inputs: scale(0.1, 2.0, 2),
        targets: scale(3.0, 0.25, 1),
    };
    model.preparation = Some(serde_json::to_value(prepared).unwrap());
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
