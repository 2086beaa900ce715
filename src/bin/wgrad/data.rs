//! Data from files, prepared.

mod described;
mod new;

use std::path::{Path, PathBuf};

use wgrad::data::{
    DataFile, Delimiter, OpenOptions, Part, PreparationOptions, Prepared, Source, Survey,
    TargetEncoding, Unseen, Warning, WarningKind,
};
use wgrad::{ColumnRef, CsvOptions, Dataset, Matrix, Missing, Preparation};

pub use described::{ColumnLine, table};
pub use new::{New, Reading, Truth};

use crate::failure::{Failure, unusable_at, usage};
use crate::options::{Held, MissingRules, NaValues, Names, Settings, UnseenRule};
use crate::{input, output};
use described::lines;

/// How the files of a run are read.
fn open_options(s: &Settings) -> OpenOptions {
    let default = CsvOptions::default();
    OpenOptions {
        csv: CsvOptions {
            delimiter: s.delimiter,
            header: s.header,
            decimal: s.decimal,
            thousands: s.thousands,
            missing: match &s.na_values {
                Some(NaValues(words)) => words.clone(),
                None => default.missing,
            },
            quote: default.quote,
        },
        targets_csv: None,
        inputs: s.inputs_array.clone(),
        targets: s.targets_array.clone(),
        task: s.task.into(),
    }
}

fn columns(names: &Option<Names>) -> Vec<ColumnRef> {
    let names = names.iter().flat_map(|names| &names.0);
    names.map(|name| ColumnRef::Name(name.clone())).collect()
}

fn preparation_options(s: &Settings) -> PreparationOptions {
    let MissingRules { all, columns: some } = &s.missing;
    let rule = |(name, rule): &(String, _)| (ColumnRef::Name(name.clone()), Missing::clone(rule));
    PreparationOptions {
        targets: columns(&s.target),
        exclude: columns(&s.exclude),
        ids: columns(&s.id),
        weights: s.weights_column.clone().map(ColumnRef::Name),
        categorical: columns(&s.categorical),
        numeric: columns(&s.numeric),
        missing: all.clone(),
        missing_in: some.iter().map(rule).collect(),
        unseen: s.unseen.into(),
        max_categories: s.max_categories,
        task: s.task.into(),
        scaling: s.scaling.into(),
        // Losses of fractions see the numbers as they are.
        standardize_target: s.standardize_target && !s.loss.starts_with("binary"),
    }
}

fn files(data: &Path, targets: Option<&PathBuf>) -> Vec<PathBuf> {
    let data = std::iter::once(data.to_owned());
    data.chain(targets.cloned()).collect()
}

/// What a run trains on.
pub struct Training {
    /// All rows that are used, those held out by a share included.
    pub all: Dataset,
    /// The rows to train on.
    pub data: Dataset,
    pub validation: Option<Dataset>,
    pub preparation: Preparation,
    /// The targets that are values, on the user's own scale, of the rows to train on and of those held out.
    pub values: [Option<Matrix<f64>>; 2],
    pub found: Findings,
}

/// What was found in the files.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Findings {
    /// What the files hold, in a line.
    pub summary: String,
    /// What was guessed, and why.
    pub guesses: Vec<String>,
    /// Of each column of inputs and targets, in order, what it is and becomes.
    pub columns: Vec<ColumnLine>,
    /// What is doubtful.
    pub warnings: Vec<String>,
}

/// The path of the data, which every run needs.
pub fn path(s: &Settings) -> Result<&Path, Failure> {
    let none = "no data was given: wgrad train DATA.csv, or `data = \"…\"` in the TOML file";
    s.data.as_deref().ok_or_else(|| Failure::Usage(none.into()))
}

/// Refuses options, of which it is said whether they were given, that speak of tables of text, where there is none; of arrays with
/// names, where they have none.
fn check_kind(file: &DataFile, path: &Path, given: &[(&str, bool)]) -> Result<(), Failure> {
    let table = file.parts().any(|part| part.table().is_some());
    for (name, _) in given.iter().filter(|(_, given)| *given) {
        let (applies, what) = match *name {
            "inputs-array" | "targets-array" => (
                file.is_named(),
                "speaks of the arrays of an NPZ or safetensors file, which have names",
            ),
            _ => (table, "speaks of tables of text"),
        };
        if !applies {
            let path = path.display();
            return usage(format!("--{name} {what}, and {path} is none: leave it out"));
        }
    }
    Ok(())
}

/// Reads and prepares the data of a run. The preparation is the one given, or is fitted on the rows to train on: those held out
/// have no part in it. `share` of the rows are held out where the settings say so by a share.
pub fn training(
    s: &Settings,
    fitted: Option<&Preparation>,
    share: impl Fn(usize) -> f64,
) -> Result<Training, Failure> {
    let data_path = path(s)?;
    let mut open = open_options(s);
    if let Some(fitted) = fitted {
        open.csv = fitted.csv_options();
        open.targets_csv = fitted.targets_csv_options();
    }
    let file = input::open(&files(data_path, s.targets.as_ref()), &open)?;
    let given = [
        ("delimiter", s.delimiter.is_some()),
        ("header", s.header.is_some()),
        ("decimal", s.decimal.is_some()),
        ("thousands", s.thousands.is_some()),
        ("na-values", s.na_values.is_some()),
        ("inputs-array", s.inputs_array.is_some()),
        ("targets-array", s.targets_array.is_some()),
    ];
    check_kind(&file, data_path, &given)?;
    if let (Part::Array(inputs), None) = (file.inputs(), file.targets())
        && s.target.is_none()
    {
        let last = inputs.cols() - 1;
        let text = format!(
            "it has no targets to learn: give them by --targets FILE, name an array of it by --targets-array, or say which \
             column they are by --target, as in --target {last}"
        );
        return unusable_at(data_path, text);
    }
    let options = preparation_options(s);
    let survey = Survey::of(&file, &options)?;
    let share = match s.validation {
        Held::Share(_) => share(survey.rows()),
        Held::File(_) => 0.0,
    };
    let (train, held) = match share > 0.0 {
        true => survey.split(1.0 - share, s.seed)?,
        false => ((0..survey.rows()).collect(), Vec::new()),
    };
    let preparation = match fitted {
        Some(fitted) => fitted.clone(),
        None => Preparation::fit_rows(&file, &survey, &train, &options)?,
    };
    if s.unseen != UnseenRule::Error && !preparation.has_categories() {
        return usage("--unseen speaks of columns of categories, and there is none: leave it out");
    }
    // A category that is held out in all its rows is none of the known ones there.
    let lenient = preparation.clone().with_unseen(Unseen::Zeros);
    let prepared = lenient.source(&file)?;
    let all = prepared.read(0..prepared.rows())?;
    let values = raw_values(&prepared, &preparation)?;
    let of = |rows: &[usize]| values.as_ref().map(|values| values.select(rows));
    let mut found = Findings {
        summary: describe(&file, survey.dropped()),
        guesses: guesses(&file),
        columns: lines(&survey, &preparation),
        warnings: survey.warnings().iter().map(with_option).collect(),
    };
    let (data, validation, values) = match &s.validation {
        Held::Share(_) if held.is_empty() => (all.clone(), None, [values, None]),
        Held::Share(_) => {
            let strict = preparation.clone().with_unseen(Unseen::Error);
            let unknown = strict.source(&file)?.unseen(&held)?;
            if unknown > 0 {
                found.warnings.push(format!(
                    "{unknown} of the {} rows to validate with have a category that none of the others has: there it is none of \
                     the known ones",
                    held.len()
                ));
            }
            let values = [of(&train), of(&held)];
            (all.select(&train), Some(all.select(&held)), values)
        }
        Held::File(path) => {
            let place = |path: &Path| std::fs::canonicalize(path).ok();
            if place(path).is_some() && place(path) == place(data_path) {
                let same = "the file to validate with is the one to train on: what it tells says nothing of new data";
                found.warnings.push(same.into());
            }
            let mut csv = preparation.csv_options();
            csv.delimiter = csv.delimiter.filter(|_| !is_tsv(path));
            let open = OpenOptions {
                csv,
                targets_csv: preparation.targets_csv_options(),
                ..open
            };
            let held = input::open(&files(path, s.validation_targets.as_ref()), &open)?;
            let source = preparation.source(&held)?;
            let held = source.read(0..source.rows())?;
            let of_held = raw_values(&source, &preparation)?;
            (all.clone(), Some(held), [values, of_held])
        }
    };
    Ok(Training {
        all,
        data,
        validation,
        preparation,
        values,
        found,
    })
}

/// The targets of all rows as they stand in the data, where they are numbers.
fn raw_values(data: &Prepared<'_>, by: &Preparation) -> Result<Option<Matrix<f64>>, Failure> {
    let is_values = matches!(by.target(), TargetEncoding::Values { .. });
    Ok(is_values.then(|| data.values(0..data.rows())).transpose()?)
}

fn is_tsv(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("tsv") || extension.eq_ignore_ascii_case("tab")
}

/// A warning with the option that mends what it is about.
fn with_option(warning: &Warning) -> String {
    let column = match &warning.column.name {
        Some(name) => crate::folder::shown(Path::new(name)),
        None => warning.column.index.to_string(),
    };
    let option = match warning.kind {
        WarningKind::Identifier => format!(" (--exclude {column} leaves it out)"),
        WarningKind::ManyClasses => {
            " (--task regression if these are numbers; --target names another)".into()
        }
        WarningKind::Header => " (--header true)".into(),
        WarningKind::LikeNumbers => format!(
            " (--categorical {column} if they are names; else take out of the file what stands around the numbers)"
        ),
        _ => String::new(),
    };
    format!("{warning}{option}")
}

fn guesses(file: &DataFile) -> Vec<String> {
    let tables = file.parts().filter_map(Part::table);
    let mut lines: Vec<String> = Vec::new();
    for guess in tables.flat_map(wgrad::Table::guesses) {
        let line = format!("{}: {} ({})", guess.what, guess.found, guess.evidence);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn describe(file: &DataFile, dropped: usize) -> String {
    let told = |part: &Part| match part {
        Part::Table(table) => {
            let header = table.names().map_or("without", |_| "with");
            let cut = match table.delimiter() {
                Delimiter::Whitespace => "white space".to_owned(),
                delimiter => format!("{:?}", delimiter.to_string()),
            };
            let cols = table.cols();
            format!("a table of {cols} columns {header} a header, cut at {cut}")
        }
        Part::Array(array) => {
            let dims: Vec<String> = array.shape().iter().map(usize::to_string).collect();
            format!("{:?} {}", array.element(), dims.join("×"))
        }
        _ => String::new(),
    };
    let (rows, inputs) = (output::count(file.rows() as u64), told(file.inputs()));
    let what = match (file.inputs(), file.targets()) {
        (_, Some(targets)) => format!("inputs {inputs}, targets {}", told(targets)),
        (Part::Table(_), None) => inputs,
        (_, None) => format!("inputs {inputs}"),
    };
    match dropped {
        0 => format!("{rows} rows; {what}"),
        _ => format!("{rows} rows, {dropped} of which are left out for missing values; {what}"),
    }
}
