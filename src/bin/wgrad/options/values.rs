//! The values that options take, each the same as a flag's text and in a TOML file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use toml::Value;
use wgrad::Missing;

use crate::failure::{Failure, usage};

/// A name with arguments, as `step(every=10,gamma=0.1)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    pub name: String,
    pub arguments: Vec<(String, f64)>,
}

impl Named {
    /// From its text.
    pub fn parse(what: &str, text: &str) -> Result<Self, Failure> {
        let form = "name or name(key=number, …)";
        let fail = || Failure::Usage(format!("{what} {text:?} is not of the form {form}"));
        let (name, rest) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.trim_end().strip_suffix(')').ok_or_else(fail)?),
            None => (text, ""),
        };
        let mut arguments = Vec::new();
        for argument in rest.split(',').filter(|a| !a.trim().is_empty()) {
            let (key, value) = argument.split_once('=').ok_or_else(fail)?;
            let value: f64 = value.trim().parse().map_err(|_| fail())?;
            arguments.push((key.trim().replace('-', "_"), value));
        }
        let name = name.trim().replace('-', "_").to_lowercase();
        Ok(Self { name, arguments })
    }

    /// The arguments in this order, a default for each that is not given.
    pub fn arguments<const N: usize>(&self, known: [(&str, f64); N]) -> Result<[f64; N], Failure> {
        let names = known.map(|(name, _)| name);
        let mut given = self.arguments.iter();
        if let Some((key, _)) = given.find(|(key, _)| !names.contains(&key.as_str())) {
            let has = match names.is_empty() {
                true => "no arguments".into(),
                false => names.join(", "),
            };
            let name = &self.name;
            return usage(format!("{name} has no argument {key}: it takes {has}"));
        }
        Ok(known.map(|(name, default)| {
            let given = self.arguments.iter().rev().find(|(key, _)| key == name);
            given.map_or(default, |(_, value)| *value)
        }))
    }
}

/// A whole number that stands where any number may.
pub fn whole(what: &str, x: f64) -> Result<u64, Failure> {
    if x >= 0.0 && x.fract() == 0.0 && x < 9e15 {
        return Ok(x as u64);
    }
    usage(format!("{what} is {x}, but must be a whole number"))
}

/// Names of columns: one text with commas, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Names(pub Vec<String>);

impl FromStr for Names {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let names: Vec<String> = parts(text, false).into_iter().map(unquoted).collect();
        if names.iter().any(String::is_empty) {
            let how = "a name with commas stands in quotation marks, as in '\"a, b\",c'";
            return usage(format!("a name is empty; {how}"));
        }
        Ok(Self(names))
    }
}

/// In a file a text is one name, whatever stands in it.
impl TryFrom<Value> for Names {
    type Error = Failure;

    fn try_from(value: Value) -> Result<Self, Failure> {
        let name = |value: Value| match value {
            Value::String(name) => Some(name),
            Value::Integer(n) => u32::try_from(n).ok().map(|n| n.to_string()),
            _ => None,
        };
        let names = match value {
            Value::Array(names) => names.into_iter().map(name).collect(),
            one => name(one).map(|name| vec![name]),
        };
        match names {
            Some(names) => Ok(Self(names)),
            None => usage("expected a name, a number, or a list of these"),
        }
    }
}

/// Weights of classes: a word, or a weight for some of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum ClassWeights {
    /// Each row counts alike.
    None,
    /// Each class counts alike.
    Balanced,
    /// By the names of classes.
    Given(BTreeMap<String, f64>),
}

impl FromStr for ClassWeights {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text {
            "none" => return Ok(Self::None),
            "balanced" => return Ok(Self::Balanced),
            _ => {}
        }
        let what = "neither none nor balanced, nor weights of classes as in yes=5,no=1";
        let wrong = || Failure::Usage(format!("{text:?} is {what}"));
        let mut weights = BTreeMap::new();
        for part in text.split(',') {
            let (class, weight) = part.rsplit_once('=').ok_or_else(wrong)?;
            let weight: f64 = weight.trim().parse().map_err(|_| wrong())?;
            if weights.insert(class.trim().to_owned(), weight).is_some() {
                return usage(format!("class {class:?} has two weights"));
            }
        }
        Self::given(weights)
    }
}

impl ClassWeights {
    fn given(weights: BTreeMap<String, f64>) -> Result<Self, Failure> {
        let sound = |weight: f64| weight >= 0.0 && weight.is_finite();
        match weights.iter().find(|(_, weight)| !sound(**weight)) {
            Some((class, weight)) => usage(format!(
                "the weight of class {class:?} is {weight}, but must be a number from 0 on"
            )),
            None => Ok(Self::Given(weights)),
        }
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            ClassWeights::None => to.serialize_str("none"),
            ClassWeights::Balanced => to.serialize_str("balanced"),
            ClassWeights::Given(weights) => weights.serialize(to),
        }
    }
}

impl TryFrom<Value> for ClassWeights {
    type Error = Failure;

    fn try_from(value: Value) -> Result<Self, Failure> {
        if let Value::String(text) = &value {
            return text.parse();
        }
        let what = "expected none, balanced, or weights of classes as in { yes = 5, no = 1 }";
        Self::given(value.try_into().or_else(|_| usage(what))?)
    }
}

/// Widths of the hidden layers: text, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Widths(pub Vec<usize>);

impl TryFrom<Value> for Widths {
    type Error = Failure;

    fn try_from(value: Value) -> Result<Self, Failure> {
        let width = |value: &Value| {
            let width = value.as_integer().and_then(|n| usize::try_from(n).ok());
            width.filter(|&width| width > 0)
        };
        let widths = match &value {
            Value::String(text) => return text.parse(),
            Value::Array(widths) => widths.iter().map(width).collect(),
            one => width(one).map(|width| vec![width]),
        };
        match widths {
            Some(widths) => Ok(Self(widths)),
            None => {
                usage("expected widths, as in [256, 128], each 1 or more; [] for a linear model")
            }
        }
    }
}

impl FromStr for Widths {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        let width = |part: &str| part.trim().parse().ok().filter(|&width| width > 0);
        match text.split(',').map(width).collect() {
            Some(widths) => Ok(Self(widths)),
            None => usage(format!(
                "{text:?} is no list of widths: write 256,128 or none"
            )),
        }
    }
}

/// What is held out.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Value", untagged)]
pub enum Held {
    Share(f64),
    File(PathBuf),
}

impl FromStr for Held {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text.parse::<f64>() {
            Ok(share) if (0.0..1.0).contains(&share) => Ok(Self::Share(share)),
            Ok(share) => usage(format!(
                "{share} is no share of the rows: give one in [0, 1), or a file"
            )),
            Err(_) => Ok(Self::File(text.into())),
        }
    }
}

impl TryFrom<Value> for Held {
    type Error = Failure;

    fn try_from(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Integer(n) => n.to_string().parse(),
            Value::Float(x) => x.to_string().parse(),
            Value::String(path) => path.parse(),
            other => usage(format!("{other} is neither a share of the rows nor a file")),
        }
    }
}

/// What becomes of missing values: in all columns, and in single ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MissingRules {
    pub all: Missing,
    pub columns: Vec<(String, Missing)>,
}

/// A rule from its name.
fn missing_rule(text: &str) -> Option<Missing> {
    let constant = text.strip_prefix("constant(");
    Some(match text {
        "error" => Missing::Error,
        "drop" => Missing::Drop,
        "mean" => Missing::Mean,
        "median" => Missing::Median,
        "most-frequent" => Missing::MostFrequent,
        _ => Missing::Constant(constant?.strip_suffix(')')?.into()),
    })
}

fn missing_name(rule: &Missing) -> String {
    match rule {
        Missing::Error => "error".into(),
        Missing::Drop => "drop".into(),
        Missing::Mean => "mean".into(),
        Missing::Median => "median".into(),
        Missing::MostFrequent => "most-frequent".into(),
        Missing::Constant(value) => format!("constant({value})"),
    }
}

/// The parts of a list, at commas that stand neither in quotation marks nor, where they count, in brackets.
fn parts(text: &str, brackets: bool) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' if brackets => depth += 1,
            ')' if brackets => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// A name without the quotation marks that it may stand in.
fn unquoted(name: &str) -> String {
    let inner = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(name).to_owned()
}

impl FromStr for MissingRules {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut rules = Self::default();
        let mut general = None;
        for part in parts(text, true) {
            if let Some(rule) = missing_rule(part) {
                if general.replace(rule).is_some() {
                    return usage(format!(
                        "{text:?} has two rules for all columns: give one, and others as COLUMN=RULE"
                    ));
                }
                continue;
            }
            // The first sign that a rule follows: a name may have one, and a constant too.
            let mut signs = part.match_indices('=');
            let found = signs.find_map(|(i, _)| {
                let rule = missing_rule(part[i + 1..].trim())?;
                Some((unquoted(part[..i].trim()), rule))
            });
            let Some((name, rule)) = found.filter(|(name, _)| !name.is_empty()) else {
                return usage(format!(
                    "{part:?} is none of error, drop, mean, median, most-frequent, constant(VALUE), nor one of them for a column, \
                     as in age=median"
                ));
            };
            if rules.columns.iter().any(|(other, _)| *other == name) {
                return usage(format!("column {name:?} has two rules"));
            }
            rules.columns.push((name, rule));
        }
        rules.all = general.unwrap_or_default();
        Ok(rules)
    }
}

impl fmt::Display for MissingRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&missing_name(&self.all))?;
        for (column, rule) in &self.columns {
            let quote = column.contains([',', '=', '(']).then_some("\"");
            let quote = quote.unwrap_or_default();
            write!(f, ",{quote}{column}{quote}={}", missing_name(rule))?;
        }
        Ok(())
    }
}

impl From<MissingRules> for String {
    fn from(rules: MissingRules) -> Self {
        rules.to_string()
    }
}

impl TryFrom<String> for MissingRules {
    type Error = Failure;

    fn try_from(text: String) -> Result<Self, Failure> {
        text.parse()
    }
}

/// Words that count as missing: one text with commas, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct NaValues(pub Vec<String>);

impl FromStr for NaValues {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let words = text.split(',').map(|word| word.trim().into());
        Ok(Self(words.collect()))
    }
}

impl TryFrom<Value> for NaValues {
    type Error = Failure;

    fn try_from(value: Value) -> Result<Self, Failure> {
        if let Value::String(text) = &value {
            return text.parse();
        }
        let words = value.try_into().map(Self);
        words.or_else(|_| usage("expected words in one text, or a list of them"))
    }
}

/// Names to choose among, the same for flags and keys, and what each stands for where that is one thing of the library.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$attr])* $variant),* }
    };
    (
        $(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $variant:ident => $value:expr),* $(,)? }
        -> $target:ty
    ) => {
        choice! { $(#[$doc])* $name { $($(#[$attr])* $variant),* } }

        impl From<$name> for $target {
            fn from(name: $name) -> Self {
                match name { $($name::$variant => $value),* }
            }
        }
    };
}

choice! {
    /// Whether targets are classes or numbers.
    TaskName {
        /// Classes if they are text or few whole numbers
        Auto => wgrad::Task::Auto,
        /// Classes
        Classification => wgrad::Task::Classification,
        /// Numbers
        Regression => wgrad::Task::Regression,
    } -> wgrad::Task
}

choice! {
    /// What becomes of unknown categories.
    UnseenRule {
        /// They are an error
        Error => wgrad::Unseen::Error,
        /// They are none of the known ones
        Zeros => wgrad::Unseen::Zeros,
    } -> wgrad::Unseen
}

choice! {
    /// How inputs are scaled.
    ScalingRule {
        /// Bytes of images by 1/255, all else as standard
        Auto => wgrad::Scaling::Auto,
        /// To mean 0 and standard deviation 1
        Standard => wgrad::Scaling::Standard,
        /// By 1/255, as the bytes of images are
        Bytes => wgrad::Scaling::Bytes,
        /// Not at all
        None => wgrad::Scaling::None,
    } -> wgrad::Scaling
}

choice! {
    /// How weights begin.
    InitName {
        /// Uniform in ±1/√inputs
        Pytorch => wgrad::Init::PyTorch,
        /// For tanh and sigmoid
        GlorotUniform => wgrad::Init::GlorotUniform,
        /// For tanh and sigmoid
        GlorotNormal => wgrad::Init::GlorotNormal,
        /// For ReLU
        HeUniform => wgrad::Init::HeUniform,
        /// For ReLU
        HeNormal => wgrad::Init::HeNormal,
        /// All zeros
        Zeros => wgrad::Init::Zeros,
    } -> wgrad::Init
}

choice! {
    /// How inputs are kept on a GPU.
    StorageName {
        /// As they are
        F32 => wgrad::Storage::F32,
        /// In half precision
        F16 => wgrad::Storage::F16,
    } -> wgrad::Storage
}

choice! {
    /// What a schedule counts.
    PerName {
        /// Epochs
        Epoch => wgrad::schedule::Per::Epoch,
        /// Updates
        Step => wgrad::schedule::Per::Step,
    } -> wgrad::schedule::Per
}

choice! {
    /// A normalisation.
    NormName {
        /// None
        None,
        /// Layer normalisation
        Layer,
        /// Batch normalisation
        Batch,
    }
}

choice! {
    /// An optimiser.
    OptimizerName {
        /// Adam
        Adam,
        /// Adam with decoupled weight decay
        Adamw,
        /// Gradient descent, with momentum
        Sgd,
        /// RMSprop
        Rmsprop,
    }
}

impl OptimizerName {
    /// As it is given.
    pub fn text(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().into())
    }
}

choice! {
    /// What early stopping watches.
    MonitorName {
        /// The validation loss, or without validation the training loss
        Auto,
        /// The validation loss
        ValidationLoss,
        /// The validation accuracy
        ValidationAccuracy,
        /// The training loss
        TrainLoss,
    }
}
