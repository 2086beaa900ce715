//! Reports: what they say is what the predictions are, and they stay small.

use super::*;

/// Numbers of a column of a table with a header.
fn column(table: &str, name: &str) -> Vec<f64> {
    let at = table.lines().next().unwrap();
    let at = at.split(',').position(|cell| cell == name).unwrap();
    let cell = |line: &str| line.split(',').nth(at).unwrap().parse().unwrap();
    table.lines().skip(1).map(cell).collect()
}

/// Numbers in ±1, the same every time.
fn noise(i: usize) -> f64 {
    ((i * 7919 + 104_729) % 2003) as f64 / 1001.0 - 1.0
}

#[test]
fn several_targets_are_reported_by_name_in_their_own_units() {
    let at = folder();
    let at = at.path();
    let mut table = String::from("a,b,seconds,width\n");
    for i in 0..300 {
        let (a, b) = (noise(i), noise(3 * i + 1));
        // Seconds in halves: f64 has them, f32 has not.
        let seconds = 1_700_000_000.0 + (60.0 * a + 20.0 * b).round() / 2.0;
        let _ = writeln!(table, "{a},{b},{seconds},{}", 0.001 * (a - b));
    }
    fs::write(at.join("t.csv"), &table).unwrap();
    good(
        at,
        "train t.csv --target seconds,width --run r --epochs 60 --lr 0.01 --device cpu -q",
    );
    let told = json(&good(at, "evaluate r t.csv --device cpu --json"));
    let scores = &told["report"]["scores"]["regression"];
    let predicted = good(at, "predict r t.csv --device cpu");
    let mut all = Vec::new();
    for (c, name) in ["seconds", "width"].into_iter().enumerate() {
        let (t, a) = (column(&table, name), column(&predicted, name));
        let n = t.len() as f64;
        let mean = t.iter().map(|x| x - t[0]).sum::<f64>() / n + t[0];
        let squares: f64 = t.iter().zip(&a).map(|(t, a)| (t - a) * (t - a)).sum();
        let spread: f64 = t.iter().map(|t| (t - mean) * (t - mean)).sum();
        let r2 = 1.0 - squares / spread;
        assert_eq!(scores["targets"][c]["name"], name);
        // Targets that are brought back from f32 are off by 3e-8 of their deviation.
        let near = |key: &str, expected: f64| {
            let got = scores["targets"][c][key].as_f64().unwrap();
            assert!(
                (got - expected).abs() <= 1e-6 * expected,
                "{name} {key}: {got} {expected}"
            );
        };
        near("r2", r2);
        near("rmse", (squares / n).sqrt());
        assert!(r2 > 0.9, "{name}: {r2}");
        all.push(r2);
    }
    let mean = scores["r2"].as_f64().unwrap();
    assert!((mean - (all[0] + all[1]) / 2.0).abs() < 1e-6);
    says(
        &good(at, "evaluate r t.csv --device cpu"),
        &["target", "R²", "MAE", "RMSE", "seconds ", "width ", "mean "],
    );
    says(
        &read(&at.join("r/report.md")),
        &[
            "seconds ",
            "![Predicted against true](predicted-against-true.svg)",
        ],
    );
    // The axis has room for what differs.
    let svg = read(&at.join("r/predicted-against-true.svg"));
    says(&svg, &["true − 1700000000", "\nwidth\n"]);
}

#[test]
fn labels_are_reported_by_name_and_have_probabilities() {
    let at = folder();
    let at = at.path();
    let mut table = String::from("a,b,red,round\n");
    for i in 0..300 {
        let (a, b) = (noise(i), noise(3 * i + 1));
        let (red, round) = (a + 0.3 * noise(7 * i) > 0.0, b > 0.3);
        let _ = writeln!(table, "{a},{b},{},{}", u8::from(red), u8::from(round));
    }
    fs::write(at.join("t.csv"), &table).unwrap();
    good(
        at,
        "train t.csv --target red,round --task regression --loss binary_cross_entropy --run r --epochs 60 --lr 0.01 \
         --device cpu -q",
    );
    let predicted = good(at, "predict r t.csv --proba --device cpu");
    assert_eq!(predicted.lines().next(), Some("red,round,p(red),p(round)"));
    let told = json(&good(at, "evaluate r t.csv --device cpu --json"));
    let scores = &told["report"]["scores"]["multi_label"];
    let mut right = vec![true; 300];
    for (c, name) in ["red", "round"].into_iter().enumerate() {
        let t = column(&table, name);
        let p = column(&predicted, &format!("p({name})"));
        assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
        let count = |predicted: bool, target: f64| {
            let rows = t.iter().zip(&p);
            rows.filter(|(t, p)| (**p > 0.5) == predicted && **t == target)
                .count() as f64
        };
        let (hit, false_alarm, missed) = (count(true, 1.0), count(true, 0.0), count(false, 1.0));
        for (whole, (t, p)) in right.iter_mut().zip(t.iter().zip(&p)) {
            *whole &= (*p > 0.5) == (*t == 1.0);
        }
        // Pairs of a 1 and a 0 in the right order.
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (i, j) in (0..300).flat_map(|i| (0..300).map(move |j| (i, j))) {
            if t[i] > t[j] {
                pairs += 1.0;
                wins += f64::from(u8::from(p[i] > p[j])) + 0.5 * f64::from(u8::from(p[i] == p[j]));
            }
        }
        assert_eq!(scores["labels"][c]["name"], name);
        for (key, expected) in [
            ("accuracy", (300.0 - false_alarm - missed) / 300.0),
            ("precision", hit / (hit + false_alarm)),
            ("recall", hit / (hit + missed)),
            ("f1", 2.0 * hit / (2.0 * hit + false_alarm + missed)),
            ("roc_auc", wins / pairs),
        ] {
            let got = scores["labels"][c][key].as_f64().unwrap();
            assert!(
                (got - expected).abs() < 1e-12,
                "{name} {key}: {got} {expected}"
            );
            assert!(got > 0.8, "{name} {key}: {got}");
        }
    }
    let share = right.iter().filter(|&&whole| whole).count() as f64 / 300.0;
    let got = scores["subset_accuracy"].as_f64().unwrap();
    assert!((got - share).abs() < 1e-12, "{got} {share}");
    let enough = "evaluate r t.csv --device cpu --at-least";
    says(
        &good(at, &format!("{enough} 0.5")),
        &["label", "ROC-AUC", "red ", "round "],
    );
    says(
        &bad(at, &format!("{enough} 1.1"), 1),
        &["the share of rows with all labels right is 0."],
    );
    says(
        &read(&at.join("r/report.md")),
        &["all labels right in", "learning-curve.svg"],
    );

    // A model of plain numbers has no probabilities.
    good(
        at,
        "train t.csv --target red --task regression --run n --epochs 1 --device cpu -q",
    );
    says(
        &bad(at, "predict n t.csv --proba --device cpu", 2),
        &["--proba", "binary_cross_entropy"],
    );
}

/// As many classes as a table of cities has: a report that can be read, and files that can be opened.
#[test]
fn a_report_of_many_classes_stays_small() {
    let at = folder();
    let at = at.path();
    let mut table = String::from("a,b,city\n");
    for i in 0..6000 {
        let _ = writeln!(
            table,
            "{},{},the city of number {:>04}",
            noise(i),
            noise(5 * i),
            i % 1500
        );
    }
    fs::write(at.join("t.csv"), &table).unwrap();
    let said = good(
        at,
        "train t.csv --run r --epochs 2 --hidden 8 --batch-size 500 --device cpu",
    );
    says(
        &said,
        &["(1450 classes more)", "most often confused:", " pairs more"],
    );
    assert!(said.lines().count() < 120, "{said}");
    let size = |name: &str| fs::metadata(at.join("r").join(name)).unwrap().len();
    assert!(size("report.json") < 1500 * 250, "{}", size("report.json"));
    assert!(size("report.md") < 20_000, "{}", size("report.md"));
    assert!(size("largest-confusions.svg") < 50_000);
    assert!(!at.join("r/confusion-matrix.svg").exists());
    says(
        &read(&at.join("r/report.md")),
        &["![Largest confusions](largest-confusions.svg)"],
    );
    let told = json(&read(&at.join("r/report.json")));
    let c = &told["report"]["scores"]["classification"];
    assert!(c["confusion"].is_null());
    let most = &c["most_confused"];
    assert_eq!(most["pairs"].as_array().unwrap().len(), 100);
    let rows = |value: &Value| value["rows"].as_u64().unwrap();
    let listed: u64 = most["pairs"].as_array().unwrap().iter().map(rows).sum();
    let wrong = listed + most["more_rows"].as_u64().unwrap();
    let accuracy = c["accuracy"].as_f64().unwrap();
    assert_eq!(wrong, ((1.0 - accuracy) * 1200.0).round() as u64);
}

/// Long names are shortened in plots, and titles have room; a long run has a page of epochs.
#[test]
fn plots_have_room_for_their_texts() {
    let at = folder();
    let at = at.path();
    let mut table = String::from("a,b,kind\n");
    for i in 0..200 {
        let name = if noise(i) > 0.0 {
            "W".repeat(60)
        } else {
            "a<b & c".into()
        };
        let _ = writeln!(table, "{},{},{name}", noise(i), noise(3 * i));
    }
    fs::write(at.join("t.csv"), &table).unwrap();
    good(
        at,
        "train t.csv --run r --epochs 250 --patience 0 --hidden 4 --device cpu -q",
    );
    let svg = read(&at.join("r/confusion-matrix.svg"));
    says(
        &svg,
        &["WWWWW…\n", "a&lt;b &amp; c", "font-family=\"sans-serif\""],
    );
    assert!(!svg.contains(&"W".repeat(20)), "{svg}");
    // The title is in the middle, and as wide as its 51 letters of 8 or so.
    let attribute = |tag: &str, name: &str| -> f64 {
        let value = tag.split(&format!(" {name}=\"")).nth(1).unwrap();
        value.split('"').next().unwrap().parse().unwrap()
    };
    let width = attribute(&svg, "width");
    let title = svg
        .split("<text")
        .find(|t| t.contains("Predicted class"))
        .unwrap();
    let x = attribute(title, "x");
    assert!(
        (x - width / 2.0).abs() <= 1.0 && width > 440.0,
        "{x} of {width}"
    );

    let report = read(&at.join("r/report.md"));
    let epochs = report.split("## Epochs").nth(1).unwrap();
    assert!(epochs.lines().count() < 110, "{epochs}");
    says(
        epochs,
        &["\n    1  ", "\n  250  ", "one of 3", "history.csv"],
    );
    assert_eq!(read(&at.join("r/history.csv")).lines().count(), 251);
}

#[test]
fn a_first_epoch_beyond_reason_is_warned_about_once() {
    let at = folder();
    let at = at.path();
    let mut table = String::from("a,b,y\n");
    for i in 0..200 {
        let _ = writeln!(table, "{},{},{}", noise(i), noise(3 * i), 1e7 * noise(i));
    }
    fs::write(at.join("t.csv"), &table).unwrap();
    let said = |options: &str| {
        let line = format!("train t.csv --epochs 3 --device cpu --plots false {options}");
        let output = command(at, &line).output().unwrap();
        assert!(output.status.success());
        text(&output.stderr)
    };
    let wrong = said("--standardize-target false");
    says(
        &wrong,
        &[
            "the loss of the first epoch is 3.",
            "e13",
            "--standardize-target true",
            "--lr below 0.001",
        ],
    );
    assert_eq!(wrong.matches("warning: the loss").count(), 1, "{wrong}");
    // What it says helps.
    assert!(!said("--standardize-target true").contains("warning: the loss"));
    assert!(!said("--standardize-target false -q").contains("warning: the loss"));
}

#[test]
fn a_log_loss_that_is_not_the_loss_says_so() {
    let at = folder();
    let at = at.path();
    let mut table = String::from("a,b,kind\n");
    for i in 0..200 {
        let kind = if noise(i) > 0.0 { "x" } else { "y" };
        let _ = writeln!(table, "{},{},{kind}", noise(i), noise(3 * i));
    }
    fs::write(at.join("t.csv"), &table).unwrap();
    let note = "(without the label smoothing 0.2 of the loss)";
    let train = "train t.csv --epochs 3 --device cpu --plots false";
    says(
        &good(at, &format!("{train} --label-smoothing 0.2")),
        &[note],
    );
    assert!(!good(at, train).contains("log loss 0.0000 ("));
    assert!(!good(at, train).contains("of the loss)"));
}

/// Reports of adapters: a line each. What judges an adapter takes minutes, and is the kernel table's and the profile's tests.
#[test]
fn reports_of_adapters_make_a_table() {
    let at = folder();
    let at = at.path();
    let report = r#"{
        "wgrad": "0.1.0", "device": "A GPU (discrete GPU, vulkan, driver 1)", "software": false, "details": {}, "cpu": "CPU",
        "kernels": { "passed": false, "checks": 230, "elements": 5, "failures": [{}, {}] },
        "gpu_peak": { "flops": 6.25e13, "bytes": 3.5e12 }, "cpu_peak": { "flops": 1e11, "bytes": 1e10 },
        "steps": [{ "network": "784-128-10", "rows": 64, "gpu_seconds": 6.25e-5, "cpu_seconds": 1e-3 }],
        "choices": {}, "tuning": {}
    }"#;
    fs::write(at.join("a.json"), report).unwrap();
    let table = good(at, "report --table a.json a.json");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let parts = [
        "A GPU",
        "2 of 230 checks of the kernels FAILED",
        "| 62500 | 3500 | – | 0.062 |",
    ];
    says(lines[2], &parts);
    assert_eq!(lines[2], lines[3]);
    fs::write(at.join("b.json"), "{}").unwrap();
    says(
        &bad(at, "report --table a.json b.json", 3),
        &["b.json", "no report of an adapter"],
    );
    says(&bad(at, "report --table none.json", 3), &["none.json"]);
    says(
        &bad(at, "report --out a.json", 3),
        &["a.json", "there already", "--out"],
    );
    assert_eq!(read(&at.join("a.json")), report);
    says(
        &bad(at, "report --device cpu", 2),
        &["is no GPU", "--device gpu"],
    );
    says(&bad(at, "report --seconds 0", 2), &["--seconds", "above 0"]);
    says(&bad(at, "report --device nonesuch", 4), &["nonesuch"]);
    says(
        &bad(at, "report --out no/folder.json", 3),
        &["no/folder.json"],
    );
    assert!(!at.join("wgrad-report.json").exists());
}
