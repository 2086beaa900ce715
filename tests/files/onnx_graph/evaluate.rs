//! Runs a graph, operator by operator, in the types that it says: for what the runtime of the tests has no doubles for.

use std::collections::HashMap;

use super::proto::{self, AttributeProto, NodeProto};

/// Numbers of some type, each as an f64: f32 and i64 up to 2⁵³ are among them, and so is one rounding of a sum or product.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    pub kind: i32,
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

const BOOL: i32 = 9;

impl Numbers {
    pub fn new(kind: i32, shape: Vec<usize>, data: impl IntoIterator<Item = f64>) -> Self {
        let round = |x: f64| match kind {
            proto::FLOAT => f64::from(x as f32),
            _ => x,
        };
        let data: Vec<f64> = data.into_iter().map(round).collect();
        assert_eq!(data.len(), shape.iter().product::<usize>());
        Self { kind, shape, data }
    }

    fn of(tensor: &proto::TensorProto) -> Self {
        let bytes = &tensor.raw_data;
        let data: Vec<f64> = match tensor.data_type {
            proto::FLOAT => {
                let each = bytes.chunks_exact(4).map(|b| b.try_into().unwrap());
                each.map(|b| f64::from(f32::from_le_bytes(b))).collect()
            }
            proto::DOUBLE => {
                let each = bytes.chunks_exact(8).map(|b| b.try_into().unwrap());
                each.map(f64::from_le_bytes).collect()
            }
            proto::INT64 => {
                let each = bytes.chunks_exact(8).map(|b| b.try_into().unwrap());
                each.map(|b| i64::from_le_bytes(b) as f64).collect()
            }
            other => panic!("{other}"),
        };
        let shape = tensor.dims.iter().map(|&side| side as usize).collect();
        Self::new(tensor.data_type, shape, data)
    }

    fn cols(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    fn map(&self, kind: i32, f: impl Fn(f64) -> f64) -> Self {
        Self::new(kind, self.shape.clone(), self.data.iter().map(|&x| f(x)))
    }

    /// A number of each row.
    fn rows(&self, kind: i32, f: impl Fn(&[f64]) -> f64) -> Self {
        let rows = self.data.chunks(self.cols()).map(f);
        Self::new(kind, vec![self.shape[0]], rows)
    }

    /// What meets the i-th element of a result with `cols` columns: a row, or a number, comes again and again, and so does each
    /// number of a column.
    fn at(&self, i: usize, cols: usize) -> f64 {
        match self.shape.as_slice() {
            [_, 1] => self.data[i / cols],
            _ => self.data[i % self.data.len()],
        }
    }

    fn with(&self, other: &Self, kind: i32, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!(self.kind, other.kind, "operands of two types");
        let (most, least) = match self.shape.len() < other.shape.len() {
            true => (other, self),
            false => (self, other),
        };
        assert!(most.shape.ends_with(&least.shape));
        let cols = most.cols();
        let each = (0..most.data.len()).map(|i| f(self.at(i, cols), other.at(i, cols)));
        Self::new(kind, most.shape.clone(), each)
    }

    /// x·w, or x·wᵀ.
    fn times(&self, w: &Self, transposed: bool) -> Self {
        assert_eq!((self.kind, w.kind), (proto::FLOAT, proto::FLOAT));
        let (rows, inner) = (self.shape[0], self.cols());
        let outs = w.shape[usize::from(!transposed)];
        assert_eq!(w.shape[usize::from(transposed)], inner);
        let element = |i: usize| {
            let (r, o) = (i / outs, i % outs);
            let w = |k: usize| match transposed {
                true => w.data[o * inner + k],
                false => w.data[k * outs + o],
            };
            (0..inner).map(|k| self.data[r * inner + k] * w(k)).sum()
        };
        Self::new(
            proto::FLOAT,
            vec![rows, outs],
            (0..rows * outs).map(element),
        )
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// All values of a graph, by name.
pub(super) fn evaluate(graph: &proto::GraphProto, x: Numbers) -> HashMap<String, Numbers> {
    let mut values: HashMap<String, Numbers> = HashMap::new();
    for tensor in &graph.initializer {
        values.insert(tensor.name.clone(), Numbers::of(tensor));
    }
    let input = graph.input[0].r#type.as_ref().unwrap();
    assert_eq!(input.tensor_type.as_ref().unwrap().elem_type, x.kind);
    values.insert("x".into(), x);
    for node in &graph.node {
        let of: Vec<&Numbers> = node.input.iter().map(|name| &values[name]).collect();
        let int = |name: &str| attribute(node, name).and_then(|a| a.i);
        let real = |y: &Numbers| assert!([proto::FLOAT, proto::DOUBLE].contains(&y.kind));
        let y = match (node.op_type.as_str(), of.as_slice()) {
            ("IsNaN", [x]) => {
                real(x);
                x.map(BOOL, |x| f64::from(x.is_nan()))
            }
            ("Cast", [x]) => {
                let to = int("to").unwrap() as i32;
                real(&Numbers::new(to, vec![0], []));
                x.map(to, |x| x)
            }
            ("Abs", [x]) => x.map(x.kind, f64::abs),
            ("Tanh", [x]) => x.map(x.kind, f64::tanh),
            ("Add", [a, b]) => a.with(b, a.kind, |a, b| a + b),
            ("Sub", [a, b]) => a.with(b, a.kind, |a, b| a - b),
            ("Mul", [a, b]) => a.with(b, a.kind, |a, b| a * b),
            ("Div", [a, b]) => a.with(b, a.kind, |a, b| a / b),
            ("Greater", [a, b]) => a.with(b, BOOL, |a, b| f64::from(a > b)),
            ("LessOrEqual", [a, b]) => a.with(b, BOOL, |a, b| f64::from(a <= b)),
            ("Where", [which, a, b]) => {
                assert_eq!((which.kind, a.kind), (BOOL, b.kind));
                let size = |x: &&&Numbers| (x.data.len(), x.shape.len());
                let most = [which, a, b].into_iter().max_by_key(size).unwrap();
                let cols = most.cols();
                let each = (0..most.data.len()).map(|i| match which.at(i, cols) == 1.0 {
                    true => a.at(i, cols),
                    false => b.at(i, cols),
                });
                Numbers::new(a.kind, most.shape.clone(), each)
            }
            ("Gather", [x, at]) => {
                assert_eq!((int("axis"), at.kind), (Some(1), proto::INT64));
                let row = |row: &[f64]| at.data.iter().map(|&i| row[i as usize]).collect();
                let data: Vec<Vec<f64>> = x.data.chunks(x.cols()).map(row).collect();
                Numbers::new(x.kind, vec![x.shape[0], at.data.len()], data.concat())
            }
            ("MatMul", [a, b]) => a.times(b, false),
            ("Gemm", [a, b, c]) => {
                let product = a.times(b, int("transB") == Some(1));
                product.with(c, product.kind, |a, c| a + c)
            }
            ("Softmax", [x]) => {
                let row = |row: &[f64]| {
                    let most = row.iter().copied().fold(f64::MIN, f64::max);
                    let powers: Vec<f64> = row.iter().map(|x| (x - most).exp()).collect();
                    let sum: f64 = powers.iter().sum();
                    powers.iter().map(|p| p / sum).collect()
                };
                let data: Vec<Vec<f64>> = x.data.chunks(x.cols()).map(row).collect();
                Numbers::new(x.kind, x.shape.clone(), data.concat())
            }
            ("ArgMax", [x]) => x.rows(proto::INT64, |row| {
                // Of a row with a NaN, something or other.
                let better = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
                (1..row.len()).fold(0, better) as f64
            }),
            ("ReduceMin", [x]) => {
                let axes = attribute(node, "axes").map(|a| a.ints.as_slice());
                assert_eq!((axes, int("keepdims")), (Some([-1].as_slice()), Some(1)));
                let least = x.rows(x.kind, |row| row.iter().copied().fold(f64::MAX, f64::min));
                Numbers::new(x.kind, vec![x.shape[0], 1], least.data)
            }
            ("ReduceMax", [x]) => {
                let axes = attribute(node, "axes").map(|a| a.ints.as_slice());
                assert_eq!((axes, int("keepdims")), (Some([-1].as_slice()), Some(0)));
                x.rows(x.kind, |row| row.iter().copied().fold(f64::MIN, f64::max))
            }
            (op, of) => panic!("{op} of {} values", of.len()),
        };
        values.insert(node.output[0].clone(), y);
    }
    values
}
