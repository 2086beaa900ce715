//! What is said, and to whom.

use super::*;

#[test]
fn a_loss_that_is_not_finite_ends_with_code_1_and_leaves_a_checkpoint() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    let said = bad(
        at,
        "train t.csv --device cpu --optimizer sgd --lr 1e30 --run run",
        1,
    );
    says(&said, &["not finite", "lower --lr"]);
    says(&good(at, "inspect run"), &["checkpoint", "not finished"]);
}

#[test]
fn readers_that_go_away_are_no_error() {
    let at = folder();
    let at = at.path();
    digits(at);
    good(
        at,
        "train digits.csv --device cpu --epochs 1 --out m.safetensors -q",
    );
    let pipes = [
        format!("'{TOOL}' predict m.safetensors digits.csv --proba --device cpu | head -n 2"),
        format!("'{TOOL}' --help | head -n 1"),
        format!("'{TOOL}' completions bash | head -n 1"),
        format!("'{TOOL}' train digits.csv --device cpu --epochs 3 --run run | head -n 1"),
    ];
    for pipe in pipes {
        let output = bash(at, &format!("{pipe}; echo codes ${{PIPESTATUS[@]}}"));
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        assert!(out.ends_with("codes 0 0\n"), "{pipe}: {out}{said}");
        let quiet = !said.contains("panicked") && !said.contains("error");
        assert!(quiet, "{said}");
    }
    // The run went on without a reader.
    assert!(at.join("run/model.safetensors").exists());
    // A special file is written to, not replaced.
    good(
        at,
        "predict m.safetensors digits.csv --out /dev/null --device cpu",
    );
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

/// A bar that lives on a terminal, no wider than it; plain lines where there is none.
#[test]
fn progress_is_a_bar_on_a_terminal_and_lines_elsewhere() {
    let at = folder();
    let at = at.path();
    digits(at);
    let train = "train digits.csv --device cpu --hidden 64,64 --epochs 150 --patience 0 --run";
    let plain = good(at, &format!("{train} plain"));
    says(
        &plain,
        &[
            "epoch   2/150  loss ",
            "validation ",
            "accuracy ",
            " steps/s",
            " rows/s",
        ],
    );
    says(&plain, &["epoch 150/150", "150 epochs in ", "the best"]);
    assert!(!plain.contains(['\u{1b}', '▕', '\r']), "{plain}");
    // Not a line for each of many epochs.
    let lines = plain.lines().filter(|line| line.starts_with("epoch"));
    assert!((20..=100).contains(&lines.count()));

    let there = Command::new("script").arg("--version").output();
    if !there.is_ok_and(|output| text(&output.stdout).contains("util-linux")) {
        println!("skipped: util-linux's script is not there to make a terminal");
        return;
    }
    // Ctrl-C after two seconds.
    let run = train.replace("--epochs 150", "--epochs 1000000");
    let run = format!("stty rows 30 cols 72; timeout -s INT 2 '{TOOL}' {run} live");
    let line = format!("script -qec \"{run}\" log > /dev/null < /dev/null");
    let output = bash(at, &line);
    assert_eq!(output.status.code(), Some(124), "{}", text(&output.stderr));
    let live = read(&at.join("log"));
    says(
        &live,
        &["epoch       1/1000000 ▕", "▏ ", "/23000000 steps", " left"],
    );
    says(
        &live,
        &["stopping: the run is being saved", "stopped in epoch "],
    );
    says(&live, &[" steps/s", "wgrad train --resume live"]);
    // Every state of the bar is two lines that fit, the first of which is full.
    let states = live.split(['\r', '\n', '\u{1b}']);
    let states = states.filter(|part| part.contains('▕'));
    let widths: Vec<usize> = states.map(|part| part.trim_end().chars().count()).collect();
    let fit = widths.len() > 2 && widths.iter().all(|&width| width <= 2 * 72 + "[1A".len());
    assert!(fit, "{widths:?}");
}

#[test]
fn verify_shows_how_far_it_is_on_a_terminal_and_nothing_elsewhere() {
    let at = folder();
    let at = at.path();
    let plain = command(at, "verify --device cpu").output().unwrap();
    let said = text(&plain.stderr);
    assert!(said.starts_with("kernels on CPU, f32"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let json = command(at, "verify --device cpu --kernel copy --json");
    let json = { json }.output().unwrap();
    assert_eq!(text(&json.stderr), "");

    let there = Command::new("script").arg("--version").output();
    if !there.is_ok_and(|output| text(&output.stdout).contains("util-linux")) {
        println!("skipped: util-linux's script is not there to make a terminal");
        return;
    }
    let run = format!("stty rows 30 cols 72; '{TOOL}' verify --device cpu > out");
    let line = format!("script -qec \"{run}\" log > /dev/null < /dev/null");
    let output = bash(at, &line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let live = read(&at.join("log"));
    let kernels = wgrad::kernels::ALL.len();
    let of_all = format!(" of {kernels}: ");
    says(&live, &["kernel ", &of_all, "▕", " %  "]);
    let states = live.split(['\r', '\n', '\u{1b}']);
    for state in states.filter(|part| part.contains('▕')) {
        let shown = state.trim_start_matches("[2K").trim_end();
        assert!(shown.chars().count() <= 72, "{state}");
    }
    // What is found is on standard output, the same as without a terminal.
    assert_eq!(read(&at.join("out")), text(&plain.stdout));
}

/// What would be trained, for programs; nothing is made.
#[test]
fn a_dry_run_tells_programs_too() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(100)).unwrap();
    let told = json(&good(
        at,
        "train t.csv --device cpu --hidden 8 --dry-run --json",
    ));
    let places = [
        ("/data/rows", Value::from(100)),
        ("/data/training_rows", 80.into()),
        ("/data/validation_rows", 20.into()),
        ("/data/classes", Value::Null),
        ("/data/inputs/0", "size".into()),
        ("/network/inputs", 5.into()),
        ("/network/parameters", 57.into()),
        ("/network/layers/0/activation", "relu".into()),
        ("/network/layers/1/outputs", 1.into()),
        ("/training/optimizer", "adam".into()),
        ("/training/epochs", 1000.into()),
        ("/training/batch_size", 8.into()),
        ("/training/steps_per_epoch", 10.into()),
        ("/training/patience", 10.into()),
        ("/memory/data_bytes", (80 * 4 * 6).into()),
        ("/device/why", "asked for".into()),
    ];
    for (place, value) in places {
        assert_eq!(told.pointer(place), Some(&value), "{place}: {told}");
    }
    assert!(told["memory"]["trainer_bytes"].as_u64() > Some(57 * 4));
    assert_eq!(fs::read_dir(at).unwrap().count(), 1);
}

/// On a terminal no line is wider than it, and the last lines of a run are all there.
#[test]
fn what_a_run_ends_with_fits_a_terminal() {
    let there = Command::new("script").arg("--version").output();
    if !there.is_ok_and(|output| text(&output.stdout).contains("util-linux")) {
        println!("skipped: util-linux's script is not there to make a terminal");
        return;
    }
    let at = folder();
    let at = at.path();
    digits(at);
    let run = format!(
        "stty rows 30 cols 80; '{TOOL}' train digits.csv --device cpu --hidden 64 --epochs 60 --grad-norm --run run"
    );
    let line = format!("script -qec \"{run}\" log > /dev/null < /dev/null");
    assert!(bash(at, &line).status.success());
    let log = read(&at.join("log"));
    // Behind the last state of the bar.
    let (_, end) = log.rsplit_once('\u{1b}').unwrap();
    let lines: Vec<&str> = end.lines().collect();
    for line in &lines[1..lines.len() - 1] {
        assert!(line.chars().count() <= 80, "{line}");
    }
    says(
        end,
        &[
            " epochs in ",
            "rows of validation data",
            "weighted average",
            "model      run/model.safetensors",
            "report     run/report.md",
        ],
    );
}
