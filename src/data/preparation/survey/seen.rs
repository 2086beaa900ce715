//! What stands in the columns: gathered in one way through the data.

use std::collections::{HashMap, HashSet};

use super::EXACT;
use super::roles::Roles;
use crate::data::frame::{FrameRow, Value, ValueAt};
use crate::data::table::{is_identifier, looks_like_money as money};
use crate::error::Result;

/// Different numbers of a target that are remembered, unless it is said to be classes.
const REMEMBERED: usize = 1000;

/// What stands in a column.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub present: usize,
    pub numbers: usize,
    pub missing: usize,
    /// The first that is missing, and its row.
    pub lacks: Option<(usize, ValueAt)>,
    /// The first that is no number.
    pub text: Option<ValueAt>,
    /// The first number that is none to compute with.
    pub infinite: Option<ValueAt>,
    /// Values with a currency or a percent sign.
    pub money: usize,
    /// Texts that are numbers but for what stands around them, and the first.
    pub like: usize,
    pub first_like: Option<String>,
    /// The first number that is written as a name is.
    pub identifier: Option<String>,
    /// The first whole number that no f64 holds.
    pub inexact: Option<ValueAt>,
    pub fractions: bool,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    /// Whether each number is the one before and one more.
    pub running: bool,
    /// The numbers, where it matters whether all differ.
    pub all: Option<HashSet<u64>>,
    /// Texts and how often they come, as far as they matter; their numbers row by row.
    pub names: NameCounts,
}

/// Texts with their numbers, in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct NameCounts {
    pub wanted: bool,
    /// Whether there were too many.
    pub given_up: bool,
    pub index: HashMap<String, u32>,
    pub counts: Vec<usize>,
    /// The number that each stands for; NaN for none.
    pub values: Vec<f64>,
    pub rows: Vec<u32>,
}

impl NameCounts {
    pub fn add(&mut self, text: &str, value: f64) {
        if !self.wanted || self.given_up {
            return;
        }
        let next = self.counts.len() as u32;
        let known = self.index.get(text).copied();
        let code = known.unwrap_or(next);
        if known.is_none() {
            self.index.insert(text.to_owned(), next);
            self.counts.push(0);
            self.values.push(value);
        }
        self.counts[code as usize] += 1;
        self.rows.push(code);
    }

    pub fn give_up(&mut self) {
        *self = Self {
            wanted: true,
            given_up: true,
            ..Self::default()
        };
    }

    /// Names with how often each comes, by their numbers.
    pub fn counted(&self) -> Vec<(&str, usize)> {
        let mut names = vec![("", 0); self.counts.len()];
        for (name, &code) in &self.index {
            names[code as usize] = (name, self.counts[code as usize]);
        }
        names
    }
}

impl Seen {
    pub fn add(&mut self, row: &FrameRow<'_>, column: usize, value: &Value<'_>) {
        if *value == Value::Missing {
            self.missing += 1;
            let at = || (row.index, row.at(column, value));
            self.lacks.get_or_insert_with(at);
            return;
        }
        let first = self.present == 0;
        self.present += 1;
        let at = || row.at(column, value);
        let Some(x) = row.number(column, value) else {
            self.money += usize::from(money(&value.text()).is_some());
            if is_like_a_number(&value.text()) {
                self.like += 1;
                let first = &mut self.first_like;
                first.get_or_insert_with(|| value.text().into_owned());
            }
            self.text.get_or_insert_with(at);
            self.running = false;
            self.names.add(&value.text(), f64::NAN);
            return;
        };
        self.numbers += 1;
        if !x.is_finite() {
            self.infinite.get_or_insert_with(at);
        }
        match value {
            Value::Text(text) => {
                // Numbers that are short and begin with another digit are the many.
                let may = text.len() > 15 || text.starts_with(['0', '-', '+']);
                if may && is_identifier(text) {
                    self.identifier.get_or_insert_with(|| text.to_string());
                    if x.abs() >= EXACT as f64 {
                        self.inexact.get_or_insert_with(at);
                    }
                }
            }
            Value::Whole(i) if i.abs() > EXACT => {
                self.identifier.get_or_insert_with(|| i.to_string());
                self.inexact.get_or_insert_with(at);
            }
            _ => {}
        }
        self.fractions |= x.fract() != 0.0;
        self.min = if first { x } else { self.min.min(x) };
        self.max = if first { x } else { self.max.max(x) };
        let next = x == self.last + 1.0 && x.abs() < EXACT as f64;
        self.running = if first {
            x.fract() == 0.0
        } else {
            self.running && next
        };
        self.last = x;
        if let Some(all) = &mut self.all {
            all.insert((x + 0.0).to_bits());
        }
        if self.names.wanted {
            self.names.add(&value.text(), x);
        }
    }

    /// Whether all are numbers that are written as numbers.
    pub fn is_plain(&self) -> bool {
        self.text.is_none() && self.identifier.is_none()
    }

    /// Why a column without text is one of names, if it is.
    pub fn like_a_name(&self) -> Option<String> {
        let value = self.identifier.as_ref().filter(|_| self.text.is_none())?;
        Some(format!("{value:?} is not written as a number is"))
    }
}

/// Whether a text is a number but for brackets, a sign behind it or of another kind, quotation marks, or a short unit.
fn is_like_a_number(text: &str) -> bool {
    let around = |c: char| "()'\"+-−–".contains(c) || c.is_whitespace();
    let core = text.trim_matches(around).replace(['−', '–'], "-");
    if !core.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    // A unit of a letter or a few: 0.5 kg, 1D-3.
    let end = core.find(|c: char| !(c.is_ascii_digit() || ".,".contains(c)));
    let (digits, unit) = core.split_at(end.unwrap_or(core.len()));
    let fraction = digits.contains(['.', ',']);
    let plain = crate::data::number(&digits.replace(',', "")).is_some();
    // Without a fraction or a space, as in 12A, it is rather a name.
    let named = !unit.is_empty() && !fraction && !unit.starts_with(char::is_whitespace);
    plain && !named && unit.chars().count() <= 5
}

/// What to do about a value that should be a number.
pub(in crate::data::preparation) fn not_a_number(place: &str, value: &str) -> String {
    let mut advice = String::new();
    let comma = value.replace('.', "").replace(',', ".");
    if let Some(sign) = money(value) {
        advice += &format!("take {sign:?} out of the numbers; or ");
    } else if value.contains(',') && crate::data::number(&comma).is_some() {
        advice +=
            "say that the decimal mark is a comma, or that commas stand between thousands; or ";
    }
    if place == "line 1" {
        advice += "say that the first line is a header, if it is; or ";
    }
    advice + "correct it, count it among the missing values, or call the column categorical"
}

/// Whether a column is called as those are that tell rows apart.
fn named_as_identifier(name: Option<&str>) -> bool {
    let Some(name) = name else { return false };
    let name = name.trim().to_lowercase();
    let whole = [
        "id", "uuid", "guid", "index", "idx", "row", "rowid", "row id", "key", "nr", "no",
    ];
    let ends = ["_id", " id", "-id", ".id", "_uuid"];
    // The index that pandas writes.
    name == "unnamed: 0"
        || whole.contains(&name.as_str())
        || ends.iter().any(|end| name.ends_with(end))
}

/// Goes through the data, for what its columns have; says which rows are left out.
pub(super) fn look(roles: &Roles<'_>, keep_names: bool) -> Result<(Vec<Seen>, Vec<usize>)> {
    let used: Vec<usize> = roles.used().collect();
    let mut seen: Vec<Seen> = used.iter().map(|_| Seen::default()).collect();
    for (seen, &c) in seen.iter_mut().zip(&roles.inputs) {
        seen.all = named_as_identifier(roles.frame.name(c)).then(HashSet::new);
    }
    if let [target] = roles.targets[..] {
        seen[roles.inputs.len()].names.wanted = true;
        debug_assert_eq!(used.last(), Some(&target));
    }
    let named = roles.categorical.iter().any(|c| roles.targets.contains(c));
    let keep_names = keep_names || named;
    let drops: Vec<usize> = roles.dropping().collect();
    let mut dropped = Vec::new();
    roles.frame.for_rows(0..roles.frame.rows(), |row| {
        for &c in &drops {
            if row.value(c)? == Value::Missing {
                dropped.push(row.index);
                return Ok(());
            }
        }
        for (seen, &c) in seen.iter_mut().zip(&used) {
            let value = row.value(c)?;
            seen.add(row, c, &value);
        }
        if let Some(target) = seen.last_mut()
            && !keep_names
            && target.is_plain()
            && target.names.counts.len() > REMEMBERED
        {
            target.names.give_up();
        }
        Ok(())
    })?;
    Ok((seen, dropped))
}
