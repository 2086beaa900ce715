//! The five derivations behind this crate: which of their symbols are which of ours, and the proof that the plan computes them.
//!
//! For each one: the network that it derives, one batch's gradients on the GPU (without one, on the CPU path), each held
//! against the f64 reference with a rounding bound, and the reference against central differences. Ends with an error if a
//! check fails. `tests/kernels/derivations.rs` computes the same formulas literally.
//!
//! ```sh
//! cargo run --release --example derivations
//! ```

use std::error::Error;

use wgrad::verify::{self, Report};
use wgrad::{Activation::*, Criterion, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};

/// A derivation, as a network to train.
struct Derivation {
    title: &'static str,
    /// Its symbols, and ours.
    symbols: &'static [(&'static str, &'static str)],
    network: Mlp,
    criterion: Criterion,
    batch: Dataset,
}

/// Some numbers in (−1, 1), in no order.
fn numbers(rows: usize, cols: usize, phase: f32) -> wgrad::Result<Matrix> {
    let wave = |i: usize| (2.3 * i as f32 + phase).sin();
    Matrix::new(cols, (0..rows * cols).map(wave).collect())
}

fn derivations() -> wgrad::Result<Vec<Derivation>> {
    // h'(x) = (sign(x) + 1)/2 is ½ at 0, where Relu has 0.
    let relu = ReluWith { grad_at_zero: 0.5 };
    Ok(vec![
        Derivation {
            title: "Liao: one hidden layer, tanh, softmax, cross-entropy",
            symbols: &[
                ("W₁ x + b₁, W₂ a₁ + b₂", "x·Wᵀ + b; W has its shape"),
                (
                    "δ₁ = ŷ − y",
                    "δ of the last layer: its index counts from the output",
                ),
                (
                    "δ₂ = (1 − tanh²(z₁)) ∘ (W₂ᵀ δ₁)",
                    "(δ·W) ⊙ φ′(z) of the layer before",
                ),
                ("δ₁ a₁ᵀ, δ₂ xᵀ", "grad_weight = δᵀ·a, of a batch of one row"),
            ],
            network: Mlp::new(3).dense(5, Tanh).dense(4, Softmax),
            criterion: Loss::OutputCrossEntropy.into(),
            batch: Dataset::classes(numbers(1, 3, 0.4)?, vec![2])?,
        },
        Derivation {
            title: "Backpropagation and Learning: total squared error, four layers of units",
            symbols: &[
                (
                    "W ∈ R^{H×L}, n = Wᵀâ + b",
                    "W (outputs, inputs) is its Wᵀ; n is z",
                ),
                (
                    "S₄ = −2 A₄ e₄",
                    "δ = 2(a − t) ⊙ φ′(z) of the last layer: e = t − y",
                ),
                ("Ŝ = Â W S", "δ of the layer before; A = diag(φ′(z))"),
                (
                    "∂F/∂W = â Sᵀ, ∂F/∂b = S",
                    "grad_weight is its transpose; grad_bias is S",
                ),
            ],
            network: Mlp::new(3)
                .dense(5, Sigmoid)
                .dense(4, Tanh)
                .dense(2, Sigmoid),
            criterion: Loss::SquaredError.sum(),
            batch: Dataset::values(numbers(6, 3, 0.1)?, numbers(6, 2, 2.0)?)?,
        },
        Derivation {
            title: "Farhat: samples as rows, Kullback–Leibler divergence, softmax",
            symbols: &[
                (
                    "z^{l+1} = aˡ wˡ + bˡ",
                    "x·Wᵀ + b: rows as here, W is its wᵀ",
                ),
                ("Δᴸ = a − y", "δ of the last layer, a row a sample"),
                ("Δˡ = (Δ^{l+1} wᵀ) ⊙ θˡ", "(δ·W) ⊙ φ′(z)"),
                (
                    "1/m Σ_s a_si Δ_sj",
                    "the mean over rows, divided once, at the update",
                ),
            ],
            network: Mlp::new(4)
                .dense(6, Sigmoid)
                .dense(5, Tanh)
                .dense(3, Softmax),
            criterion: Loss::KlDivergence.into(),
            batch: Dataset::classes(numbers(7, 4, 1.1)?, vec![2, 0, 1, 1, 2, 0, 2])?,
        },
        Derivation {
            title: "Farhat, two classes: a = σ(z)",
            symbols: &[
                (
                    "p₀^y (1 − p₀)^{1−y}",
                    "exp(−loss) of binary cross-entropy, from the logit z",
                ),
                ("Δᴸ = a − y", "δ = σ(z) − t"),
            ],
            network: Mlp::new(4).dense(6, Tanh).dense(1, Identity),
            criterion: Loss::BinaryCrossEntropy.into(),
            batch: Dataset::values(
                numbers(4, 4, 0.3)?,
                Matrix::new(1, vec![1.0, 0.0, 0.0, 1.0])?,
            )?,
        },
        Derivation {
            title: "Sadeghi: ‖a_L − y‖², an activation of its own for each layer",
            symbols: &[
                (
                    "z_ℓ = W_ℓ a_{ℓ−1} + b_ℓ",
                    "x·Wᵀ + b; W has its shape, σ_ℓ is φ",
                ),
                ("δ_L = 2(a_L − y) ⊙ σ′_L(z_L)", "δ of the last layer"),
                ("δ_ℓ = (W_{ℓ+1}ᵀ δ_{ℓ+1}) ⊙ σ′_ℓ(z_ℓ)", "(δ·W) ⊙ φ′(z)"),
                ("∂c/∂W_ℓ = δ_ℓ a_{ℓ−1}ᵀ", "grad_weight = δᵀ·a"),
                ("dimension check", "Error::Shape, with both shapes"),
                ("numerical check", "verify::finite_differences, below"),
            ],
            network: Mlp::new(3)
                .dense(4, Tanh)
                .dense(6, Softplus)
                .dense(5, Silu)
                .dense(2, Sigmoid),
            criterion: Loss::SquaredError.into(),
            batch: Dataset::values(numbers(5, 3, 0.6)?, numbers(5, 2, 1.7)?)?,
        },
        Derivation {
            title: "Garg: two hidden ReLU layers, softmax, cross-entropy",
            symbols: &[
                ("z_m = Σᵢ w_im aᵢ + b_m", "x·Wᵀ + b; W is its wᵀ"),
                ("h′(x) = (sign(x) + 1)/2", "ReluWith { grad_at_zero: 0.5 }"),
                ("δ⁽³⁾ = a⁽³⁾ − y", "δ of the last layer"),
                ("δˡ = h′(zˡ)·W^{l+1} δ^{l+1}", "(δ·W) ⊙ φ′(z)"),
            ],
            network: Mlp::new(3)
                .dense(6, relu.clone())
                .dense(5, relu.clone())
                .dense(3, Softmax),
            criterion: Loss::OutputCrossEntropy.sum(),
            batch: Dataset::classes(numbers(4, 3, 0.7)?, vec![1, 0, 1, 2])?,
        },
        Derivation {
            title: "Garg, ReLU on the output too",
            symbols: &[
                (
                    "δ⁽³⁾ = h′(z⁽³⁾)·(−y/a⁽³⁾)",
                    "δ of the last layer; 0 where y = 0",
                ),
                (
                    "a⁽³⁾ = 0 where y > 0",
                    "the loss is infinite: Error::NonFiniteLoss, no update",
                ),
            ],
            network: Mlp::new(3)
                .dense(6, relu.clone())
                .dense(5, relu.clone())
                .dense(3, relu),
            criterion: Loss::OutputCrossEntropy.sum(),
            batch: Dataset::classes(numbers(4, 3, 0.7)?, vec![1, 0, 1, 0])?,
        },
    ])
}

/// With initial weights; under −y/a with the output biases at 1, so that no output is 0.
fn trainer(device: &Device, derivation: &Derivation) -> wgrad::Result<Trainer> {
    let Derivation {
        network, criterion, ..
    } = derivation;
    let mut trainer = Trainer::new(device, network, *criterion, Sgd::default(), 31)?;
    let relu_output = network
        .layers()
        .last()
        .is_some_and(|layer| layer.activation.name() == "relu_with");
    if relu_output {
        let mut weights = trainer.weights()?;
        if let Some(bias) = weights.iter_mut().last() {
            bias.data.fill(1.0);
        }
        trainer.set_weights(&weights)?;
    }
    Ok(trainer)
}

/// What was verified, how near its bound the worst element comes, and the verdict.
fn verdict(report: &Report) -> bool {
    let worst = report.checks.iter().map(|check| check.ratio());
    let elements: usize = report.checks.iter().map(|check| check.elements).sum();
    let skipped: usize = report.checks.iter().map(|check| check.skipped).sum();
    println!("  {}", report.title);
    println!(
        "    {elements} numbers, worst error/bound {:.2}: {}",
        worst.fold(0.0, f64::max),
        if report.passed() { "passed" } else { "FAILED" }
    );
    if skipped > 0 {
        println!("    {skipped} skipped at kinks");
    }
    for failure in report.failures() {
        println!(
            "    {}: error {:.1e}, bound {:.1e}",
            failure.name, failure.error, failure.bound
        );
    }
    report.passed()
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = match Device::gpu() {
        Ok(gpu) => gpu,
        Err(error @ wgrad::Error::NoAdapter { .. }) => {
            println!("{error}");
            Device::cpu()
        }
        Err(error) => return Err(error.into()),
    };
    println!("on {device}");

    let mut failed = 0;
    for derivation in derivations()? {
        println!("\n{}", derivation.title);
        for (theirs, ours) in derivation.symbols {
            println!("  {theirs:36} {ours}");
        }
        let mut trainer = trainer(&device, &derivation)?;
        trainer.accumulate(&derivation.batch)?;
        println!("  loss {:.4}; gradients:", trainer.take_loss()?);
        for gradient in &trainer.gradients()? {
            let norm = gradient.data.iter().map(|g| g * g).sum::<f32>().sqrt();
            println!(
                "    {:10} {:8} norm {norm:.4}",
                gradient.name,
                format!("{:?}", gradient.shape)
            );
        }
        for report in [
            verify::gradients(&mut trainer, &derivation.batch)?,
            verify::finite_differences(&mut trainer, &derivation.batch)?,
        ] {
            failed += usize::from(!verdict(&report));
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} verification(s) failed").into()),
    }
}
