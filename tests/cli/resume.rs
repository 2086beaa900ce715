//! Runs that are interrupted and taken up again.

use super::*;

fn stop_and_go_on(device: &str, epochs: u64, stops: usize) {
    let at = folder();
    let at = at.path();
    digits(at);
    let begin = |run: &str| {
        format!("train digits.csv {RICH} --device {device} --epochs {epochs} --run {run}")
    };
    good(at, &begin("whole"));
    let mut interrupted = 0;
    for i in 0..=stops {
        let line = match i {
            0 => begin("stopped"),
            _ => "train --resume stopped -q".into(),
        };
        let child = start(at, &line);
        if i < stops {
            let first = at.join("stopped/checkpoints/checkpoint-00000001.safetensors");
            wait_until(|| first.exists() || i > 0);
            std::thread::sleep(Duration::from_millis(40 + 30 * i as u64));
            signal(&child, "-INT");
        }
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        match output.status.code() {
            Some(130) => {
                interrupted += 1;
                // Before the run began there is nothing to save.
                let told = said.is_empty() || said.contains("wgrad train --resume stopped");
                assert!(told, "{said}");
            }
            Some(0) => {}
            code => panic!("{code:?}: {said}"),
        }
    }
    assert!(interrupted > 0, "it was never interrupted");
    same_runs(at, "whole", "stopped");
}

#[test]
fn interrupted_and_gone_on_with_it_has_the_bits_of_a_run_that_was_not() {
    stop_and_go_on("cpu", 60, 4);
}

#[test]
fn interrupted_on_a_gpu_it_has_the_same_bits_too() {
    let devices = json(&good(Path::new("."), "devices --json"));
    if devices["adapters"].as_array().unwrap().is_empty() {
        println!("skipped: there is no GPU");
        return;
    }
    stop_and_go_on("gpu", 12, 2);
}

#[test]
fn a_second_interrupt_stops_at_once_and_a_folder_has_one_run() {
    let at = folder();
    let at = at.path();
    digits(at);
    let child = start(
        at,
        &format!("train digits.csv {RICH} --device cpu --epochs 1000000 --run run"),
    );
    let first = at.join("run/checkpoints/checkpoint-00000001.safetensors");
    wait_until(|| first.exists());
    let said = bad(at, "train --resume run", 3);
    says(&said, &["run: another process is training in this folder"]);
    signal(&child, "-TERM");
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    // Whichever of the two was in time.
    good(at, "inspect run");
}

#[test]
fn a_run_can_have_more_epochs_and_nothing_else() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(100)).unwrap();
    good(
        at,
        "train t.csv --device cpu --epochs 3 --run run --hidden 8 -q",
    );
    good(at, "train --resume run --epochs 5 -q");
    assert_eq!(read(&at.join("run/history.csv")).lines().count(), 6);
    good(
        at,
        "train t.csv --device cpu --epochs 5 --run five --hidden 8 -q",
    );
    same_runs(at, "run", "five");

    // It has ended: what could change nothing is refused, and the way on is told.
    let said = bad(at, "train --resume run --epochs 4", 2);
    says(
        &said,
        &[
            "has done 5 epochs",
            "--epochs 4 cannot be",
            "give 5 or more",
        ],
    );
    let said = bad(at, "train --resume run --keep 7", 2);
    let on = "`wgrad train --resume run --epochs 10` makes it go on";
    says(
        &said,
        &[
            "the run in run has ended: its 5 epochs are done",
            "--keep would do nothing",
            on,
        ],
    );
    let ended = good(at, "train --resume run --epochs 5 --out again.safetensors");
    says(&ended, &["has ended: its 5 epochs are done", on]);
    assert!(fs::read(at.join("again.safetensors")).unwrap() == model(at, "run"));

    let said = bad(at, "train --resume run --lr 0.5", 2);
    says(&said, &["without --lr", "with --lr 0.5", "--init-from run"]);
    let said = bad(at, "train --resume run --hidden 9", 3);
    says(
        &said,
        &[
            "another architecture",
            "5 inputs → 8 relu",
            "5 inputs → 9 relu",
        ],
    );
    let said = bad(at, "train t.csv --device cpu --init-from run --hidden 9", 3);
    let both = [
        "run/model.safetensors",
        "5 inputs → 8 relu",
        "5 inputs → 9 relu",
    ];
    says(&said, &both);
    good(
        at,
        "train t.csv --device cpu --init-from run --hidden 8 --epochs 1 --run from -q",
    );
    says(
        &bad(at, "train --resume five --run other", 2),
        &["--run and --resume"],
    );
    says(
        &bad(at, "train --resume t.csv", 3),
        &["no run to go on with"],
    );
    says(
        &bad(at, "train --resume nowhere", 3),
        &["no run to go on with", "--run nowhere"],
    );

    // The data must be what it was.
    let other = houses(100)
        .replace("1500", "1501")
        .replace("Bonn,1", "Bonn,2");
    fs::write(at.join("t.csv"), other).unwrap();
    says(
        &bad(at, "train --resume run", 3),
        &["t.csv", "data has changed"],
    );
    fs::write(at.join("t.csv"), houses(101)).unwrap();
    says(
        &bad(at, "train --resume run", 3),
        &["101 rows now, 100 then"],
    );
    fs::write(at.join("t.csv"), houses(100)).unwrap();
    good(at, "train --resume run -q");

    // A checkpoint that is damaged is passed over; when all are, nothing is begun anew in silence.
    let damage = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(path, bytes).unwrap();
    };
    damage(checkpoints(at, "run").last().unwrap());
    says(&good(at, "train --resume run"), &["skipped", "checkpoint-"]);
    assert!(model(at, "run") == model(at, "five"), "other bits");
    checkpoints(at, "run").iter().for_each(|path| damage(path));
    says(
        &bad(at, "train --resume run", 3),
        &["none of its checkpoints loads"],
    );
}

/// A run that has ended because nothing improved goes on with more patience, as it says, and not with more epochs.
#[test]
fn a_run_that_improves_no_more_says_what_makes_it_go_on() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    let said = good(
        at,
        "train t.csv --device cpu --epochs 50 --patience 3 --min-delta 100 --run run",
    );
    says(&said, &["no improvement for 3"]);
    let lines = || read(&at.join("run/history.csv")).lines().count() - 1;
    assert_eq!(lines(), 4);
    let on = "`wgrad train --resume run --patience 6` makes it go on";
    for idle in ["--epochs 70", "--patience 2", "--min-delta 200"] {
        let said = bad(at, &format!("train --resume run {idle}"), 2);
        let option = idle.split(' ').next().unwrap();
        says(
            &said,
            &[
                "nothing improved for 3 epochs",
                &format!("{option} would do nothing"),
                on,
            ],
        );
    }
    says(&good(at, "train --resume run"), &["has ended", on]);
    assert_eq!(lines(), 4);
    good(at, "train --resume run --patience 6 -q");
    assert_eq!(lines(), 7);
}

/// The bound of epochs is far away and patience decides, of the training loss where nothing is held out; what ends at its bound
/// while it still improves says so, and the command that it names goes on.
#[test]
fn a_run_ends_when_nothing_improves_or_says_that_it_ended_too_soon() {
    let at = folder();
    let at = at.path();
    // Patience ends it: one number is as good as any, and soon learnt.
    let table: String = (0..60).map(|i| format!("{},{}\n", i % 2, i % 2)).collect();
    fs::write(at.join("t.csv"), format!("x,y\n{table}")).unwrap();
    let said = good(
        at,
        "train t.csv --device cpu --validation 0 --lr 0.05 --run all",
    );
    says(
        &said,
        &[
            "at most 1,000 epochs of 10 steps of 6 rows, patience 10 for the training loss",
            "steps of a tenth of the rows",
            "no improvement for 10",
        ],
    );
    assert!(!said.contains("ended at its bound"), "{said}");
    let epochs = read(&at.join("all/history.csv")).lines().count() - 1;
    assert!((11..500).contains(&epochs), "{epochs}");
    let config = read(&at.join("all/config.toml"));
    says(
        &config,
        &[
            "\nepochs = 1000\n",
            "\nbatch-size = 6\n",
            "\nmin-delta = 0.0001\n",
            "\nrestore-best = false\n",
        ],
    );
    // Not with as many rows as today's habit needs.
    digits(at);
    let said = good(at, "train digits.csv --device cpu --dry-run");
    says(&said, &["of 64 rows, patience 10 for the validation loss"]);
    assert!(!said.contains("a tenth of the rows"), "{said}");

    fs::write(at.join("h.csv"), houses(100)).unwrap();
    let said = good(at, "train h.csv --device cpu --epochs 4 --run short");
    says(
        &said,
        &[
            "ended at its bound of 4 epochs while the validation loss still fell",
            "\n  wgrad train --resume short --epochs 40\n",
        ],
    );
    let told = json(&good(at, "train --resume short --epochs 40 --json -q"));
    assert!(told["epochs"].as_u64() > Some(4), "{told}");
    // All that falls over the whole run must come to its end.
    let said = good(at, "train h.csv --device cpu --schedule cosine --dry-run");
    says(&said, &["at most 100 epochs"]);
}
