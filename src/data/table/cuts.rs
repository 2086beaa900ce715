//! What cuts the lines of a table, where that is not said.

use super::notation::{Look, look};
use super::records::{Dialect, Mark, Records};
use super::{is_missing, text};

/// Lines that are looked at.
const SAMPLE: usize = 1000;

/// What may stand between values, the more usual first.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// What a delimiter makes of the first lines.
#[derive(Default)]
struct Trial {
    /// Values of the first line.
    first: usize,
    /// Whether there is a line of more or fewer.
    ragged: bool,
    values: usize,
    /// Values that are not missing.
    present: usize,
    /// Values that are missing, numbers, or text without another delimiter in it.
    sensible: usize,
    numbers: usize,
    /// Whether most values of a column are numbers.
    numeric: bool,
}

impl Trial {
    fn new(bytes: &[u8], dialect: Dialect, missing: &[String]) -> Self {
        let mut cut = Self::default();
        let mut columns: Vec<usize> = Vec::new();
        let mut records = Records::new(bytes, dialect, Mark::START);
        let mut lines = 0;
        while lines < SAMPLE
            && let Ok(Some(_)) = records.advance()
        {
            let record = &records.record;
            if lines == 0 {
                cut.first = record.len();
                records.cols = Some(cut.first);
            }
            if record.len() != cut.first {
                cut.ragged = true;
                break;
            }
            lines += 1;
            if cut.first < 2 {
                continue;
            }
            columns.resize(cut.first, 0);
            cut.values += cut.first;
            for (value, column) in record.iter().zip(&mut columns) {
                let Some(value) = text(value) else {
                    cut.present += 1;
                    continue;
                };
                if is_missing(value, missing) {
                    cut.sensible += 1;
                    continue;
                }
                cut.present += 1;
                if look(value) != Look::Text {
                    *column += 1;
                    cut.numbers += 1;
                } else if value.bytes().any(|b| DELIMITERS.contains(&b)) {
                    continue;
                }
                cut.sensible += 1;
            }
        }
        cut.numeric = columns.iter().any(|&numbers| 2 * numbers > lines);
        cut
    }

    /// Whether every line has as many values, and more than one.
    fn is_even(&self) -> bool {
        self.first > 1 && !self.ragged
    }

    /// The share of the values that are numbers.
    fn numbers(&self) -> f64 {
        self.numbers as f64 / self.present.max(1) as f64
    }

    /// Whether this makes more sense than another: the more values are what values are, the more are numbers, the more there
    /// are.
    fn is_better_than(&self, other: &Self) -> bool {
        let key = |cut: &Self| {
            let sensible = cut.sensible as f64 / cut.values.max(1) as f64;
            (sensible, cut.numbers(), cut.first as f64)
        };
        key(self) > key(other)
    }
}

/// What cuts the first lines best, `None` for white space, and why; see
/// [`CsvOptions::delimiter`](super::CsvOptions::delimiter). `tabs`: whether the file is named as one that has tabs.
pub(super) fn guess(
    bytes: &[u8],
    quote: Option<u8>,
    missing: &[String],
    tabs: bool,
) -> (Option<u8>, String) {
    let cut = |delimiter| Trial::new(bytes, Dialect { delimiter, quote }, missing);
    let mut best: Option<(u8, Trial)> = None;
    let mut most = (1, b',');
    for delimiter in DELIMITERS {
        if quote == Some(delimiter) {
            continue;
        }
        let cut = cut(Some(delimiter));
        if cut.first > most.0 {
            most = (cut.first, delimiter);
        }
        if delimiter == b'\t' && tabs && cut.first > 1 {
            return (Some(delimiter), "the name of the file says so".into());
        }
        let better = |(_, best): &(u8, Trial)| cut.is_better_than(best);
        if cut.is_even() && best.as_ref().is_none_or(better) {
            best = Some((delimiter, cut));
        }
    }
    let alike = |cut: &Trial| format!("it cuts every line into {} values", cut.first);
    // White space stands in many a text: it cuts only where it leaves numbers.
    let words = cut(None);
    let clean = words.is_even() && words.sensible == words.values && words.numeric;
    let more = |(_, best): &(u8, Trial)| words.numbers() > best.numbers();
    if clean && best.as_ref().is_none_or(more) {
        return (None, alike(&words));
    }
    match (best, most) {
        (Some((delimiter, cut)), _) => (Some(delimiter), alike(&cut)),
        (None, (1, delimiter)) => (Some(delimiter), "there is one value a line".into()),
        (None, (most, delimiter)) => {
            let evidence = format!("it cuts the first line into {most} values, the most");
            (Some(delimiter), evidence)
        }
    }
}
