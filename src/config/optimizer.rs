//! Optimisers: configuration structs with PyTorch's names, defaults and order of operations; clipping.
//!
//! An update takes the gradient of the loss, as the criterion reduces it, in this order: [`Clip`] by norm, then by value; then
//! penalties are added to it: `weight_decay`·w (L2, coupled, except in [`AdamW`], which shrinks the weights apart from the gradient)
//! and `l1`·sign(w), the subgradient of l1·Σ|w|, which PyTorch leaves to the loss. Penalties take no part in the loss that is
//! told, nor in the gradient's norm. They hold for weights and biases alike, as PyTorch's `weight_decay` does.

use serde::{Deserialize, Serialize};

use super::update::UpdateFormula;
use crate::error::{Error, Result};

/// Stochastic gradient descent, with momentum and Nesterov's variant: `torch.optim.SGD`.
///
/// g ← g + weight_decay·w; v ← momentum·v + (1 − dampening)·g, or g at the first step; w ← w − lr·v, or
/// w − lr·(g + momentum·v) with `nesterov`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// Share of the gradient that momentum leaves out.
    pub dampening: f64,
    /// L2 penalty: weight_decay·w is added to the gradient.
    pub weight_decay: f64,
    /// L1 penalty: l1·sign(w) is added to the gradient, with sign(0) = 0.
    pub l1: f64,
    /// Nesterov momentum; needs momentum > 0 and dampening = 0.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            l1: 0.0,
            nesterov: false,
        }
    }
}

/// RMSprop: `torch.optim.RMSprop` (not centered, without momentum).
///
/// s ← alpha·s + (1 − alpha)·g²; w ← w − lr·g/(√s + eps).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Smoothing of the squared gradient.
    pub alpha: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// L2 penalty: weight_decay·w is added to the gradient.
    pub weight_decay: f64,
    /// L1 penalty: l1·sign(w) is added to the gradient, with sign(0) = 0.
    pub l1: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            l1: 0.0,
        }
    }
}

/// Adam: `torch.optim.Adam`, with weight decay as an L2 penalty.
///
/// m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − lr/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + eps).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Keeps the quotient finite.
    pub eps: f64,
    /// L2 penalty: weight_decay·w is added to the gradient.
    pub weight_decay: f64,
    /// L1 penalty: l1·sign(w) is added to the gradient, with sign(0) = 0.
    pub l1: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            l1: 0.0,
        }
    }
}

/// Adam with decoupled weight decay: `torch.optim.AdamW`. w ← (1 − lr·weight_decay)·w before Adam's step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Decoupled weight decay: no part of the gradient.
    pub weight_decay: f64,
    /// L1 penalty: l1·sign(w) is added to the gradient, with sign(0) = 0. Not decoupled.
    pub l1: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 1e-2,
            l1: 0.0,
        }
    }
}

/// Limits of the gradient of the loss, as the criterion reduces it, before an optimiser uses it; see
/// [`Trainer::set_clip`](crate::Trainer::set_clip). By norm first, then by value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Clip {
    /// Where the Euclidean norm n of the whole gradient is above this, the gradient is scaled by norm/(n + 1e-6):
    /// `torch.nn.utils.clip_grad_norm_`. An update whose norm is beyond f32 is refused
    /// ([`Error::NonFiniteUpdate`]).
    pub norm: Option<f64>,
    /// Each element is limited to ±value: `torch.nn.utils.clip_grad_value_`, but that an element that is not finite is not
    /// clipped, and its update refused.
    pub value: Option<f64>,
}

impl Clip {
    /// Whether the limits are in range.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, limit) in [("norm", self.norm), ("value", self.value)] {
            let Some(limit) = limit else { continue };
            let held = limit as f32;
            if !(held >= f32::MIN_POSITIVE && held.is_finite()) {
                return Err(Error::argument(
                    format!("the {name} to clip to"),
                    limit,
                    "finite and > 0 as an f32, or None",
                ));
            }
        }
        Ok(())
    }
}

/// An optimiser with what is done to the gradient before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    pub optimizer: Optimizer,
    pub clip: Clip,
    /// The norm of each gradient is recorded, clipped or not.
    pub norms: bool,
}

impl Rule {
    /// Whether norms are computed.
    pub fn takes_norms(&self) -> bool {
        self.norms || self.clip.norm.is_some()
    }
}

impl From<Optimizer> for Rule {
    fn from(optimizer: Optimizer) -> Self {
        Self {
            optimizer,
            clip: Clip::default(),
            norms: false,
        }
    }
}

/// Declares the optimisers: a row has the name of a configuration with `lr`, `l1` and `weight_decay`, and whether weights decay
/// with the gradient or apart from it. `$` is handed in for the macro that this one makes.
macro_rules! optimizers {
    (($dollar:tt) $($name:ident: $decay:ident;)+) => {
        /// Any of the optimisers.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Optimizer {
            $(#[doc = concat!("[`", stringify!($name), "`].")] $name($name),)+
        }

        $(impl From<$name> for Optimizer {
            fn from(config: $name) -> Self {
                Self::$name(config)
            }
        })+

        /// What `$body` makes of a configuration, whatever the optimiser.
        macro_rules! each {
            ($dollar optimizer:expr, $dollar c:ident => $dollar body:expr) => {
                match $dollar optimizer {
                    $(Optimizer::$name($dollar c) => $dollar body),+
                }
            };
        }

        impl Optimizer {
            /// The weight decay, and whether it goes apart from the gradient.
            fn decay(&self) -> (f64, bool) {
                match self {
                    $(Self::$name(c) => (c.weight_decay, optimizers!(@apart $decay)),)+
                }
            }

            /// Each optimiser with arguments of which none could be left out, for cases and samples.
            pub(crate) fn examples() -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend($name::examples().into_iter().map(Self::from));)+
                all
            }
        }
    };
    (@apart coupled) => { false };
    (@apart decoupled) => { true };
}

optimizers! {
    ($)
    Sgd: coupled;
    RmsProp: coupled;
    Adam: coupled;
    AdamW: decoupled;
}

impl Optimizer {
    /// The optimiser's name.
    pub fn name(&self) -> &'static str {
        each!(self, c => c.name())
    }

    /// The learning rate.
    pub fn lr(&self) -> f64 {
        each!(self, c => c.lr)
    }

    /// The L1 penalty.
    pub fn l1(&self) -> f64 {
        each!(self, c => c.l1)
    }

    pub(crate) fn set_lr(&mut self, lr: f64) {
        each!(self, c => c.lr = lr);
    }

    /// Adds to a weight decay that goes with the gradient; one apart from it stays.
    pub(crate) fn add_l2(&mut self, decay: f64) {
        if let (_, false) = self.decay() {
            each!(self, c => c.weight_decay += decay);
        }
    }

    /// How weights change.
    pub(crate) fn formula(&self) -> UpdateFormula {
        each!(self, c => c.formula())
    }

    /// What times w is added to the gradient.
    pub(crate) fn l2(&self) -> f64 {
        match self.decay() {
            (decay, false) => decay,
            (_, true) => 0.0,
        }
    }

    /// What is left of a weight before a step, where it decays apart from the gradient.
    pub(crate) fn shrink(&self) -> f64 {
        match self.decay() {
            (_, false) => 1.0,
            (decay, true) => 1.0 - self.lr() * decay,
        }
    }

    /// Slots of state, each as large as the parameters.
    pub(crate) fn slots(&self) -> usize {
        self.formula().states()
    }

    /// Whether the arguments are in PyTorch's ranges.
    pub(crate) fn check(&self) -> Result<()> {
        let named = |name: &str| format!("{}'s {name}", self.name());
        at_least_zero(&named("lr"), self.lr())?;
        at_least_zero(&named("l1"), self.l1())?;
        each!(self, c => c.check())?;
        at_least_zero(&named("weight_decay"), self.decay().0)
    }
}

fn at_least_zero(name: &str, x: f64) -> Result<()> {
    if x >= 0.0 && (x as f32).is_finite() {
        return Ok(());
    }
    Err(Error::argument(name, x, "finite and ≥ 0"))
}

/// PyTorch allows an eps of 0, and then divides 0 by 0 where an input is dead.
fn check_eps(name: &str, eps: f64) -> Result<()> {
    if (eps as f32) >= f32::MIN_POSITIVE && (eps as f32).is_finite() {
        return Ok(());
    }
    let allowed = "finite and at least 1.2e-38, the smallest normal f32";
    Err(Error::argument(name, eps, allowed))
}

fn check_share(name: &str, x: f64) -> Result<()> {
    if (0.0..1.0).contains(&x) && (x as f32) < 1.0 {
        return Ok(());
    }
    Err(Error::argument(name, x, "in [0, 1)"))
}

impl Sgd {
    fn examples() -> Vec<Self> {
        let plain = Self {
            lr: 0.05,
            weight_decay: 0.01,
            ..Self::default()
        };
        let momentum = Self {
            momentum: 0.9,
            dampening: 0.25,
            ..plain
        };
        let nesterov = Self {
            dampening: 0.0,
            nesterov: true,
            ..momentum
        };
        vec![plain, momentum, nesterov]
    }

    fn name(&self) -> &'static str {
        match self {
            c if c.nesterov => "sgd with Nesterov momentum",
            c if c.momentum != 0.0 => "sgd with momentum",
            _ => "sgd",
        }
    }

    fn formula(&self) -> UpdateFormula {
        match self.momentum {
            0.0 => UpdateFormula::Sgd {},
            momentum => UpdateFormula::Momentum {
                momentum,
                one_minus_dampening: 1.0 - self.dampening,
                nesterov: u32::from(self.nesterov),
            },
        }
    }

    fn check(&self) -> Result<()> {
        let name = self.name();
        at_least_zero(&format!("{name}'s momentum"), self.momentum)?;
        if !(self.dampening as f32).is_finite() {
            at_least_zero(&format!("{name}'s dampening"), self.dampening)?;
        }
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            let (momentum, dampening) = (self.momentum, self.dampening);
            return Err(Error::argument(
                "nesterov",
                format!("true with momentum {momentum} and dampening {dampening}"),
                "used with momentum > 0 and dampening = 0",
            ));
        }
        Ok(())
    }
}

impl RmsProp {
    fn examples() -> Vec<Self> {
        vec![Self {
            alpha: 0.9,
            eps: 1e-3,
            weight_decay: 0.01,
            ..Self::default()
        }]
    }

    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn formula(&self) -> UpdateFormula {
        UpdateFormula::RmsProp {
            alpha: self.alpha,
            one_minus_alpha: 1.0 - self.alpha,
            eps: self.eps,
        }
    }

    fn check(&self) -> Result<()> {
        check_share("rmsprop's alpha", self.alpha)?;
        check_eps("rmsprop's eps", self.eps)
    }
}

macro_rules! adam {
    ($($config:ident, $name:literal;)+) => {$(
        impl $config {
            fn examples() -> Vec<Self> {
                vec![Self {
                    lr: 0.1,
                    betas: (0.9, 0.99),
                    eps: 1e-3,
                    weight_decay: 0.1,
                    ..Self::default()
                }]
            }

            fn name(&self) -> &'static str {
                $name
            }

            fn formula(&self) -> UpdateFormula {
                UpdateFormula::adam(self.betas, self.eps)
            }

            fn check(&self) -> Result<()> {
                check_share(concat!($name, "'s beta1"), self.betas.0)?;
                check_share(concat!($name, "'s beta2"), self.betas.1)?;
                check_eps(concat!($name, "'s eps"), self.eps)
            }
        }
    )+};
}
adam! {
    Adam, "adam";
    AdamW, "adamw";
}
