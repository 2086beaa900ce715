//! The five derivations that this crate comes from. Each test computes a note's printed formulas literally, in its own symbols
//! and its own orientation of W, and finds the plan in agreement on the f64 reference, the f32 CPU path and the GPU.
//!
//! | note | layer | δ | here |
//! |---|---|---|---|
//! | Liao, *Notes on Backpropagation of NN models* | z = W x + b, columns | δ₁ is the *output's*, δ₂ the hidden layer's | W = W |
//! | *Backpropagation and Learning* | n = Wᵀâ + b, W ∈ R^{H×L} | S | W = their Wᵀ |
//! | Farhat, *Backpropagation* | z = a w + b, samples as rows | Δ | W = their wᵀ |
//! | Sadeghi, *Backpropagation Computations in Matrix Form* | z = W a + b, columns | δ | W = W |
//! | Garg, *Assignment 4* | z_m = Σᵢ w_im aᵢ + b_m | δ | W = their wᵀ |
//!
//! Weights and data are f32 numbers, so every side starts from the same bits. Where a note has a misprint, a comment says so.

use std::ops::{Add, Mul, Sub};
use std::slice;

use crate::common;
use approx::assert_relative_eq;
use wgrad::{
    Activation, Criterion, Dataset, Device, Error, Loss, Matrix, Mlp, Reduction, Sgd, Targets,
    Tensor, Tensors, Trainer, verify,
};

// ---- small matrices ----

/// A small f64 matrix; a column vector has one column. `Copy`, so that formulas read as they are printed.
#[derive(Clone, Copy)]
struct Mat {
    rows: usize,
    cols: usize,
    data: [f64; Mat::ROOM],
}

impl Mat {
    const ROOM: usize = 64;

    fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        assert!(
            rows * cols <= Self::ROOM,
            "{rows}×{cols} is no small matrix"
        );
        let mut data = [0.0; Self::ROOM];
        for (i, x) in data[..rows * cols].iter_mut().enumerate() {
            *x = f(i / cols, i % cols);
        }
        Self { rows, cols, data }
    }

    fn of_f32(rows: usize, cols: usize, data: &[f32]) -> Self {
        assert_eq!(data.len(), rows * cols);
        Self::from_fn(rows, cols, |r, c| f64::from(data[r * cols + c]))
    }

    /// A batch: one sample a row.
    fn rows_of(x: &Matrix) -> Self {
        Self::of_f32(x.rows(), x.cols(), x.data())
    }

    /// One sample as a column vector.
    fn column_of(x: &Matrix, row: usize) -> Self {
        Self::of_f32(x.cols(), 1, x.row(row))
    }

    fn identity(n: usize) -> Self {
        Self::from_fn(n, n, |r, c| if r == c { 1.0 } else { 0.0 })
    }

    fn ones(rows: usize, cols: usize) -> Self {
        Self::from_fn(rows, cols, |_, _| 1.0)
    }

    /// A column vector on the diagonal of a square matrix.
    fn diag(v: Self) -> Self {
        assert_eq!(v.cols, 1);
        Self::from_fn(v.rows, v.rows, |r, c| if r == c { v.at(r, 0) } else { 0.0 })
    }

    fn at(&self, r: usize, c: usize) -> f64 {
        assert!(r < self.rows && c < self.cols);
        self.data[r * self.cols + c]
    }

    fn elements(&self) -> &[f64] {
        &self.data[..self.rows * self.cols]
    }

    /// The transposed matrix.
    fn t(self) -> Self {
        Self::from_fn(self.cols, self.rows, |r, c| self.at(c, r))
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self::from_fn(self.rows, self.cols, |r, c| f(self.at(r, c)))
    }

    fn zip(self, o: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!((self.rows, self.cols), (o.rows, o.cols));
        Self::from_fn(self.rows, self.cols, |r, c| f(self.at(r, c), o.at(r, c)))
    }

    /// ∘ and ⊙: the product of elements.
    fn hadamard(self, o: Self) -> Self {
        self.zip(o, |a, b| a * b)
    }

    fn sum(self) -> f64 {
        self.elements().iter().sum()
    }

    /// ‖·‖² of a vector, ‖·‖_F² of a matrix.
    fn norm2(self) -> f64 {
        self.hadamard(self).sum()
    }
}

impl Mul for Mat {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        assert_eq!(
            self.cols, o.rows,
            "the dimension check: ({}, {})·({}, {})",
            self.rows, self.cols, o.rows, o.cols
        );
        Self::from_fn(self.rows, o.cols, |r, c| {
            (0..self.cols).map(|k| self.at(r, k) * o.at(k, c)).sum()
        })
    }
}

impl Mul<Mat> for f64 {
    type Output = Mat;
    fn mul(self, m: Mat) -> Mat {
        m.map(|x| self * x)
    }
}

impl Add for Mat {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        self.zip(o, |a, b| a + b)
    }
}

impl Sub for Mat {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self.zip(o, |a, b| a - b)
    }
}

/// e^z / (1ᵀ e^z) of a column vector, as printed: without subtracting the maximum.
fn softmax(z: Mat) -> Mat {
    assert_eq!(z.cols, 1);
    let e = z.map(f64::exp);
    (1.0 / e.sum()) * e
}

/// −Σ y ln ŷ, as printed; a term with y = 0 is left out, where it would be 0·ln 0.
fn cross_entropy(y: Mat, y_hat: Mat) -> f64 {
    let term = |y: f64, y_hat: f64| if y == 0.0 { 0.0 } else { y * y_hat.ln() };
    -y.zip(y_hat, term).sum()
}

/// An activation function with its derivative as textbooks have it, and the crate's own that shall agree with it.
struct Sigma {
    ours: Activation,
    f: fn(f64) -> f64,
    grad: fn(f64) -> f64,
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

const IDENTITY: Sigma = Sigma {
    ours: Activation::Identity,
    f: |z| z,
    grad: |_| 1.0,
};
const TANH: Sigma = Sigma {
    ours: Activation::Tanh,
    f: f64::tanh,
    grad: |z| 1.0 - z.tanh().powi(2),
};
const SIGMOID: Sigma = Sigma {
    ours: Activation::Sigmoid,
    f: logistic,
    grad: |z| logistic(z) * (1.0 - logistic(z)),
};
const SOFTPLUS: Sigma = Sigma {
    ours: Activation::Softplus,
    f: |z| (1.0 + z.exp()).ln(),
    grad: logistic,
};
const SILU: Sigma = Sigma {
    ours: Activation::Silu,
    f: |z| z * logistic(z),
    grad: |z| logistic(z) + z * logistic(z) * (1.0 - logistic(z)),
};
const ELU: Sigma = Sigma {
    ours: Activation::Elu { alpha: 1.0 },
    f: |z| if z > 0.0 { z } else { z.exp() - 1.0 },
    grad: |z| if z > 0.0 { 1.0 } else { z.exp() },
};
const LEAKY_RELU: Sigma = Sigma {
    ours: Activation::LeakyRelu {
        negative_slope: 0.01,
    },
    f: |z| if z > 0.0 { z } else { 0.01 * z },
    grad: |z| if z > 0.0 { 1.0 } else { 0.01 },
};

// ---- a note's numbers against the plan ----

/// f64 against f64, relative to the largest element of a tensor. Both sides add the same numbers, in another order or through
/// another form of the same function: no more than 100 roundings of 2⁻⁵³ = 1.1e-16 each at these widths (at most 8) and depths
/// (at most 4), and two more digits for sums that cancel.
const F64: f64 = 1e-12;

/// Unit roundoff of f32.
const U: f64 = 1.0 / 16_777_216.0;

/// What a note's formulas give, under the names and in the layout of this crate.
struct Literal {
    loss: f64,
    /// Σ |loss| of the rows: −ln a is negative where a ReLU gives a > 1.
    magnitude: f64,
    /// W (O, I) and b, as a column, of each layer.
    gradients: Vec<(String, Mat)>,
}

fn weight(layer: usize) -> String {
    format!("{}.weight", 2 * layer)
}

fn bias(layer: usize) -> String {
    format!("{}.bias", 2 * layer)
}

impl Literal {
    /// From ∂L/∂W (O, I) and ∂L/∂b of each layer.
    fn new(loss: f64, layers: &[(Mat, Mat)]) -> Self {
        let gradients = layers.iter().enumerate();
        Self {
            loss,
            magnitude: loss.abs(),
            gradients: gradients
                .flat_map(|(l, &(dw, db))| [(weight(l), dw), (bias(l), db)])
                .collect(),
        }
    }

    /// The sum over samples or training pairs, times a factor.
    fn total(factor: f64, parts: &[Self]) -> Self {
        let gradient = |i: usize| {
            let (name, first) = &parts[0].gradients[i];
            let zero = 0.0 * *first;
            let sum = parts.iter().fold(zero, |sum, p| sum + p.gradients[i].1);
            (name.clone(), factor * sum)
        };
        Self {
            loss: factor * parts.iter().map(|p| p.loss).sum::<f64>(),
            magnitude: factor * parts.iter().map(|p| p.magnitude).sum::<f64>(),
            gradients: (0..parts[0].gradients.len()).map(gradient).collect(),
        }
    }
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |m, x| f64::max(m, x.abs()))
}

/// Each |ours − literal| ≤ bound, with both sides finite and the bound small enough to tell a right number from a wrong one.
fn within(what: &str, ours: &[f64], literal: &[f64], bound: f64) {
    assert_eq!(ours.len(), literal.len(), "{what}");
    let meaningful = 1e-3 * largest(literal);
    assert!(
        bound <= meaningful,
        "{what}: the bound {bound:e} proves nothing"
    );
    for (i, (o, l)) in ours.iter().zip(literal).enumerate() {
        assert!(
            o.is_finite() && l.is_finite(),
            "{what}, {i}: {o} against {l}"
        );
        let error = (o - l).abs();
        assert!(
            error <= bound,
            "{what}, {i}: {o} against {l}, {error:e} > {bound:e}"
        );
    }
}

/// [`F64`], on a device that computes in f64.
fn same_in_f64(what: &str, ours: &[f64], literal: &[f64]) {
    assert_eq!(ours.len(), literal.len(), "{what}");
    let scale = largest(literal);
    for (&o, &l) in ours.iter().zip(literal) {
        assert!(o.is_finite() && l.is_finite(), "{what}: {o} against {l}");
        assert_relative_eq!(o, l, epsilon = F64 * scale, max_relative = F64);
    }
}

/// The devices that compute in f32.
struct F32Devices([Device; 2]);

impl F32Devices {
    fn open() -> Self {
        Self([Device::cpu(), common::gpu()])
    }
}

/// A network with its weights, a loss and a batch.
#[derive(Clone)]
struct Setup {
    network: Mlp,
    criterion: Criterion,
    weights: Tensors,
    batch: Dataset,
}

impl Setup {
    /// With weights and biases drawn from `seed`: f32 numbers in ±1/√I.
    fn new(network: &Mlp, criterion: impl Into<Criterion>, batch: Dataset, seed: u64) -> Self {
        let criterion = criterion.into();
        let drawn = Trainer::new(
            &Device::reference(),
            network,
            criterion,
            Sgd::default(),
            seed,
        );
        Self {
            network: network.clone(),
            criterion,
            weights: drawn.unwrap().weights().unwrap(),
            batch,
        }
    }

    fn trainer(&self, device: &Device) -> Trainer {
        self.trainer_with(device, Sgd::default())
    }

    fn trainer_with(&self, device: &Device, sgd: Sgd) -> Trainer {
        let mut trainer = Trainer::new(device, &self.network, self.criterion, sgd, 0).unwrap();
        trainer.set_weights(&self.weights).unwrap();
        trainer
    }

    /// W (O, I) of a layer.
    fn w(&self, layer: usize) -> Mat {
        let tensor = self.weights.weight(layer).unwrap();
        Mat::of_f32(tensor.shape[0], tensor.shape[1], &tensor.data)
    }

    /// b of a layer, a column.
    fn b(&self, layer: usize) -> Mat {
        let tensor = self.weights.bias(layer).unwrap();
        Mat::of_f32(tensor.shape[0], 1, &tensor.data)
    }

    /// Sample `row` as a column.
    fn x(&self, row: usize) -> Mat {
        Mat::column_of(self.batch.inputs(), row)
    }

    /// Its target as a column: values, or one-hot.
    fn y(&self, row: usize) -> Mat {
        match self.batch.targets() {
            Targets::Values(values) => Mat::column_of(values, row),
            Targets::Classes(labels) => Mat::from_fn(self.network.outputs(), 1, |c, _| {
                f64::from(labels[row] as usize == c)
            }),
        }
    }

    /// The gradients that a device has after `accumulate`, each beside the note's. All of them, of equal shapes.
    fn gradients<'a>(
        &self,
        trainer: &mut Trainer,
        literal: &'a Literal,
    ) -> Vec<(Tensor<f64>, &'a Mat)> {
        trainer.accumulate(&self.batch).unwrap();
        let ours = trainer.gradients_f64().unwrap();
        assert_eq!(ours.iter().count(), literal.gradients.len());
        let pairs = literal.gradients.iter().map(|(name, matrix)| {
            let tensor = ours.get(name).unwrap().clone();
            match *tensor.shape {
                [outputs, inputs] => assert_eq!((outputs, inputs), (matrix.rows, matrix.cols)),
                _ => assert_eq!((tensor.shape[0], 1), (matrix.rows, matrix.cols)),
            }
            (tensor, matrix)
        });
        pairs.collect()
    }

    fn agrees_in_f64(&self, what: &str, literal: &Literal) {
        let mut trainer = self.trainer(&Device::reference());
        for (ours, theirs) in self.gradients(&mut trainer, literal) {
            let what = format!("{what}: ∂/∂ {}", ours.name);
            same_in_f64(&what, &ours.data, theirs.elements());
        }
        let loss = trainer.take_loss().unwrap();
        same_in_f64(&format!("{what}: loss"), &[loss], &[literal.loss]);
    }

    /// Gradients within the rounding bound that the verifier carries through the whole plan, and the loss within that of a
    /// step. `F64` comes on top: the literal numbers are themselves no better.
    fn agrees_in_f32(&self, device: &Device, what: &str, literal: &Literal) {
        let mut trainer = self.trainer(device);
        let report = verify::gradients(&mut trainer, &self.batch).unwrap();
        assert!(report.passed(), "{what}: {report}");
        for (ours, theirs) in self.gradients(&mut trainer, literal) {
            let name = format!("gradient of {}, whole plan", ours.name);
            let check = report.checks.iter().find(|check| check.name == name);
            let bound = check.unwrap().largest_bound + F64 * largest(theirs.elements());
            let what = format!("{what}: ∂/∂ {} on {device}", ours.name);
            within(&what, &ours.data, theirs.elements(), bound);
        }
        let bound = self.loss_bound(&mut trainer, literal.magnitude);
        let loss = trainer.take_loss().unwrap();
        let what = format!("{what}: loss on {device}");
        within(&what, &[loss], &[literal.loss], bound);
    }

    /// How far a device's loss may be off. The verifier bounds everything that one step makes of the weights, each row's loss
    /// among it; the rows are then summed, with at most B + 2 roundings of the sum of their magnitudes.
    fn loss_bound(&self, trainer: &mut Trainer, magnitude: f64) -> f64 {
        let report = verify::training(trainer, slice::from_ref(&self.batch)).unwrap();
        let step = report
            .checks
            .iter()
            .find(|check| {
                check
                    .name
                    .starts_with("each step from the device's own state")
            })
            .unwrap();
        assert!(step.passed, "{report}");
        let rows = self.batch.rows() as f64;
        let per_row = match self.criterion.reduction {
            Reduction::Mean => 1.0 / rows,
            Reduction::Sum => 1.0,
        };
        per_row * rows * step.largest_bound + ((rows + 2.0) * U + F64) * magnitude
    }

    fn agrees(&self, devices: &F32Devices, what: &str, literal: &Literal) {
        self.agrees_in_f64(what, literal);
        for device in &devices.0 {
            self.agrees_in_f32(device, what, literal);
        }
    }
}

/// Some numbers in (−1, 1), none of them near 0, in no order.
fn numbers(rows: usize, cols: usize, phase: f32) -> Matrix {
    let number = |i: usize| {
        let wave = (2.3 * i as f32 + phase).sin();
        0.8 * wave + 0.15 * wave.signum()
    };
    Matrix::new(cols, (0..rows * cols).map(number).collect()).unwrap()
}

/// One row for each label, 1 at the label.
fn one_hot(labels: &[u32], classes: usize) -> Matrix {
    let mut data = vec![0.0; labels.len() * classes];
    for (r, &label) in labels.iter().enumerate() {
        data[r * classes + label as usize] = 1.0;
    }
    Matrix::new(classes, data).unwrap()
}

// ---- 1. Liao, Notes on Backpropagation of NN models ----

/// (1)–(6) and (16)–(21). (14) prints a₁ where b₁ is meant.
fn liao(s: &Setup) -> Literal {
    let (x, y) = (s.x(0), s.y(0));
    let (w1, b1, w2, b2) = (s.w(0), s.b(0), s.w(1), s.b(1));
    let z1 = w1 * x + b1;
    let a1 = z1.map(f64::tanh);
    let z2 = w2 * a1 + b2;
    let y_hat = softmax(z2);

    let delta_1 = y_hat - y;
    let delta_2 = (Mat::ones(z1.rows, 1) - z1.map(|z| z.tanh().powi(2))).hadamard(w2.t() * delta_1);
    let literal = Literal::new(
        cross_entropy(y, y_hat),
        &[(delta_2 * x.t(), delta_2), (delta_1 * a1.t(), delta_1)],
    );

    // (9), before it is simplified to (10).
    let (c, n, p) = (y.rows, z1.rows, x.rows);
    let by_entry = Mat::from_fn(c, 1, |i, _| {
        let (y, y_hat) = (|k| y.at(k, 0), |k| y_hat.at(k, 0));
        let others = (0..c).filter(|&k| k != i);
        y(i) / y_hat(i) * y_hat(i) * (y_hat(i) - 1.0)
            + others
                .map(|k| y(k) / y_hat(k) * y_hat(i) * y_hat(k))
                .sum::<f64>()
    });
    same_in_f64("(9)", by_entry.elements(), delta_1.elements());
    // (12), the chain rule for one entry of W₁.
    let by_entry = Mat::from_fn(n, p, |i, j| {
        let outputs = (0..c).map(|k| (y_hat.at(k, 0) - y.at(k, 0)) * w2.at(k, i));
        outputs.sum::<f64>() * (1.0 - z1.at(i, 0).tanh().powi(2)) * x.at(j, 0)
    });
    same_in_f64("(12)", by_entry.elements(), (delta_2 * x.t()).elements());
    literal
}

#[test]
fn liao_one_hidden_layer_and_cross_entropy() {
    let devices = F32Devices::open();
    let hidden = Mlp::new(3).dense(5, Activation::Tanh);
    // The same function said in two ways: from logits, and from probabilities.
    let from_logits = hidden.clone().dense(4, Activation::Identity);
    let from_softmax = hidden.dense(4, Activation::Softmax);
    let x = numbers(1, 3, 0.4);
    for label in 0..4 {
        let batches = [
            Dataset::classes(x.clone(), vec![label]).unwrap(),
            Dataset::values(x.clone(), one_hot(&[label], 4)).unwrap(),
        ];
        for batch in batches {
            for (network, loss) in [
                (&from_logits, Loss::CrossEntropy),
                (&from_softmax, Loss::OutputCrossEntropy),
            ] {
                let setup = Setup::new(network, loss, batch.clone(), 11);
                let what = format!("Liao, {}, {:?}", loss.name(), batch.targets());
                setup.agrees(&devices, &what, &liao(&setup));
            }
        }
    }
}

// ---- 2. Backpropagation and Learning ----

/// φ(t, y), the error of one training pair.
#[derive(Clone, Copy)]
enum PairError {
    Squared,
    CrossEntropy,
}

/// *A 4 layer network*: layer 1 is the input, so there are W₂, W₃, W₄ ∈ R^{H×L} with n = Wᵀâ + b.
#[derive(Clone, Copy)]
struct FourLayers {
    w2: Mat,
    w3: Mat,
    w4: Mat,
    b2: Mat,
    b3: Mat,
    b4: Mat,
}

/// ∂F/∂W and ∂F/∂b of [`FourLayers`] for one training pair, and F.
struct PairGradients {
    f: f64,
    layers: [(Mat, Mat); 3],
}

impl FourLayers {
    fn of(s: &Setup) -> Self {
        Self {
            w2: s.w(0).t(),
            w3: s.w(1).t(),
            w4: s.w(2).t(),
            b2: s.b(0),
            b3: s.b(1),
            b4: s.b(2),
        }
    }

    /// Forward, S₄, S₃, S₂, and ∂F/∂W = â Sᵀ, ∂F/∂b = S.
    ///
    /// The note's summary prints ∂F/∂W = Âᵀ S instead. Its own dimension check refutes it: Â is H×H, S has L entries.
    fn gradients(&self, sigma: &[&Sigma; 3], error: PairError, x: Mat, t: Mat) -> PairGradients {
        let a1 = x;
        let n2 = self.w2.t() * a1 + self.b2;
        let a2 = n2.map(sigma[0].f);
        let n3 = self.w3.t() * a2 + self.b3;
        let a3 = n3.map(sigma[1].f);
        let n4 = self.w4.t() * a3 + self.b4;
        let y = n4.map(sigma[2].f);
        let big_a2 = Mat::diag(n2.map(sigma[0].grad));
        let big_a3 = Mat::diag(n3.map(sigma[1].grad));
        let big_a4 = Mat::diag(n4.map(sigma[2].grad));

        let (f, s4) = match error {
            PairError::Squared => {
                let e4 = t - y;
                (e4.norm2(), -2.0 * big_a4 * e4)
            }
            // The note leaves this S to the reader: S = ∂F/∂n = A ∂F/∂y, of F = −Σ tⱼ ln yⱼ.
            PairError::CrossEntropy => (
                -t.hadamard(y.map(f64::ln)).sum(),
                big_a4 * t.zip(y, |t, y| -t / y),
            ),
        };
        let s3 = big_a3 * self.w4 * s4;
        let s2 = big_a2 * self.w3 * s3;

        // The recursion before its transpose is multiplied out: Ŝ = (∂n/∂n̂)ᵀ S with the Jacobian ∂n/∂n̂ = Wᵀ Â.
        let jacobian = self.w4.t() * big_a3;
        let by_jacobian = jacobian.t() * s4;
        same_in_f64("(Wᵀ Â)ᵀ S", by_jacobian.elements(), s3.elements());
        PairGradients {
            f,
            layers: [(a1 * s2.t(), s2), (a2 * s3.t(), s3), (a3 * s4.t(), s4)],
        }
    }

    /// W ← W − α ∂F/∂W, b ← b − α ∂F/∂b in every layer.
    fn descend(&mut self, alpha: f64, g: &PairGradients) {
        let [(dw2, db2), (dw3, db3), (dw4, db4)] = g.layers;
        self.w2 = self.w2 - alpha * dw2;
        self.w3 = self.w3 - alpha * dw3;
        self.w4 = self.w4 - alpha * dw4;
        self.b2 = self.b2 - alpha * db2;
        self.b3 = self.b3 - alpha * db3;
        self.b4 = self.b4 - alpha * db4;
    }

    /// Weights and biases in this crate's layout.
    fn named(&self) -> [(String, Mat); 6] {
        [
            (weight(0), self.w2.t()),
            (bias(0), self.b2),
            (weight(1), self.w3.t()),
            (bias(1), self.b3),
            (weight(2), self.w4.t()),
            (bias(2), self.b4),
        ]
    }
}

impl PairGradients {
    /// Their ∂F/∂W ∈ R^{H×L}, transposed to ours.
    fn literal(&self) -> Literal {
        Literal::new(self.f, &self.layers.map(|(dw, db)| (dw.t(), db)))
    }
}

fn four_layers(sigma: &[&Sigma; 3]) -> Mlp {
    Mlp::new(3)
        .dense(5, sigma[0].ours.clone())
        .dense(4, sigma[1].ours.clone())
        .dense(2, sigma[2].ours.clone())
}

/// N_t = 6 pairs whose targets lie in (0, 1), so that both errors take them.
fn training_pairs() -> Dataset {
    let t = numbers(6, 2, 2.0);
    let t = t.data().iter().map(|x| 0.5 + 0.45 * x).collect();
    Dataset::values(numbers(6, 3, 0.1), Matrix::new(2, t).unwrap()).unwrap()
}

#[test]
fn learning_total_and_mean_errors() {
    let devices = F32Devices::open();
    let smooth = [&SIGMOID, &TANH, &IDENTITY];
    let fractions = [&TANH, &SOFTPLUS, &SIGMOID];
    let pairs = training_pairs();
    let count = pairs.rows();
    let mean = 1.0 / count as f64;
    let cases = [
        (
            "TSE",
            &smooth,
            PairError::Squared,
            Loss::SquaredError.sum(),
            1.0,
        ),
        (
            "MSE",
            &smooth,
            PairError::Squared,
            Loss::SquaredError.mean(),
            mean,
        ),
        (
            "TSE",
            &fractions,
            PairError::Squared,
            Loss::SquaredError.sum(),
            1.0,
        ),
        (
            "TCE",
            &fractions,
            PairError::CrossEntropy,
            Loss::OutputCrossEntropy.sum(),
            1.0,
        ),
    ];
    for (what, sigma, error, criterion, factor) in cases {
        let setup = Setup::new(&four_layers(sigma), criterion, pairs.clone(), 5);
        let network = FourLayers::of(&setup);
        let each: Vec<Literal> = (0..count)
            .map(|i| {
                network
                    .gradients(sigma, error, setup.x(i), setup.y(i))
                    .literal()
            })
            .collect();
        let literal = Literal::total(factor, &each);
        setup.agrees(&devices, &format!("Learning, {what}"), &literal);
    }
}

/// SGD as the note has it: *just each ∇f(tᵢ, yᵢ) in turn, perhaps chosen at random*.
///
/// Its summary can be read as updating W before Ŝ = Â W S is formed from it ("updating weights and biases as we go"). Its
/// derivation cannot: ∂F/∂n̂ is taken at the W of the forward pass. The plan forms every S first, and this test tells the two
/// readings apart.
#[test]
fn learning_stochastic_gradient_descent() {
    // Not an f32 number: each device rounds it as it must.
    const ALPHA: f64 = 0.1;
    const EPOCHS: u64 = 3;
    let sigma = [&SIGMOID, &TANH, &SIGMOID];
    let pairs = training_pairs();
    let setup = Setup::new(
        &four_layers(&sigma),
        Loss::SquaredError.sum(),
        pairs.clone(),
        6,
    );
    let steps: Vec<Dataset> = (0..EPOCHS)
        .flat_map(|epoch| pairs.batches(1).unwrap().shuffled(epoch))
        .collect();
    // Each epoch takes each pair once, in an order of its own.
    let order: Vec<usize> = steps
        .iter()
        .map(|pair| (0..pairs.rows()).find(|&i| pairs.select(&[i]) == *pair))
        .map(Option::unwrap)
        .collect();
    let orders: Vec<&[usize]> = order.chunks(pairs.rows()).collect();
    for order in &orders {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        assert_ne!(*order, [0, 1, 2, 3, 4, 5], "this order is not random");
    }
    assert_ne!(orders[0], orders[1]);

    let mut literal = FourLayers::of(&setup);
    let mut as_we_go = literal;
    let mut losses = 0.0;
    for &i in &order {
        let (x, t) = (setup.x(i), setup.y(i));
        let gradients = literal.gradients(&sigma, PairError::Squared, x, t);
        losses += gradients.f;
        literal.descend(ALPHA, &gradients);
        as_we_go = updated_as_we_go(as_we_go, ALPHA, &sigma, x, t);
    }

    let sgd = Sgd {
        lr: ALPHA,
        ..Sgd::default()
    };
    let train = |device: &Device| {
        let mut trainer = setup.trainer_with(device, sgd);
        for pair in &steps {
            trainer.step(pair).unwrap();
        }
        let loss = trainer.take_loss().unwrap();
        (loss, trainer.weights_f64().unwrap())
    };
    let (loss, weights) = train(&Device::reference());
    same_in_f64("Learning, SGD: losses", &[loss], &[losses]);
    for (name, theirs) in literal.named() {
        let ours = weights.get(&name).unwrap();
        same_in_f64(
            &format!("Learning, SGD: {name}"),
            &ours.data,
            theirs.elements(),
        );
    }

    for device in F32Devices::open().0 {
        // The verifier's bounds for a whole run: each step within its rounding, and the final weights within what such
        // steps can come to.
        let mut trainer = setup.trainer_with(&device, sgd);
        let report = verify::training(&mut trainer, &steps).unwrap();
        let find = |name: &str| {
            let check = report
                .checks
                .iter()
                .find(|check| check.name.starts_with(name));
            let check = check.unwrap();
            assert!(check.passed, "{report}");
            check.largest_bound
        };
        assert!(report.passed(), "{report}");
        let (_, weights) = train(&device);
        for ((name, theirs), (_, wrong)) in literal.named().into_iter().zip(as_we_go.named()) {
            let ours = weights.get(&name).unwrap();
            let bound = find(&format!("{name} after {} steps", steps.len()))
                + F64 * largest(theirs.elements());
            let what = format!("Learning, SGD: {name} on {device}");
            within(&what, &ours.data, theirs.elements(), bound);
            // The last layer's first update is the same either way; by now its weights are not.
            let apart = largest((theirs - wrong).elements());
            assert!(apart > 10.0 * bound, "{what}: {apart:e} against {bound:e}");
        }
    }
}

/// The other reading: each W is updated before the S of the layer before is formed from it.
fn updated_as_we_go(
    mut n: FourLayers,
    alpha: f64,
    sigma: &[&Sigma; 3],
    x: Mat,
    t: Mat,
) -> FourLayers {
    let before = n;
    let error = PairError::Squared;
    let [_, _, (dw4, db4)] = before.gradients(sigma, error, x, t).layers;
    n.w4 = n.w4 - alpha * dw4;
    n.b4 = n.b4 - alpha * db4;
    // Only W in Ŝ = Â W S is new; activations and S are those of the forward pass.
    let n2 = before.w2.t() * x + before.b2;
    let n3 = before.w3.t() * n2.map(sigma[0].f) + before.b3;
    let s3 = Mat::diag(n3.map(sigma[1].grad)) * n.w4 * db4;
    n.w3 = n.w3 - alpha * (n2.map(sigma[0].f) * s3.t());
    n.b3 = n.b3 - alpha * s3;
    let s2 = Mat::diag(n2.map(sigma[0].grad)) * n.w3 * s3;
    n.w2 = n.w2 - alpha * (x * s2.t());
    n.b2 = n.b2 - alpha * s2;
    n
}

// ---- 3. Farhat, Backpropagation ----

/// The last layer's activation.
#[derive(Clone, Copy)]
enum Last {
    /// For k classes.
    Softmax,
    /// For two, with one output.
    Sigmoid,
}

/// Samples are rows, and z^{l+1} = aˡ wˡ + bˡ (3) with wˡ (inputs, outputs). Gives a^L and the averaged gradients, with the
/// loss that the caller found from a^L.
///
/// ∂a_k/∂z_j in section 3.2 misprints δ_ik Σ for δ_jk e^{z_k} Σ; the next line is right again.
fn farhat(s: &Setup, hidden: &[&Sigma; 2], last: Last, loss: impl Fn(Mat) -> f64) -> Literal {
    let m = s.batch.rows();
    let w: [Mat; 3] = std::array::from_fn(|l| s.w(l).t());
    let b: [Mat; 3] = std::array::from_fn(|l| s.b(l).t());
    let every_row = |b: Mat| Mat::ones(m, 1) * b;
    let y = Mat::from_fn(m, s.network.outputs(), |r, c| s.y(r).at(c, 0));

    let a0 = Mat::rows_of(s.batch.inputs());
    let z1 = a0 * w[0] + every_row(b[0]);
    let a1 = z1.map(hidden[0].f);
    let z2 = a1 * w[1] + every_row(b[1]);
    let a2 = z2.map(hidden[1].f);
    let z3 = a2 * w[2] + every_row(b[2]);
    let a3 = match last {
        Last::Softmax => Mat::from_fn(m, z3.cols, |s, i| {
            z3.at(s, i).exp() / (0..z3.cols).map(|j| z3.at(s, j).exp()).sum::<f64>()
        }),
        Last::Sigmoid => z3.map(logistic),
    };

    let (theta_1, theta_2) = (z1.map(hidden[0].grad), z2.map(hidden[1].grad));
    let delta_3 = a3 - y;
    let delta_2 = (delta_3 * w[2].t()).hadamard(theta_2);
    let delta_1 = (delta_2 * w[1].t()).hadamard(theta_1);

    // The last two formulas of the note, entry by entry.
    let average = |f: &dyn Fn(usize) -> f64| (0..m).map(f).sum::<f64>() / m as f64;
    let gradients = |a: Mat, delta: Mat| {
        let dw = Mat::from_fn(a.cols, delta.cols, |i, j| {
            average(&|s| a.at(s, i) * delta.at(s, j))
        });
        let db = Mat::from_fn(delta.cols, 1, |j, _| average(&|s| delta.at(s, j)));
        (dw.t(), db)
    };
    Literal::new(
        loss(a3),
        &[
            gradients(a0, delta_1),
            gradients(a1, delta_2),
            gradients(a2, delta_3),
        ],
    )
}

/// The note averages gradients over the m samples; its ℒ is a sum. So: gradients of the mean, and the sum's are m times those.
fn farhat_agrees(devices: &F32Devices, what: &str, setup: &Setup, mean: &Literal) {
    setup.agrees(devices, &format!("Farhat, {what}"), mean);
    let m = setup.batch.rows() as f64;
    let summed = Setup {
        criterion: setup.criterion.loss.sum(),
        ..setup.clone()
    };
    let total = Literal::total(m, slice::from_ref(mean));
    summed.agrees(devices, &format!("Farhat, {what}, summed"), &total);
}

#[test]
fn farhat_softmax_cross_entropy_and_divergence() {
    let devices = F32Devices::open();
    let hidden = [&SIGMOID, &TANH];
    let layers = Mlp::new(4)
        .dense(6, Activation::Sigmoid)
        .dense(5, Activation::Tanh);
    let logits = layers.clone().dense(3, Activation::Identity);
    let softmax = layers.dense(3, Activation::Softmax);
    let x = numbers(7, 4, 1.1);
    let labels = [2, 0, 1, 1, 2, 0, 2];

    // One-hot: cross-entropy and divergence are the same, because p ln p = 0 at 0 and at 1.
    for batch in [
        Dataset::classes(x.clone(), labels.to_vec()).unwrap(),
        Dataset::values(x.clone(), one_hot(&labels, 3)).unwrap(),
    ] {
        for (network, loss) in [
            (&logits, Loss::CrossEntropy),
            (&softmax, Loss::OutputCrossEntropy),
            (&softmax, Loss::KlDivergence),
        ] {
            let setup = Setup::new(network, loss, batch.clone(), 3);
            // ℒ = −Σ_s Σ_k y_sk log p̂_sk, over m.
            let literal = farhat(&setup, &hidden, Last::Softmax, |p_hat| {
                let sum: f64 = (0..7).map(|s| -p_hat.at(s, labels[s] as usize).ln()).sum();
                sum / 7.0
            });
            farhat_agrees(&devices, loss.name(), &setup, &literal);
        }
    }

    // Distributions p that are not one-hot, and sum to 1 exactly.
    let p = [0.5, 0.25, 0.25, 0.125, 0.75, 0.125, 0.25, 0.25, 0.5];
    let p = Matrix::new(3, [p, p, p].concat()[..21].to_vec()).unwrap();
    let setup = Setup::new(
        &softmax,
        Loss::KlDivergence,
        Dataset::values(x, p.clone()).unwrap(),
        3,
    );
    let p = Mat::rows_of(&p);
    let literal = farhat(&setup, &hidden, Last::Softmax, |p_hat| {
        // (2) as printed, Σ p log(p̂/p). It cannot be ≥ 0 as the note says: by Jensen it is ≤ 0. The divergence, and our loss,
        // is its negative; so *minimise the first term* is to be read the other way round, and ℒ has the right sign.
        let printed = p.zip(p_hat, |p, p_hat| p * (p_hat / p).ln()).sum();
        assert!(printed < 0.0);
        -printed / 7.0
    });
    farhat_agrees(&devices, "kl_divergence of distributions", &setup, &literal);
}

#[test]
fn farhat_sigmoid_for_two_classes() {
    let devices = F32Devices::open();
    let hidden = [&TANH, &SIGMOID];
    let network = Mlp::new(4)
        .dense(6, Activation::Tanh)
        .dense(5, Activation::Sigmoid)
        .dense(1, Activation::Identity);
    let y = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0];
    let batch = Dataset::values(numbers(7, 4, 0.3), Matrix::new(1, y.clone()).unwrap()).unwrap();
    let setup = Setup::new(&network, Loss::BinaryCrossEntropy, batch, 9);
    let literal = farhat(&setup, &hidden, Last::Sigmoid, |p0| {
        // −log of p(y|x) = p₀^y (1 − p₀)^{1−y}, over m.
        let likelihood = |s: usize| {
            let (p0, y) = (p0.at(s, 0), f64::from(y[s]));
            p0.powf(y) * (1.0 - p0).powf(1.0 - y)
        };
        (0..7).map(|s| -likelihood(s).ln()).sum::<f64>() / 7.0
    });
    farhat_agrees(&devices, "binary_cross_entropy", &setup, &literal);
}

// ---- 4. Sadeghi, Backpropagation Computations in Matrix Form ----

/// *Final expressions* for one input and output, with σ_ℓ of each layer's own.
fn sadeghi(s: &Setup, sigma: &[&Sigma], row: usize) -> Literal {
    let (x, y) = (s.x(row), s.y(row));
    let mut a = vec![x];
    let mut z = Vec::new();
    for (l, sigma) in sigma.iter().enumerate() {
        z.push(s.w(l) * a[l] + s.b(l));
        a.push(z[l].map(sigma.f));
    }
    // z[l], sigma[l] and w(l) belong to layer ℓ = l + 1; a[0] is x.
    let last = sigma.len();
    let mut gradients = Vec::new();
    let mut delta = (2.0 * (a[last] - y)).hadamard(z[last - 1].map(sigma[last - 1].grad));
    gradients.push((delta * a[last - 1].t(), delta));
    for l in (0..last - 1).rev() {
        delta = (s.w(l + 1).t() * delta).hadamard(z[l].map(sigma[l].grad));
        gradients.push((delta * a[l].t(), delta));
    }
    gradients.reverse();
    Literal::new((a[last] - y).norm2(), &gradients)
}

const SADEGHI_NETWORKS: [[&Sigma; 4]; 2] = [
    [&TANH, &SOFTPLUS, &SILU, &SIGMOID],
    [&ELU, &LEAKY_RELU, &TANH, &IDENTITY],
];

fn sadeghi_setup(sigma: &[&Sigma; 4], n: usize) -> Setup {
    let widths = [4, 6, 5, 2];
    let layers = widths.iter().zip(sigma);
    let network = layers.fold(Mlp::new(3), |network, (&width, sigma)| {
        network.dense(width, sigma.ours.clone())
    });
    let batch = Dataset::values(numbers(n, 3, 0.6), numbers(n, 2, 1.7)).unwrap();
    Setup::new(&network, Loss::SquaredError, batch, 21)
}

#[test]
fn sadeghi_an_activation_of_its_own_for_each_layer() {
    let devices = F32Devices::open();
    for sigma in &SADEGHI_NETWORKS {
        // c_L of one pair, and C_L = 1/N Σ of five: *easily extended to mini-batches*.
        for n in [1, 5] {
            let setup = sadeghi_setup(sigma, n);
            let each: Vec<Literal> = (0..n).map(|row| sadeghi(&setup, sigma, row)).collect();
            let literal = Literal::total(1.0 / n as f64, &each);
            let what = format!("Sadeghi, {n} of {}", setup.network);
            setup.agrees(&devices, &what, &literal);
        }
    }
}

/// The note's second sanity check, as a user meets it.
#[test]
fn sadeghi_numerical_check() {
    let devices = F32Devices::open();
    for sigma in &SADEGHI_NETWORKS {
        let setup = sadeghi_setup(sigma, 5);
        for device in devices.0.iter().chain([&Device::reference()]) {
            let report =
                verify::finite_differences(&mut setup.trainer(device), &setup.batch).unwrap();
            assert!(report.passed(), "{report}");
            let checked: usize = report.checks.iter().map(|check| check.elements).sum();
            // For every i: no pre-activation of this batch is near a kink.
            assert_eq!(checked, setup.network.parameters() as usize, "{report}");
        }
    }
    // A check that no derivative fails would check nothing.
    let wrong = Activation::custom(
        "wrong",
        "fn activate(z: f32) -> f32 { return z * z; }\nfn activate_grad(z: f32) -> f32 { return -2.0 * z; }",
        |z| z * z,
        |z| -2.0 * z,
    );
    let network = Mlp::new(3)
        .dense(4, wrong.unwrap())
        .dense(2, Activation::Identity);
    let batch = Dataset::values(numbers(2, 3, 0.6), numbers(2, 2, 1.7)).unwrap();
    let setup = Setup::new(&network, Loss::SquaredError, batch, 21);
    let report =
        verify::finite_differences(&mut setup.trainer(&Device::cpu()), &setup.batch).unwrap();
    let failed: Vec<&str> = report.failures().map(|check| check.name.as_str()).collect();
    assert_eq!(
        failed,
        ["gradient of 0.weight", "gradient of 0.bias"],
        "{report}"
    );
}

/// A shape error that names both shapes.
fn assert_shapes(result: Result<(), Error>, got: &str, expected: &str) {
    let Err(error @ Error::Shape { .. }) = result else {
        panic!("{result:?} instead of an Error::Shape");
    };
    let message = error.to_string();
    assert!(message.contains(got), "{got} in: {message}");
    assert!(message.contains(expected), "{expected} in: {message}");
}

/// The note's first sanity check, as a user meets it.
#[test]
fn sadeghi_dimension_check() {
    let setup = sadeghi_setup(&SADEGHI_NETWORKS[0], 5);
    for device in F32Devices::open().0.iter().chain([&Device::reference()]) {
        let mut trainer = setup.trainer(device);
        // A W the other way round, as half of the notes have it.
        let mut turned = setup.weights.weight(0).unwrap().clone();
        assert_eq!(turned.shape, [4, 3]);
        turned.shape.reverse();
        let turned = trainer.set_weights(&Tensors::new(vec![turned]));
        assert_shapes(turned, "[3, 4]", "[4, 3]");
        let good = || numbers(5, 3, 0.0);
        let wide_x = Dataset::values(numbers(5, 4, 0.0), numbers(5, 2, 0.0)).unwrap();
        assert_shapes(trainer.step(&wide_x), "(5, 4)", "(5, 3)");
        let wide_t = Dataset::values(good(), numbers(5, 3, 0.0)).unwrap();
        assert_shapes(trainer.step(&wide_t), "(5, 3)", "(5, 2)");
        let short = Dataset::values(good(), numbers(4, 2, 0.0));
        assert_shapes(short.map(drop), "4 rows", "5 rows");
        // Nothing was changed by any of these.
        assert_eq!(trainer.weights().unwrap(), setup.weights);
        // *The derivative of f with respect to x is of the same dimension as x.*
        trainer.step(&setup.batch).unwrap();
        let gradients = trainer.gradients().unwrap();
        let shapes = |tensors: &Tensors| -> Vec<(String, Vec<usize>)> {
            let each = tensors.iter();
            each.map(|t| (t.name.clone(), t.shape.clone())).collect()
        };
        assert_eq!(shapes(&gradients), shapes(&setup.weights));
        assert_eq!(shapes(&gradients), setup.network.tensors());
        for gradient in &gradients {
            assert_eq!(
                gradient.data.len(),
                gradient.shape.iter().product::<usize>()
            );
        }
    }
}

/// The numerical gradient of f with respect to one of its matrices.
fn central_differences(f: impl Fn(Mat) -> f64, at: Mat) -> Mat {
    // f is quadratic in each entry, so there is no truncation error, whatever h.
    let h = 0.5;
    Mat::from_fn(at.rows, at.cols, |r, c| {
        let step = Mat::from_fn(
            at.rows,
            at.cols,
            |i, j| if (i, j) == (r, c) { h } else { 0.0 },
        );
        (f(at + step) - f(at - step)) / (2.0 * h)
    })
}

/// Replaces a network's weights by these and its biases by zeros.
fn linear(weights: &[Mat], batch: Dataset) -> Setup {
    let network = weights
        .iter()
        .fold(Mlp::new(weights[0].cols), |network, w| {
            network.dense(w.rows, Activation::Identity)
        });
    let mut setup = Setup::new(&network, Loss::SquaredError.sum(), batch, 0);
    for (i, tensor) in setup.weights.iter_mut().enumerate() {
        tensor.data = match i % 2 {
            0 => weights[i / 2]
                .elements()
                .iter()
                .map(|&w| w as f32)
                .collect(),
            _ => vec![0.0; tensor.data.len()],
        };
    }
    setup
}

/// A row for each column of `x`.
fn columns_as_rows(x: Mat) -> Matrix {
    let x = x.t();
    let data = x.elements().iter().map(|&x| x as f32).collect();
    Matrix::new(x.cols, data).unwrap()
}

/// *A useful trick for gradient computation*: f(W, X, V) = ‖W X V − U‖_F², a test of the three matrix products that backprop
/// consists of. With the columns of V as rows of a batch, the plan computes
/// (V ᵀ Xᵀ) Wᵀ forwards (NT), δ W backwards (NN), and δᵀ a for each weight (TN).
///
/// The note prints all three gradients with a minus. That belongs to its example ‖y − W x‖², where the variable stands
/// behind the minus; of ‖W X V − U‖_F² central differences find +2 … in every entry.
#[test]
fn sadeghi_frobenius_norm_of_a_product() {
    let devices = F32Devices::open();
    // Four different sizes, so that a dropped transpose does not fit: W (m, k), X (k, n), V (n, p), U (m, p).
    let (m, k, n, p) = (5, 4, 6, 7);
    let w = Mat::rows_of(&numbers(m, k, 0.2));
    let x = Mat::rows_of(&numbers(k, n, 0.9));
    let v = Mat::rows_of(&numbers(n, p, 1.6));
    let u = Mat::rows_of(&numbers(m, p, 2.7));
    let f = |w: Mat, x: Mat, v: Mat| (w * x * v - u).norm2();

    let r = w * x * v - u;
    let grad_w = 2.0 * r * (x * v).t();
    let grad_x = 2.0 * w.t() * r * v.t();
    let grad_v = 2.0 * (w * x).t() * r;
    for (gradient, numerical) in [
        (grad_w, central_differences(|w| f(w, x, v), w)),
        (grad_x, central_differences(|x| f(w, x, v), x)),
        (grad_v, central_differences(|v| f(w, x, v), v)),
    ] {
        // Two values of f, each right to a few roundings: 1e-16·f, far below this.
        let bound = 1e-12 * f(w, x, v).max(largest(gradient.elements()));
        within(
            "the sign of ∇f",
            numerical.elements(),
            gradient.elements(),
            bound,
        );
        let printed = -1.0 * gradient;
        let apart = largest((numerical - printed).elements());
        assert!(apart >= largest(gradient.elements()), "the printed minus");
    }

    // Biases are zero; their gradients are sums of δ over the columns.
    let (ones, loss) = (Mat::ones(p, 1), f(w, x, v));
    let (db_w, db_x) = (2.0 * r * ones, 2.0 * w.t() * r * ones);
    let db_v = 2.0 * (w * x).t() * r * ones;
    // V is the batch.
    let batch = Dataset::values(columns_as_rows(v), columns_as_rows(u)).unwrap();
    let literal = Literal::new(loss, &[(grad_x, db_x), (grad_w, db_w)]);
    linear(&[x, w], batch).agrees(&devices, "Sadeghi, ‖W X V − U‖² of W and X", &literal);
    // V is a weight too; the batch is the identity.
    let batch = Dataset::values(columns_as_rows(Mat::identity(p)), columns_as_rows(u)).unwrap();
    let literal = Literal::new(loss, &[(grad_v, db_v), (grad_x, db_x), (grad_w, db_w)]);
    linear(&[v, x, w], batch).agrees(&devices, "Sadeghi, ‖W X V − U‖² of W, X and V", &literal);
}

/// The note's two examples, ‖A x‖² and ‖y − W x‖², here with the minus where it belongs.
#[test]
fn sadeghi_examples_of_the_trick() {
    let devices = F32Devices::open();
    // ∇ₓ‖A x‖² = 2 Aᵀ A x. The rows of A are the batch, xᵀ is the weight.
    let (a, x) = (numbers(5, 3, 0.5), Mat::rows_of(&numbers(3, 1, 1.0)));
    let zeros = Matrix::new(1, vec![0.0; 5]).unwrap();
    let setup = linear(&[x.t()], Dataset::values(a.clone(), zeros).unwrap());
    let a = Mat::rows_of(&a);
    let gradient = 2.0 * a.t() * a * x;
    let bias = 2.0 * (a * x).t() * Mat::ones(5, 1);
    let literal = Literal::new((a * x).norm2(), &[(gradient.t(), bias)]);
    setup.agrees(&devices, "Sadeghi, ‖A x‖²", &literal);

    // Of ‖y − W x‖² with respect to W and x. x is the first layer's weight, on an input of 1.
    let (w, y) = (Mat::rows_of(&numbers(4, 3, 0.8)), numbers(1, 4, 2.2));
    let one = Matrix::new(1, vec![1.0]).unwrap();
    let setup = linear(&[x, w], Dataset::values(one, y.clone()).unwrap());
    let y = Mat::column_of(&y, 0);
    let e = y - w * x;
    let grad_x = -2.0 * w.t() * e;
    let grad_w = -2.0 * e * x.t();
    let literal = Literal::new(e.norm2(), &[(grad_x, grad_x), (grad_w, -2.0 * e)]);
    setup.agrees(&devices, "Sadeghi, ‖y − W x‖²", &literal);
}

// ---- 5. Garg, Assignment 4 ----

/// sign(x), which is 0 at 0; Rust's signum is 1 there.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// h(x) (1).
fn h(x: f64) -> f64 {
    f64::max(0.0, x)
}

/// h'(x) (2), ½ at 0.
fn h_prime(x: f64) -> f64 {
    (sign(x) + 1.0) / 2.0
}

/// The other convention.
fn h_prime_0(x: f64) -> f64 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

#[derive(Clone, Copy)]
enum GargOutput {
    /// (17): δ⁽³⁾ = h′(z⁽³⁾)·(−y/a⁽³⁾).
    Relu,
    /// (44): δ⁽³⁾ = a⁽³⁾ − y.
    Softmax,
}

/// The forward pass of one example. w⁽ˡ⁾ has (inputs, outputs): z_m = Σᵢ w_im aᵢ + b_m.
struct Garg {
    x: Mat,
    y: Mat,
    w2: Mat,
    w3: Mat,
    z1: Mat,
    a1: Mat,
    z2: Mat,
    a2: Mat,
    z3: Mat,
    a3: Mat,
}

impl Garg {
    /// (3)–(8), or (34).
    fn forward(s: &Setup, output: GargOutput, row: usize) -> Self {
        let (x, y) = (s.x(row), s.y(row));
        let (w1, w2, w3) = (s.w(0).t(), s.w(1).t(), s.w(2).t());
        let z1 = w1.t() * x + s.b(0);
        let a1 = z1.map(h);
        let z2 = w2.t() * a1 + s.b(1);
        let a2 = z2.map(h);
        let z3 = w3.t() * a2 + s.b(2);
        let a3 = match output {
            GargOutput::Relu => z3.map(h),
            GargOutput::Softmax => softmax(z3),
        };
        Self {
            x,
            y,
            w2,
            w3,
            z1,
            a1,
            z2,
            a2,
            z3,
            a3,
        }
    }

    /// (23) or (44). Where y = 0 the term y ln a is absent from J, and so is its derivative, which (23) would print as 0/0 at
    /// a = 0.
    fn delta_3(&self, output: GargOutput, h_prime: fn(f64) -> f64) -> Mat {
        let minus_y_over_a = self
            .y
            .zip(self.a3, |y, a| if y == 0.0 { 0.0 } else { -y / a });
        match output {
            GargOutput::Relu => self.z3.map(h_prime).hadamard(minus_y_over_a),
            GargOutput::Softmax => self.a3 - self.y,
        }
    }

    /// (24)–(31): the gradients of w, turned to (outputs, inputs), and b.
    fn backward(&self, delta_3: Mat, h_prime: fn(f64) -> f64) -> [(Mat, Mat); 3] {
        let delta_2 = self.z2.map(h_prime).hadamard(self.w3 * delta_3);
        let delta_1 = self.z1.map(h_prime).hadamard(self.w2 * delta_2);
        let dw3 = self.a2 * delta_3.t();
        let dw2 = self.a1 * delta_2.t();
        let dw1 = self.x * delta_1.t();
        [(dw1.t(), delta_1), (dw2.t(), delta_2), (dw3.t(), delta_3)]
    }

    /// J (19) with its gradients, by some convention of h′(0).
    fn literal(&self, output: GargOutput, h_prime: fn(f64) -> f64) -> Literal {
        let gradients = self.backward(self.delta_3(output, h_prime), h_prime);
        Literal::new(cross_entropy(self.y, self.a3), &gradients)
    }
}

/// J (18): the sum over the examples.
fn garg(s: &Setup, output: GargOutput, h_prime: fn(f64) -> f64) -> Literal {
    let each: Vec<Literal> = (0..s.batch.rows())
        .map(|row| Garg::forward(s, output, row).literal(output, h_prime))
        .collect();
    Literal::total(1.0, &each)
}

const HALF: Activation = Activation::ReluWith { grad_at_zero: 0.5 };

/// Two hidden layers of `hidden` and an output layer with the loss that goes with it.
fn garg_network(hidden: &Activation, output: GargOutput, widths: [usize; 4]) -> (Mlp, Criterion) {
    let last = match output {
        GargOutput::Relu => hidden.clone(),
        GargOutput::Softmax => Activation::Softmax,
    };
    let network = Mlp::new(widths[0])
        .dense(widths[1], hidden.clone())
        .dense(widths[2], hidden.clone())
        .dense(widths[3], last);
    (network, Loss::OutputCrossEntropy.sum())
}

/// Replaces the last layer's bias.
fn set_last_bias(setup: &mut Setup, data: &[f32]) {
    let tensor = setup.weights.iter_mut().last().unwrap();
    assert_eq!(tensor.data.len(), data.len());
    tensor.data.copy_from_slice(data);
}

#[test]
fn garg_two_hidden_relu_layers() {
    let devices = F32Devices::open();
    let x = numbers(4, 3, 0.7);
    let labels = vec![1, 0, 1, 0];
    for output in [GargOutput::Relu, GargOutput::Softmax] {
        let (network, criterion) = garg_network(&HALF, output, [3, 6, 5, 3]);
        for batch in [
            Dataset::classes(x.clone(), labels.clone()).unwrap(),
            Dataset::values(x.clone(), one_hot(&labels, 3)).unwrap(),
        ] {
            let mut setup = Setup::new(&network, criterion, batch, 31);
            // With a ReLU output: a⁽³⁾ > 0 where y > 0, and the class that never comes at a⁽³⁾ = 0.
            set_last_bias(&mut setup, &[1.0, 1.5, -3.0]);
            for row in 0..4 {
                let forward = Garg::forward(&setup, output, row);
                let at_label = forward.a3.hadamard(forward.y).sum();
                assert!(at_label > 0.1, "{at_label}");
                if matches!(output, GargOutput::Relu) {
                    assert_eq!(forward.a3.at(2, 0), 0.0);
                }
                // Both kinds of hidden units, active and not.
                let active = forward.z1.elements().iter().filter(|&&z| z > 0.0).count();
                assert!(active > 0 && active < 6);
            }
            let what = format!("Garg, {}", setup.network);
            setup.agrees(&devices, &what, &garg(&setup, output, h_prime));
        }
    }
    // Softmax said the other way: from logits.
    let network = Mlp::new(3)
        .dense(6, HALF)
        .dense(5, HALF)
        .dense(3, Activation::Identity);
    let batch = Dataset::classes(x, labels).unwrap();
    let setup = Setup::new(&network, Loss::CrossEntropy.sum(), batch, 31);
    let literal = garg(&setup, GargOutput::Softmax, h_prime);
    setup.agrees(&devices, "Garg, from logits", &literal);
}

/// Numbers of few binary digits, for which every z and a of [`garg_at_zero`] is exact in f32, in any order of summation.
/// z is exactly 0 in unit 1 of the first hidden layer, whose weights and bias are zero, and, for the first row of x, in unit 1
/// of the second, where terms cancel.
fn garg_exact(hidden: &Activation, output: GargOutput) -> Setup {
    let (network, criterion) = garg_network(hidden, output, [2, 3, 3, 2]);
    let x = Matrix::from_rows(&[[1.0, 0.5], [-0.5, 0.75]]).unwrap();
    let batch = Dataset::classes(x, vec![1, 0]).unwrap();
    let data: [&[f32]; 6] = [
        &[0.5, 1.0, 0.0, 0.0, -0.5, 0.25],
        &[0.25, 0.0, 1.0],
        &[0.5, 0.75, -0.25, 0.5, 0.25, -1.0, 0.25, -0.5, 1.0],
        &[0.25, 0.0, -0.125],
        &[1.0, 0.5, 0.5, 0.5, -0.75, 1.0],
        &[0.25, 0.5],
    ];
    let mut setup = Setup::new(&network, criterion, batch, 0);
    for (tensor, data) in setup.weights.iter_mut().zip(data) {
        tensor.data.copy_from_slice(data);
    }
    setup
}

/// h′(0) = ½ where a pre-activation is exactly 0, against the other convention, 0.
#[test]
fn garg_at_zero() {
    let devices = F32Devices::open();
    type Convention = (Activation, fn(f64) -> f64);
    let conventions: [Convention; 2] = [(HALF, h_prime), (Activation::Relu, h_prime_0)];
    for output in [GargOutput::Relu, GargOutput::Softmax] {
        for (hidden, h_prime) in &conventions {
            let setup = garg_exact(hidden, output);
            let forwards = [0, 1].map(|row| Garg::forward(&setup, output, row));
            assert!(forwards.iter().all(|f| f.z1.at(1, 0) == 0.0));
            assert!(forwards[0].z2.at(1, 0) == 0.0 && forwards[1].z2.at(1, 0) != 0.0);
            let literal = garg(&setup, output, *h_prime);
            let what = format!("Garg, {}", setup.network);
            setup.agrees_in_f64(&what, &literal);
            for device in &devices.0 {
                at_zero_in_f32(&setup, device, output, *h_prime, &literal);
            }
        }
        // It matters, in both hidden layers: the two conventions are far apart.
        let setup = garg_exact(&HALF, output);
        let [half, zero] = [h_prime, h_prime_0].map(|h| garg(&setup, output, h));
        for i in 0..4 {
            let ((name, half), (_, zero)) = (&half.gradients[i], &zero.gradients[i]);
            let apart = largest((*half - *zero).elements());
            assert!(apart > 0.01, "{name}: {apart}");
        }
    }
}

/// The verifier's bound for the whole plan says nothing here: with any doubt about z, its derivative at 0 may be either side's.
/// But there is no doubt: every z and a is exact. So δ⁽³⁾ is as good as the verifier says of the loss's own op, and the rest is
/// linear in δ⁽³⁾: two products with h′ and w, one with a, over at most 3 terms, then a sum over 2 rows. Each takes at most
/// terms + 2 roundings of the sum of magnitudes (Higham, *Accuracy and Stability*, § 3.1), fewer than 32 in all.
fn at_zero_in_f32(
    setup: &Setup,
    device: &Device,
    output: GargOutput,
    h_prime: fn(f64) -> f64,
    literal: &Literal,
) {
    let mut trainer = setup.trainer(device);
    let report = verify::gradients(&mut trainer, &setup.batch).unwrap();
    assert!(report.passed(), "{report}");
    let mut loss_op = report
        .checks
        .iter()
        .filter(|c| c.name.contains("cross_entropy"));
    let loss_op = loss_op.next().unwrap();
    let bounds: Vec<Literal> = (0..setup.batch.rows())
        .map(|row| {
            let f = Garg::forward(setup, output, row);
            let magnitudes = Garg {
                x: f.x.map(f64::abs),
                w2: f.w2.map(f64::abs),
                w3: f.w3.map(f64::abs),
                ..f
            };
            let delta_3 = f.delta_3(output, h_prime);
            let off = delta_3.map(|d| loss_op.largest_bound + 32.0 * U * d.abs());
            Literal::new(0.0, &magnitudes.backward(off, h_prime))
        })
        .collect();
    let bounds = Literal::total(1.0, &bounds);
    for ((ours, theirs), (_, bound)) in setup
        .gradients(&mut trainer, literal)
        .iter()
        .zip(&bounds.gradients)
    {
        let what = format!("Garg at 0: ∂/∂ {} on {device}", ours.name);
        within(
            &what,
            &ours.data,
            theirs.elements(),
            largest(bound.elements()),
        );
    }
}

fn bits(tensors: &Tensors) -> Vec<u32> {
    tensors
        .iter()
        .flat_map(|t| t.data.iter().map(|x| x.to_bits()))
        .collect()
}

/// An output of 0 under −y/a: J is infinite, and the step is refused.
#[test]
fn garg_an_output_of_zero_refuses_the_step() {
    let (network, criterion) = garg_network(&HALF, GargOutput::Relu, [3, 6, 5, 3]);
    let x = numbers(3, 3, 0.7);
    let good = Dataset::classes(x.clone(), vec![1, 0, 1]).unwrap();
    // One row asks for the class whose output is 0.
    let bad = Dataset::classes(x, vec![1, 2, 0]).unwrap();
    let mut setup = Setup::new(&network, criterion, bad.clone(), 31);
    set_last_bias(&mut setup, &[1.0, 1.5, -3.0]);
    let literal = garg(&setup, GargOutput::Relu, h_prime);
    assert_eq!(literal.loss, f64::INFINITY);

    let sgd = Sgd {
        lr: 0.05,
        ..Sgd::default()
    };
    for device in F32Devices::open().0.iter().chain([&Device::reference()]) {
        let mut trainer = setup.trainer_with(device, sgd);
        let before = trainer.weights_f64().unwrap();
        trainer.step(&bad).unwrap();
        assert_eq!(
            bits(&trainer.weights().unwrap()),
            bits(&setup.weights),
            "{device}"
        );
        assert_eq!(trainer.weights_f64().unwrap(), before, "{device}");
        let refused = trainer.take_loss();
        assert_eq!(
            refused,
            Err(Error::NonFiniteLoss { batches: 1 }),
            "{device}"
        );
        let gradients = trainer.gradients_f64().unwrap();
        let finite = gradients
            .iter()
            .all(|g| g.data.iter().all(|x| x.is_finite()));
        assert!(finite, "{device}: {gradients:?}");

        // A good batch then trains as if nothing had been.
        trainer.step(&good).unwrap();
        let loss = trainer.take_loss().unwrap();
        let after = trainer.weights().unwrap();
        let mut fresh = setup.trainer_with(device, sgd);
        fresh.step(&good).unwrap();
        assert_ne!(bits(&after), bits(&setup.weights), "{device}");
        assert_eq!(bits(&after), bits(&fresh.weights().unwrap()), "{device}");
        assert_eq!(loss, fresh.take_loss().unwrap(), "{device}");
    }

    // And to where the formulas say: w − lr ∂J/∂w.
    let mut trainer = setup.trainer_with(&Device::reference(), sgd);
    trainer.step(&bad).unwrap();
    trainer.step(&good).unwrap();
    let good = Setup {
        batch: good,
        ..setup.clone()
    };
    for (name, gradient) in &garg(&good, GargOutput::Relu, h_prime).gradients {
        let old = &setup.weights.get(name).unwrap().data;
        let new = &trainer
            .weights_f64()
            .unwrap()
            .get(name)
            .unwrap()
            .data
            .clone();
        let pairs = old.iter().zip(gradient.elements());
        let literal: Vec<f64> = pairs.map(|(&w, g)| f64::from(w) - sgd.lr * g).collect();
        same_in_f64(&format!("Garg, {name} after a refusal"), new, &literal);
    }
}
