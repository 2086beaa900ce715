//! Models as ONNX files, which other runtimes run.

mod graph;
mod proto;
#[cfg(test)]
mod tests;

use std::path::Path;

use prost::Message;

use self::graph::Builder;
use self::proto::Attribute;
use super::disk;
use super::model::Model;
use crate::activation::Activation;
use crate::data::{ClassMap, Column, Encoding, Preparation, Standardizer, TargetEncoding, number};
use crate::error::{Error, Result};
use crate::estimator::Prepared;
use crate::loss::Loss;

/// The version of ONNX's operators, of 2020: the first whose softmax is over one axis, and the last that every runtime in use
/// reads alike. Nothing in a network of dense layers asks for a later one.
const OPSET: i64 = 13;
/// The version of the file format that came with it.
const IR: i64 = 7;

/// How a model's data is prepared, as far as a graph of numbers can say it.
struct Scales {
    /// A name for each input, or nothing where they have none.
    names: Vec<String>,
    inputs: Standardizer,
    /// What a NaN becomes, of each input; NaN where it stays one.
    fills: Vec<f32>,
    targets: Targets,
    /// In words.
    description: String,
}

enum Targets {
    Unknown,
    Classes(Vec<String>),
    /// Names, which may be missing, and scale.
    Values(Vec<String>, Option<Standardizer>),
}

impl Model {
    /// Writes the model as an ONNX file (operators of version 13), which onnxruntime and other runtimes run. What stood there
    /// before is replaced when the new file is whole. This crate does not read it: [`save`](Self::save) what shall come back.
    ///
    /// The graph has one input `x`, f32 of shape (batch, inputs), and evaluates: batch normalisation has its running statistics,
    /// dropout does nothing. What it gives depends on the loss:
    ///
    /// | loss | outputs |
    /// |---|---|
    /// | cross-entropy from logits | `logits` (batch, classes), `probabilities`, their softmax, and `class` (batch), i64, the index of the largest |
    /// | cross-entropy of outputs, KL divergence | `probabilities` and `class`; `logits` too where the last layer is softmax |
    /// | binary cross-entropy | `logits` and `probabilities`, their sigmoid, for each output by itself |
    /// | any other | `values` (batch, outputs), or `probabilities` and `class` where the targets were classes |
    ///
    /// The [preparation](Self::preparation) of an [estimator](crate::estimator) or a [`Preparation`](crate::Preparation) is part of
    /// the graph: `x` are the numbers of the data, unscaled, and `values` are in the targets' units. A column of categories is as
    /// many inputs as it has categories, 1 at the row's and 0 elsewhere: text does not go through the graph. A NaN becomes what the
    /// preparation fills in for a missing value, where it does. Without a preparation, `x` is what the network takes.
    ///
    /// The file's metadata has, as lists in JSON, `input_names` (`column=category` for categories), `class_names` and
    /// `target_names`, as far as they are known, and in words `network`, `loss` and `preparation`.
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
    /// // In Python: onnxruntime.InferenceSession("model.onnx").run(["values"], {"x": x})
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn save_onnx(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = self.to_onnx()?;
        disk::replace(path, &bytes)
    }

    /// The bytes that [`save_onnx`](Self::save_onnx) writes.
    ///
    /// # Errors
    /// [`Error::Export`] for a [custom](Activation::custom) activation, a preparation that is not of this crate or does not fit
    /// the network, a scale beyond the range of f32, and a model of 2 GiB or more; [`Error::Network`] and others for a network that
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
        let x = scale_inputs(&mut graph, &scales)?;
        let [h, z] = graph.network(network, self.weights(), &x)?;
        let mut answers = Vec::new();
        let mut answer = |name: &str, cols: Option<usize>| {
            let kind = cols.map_or(proto::INT64, |_| proto::FLOAT);
            answers.push(value(name, kind, cols));
        };
        let softmax = || vec![Attribute::int("axis", -1)];
        let largest = || vec![Attribute::int("axis", -1), Attribute::int("keepdims", 0)];
        let loss = self.criterion().loss;
        let classes = matches!(scales.targets, Targets::Classes(_));
        match loss {
            Loss::CrossEntropy => {
                graph.rename(&h, "logits");
                graph.node_with("Softmax", &["logits"], "probabilities", softmax());
                graph.node_with("ArgMax", &["logits"], "class", largest());
                answer("logits", Some(outputs));
                answer("probabilities", Some(outputs));
                answer("class", None);
            }
            Loss::BinaryCrossEntropy => {
                graph.rename(&h, "logits");
                graph.node("Sigmoid", &["logits"], "probabilities");
                answer("logits", Some(outputs));
                answer("probabilities", Some(outputs));
            }
            _ if loss.takes_probabilities() || classes => {
                if *last == Activation::Softmax {
                    graph.rename(&z, "logits");
                    answer("logits", Some(outputs));
                }
                graph.rename(&h, "probabilities");
                graph.node_with("ArgMax", &["probabilities"], "class", largest());
                answer("probabilities", Some(outputs));
                answer("class", None);
            }
            _ => {
                let h = scale_values(&mut graph, &scales.targets, &h)?;
                graph.rename(&h, "values");
                answer("values", Some(outputs));
            }
        }

        let model = proto::Model {
            ir_version: IR,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: format!("{network}; {}", self.criterion()),
            graph: Some(proto::Graph {
                node: graph.nodes,
                name: "mlp".into(),
                initializer: graph.constants,
                input: vec![value("x", proto::FLOAT, Some(inputs))],
                output: answers,
            }),
            opset_import: vec![proto::OperatorSet {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: self.metadata(&scales),
        };
        let len = model.encoded_len();
        if i32::try_from(len).is_err() {
            return Err(error(
                "this model",
                format!("it takes {len} bytes, and such a file ends at 2 GiB"),
                "export a smaller network, or hand the weights over by Tensors::save",
            ));
        }
        Ok(model.encode_to_vec())
    }

    fn metadata(&self, scales: &Scales) -> Vec<proto::Entry> {
        let mut entries = Vec::new();
        let mut entry = |key: &str, value: String| {
            entries.push(proto::Entry {
                key: key.into(),
                value,
            });
        };
        let mut names = |key: &str, names: &[String]| {
            if !names.is_empty() {
                entry(key, serde_json::Value::from(names).to_string());
            }
        };
        names("input_names", &scales.names);
        match &scales.targets {
            Targets::Unknown => {}
            Targets::Classes(classes) => names("class_names", classes),
            Targets::Values(targets, _) => names("target_names", targets),
        }
        entry("network", self.network().to_string());
        entry("loss", self.criterion().to_string());
        if !scales.description.is_empty() {
            entry("preparation", scales.description.clone());
        }
        entries
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
fn value(name: &str, elem_type: i32, cols: Option<usize>) -> proto::Value {
    let batch = proto::Dimension {
        dim_param: Some("batch".into()),
        ..proto::Dimension::default()
    };
    let cols = cols.map(|cols| proto::Dimension {
        dim_value: Some(cols as i64),
        ..proto::Dimension::default()
    });
    let shape = proto::Shape {
        dim: [Some(batch), cols].into_iter().flatten().collect(),
    };
    proto::Value {
        name: name.into(),
        r#type: Some(proto::Type {
            tensor_type: Some(proto::TensorType {
                elem_type,
                shape: Some(shape),
            }),
        }),
    }
}

/// What the network takes, of the graph's input.
fn scale_inputs(graph: &mut Builder, scales: &Scales) -> Result<String> {
    let cols = scales.fills.len();
    let mut x = "x".to_owned();
    if scales.fills.iter().any(|fill| !fill.is_nan()) {
        let fills = graph.constant("x.fills", &[cols], &scales.fills);
        let missing = graph.node("IsNaN", &[&x], "x.missing");
        x = graph.node("Where", &[&missing, &fills, &x], "x.filled");
    }
    let Standardizer { shift, factor, .. } = &scales.inputs;
    // In two steps, since x − shift cancels and a shift is more than an f32 can hold: (x − high) − low is off by no more than
    // roundings of the result.
    let high: Vec<f32> = in_range(shift, "shift", f32::is_finite)?;
    let low = shift.iter().zip(&high).map(|(s, &h)| s - f64::from(h));
    let low: Vec<f32> = low.map(|low| low as f32).collect();
    for (part, name) in [(high, "x.shift"), (low, "x.shift_rest")] {
        if part.iter().any(|&shift| shift != 0.0) {
            let shift = graph.constant(name, &[cols], &part);
            x = graph.node("Sub", &[&x, &shift], &format!("{name}ed"));
        }
    }
    if factor.iter().any(|&factor| factor != 1.0) {
        let factor = in_range(factor, "factor", f32::is_normal)?;
        let factor = graph.constant("x.factor", &[cols], &factor);
        x = graph.node("Mul", &[&x, &factor], "x.scaled");
    }
    Ok(x)
}

/// Values in their units, of the network's output.
fn scale_values(graph: &mut Builder, targets: &Targets, h: &str) -> Result<String> {
    let mut h = h.to_owned();
    if let Targets::Values(_, Some(Standardizer { shift, factor, .. })) = targets {
        if factor.iter().any(|&factor| factor != 1.0) {
            let inverse: Vec<f64> = factor.iter().map(|factor| 1.0 / factor).collect();
            let inverse = in_range(&inverse, "scale of targets", f32::is_normal)?;
            let inverse = graph.constant("values.scale", &[inverse.len()], &inverse);
            h = graph.node("Mul", &[&h, &inverse], "values.scaled");
        }
        if shift.iter().any(|&shift| shift != 0.0) {
            let shift = in_range(shift, "shift of targets", f32::is_finite)?;
            let shift = graph.constant("values.shift", &[shift.len()], &shift);
            h = graph.node("Add", &[&h, &shift], "values.shifted");
        }
    }
    Ok(h)
}

/// As f32, if that is sound.
fn in_range(x: &[f64], what: &str, sound: fn(f32) -> bool) -> Result<Vec<f32>> {
    match x.iter().position(|&x| !sound(x as f32)) {
        None => Ok(x.iter().map(|&x| x as f32).collect()),
        Some(col) => Err(error(
            "the model's preparation",
            format!(
                "the {what} of column {col} (from 0) is {:e}, beyond the range of f32",
                x[col]
            ),
            "bring that column to another unit, or leave it out",
        )),
    }
}

impl Scales {
    fn of(model: &Model) -> Result<Self> {
        let (inputs, outputs) = (model.network().inputs(), model.network().outputs());
        let Some(value) = &model.preparation else {
            return Ok(Self::numbers(inputs, None, Targets::Unknown, ""));
        };
        if value.get("estimator").is_some() {
            let names = |classes: ClassMap| classes.names().to_vec();
            return Ok(match Prepared::of(model)? {
                Prepared::Classifier { classes, inputs: x } => {
                    let targets = Targets::Classes(names(classes));
                    Self::numbers(inputs, x, targets, "a classifier's")
                }
                Prepared::Regressor { inputs: x, targets } => {
                    let targets = Targets::Values(Vec::new(), targets);
                    Self::numbers(inputs, x, targets, "a regressor's")
                }
            });
        }
        let advice = "set Model::preparation to None to export the network alone, and prepare x as it was for training";
        let what = "the model's preparation";
        let preparation: Preparation = serde_json::from_value(value.clone())
            .map_err(|e| error(what, format!("it is none of this crate ({e})"), advice))?;
        let (ins, outs) = (preparation.input_width(), preparation.output_width());
        // Without targets nothing is known of them.
        if ins != inputs || ![0, outputs].contains(&outs) {
            let reason = format!(
                "it gives {ins} inputs and {outs} outputs, but the network has {inputs} and {outputs}"
            );
            return Err(error(what, reason, advice));
        }
        let targets = match preparation.target() {
            TargetEncoding::None => Targets::Unknown,
            TargetEncoding::Classes { classes, .. } => Targets::Classes(classes.names().to_vec()),
            TargetEncoding::Values {
                columns,
                standardizer,
            } => {
                if standardizer.cols() != outputs {
                    let reason = format!(
                        "it has {outputs} targets, but {} scales",
                        standardizer.cols()
                    );
                    return Err(error(what, reason, advice));
                }
                let names = columns.iter().map(Column::plain_name).collect();
                Targets::Values(names, Some(standardizer.clone()))
            }
        };
        let description = preparation.to_string();
        let mut scales = Self::numbers(inputs, None, targets, &description);
        scales.names = preparation.input_names();
        let mut at = 0;
        for input in preparation.inputs() {
            match &input.encoding {
                Encoding::Number { shift, factor, .. } => {
                    scales.inputs.shift[at] = *shift;
                    scales.inputs.factor[at] = *factor;
                    let fill = input.fill.as_deref().and_then(number);
                    scales.fills[at] = fill.map_or(f32::NAN, |fill| fill as f32);
                    at += 1;
                }
                Encoding::OneHot { categories, .. } => at += categories.len(),
            }
        }
        Ok(scales)
    }

    fn numbers(
        cols: usize,
        inputs: Option<Standardizer>,
        targets: Targets,
        description: &str,
    ) -> Self {
        Self {
            names: Vec::new(),
            inputs: inputs.unwrap_or_else(|| Standardizer::identity(cols)),
            fills: vec![f32::NAN; cols],
            targets,
            description: description.into(),
        }
    }
}
