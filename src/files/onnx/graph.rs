//! A graph under construction, and the operators of each kind of layer.

use super::error;
use super::proto::{self, AttributeProto, NodeProto, TensorElement, TensorProto};
use crate::config::activation::Activation;
use crate::config::spec::{Mlp, Norm};
use crate::config::tensor::Tensors;
use crate::error::Result;

/// Nodes and constants so far. A value is known by its name. A node has a name that no value has: some readers keep one list of both.
#[derive(Default)]
pub(super) struct Builder {
    pub nodes: Vec<NodeProto>,
    pub constants: Vec<TensorProto>,
}

impl Builder {
    pub fn constant<T: TensorElement>(
        &mut self,
        name: &str,
        shape: &[usize],
        data: &[T],
    ) -> String {
        let mut raw_data = Vec::with_capacity(std::mem::size_of_val(data));
        data.iter().for_each(|x| x.put(&mut raw_data));
        self.constants.push(TensorProto {
            dims: shape.iter().map(|&side| side as i64).collect(),
            data_type: T::TYPE,
            name: name.into(),
            raw_data,
        });
        name.into()
    }

    /// A number, which is there once however often it is asked for.
    fn number(&mut self, name: &str, x: f64) -> String {
        match self.constants.iter().any(|constant| constant.name == name) {
            true => name.into(),
            false => self.constant(name, &[], &[x as f32]),
        }
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(op, inputs, output, Vec::new())
    }

    pub fn node_with(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.into()],
            name: format!("{output}/{op}"),
            op_type: op.into(),
            attribute,
        });
        output.into()
    }

    /// The same numbers in another type.
    pub fn cast(&mut self, x: &str, to: i32, output: &str) -> String {
        self.node_with("Cast", &[x], output, vec![proto::int("to", to.into())])
    }

    /// Whether all numbers of each row are finite: (batch, 1).
    pub fn sound(&mut self, x: &str) -> String {
        let of = |part: &str| format!("x.{part}");
        let largest = self.number("largest", f64::from(f32::MAX));
        let size = self.node("Abs", &[x], &of("size"));
        let finite = self.node("LessOrEqual", &[&size, &largest], &of("finite"));
        let ones = self.cast(&finite, proto::FLOAT, &of("finite.ones"));
        let sides = vec![proto::ints("axes", vec![-1]), proto::int("keepdims", 1)];
        let least = self.node_with("ReduceMin", &[&ones], &of("finite.all"), sides);
        let half = self.number("half", 0.5);
        self.node("Greater", &[&least, &half], &of("sound"))
    }

    /// NaN in the rows that are not sound. A NaN or an infinity that goes through a network need not come out: some runtimes have a
    /// ReLU that makes 0 of it, or a softmax that makes probabilities of it, and tanh makes 1 of an infinity.
    pub fn where_sound(&mut self, sound: &str, y: &str, output: &str) -> String {
        let nan = self.number("nan", f64::NAN);
        self.node("Where", &[sound, y, &nan], output)
    }

    /// The index of each row's largest, the first of equals; −1 where one is NaN, of which runtimes make what they like.
    pub fn largest(&mut self, x: &str, output: &str) -> String {
        let over_row = || proto::ints("axes", vec![-1]);
        let row = vec![proto::int("axis", -1), proto::int("keepdims", 0)];
        let of = |part: &str| format!("{output}.{part}");
        let largest = self.node_with("ArgMax", &[x], &of("largest"), row);
        let sides = vec![over_row(), proto::int("keepdims", 0)];
        // Not the row's own mean: infinities of both signs would make it NaN.
        let nan = self.node("IsNaN", &[x], &of("nan"));
        let ones = self.cast(&nan, proto::FLOAT, &of("nan.ones"));
        let most = self.node_with("ReduceMax", &[&ones], &of("nan.any"), sides);
        let half = self.number("half", 0.5);
        let lost = self.node("Greater", &[&most, &half], &of("lost"));
        let none = self.constant(&of("none"), &[], &[-1i64]);
        self.node("Where", &[&lost, &none, &largest], output)
    }

    /// Calls a node's value something else, everywhere.
    pub fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.nodes {
            let names = node.input.iter_mut().chain(&mut node.output);
            let named = names.filter(|name| *name == from);
            named.for_each(|name| to.clone_into(name));
        }
    }

    /// The network's output for the rows of `x`, and z of its last layer.
    pub fn network(&mut self, network: &Mlp, weights: &Tensors, x: &str) -> Result<[String; 2]> {
        for tensor in weights {
            self.constant(&tensor.name, &tensor.shape, &tensor.data);
        }
        let mut h = x.to_owned();
        let mut z = h.clone();
        for (l, layer) in network.layers().iter().enumerate() {
            let module = network.module_of(l);
            let (weight, bias) = (format!("{module}.weight"), format!("{module}.bias"));
            let transposed = vec![proto::int("transB", 1)];
            let inputs = [h.as_str(), weight.as_str(), bias.as_str()];
            z = self.node_with("Gemm", &inputs, &format!("layer{l}.product"), transposed);
            if let Some(norm) = layer.norm {
                let module = module + 1;
                z = match norm {
                    Norm::Batch => self.batch_norm(&z, module, l),
                    Norm::Layer => self.layer_norm(&z, module, l),
                };
            }
            let a = self.activation(&layer.activation, &z, l)?;
            // Dropout changes nothing here.
            h = match layer.residual {
                true => self.node("Add", &[&h, &a], &format!("layer{l}.residual")),
                false => a,
            };
        }
        Ok([h, z])
    }

    /// z = γ·(u − mean)/√(variance + eps) + β with the running statistics.
    fn batch_norm(&mut self, u: &str, module: usize, l: usize) -> String {
        let of = |name: &str| format!("{module}.{name}");
        let (gamma, beta) = (of("weight"), of("bias"));
        let (mean, variance) = (of("running_mean"), of("running_var"));
        let eps = vec![proto::float("epsilon", Norm::EPS as f32)];
        let inputs = [u, &gamma, &beta, &mean, &variance];
        let output = format!("layer{l}.batch_norm");
        self.node_with("BatchNormalization", &inputs, &output, eps)
    }

    /// The same with each row's statistics. The operator LayerNormalization is of version 17; runtimes that have it find it in
    /// these nodes, which stand as PyTorch writes them.
    fn layer_norm(&mut self, u: &str, module: usize, l: usize) -> String {
        let of = |name: &str| format!("layer{l}.layer_norm.{name}");
        let over_row = || vec![proto::ints("axes", vec![-1])];
        let two = self.number("two", 2.0);
        let eps = self.number("eps", Norm::EPS);
        let mean = self.node_with("ReduceMean", &[u], &of("mean"), over_row());
        let centred = self.node("Sub", &[u, &mean], &of("centred"));
        let squares = self.node("Pow", &[&centred, &two], &of("squares"));
        let variance = self.node_with("ReduceMean", &[&squares], &of("variance"), over_row());
        let raised = self.node("Add", &[&variance, &eps], &of("raised"));
        let deviation = self.node("Sqrt", &[&raised], &of("deviation"));
        let normal = self.node("Div", &[&centred, &deviation], &of("normal"));
        let (gamma, beta) = (format!("{module}.weight"), format!("{module}.bias"));
        let scaled = self.node("Mul", &[&normal, &gamma], &of("scaled"));
        self.node("Add", &[&scaled, &beta], &format!("layer{l}.layer_norm"))
    }

    /// φ(z) of layer l.
    fn activation(&mut self, phi: &Activation, z: &str, l: usize) -> Result<String> {
        let name = format!("layer{l}.{}", phi.name());
        let of = |part: &str| format!("{name}.{part}");
        let (op, attributes) = match *phi {
            Activation::Identity => return Ok(z.into()),
            Activation::Relu | Activation::ReluWith { .. } => ("Relu", vec![]),
            Activation::LeakyRelu { negative_slope } => {
                let alpha = proto::float("alpha", negative_slope as f32);
                ("LeakyRelu", vec![alpha])
            }
            Activation::Elu { alpha } => ("Elu", vec![proto::float("alpha", alpha as f32)]),
            Activation::Sigmoid => ("Sigmoid", vec![]),
            Activation::Tanh => ("Tanh", vec![]),
            Activation::Softplus => ("Softplus", vec![]),
            Activation::Softmax => ("Softmax", vec![proto::int("axis", -1)]),
            Activation::Silu => {
                let sigmoid = self.node("Sigmoid", &[z], &of("sigmoid"));
                return Ok(self.node("Mul", &[z, &sigmoid], &name));
            }
            // The operator Gelu is of version 20; runtimes find it in these nodes, which stand as PyTorch writes them.
            Activation::Gelu => {
                let sqrt_2 = self.number("sqrt_2", std::f64::consts::SQRT_2);
                let (one, half) = (self.number("one", 1.0), self.number("half", 0.5));
                let scaled = self.node("Div", &[z, &sqrt_2], &of("scaled"));
                let erf = self.node("Erf", &[&scaled], &of("erf"));
                let raised = self.node("Add", &[&erf, &one], &of("raised"));
                let product = self.node("Mul", &[z, &raised], &of("product"));
                return Ok(self.node("Mul", &[&product, &half], &name));
            }
            // z·σ(2u), as the kernels compute it: 1 + tanh(u) would cancel.
            Activation::GeluTanh => {
                let one = self.number("one", 1.0);
                let cubic = self.number("gelu_cubic", 0.044_715);
                let factor = self.number("sqrt_8_over_pi", (8.0 / std::f64::consts::PI).sqrt());
                let square = self.node("Mul", &[z, z], &of("square"));
                let scaled = self.node("Mul", &[&square, &cubic], &of("scaled"));
                let raised = self.node("Add", &[&scaled, &one], &of("raised"));
                let product = self.node("Mul", &[z, &raised], &of("product"));
                let argument = self.node("Mul", &[&product, &factor], &of("argument"));
                let sigmoid = self.node("Sigmoid", &[&argument], &of("sigmoid"));
                return Ok(self.node("Mul", &[z, &sigmoid], &name));
            }
            Activation::Custom(_) => {
                let what = format!("activation {:?} of layer {l}", phi.name());
                let reason = "it is a function of your own, of which ONNX has no operator";
                let advice = "use a built-in activation where the network shall run elsewhere";
                return Err(error(&what, reason, advice));
            }
        };
        Ok(self.node_with(op, &[z], &name, attributes))
    }
}
