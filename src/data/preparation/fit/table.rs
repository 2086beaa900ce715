//! Tables: kinds of columns, categories, what stands in for missing values.

use std::collections::{HashMap, HashSet};

use super::{is_missing, not_a_number, one_class, standardizer};
use crate::data::array::Task;
use crate::data::class_map::ClassMap;
use crate::data::preparation::apply::finite;
use crate::data::preparation::{
    Column, Encoding, InputColumn, Missing, Preparation, PreparationOptions, Scaling,
    TargetEncoding,
};
use crate::data::standardizer::Moments;
use crate::data::table::{ColumnRef, Row, Table, number};
use crate::error::{CellKind, Error, Result};

/// Different whole numbers that a target of classes may have, unless the task is said.
const CLASSES: usize = 20;

/// What stands in a column.
#[derive(Debug, Default)]
struct Seen {
    present: usize,
    numbers: usize,
    /// Line and value of the first that is no number.
    text: Option<(u64, String)>,
    /// Whether all numbers are whole.
    fractions: bool,
    /// Numbers, as many as matter.
    distinct: HashSet<u64>,
}

impl Seen {
    fn add(&mut self, line: u64, text: &str) {
        self.present += 1;
        match number(text) {
            Some(x) => {
                self.numbers += 1;
                self.fractions |= x.fract() != 0.0;
                if self.distinct.len() <= CLASSES {
                    self.distinct.insert((x + 0.0).to_bits());
                }
            }
            None if self.text.is_none() => self.text = Some((line, text.into())),
            None => {}
        }
    }

    /// Whether the column is one of numbers.
    fn is_numeric(&self, table: &Table, column: usize, stated: bool) -> Result<bool> {
        match &self.text {
            None => Ok(true),
            Some((line, value)) if stated || 2 * self.numbers > self.present => {
                let problem = if stated {
                    "is no number, but the column was said to be numeric".to_owned()
                } else {
                    let (numbers, present) = (self.numbers, self.present);
                    format!("is no number, but {numbers} of the column's {present} values are")
                };
                let advice = not_a_number(*line, value);
                let error = table.cell(*line, column, value, problem, advice);
                Err(error.of_kind(CellKind::NotANumber))
            }
            Some(_) => Ok(false),
        }
    }
}

/// The columns of a table, as the options have them.
struct Fit<'a> {
    table: &'a Table,
    options: &'a PreparationOptions,
    inputs: Vec<usize>,
    targets: Vec<usize>,
    numeric: Vec<usize>,
    categorical: Vec<usize>,
}

/// What the columns turned out to be.
struct Kinds {
    /// Whether each column of inputs is one of numbers.
    numbers: Vec<bool>,
    /// Whether the target is one of classes.
    classes: bool,
    /// Rows, those left out not counted.
    rows: usize,
}

pub(super) fn fit(table: &Table, options: &PreparationOptions) -> Result<Preparation> {
    let fit = Fit::new(table, options)?;
    let kinds = fit.kinds()?;
    fit.gather(&kinds)
}

impl<'a> Fit<'a> {
    fn new(table: &'a Table, options: &'a PreparationOptions) -> Result<Self> {
        let resolve = |columns: &[ColumnRef]| -> Result<Vec<usize>> {
            columns.iter().map(|column| table.column(column)).collect()
        };
        let mut targets = resolve(&options.targets)?;
        if targets.is_empty() {
            targets.push(table.cols() - 1);
        }
        let exclude = resolve(&options.exclude)?;
        let inputs: Vec<usize> = (0..table.cols())
            .filter(|c| !targets.contains(c) && !exclude.contains(c))
            .collect();
        let fit = Self {
            table,
            options,
            inputs,
            targets,
            numeric: resolve(&options.numeric)?,
            categorical: resolve(&options.categorical)?,
        };
        if let Some(&c) = fit.numeric.iter().find(|c| fit.categorical.contains(c)) {
            return Err(fit.contradiction(c, "said to be numeric and to be categorical"));
        }
        if let Some(&c) = fit.targets.iter().find(|c| exclude.contains(c)) {
            return Err(fit.contradiction(c, "a target and left out"));
        }
        let twice = |&i: &usize| fit.targets[..i].contains(&fit.targets[i]);
        if let Some(i) = (1..fit.targets.len()).find(twice) {
            return Err(fit.contradiction(fit.targets[i], "a target twice"));
        }
        if fit.inputs.is_empty() {
            return Err(Error::File {
                file: table.file().into(),
                problem: format!(
                    "has no column left for inputs: of {} columns, cut at {}, {} are targets and {} are left out",
                    table.cols(),
                    table.delimiter().in_words(),
                    fit.targets.len(),
                    exclude.len()
                ),
                advice: "give at least one column of inputs; see that the delimiter is right"
                    .into(),
            });
        }
        Ok(fit)
    }

    fn contradiction(&self, column: usize, what: &str) -> Error {
        Error::Argument {
            name: format!("{}, {}", self.table.file(), self.table.column_label(column)),
            value: what.into(),
            allowed: "one of the two".into(),
        }
    }

    /// The columns of inputs, then those of targets.
    fn used(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().chain(&self.targets).copied()
    }

    /// Visits the rows; those that miss a value are left out, if the options say so.
    fn for_rows(&self, mut visit: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let drop_rows = self.options.missing == Missing::Drop;
        self.table.for_rows(0..self.table.rows(), |row| {
            for c in self.used().take_while(|_| drop_rows) {
                if row.present(c)?.is_none() {
                    return Ok(());
                }
            }
            visit(row)
        })
    }

    /// Goes through the table once, for what the columns are.
    fn kinds(&self) -> Result<Kinds> {
        let table = self.table;
        let mut seen: Vec<Seen> = self.used().map(|_| Seen::default()).collect();
        let mut rows = 0;
        self.for_rows(|row| {
            rows += 1;
            for (seen, c) in seen.iter_mut().zip(self.used()) {
                if let Some(text) = row.present(c)? {
                    seen.add(row.line, text);
                }
            }
            Ok(())
        })?;
        if rows == 0 {
            return Err(Error::EmptyData {
                what: format!("{}, without its rows that miss values,", table.file()),
            });
        }
        if let Some((_, c)) = seen
            .iter()
            .zip(self.used())
            .find(|(seen, _)| seen.present == 0)
        {
            return Err(Error::File {
                file: table.file().into(),
                problem: format!("{} has no values at all", table.column_label(c)),
                advice: "leave that column out".into(),
            });
        }
        let numbers = self.inputs.iter().zip(&seen).map(|(&c, seen)| {
            Ok(!self.categorical.contains(&c)
                && seen.is_numeric(table, c, self.numeric.contains(&c))?)
        });
        Ok(Kinds {
            numbers: numbers.collect::<Result<_>>()?,
            classes: self.has_classes(&seen[self.inputs.len()..], rows)?,
            rows,
        })
    }

    /// Whether the targets are classes.
    fn has_classes(&self, seen: &[Seen], rows: usize) -> Result<bool> {
        let classes = match (self.options.task, self.targets.as_slice(), seen) {
            (Task::Regression, ..) => false,
            (Task::Classification, [_], _) => true,
            (Task::Classification, targets, _) => {
                return Err(Error::Argument {
                    name: "the number of targets".into(),
                    value: targets.len().to_string(),
                    allowed: "1 for classification".into(),
                });
            }
            (Task::Auto, &[c], [seen]) => {
                let few = seen.distinct.len() <= CLASSES && rows >= 2 * seen.distinct.len();
                let numeric = self.numeric.contains(&c);
                self.categorical.contains(&c)
                    || !seen.is_numeric(self.table, c, numeric)?
                    || !numeric && few && !seen.fractions
            }
            (Task::Auto, ..) => false,
        };
        for (&c, seen) in self.targets.iter().zip(seen).take_while(|_| !classes) {
            if self.categorical.contains(&c) {
                let what = "said to be categorical, and a target of values";
                return Err(self.contradiction(c, what));
            }
            seen.is_numeric(self.table, c, true)?;
        }
        Ok(classes)
    }

    /// Goes through the table again, for what the columns have.
    fn gather(&self, kinds: &Kinds) -> Result<Preparation> {
        let mut inputs: Vec<Gathered> = kinds.numbers.iter().map(|&n| Gathered::new(n)).collect();
        let mut lacking = vec![false; inputs.len()];
        let mut names = HashMap::new();
        let mut moments = vec![Moments::default(); self.targets.len()];
        self.for_rows(|row| {
            for ((gathered, &c), lacking) in inputs.iter_mut().zip(&self.inputs).zip(&mut lacking) {
                match row.present(c)? {
                    Some(text) => gathered.add(row, c, text, self.options)?,
                    None if self.options.missing == Missing::Error => {
                        return Err(is_missing(row, c));
                    }
                    None => *lacking = true,
                }
            }
            for (moments, &c) in moments.iter_mut().zip(&self.targets) {
                let Some(text) = row.present(c)? else {
                    return Err(row
                        .error(
                            c,
                            "is missing, but it is what shall be learnt",
                            "fill it in, or have rows with missing values dropped",
                        )
                        .of_kind(CellKind::MissingTarget));
                };
                match kinds.classes {
                    true => count(&mut names, text),
                    false => moments.add(finite(row, c, text)?),
                }
            }
            Ok(())
        })?;

        let table = self.table;
        let column = |index: usize| Column {
            name: table.names().map(|names| names[index].clone()),
            index,
        };
        let target = if kinds.classes {
            let classes = ClassMap::new(names.into_keys())?;
            let label = table.column_label(self.targets[0]);
            one_class(&classes, table.file(), &label, kinds.rows)?;
            TargetEncoding::Classes {
                column: column(self.targets[0]),
                classes,
            }
        } else {
            TargetEncoding::Values {
                columns: self.targets.iter().map(|&c| column(c)).collect(),
                standardizer: standardizer(&moments, self.options.standardize_target),
            }
        };
        let mut columns = Vec::with_capacity(inputs.len());
        for ((&c, gathered), lacking) in self.inputs.iter().zip(inputs).zip(lacking) {
            let label = || format!("{}, {}", table.file(), table.column_label(c));
            columns.push(input(column(c), gathered, lacking, self.options, label)?);
        }
        Ok(Preparation {
            width: table.cols(),
            inputs: columns,
            target,
            drop_rows: self.options.missing == Missing::Drop,
            missing: table.missing().to_vec(),
        })
    }
}

/// What is gathered from a column of inputs.
enum Gathered {
    Numbers {
        moments: Moments,
        /// For a median.
        all: Vec<f64>,
        /// How often each comes, by its bits.
        counts: HashMap<u64, usize>,
    },
    Categories(HashMap<String, usize>),
}

impl Gathered {
    fn new(numbers: bool) -> Self {
        match numbers {
            true => Gathered::Numbers {
                moments: Moments::default(),
                all: Vec::new(),
                counts: HashMap::new(),
            },
            false => Gathered::Categories(HashMap::new()),
        }
    }

    fn add(
        &mut self,
        row: &Row<'_>,
        column: usize,
        text: &str,
        options: &PreparationOptions,
    ) -> Result<()> {
        match self {
            Gathered::Numbers {
                moments,
                all,
                counts,
            } => {
                let x = finite(row, column, text)?;
                moments.add(x);
                match options.missing {
                    Missing::Median => all.push(x),
                    Missing::MostFrequent => *counts.entry((x + 0.0).to_bits()).or_default() += 1,
                    _ => {}
                }
            }
            Gathered::Categories(counts) => {
                count(counts, text);
                if counts.len() > options.max_categories {
                    return Err(row.error(
                        column,
                        format!(
                            "is one value more than the {} that a column of categories may have, since each becomes an input",
                            options.max_categories
                        ),
                        "leave that column out, or allow more categories",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn count(counts: &mut HashMap<String, usize>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.into(), 1);
        }
    }
}

fn input(
    column: Column,
    gathered: Gathered,
    lacking: bool,
    options: &PreparationOptions,
    label: impl Fn() -> String,
) -> Result<InputColumn> {
    let (encoding, fill) = match gathered {
        Gathered::Numbers {
            moments,
            mut all,
            counts,
        } => {
            let (shift, factor) = match options.scaling {
                Scaling::None => (0.0, 1.0),
                Scaling::Auto | Scaling::Standard => moments.scaling(),
            };
            let fill = match &options.missing {
                Missing::Error | Missing::Drop => None,
                Missing::Mean => Some(moments.mean().to_string()),
                Missing::Median => Some(median(&mut all).to_string()),
                Missing::MostFrequent => {
                    let counts = counts.iter().map(|(&bits, &n)| (n, f64::from_bits(bits)));
                    let best = counts.max_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
                    best.map(|(_, x)| x.to_string())
                }
                Missing::Constant(text) => match number(text).filter(|x| x.is_finite()) {
                    Some(_) => Some(text.clone()),
                    None if lacking => {
                        return Err(Error::Argument {
                            name: format!("the constant for missing values of {}", label()),
                            value: format!("{text:?}"),
                            allowed: "a finite number, since the column's values are numbers"
                                .into(),
                        });
                    }
                    None => None,
                },
            };
            let encoding = Encoding::Number {
                shift,
                factor,
                constant: moments.is_constant(),
            };
            (encoding, fill)
        }
        Gathered::Categories(mut counts) => {
            let fill = match &options.missing {
                Missing::Error | Missing::Drop => None,
                Missing::Mean | Missing::Median | Missing::MostFrequent => {
                    let best = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
                    best.map(|(name, _)| name.clone())
                }
                Missing::Constant(text) => Some(text.clone()),
            };
            if let (true, Some(fill)) = (lacking, &fill) {
                count(&mut counts, fill);
            }
            let encoding = Encoding::OneHot {
                categories: ClassMap::new(counts.into_keys())?,
                unseen: options.unseen,
            };
            (encoding, fill)
        }
    };
    Ok(InputColumn {
        column,
        encoding,
        fill,
    })
}

/// The middle one, or the mean of the two in the middle.
fn median(all: &mut [f64]) -> f64 {
    if all.is_empty() {
        return 0.0;
    }
    all.sort_unstable_by(f64::total_cmp);
    let middle = all.len() / 2;
    match all.len().is_multiple_of(2) {
        true => 0.5 * (all[middle - 1] + all[middle]),
        false => all[middle],
    }
}
