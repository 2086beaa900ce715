//! Which column is what, as the options say, and what contradicts itself.

use crate::data::element::Task;
use crate::data::frame::Frame;
use crate::data::preparation::{Missing, PreparationOptions, Raw, Warning, WarningKind};
use crate::data::table::ColumnRef;
use crate::error::{ColumnKind, Error, Result};

/// The columns of raw data, as the options have them.
pub(in crate::data::preparation) struct Roles<'a> {
    pub frame: &'a Frame<'a>,
    pub options: &'a PreparationOptions,
    pub inputs: Vec<usize>,
    pub targets: Vec<usize>,
    pub ids: Vec<usize>,
    pub weights: Option<usize>,
    pub numeric: Vec<usize>,
    pub categorical: Vec<usize>,
    /// Rules of single columns.
    pub missing_in: Vec<(usize, &'a Missing)>,
}

impl<'a> Roles<'a> {
    pub fn new(frame: &'a Frame<'a>, options: &'a PreparationOptions) -> Result<Self> {
        let resolve = |columns: &[ColumnRef]| -> Result<Vec<usize>> {
            columns.iter().map(|column| frame.column(column)).collect()
        };
        let targets = options.targets.iter().map(|column| frame.target(column));
        let mut targets: Vec<usize> = targets.collect::<Result<_>>()?;
        if targets.is_empty() {
            targets = match frame.targets_from {
                Some(from) => (from..frame.cols()).collect(),
                None if frame.is_table() => vec![frame.cols() - 1],
                None => Vec::new(),
            };
        }
        let exclude = resolve(&options.exclude)?;
        let ids = resolve(&options.ids)?;
        let weights = options.weights.as_ref().map(|c| frame.column(c));
        let weights = weights.transpose()?;
        let used = |c: &usize| {
            !targets.contains(c) && !exclude.contains(c) && !ids.contains(c) && weights != Some(*c)
        };
        let inputs = 0..frame.targets_from.unwrap_or(frame.cols());
        let inputs: Vec<usize> = inputs.filter(used).collect();
        let rules = options.missing_in.iter();
        let missing_in = rules.map(|(column, rule)| Ok((frame.column(column)?, rule)));
        let roles = Self {
            missing_in: missing_in.collect::<Result<_>>()?,
            numeric: resolve(&options.numeric)?,
            categorical: resolve(&options.categorical)?,
            frame,
            options,
            inputs,
            targets,
            ids,
            weights,
        };
        roles.check(&exclude)?;
        Ok(roles)
    }

    pub fn check(&self, exclude: &[usize]) -> Result<()> {
        if let Some(from) = self.frame.targets_from {
            for &c in &self.targets {
                let name = self.frame.name(c);
                let mut inputs = self.inputs.iter().filter(|&&i| i < from);
                if name.is_some() && inputs.any(|&i| self.frame.name(i) == name) {
                    let kind = ColumnKind::TargetAmongInputs;
                    let problem = "a column of that name stands among the inputs too, and may tell what shall be learnt";
                    return Err(self.about(c, kind, problem, "leave it out of the inputs"));
                }
            }
        }
        let both = |a: &[usize], b: &[usize]| a.iter().copied().find(|c| b.contains(c));
        let weights: Vec<usize> = self.weights.into_iter().collect();
        let numeric = (&self.numeric[..], "said to be numeric");
        let categorical = (&self.categorical[..], "to be categorical");
        let target = (&self.targets[..], "a target");
        let id = (&self.ids[..], "what tells rows apart");
        let weight = (&weights[..], "the weights of rows");
        let out = (exclude, "left out");
        let pairs = [
            (numeric, categorical),
            (target, out),
            (target, id),
            (target, weight),
            (id, weight),
            (id, out),
            (weight, out),
        ];
        for ((a, first), (b, second)) in pairs {
            if let Some(c) = both(a, b) {
                return Err(self.contradiction(c, &format!("{first} and {second}")));
            }
        }
        let left_out = |c: &usize| !self.inputs.contains(c) && !self.targets.contains(c);
        for (columns, what) in [numeric, (categorical.0, "said to be categorical")] {
            if let Some(&c) = columns.iter().find(|c| left_out(c)) {
                return Err(self.contradiction(c, &format!("{what}, and left out")));
            }
        }
        if let Some((c, _)) = self.missing_in.iter().find(|(c, _)| left_out(c)) {
            return Err(self.contradiction(*c, "left out, and has a rule for missing values"));
        }
        let made_up = |(c, rule): &&(usize, &Missing)| {
            self.targets.contains(c) && !matches!(rule, Missing::Error | Missing::Drop)
        };
        if let Some((c, rule)) = self.missing_in.iter().find(made_up) {
            let name = format!("the rule for missing values of {}", self.label(*c));
            let allowed =
                "error or drop: it is the target, and what shall be learnt is not made up";
            return Err(Error::argument(name, format!("{rule:?}"), allowed));
        }
        if let Some(i) = (1..self.ids.len()).find(|&i| self.ids[..i].contains(&self.ids[i])) {
            return Err(self.contradiction(self.ids[i], "said twice to tell rows apart"));
        }
        let twice = |&i: &usize| self.targets[..i].contains(&self.targets[i]);
        if let Some(i) = (1..self.targets.len()).find(twice) {
            return Err(self.contradiction(self.targets[i], "a target twice"));
        }
        if self.inputs.is_empty() {
            let (cols, targets) = (self.frame.cols(), self.targets.len());
            let columns = format!("{cols} columns{}", self.frame.cut());
            let parts = format!("{targets} are targets and {} are left out", cols - targets);
            let problem = format!("has no column left for inputs: of {columns}, {parts}");
            let advice = match self.frame.is_table() {
                true => "give at least one column of inputs; see that the delimiter is right",
                false => "give at least one column of inputs",
            };
            return Err(Error::file(self.frame.label(), problem, advice));
        }
        Ok(())
    }

    /// A column and its file.
    pub fn label(&self, column: usize) -> String {
        let (file, column) = (self.frame.file_of(column), self.frame.column_label(column));
        format!("{file}, {column}")
    }

    pub fn contradiction(&self, column: usize, what: &str) -> Error {
        Error::argument(self.label(column), what, "one of the two")
    }

    /// The columns in use for which a row without a value is dropped.
    pub fn dropping(&self) -> impl Iterator<Item = usize> + '_ {
        self.used().filter(|&c| *self.rule(c) == Missing::Drop)
    }

    /// The columns of inputs, then those of targets.
    pub fn used(&self) -> impl Iterator<Item = usize> + '_ {
        self.inputs.iter().chain(&self.targets).copied()
    }

    pub fn rule(&self, column: usize) -> &Missing {
        let own = self.missing_in.iter().rev().find(|(c, _)| *c == column);
        own.map_or(&self.options.missing, |(_, rule)| rule)
    }

    /// What is doubtful about a column.
    pub fn doubt(&self, column: usize, kind: WarningKind, text: impl Into<String>) -> Warning {
        Warning {
            column: self.frame.known(column),
            kind,
            text: text.into(),
        }
    }

    pub fn task(&self, raw: Raw<'_>) -> Task {
        match (self.options.task, raw) {
            (Task::Auto, Raw::File(file)) => file.task(),
            (task, _) => task,
        }
    }

    pub fn about(
        &self,
        column: usize,
        kind: ColumnKind,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        Error::Column {
            file: self.frame.file_of(column).into(),
            column: self.frame.column_label(column),
            problem: problem.into(),
            advice: advice.into(),
            kind,
        }
    }
}
