//! The same numbers give the same prepared bits and the same guesses, whatever file they come in; and what metrics say of answers is
//! what anybody computes from them in f64.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use safetensors::tensor::{Dtype, TensorView};
use wgrad::metrics::Regression;
use wgrad::{
    Activation::*, Adam, CsvOptions, DataFile, Dataset, Device, Error, Loss, Matrix, Missing, Mlp,
    OpenOptions, Preparation, PreparationOptions, Source, Trainer,
};

/// A column of numbers, some of which may be missing.
fn numbers(rng: &mut ChaCha8Rng, rows: usize, missing: bool) -> Vec<f64> {
    let kind = rng.random_range(0..4);
    let offset = match rng.random_range(0..3) {
        0 => 0.0,
        _ => 10f64.powf(rng.random_range(0.0..12.0)),
    };
    // An f64 must have room for the differences.
    let least = (offset * 1e-12_f64).log10().max(-9.0);
    let scale = 10f64.powf(rng.random_range(least..9.0));
    let mut column: Vec<f64> = (0..rows)
        .map(|_| match kind {
            0 => f64::from(rng.random_range(-50..50)),
            1 => (rng.random_range(-9e15..9e15_f64)).trunc(),
            _ => offset + scale * rng.random_range(-1.0..1.0),
        })
        .collect();
    if missing {
        for x in &mut column {
            if rng.random_range(0..10) == 0 {
                *x = f64::NAN;
            }
        }
        column[0] = 1.5 * scale + offset;
    }
    column
}

/// A table as text, `cells` a row each.
fn text(cells: &[Vec<String>], names: Option<&[String]>, delimiter: &str, comma: bool) -> String {
    let mut out = String::new();
    if let Some(names) = names {
        let _ = writeln!(out, "{}", names.join(delimiter));
    }
    for row in cells {
        let row: Vec<String> = row
            .iter()
            .map(|cell| match comma {
                true => cell.replace('.', ","),
                false => cell.clone(),
            })
            .collect();
        let _ = writeln!(out, "{}", row.join(delimiter));
    }
    out
}

/// An array as NumPy writes it.
fn npy(descr: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let fortran = if fortran { "True" } else { "False" };
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({}), }}",
        dims.join(" ")
    );
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

fn little(data: impl IntoIterator<Item = f64>) -> Vec<u8> {
    data.into_iter().flat_map(f64::to_le_bytes).collect()
}

fn from_bytes(name: &str, bytes: Vec<u8>) -> DataFile {
    DataFile::from_bytes(name, bytes, &OpenOptions::default())
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The files that hold these inputs (columns) and targets: name and file.
fn files(inputs: &[Vec<f64>], target: &[f64], named: bool) -> Vec<(String, DataFile)> {
    let (rows, cols) = (target.len(), inputs.len());
    let cell = |x: f64| match x.is_nan() {
        true => "NA".to_owned(),
        false => x.to_string(),
    };
    let cells: Vec<Vec<String>> = (0..rows)
        .map(|r| {
            let row = inputs.iter().map(|column| cell(column[r]));
            row.chain([cell(target[r])]).collect()
        })
        .collect();
    let names: Vec<String> = (0..=cols).map(|c| format!("c{c}")).collect();
    let names = named.then_some(&names[..]);
    let mut out = Vec::new();
    for (name, delimiter, comma) in [
        ("a.csv", ",", false),
        ("a.tsv", "\t", false),
        ("semicolons.csv", ";", false),
        ("commas.csv", ";", true),
        ("pipes.csv", "|", false),
        ("spaces.txt", "  ", false),
    ] {
        let text = text(&cells, names, delimiter, comma);
        out.push((name.to_owned(), from_bytes(name, text.into_bytes())));
    }
    let rowwise: Vec<f64> = (0..rows)
        .flat_map(|r| inputs.iter().map(move |column| column[r]))
        .collect();
    let pair = |x: Vec<u8>, y: Vec<u8>| {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("x.npy"), folder.path().join("y.npy"));
        std::fs::write(&a, x).unwrap();
        std::fs::write(&b, y).unwrap();
        DataFile::open(&[a, b], &OpenOptions::default()).unwrap()
    };
    let x = npy("<f8", false, &[rows, cols], &little(rowwise.clone()));
    let y = npy("<f8", false, &[rows], &little(target.to_vec()));
    out.push(("npy".into(), pair(x.clone(), y.clone())));
    let columns = inputs.iter().flatten().copied();
    let fortran = npy("<f8", true, &[rows, cols], &little(columns));
    out.push(("npy, Fortran".into(), pair(fortran, y.clone())));
    let big = rowwise.iter().flat_map(|x| x.to_be_bytes());
    let big = npy(">f8", false, &[rows, cols], &big.collect::<Vec<u8>>());
    out.push(("npy, big-endian".into(), pair(big, y.clone())));
    if target.iter().all(|t| t.fract() == 0.0 && t.abs() < 1e15) {
        let whole: Vec<u8> = target
            .iter()
            .flat_map(|&t| (t as i64).to_le_bytes())
            .collect();
        out.push((
            "npy, i8 targets".into(),
            pair(x.clone(), npy("<i8", false, &[rows], &whole)),
        ));
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("x.npy", &x), ("y.npy", &y)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    out.push(("npz".into(), from_bytes("a.npz", zip)));
    let (x, y) = (little(rowwise), little(target.to_vec()));
    let tensors = [
        (
            "x",
            TensorView::new(Dtype::F64, vec![rows, cols], &x).unwrap(),
        ),
        ("y", TensorView::new(Dtype::F64, vec![rows], &y).unwrap()),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    out.push(("safetensors".into(), from_bytes("a.safetensors", bytes)));
    out
}

fn bits(data: &Dataset) -> (Vec<u32>, String) {
    let inputs = data.inputs().data().iter().map(|x| x.to_bits());
    (inputs.collect(), format!("{:?}", data.targets()))
}

#[test]
fn the_same_numbers_are_prepared_to_the_same_bits_whatever_file_they_come_in() {
    let mut classes = 0;
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (rows, cols) = (rng.random_range(30..70), rng.random_range(1..5));
        let missing = rng.random_range(0..2) == 0;
        let inputs: Vec<Vec<f64>> = (0..cols)
            .map(|_| numbers(&mut rng, rows, missing))
            .collect();
        let target: Vec<f64> = match seed % 3 {
            0 => (0..rows).map(|r| (r % 4) as f64 - 1.0).collect(),
            _ => numbers(&mut rng, rows, false),
        };
        let rules = [
            Missing::Mean,
            Missing::Median,
            Missing::MostFrequent,
            Missing::Drop,
            Missing::Constant("0.25".into()),
        ];
        let options = PreparationOptions {
            missing: rules[seed as usize % rules.len()].clone(),
            ..PreparationOptions::default()
        };
        let mut first = None;
        for (name, file) in files(&inputs, &target, seed % 2 == 0) {
            let what = format!("table {seed}, {name}");
            let preparation =
                Preparation::fit(&file, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
            classes += usize::from(preparation.classes().is_some());
            let data = preparation
                .apply(&file)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            let found = bits(&data);
            // Means are 0 and deviations 1, computed here from the numbers themselves.
            let expected = first.get_or_insert_with(|| found.clone());
            assert!(found == *expected, "{what}");
        }
    }
    assert!(classes > 100, "{classes}");
}

#[test]
fn standardised_numbers_are_those_of_f64_arithmetic() {
    for seed in 100..140 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let column = numbers(&mut rng, 200, false);
        let target: Vec<f64> = (0..200).map(|r| (r % 2) as f64).collect();
        let (_, file) = files(std::slice::from_ref(&column), &target, true).swap_remove(0);
        let preparation = Preparation::fit(&file, &PreparationOptions::default()).unwrap();
        let got = preparation.apply(&file).unwrap();
        // Two passes, from the first number on, so that nothing large is added up.
        let n = column.len() as f64;
        let mean = column.iter().map(|x| x - column[0]).sum::<f64>() / n;
        let centred: Vec<f64> = column.iter().map(|x| x - column[0] - mean).collect();
        let deviation = (centred.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
        for (got, x) in got.inputs().data().iter().zip(&centred) {
            // The mean as an f64 is off by an ulp of the largest number, which counts against the deviation.
            let largest = column.iter().fold(0.0_f64, |a, x| a.max(x.abs()));
            let bound = 2f64.powi(-23) * 4.0 + 8.0 * f64::EPSILON * largest / deviation;
            let error = (f64::from(*got) - x / deviation).abs();
            assert!(error <= bound, "table {seed}: {error} beyond {bound}");
        }
    }
}

#[test]
fn names_with_leading_zeros_stay_what_they_are_in_every_format() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let codes = ["00501", "501", "0501", "1e3"];
    let cells: Vec<Vec<String>> = (0..80)
        .map(|r| {
            let code = codes[rng.random_range(0..codes.len())];
            let x = rng.random_range(-1.0..1.0_f64);
            vec![
                code.to_owned(),
                x.to_string(),
                ["007", "7"][r % 2].to_owned(),
            ]
        })
        .collect();
    let width = 24;
    let strings = cells.iter().flatten().flat_map(|cell| {
        let chars = cell.chars().map(|c| c as u32);
        let padded: Vec<u32> = chars.chain(std::iter::repeat(0)).take(width).collect();
        padded.into_iter().flat_map(u32::to_le_bytes)
    });
    let array = npy(
        &format!("<U{width}"),
        false,
        &[80, 3],
        &strings.collect::<Vec<u8>>(),
    );
    let names: Vec<String> = ["code", "x", "agent"].map(String::from).into();
    let mut all = vec![from_bytes("a.npy", array)];
    for (delimiter, name) in [
        (",", "a.csv"),
        ("\t", "a.tsv"),
        (";", "b.csv"),
        (" ", "a.txt"),
    ] {
        for names in [None, Some(&names[..])] {
            let text = text(&cells, names, delimiter, false);
            all.push(from_bytes(name, text.into_bytes()));
        }
    }
    let options = PreparationOptions {
        targets: vec![2.into()],
        ..PreparationOptions::default()
    };
    let mut first = None;
    for file in &all {
        let preparation = Preparation::fit(file, &options).unwrap();
        assert_eq!(preparation.classes().unwrap().names(), ["7", "007"]);
        assert_eq!(
            preparation.input_names()[..4]
                .iter()
                .map(|name| name.split_once('=').unwrap().1)
                .collect::<Vec<_>>(),
            ["501", "0501", "00501", "1e3"]
        );
        let found = bits(&preparation.apply(file).unwrap());
        let expected = first.get_or_insert_with(|| found.clone());
        assert!(found == *expected);
    }
}

#[test]
fn metrics_are_those_that_anybody_computes_from_the_answers_in_f64() {
    for seed in 0..12 {
        let mut rng = ChaCha8Rng::seed_from_u64(1000 + seed);
        let rows = 60;
        let offset = 10f64.powi(rng.random_range(0..13));
        let scale = 10f64.powi(rng.random_range(-1..6)) * offset * 1e-9;
        let x: Vec<f64> = (0..rows).map(|_| rng.random_range(-1.0..1.0)).collect();
        let target: Vec<f64> = x.iter().map(|x| offset + scale * (x + x * x)).collect();
        let (_, file) = files(&[x], &target, true).swap_remove(0);
        let options = PreparationOptions {
            task: wgrad::Task::Regression,
            ..PreparationOptions::default()
        };
        let preparation = Preparation::fit(&file, &options).unwrap();
        let source = preparation.source(&file).unwrap();
        let data = source.read(0..rows).unwrap();
        let targets = source.values(0..rows).unwrap();
        assert_eq!(targets.data(), target);
        let network = Mlp::new(1).dense(16, Tanh).dense(1, Identity);
        let adam = Adam {
            lr: 0.02,
            ..Adam::default()
        };
        let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::Mse, adam, 3).unwrap();
        for _ in 0..300 {
            trainer.step(&data).unwrap();
        }
        let outputs = trainer.predict(data.inputs()).unwrap();
        let answers: Matrix<f64> = preparation.inverse_target(&outputs).unwrap();
        let told = Regression::new(&answers, &targets).unwrap();
        let n = rows as f64;
        let errors = answers.data().iter().zip(&target).map(|(a, t)| t - a);
        let errors: Vec<f64> = errors.collect();
        let square: f64 = errors.iter().map(|e| e * e).sum();
        let mean = target.iter().map(|t| t - target[0]).sum::<f64>() / n;
        let spread: f64 = target.iter().map(|t| (t - target[0] - mean).powi(2)).sum();
        let r2 = 1.0 - square / spread;
        // Far from 0 the targets themselves have few digits: their mean is off by an ulp or two of theirs.
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1e-3);
        assert!(close(told.r2.unwrap(), r2), "{seed}: {:?} {r2}", told.r2);
        assert!(r2 > 0.9, "{seed}: {r2} at {offset} ± {scale}");
        assert!(close(told.rmse, (square / n).sqrt()));
        let mae = errors.iter().map(|e| e.abs()).sum::<f64>() / n;
        assert!(close(told.mae, mae));
    }
}

#[test]
fn whole_numbers_beyond_2_to_the_53_are_names_or_refused() {
    let csv = |first: i64| {
        let mut out = String::from("id,x,y\n");
        for i in 0..40 {
            let _ = writeln!(out, "{},{}.5,{}", first + i % 4, i * 7 % 11, i % 2);
        }
        out
    };
    let table =
        |text: String| wgrad::Table::from_bytes("a.csv", text, &CsvOptions::default()).unwrap();
    let below = table(csv((1 << 53) - 8));
    let default = PreparationOptions::default();
    let preparation = Preparation::fit(&below, &default).unwrap();
    assert_eq!(preparation.input_width(), 2);
    let beyond = table(csv((1 << 53) + 2));
    let preparation = Preparation::fit(&beyond, &default).unwrap();
    assert_eq!(preparation.input_width(), 5);
    let numeric = PreparationOptions {
        numeric: vec!["id".into()],
        ..default
    };
    let error = Preparation::fit(&beyond, &numeric).unwrap_err();
    let Error::Cell(cell) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (cell.place.as_str(), cell.value.as_str()),
        ("line 2", "9007199254740994")
    );
    assert!(cell.problem.contains("beyond 2^53"), "{error}");
}
