//! Standard output and standard error: a reader that has gone is no error, and never a panic.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::failure::{Failure, unusable};

/// Writes to standard output.
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Failure::Closed),
        Err(e) => unusable(format!("standard output cannot be written ({e})")),
    }
}

/// A line on standard output.
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Text for a terminal: lines that are wider are broken between words, and go on under what stands behind their label. Where
/// there is no terminal they stay as they are.
#[cfg(unix)]
pub fn fitted(text: &impl std::fmt::Display, to: &impl std::os::fd::AsFd) -> String {
    let width = terminal_size::terminal_size_of(to).map(|(width, _)| width.0.into());
    broken(&text.to_string(), width)
}

#[cfg(windows)]
pub fn fitted(text: &impl std::fmt::Display, to: &impl std::os::windows::io::AsHandle) -> String {
    let width = terminal_size::terminal_size_of(to).map(|(width, _)| width.0.into());
    broken(&text.to_string(), width)
}

/// Columns that labels take.
const LABEL: usize = 11;

fn broken(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|&width| width > 2 * LABEL) else {
        return text.into();
    };
    let line = |line: &str| {
        // A command is to be copied as it is.
        if line.chars().count() <= width || line.trim_start().starts_with("wgrad ") {
            return line.to_owned();
        }
        let before = line.chars().take(LABEL).collect::<String>();
        let indent = match before.ends_with("  ") {
            true => LABEL,
            false => 2 + line.chars().take_while(|c| *c == ' ').count(),
        };
        let mut out = String::new();
        let mut at = 0;
        // The spaces before a word belong to it.
        for word in line.split_inclusive(' ') {
            if at + word.trim_end().chars().count() > width && at > indent {
                out.truncate(out.trim_end().len());
                out += "\n";
                out.extend(std::iter::repeat_n(' ', indent));
                at = indent;
            }
            if !(word == " " && at == indent) {
                out += word;
                at += word.chars().count();
            }
        }
        out
    };
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

/// A value as JSON on standard output.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(e) => unusable(format!("the result cannot be written as JSON: {e}")),
    }
}

/// A line on standard error; lost where nobody reads it.
pub fn note(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A number of bytes for people.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut x = n as f64;
    let mut unit = 0;
    while x >= 1024.0 && unit + 1 < UNITS.len() {
        x /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} B"),
        _ => format!("{x:.1} {}", UNITS[unit]),
    }
}

/// A whole number with commas between thousands.
pub fn count(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

/// So many things, as `1 epoch` or `2,000 epochs`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A number in a few characters.
pub fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if (1e-3..1e5).contains(&a) => format!("{x:.4}"),
        _ => format!("{x:.3e}"),
    }
}

/// Names for people, not too many.
pub fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown = names[..names.len().min(MOST)].join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Names for people, as many as fit into so many characters.
pub fn listed_within(names: &[String], most: usize) -> String {
    let mut out = String::new();
    for (i, name) in names.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        if i > 0 && out.chars().count() + name.chars().count() + 2 > most {
            return format!("{out}, …");
        }
        out += comma;
        out += &within(name, most);
    }
    out
}

/// A text cut to so many characters.
pub fn within(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Seconds for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    match whole {
        _ if seconds < 0.001 => format!("{:.0} µs", 1e6 * seconds),
        _ if seconds < 0.9995 => format!("{:.0} ms", 1e3 * seconds),
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {:02} s", whole % 60),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_lines_are_broken_between_words_and_lose_none() {
        let text = "data       d.csv: 1,797 rows; a table of 65 columns with a header, and more\n\
                    short\n  wgrad train --resume a/very/long/path/to/a/run/that/has/a/name --epochs 500";
        assert_eq!(broken(text, None), text);
        let told = "data       d.csv: 1,797 rows; a table of\n           65 columns with a header, and\n           more\nshort\n";
        let got = broken(text, Some(40));
        assert!(got.starts_with(told), "{got}");
        assert!(got.ends_with("/name --epochs 500"), "{got}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&got), words(text));
        let wide = "epoch 60/60  loss 0.0051     validation 0.0352     accuracy  98.89 %  best";
        let got = broken(wide, Some(60));
        assert!(got.lines().all(|line| line.chars().count() <= 60), "{got}");
        assert_eq!(words(&got), words(wide));
    }
}
