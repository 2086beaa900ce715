//! Models as ONNX files, which other runtimes run.

mod graph;
mod proto;
mod scales;

use std::path::Path;

use prost::Message;

use self::graph::Builder;
use self::proto::StringStringEntryProto;
use self::scales::{Scales, TargetScale};
use super::disk;
use super::model::Model;
use crate::config::activation::Activation;
use crate::config::loss::Loss;
use crate::error::{Error, Result};

/// The version of ONNX's operators, of 2020: the first whose softmax is over one axis, and the last that every runtime in use
/// reads alike. Nothing in a network of dense layers asks for a later one.
const OPSET: i64 = 13;
/// The version of the file format that came with it.
const IR: i64 = 7;

impl Model {
    /// Writes the model as an ONNX file (operators of version 13), which onnxruntime and other runtimes run. What stood there
    /// before is replaced when the new file is whole. This crate does not read it: [`save`](Self::save) what shall come back.
    ///
    /// The graph has one input `x` of shape (batch, inputs), f32 or f64, and evaluates: batch normalisation has its running
    /// statistics, dropout does nothing. What it gives depends on the loss, f32 unless something else is said:
    ///
    /// | loss | outputs |
    /// |---|---|
    /// | cross-entropy from logits | `logits` (batch, classes), `probabilities`, their softmax, and `class` (batch), i64, the index of the largest, or −1 for a row with a NaN |
    /// | cross-entropy of outputs, KL divergence | `probabilities` and `class`; `logits` too where the last layer is softmax |
    /// | binary cross-entropy | `logits` and `probabilities`, their sigmoid, for each output by itself |
    /// | any other | `values` (batch, outputs), f32 or f64, or `probabilities` and `class` where the targets were classes |
    ///
    /// The [preparation](Self::preparation) of an [estimator](crate::estimator) or a [`Preparation`](crate::Preparation) is part of
    /// the graph: `x` are the numbers of the data, unscaled, and `values` are in the targets' units. Without one, `x` is what the
    /// network takes.
    ///
    /// - **f32 or f64**: where each column's shift is at most 16 standard deviations (|shift·factor| ≤ 16), rounding its numbers to
    ///   f32 moves them by less than 10⁻⁶ of a deviation, and `x` is f32. If one column is further off (years, times, coordinates),
    ///   or its deviation is not between 10⁻³⁰ and 10³⁰, f32 cannot hold it: then `x` is f64, and shift and factor are applied in
    ///   f64 before the result becomes f32 for the network. The same holds for `values` and the scale of the targets.
    /// - **Categories**: a column of them is as many inputs as it has, 1 at the row's and 0 elsewhere; text does not go through the
    ///   graph. Of a category that the training data did not have all are 0, whatever [`Unseen`](crate::Unseen) says.
    /// - **Missing values**: a NaN in a column of numbers, and a row with NaN in all inputs of a column of categories, become what
    ///   the preparation fills in. Where it fills in nothing, and for a number that is not finite, `predict` refuses the row;
    ///   the graph, which cannot, gives NaN for each of its outputs, and −1 for `class`.
    ///
    /// The file's metadata has, as lists in JSON, `input_names` (`column=category` for categories), `class_names`, as they stand in
    /// the training data, and `target_names`, as far as they are known; `input_type` and, where there are `values`, `values_type`,
    /// which are `float32` or `float64`; and in words `network`, `loss` and `preparation`.
    ///
    /// Runtimes compute in f32 with roundings of their own, so outputs agree but for such.
    ///
    /// # Errors
    /// As [`to_onnx`](Self::to_onnx); [`Error::File`] if it cannot be written; what was there is unchanged then.
    ///
    /// ```
    /// # use wgrad::{Activation::*, Device, Loss, Matrix, Mlp, Sgd, Trainer};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("model.onnx");
    /// let network = Mlp::new(2).dense(3, Tanh).dense(1, Identity);
    /// let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::Mse, Sgd::default(), 7)?;
    /// trainer.model()?.save_onnx(&path)?;
    /// // In Python:
    /// // session = onnxruntime.InferenceSession("model.onnx")
    /// // x = x.astype(session.get_modelmeta().custom_metadata_map["input_type"])
    /// // session.run(["values"], {"x": x})
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn save_onnx(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = self.to_onnx()?;
        disk::replace(path, &bytes)
    }

    /// The bytes that [`save_onnx`](Self::save_onnx) writes.
    ///
    /// # Errors
    /// [`Error::Export`] for a [custom](Activation::custom) activation, a preparation that is not of this crate, does not fit the
    /// network, or has a scale or something filled in that is no usable number, and a model of 2 GiB or more; [`Error::Network`] and others for a network that
    /// cannot be built.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        let network = self.network();
        network.check()?;
        let phi = |l: usize| &network.layers()[l].activation;
        let last = phi(network.layers().len() - 1);
        self.criterion().loss.check(last)?;
        let scales = Scales::of(self)?;
        let (inputs, outputs) = (network.inputs(), network.outputs());

        let mut graph = Builder::default();
        let x = scales.inputs(&mut graph);
        let [h, z] = graph.network(network, self.weights(), &x)?;
        let sound = graph.sound(&x);
        let mut answers = Vec::new();
        let mut value_type = None;
        let mut answer = |name: &str, kind: i32| {
            let cols = (kind != proto::INT64).then_some(outputs);
            answers.push(value(name, kind, cols));
        };
        let loss = self.criterion().loss;
        let classes = matches!(scales.targets, TargetScale::Classes(_));
        match loss {
            Loss::CrossEntropy => {
                let softmax = vec![proto::int("axis", -1)];
                let p = graph.node_with("Softmax", &[&h], "softmax", softmax);
                graph.where_sound(&sound, &h, "logits");
                graph.where_sound(&sound, &p, "probabilities");
                graph.largest("logits", "class");
                answer("logits", proto::FLOAT);
                answer("probabilities", proto::FLOAT);
                answer("class", proto::INT64);
            }
            Loss::BinaryCrossEntropy => {
                let p = graph.node("Sigmoid", &[&h], "sigmoid");
                graph.where_sound(&sound, &h, "logits");
                graph.where_sound(&sound, &p, "probabilities");
                answer("logits", proto::FLOAT);
                answer("probabilities", proto::FLOAT);
            }
            _ if loss.takes_probabilities() || classes => {
                if *last == Activation::Softmax {
                    graph.where_sound(&sound, &z, "logits");
                    answer("logits", proto::FLOAT);
                }
                graph.where_sound(&sound, &h, "probabilities");
                graph.largest("probabilities", "class");
                answer("probabilities", proto::FLOAT);
                answer("class", proto::INT64);
            }
            _ => {
                let h = graph.where_sound(&sound, &h, "values.network");
                let h = scales.values(&mut graph, &h);
                graph.rename(&h, "values");
                answer("values", scales.value_type());
                value_type = Some(scales.value_type());
            }
        }

        let model = proto::ModelProto {
            ir_version: IR,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: format!("{network}; {}", self.criterion()),
            graph: Some(proto::GraphProto {
                node: graph.nodes,
                name: "mlp".into(),
                initializer: graph.constants,
                input: vec![value("x", scales.input_type(), Some(inputs))],
                output: answers,
            }),
            opset_import: vec![proto::OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: self.metadata(&scales, value_type),
        };
        let len = model.encoded_len();
        if i32::try_from(len).is_err() {
            let reason = format!("it takes {len} bytes, and such a file ends at 2 GiB");
            let advice = "export a smaller network, or hand the weights over by Tensors::save";
            return Err(error("this model", reason, advice));
        }
        Ok(model.encode_to_vec())
    }

    fn metadata(&self, scales: &Scales, value_type: Option<i32>) -> Vec<StringStringEntryProto> {
        let mut entries = Vec::new();
        let mut entry = |key: &str, value: String| {
            let key = key.into();
            entries.push(StringStringEntryProto { key, value });
        };
        let mut names = |key: &str, names: &[String]| {
            if !names.is_empty() {
                entry(key, serde_json::Value::from(names).to_string());
            }
        };
        names("input_names", &scales.names);
        match &scales.targets {
            TargetScale::Unknown => {}
            TargetScale::Classes(classes) => names("class_names", classes),
            TargetScale::Values(targets, _) => names("target_names", targets),
        }
        entry("input_type", type_name(scales.input_type()));
        if let Some(kind) = value_type {
            entry("values_type", type_name(kind));
        }
        entry("network", self.network().to_string());
        entry("loss", self.criterion().to_string());
        if !scales.description.is_empty() {
            entry("preparation", scales.description.clone());
        }
        entries
    }
}

/// As NumPy calls it.
fn type_name(kind: i32) -> String {
    match kind {
        proto::DOUBLE => "float64".into(),
        _ => "float32".into(),
    }
}

fn error(what: &str, reason: impl Into<String>, advice: &str) -> Error {
    Error::Export {
        what: what.into(),
        format: "ONNX".into(),
        reason: reason.into(),
        advice: advice.into(),
    }
}

/// An input or output of (batch, cols), or of (batch).
fn value(name: &str, elem_type: i32, cols: Option<usize>) -> proto::ValueInfoProto {
    let mut dim = vec![proto::Dimension {
        dim_param: Some("batch".into()),
        ..proto::Dimension::default()
    }];
    dim.extend(cols.map(|cols| proto::Dimension {
        dim_value: Some(cols as i64),
        ..proto::Dimension::default()
    }));
    let shape = proto::TensorShapeProto { dim };
    proto::ValueInfoProto {
        name: name.into(),
        r#type: Some(proto::TypeProto {
            tensor_type: Some(proto::TensorType {
                elem_type,
                shape: Some(shape),
            }),
        }),
    }
}
