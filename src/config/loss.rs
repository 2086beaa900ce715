//! Loss functions and their reductions.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::row_loss::LossFormula;
use crate::config::activation::Activation;
use crate::error::{Error, Result};

/// Declares the losses: a row has its name, what [`Reduction::Mean`] divides by, the targets and the output that it takes, and the
/// formula of a row.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $variant:ident $({ $(#[$of:meta])* $field:ident = $default:literal })?, $name:literal,
        mean over $unit:ident, targets: $targets:ident, output: $output:ident,
        |$with:ident| $formula:expr;
    )+) => {
        /// A loss L(a, t) of the network's output a (B, C) and the targets t.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Loss {
            $($(#[$doc])* $variant $({ $(#[$of])* $field: f64 })?,)+
        }

        impl Loss {
            /// One of each, for tests that iterate over them.
            pub fn table() -> [Loss; [$($name),+].len()] {
                [$(Loss::$variant $({ $field: $default })?),+]
            }

            /// The loss's name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                }
            }

            fn unit(&self) -> Unit {
                match self {
                    $(Self::$variant { .. } => Unit::$unit,)+
                }
            }

            /// What it takes as targets.
            pub fn targets(&self) -> TargetKind {
                match self {
                    $(Self::$variant { .. } => TargetKind::$targets,)+
                }
            }

            fn output(&self) -> LastLayer {
                match self {
                    $(Self::$variant { .. } => LastLayer::$output,)+
                }
            }

            fn formula(&self, context: &With) -> LossFormula {
                match *self {
                    $(Self::$variant $({ $field })? => {
                        let $with = context;
                        $formula
                    })+
                }
            }
        }
    };
}

losses! {
    /// ‖a − t‖² of each row: summed over rows the *total squared error*, averaged over rows the cost ‖a_L − y‖² of the
    /// derivations. [`Reduction::Mean`] divides by B.
    SquaredError, "squared_error", mean over Rows, targets: Values, output: Any,
        |with| LossFormula::SquaredError { row_scale: with.row_scale };
    /// (a − t)² of each element: PyTorch's `MSELoss`. [`Reduction::Mean`] divides by B·C.
    Mse, "mse", mean over Elements, targets: Values, output: Any,
        |with| LossFormula::SquaredError { row_scale: with.row_scale };
    /// Huber's loss of each element, quadratic within `delta` and linear beyond: PyTorch's `HuberLoss`.
    /// [`Reduction::Mean`] divides by B·C.
    Huber {
        /// |a − t| at which the two parts meet; PyTorch's default is 1.
        delta = 1.0
    }, "huber", mean over Elements, targets: Values, output: Any,
        |with| LossFormula::Huber { row_scale: with.row_scale, threshold: delta };
    /// −Σ t·ln softmax(z) of each row, from logits: PyTorch's `CrossEntropyLoss`. Targets are class indices or rows of
    /// probabilities, which need not sum to 1. [`Reduction::Mean`] divides by B.
    CrossEntropy, "cross_entropy", mean over Rows, targets: Classes, output: Logits,
        |with| with.softmax(0);
    /// −Σ t·ln a of each row, for any output activation but identity; with softmax it is computed from z, exactly as
    /// [`Loss::CrossEntropy`]. Where t > 0 meets a ≤ 0 the loss is infinite and the step is refused
    /// ([`Error::NonFiniteLoss`]). Outputs above 1 make it negative. [`Reduction::Mean`] divides by B.
    OutputCrossEntropy, "output_cross_entropy", mean over Rows, targets: Classes, output: Probabilities,
        |with| with.entropy_of_output(0);
    /// −t·ln σ(z) − (1 − t)·ln(1 − σ(z)) of each element, from logits: PyTorch's `BCEWithLogitsLoss`. Targets lie in [0, 1].
    /// [`Reduction::Mean`] divides by B·C.
    BinaryCrossEntropy, "binary_cross_entropy", mean over Elements, targets: Fractions, output: Logits,
        |with| LossFormula::BinaryCrossEntropy { row_scale: with.row_scale };
    /// Σ t·(ln t − ln a) of each row, the Kullback–Leibler divergence of the targets from the output; otherwise as
    /// [`Loss::OutputCrossEntropy`]. [`Reduction::Mean`] divides by B: PyTorch's `KLDivLoss(reduction="batchmean")`.
    KlDivergence, "kl_divergence", mean over Rows, targets: Classes, output: Probabilities,
        |with| with.entropy_of_output(1);
}

/// What a formula's constants come from.
struct With {
    /// On each row's loss and δ: 1, or 1/C for a mean over elements.
    row_scale: f64,
    outputs: f64,
    label_smoothing: f64,
    /// Targets are class indices, which have no entropy: ln 1 = 0.
    labels: bool,
    /// The output is softmax's, and so its logits are taken.
    logits: bool,
}

impl With {
    fn entropy(&self, entropy: u32) -> u32 {
        if self.labels { 0 } else { entropy }
    }

    fn softmax(&self, entropy: u32) -> LossFormula {
        LossFormula::SoftmaxCrossEntropy {
            entropy: self.entropy(entropy),
            keep: 1.0 - self.label_smoothing,
            share: self.label_smoothing / self.outputs,
        }
    }

    fn entropy_of_output(&self, entropy: u32) -> LossFormula {
        if self.logits {
            return self.softmax(entropy);
        }
        let entropy = self.entropy(entropy);
        LossFormula::CrossEntropy { entropy }
    }
}

/// What a mean is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Rows,
    Elements,
}

/// What a loss takes of the last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLayer {
    /// The output of any activation.
    Any,
    /// z of an identity layer: the loss gives δ itself, without φ′.
    Logits,
    /// The output of any activation but identity; softmax's by its logits.
    Probabilities,
}

/// How the losses of a batch become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean, over what each [`Loss`] says: elements or rows. PyTorch's default. Rows with
    /// [weights](crate::Dataset::with_weights) have the weighted mean Σ wᵢ·lᵢ / Σ wᵢ.
    #[default]
    Mean,
    /// The sum over everything; Σ wᵢ·lᵢ of rows with weights.
    Sum,
}

/// A loss with its reduction. A [`Loss`] alone converts into its mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// The loss.
    pub loss: Loss,
    /// The reduction.
    pub reduction: Reduction,
    /// Share of each target that goes to all classes alike; see [`label_smoothing`](Self::label_smoothing()).
    #[serde(default)]
    pub label_smoothing: f64,
}

impl From<Loss> for Criterion {
    fn from(loss: Loss) -> Self {
        Self {
            loss,
            reduction: Reduction::Mean,
            label_smoothing: 0.0,
        }
    }
}

/// What a loss takes as targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// Any finite numbers, one an output.
    Values,
    /// Numbers in [0, 1], one an output.
    Fractions,
    /// Class indices, or numbers in [0, 1], one an output.
    Classes,
}

impl Loss {
    /// With [`Reduction::Sum`].
    pub fn sum(self) -> Criterion {
        Criterion {
            loss: self,
            reduction: Reduction::Sum,
            label_smoothing: 0.0,
        }
    }

    /// With [`Reduction::Mean`], the default.
    pub fn mean(self) -> Criterion {
        self.into()
    }

    /// Whether the loss reads z of the last layer and gives δ itself, without φ′.
    pub(crate) fn takes_logits(&self, last: &Activation) -> bool {
        match self.output() {
            LastLayer::Any => false,
            LastLayer::Logits => true,
            LastLayer::Probabilities => *last == Activation::Softmax,
        }
    }

    /// Whether the loss takes logarithms of the output as it is.
    pub(crate) fn takes_probabilities(&self) -> bool {
        self.output() == LastLayer::Probabilities
    }

    /// Whether the last layer's activation fits, and the arguments are in range.
    pub(crate) fn check(&self, last: &Activation) -> Result<()> {
        let refused = |needs: &str, advice: &str| {
            let activation = last.to_string();
            Err(Error::output_activation(
                self.name(),
                needs,
                activation,
                advice,
            ))
        };
        if self.output() == LastLayer::Logits && *last != Activation::Identity {
            let advice = if *self == Loss::CrossEntropy && *last == Activation::Softmax {
                "it applies softmax itself: use Identity, or keep Softmax and use Loss::OutputCrossEntropy"
            } else if *self == Loss::CrossEntropy {
                "it applies softmax itself: use Identity, or Loss::OutputCrossEntropy for another activation"
            } else {
                "it applies the sigmoid itself: use Identity"
            };
            return refused("logits (identity)", advice);
        }
        if self.takes_probabilities() && *last == Activation::Identity {
            let advice = "use Softmax, or keep Identity and use Loss::CrossEntropy";
            return refused("an activation that gives probabilities", advice);
        }
        match *self {
            Loss::Huber { delta } if !(delta as f32 > 0.0 && (delta as f32).is_finite()) => Err(
                Error::argument("huber's delta", delta, "finite and > 0 as an f32"),
            ),
            _ => Ok(()),
        }
    }
}

impl Criterion {
    /// With label smoothing s in [0, 1), for [`Loss::CrossEntropy`]: a target t, of a class index or a probability, becomes
    /// (1 − s)·t + s/C with C classes, which is PyTorch's `CrossEntropyLoss(label_smoothing=s)`. Evaluation has the same loss.
    ///
    /// ```
    /// # use wgrad::{Activation::*, Adam, Device, Loss, Mlp, Trainer};
    /// let network = Mlp::new(2).dense(8, Tanh).dense(3, Identity);
    /// let criterion = Loss::CrossEntropy.mean().label_smoothing(0.1);
    /// let trainer = Trainer::new(&Device::cpu(), &network, criterion, Adam::default(), 7)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        self.label_smoothing = smoothing;
        self
    }

    /// Whether the smoothing is in range, and the loss one that has it.
    pub(crate) fn check_smoothing(&self) -> Result<()> {
        let smoothing = self.label_smoothing;
        let bad = |value: String, allowed: &str| Error::argument("label_smoothing", value, allowed);
        if !((0.0..1.0).contains(&smoothing) && (smoothing as f32) < 1.0) {
            return Err(bad(smoothing.to_string(), "in [0, 1)"));
        }
        if smoothing != 0.0 && self.loss != Loss::CrossEntropy {
            let value = format!("{smoothing} with {}", self.loss.name());
            let allowed =
                "0, except with Loss::CrossEntropy: smooth the targets of other losses yourself";
            return Err(bad(value, allowed));
        }
        Ok(())
    }

    /// The factor on each row's loss and δ: what a mean over elements still needs after the mean over rows.
    fn row_scale(&self, outputs: usize) -> f64 {
        if self.reduction == Reduction::Mean && self.loss.unit() == Unit::Elements {
            1.0 / outputs as f64
        } else {
            1.0
        }
    }

    /// What each row's loss and δ are, for an output of this activation.
    pub(crate) fn formula(&self, last: &Activation, outputs: usize, labels: bool) -> LossFormula {
        self.loss.formula(&With {
            row_scale: self.row_scale(outputs),
            outputs: outputs as f64,
            label_smoothing: self.label_smoothing,
            labels,
            logits: self.loss.takes_logits(last),
        })
    }

    /// The factor on sums over rows that weigh so much together: so many rows, where they have no weights.
    pub(crate) fn batch_scale(&self, weight: f64) -> f64 {
        match self.reduction {
            // Rows of a micro-batch may weigh nothing, and then their losses are 0.
            Reduction::Mean if weight == 0.0 => 0.0,
            Reduction::Mean => 1.0 / weight,
            Reduction::Sum => 1.0,
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reduction = match self.reduction {
            Reduction::Mean => "mean",
            Reduction::Sum => "sum",
        };
        write!(f, "{} ({reduction}", self.loss.name())?;
        if self.label_smoothing != 0.0 {
            write!(f, ", label smoothing {}", self.label_smoothing)?;
        }
        f.write_str(")")
    }
}
