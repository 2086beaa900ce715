//! Which options do something, and which do nothing beside the others: all rules stand in the one table below.
//!
//! What was given on the command line and does nothing is refused. A file lists options of other runs too, so there it is only
//! refused if it is not the default. The file of a run has as comments what does nothing in that run.

use std::collections::BTreeSet;

use toml::Table;
use wgrad::Loss;

use super::{Held, InitName, Named, OptimizerName, Options, Settings};
use crate::failure::{Failure, usage};

/// Where options come from.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// What the command line has.
    pub line: Table,
    /// What a file of options has, and its name. Not that of a run that goes on: its options were asked about when it began.
    pub file: Option<(String, Table)>,
}

/// What is known once the data has been read and the device is open.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Whether classes are learnt, not numbers.
    pub classes: bool,
    pub loss: Loss,
    /// Rows to train on.
    pub rows: usize,
    /// Whether the device is the CPU.
    pub cpu: bool,
}

/// What the rules are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub settings: &'a Settings,
    /// None before the data has been read: rules that need it have nothing to say then.
    pub known: Option<Known>,
}

/// Some options, and when they do nothing: then why, and what to do but leave them out.
type OptionRule = (
    &'static [&'static str],
    fn(&Situation<'_>) -> Option<String>,
);

const RULES: &[OptionRule] = &[
    // Data.
    (&["standardize-target"], |s| {
        let known = s.known?;
        if known.classes {
            return Some("it is for numbers to learn, and classes are learnt here".into());
        }
        (known.loss == Loss::BinaryCrossEntropy)
            .then(|| "binary_cross_entropy sees its targets, 0 to 1, as they are".into())
    }),
    (&["validation-targets"], |s| {
        let share = matches!(s.settings.validation, Held::Share(_));
        let why = "it belongs to a file to validate with: give that by --validation FILE";
        share.then(|| why.into())
    }),
    // Network.
    (&["activation", "norm", "dropout", "residual"], |s| {
        let linear = s.settings.hidden.0.is_empty();
        let why = "it is for hidden layers, and there are none: give their widths by --hidden";
        linear.then(|| why.into())
    }),
    (&["init"], |s| {
        let from = s.settings.init_from.is_some();
        from.then(|| "the weights begin as --init-from says".into())
    }),
    // The loss.
    (&["label-smoothing"], |s| {
        let loss = s.known?.loss;
        let give = s.known?.classes.then_some(": give --loss cross_entropy");
        let (name, give) = (loss.name(), give.unwrap_or_default());
        (loss != Loss::CrossEntropy).then(|| {
            format!("only cross_entropy, a loss for classes, has it, and the loss is {name}{give}")
        })
    }),
    (&["class-weights"], |s| {
        let numbers = !s.known?.classes;
        numbers.then(|| {
            "it needs classes, and the targets are numbers: give --task classification if they are classes".into()
        })
    }),
    // The optimiser.
    (&["momentum", "nesterov"], |s| {
        optimizer(s, &[OptimizerName::Sgd], "sgd")
    }),
    (&["nesterov"], |s| {
        let still = s.settings.momentum == 0.0;
        let why = "with --momentum 0 there is none to look ahead by: give another --momentum";
        still.then(|| why.into())
    }),
    (&["beta1"], |s| {
        optimizer(s, &[OptimizerName::Adam, OptimizerName::Adamw], "adam")
    }),
    (&["beta2", "eps"], |s| {
        use OptimizerName::*;
        optimizer(s, &[Adam, Adamw, Rmsprop], "adam")
    }),
    (&["lr"], |s| {
        let named = schedule(s)?;
        let given = named.arguments.iter().any(|(key, _)| key == "max_lr");
        let why = "the schedule one_cycle goes by its max_lr: leave out one of the two";
        (named.name == "one_cycle" && given).then(|| why.into())
    }),
    (&["schedule-per"], |s| {
        let still = schedule(s)?.name == "constant" && s.settings.warmup == 0;
        still.then(|| {
            "the learning rate is the same throughout: give a --schedule or a --warmup that counts epochs or steps".into()
        })
    }),
    (&["grad-norm"], |s| {
        let told = s.settings.clip_norm.is_some();
        told.then(|| "with --clip-norm the norms are told anyway".into())
    }),
    // The way through the data.
    (&["micro-batch"], |s| {
        let batch = s.settings.batch_size?.min(s.known?.rows);
        (s.settings.micro_batch? >= batch).then(|| {
            format!("a batch has {batch} rows, and goes through the network at once: give less than that")
        })
    }),
    (&["seed"], |s| {
        let of = s.settings;
        let drawn = of.init_from.is_none() && of.init != InitName::Zeros
            || of.shuffle
            || of.dropout != 0.0
            || matches!(of.validation, Held::Share(share) if share != 0.0);
        (!drawn).then(|| "nothing is drawn at random here".into())
    }),
    (&["storage"], |s| {
        let known = s.known?;
        if known.cpu {
            return Some("it is for GPUs, and this runs on the CPU: give --device gpu".into());
        }
        let parts = s.settings.micro_batch? < s.settings.batch_size?.min(known.rows);
        parts.then(|| "with --micro-batch the inputs stay in the computer's own memory".into())
    }),
    // What is watched.
    (&["min-delta", "monitor"], |s| {
        let plateau = schedule(s)?.name == "plateau";
        let of = s.settings;
        let nothing = of.patience == 0 && of.restore_best == Some(false) && !plateau;
        let why =
            "with --patience 0 and --restore-best false nothing is done about what is watched";
        nothing.then(|| why.into())
    }),
];

fn optimizer(s: &Situation<'_>, with: &[OptimizerName], one: &str) -> Option<String> {
    let here = s.settings.optimizer;
    if with.contains(&here) {
        return None;
    }
    let names: Vec<String> = with.iter().map(|name| name.text()).collect();
    let (names, here) = (names.join(", "), here.text());
    Some(format!(
        "it belongs to {names}, and the optimiser is {here}: give --optimizer {one}"
    ))
}

/// The schedule, if it can be read; what is wrong with it is told elsewhere.
fn schedule(s: &Situation<'_>) -> Option<Named> {
    Named::parse("the schedule", &s.settings.schedule).ok()
}

impl Situation<'_> {
    /// Why an option does nothing, if it does nothing.
    fn idle(&self, name: &str) -> Option<String> {
        let rules = RULES.iter().filter(|(names, _)| names.contains(&name));
        rules.into_iter().find_map(|(_, why)| why(self))
    }

    /// The options that do nothing, but for those that are to be kept.
    pub fn all_idle(&self, kept: Option<&Table>) -> BTreeSet<String> {
        let names = RULES.iter().flat_map(|(names, _)| *names);
        let free = names.filter(|name| kept.is_none_or(|kept| !kept.contains_key(**name)));
        let idle = free.filter(|name| self.idle(name).is_some());
        idle.map(|name| (*name).to_owned()).collect()
    }
}

/// What options are that nobody gives.
fn defaults() -> Result<Table, Failure> {
    Settings::of(Options::default()).options().table()
}

impl Given {
    /// Sees that what was given does something.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the first option that does nothing, and why.
    pub fn check(&self, situation: &Situation<'_>) -> Result<(), Failure> {
        for name in self.line.keys() {
            if let Some(why) = situation.idle(name) {
                let out = leave_out(&why);
                return usage(format!("--{name} would do nothing: {why}{out}"));
            }
        }
        let Some((file, table)) = &self.file else {
            return Ok(());
        };
        let defaults = defaults()?;
        for (name, value) in table {
            // The command line goes over the file.
            if self.line.contains_key(name) || defaults.get(name) == Some(value) {
                continue;
            }
            if let Some(why) = situation.idle(name) {
                let out = leave_out(&why);
                return usage(format!(
                    "{file}: `{name} = {value}` would do nothing: {why}{out}"
                ));
            }
        }
        Ok(())
    }
}

/// What can be done in any case.
fn leave_out(why: &str) -> &'static str {
    match why {
        _ if why.contains("leave out") => "",
        _ if why.contains(": give ") => ", or leave it out",
        _ => ": leave it out",
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    #[test]
    fn rules_are_of_options_that_there_are() {
        for name in RULES.iter().flat_map(|(names, _)| *names) {
            assert!(keys().any(|known| known == *name), "{name}");
        }
    }
}
