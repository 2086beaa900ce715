//! What to do about data that cannot be used: the options that mend it.

use wgrad::Error;
use wgrad::error::{CellKind, ColumnKind};

use super::At;
use crate::folder::shown;

/// Puts the tool's remedies in the place of the library's, where an error is about data.
pub fn with_options(error: &mut Error, at: At) {
    let training = at == At::Train;
    match error {
        Error::Cell(cell) => {
            let column = argument(&cell.column);
            let first_line = cell.place == "line 1";
            let table = cell.place.starts_with("line");
            if let Some(advice) = of_cell(cell.kind, &column, first_line, training, table) {
                // What is known of the value goes before.
                let known = cell.advice.split_once(": correct it");
                cell.advice = match (cell.kind, known) {
                    (CellKind::UnseenCategory, Some((known, _))) => format!("{known}: {advice}"),
                    _ => advice,
                };
            }
        }
        Error::Column {
            column,
            kind,
            advice,
            ..
        } => {
            if let Some(options) = of_column(*kind, &argument(column)) {
                *advice = options;
            }
        }
        Error::UnknownColumn { column, known, .. } => {
            let arrays = column.starts_with("array");
            let headless = known.starts_with("no header");
            *known += match (arrays, headless, training) {
                (true, ..) => {
                    ": say which are meant by --inputs-array NAME and --targets-array NAME"
                }
                (_, true, _) => {
                    ": if its first line has the names of the columns, give --header true"
                }
                (.., true) => ": if its lines are cut at the wrong places, give --delimiter",
                (.., false) => {
                    ": if it is written otherwise than the training data, say so by --delimiter and --header"
                }
            };
        }
        Error::OneClass { column, .. } => {
            *column = format!("{column} (--target names another)");
        }
        Error::Line { advice, .. } if advice.contains("no header") => {
            *advice += ", by --header false";
        }
        Error::Line { advice, .. } => {
            *advice += "; --delimiter says where lines are cut";
        }
        Error::File {
            problem, advice, ..
        } if problem.contains("decimal comma") => {
            *advice = "say which it is, by --decimal , or --decimal .; the other column is one of text then".into();
        }
        Error::Argument { name, .. } => {
            let option = match name.as_str() {
                "the delimiter" => "--delimiter",
                "the decimal mark" => "--decimal",
                "the thousands separator" => "--thousands",
                "the fraction of a split" => {
                    "the share of the rows to train on (1 less --validation)"
                }
                _ => return,
            };
            *name = option.into();
        }
        _ => {}
    }
}

fn of_cell(
    kind: CellKind,
    column: &str,
    first_line: bool,
    training: bool,
    table: bool,
) -> Option<String> {
    if !table {
        // Of arrays there are no words and no ways to write a number.
        return Some(match (kind, training) {
            (CellKind::MissingInput, true) => format!(
                "fill it in; or give --missing drop, mean, median, most-frequent or constant(VALUE), for this column alone as in \
                 --missing {column}=mean"
            ),
            (CellKind::MissingTarget, true) => format!(
                "fill it in; or leave out the rows that miss a value by --missing drop, those that miss this one by --missing \
                 {column}=drop"
            ),
            (CellKind::MissingInput | CellKind::MissingTarget, false) => {
                "fill it in, or leave that row out".into()
            }
            (CellKind::NotANumber, true) => {
                format!("correct it, or give --categorical {column} if these are names")
            }
            (CellKind::NotFinite, true) => {
                format!("correct it, or leave the column out by --exclude {column}")
            }
            (CellKind::NotANumber | CellKind::NotFinite, false) => "correct it".into(),
            (CellKind::TooLarge | CellKind::UnseenCategory, _) => {
                return of_cell(kind, column, first_line, training, true);
            }
            _ => return None,
        });
    }
    let header = match first_line {
        true => "; if the first line has the names of the columns, give --header true",
        false => "",
    };
    Some(match (kind, training) {
        (CellKind::MissingInput, true) => format!(
            "fill it in; or give --missing drop, mean, median, most-frequent or constant(VALUE), for this column alone as in \
             --missing {column}=most-frequent; or say by --na-values which words count as missing{header}"
        ),
        (CellKind::MissingInput, false) => format!(
            "fill it in, or say by --na-values which words count as missing; what stands in for missing values is decided when a \
             model is trained{header}"
        ),
        (CellKind::MissingTarget, true) => format!(
            "fill it in; or leave out the rows that miss a value by --missing drop, those that miss this one by --missing {column}=drop; \
             or say by --na-values which words count as missing"
        ),
        (CellKind::MissingTarget, false) => {
            "fill it in, leave that row out, or say by --na-values which words count as missing"
                .into()
        }
        (CellKind::NotANumber, true) => format!(
            "correct it; or count it among the missing values by --na-values; or give --categorical {column} if these are names, \
             --decimal , or --thousands , where commas stand in numbers{header}"
        ),
        (CellKind::NotANumber, false) => format!(
            "correct it, or count it among the missing values by --na-values; --decimal and --thousands say how numbers are \
             written{header}"
        ),
        (CellKind::NotFinite, true) => format!(
            "correct it, count it among the missing values by --na-values, or leave the column out by --exclude {column}"
        ),
        (CellKind::TooLarge, true) => format!(
            "leave the column out by --exclude {column}, or give --categorical {column} if these are names"
        ),
        (CellKind::UnseenCategory, _) => {
            "correct it, or give --unseen zeros, which takes it for none of them".into()
        }
        (CellKind::Notation, _) => "say which: --thousands , or --decimal ,".into(),
        _ => return None,
    })
}

fn of_column(kind: ColumnKind, column: &str) -> Option<String> {
    Some(match kind {
        ColumnKind::Empty => format!("leave it out, by --exclude {column}"),
        ColumnKind::EmptyTarget => {
            "choose another by --target: unless one is said, the last column is learnt".into()
        }
        ColumnKind::ConstantTarget => "choose another by --target".into(),
        ColumnKind::ManyClasses => "choose another by --target; or give --task classification if these are classes, --task \
                                    regression if they are numbers, with --decimal and --thousands as they are written"
            .into(),
        ColumnKind::ManyCategories => format!(
            "leave it out, by --exclude {column}; keep it, by --categorical {column}, with --max-categories N for more of them; or \
             give --numeric {column} if its values are numbers"
        ),
        ColumnKind::Currency => format!(
            "take that sign out of the file; or give --exclude {column}, or --categorical {column} if these are names"
        ),
        ColumnKind::TextTarget => format!(
            "learn it alone, by --target {column}, for its classes; or give --numeric {column} if its values are numbers"
        ),
        ColumnKind::TargetAmongInputs => {
            format!("leave it out of the inputs, by --exclude {column}")
        }
        _ => return None,
    })
}

/// A column as an option takes it, of what errors call it.
fn argument(label: &str) -> String {
    let name = label.strip_prefix("column ").unwrap_or(label);
    let quoted = name.strip_prefix('"');
    match quoted.and_then(|rest| rest.rsplit_once('"')) {
        Some((name, _)) => {
            let name = name.replace("\\\"", "\"").replace("\\\\", "\\");
            let name = match name.contains([',', '=']) {
                true => format!("\"{name}\""),
                false => name,
            };
            shown(std::path::Path::new(&name))
        }
        None => name.split(' ').next().unwrap_or(name).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_called_as_options_take_them() {
        assert_eq!(argument("column \"age\""), "age");
        assert_eq!(argument("column \"a b\""), "'a b'");
        assert_eq!(argument("column \"a, b\""), "'\"a, b\"'");
        assert_eq!(argument("column 3 (from 0)"), "3");
    }
}
