//! What follows from what was seen: numbers or names, classes or values, and what is doubtful or absurd.

use super::roles::Roles;
use super::seen::{Seen, not_a_number};
use super::{ColumnSurvey, Survey, SurveyedKind, Warning, WarningKind};
use crate::data::class_map::ClassMap;
use crate::data::element::Task;
use crate::data::frame::ValueAt;
use crate::data::preparation::Missing;
use crate::data::table::looks_like_money as money;
use crate::data::wording::{listed, shortened};
use crate::error::{CellKind, ColumnKind, Error, Result};

/// Different whole numbers that a target of classes may have, unless the task is said.
const FEW: usize = 20;

/// Different whole numbers from 0 or 1 on that a target of classes may have if each comes about as often.
const MANY: usize = 100;

/// Rows from which on it is told that a column has as many categories as rows: of fewer everything looks so.
pub(in crate::data::preparation) const ENOUGH: usize = 20;

/// Whether a column of inputs is one of numbers.
fn is_numeric(roles: &Roles<'_>, column: usize, seen: &Seen, stated: bool) -> Result<bool> {
    let frame = roles.frame;
    let numeric = match &seen.text {
        None => stated || seen.identifier.is_none(),
        Some(at) if stated || 2 * seen.numbers > seen.present => {
            let (numbers, present) = (seen.numbers, seen.present);
            let problem = match stated {
                true => "is no number, but the column was said to be numeric".into(),
                false => {
                    format!("is no number, but {numbers} of the column's {present} values are")
                }
            };
            let advice = not_a_number(&at.place, &at.text);
            return Err(frame.cell(column, at, CellKind::NotANumber, problem, advice));
        }
        Some(ValueAt { text: value, .. }) if seen.money == seen.present => {
            let sign = money(value).unwrap_or_default();
            let problem = format!("its values are numbers with {sign:?}, as {value:?}");
            let names = "call the column categorical if these are names";
            let advice = format!("take {sign:?} out of the file, or {names}");
            return Err(roles.about(column, ColumnKind::Currency, problem, advice));
        }
        Some(_) => false,
    };
    if numeric {
        if let Some(at) = &seen.inexact {
            return Err(frame.refused(column, at, CellKind::TooLarge));
        }
        if let Some(at) = &seen.infinite {
            return Err(frame.refused(column, at, CellKind::NotFinite));
        }
    }
    Ok(numeric)
}

/// Whether the target is one of classes, and why, if that was guessed.
fn has_classes(roles: &Roles<'_>, task: Task, seen: &[Seen]) -> Result<(bool, Option<String>)> {
    let [column] = roles.targets[..] else {
        let (count, allowed) = (roles.targets.len(), "1 for classification");
        return match task {
            Task::Classification if count > 0 => {
                Err(Error::argument("the number of targets", count, allowed))
            }
            _ => Ok((false, None)),
        };
    };
    let of = &seen[0];
    match task {
        _ if roles.frame.has_classes(column) => return Ok((true, None)),
        _ if roles.frame.has_numbers(column) => return Ok((false, None)),
        Task::Regression => return Ok((false, None)),
        Task::Classification => return Ok((true, None)),
        Task::Auto if roles.categorical.contains(&column) => return Ok((true, None)),
        Task::Auto => {}
    }
    let stated = roles.numeric.contains(&column);
    if !is_numeric(roles, column, of, stated)? {
        let why = of.like_a_name().unwrap_or("text".into());
        return Ok((true, Some(format!("classes: {why}"))));
    }
    if stated || of.fractions || of.names.given_up {
        return Ok((false, None));
    }
    let distinct = of.names.counts.len();
    if distinct <= FEW && of.present >= 2 * distinct {
        let why = format!("classes: {distinct} whole numbers in {} rows", of.present);
        return Ok((true, Some(why)));
    }
    if of.min >= 0.0 && roles.inputs.iter().all(|&c| roles.frame.is_image(c)) {
        let why = format!("classes: {distinct} whole numbers beside images");
        return Ok((true, Some(why)));
    }
    // Codes of classes leave none out, and none of them is rare as the ends of a range of counts are.
    let least = of.names.counts.iter().min().copied().unwrap_or(0);
    let codes = (of.min == 0.0 || of.min == 1.0)
        && of.max - of.min + 1.0 == distinct as f64
        && distinct <= MANY
        && of.present >= 10 * distinct
        && 10 * least * distinct >= of.present;
    if codes {
        let range = format!("from {} to {}", of.min, of.max);
        let why = format!("classes: all whole numbers {range}, each about as often");
        return Ok((true, Some(why)));
    }
    let why = format!("numbers: {distinct} different whole numbers");
    Ok((false, Some(why)))
}

/// What follows from what was seen; nothing if names of classes are missing that turn out to matter.
pub(super) fn decide(
    roles: &Roles<'_>,
    task: Task,
    mut seen: Vec<Seen>,
    dropped: Vec<usize>,
) -> Result<Option<Survey>> {
    let frame = roles.frame;
    let rows = frame.rows() - dropped.len();
    let used: Vec<usize> = roles.used().collect();
    if let Some((_, &c)) = seen.iter().zip(&used).find(|(seen, _)| seen.present == 0) {
        let last = "choose another target: unless one is said, the last column is";
        let (kind, advice) = match roles.targets.contains(&c) {
            true => (ColumnKind::EmptyTarget, last),
            false => (ColumnKind::Empty, "leave that column out"),
        };
        return Err(roles.about(c, kind, "it has no values, all are missing", advice));
    }
    let targets = seen.split_off(roles.inputs.len());
    let mut numbers = Vec::with_capacity(seen.len());
    for (seen, &c) in seen.iter().zip(&roles.inputs) {
        let stated = roles.numeric.contains(&c) || frame.has_numbers(c);
        let names = roles.categorical.contains(&c);
        numbers.push(!names && is_numeric(roles, c, seen, stated)?);
    }
    let (classes, why) = has_classes(roles, task, &targets)?;
    if !classes {
        for (seen, &c) in targets.iter().zip(&roles.targets) {
            if roles.categorical.contains(&c) {
                let what = "said to be categorical, and a target of values";
                return Err(roles.contradiction(c, what));
            }
            let stated =
                task == Task::Regression || roles.numeric.contains(&c) || frame.has_numbers(c);
            if !is_numeric(roles, c, seen, stated)? {
                let text = seen.text.as_ref().map(|at| at.text.as_str());
                let value = text.or(seen.identifier.as_deref()).unwrap_or_default();
                let (value, count) = (shortened(value), roles.targets.len());
                let problem = format!(
                    "it has names, as {value:?}, but of {count} targets each must be numbers"
                );
                let advice =
                    "learn it alone, for classes; or call it numeric, if its values are numbers";
                return Err(roles.about(c, ColumnKind::TextTarget, problem, advice));
            }
        }
    }
    // The first value that is missing and must not be.
    let missing = seen.iter().chain(&targets).zip(&used).filter(|(_, c)| {
        let target = roles.targets.contains(c);
        target || *roles.rule(**c) == Missing::Error
    });
    let missing = missing.filter_map(|(seen, &c)| Some((seen.lacks.as_ref()?, c)));
    if let Some(((_, at), c)) = missing.min_by_key(|((row, _), _)| *row) {
        return Err(match roles.targets.contains(&c) {
            true => {
                let problem = "is missing, but it is what shall be learnt";
                let advice = "fill it in, or have rows with missing values dropped";
                frame.cell(c, at, CellKind::MissingTarget, problem, advice)
            }
            false => frame.refused(c, at, CellKind::MissingInput),
        });
    }
    let mut warnings = Vec::new();
    let classes = match classes {
        false => {
            constant_targets(roles, &targets, rows, &mut warnings)?;
            None
        }
        true if targets[0].names.given_up => return Ok(None),
        true => Some(classes_of(roles, task, &targets[0], rows, &mut warnings)?),
    };
    for (seen, &c) in seen.iter().zip(&roles.inputs) {
        warnings.extend(identifier(roles, c, seen, rows));
    }
    for (seen, &c) in seen.iter().chain(&targets).zip(&used) {
        let said = roles.categorical.contains(&c) || classes_said(roles, task, c);
        if !said && seen.text.is_some() && 10 * seen.like >= 9 * seen.present {
            let value = shortened(seen.first_like.as_deref().unwrap_or_default());
            let text =
                format!("its values look like numbers, as {value:?}, but are taken for names");
            warnings.push(roles.doubt(c, WarningKind::LikeNumbers, text));
        }
    }
    let columns = surveyed(roles, &seen, &numbers, &targets, classes.is_some(), why);
    let drop_for = match roles.options.missing {
        Missing::Drop if roles.missing_in.is_empty() => Vec::new(),
        _ => roles.dropping().collect(),
    };
    Ok(Some(Survey {
        columns,
        numbers,
        texts: seen.iter().map(|seen| !seen.is_plain()).collect(),
        lacking: seen.iter().map(|seen| seen.missing > 0).collect(),
        inputs: roles.inputs.clone(),
        targets: roles.targets.clone(),
        ids: roles.ids.clone(),
        weights: roles.weights,
        classes,
        dropped,
        drop_for,
        raw_rows: frame.rows(),
        warnings,
    }))
}

/// Whether somebody said that a column is a target of classes.
fn classes_said(roles: &Roles<'_>, task: Task, column: usize) -> bool {
    let target = roles.targets.contains(&column);
    target && (task == Task::Classification || roles.frame.has_classes(column))
}

/// The classes of the target and of each row.
fn classes_of(
    roles: &Roles<'_>,
    task: Task,
    seen: &Seen,
    rows: usize,
    warnings: &mut Vec<Warning>,
) -> Result<(ClassMap, Vec<u32>)> {
    let column = roles.targets[0];
    let counted = seen.names.counted();
    let classes = match seen.is_plain() {
        true => {
            let numbers = counted.iter().zip(&seen.names.values);
            let numbers = numbers.map(|(&(name, n), &x)| (name.to_owned(), x, n));
            ClassMap::of_numbers(numbers.collect())?
        }
        false => ClassMap::new(counted.iter().map(|(name, _)| *name))?,
    };
    if let [class] = classes.names() {
        return Err(Error::OneClass {
            file: roles.frame.file_of(column).into(),
            column: roles.frame.column_label(column),
            class: shortened(class),
            rows,
        });
    }
    let found = counted.iter().map(|(name, _)| classes.index(name));
    let index: Vec<u32> = found.map(|i| i.unwrap_or_default() as u32).collect();
    let labels: Vec<u32> = seen.names.rows.iter().map(|&c| index[c as usize]).collect();
    let mut per_class = vec![0; classes.len()];
    labels.iter().for_each(|&c| per_class[c as usize] += 1);
    let said = classes_said(roles, task, column) || roles.categorical.contains(&column);
    if rows >= ENOUGH && 2 * classes.len() > rows {
        let count = classes.len();
        let few = listed(&classes.names()[..count.min(3)]);
        let many = format!("{count} classes for {rows} rows ({few})");
        if !said && 5 * count > 4 * rows {
            let problem = format!("{many}: almost every row would be a class of its own");
            let advice = "choose another target; or say that the task is classification, if these are classes, or regression, if \
                          these are numbers, and how numbers are written";
            return Err(roles.about(column, ColumnKind::ManyClasses, problem, advice));
        }
        let text = format!("{many}, most of which are seen once");
        warnings.push(roles.doubt(column, WarningKind::ManyClasses, text));
    }
    // A class that stands in the first row alone may be the name of the column.
    let first = labels[0] as usize;
    let once = |&c: &usize| per_class[c] == 1;
    let alone = once(&first) && (0..classes.len()).filter(once).count() == 1;
    let headless = roles.frame.is_table() && !roles.frame.is_named();
    if rows >= 10 && alone && headless {
        let name = shortened(&classes.names()[first]);
        let text = format!(
            "class {name:?} stands in the first line alone: that line may hold the names of the columns"
        );
        warnings.push(roles.doubt(column, WarningKind::Header, text));
    }
    Ok((classes, labels))
}

/// Targets of which all values are one: nothing can be learnt of them.
fn constant_targets(
    roles: &Roles<'_>,
    targets: &[Seen],
    rows: usize,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let constant = |seen: &&Seen| seen.min == seen.max;
    let all = targets.iter().filter(constant).count();
    // Sets of a row or two, and data that a program made, may be so.
    if rows < 3 || targets.is_empty() {
        return Ok(());
    }
    for (seen, &c) in targets.iter().zip(&roles.targets) {
        if seen.min != seen.max || roles.frame.has_numbers(c) {
            continue;
        }
        let value = seen.min;
        let text = format!("all {rows} rows have {value}, so there is nothing to learn");
        if all == targets.len() {
            let advice = "choose another target, or see that the column holds what it should";
            return Err(roles.about(c, ColumnKind::ConstantTarget, text, advice));
        }
        warnings.push(roles.doubt(c, WarningKind::ConstantTarget, text));
    }
    Ok(())
}

/// Whether a column of inputs seems to tell rows apart.
fn identifier(roles: &Roles<'_>, column: usize, seen: &Seen, rows: usize) -> Option<Warning> {
    if rows < ENOUGH || seen.text.is_some() || seen.fractions {
        return None;
    }
    let all_differ = seen.all.as_ref().is_some_and(|all| all.len() == rows);
    let text = match (seen.running, all_differ) {
        (true, _) => format!(
            "it numbers the rows, from {} to {}: a network learns the order of the file from it",
            seen.min, seen.max
        ),
        (false, true) => "all its values differ, and it is called as what tells rows apart".into(),
        (false, false) => return None,
    };
    Some(roles.doubt(column, WarningKind::Identifier, text))
}

/// What is told of each column.
fn surveyed(
    roles: &Roles<'_>,
    inputs: &[Seen],
    numbers: &[bool],
    targets: &[Seen],
    classes: bool,
    why: Option<String>,
) -> Vec<ColumnSurvey> {
    let unused = |c| ColumnSurvey {
        column: roles.frame.known(c),
        kind: SurveyedKind::Unused,
        missing: 0,
        why: None,
    };
    let mut columns: Vec<ColumnSurvey> = (0..roles.frame.cols()).map(unused).collect();
    let mut put = |c: usize, seen: &Seen, number: bool, why: Option<String>| {
        (columns[c].missing, columns[c].why) = (seen.missing, why);
        columns[c].kind = match number {
            true => SurveyedKind::Numbers {
                min: seen.min,
                max: seen.max,
                whole: !seen.fractions,
            },
            false => SurveyedKind::Text,
        };
    };
    for ((seen, &c), &number) in inputs.iter().zip(&roles.inputs).zip(numbers) {
        put(c, seen, number, seen.like_a_name().filter(|_| !number));
    }
    for (seen, &c) in targets.iter().zip(&roles.targets) {
        put(c, seen, !classes, why.clone());
    }
    columns
}
