//! What the values of a table speak for: whether its first line is a header, and how its numbers are written. It is gathered
//! while the table is gone through for other reasons.

use csv::ByteRecord;
use xxhash_rust::xxh3::xxh3_64;

use super::notation::Look::{self, *};
use super::notation::{LOOKS, Notation, look};
use super::{is_missing, number, text};

/// Different texts of a column that are told apart.
const TEXTS: usize = 64;

/// Values below a first line that tell whether it is of another size.
const ENOUGH: u64 = 10;

/// What speaks for a decimal comma.
const COMMA: [Look; 5] = [Comma, PointsComma, SpacesComma, QuotesComma, Points];

/// What speaks for a decimal point.
const POINT: [Look; 5] = [Point, CommasPoint, SpacesPoint, QuotesPoint, Commas];

/// A value and its line, to be shown.
pub(super) type Example = (u64, Box<str>);

/// What stands in a column.
#[derive(Debug, Default)]
pub(super) struct ColumnEvidence {
    looks: [u32; LOOKS],
    /// Whether the first line's value stands below it, too.
    again: bool,
    /// The smallest and the largest plain number, where that matters.
    range: Option<(f64, f64)>,
    /// Hashes of texts, while there are few.
    texts: Vec<u64>,
    many_texts: bool,
    /// The first value that speaks for a decimal comma.
    comma: Option<Example>,
    /// The first one that speaks for a decimal point.
    point: Option<Example>,
    /// The first one whose comma may be either mark.
    group: Option<Example>,
    /// The first one with thousands marked by spaces or by apostrophes, and no decimal mark.
    spaced: Option<Example>,
}

impl ColumnEvidence {
    fn add(&mut self, line: u64, text: &str) {
        let look = look(text);
        let count = &mut self.looks[look as usize];
        *count = count.saturating_add(1);
        let example = match look {
            Text => return self.add_text(text),
            Small | Whole | PointOrGroup => return,
            CommaOrGroup => &mut self.group,
            Spaces | Quotes => &mut self.spaced,
            look if COMMA.contains(&look) => &mut self.comma,
            _ => &mut self.point,
        };
        example.get_or_insert_with(|| (line, text.into()));
    }

    fn add_text(&mut self, text: &str) {
        if self.many_texts {
            return;
        }
        let hash = xxh3_64(text.as_bytes());
        if self.texts.contains(&hash) {
            return;
        }
        self.texts.push(hash);
        if self.texts.len() > TEXTS {
            self.many_texts = true;
            self.texts = Vec::new();
        }
    }

    fn count(&self, looks: &[Look]) -> u64 {
        let counts = looks.iter().map(|&look| self.looks[look as usize]);
        counts.map(u64::from).sum()
    }

    fn present(&self) -> u64 {
        self.looks.iter().copied().map(u64::from).sum()
    }

    fn numbers(&self) -> u64 {
        self.present() - self.count(&[Text])
    }

    /// Whether most values are numbers, however they are written.
    fn is_numeric(&self) -> bool {
        2 * self.numbers() > self.present()
    }

    /// Whether most values have fractions.
    fn has_fractions(&self) -> bool {
        let whole = self.count(&[Text, Small, Whole, Points, Commas]);
        let whole = whole + self.count(&[Spaces, Quotes, CommaOrGroup]);
        2 * whole < self.present()
    }

    /// Whether values are texts of which each comes more than once, on average.
    fn repeats_texts(&self) -> bool {
        let texts = self.count(&[Text]);
        !self.many_texts && texts >= 4 && texts >= 2 * self.texts.len() as u64
    }

    /// Values in which a comma is the decimal mark, and those in which it cannot be.
    fn marks(&self) -> (u64, u64) {
        (self.count(&COMMA), self.count(&POINT))
    }
}

/// How numbers are written, and why. Without evidence there was nothing to guess.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub decimal: Option<Evident>,
    pub thousands: Option<Evident>,
}

/// What was found, with the column and the value that speak for it.
#[derive(Debug)]
pub(super) struct Evident {
    pub mark: char,
    pub column: usize,
    pub example: Option<Example>,
}

/// Why it cannot be told how numbers are written.
#[derive(Debug)]
pub(super) enum Unclear {
    /// A comma that may be either.
    Group { column: usize, example: Example },
    /// Two columns that contradict each other.
    Marks {
        comma: (usize, Option<Example>),
        point: (usize, Option<Example>),
    },
}

/// What a table's values speak for.
pub(super) struct Evidence {
    first: ByteRecord,
    first_line: u64,
    columns: Vec<ColumnEvidence>,
    /// How many numbers of the first line go on evenly.
    sequence: usize,
}

/// The numbers in a first line, if they go on evenly as names do that are counted: 0, 1, 2 or 2019, 2020, 2021.
fn sequence(first: &ByteRecord) -> usize {
    let numbers = first.iter().filter_map(text).filter_map(number);
    let numbers: Vec<f64> = numbers.collect();
    let steps: Vec<f64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (Some(&step), Some(&last)) = (steps.first(), numbers.last()) else {
        return 0;
    };
    let near = 1e-6 * last.abs().max(step.abs());
    let even = steps.iter().all(|s| (s - step).abs() <= near) && step > 0.0;
    let year = |x: &f64| x.fract() == 0.0 && (1900.0..=2100.0).contains(x);
    let years = numbers.iter().all(year) && steps.iter().all(|&s| s > 0.0);
    match numbers.len() {
        2 if even && step == 1.0 => 2,
        count @ 3.. if even || years => count,
        _ => 0,
    }
}

impl Evidence {
    /// From the first line on, which is known before the others.
    pub fn new(first: ByteRecord, first_line: u64) -> Self {
        Self {
            sequence: sequence(&first),
            first,
            first_line,
            columns: Vec::new(),
        }
    }

    /// The first line.
    pub fn first(&self) -> &ByteRecord {
        &self.first
    }

    /// A line below the first, of as many values.
    pub fn add(&mut self, line: u64, record: &ByteRecord, missing: &[String]) {
        if self.columns.is_empty() {
            let cols = self.first.len();
            self.columns.resize_with(cols, ColumnEvidence::default);
        }
        for ((column, value), first) in self.columns.iter_mut().zip(record).zip(&self.first) {
            let Some(value) = text(value).filter(|value| !is_missing(value, missing)) else {
                continue;
            };
            column.again |= text(first) == Some(value);
            if self.sequence > 0
                && let Some(x) = number(value)
            {
                let (low, high) = column.range.unwrap_or((x, x));
                column.range = Some((low.min(x), high.max(x)));
            }
            column.add(line, value);
        }
    }

    /// The first line, if it is no header.
    pub fn add_first(&mut self, missing: &[String]) {
        let first = self.first.clone();
        self.add(self.first_line, &first, missing);
    }

    /// Whether the first line is a header.
    pub fn header(&self, missing: &[String]) -> (bool, &'static str) {
        let (sequence, numbered) = (self.sequence, self.is_numbered());
        let (mut score, mut over_numbers, mut absent, mut counted, mut below) = (0, 0, 0, 0, 0);
        for (value, column) in self.first.iter().zip(&self.columns) {
            let value = text(value).unwrap_or_default();
            if is_missing(value, missing) || column.present() == 0 {
                continue;
            }
            if look(value) == Text && column.numbers() == column.present() {
                over_numbers += 1;
                score += 3;
            } else if look(value) == Text && column.is_numeric() && !column.again {
                score += 1;
            } else if look(value) == Text || !column.is_numeric() {
                if column.again {
                    below += 1;
                    score -= 3;
                } else if column.repeats_texts() {
                    absent += 1;
                    score += 1;
                }
            } else if sequence > 0 {
                // Numbers over whole numbers are names if they are of another size, or number the columns.
                let outside = number(value).zip(column.range);
                let far = |(x, (low, high))| f64::max(low - x, x - high) > high - low;
                let outside = column.present() >= ENOUGH && outside.is_some_and(far);
                if column.has_fractions() || sequence >= 8 || outside || numbered {
                    counted += 1;
                    score += 1;
                }
            } else if !column.has_fractions() || value.contains(['.', ',']) {
                score -= 1;
            }
        }
        let is_header = match score {
            0 => self.has_names(missing),
            score => score > 0,
        };
        let evidence = match score {
            0 if is_header => "it has names that differ",
            0 => "nothing speaks for it",
            1.. if over_numbers > 0 => "it has names over columns of numbers",
            1.. if counted > 0 => "its numbers go on evenly, unlike those below",
            1.. if absent > 0 => "its values do not come again below, where others do",
            1.. => "it has names over columns of numbers",
            _ if below > 0 => "its values come again below",
            _ => "it has numbers over columns of numbers",
        };
        (is_header, evidence)
    }

    /// Whether the first line numbers the columns, 0, 1, 2 and so on, as pandas does where they have no names; a column of row
    /// numbers without a name may stand before them.
    fn is_numbered(&self) -> bool {
        let values: Vec<&str> = self.first.iter().map(|v| text(v).unwrap_or("")).collect();
        let values = values.strip_prefix(&[""]).unwrap_or(&values);
        let numbers = values.iter().enumerate();
        let numbers = numbers.take_while(|(i, value)| **value == i.to_string());
        // The last one may be the target's name.
        numbers.count() >= 3.max(values.len().saturating_sub(1))
    }

    /// Whether the first line by itself could be a header: every value is there, no two are equal, and none is a number.
    fn has_names(&self, missing: &[String]) -> bool {
        let mut seen = std::collections::HashSet::new();
        self.first.iter().all(|value| {
            let value = text(value).unwrap_or_default();
            !is_missing(value, missing) && number(value).is_none() && seen.insert(value)
        })
    }

    /// How numbers are written, as far as it is not said.
    pub fn notation(
        &self,
        decimal: Option<char>,
        thousands: Option<char>,
    ) -> Result<(Notation, Written), Unclear> {
        let mut written = Written::default();
        let mark = match (decimal, thousands) {
            (Some(decimal), _) => decimal,
            (None, Some(',')) => '.',
            (None, Some('.')) => ',',
            (None, said) => {
                written.decimal = self.decimal(said.is_some())?;
                written.decimal.as_ref().map_or('.', |found| found.mark)
            }
        };
        if decimal.is_none() && thousands.is_none() {
            written.thousands = self.thousands(mark);
        }
        let found = written.thousands.as_ref().map(|found| found.mark);
        let (decimal, thousands) = (mark, thousands.or(found));
        Ok((Notation { decimal, thousands }, written))
    }

    /// Columns of which most values are numbers, in some notation.
    fn numeric(&self) -> impl Iterator<Item = (usize, &ColumnEvidence)> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| column.is_numeric())
    }

    fn decimal(&self, spaced: bool) -> Result<Option<Evident>, Unclear> {
        let of = |with: fn((u64, u64)) -> bool| self.numeric().find(|(_, c)| with(c.marks()));
        let comma = of(|(comma, point)| comma > point);
        let point = of(|(comma, point)| point > comma);
        let evident = |mark, column, example: &Option<Example>| {
            let example = example.clone();
            Ok(Some(Evident {
                mark,
                column,
                example,
            }))
        };
        let (i, found) = match (comma, point) {
            (Some((i, comma)), Some((j, point))) => {
                return Err(Unclear::Marks {
                    comma: (i, comma.comma.clone()),
                    point: (j, point.point.clone()),
                });
            }
            (Some((i, found)), None) => return evident(',', i, &found.comma),
            (None, Some((i, found))) => return evident('.', i, &found.point),
            (None, None) => match self.numeric().find(|(_, c)| c.group.is_some()) {
                None => return Ok(None),
                Some(found) => found,
            },
        };
        // Something else stands between thousands.
        if spaced {
            return evident(',', i, &found.group);
        }
        match (self.numeric().find(|(_, c)| c.counts()), &found.group) {
            (Some((i, found)), _) => evident('.', i, &found.group),
            (None, Some(example)) => Err(Unclear::Group {
                column: i,
                example: example.clone(),
            }),
            (None, None) => Ok(None),
        }
    }

    fn thousands(&self, decimal: char) -> Option<Evident> {
        // With each mark, how numbers look that have it.
        let (looks, perhaps, never) = match decimal {
            '.' => ([CommasPoint, SpacesPoint, QuotesPoint], CommaOrGroup, Comma),
            _ => ([PointsComma, SpacesComma, QuotesComma], PointOrGroup, Point),
        };
        let other = match decimal {
            '.' => (',', Commas),
            _ => ('.', Points),
        };
        let alone = [other, (' ', Spaces), ('\'', Quotes)];
        let mut best: Option<(u64, Evident)> = None;
        for ((candidate, look), with_decimal) in alone.into_iter().zip(looks) {
            let of = |column: &ColumnEvidence| {
                let between = matches!(candidate, ',' | '.');
                let groups = match between && column.count(&[never]) == 0 {
                    true => column.count(&[perhaps]),
                    false => 0,
                };
                column.count(&[look, with_decimal]) + groups
            };
            let count: u64 = self.numeric().map(|(_, column)| of(column)).sum();
            let first = self.numeric().find(|(_, column)| of(column) > 0);
            if let Some((column, found)) = first
                && best.as_ref().is_none_or(|(most, _)| count > *most)
            {
                let examples = match candidate {
                    ',' => [&found.group, &found.point, &None],
                    '.' => [&found.comma, &None, &None],
                    _ => [&found.spaced, &found.comma, &found.point],
                };
                let example = examples.into_iter().flatten().next().cloned();
                let found = Evident {
                    mark: candidate,
                    column,
                    example,
                };
                best = Some((count, found));
            }
        }
        best.map(|(_, found)| found)
    }
}

impl ColumnEvidence {
    /// Whether commas can only stand between thousands: what has none is below a thousand.
    fn counts(&self) -> bool {
        self.count(&[CommaOrGroup]) > 0
            && self.count(&[Small]) > 0
            && self.count(&[Whole, PointOrGroup]) == 0
    }
}
