//! Activation functions: one row each, with a WGSL fragment of the same name in `shaders/activation/`.
//!
//! A row states the function φ, its derivative φ′ and what φ′ is computed from: the pre-activation z or the
//! activation a = φ(z). Where a suffices, z is never stored.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::number::loops::vectorised;
use crate::number::scalar::Scalar;

pub use crate::number::bounded::CUSTOM_ULPS;

/// What an activation's derivative is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The pre-activation z: the forward pass must store it.
    Input,
    /// The activation a = φ(z), which is stored anyway.
    Output,
}

/// The name and the bits of the argument; of a custom activation, the address of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ActivationKey(&'static str, u64);

macro_rules! activations {
    ($(
        $(#[$doc:meta])*
        $variant:ident $({ $($(#[$field_doc:meta])* $field:ident = $default:expr),+ })?,
        $name:literal, $fragment:literal, $saved:ident, kink: $kink:literal,
        |$z:ident| $f:expr,
        |$s:ident| $grad:expr;
    )+) => {
        /// The activation function φ of a layer.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Activation {
            $($(#[$doc])* $variant $({ $($(#[$field_doc])* $field: f64),+ })?,)+
            /// Row-wise softmax, `exp(zⱼ)/Σₖ exp(zₖ)`, computed after subtracting the row's maximum. Output layer only.
            Softmax,
            /// A user's function, made by [`Activation::custom`].
            Custom(Custom),
        }

        impl Activation {
            /// Every elementwise activation of the table, with default arguments: what the tests iterate over.
            pub fn table() -> Vec<Activation> {
                vec![$(Activation::$variant $({ $($field: $default),+ })?),+]
            }

            /// The activation's name.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                    Self::Softmax => "softmax",
                    Self::Custom(custom) => &custom.0.name,
                }
            }

            /// The activation of this name with these arguments; a default for each that is not given. Nothing if there is no
            /// such name or argument.
            fn of_parts(name: &str, arguments: &[(&str, f64)]) -> Option<Self> {
                let known: &[&str] = match name {
                    $($name => &[$($(stringify!($field)),+)?],)+
                    "softmax" => &[],
                    _ => return None,
                };
                if arguments.iter().any(|(argument, _)| !known.contains(argument)) {
                    return None;
                }
                Some(match name {
                    $($name => Self::$variant $({
                        $($field: arguments
                            .iter()
                            .find(|(argument, _)| *argument == stringify!($field))
                            .map_or($default, |(_, value)| *value)),+
                    })?,)+
                    _ => Self::Softmax,
                })
            }

            /// The WGSL that declares `activate(z)` and `activate_grad(saved)`, arguments included as constants.
            /// Softmax is no elementwise function: its kernels run with the identity.
            pub fn wgsl(&self) -> String {
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        #[allow(unused_mut)]
                        let mut text = String::new();
                        $($(text += &format!(
                            "const {}: f32 = {:?};\n", stringify!($field).to_uppercase(), *$field as f32
                        );)+)?
                        text + include_str!(concat!("../../shaders/activation/", $fragment, ".wgsl"))
                    })+
                    Self::Softmax => Self::Identity.wgsl(),
                    Self::Custom(custom) => custom.0.wgsl.clone(),
                }
            }

            /// What tells this activation's compiled kernels from another's.
            pub(crate) fn key(&self) -> ActivationKey {
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        #[allow(unused_mut)]
                        let mut bits = 0;
                        $($(bits ^= $field.to_bits();)+)?
                        ActivationKey($name, bits)
                    })+
                    Self::Softmax => Self::Identity.key(),
                    Self::Custom(custom) => ActivationKey("custom", Arc::as_ptr(&custom.0) as usize as u64),
                }
            }

            /// What the derivative is computed from.
            pub fn saved(&self) -> Saved {
                match self {
                    $(Self::$variant { .. } => Saved::$saved,)+
                    Self::Softmax => Saved::Output,
                    Self::Custom(_) => Saved::Input,
                }
            }

            /// Whether the derivative jumps at z = 0, where a difference quotient proves nothing.
            pub(crate) fn has_kink(&self) -> bool {
                match self {
                    $(Self::$variant { .. } => $kink,)+
                    _ => false,
                }
            }

            /// φ(z).
            pub(crate) fn f<F: Scalar>(&self, z: F) -> F {
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        $($(let $field = *$field;)+)?
                        $(let _ = $(&$field);+;)?
                        let $z = z;
                        $f
                    })+
                    Self::Softmax => z,
                    Self::Custom(custom) => z.custom(&*custom.0.f),
                }
            }

            /// φ of each element in place, of those that are finite: max and min of a GPU may drop a NaN, so the kernels hand
            /// what is not finite on as it is. The choice of φ stands outside the loop, so that the loop can be vectorised.
            pub(crate) fn apply_to<F: Scalar>(&self, row: &mut [F]) {
                #[inline(always)]
                fn each<F: Scalar>(row: &mut [F], f: impl Fn(F) -> F) {
                    vectorised::<F, _>(#[inline(always)] || {
                        for z in row {
                            let a = f(*z);
                            *z = if z.is_finite() { a } else { *z };
                        }
                    });
                }
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        $($(let $field = *$field;)+)?
                        $(let _ = $(&$field);+;)?
                        each(row, |$z: F| $f)
                    })+
                    Self::Softmax => {}
                    Self::Custom(custom) => each(row, |z| z.custom(&*custom.0.f)),
                }
            }

            /// δ ⊙ φ′ in place; see [`grad`](Self::grad). The choice of φ stands outside the loop here too.
            pub(crate) fn scale_by_grad<F: Scalar>(&self, delta: &mut [F], saved: &[F]) {
                #[inline(always)]
                fn each<F: Scalar>(delta: &mut [F], saved: &[F], grad: impl Fn(F) -> F) {
                    vectorised::<F, _>(#[inline(always)] || {
                        for (d, &s) in delta.iter_mut().zip(saved) {
                            *d = *d * grad(s);
                        }
                    });
                }
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        $($(let $field = *$field;)+)?
                        $(let _ = $(&$field);+;)?
                        each(delta, saved, |$s: F| { let _ = &$s; $grad })
                    })+
                    _ => each(delta, saved, |s| self.grad(s)),
                }
            }

            /// φ′ from what [`saved`](Self::saved) names.
            pub(crate) fn grad<F: Scalar>(&self, saved: F) -> F {
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        $($(let $field = *$field;)+)?
                        $(let _ = $(&$field);+;)?
                        let $s = saved;
                        let _ = &$s;
                        $grad
                    })+
                    Self::Softmax => F::of(1.0),
                    Self::Custom(custom) => saved.custom(&*custom.0.grad),
                }
            }
        }
    };
}

activations! {
    /// `z`.
    Identity,
        "identity", "identity", Output, kink: false,
        |z| z,
        |s| F::of(1.0);
    /// `max(0, z)`, with derivative 0 at 0, as PyTorch and most others have it.
    Relu,
        "relu", "relu", Output, kink: true,
        |z| z.max(F::of(0.0)),
        |s| s.heaviside(0.0);
    /// `max(0, z)` with the derivative at 0 of your choice: ½ is the symmetric convention `(sign(z) + 1)/2`.
    ReluWith {
        /// φ′(0), in [0, 1].
        grad_at_zero = 0.5
    },
        "relu_with", "relu_with", Input, kink: true,
        |z| z.max(F::of(0.0)),
        |s| s.heaviside(grad_at_zero);
    /// `z` above zero, `negative_slope·z` elsewhere; PyTorch's default slope is 0.01.
    LeakyRelu {
        /// Slope below (and at) zero, ≥ 0.
        negative_slope = 0.01
    },
        "leaky_relu", "leaky_relu", Output, kink: true,
        |z| z.max(F::of(0.0)) + F::of(negative_slope) * z.min(F::of(0.0)),
        |s| {
            let above = s.heaviside(0.0);
            above + F::of(negative_slope) * (F::of(1.0) - above)
        };
    /// `z` above zero, `alpha·(eᶻ − 1)` elsewhere; PyTorch's default alpha is 1.
    Elu {
        /// Minus the limit at −∞, > 0.
        alpha = 1.0
    },
        "elu", "elu", Output, kink: true,
        |z| z.max(F::of(0.0)) + F::of(alpha) * z.min(F::of(0.0)).exp_m1(),
        |s| {
            let above = s.heaviside(0.0);
            above + (F::of(1.0) - above) * (s.min(F::of(0.0)) + F::of(alpha))
        };
    /// The logistic function `1/(1 + e⁻ᶻ)`.
    Sigmoid,
        "sigmoid", "sigmoid", Output, kink: false,
        |z| sigmoid_pair(z).0,
        |s| s * (F::of(1.0) - s);
    /// The hyperbolic tangent.
    Tanh,
        "tanh", "tanh", Output, kink: false,
        |z| z.tanh(),
        |s| F::of(1.0) - s * s;
    /// `ln(1 + eᶻ)`.
    Softplus,
        "softplus", "softplus", Input, kink: false,
        |z| softplus(z),
        |s| sigmoid_pair(s).0;
    /// `z·σ(z)`, also called swish.
    Silu,
        "silu", "silu", Input, kink: false,
        |z| z * sigmoid_pair(z).0,
        |s| {
            let (p, q) = sigmoid_pair(s);
            p * (F::of(1.0) + s * q)
        };
    /// `z·Φ(z)` with the normal distribution's exact Φ (by erf): PyTorch's default GELU.
    Gelu,
        "gelu", "gelu", Input, kink: false,
        |z| z * normal_cdf(z),
        |s| {
            let density = F::of(FRAC_1_SQRT_2PI) * (-(s * s) * F::of(0.5)).exp();
            normal_cdf(s) + s * density
        };
    /// `½·z·(1 + tanh(√(2/π)·(z + 0.044715·z³)))`: PyTorch's `approximate="tanh"`, differentiated as itself.
    /// Computed as `z·σ(2u)`, the same function without the cancellation in 1 + tanh(u).
    GeluTanh,
        "gelu_tanh", "gelu_tanh", Input, kink: false,
        |z| z * sigmoid_pair(gelu_tanh_argument(z)).0,
        |s| {
            let (p, q) = sigmoid_pair(gelu_tanh_argument(s));
            let slope = F::of(SQRT_8_OVER_PI) * (F::of(1.0) + F::of(3.0 * 0.044715) * s * s);
            p + s * (p * q * slope)
        };
}

/// 1/√(2π), the normal density's peak.
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
/// 2·√(2/π).
const SQRT_8_OVER_PI: f64 = 1.595_769_121_605_730_7;

/// σ(z) and σ(−z) = 1 − σ(z), each without cancellation and without overflow.
pub(crate) fn sigmoid_pair<F: Scalar>(z: F) -> (F, F) {
    let e = (-z.abs()).exp();
    let large = F::of(1.0) / (F::of(1.0) + e);
    let small = e * large;
    if z.value() >= 0.0 {
        (large, small)
    } else {
        (small, large)
    }
}

/// ln(1 + eᶻ) without overflow.
pub(crate) fn softplus<F: Scalar>(z: F) -> F {
    z.max(F::of(0.0)) + (-z.abs()).exp().ln_1p()
}

fn normal_cdf<F: Scalar>(z: F) -> F {
    F::of(0.5) * (F::of(1.0) + (z * F::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// 2u of the tanh form of GELU.
fn gelu_tanh_argument<F: Scalar>(z: F) -> F {
    F::of(SQRT_8_OVER_PI) * z * (F::of(1.0) + F::of(0.044715) * z * z)
}

impl Activation {
    /// A custom activation whose fragment was checked.
    pub(crate) fn of_checked(
        name: &str,
        wgsl: &str,
        f: impl Fn(f64) -> f64 + Send + Sync + 'static,
        grad: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Custom(Arc::new(CustomParts {
            name: name.to_owned(),
            wgsl: wgsl.to_owned(),
            f: Box::new(f),
            grad: Box::new(grad),
            missing: false,
        })))
    }

    /// A custom activation of which only the name is known. No network is built with it; see [`Self::replace`].
    fn missing(name: &str) -> Self {
        Self::Custom(Custom(Arc::new(CustomParts {
            name: name.to_owned(),
            wgsl: String::new(),
            f: Box::new(|_| f64::NAN),
            grad: Box::new(|_| f64::NAN),
            missing: true,
        })))
    }

    /// Takes the custom activation of this one's name, if this is a custom one.
    pub(crate) fn replace(&mut self, own: &[Activation]) -> Result<()> {
        if let Self::Custom(this) = self {
            let same = |a: &&Activation| matches!(a, Self::Custom(c) if c.0.name == this.0.name);
            if let Some(replacement) = own.iter().find(same) {
                *self = replacement.clone();
            }
        }
        self.check()
    }

    /// φ(z) in f64. Softmax is no function of one number and gives z, with derivative 1.
    pub fn apply(&self, z: f64) -> f64 {
        self.f(z)
    }

    /// φ′(z) in f64.
    pub fn derivative(&self, z: f64) -> f64 {
        match self.saved() {
            Saved::Input => self.grad(z),
            Saved::Output => self.grad(self.f(z)),
        }
    }

    /// Whether the arguments are in the range where φ′ can be computed as the row says.
    pub(crate) fn check(&self) -> Result<()> {
        let (argument, value, allowed, good) = match *self {
            Self::ReluWith { grad_at_zero: g } => {
                ("grad_at_zero", g, "in [0, 1]", (0.0..=1.0).contains(&g))
            }
            Self::LeakyRelu { negative_slope: s } => (
                "negative_slope",
                s,
                "finite and ≥ 0",
                s >= 0.0 && (s as f32).is_finite(),
            ),
            Self::Elu { alpha } => (
                "alpha",
                alpha,
                "finite and > 0",
                alpha as f32 > 0.0 && (alpha as f32).is_finite(),
            ),
            Self::Custom(ref custom) if custom.0.missing => {
                return Err(Error::MissingActivation {
                    name: custom.0.name.clone(),
                });
            }
            _ => return Ok(()),
        };
        if good {
            Ok(())
        } else {
            Err(Error::argument(
                format!("{}'s {argument}", self.name()),
                value,
                allowed,
            ))
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReluWith { grad_at_zero } => write!(f, "relu_with(grad_at_zero={grad_at_zero})"),
            Self::LeakyRelu { negative_slope } => {
                write!(f, "leaky_relu(negative_slope={negative_slope})")
            }
            Self::Elu { alpha } => write!(f, "elu(alpha={alpha})"),
            _ => f.write_str(self.name()),
        }
    }
}

/// How a file calls a custom activation, before its name.
const CUSTOM: &str = "custom:";

/// From its text: a name, with its arguments in parentheses where it has some, as it is displayed. Arguments that are not given
/// have PyTorch's default.
///
/// ```
/// use wgrad::Activation;
/// assert_eq!("tanh".parse(), Ok(Activation::Tanh));
/// assert_eq!("elu(alpha=0.5)".parse(), Ok(Activation::Elu { alpha: 0.5 }));
/// println!("{}", "tanhh".parse::<Activation>().unwrap_err()); // has the list of names
/// ```
impl FromStr for Activation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = || {
            let names: Vec<String> = Self::table().iter().map(Self::to_string).collect();
            Error::argument(
                "the activation",
                format!("{text:?}"),
                format!("one of {}, softmax", names.join(", ")),
            )
        };
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(fail)?),
            None => (text, ""),
        };
        let mut values = Vec::new();
        for argument in arguments.split(',').filter(|a| !a.trim().is_empty()) {
            let (argument, value) = argument.split_once('=').ok_or_else(fail)?;
            let value = value.trim().parse().map_err(|_| fail())?;
            values.push((argument.trim(), value));
        }
        let activation = Self::of_parts(name.trim(), &values).ok_or_else(fail)?;
        activation.check()?;
        Ok(activation)
    }
}

/// As its text; a custom one as `custom:` and its name.
impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Custom(_) => serializer.collect_str(&format_args!("{CUSTOM}{self}")),
            _ => serializer.collect_str(self),
        }
    }
}

/// From its text. A custom one must be put in its place by [`Mlp::with_activations`](crate::Mlp::with_activations).
impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix(CUSTOM) {
            Some(name) => Ok(Self::missing(name)),
            None => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// A user's activation; see [`Activation::custom`].
#[derive(Clone)]
pub struct Custom(Arc<CustomParts>);

type Function = Box<dyn Fn(f64) -> f64 + Send + Sync>;

struct CustomParts {
    name: String,
    wgsl: String,
    f: Function,
    grad: Function,
    /// Only the name is known.
    missing: bool,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.name)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
