//! `wgrad predict`.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use wgrad::Loss;
use wgrad::files::Replacement;

use crate::data::{New, Reading, Truth};
use crate::failure::{self, Failure, usage};
use crate::input::is_standard;
use crate::model::{self, Answering, Answers};
use crate::options::Names;
use crate::outputs::{self, NamedPath, OutputKind, named};
use crate::{output, setup};

const EXAMPLES: &str = "\
Examples:
  wgrad predict model.safetensors new.csv
  wgrad predict runs/iris-1 new.csv --proba --out predictions.csv
  wgrad predict model.safetensors t10k-images-idx3-ubyte.gz | head
  zstdcat new.csv.zst | wgrad predict model.safetensors -

The new data needs the columns of the training data; the target may be there or not. A line
comes out for each row: the class, or the numbers in the units of the training data.";

/// Answers for new data, as CSV
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A model, a checkpoint, or the folder of a run
    model: PathBuf,
    /// The new data; - is standard input
    data: PathBuf,
    /// Where to write; standard output unless given, or if this is -
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The probability of each class, too; of each label, with binary cross-entropy
    #[arg(long)]
    proba: bool,
    /// An array of JSON objects instead of CSV
    #[arg(long)]
    json: bool,
    /// Where to compute: auto, cpu, gpu, or a name or number as `wgrad devices` lists it
    #[arg(long, default_value = "auto")]
    device: String,
    /// Columns to give out beside the answers, by name or by number from 0 [default: those of --id in training]
    #[arg(long, value_name = "COLUMNS")]
    id: Option<Names>,
    #[command(flatten)]
    reading: Reading,
}

/// Rows that are read, computed and written at a time.
const ROWS: usize = 8192;

pub fn run(a: &Arguments) -> Result<(), Failure> {
    let read = [("the model", &a.model), ("the data", &a.data)];
    let read = read.map(|(what, path)| NamedPath { what, path });
    let written = named("--out", a.out.as_ref()).map(|out| (out, OutputKind::Text));
    outputs::check(&read, written.as_slice())?;
    let device = setup::device(&a.device)?.device;
    let mut model = Answering::open(&a.model, &device)?;
    let binary = model.criterion.loss == Loss::BinaryCrossEntropy;
    if a.proba && model.preparation.classes().is_none() && !binary {
        let what = "a model of classes, or one of the loss binary_cross_entropy";
        return usage(format!(
            "--proba needs {what}, but this one's answers are numbers: leave it out"
        ));
    }
    let preparation = a.reading.preparation(model.preparation.clone())?;
    let data = New::open(&a.data, &a.reading, &Truth::default(), &preparation)?.with_ids(&a.id)?;
    data.tell_unused()?;
    // Nothing is written before every row is known to have an answer. What is but one piece is prepared but once.
    let mut only = None;
    for rows in pieces(data.rows()) {
        let all = rows.len() == data.rows();
        only = Some(data.inputs(rows)?).filter(|_| all);
    }
    let mut to = Sink::open(a.out.as_deref())?;
    let mut names = data.id_names();
    let answers = header(&model, a.proba);
    if let Some(twin) = names.iter().find(|name| answers.contains(name)) {
        let advice = "give another column, or leave it out";
        return usage(format!("--id {twin} has the name of an answer: {advice}"));
    }
    names.extend(answers);
    match a.json {
        true => to.write(b"[")?,
        false => to.write(&line(&names)?)?,
    }
    for range in pieces(data.rows()) {
        let start = range.start;
        let ids = data.ids(range.clone())?;
        let x = match only.take() {
            Some(x) => x,
            None => data.inputs(range)?,
        };
        let mut text = Vec::new();
        let rows = rows(&model.answers(&x)?, &model, a.proba);
        for (r, row) in rows.into_iter().enumerate() {
            let row = ids.iter().map(|id| Value::from(id[r].as_str())).chain(row);
            if a.json {
                let object: Map<String, Value> = names.iter().cloned().zip(row).collect();
                let comma = if start + r == 0 { "\n  " } else { ",\n  " };
                text.extend(format!("{comma}{}", Value::Object(object)).into_bytes());
            } else {
                let cell = |value: Value| match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                text.extend(line(&row.map(cell).collect::<Vec<_>>())?);
            }
        }
        to.write(&text)?;
    }
    if a.json {
        to.write(b"\n]\n")?;
    }
    to.finish()
}

/// The rows in pieces.
fn pieces(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..rows).step_by(ROWS);
    starts.map(move |start| start..rows.min(start + ROWS))
}

/// Names of the columns that come out.
fn header(model: &Answering, proba: bool) -> Vec<String> {
    let mut names = model::target_names(&model.preparation);
    if proba {
        let of = match model.preparation.classes() {
            Some(classes) => classes.names().to_vec(),
            None => names.clone(),
        };
        names.extend(of.iter().map(|name| format!("p({name})")));
    }
    names
}

fn rows(answers: &Answers, model: &Answering, proba: bool) -> Vec<Vec<Value>> {
    match (answers, model.preparation.classes()) {
        (
            Answers::Classes {
                indices,
                probabilities,
            },
            Some(classes),
        ) => {
            let row = |(&index, p): (&u32, &[f64])| {
                let mut row = vec![Value::from(model::class_name(classes, index))];
                // As many digits as an f32 has.
                row.extend(p.iter().filter(|_| proba).map(|&p| number(p as f32)));
                row
            };
            let each = indices.iter().zip(probabilities.chunks(classes.len()));
            each.map(row).collect()
        }
        (Answers::Values(values), _) => {
            // Of binary cross-entropy the numbers are the probabilities.
            let again = if proba { 2 } else { 1 };
            let row = |r| std::iter::repeat_n(values.row(r), again).flatten();
            let row = |r| row(r).map(|&x| Value::from(x)).collect();
            (0..values.rows()).map(row).collect()
        }
        _ => Vec::new(),
    }
}

/// The shortest decimal number that is this f32.
fn number(x: f32) -> Value {
    let shortest = x.to_string().parse::<f64>();
    shortest.map_or(Value::Null, Value::from)
}

fn line(cells: &[String]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let fail = |e: String| Failure::File(format!("a line of CSV cannot be written: {e}"));
    writer
        .write_record(cells)
        .map_err(|e| fail(e.to_string()))?;
    writer.into_inner().map_err(|e| fail(e.to_string()))
}

/// Standard output, a file that is replaced when it is whole, or whatever stands at a path.
enum Sink {
    Standard,
    File(Replacement, PathBuf),
    /// A pipe or a device, which cannot be replaced.
    Special(File, PathBuf),
}

impl Sink {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| !is_standard(path)) else {
            return Ok(Self::Standard);
        };
        let fail = |e| failure::file(path, "it cannot be written", &e);
        if path.exists() && !path.is_file() && !path.is_dir() {
            let file = std::fs::OpenOptions::new().write(true).open(path);
            return Ok(Self::Special(file.map_err(fail)?, path.into()));
        }
        Ok(Self::File(Replacement::create(path)?, path.into()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let (written, path) = match self {
            Sink::Standard => return output::write(bytes),
            Sink::File(file, path) => (file.write_all(bytes), path),
            Sink::Special(file, path) => (file.write_all(bytes), path),
        };
        match written {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Closed),
            written => written.map_err(|e| failure::file(path, "it cannot be written", &e)),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        if let Sink::File(file, _) = self {
            file.finish()?;
        }
        Ok(())
    }
}
