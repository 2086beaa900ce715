//! The tool as people use it: files in, files out, messages, exit codes; stopped, killed and gone on with.

#![cfg(unix)]

mod cases;
mod files;
mod kill;
mod messages;
mod options;
mod reports;
mod resume;
mod sweep;
mod work;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const TOOL: &str = env!("CARGO_BIN_EXE_wgrad");

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Words of a command line; those in single quotes are one.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(i, part)| match i % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect()
}

/// The tool, in a folder. What is said in the environment about devices is left out.
fn command(at: &Path, line: &str) -> Command {
    let mut command = Command::new(TOOL);
    command.current_dir(at).args(words(line));
    command.env_remove("WGPU_ADAPTER_NAME");
    command
}

/// The tool at work, with its standard error to be read.
fn start(at: &Path, line: &str) -> Child {
    let mut command = command(at, line);
    let piped = command.stdout(Stdio::null()).stderr(Stdio::piped());
    piped.spawn().unwrap()
}

/// A line for bash, in a folder.
fn bash(at: &Path, line: &str) -> Output {
    let mut command = Command::new("bash");
    command.current_dir(at).args(["-c", line]);
    command.env_remove("WGPU_ADAPTER_NAME");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output of a call that must succeed.
#[track_caller]
fn good(at: &Path, line: &str) -> String {
    let output = command(at, line).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
    text(&output.stdout)
}

/// Standard error of a call that must fail with this code, with one message, not a panic.
#[track_caller]
fn bad(at: &Path, line: &str, code: i32) -> String {
    failed(&command(at, line).output().unwrap(), line, code)
}

#[track_caller]
fn failed(output: &Output, line: &str, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    said
}

/// That everything is said that must be.
#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Puts the digits there, as `digits.csv`.
fn digits(at: &Path) -> String {
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits/optdigits.csv");
    fs::copy(digits, at.join("digits.csv")).unwrap();
    read(Path::new(digits))
}

/// A file of `tests/fixtures/data`.
fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    fs::read(path.join(name)).unwrap()
}

/// Rooms and prices: a table with numbers and categories, and a price that depends on them.
fn houses(rows: usize) -> String {
    let mut out = String::from("size,city,rooms,price\n");
    for i in 0..rows {
        let size = 30 + (i * 7919) % 170;
        let rooms = 1 + (i * 31) % 6;
        let (city, base) = [("Bonn", 40), ("Köln", 60), ("Essen", 0)][(i * 13) % 3];
        let price = 1500 * size + 10_000 * rooms + 1000 * base;
        let _ = writeln!(out, "{size},{city},{rooms},{price}");
    }
    out
}

/// An IDX pair of images of bars, lying or standing.
fn bars(at: &Path, prefix: &str, rows: u32) {
    let mut images = vec![0, 0, 8, 3];
    let mut labels = vec![0, 0, 8, 1];
    for n in [rows, 6, 6] {
        images.extend(n.to_be_bytes());
    }
    labels.extend(rows.to_be_bytes());
    for i in 0..rows {
        let (label, place) = ((i % 2) as u8, (i / 2) % 6);
        labels.push(label);
        for (y, x) in (0..36).map(|j| (j / 6, j % 6)) {
            let on = if label == 0 { y == place } else { x == place };
            images.push(match on {
                true => 255 - ((i * 37) % 60) as u8,
                false => ((i * x * y) % 25) as u8,
            });
        }
    }
    fs::write(at.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
    fs::write(at.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
}

/// Splits a table with a header: every `n`-th row for testing.
fn split(table: &str, n: usize) -> (String, String) {
    let (header, rows) = table.split_once('\n').unwrap();
    let (mut train, mut test) = (format!("{header}\n"), format!("{header}\n"));
    for (i, row) in rows.lines().enumerate() {
        let to = if i % n == 0 { &mut test } else { &mut train };
        let _ = writeln!(to, "{row}");
    }
    (train, test)
}

/// Options that make a run of every kind of state: dropout, a schedule by steps, best weights, running statistics.
const RICH: &str = "--hidden 24,24 --dropout 0.2 --norm batch --residual --patience 0 --schedule cosine --schedule-per step \
    --clip-norm 1 --class-weights balanced --label-smoothing 0.1 --seed 5 --batch-size 50 -q";

/// Waits for something, not for ever.
#[track_caller]
fn wait_until(mut what: impl FnMut() -> bool) {
    let began = Instant::now();
    while !what() {
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(120), "it does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal. The process may have ended already.
fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    kill.args([name, &child.id().to_string()]);
    kill.stderr(Stdio::null()).status().unwrap();
}

/// The bytes of a run's model.
fn model(at: &Path, run: &str) -> Vec<u8> {
    fs::read(at.join(run).join("model.safetensors")).unwrap()
}

/// The checkpoints of a run, the oldest first.
fn checkpoints(at: &Path, run: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(at.join(run).join("checkpoints")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A table without its columns that tell of time.
fn timeless(table: &str) -> Vec<String> {
    let (header, _) = table.split_once('\n').unwrap();
    let keep: Vec<bool> = header
        .split(',')
        .map(|name| !name.contains("second"))
        .collect();
    let line = |line: &str| {
        let cells = line.split(',').zip(&keep).filter(|(_, keep)| **keep);
        cells.map(|(cell, _)| cell.to_owned() + ",").collect()
    };
    table.lines().map(line).collect()
}

/// That two runs are the same to the bit, in weights, history and log, but for times.
#[track_caller]
fn same_runs(at: &Path, a: &str, b: &str) {
    assert!(model(at, a) == model(at, b), "other bits");
    let history = |run: &str| timeless(&read(&at.join(run).join("history.csv")));
    assert_eq!(history(a), history(b));
    let log = |run: &str| -> Vec<Value> {
        let log = read(&at.join(run).join("log.jsonl"));
        let timeless = |line| {
            let mut object = json(line);
            object
                .as_object_mut()
                .unwrap()
                .retain(|key, _| !key.contains("second") && key != "wall_time");
            object
        };
        log.lines().map(timeless).collect()
    };
    assert_eq!(log(a), log(b));
}
