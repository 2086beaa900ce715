//! Optimisers: configuration structs with PyTorch's names, defaults and order of operations.

use crate::error::{Error, Result};
use crate::kernels::{Call, adam, momentum, rmsprop, sgd};

/// Stochastic gradient descent, with momentum and Nesterov's variant: `torch.optim.SGD`.
///
/// g ← g + weight_decay·w; v ← momentum·v + (1 − dampening)·g, or g at the first step; w ← w − lr·v, or
/// w − lr·(g + momentum·v) with `nesterov`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// Share of the gradient that momentum leaves out.
    pub dampening: f64,
    /// L2 penalty.
    pub weight_decay: f64,
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
            nesterov: false,
        }
    }
}

/// RMSprop: `torch.optim.RMSprop` (not centered, without momentum).
///
/// s ← alpha·s + (1 − alpha)·g²; w ← w − lr·g/(√s + eps).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Smoothing of the squared gradient.
    pub alpha: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// L2 penalty.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// Adam: `torch.optim.Adam`, with weight decay as an L2 penalty.
///
/// m ← β₁·m + (1 − β₁)·g; v ← β₂·v + (1 − β₂)·g²; w ← w − lr/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + eps).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Keeps the quotient finite.
    pub eps: f64,
    /// L2 penalty.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// Adam with decoupled weight decay: `torch.optim.AdamW`. w ← (1 − lr·weight_decay)·w before Adam's step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 1e-2,
        }
    }
}

/// Any of the optimisers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// [`Sgd`].
    Sgd(Sgd),
    /// [`RmsProp`].
    RmsProp(RmsProp),
    /// [`Adam`].
    Adam(Adam),
    /// [`AdamW`].
    AdamW(AdamW),
}

macro_rules! into_optimizer {
    ($($name:ident),+) => {$(
        impl From<$name> for Optimizer {
            fn from(config: $name) -> Self {
                Self::$name(config)
            }
        }
    )+};
}
into_optimizer!(Sgd, RmsProp, Adam, AdamW);

impl Optimizer {
    /// The optimiser's name.
    pub fn name(&self) -> &'static str {
        match self {
            Optimizer::Sgd(c) if c.nesterov => "sgd with Nesterov momentum",
            Optimizer::Sgd(c) if c.momentum != 0.0 => "sgd with momentum",
            Optimizer::Sgd(_) => "sgd",
            Optimizer::RmsProp(_) => "rmsprop",
            Optimizer::Adam(_) => "adam",
            Optimizer::AdamW(_) => "adamw",
        }
    }

    /// The learning rate.
    pub fn lr(&self) -> f64 {
        match self {
            Optimizer::Sgd(c) => c.lr,
            Optimizer::RmsProp(c) => c.lr,
            Optimizer::Adam(c) => c.lr,
            Optimizer::AdamW(c) => c.lr,
        }
    }

    pub(crate) fn set_lr(&mut self, lr: f64) {
        match self {
            Optimizer::Sgd(c) => c.lr = lr,
            Optimizer::RmsProp(c) => c.lr = lr,
            Optimizer::Adam(c) => c.lr = lr,
            Optimizer::AdamW(c) => c.lr = lr,
        }
    }

    /// Slots of state, each as large as the parameters.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Optimizer::Sgd(c) => usize::from(c.momentum != 0.0),
            Optimizer::RmsProp(_) => 1,
            Optimizer::Adam(_) | Optimizer::AdamW(_) => 2,
        }
    }

    /// The kernel that updates a segment of `count` parameters at step `step` (from 1).
    pub(crate) fn call(&self, count: u32, step: u64, grad_scale: f64) -> Call {
        // Beyond 2³² steps both corrections have long been 1.
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        let adam_call = |lr: f64, betas: (f64, f64), eps, l2, shrink| {
            // At least −104, where e^x is nothing beside 1: ln 0 is no number for a GPU.
            let ln = |beta: f64| beta.ln().max(-104.0);
            Call::Adam(adam::Params {
                count,
                step,
                lr,
                beta1: betas.0,
                ln_beta1: ln(betas.0),
                one_minus_beta1: 1.0 - betas.0,
                beta2: betas.1,
                ln_beta2: ln(betas.1),
                one_minus_beta2: 1.0 - betas.1,
                eps,
                l2,
                shrink,
                grad_scale,
            })
        };
        match *self {
            Optimizer::Sgd(c) if c.momentum == 0.0 => Call::Sgd(sgd::Params {
                count,
                lr: c.lr,
                weight_decay: c.weight_decay,
                grad_scale,
            }),
            Optimizer::Sgd(c) => Call::Momentum(momentum::Params {
                count,
                lr: c.lr,
                momentum: c.momentum,
                one_minus_dampening: 1.0 - c.dampening,
                weight_decay: c.weight_decay,
                grad_scale,
                nesterov: u32::from(c.nesterov),
                step,
            }),
            Optimizer::RmsProp(c) => Call::RmsProp(rmsprop::Params {
                count,
                lr: c.lr,
                alpha: c.alpha,
                one_minus_alpha: 1.0 - c.alpha,
                eps: c.eps,
                weight_decay: c.weight_decay,
                grad_scale,
            }),
            Optimizer::Adam(c) => adam_call(c.lr, c.betas, c.eps, c.weight_decay, 1.0),
            Optimizer::AdamW(c) => {
                adam_call(c.lr, c.betas, c.eps, 0.0, 1.0 - c.lr * c.weight_decay)
            }
        }
    }

    /// Whether the arguments are in PyTorch's ranges.
    pub(crate) fn check(&self) -> Result<()> {
        let at_least_zero = |name: &str, x: f64| -> Result<()> {
            if x >= 0.0 && (x as f32).is_finite() {
                return Ok(());
            }
            Err(Error::Argument {
                name: format!("{}'s {name}", self.name()),
                value: x.to_string(),
                allowed: "finite and ≥ 0".into(),
            })
        };
        // PyTorch allows 0, and then divides 0 by 0 where an input is dead.
        let eps_check = |eps: f64| -> Result<()> {
            if (eps as f32) >= f32::MIN_POSITIVE && (eps as f32).is_finite() {
                return Ok(());
            }
            Err(Error::Argument {
                name: format!("{}'s eps", self.name()),
                value: eps.to_string(),
                allowed: "finite and at least 1.2e-38, the smallest normal f32".into(),
            })
        };
        let share = |name: &str, x: f64| -> Result<()> {
            if (0.0..1.0).contains(&x) && (x as f32) < 1.0 {
                return Ok(());
            }
            Err(Error::Argument {
                name: format!("{}'s {name}", self.name()),
                value: x.to_string(),
                allowed: "in [0, 1)".into(),
            })
        };
        at_least_zero("lr", self.lr())?;
        match *self {
            Optimizer::Sgd(c) => {
                at_least_zero("momentum", c.momentum)?;
                at_least_zero("weight_decay", c.weight_decay)?;
                if !(c.dampening as f32).is_finite() {
                    at_least_zero("dampening", c.dampening)?;
                }
                if c.nesterov && (c.momentum == 0.0 || c.dampening != 0.0) {
                    return Err(Error::Argument {
                        name: "nesterov".into(),
                        value: format!(
                            "true with momentum {} and dampening {}",
                            c.momentum, c.dampening
                        ),
                        allowed: "used with momentum > 0 and dampening = 0".into(),
                    });
                }
                Ok(())
            }
            Optimizer::RmsProp(c) => {
                share("alpha", c.alpha)?;
                eps_check(c.eps)?;
                at_least_zero("weight_decay", c.weight_decay)
            }
            Optimizer::Adam(Adam {
                betas,
                eps,
                weight_decay,
                ..
            })
            | Optimizer::AdamW(AdamW {
                betas,
                eps,
                weight_decay,
                ..
            }) => {
                share("beta1", betas.0)?;
                share("beta2", betas.1)?;
                eps_check(eps)?;
                at_least_zero("weight_decay", weight_decay)
            }
        }
    }
}
