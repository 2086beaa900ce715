//! The options of `train`: flags and keys of a TOML file, the same ones.
//!
//! Each option is declared once, in the table below: its name, its type, how its value is called, what it does. From it come the
//! flag, the key, the default, the comment in the configuration that is written into a run's folder, and the check for keys that
//! are not known.

mod applies;
mod values;

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::failure::{Failure, usage};

pub use applies::{Given, Known, Situation};
pub use values::*;

/// The type of a field of [`Settings`]: what is always there, or what may be missing.
macro_rules! settled {
    ($type:ty) => { Option<$type> };
    ($type:ty, $default:expr) => { $type };
}

macro_rules! settle {
    ($value:expr) => {
        $value
    };
    ($value:expr, $default:expr) => {
        $value.unwrap_or_else(|| $default)
    };
}

macro_rules! unsettle {
    ($value:expr) => {
        $value
    };
    ($value:expr, $default:expr) => {
        Some($value)
    };
}

macro_rules! options {
    ($( $heading:literal { $(
        $(#[$attr:meta])*
        $name:ident : $type:ty $(as $value:literal)? = $help:literal $(=> $default:expr)?;
    )* } )*) => {
        /// The options that were given, on the command line or in a file.
        #[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Options { $($(
            #[doc = $help]
            #[arg(help_heading = $heading)]
            $(#[$attr])*
            $(#[arg(long, value_name = $value)])?
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<$type>,
        )*)* }

        /// All options, with the defaults of those that were not given.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings { $($(
            #[doc = $help]
            pub $name: settled!($type $(, $default)?),
        )*)* }

        impl Settings {
            /// The options, completed.
            pub fn of(options: Options) -> Self {
                Self { $($( $name: settle!(options.$name $(, $default)?), )*)* }
            }

            /// As options, all of them given.
            pub fn options(&self) -> Options {
                let of = self.clone();
                Options { $($( $name: unsettle!(of.$name $(, $default)?), )*)* }
            }
        }

        /// Headings, and under each the keys with what they mean.
        const KEYS: &[(&str, &[(&str, &str)])] = &[$(
            ($heading, &[$( (stringify!($name), $help), )*]),
        )*];
    };
}

options! {
    "Data" {
        #[arg(value_name = "DATA")]
        data: PathBuf = "The data: CSV or TSV, NPY, NPZ, IDX or safetensors, in gzip or not; - is standard input";
        targets: PathBuf as "FILE" = "A file of its own for the targets, beside the data";
        target: Names as "COLUMNS" = "Column(s) to learn, by name or by number from 0 [default: all of --targets; of a table the last]";
        exclude: Names as "COLUMNS" = "Columns to leave out";
        id: Names as "COLUMNS" = "Columns that tell rows apart: no inputs, but given out with predictions";
        weights_column: String as "COLUMN" = "The column that has the rows' weights";
        categorical: Names as "COLUMNS" = "Columns of categories, whatever their values look like";
        numeric: Names as "COLUMNS" = "Columns of numbers: anything else in them is an error";
        max_categories: usize as "N" = "Most categories of a column, each of which becomes an input [default: 1000]" => 1000;
        #[arg(long)]
        task: TaskName = "Whether targets are classes or numbers [default: auto]" => TaskName::Auto;
        missing: MissingRules as "RULES" = "Missing inputs: error, drop, mean, median, most-frequent or constant(VALUE); of single columns as in mean,age=median,city=constant(none) [default: error]" => MissingRules::default();
        #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
        na_values: NaValues = "Words that count as missing in a table, with commas between them; an empty text is one [default: nothing,NA,N/A,NaN,null,?]";
        #[arg(long)]
        unseen: UnseenRule = "Categories in new data that the training data did not have [default: error]" => UnseenRule::Error;
        #[arg(long)]
        scaling: ScalingRule = "Scale of the inputs; auto: bytes of images by 1/255, all else to mean 0 and deviation 1 [default: auto]" => ScalingRule::Auto;
        standardize_target: bool as "BOOL" = "Whether numbers to learn are brought to mean 0 and deviation 1 for training [default: true]" => true;
        delimiter: wgrad::data::Delimiter as "CHAR" = "What stands between two values of a table: a character, \\t or tab, whitespace [default: found by itself]";
        header: bool as "BOOL" = "Whether a table begins with names of columns [default: found by itself]";
        decimal: char as "CHAR" = "What stands before the fraction of a number in a table, a point or a comma [default: found by itself]";
        thousands: char as "CHAR" = "What stands between thousands in a table [default: found by itself]";
        inputs_array: String as "NAME" = "Name of the array of inputs in an NPZ or safetensors file";
        targets_array: String as "NAME" = "Name of the array of targets in an NPZ or safetensors file";
    }
    "Network" {
        hidden: Widths as "WIDTHS" = "Widths of the hidden layers, as 256,128; none for a linear model [default: 100]" => Widths(vec![100]);
        activation: String as "NAME" = "Activation of the hidden layers: relu, tanh, gelu, elu(alpha=0.5), … [default: relu]" => "relu".into();
        #[arg(long)]
        norm: NormName = "Normalisation in each hidden layer [default: none]" => NormName::None;
        dropout: f64 as "P" = "Probability of dropout behind each hidden layer [default: 0]" => 0.0;
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        residual: bool = "Residual connections around hidden layers as wide as their input [default: false]" => false;
        #[arg(long)]
        init: InitName = "How weights begin [default: pytorch]" => InitName::Pytorch;
        init_from: PathBuf as "FILE" = "Begin with the weights of this model, checkpoint or run folder";
    }
    "Training" {
        loss: String as "NAME" = "auto, cross_entropy, output_cross_entropy, kl_divergence; mse, squared_error, huber(delta=1), binary_cross_entropy [default: auto]" => "auto".into();
        label_smoothing: f64 as "SHARE" = "Share of each target that goes to all classes alike, with cross_entropy [default: 0]" => 0.0;
        class_weights: ClassWeights as "WEIGHTS" = "Weights of classes in the loss: none, balanced (each class counts alike), or yes=5,no=1 (others 1) [default: none]" => ClassWeights::None;
        epochs: u64 as "N" = "Passes over the training data, at most: --patience ends a run that improves no more [default: 1000; with cosine and one_cycle, which go over all of them, 100]";
        batch_size: usize as "ROWS" = "Rows of an update [default: 64, or a tenth of the training rows where that is less]";
        micro_batch: usize as "ROWS" = "Rows that go through the network at a time, where a batch is too large for the memory";
        shuffle: bool as "BOOL" = "Whether each epoch has an order of its own [default: true]" => true;
        seed: u64 as "N" = "What weights, orders, dropout and validation rows are drawn from [default: 0]" => 0;
        #[arg(long)]
        optimizer: OptimizerName = "The optimiser [default: adam]" => OptimizerName::Adam;
        lr: f64 as "RATE" = "Learning rate [default: 0.001; of sgd 0.01]";
        momentum: f64 as "X" = "Momentum of sgd [default: 0.9]" => 0.9;
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        nesterov: bool = "Nesterov's momentum for sgd [default: false]" => false;
        beta1: f64 as "X" = "β₁ of adam and adamw [default: 0.9]" => 0.9;
        beta2: f64 as "X" = "β₂ of adam and adamw; the smoothing of rmsprop [default: 0.999; of rmsprop 0.99]";
        eps: f64 as "X" = "ε of adam, adamw and rmsprop [default: 1e-8]" => 1e-8;
        weight_decay: f64 as "X" = "L2 penalty; of adamw the decoupled decay [default: 0; of adamw 0.01]";
        l1: f64 as "X" = "L1 penalty [default: 0]" => 0.0;
        clip_norm: f64 as "NORM" = "Clip gradients to this norm, all tensors together";
        clip_value: f64 as "VALUE" = "Clip each element of the gradients to this";
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        grad_norm: bool = "Whether to tell the norms of gradients; with clip-norm they are told anyway [default: false]" => false;
        schedule: String as "NAME" = "constant, step(every=10,gamma=0.1), exponential(gamma=0.95), cosine(min_lr=0), one_cycle(max_lr=…), plateau(factor=0.1,patience=10) [default: constant]" => "constant".into();
        #[arg(long)]
        schedule_per: PerName = "What the schedule counts [default: epoch; of one_cycle step]";
        warmup: u64 as "N" = "Epochs, or steps, in which the learning rate first rises [default: 0]" => 0;
        validation: Held as "SHARE|FILE" = "Share of the rows to hold out, or a file; 0 for none [default: 0.2]" => Held::Share(0.2);
        validation_targets: PathBuf as "FILE" = "A file of its own for the targets of the validation file";
        patience: u64 as "EPOCHS" = "Epochs without improvement of what is watched after which training stops; 0 for never [default: 10]" => 10;
        min_delta: f64 as "X" = "What an improvement is at least [default: 0; without validation 0.0001]";
        #[arg(long)]
        monitor: MonitorName = "What is watched for that; auto: validation loss, where there is validation, else training loss [default: auto]" => MonitorName::Auto;
        restore_best: bool as "BOOL" = "Whether the model is that of the best epoch [default: true; without validation false]";
    }
    "Run" {
        device: String as "auto|cpu|gpu|NAME" = "Where to train: auto takes a real GPU, else the CPU; a name or a number as `wgrad devices` lists it [default: auto]" => "auto".into();
        #[arg(long)]
        storage: StorageName = "How inputs are kept on a GPU [default: f32]" => StorageName::F32;
        out: PathBuf as "FILE" = "Where to put the model, besides the run folder; a file there is replaced when training ends";
        run: PathBuf as "FOLDER" = "Folder of the run, new or empty [default: runs/NAME-1, or the next number that is free]";
        checkpoint_epochs: u64 as "N" = "A checkpoint every so many epochs; 0 for none but the first and the last [default: each, as long as that takes no more than a twentieth of the time]";
        checkpoint_steps: u64 as "N" = "A checkpoint every so many steps, too";
        checkpoint_minutes: f64 as "X" = "A checkpoint every so many minutes, too";
        keep: usize as "N" = "Checkpoints to keep [default: 3]" => 3;
        log_steps: u64 as "N" = "A line in log.jsonl every so many steps, besides one an epoch";
        plots: bool as "BOOL" = "Whether to draw plots [default: true]" => true;
    }
}

/// Options that may change when a run goes on.
pub const CHANGEABLE: &[&str] = &[
    "epochs",
    "patience",
    "min-delta",
    "device",
    "out",
    "run",
    "checkpoint-epochs",
    "checkpoint-steps",
    "checkpoint-minutes",
    "keep",
    "log-steps",
    "plots",
    "storage",
    "micro-batch",
];

/// Options that the network, the loss and the optimiser are made of.
pub const ARCHITECTURE: &[&str] = &[
    "hidden",
    "activation",
    "norm",
    "dropout",
    "residual",
    "loss",
    "label-smoothing",
    "optimizer",
];

/// The largest whole number that TOML has, and so the largest of an option: the file of the run holds them all.
const MOST: u64 = i64::MAX as u64;

/// Whether this is a whole number beyond that.
fn is_too_large(text: &str) -> bool {
    let digits = text.replace('_', "");
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    whole && digits.parse::<i64>().is_err()
}

/// A key, as it stands in a file and behind `--`.
fn key(name: &str) -> String {
    name.replace('_', "-")
}

/// Whether there is an option of this name.
pub fn exists(name: &str) -> bool {
    keys().any(|known| known == name)
}

/// The keys that there are.
fn keys() -> impl Iterator<Item = String> {
    let all = KEYS.iter().flat_map(|(_, of)| *of);
    all.map(|(name, _)| key(name))
}

impl Options {
    /// From a TOML file's text; `file` is what errors call it.
    ///
    /// # Errors
    /// If it is no TOML, if a key is not known (with the nearest that is), or if a value cannot be.
    pub fn parse(text: &str, file: &str) -> Result<Self, Failure> {
        let wrong = |e: toml::de::Error| {
            let there = e.span().and_then(|span| text.get(span));
            let allowed = match there.is_some_and(is_too_large) {
                true => format!(": whole numbers go up to {MOST}"),
                false => String::new(),
            };
            Failure::Usage(format!("{file}: {}{allowed}", e.to_string().trim_end()))
        };
        let table: Table = toml::from_str(text).map_err(wrong)?;
        for (name, value) in &table {
            let line = line_of(text, name);
            // But for the weights of classes no option is a table.
            if value.is_table() && name != "class-weights" {
                return usage(format!(
                    "{file}{line}: `{name}` is a section, but options stand in none: leave out [{name}]"
                ));
            }
            if !keys().any(|known| known == *name) {
                let near = match nearest(name) {
                    Some(near) => format!(": did you mean `{near}`?"),
                    None => "; `wgrad train --help` lists them".into(),
                };
                return usage(format!("{file}{line}: there is no option `{name}`{near}"));
            }
        }
        toml::from_str(text).map_err(wrong)
    }

    /// These, with those in the place of what is not given here.
    pub fn over(&self, below: &Options) -> Result<Self, Failure> {
        let mut table = below.table()?;
        table.extend(self.table()?);
        Table::try_into(table).map_err(|e| Failure::Usage(e.to_string()))
    }

    /// What is given, by keys.
    ///
    /// # Errors
    /// For what a TOML file, and so the file of the run, cannot hold.
    pub fn table(&self) -> Result<Table, Failure> {
        let other = |e: toml::ser::Error| Failure::Usage(e.to_string());
        Table::try_from(self).map_err(|e| self.too_large().unwrap_or_else(|| other(e)))
    }

    /// What is wrong where a number is larger than TOML's.
    fn too_large(&self) -> Option<Failure> {
        // JSON has these numbers, and the same keys.
        let json = serde_json::to_value(self).ok()?;
        json.as_object()?.iter().find_map(|(name, value)| {
            let mut numbers = match value.as_array() {
                Some(list) => list.iter(),
                None => std::slice::from_ref(value).iter(),
            };
            let n = numbers.find_map(|n| n.as_u64().filter(|&n| n > MOST))?;
            let text = format!("--{name} is {n}, but must be at most {MOST}");
            Some(Failure::Usage(text))
        })
    }
}

impl Settings {
    /// The text of a file with all options, those without a value and those that do nothing as comments; not those that a
    /// run has already which goes on.
    pub fn text(&self, known: Known, kept: Option<&Table>) -> Result<String, Failure> {
        let situation = Situation {
            settings: self,
            known: Some(known),
        };
        let idle = situation.all_idle(kept);
        let table = self.options().table()?;
        let mut out = String::from(
            "# All options of this run; those that did nothing in it are comments. `wgrad train --config` takes this file, too.\n",
        );
        for (heading, keys) in KEYS {
            let _ = write!(out, "\n# {heading}\n");
            for (name, help) in *keys {
                let name = key(name);
                let _ = match table.get(&name).filter(|_| !idle.contains(&name)) {
                    Some(value) => write!(out, "\n# {help}\n{name} = {value}\n"),
                    None => write!(out, "\n# {help}\n# {name} =\n"),
                };
            }
        }
        Ok(out)
    }
}

/// The line on which a key stands, as a part of a message.
fn line_of(text: &str, name: &str) -> String {
    let stands = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '[', '"', '\'']);
        line.strip_prefix(name).is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
        })
    };
    match text.lines().position(stands) {
        Some(line) => format!(", line {}", line + 1),
        None => String::new(),
    }
}

/// What other programs call an option, in parts of its name.
const ELSEWHERE: &[(&str, &str)] = &[
    ("learning-rate", "lr"),
    ("early-stop", "patience"),
    ("hidden-layer", "hidden"),
    ("hidden-size", "hidden"),
    ("scheduler", "schedule"),
    ("n-epochs", "epochs"),
    ("max-epochs", "epochs"),
    ("max-iter", "epochs"),
    ("random-state", "seed"),
    ("alpha", "weight-decay"),
    ("l2", "weight-decay"),
    ("output", "out"),
];

/// The most similar key, if one is similar.
fn nearest(name: &str) -> Option<String> {
    let name = key(name).to_lowercase();
    if let Some((_, here)) = ELSEWHERE.iter().find(|(said, _)| name.contains(said)) {
        return Some((*here).into());
    }
    let scored = keys().map(|known| (strsim::jaro_winkler(&name, &known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.75)
        .map(|(_, known)| known)
}
