//! What the training data says: kinds of columns, categories, means.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::apply::finite;
use super::{
    Column, Encoding, InputColumn, Missing, Preparation, PreparationOptions, Raw, Scaling,
    TargetEncoding,
};
use crate::data::array::{Element, Task};
use crate::data::class_map::ClassMap;
use crate::data::standardizer::{Moments, Standardizer};
use crate::data::table::{ColumnRef, Row, Table, number};
use crate::data::{Targets, table};
use crate::error::{Error, Result};

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
                    "is no number, but the column was said to be numeric".into()
                } else {
                    let (numbers, present) = (self.numbers, self.present);
                    format!("is no number, but {numbers} of the column's {present} values are")
                };
                Err(table.cell(*line, column, value, problem, not_a_number(*line, value)))
            }
            Some(_) => Ok(false),
        }
    }
}

/// What to do about a value that should be a number.
pub(super) fn not_a_number(line: u64, value: &str) -> String {
    let mut advice = String::new();
    if value.contains(',') && number(&value.replace('.', "").replace(',', ".")).is_some() {
        advice += "write decimal points, not commas; or ";
    }
    if line == 1 {
        advice += "say that the first line is a header, if it is; or ";
    }
    advice + "correct it, count it among the missing values, or call the column categorical"
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

impl Preparation {
    /// Fits a preparation to training data: a [`Table`], [`Arrays`](crate::Arrays), a [`Dataset`](crate::Dataset), or a
    /// [`Matrix`](crate::Matrix) of inputs.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] for a column that is not there; [`Error::Cell`] for text in a column of numbers, a number that
    /// is not finite, or a missing value that the options do not provide for; [`Error::OneClass`] if a target of classes has
    /// one; [`Error::File`] for a column without values or with too many categories; [`Error::Argument`] if options
    /// contradict each other.
    pub fn fit<'a>(data: impl Into<Raw<'a>>, options: &PreparationOptions) -> Result<Self> {
        match data.into() {
            Raw::Table(table) => fit_table(table, options),
            raw => fit_numbers(raw, options),
        }
    }
}

fn fit_table(table: &Table, options: &PreparationOptions) -> Result<Preparation> {
    let resolve = |columns: &[ColumnRef]| -> Result<Vec<usize>> {
        columns.iter().map(|column| table.column(column)).collect()
    };
    let mut targets = resolve(&options.targets)?;
    if targets.is_empty() {
        targets.push(table.cols() - 1);
    }
    let exclude = resolve(&options.exclude)?;
    let (numeric, categorical) = (resolve(&options.numeric)?, resolve(&options.categorical)?);
    let contradiction = |column: usize, what: &str| Error::Argument {
        name: format!("{}, {}", table.file(), table.column_label(column)),
        value: what.into(),
        allowed: "one of the two".into(),
    };
    if let Some(&c) = numeric.iter().find(|c| categorical.contains(c)) {
        return Err(contradiction(c, "said to be numeric and to be categorical"));
    }
    if let Some(&c) = targets.iter().find(|c| exclude.contains(c)) {
        return Err(contradiction(c, "a target and left out"));
    }
    if let Some(i) = (1..targets.len()).find(|&i| targets[..i].contains(&targets[i])) {
        return Err(contradiction(targets[i], "a target twice"));
    }
    let inputs: Vec<usize> = (0..table.cols())
        .filter(|c| !targets.contains(c) && !exclude.contains(c))
        .collect();
    if inputs.is_empty() {
        return Err(Error::File {
            file: table.file().into(),
            problem: format!(
                "has no column left for inputs: of {} columns, cut at {:?}, {} are targets and {} are left out",
                table.cols(),
                table.delimiter(),
                targets.len(),
                exclude.len()
            ),
            advice: "give at least one column of inputs; see that the delimiter is right".into(),
        });
    }

    // A row with a value missing is left out of everything, if rows are dropped.
    let used: Vec<usize> = inputs.iter().chain(&targets).copied().collect();
    let drop_rows = options.missing == Missing::Drop;
    let kept = |row: &Row<'_>| -> Result<bool> {
        for &c in used.iter().take_while(|_| drop_rows) {
            if row.present(c)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    };

    let mut seen: Vec<Seen> = used.iter().map(|_| Seen::default()).collect();
    let mut rows = 0;
    table.for_rows(0..table.rows(), |row| {
        if !kept(row)? {
            return Ok(());
        }
        rows += 1;
        for (seen, &c) in seen.iter_mut().zip(&used) {
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
    if let Some((_, &c)) = seen.iter().zip(&used).find(|(seen, _)| seen.present == 0) {
        return Err(Error::File {
            file: table.file().into(),
            problem: format!("{} has no values at all", table.column_label(c)),
            advice: "leave that column out".into(),
        });
    }

    let numbers = inputs.iter().zip(&seen).map(|(&c, seen)| {
        Ok(!categorical.contains(&c) && seen.is_numeric(table, c, numeric.contains(&c))?)
    });
    let numbers: Vec<bool> = numbers.collect::<Result<_>>()?;
    let of_targets = || targets.iter().zip(&seen[inputs.len()..]);
    let classes = match (options.task, targets.as_slice()) {
        (Task::Regression, _) => false,
        (Task::Classification, [_]) => true,
        (Task::Auto, [c]) => {
            let (_, seen) = of_targets().next().expect("a target");
            let few = seen.distinct.len() <= CLASSES && rows >= 2 * seen.distinct.len();
            categorical.contains(c)
                || !seen.is_numeric(table, *c, numeric.contains(c))?
                || !numeric.contains(c) && few && !seen.fractions
        }
        (Task::Auto, _) => false,
        (Task::Classification, _) => {
            return Err(Error::Argument {
                name: "the number of targets".into(),
                value: targets.len().to_string(),
                allowed: "1 for classification".into(),
            });
        }
    };
    if !classes {
        for (&c, seen) in of_targets() {
            seen.is_numeric(table, c, true)?;
        }
    }

    let mut gathered: Vec<Gathered> = numbers
        .iter()
        .map(|&number| match number {
            true => Gathered::Numbers {
                moments: Moments::default(),
                all: Vec::new(),
                counts: HashMap::new(),
            },
            false => Gathered::Categories(HashMap::new()),
        })
        .collect();
    let mut lacking = vec![false; inputs.len()];
    let mut names = HashMap::new();
    let mut moments = vec![Moments::default(); targets.len()];
    table.for_rows(0..table.rows(), |row| {
        if !kept(row)? {
            return Ok(());
        }
        for ((gathered, &c), lacking) in gathered.iter_mut().zip(&inputs).zip(&mut lacking) {
            let Some(text) = row.present(c)? else {
                if options.missing == Missing::Error {
                    return Err(is_missing(row, c));
                }
                *lacking = true;
                continue;
            };
            match gathered {
                Gathered::Numbers {
                    moments,
                    all,
                    counts,
                } => {
                    let x = finite(row, c, text)?;
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
                        return Err(Error::File {
                            file: table.file().into(),
                            problem: format!(
                                "{} has more than {} different values, by line {}, and each would become an input",
                                table.column_label(c),
                                options.max_categories,
                                row.line
                            ),
                            advice: "leave that column out, or allow more categories".into(),
                        });
                    }
                }
            }
        }
        for (moments, &c) in moments.iter_mut().zip(&targets) {
            let Some(text) = row.present(c)? else {
                return Err(row.error(
                    c,
                    "is missing, but it is what shall be learnt",
                    "fill it in, or have rows with missing values dropped",
                ));
            };
            match classes {
                true => count(&mut names, text),
                false => moments.add(finite(row, c, text)?),
            }
        }
        Ok(())
    })?;

    let column = |index: usize| Column {
        name: table.names().map(|names| names[index].clone()),
        index,
    };
    let target = if classes {
        let classes = ClassMap::new(names.into_keys())?;
        one_class(
            &classes,
            table.file(),
            &table.column_label(targets[0]),
            rows,
        )?;
        TargetEncoding::Classes {
            column: column(targets[0]),
            classes,
        }
    } else {
        TargetEncoding::Values {
            columns: targets.iter().map(|&c| column(c)).collect(),
            standardizer: standardizer(&moments, options.standardize_target),
        }
    };
    let mut columns = Vec::with_capacity(inputs.len());
    for ((&c, gathered), lacking) in inputs.iter().zip(gathered).zip(lacking) {
        let label = || format!("{}, {}", table.file(), table.column_label(c));
        columns.push(input(column(c), gathered, lacking, options, label)?);
    }
    Ok(Preparation {
        width: table.cols(),
        inputs: columns,
        target,
        drop_rows,
        missing: table.missing().to_vec(),
    })
}

fn count(counts: &mut HashMap<String, usize>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.into(), 1);
        }
    }
}

pub(super) fn is_missing(row: &Row<'_>, column: usize) -> Error {
    row.error(
        column,
        "is missing",
        "fill it in, or choose what becomes of missing values: the row is dropped, or the column's mean, median, most \
         frequent value or a constant stands in",
    )
}

fn one_class(classes: &ClassMap, file: &str, column: &str, rows: usize) -> Result<()> {
    match classes.names() {
        [class] => Err(Error::OneClass {
            file: file.into(),
            column: column.into(),
            class: table::shortened(class),
            rows,
        }),
        _ => Ok(()),
    }
}

fn standardizer(moments: &[Moments], standardize: bool) -> Standardizer {
    if !standardize {
        return Standardizer::identity(moments.len());
    }
    let mut standardizer = Standardizer::default();
    moments
        .iter()
        .for_each(|moments| standardizer.push(moments));
    standardizer
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

/// Data of numbers alone.
fn fit_numbers(raw: Raw<'_>, options: &PreparationOptions) -> Result<Preparation> {
    let cols = match raw {
        Raw::Table(_) => unreachable!("tables go another way"),
        Raw::Arrays(arrays) => arrays.inputs().cols(),
        Raw::Dataset(data) => data.inputs().cols(),
        Raw::Matrix(x) => x.cols(),
    };
    let rows = raw.rows();
    let bytes = matches!(raw, Raw::Arrays(arrays) if arrays.inputs().element() == Element::U8);
    let mut moments = vec![Moments::default(); cols];
    raw.for_inputs(0..rows, |_, row| {
        for (moments, &x) in moments.iter_mut().zip(row) {
            moments.add(f64::from(x));
        }
        Ok(())
    })?;
    let inputs = moments.iter().enumerate().map(|(index, moments)| {
        let (shift, factor) = match options.scaling {
            Scaling::None => (0.0, 1.0),
            Scaling::Auto if bytes => (0.0, f64::from(1.0_f32 / 255.0)),
            Scaling::Auto | Scaling::Standard => moments.scaling(),
        };
        InputColumn {
            column: Column { name: None, index },
            encoding: Encoding::Number {
                shift,
                factor,
                constant: moments.is_constant(),
            },
            fill: None,
        }
    });
    let inputs = inputs.collect();
    let target = fit_targets(raw, cols, options)?;
    let mut preparation = Preparation {
        width: cols,
        inputs,
        target,
        drop_rows: false,
        missing: Vec::new(),
    };
    preparation.width += preparation.target_columns().len();
    Ok(preparation)
}

fn fit_targets(raw: Raw<'_>, cols: usize, options: &PreparationOptions) -> Result<TargetEncoding> {
    const CHUNK: usize = 1 << 16;
    let rows = raw.rows();
    let mut labels = BTreeSet::new();
    let mut moments = Vec::new();
    let mut add = |targets: &Targets| match targets {
        Targets::Classes(chunk) => labels.extend(chunk.iter().copied()),
        Targets::Values(values) => {
            moments.resize(values.cols(), Moments::default());
            for row in 0..values.rows() {
                for (moments, &t) in moments.iter_mut().zip(values.row(row)) {
                    moments.add(f64::from(t));
                }
            }
        }
    };
    match raw {
        Raw::Dataset(data) => add(data.targets()),
        Raw::Arrays(arrays) if arrays.targets().is_some() => {
            for start in (0..rows).step_by(CHUNK) {
                add(&arrays.read_targets(start..rows.min(start + CHUNK))?);
            }
        }
        _ => return Ok(TargetEncoding::None),
    }
    let column = |i| Column {
        name: None,
        index: cols + i,
    };
    if labels.is_empty() {
        return Ok(TargetEncoding::Values {
            columns: (0..moments.len()).map(column).collect(),
            standardizer: standardizer(&moments, options.standardize_target),
        });
    }
    let classes = ClassMap::new(labels.iter().map(u32::to_string))?;
    let file = match raw {
        Raw::Arrays(arrays) => arrays.targets().map_or("the targets", |t| t.name()),
        _ => raw.label(),
    };
    one_class(&classes, file, "targets", rows)?;
    Ok(TargetEncoding::Classes {
        column: column(0),
        classes,
    })
}
