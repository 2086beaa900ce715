//! Learning-rate schedules, with PyTorch's names, defaults and values.
//!
//! All but [`Plateau`] are formulas in t, the epochs (or steps) before, and in the base learning rate η, so that a run can go
//! on from anywhere; T is the whole length. A plateau depends on what was seen: its state is a [`PlateauState`].
//!
//! ```
//! use wgrad::schedule::{Schedule, Shape};
//!
//! let schedule = Schedule::cosine(1e-5).with_warmup(5);
//! assert_eq!(schedule.lr(1e-3, 5, 50), 1e-3); // warm
//! assert!((schedule.lr(1e-3, 50, 50) - 1e-5).abs() < 1e-12);
//! assert_eq!(Schedule::default().shape, Shape::Constant);
//! ```

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What t counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Epochs.
    #[default]
    Epoch,
    /// Updates.
    Step,
}

/// How the learning rate goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// η.
    #[default]
    Constant,
    /// η·gamma^⌊t/every⌋: `StepLR`.
    Step {
        /// What t passes between two falls, at least 1.
        every: u64,
        /// The factor of a fall.
        gamma: f64,
    },
    /// η·gammaᵗ: `ExponentialLR`.
    Exponential {
        /// The factor.
        gamma: f64,
    },
    /// min_lr + (η − min_lr)·(1 + cos(π·t/T))/2: `CosineAnnealingLR` over the length of the run.
    Cosine {
        /// The learning rate at the end.
        min_lr: f64,
    },
    /// [`OneCycle`].
    OneCycle(OneCycle),
    /// [`Plateau`].
    Plateau(Plateau),
}

/// Up to a maximum and down to almost nothing, in the course of the run: `OneCycleLR` without a cycle of the momentum. It
/// replaces η. Phase one rises from max_lr/div_factor to max_lr until t = pct_start·T − 1; phase two falls to
/// max_lr/div_factor/final_div_factor until t = T − 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OneCycle {
    /// The highest learning rate.
    pub max_lr: f64,
    /// Share of the run in which it rises, in [0, 1].
    pub pct_start: f64,
    /// Between two learning rates.
    pub anneal: Anneal,
    /// max_lr over the first learning rate.
    pub div_factor: f64,
    /// The first learning rate over the last.
    pub final_div_factor: f64,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self {
            max_lr: 1e-2,
            pct_start: 0.3,
            anneal: Anneal::Cosine,
            div_factor: 25.0,
            final_div_factor: 1e4,
        }
    }
}

/// How a one-cycle goes between two learning rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// b + (a − b)·(1 + cos(π·s))/2 for s from 0 to 1.
    #[default]
    Cosine,
    /// a + (b − a)·s.
    Linear,
}

impl Anneal {
    fn at(self, a: f64, b: f64, s: f64) -> f64 {
        match self {
            Anneal::Cosine => b + (a - b) / 2.0 * (libm::cos(std::f64::consts::PI * s) + 1.0),
            Anneal::Linear => a + (b - a) * s,
        }
    }
}

/// Falls when the monitored number has stopped improving: `ReduceLROnPlateau`. Once an epoch: a number counts as better if it
/// is below best·(1 − threshold) (above best·(1 + threshold) for an accuracy); after more than `patience` epochs without one
/// the learning rate falls to max(lr·factor, min_lr), unless that changes it by `eps` or less.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plateau {
    /// The factor of a fall, in (0, 1).
    pub factor: f64,
    /// Epochs without an improvement that are borne.
    pub patience: u64,
    /// What an improvement is, relative to the best so far.
    pub threshold: f64,
    /// Epochs after a fall that are not counted.
    pub cooldown: u64,
    /// Where it falls no further.
    pub min_lr: f64,
    /// A change too small to be made.
    pub eps: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

/// What a [`Plateau`] has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// The learning rate after the falls so far; none before the first.
    #[serde(default)]
    pub lr: Option<f64>,
    /// The best number so far.
    #[serde(default)]
    pub best: Option<f64>,
    /// Epochs without an improvement.
    pub bad: u64,
    /// Epochs of the cooldown that are left.
    pub cooldown: u64,
}

impl PlateauState {
    /// Takes an epoch's number in, at a learning rate of `lr`; `higher` if higher is better. NaN is never an improvement.
    pub fn observe(&mut self, plateau: &Plateau, lr: f64, value: f64, higher: bool) {
        let better = match self.best {
            None => value.is_finite(),
            Some(best) if higher => value > best * (1.0 + plateau.threshold),
            Some(best) => value < best * (1.0 - plateau.threshold),
        };
        if better {
            self.best = Some(value);
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad = 0;
        }
        if self.bad > plateau.patience {
            let lower = (lr * plateau.factor).max(plateau.min_lr);
            if lr - lower > plateau.eps {
                self.lr = Some(lower);
            }
            self.cooldown = plateau.cooldown;
            self.bad = 0;
        }
    }
}

/// A rise before the rest of a schedule: its first learning rate times start_factor + (1 − start_factor)·t/over, for t below
/// `over`; then the rest begins at its own t = 0. `SequentialLR` of `LinearLR` and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Warmup {
    /// Epochs or steps that it takes.
    pub over: u64,
    /// Where it begins, in (0, 1]; PyTorch's default is 1/3.
    #[serde(default = "third")]
    pub start_factor: f64,
}

fn third() -> f64 {
    1.0 / 3.0
}

/// A learning-rate schedule: a shape, after a warm-up if there is one, in epochs or in steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// How the learning rate goes.
    pub shape: Shape,
    /// A rise before that.
    pub warmup: Option<Warmup>,
    /// What t counts.
    pub per: Per,
}

impl From<Shape> for Schedule {
    fn from(shape: Shape) -> Self {
        let per = match shape {
            Shape::OneCycle(_) => Per::Step,
            _ => Per::Epoch,
        };
        Self {
            shape,
            warmup: None,
            per,
        }
    }
}

impl Schedule {
    /// The optimiser's own learning rate throughout.
    pub fn constant() -> Self {
        Shape::Constant.into()
    }

    /// [`Shape::Step`], every so many epochs.
    pub fn step(every: u64, gamma: f64) -> Self {
        Shape::Step { every, gamma }.into()
    }

    /// [`Shape::Exponential`], by epochs.
    pub fn exponential(gamma: f64) -> Self {
        Shape::Exponential { gamma }.into()
    }

    /// [`Shape::Cosine`], by epochs.
    pub fn cosine(min_lr: f64) -> Self {
        Shape::Cosine { min_lr }.into()
    }

    /// [`OneCycle`], by steps.
    pub fn one_cycle(max_lr: f64) -> Self {
        Shape::OneCycle(OneCycle {
            max_lr,
            ..OneCycle::default()
        })
        .into()
    }

    /// [`Plateau`], by epochs.
    pub fn plateau(plateau: Plateau) -> Self {
        Shape::Plateau(plateau).into()
    }

    /// After a linear rise over so many epochs, or steps, from a third.
    #[must_use]
    pub fn with_warmup(mut self, over: u64) -> Self {
        self.warmup = Some(Warmup {
            over,
            start_factor: third(),
        });
        self
    }

    /// Counted in steps, not epochs.
    #[must_use]
    pub fn per_step(mut self) -> Self {
        self.per = Per::Step;
        self
    }

    /// The learning rate after `t` epochs or steps of `total`, for a base learning rate of `base`. That of a [`Plateau`] is
    /// the base until it falls.
    pub fn lr(&self, base: f64, t: u64, total: u64) -> f64 {
        self.lr_after(base, t, total, &PlateauState::default())
    }

    /// [`lr`](Self::lr), with what a plateau has seen.
    pub fn lr_after(&self, base: f64, t: u64, total: u64, plateau: &PlateauState) -> f64 {
        let over = self.warmup.map_or(0, |warmup| warmup.over);
        let rest = |t: u64| self.shape.lr(base, t, total.saturating_sub(over), plateau);
        match self.warmup {
            Some(warmup) if t < over => {
                let start = warmup.start_factor;
                rest(0) * (start + (1.0 - start) * t as f64 / over as f64)
            }
            _ => rest(t - over),
        }
    }

    /// Whether t has left the warm-up behind.
    pub fn is_warm(&self, t: u64) -> bool {
        self.warmup.is_none_or(|warmup| t >= warmup.over)
    }

    /// Whether the numbers are in range, for a run of `total` epochs or steps.
    ///
    /// # Errors
    /// [`Error::Argument`] names the number.
    pub fn check(&self, total: u64) -> Result<()> {
        let ask = |ok: bool, name: &str, value: f64, allowed: &str| {
            if ok {
                return Ok(());
            }
            Err(Error::argument(
                format!("the schedule's {name}"),
                value,
                allowed,
            ))
        };
        let lr = |name: &str, x: f64| ask(x >= 0.0 && x.is_finite(), name, x, "finite and ≥ 0");
        let gamma = |x: f64| ask(x > 0.0 && x.is_finite(), "gamma", x, "finite and > 0");
        let factor = |name: &str, x: f64| ask(x >= 1.0 && x.is_finite(), name, x, "finite and ≥ 1");
        match self.shape {
            Shape::Constant => {}
            Shape::Step { every, gamma: g } => {
                ask(every > 0, "every", every as f64, "1 or more")?;
                gamma(g)?;
            }
            Shape::Exponential { gamma: g } => gamma(g)?,
            Shape::Cosine { min_lr } => lr("min_lr", min_lr)?,
            Shape::OneCycle(c) => {
                lr("max_lr", c.max_lr)?;
                let share = (0.0..=1.0).contains(&c.pct_start);
                ask(share, "pct_start", c.pct_start, "in [0, 1]")?;
                factor("div_factor", c.div_factor)?;
                factor("final_div_factor", c.final_div_factor)?;
            }
            Shape::Plateau(p) => {
                let share = p.factor > 0.0 && p.factor < 1.0;
                ask(share, "factor", p.factor, "in (0, 1)")?;
                let share = (0.0..1.0).contains(&p.threshold);
                ask(share, "threshold", p.threshold, "in [0, 1)")?;
                lr("min_lr", p.min_lr)?;
                lr("eps", p.eps)?;
                if self.per == Per::Step {
                    return Err(Error::argument(
                        "the schedule's unit",
                        "steps, with a plateau",
                        "epochs: the number that a plateau watches comes once an epoch",
                    ));
                }
            }
        }
        if let Some(warmup) = self.warmup {
            let start = warmup.start_factor;
            let share = start > 0.0 && start <= 1.0;
            ask(share, "start_factor of the warm-up", start, "in (0, 1]")?;
            ask(
                warmup.over > 0 && warmup.over < total,
                "warm-up",
                warmup.over as f64,
                &format!("at least 1 and shorter than the run, which is {total} long"),
            )?;
        }
        Ok(())
    }
}

impl Shape {
    fn lr(&self, base: f64, t: u64, total: u64, plateau: &PlateauState) -> f64 {
        let power = |gamma: f64, n: u64| libm::pow(gamma, n as f64);
        match *self {
            Shape::Constant => base,
            Shape::Step { every, gamma } => base * power(gamma, t / every.max(1)),
            Shape::Exponential { gamma } => base * power(gamma, t),
            Shape::Cosine { min_lr } => {
                // Past its length it stays at the end, where PyTorch's would rise again.
                let s = t.min(total) as f64 / total.max(1) as f64;
                Anneal::Cosine.at(base, min_lr, s)
            }
            Shape::OneCycle(c) => {
                let first = c.max_lr / c.div_factor;
                let top = c.pct_start * total as f64 - 1.0;
                let end = total as f64 - 1.0;
                let t = (t as f64).min(end);
                // A phase of no length is at its end.
                let share = |from: f64, to: f64| match to - from {
                    0.0 => 1.0,
                    length => (t - from) / length,
                };
                if t <= top {
                    c.anneal.at(first, c.max_lr, share(0.0, top))
                } else {
                    let last = first / c.final_div_factor;
                    c.anneal.at(c.max_lr, last, share(top, end))
                }
            }
            Shape::Plateau(_) => plateau.lr.unwrap_or(base),
        }
    }
}
