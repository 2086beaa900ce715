//! The table of columns that is printed before training: what each holds and becomes.

use wgrad::data::{ColumnSurvey, Encoding, Survey, SurveyedKind, TargetEncoding};
use wgrad::{ClassMap, Preparation};

use crate::output;

/// What is told of a column.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ColumnLine {
    pub column: String,
    /// Whether it has a name.
    #[serde(skip)]
    pub named: bool,
    pub kind: &'static str,
    pub values: String,
    pub missing: usize,
    pub becomes: String,
}

/// What is told of each column: what it is, what it holds, what becomes of it.
pub fn lines(survey: &Survey, preparation: &Preparation) -> Vec<ColumnLine> {
    let weights = preparation.weights().map(|column| column.index);
    let is_id = |index| preparation.ids().iter().any(|id| id.index == index);
    let line = |column: &ColumnSurvey| {
        let index = column.column.index;
        let mut inputs = preparation.inputs().iter();
        let input = inputs.find(|input| input.column.index == index);
        let numbers = match &column.kind {
            SurveyedKind::Numbers { min, max, .. } => range(*min, *max),
            _ => String::new(),
        };
        let (kind, values, becomes) = match (input, preparation.target()) {
            (Some(input), _) => match &input.encoding {
                &Encoding::Number {
                    shift,
                    factor,
                    constant,
                } => {
                    let bytes = (0.0, f64::from(1.0_f32 / 255.0));
                    let how = match (shift, factor) {
                        _ if constant => "constant: says nothing",
                        (0.0, 1.0) => "as it is",
                        scale if scale == bytes => "times 1/255",
                        _ => "standardised",
                    };
                    ("numbers", numbers, how.into())
                }
                Encoding::OneHot { categories, .. } => {
                    let (count, names) = (categories.len(), listed(categories));
                    let inputs = output::counted(count as u64, "input");
                    ("categories", format!("{count}: {names}"), inputs)
                }
            },
            (
                None,
                TargetEncoding::Classes {
                    column: of,
                    classes,
                },
            ) if of.index == index => {
                let text = format!("{} classes: {}", classes.len(), listed(classes));
                ("target", text, column.why.clone().unwrap_or_default())
            }
            (
                None,
                TargetEncoding::Values {
                    columns,
                    standardizer: scale,
                },
            ) if columns.iter().any(|of| of.index == index) => {
                let place = columns.iter().position(|of| of.index == index);
                let scaled = place.is_some_and(|i| (scale.shift[i], scale.factor[i]) != (0.0, 1.0));
                let how = if scaled { "standardised" } else { "as it is" };
                let why = column.why.as_ref().map(|why| format!("; {why}"));
                let how = how.to_owned() + &why.unwrap_or_default();
                ("target", numbers, how)
            }
            _ if is_id(index) => ("id", String::new(), "goes with the answers".into()),
            _ if weights == Some(index) => ("weights", String::new(), "weighs the rows".into()),
            _ => ("left out", String::new(), String::new()),
        };
        let fill = input.and_then(|input| input.fill.as_ref());
        let becomes = match (fill, column.missing) {
            (Some(fill), 1..) => format!("{becomes}; missing: {fill}"),
            _ => becomes,
        };
        ColumnLine {
            column: column.column.name.clone().unwrap_or(index.to_string()),
            named: column.column.name.is_some(),
            kind,
            values,
            missing: column.missing,
            becomes: match (&column.why, kind) {
                (Some(why), "categories") => format!("{becomes}; {why}"),
                _ => becomes,
            },
        }
    };
    survey.columns().iter().map(line).collect()
}

fn range(low: f64, high: f64) -> String {
    format!("{} to {}", plain(low), plain(high))
}

fn listed(names: &ClassMap) -> String {
    output::listed_within(names.names(), 40)
}

/// A number as it stands in a table of ranges.
fn plain(x: f64) -> String {
    match x.abs() {
        a if a != 0.0 && !(1e-4..1e15).contains(&a) => format!("{x:e}"),
        _ => {
            let text = x.to_string();
            match text.len() > 12 && x.fract() != 0.0 {
                true => format!("{x:.4}"),
                false => text,
            }
        }
    }
}

/// Rows of the table of columns that are shown.
const SHOWN: usize = 16;

/// The table of columns, in lines. Columns that follow one another and differ in their numbers only are one line where there are
/// many.
pub fn table(columns: &[ColumnLine]) -> Vec<String> {
    let mut shown: Vec<ColumnLine> = Vec::new();
    let many = columns.len() > SHOWN;
    let mut run: Option<(String, f64, f64)> = None;
    for line in columns {
        let ends = line.values.split_once(" to ");
        let ends = ends.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let alike = |last: &ColumnLine| {
            many && !last.named
                && !line.named
                && (last.kind, last.missing, &last.becomes)
                    == (line.kind, line.missing, &line.becomes)
        };
        match (shown.last_mut(), &mut run, ends) {
            (Some(last), Some((first, low, high)), Some((a, b))) if alike(last) => {
                (*low, *high) = (low.min(a), high.max(b));
                last.column = format!("{first}–{}", line.column);
                last.values = range(*low, *high);
            }
            _ => {
                run = ends.map(|(a, b)| (line.column.clone(), a, b));
                shown.push(line.clone());
            }
        }
    }
    let left = shown.len().saturating_sub(SHOWN);
    if left > 0 {
        // The targets are seen in any case.
        let (mut first, mut rest) = (shown.clone(), shown.split_off(SHOWN - 4));
        first.truncate(SHOWN - 4);
        rest.retain(|line| !["numbers", "categories", "left out"].contains(&line.kind));
        rest.truncate(4);
        shown = first;
        shown.extend(rest);
    }
    let hidden = match left {
        0 => 0,
        _ => columns.len() - shown.len(),
    };
    let width = |of: &dyn Fn(&ColumnLine) -> usize, head: &str, most: usize| {
        let longest = shown.iter().map(of).max().unwrap_or(0);
        longest.max(head.chars().count()).min(most)
    };
    let chars = |text: &str| text.chars().count();
    let name = width(&|l| chars(&l.column), "column", 24);
    let kind = width(&|l| chars(l.kind), "kind", 12);
    let values = width(&|l| chars(&l.values), "values", 44);
    let mut out = vec![format!(
        "{:<name$}  {:<kind$}  {:<values$}  missing  becomes",
        "column", "kind", "values"
    )];
    for line in &shown {
        let text = format!(
            "{:<name$}  {:<kind$}  {:<values$}  {:>7}  {}",
            output::within(&line.column, name),
            line.kind,
            output::within(&line.values, values),
            line.missing,
            line.becomes
        );
        out.push(text.trim_end().to_owned());
    }
    if hidden > 0 {
        out.push(format!("and {}", output::counted(hidden as u64, "column")));
    }
    out
}
