//! From files to models, and with them to answers.

use super::*;

#[test]
fn digits_from_a_csv_to_predictions() {
    let at = folder();
    let at = at.path();
    let (train, test) = split(&digits(at), 5);
    fs::write(at.join("train.csv"), train).unwrap();
    fs::write(at.join("test.csv"), &test).unwrap();
    let said = good(
        at,
        "train train.csv --target label --out model.safetensors --epochs 40 --grad-norm --device cpu",
    );
    says(
        &said,
        &[
            "10 classes",
            "64 → 100 relu",
            "7,510 parameters",
            "CPU, f32",
        ],
    );
    says(&said, &["epoch  1/40", "runs/train-1"]);

    let predicted = good(at, "predict model.safetensors test.csv --device cpu");
    let labels = test.lines().map(|line| line.rsplit(',').next().unwrap());
    let rows = predicted.lines().count() - 1;
    let pairs = predicted.lines().zip(labels).skip(1);
    let right = pairs.filter(|(p, t)| p == t).count();
    assert_eq!((rows, predicted.lines().next()), (360, Some("label")));
    assert!(right as f64 > 0.95 * rows as f64, "{right} of {rows}");

    // What evaluate says is what the predictions are.
    let told = json(&good(
        at,
        "evaluate runs/train-1 test.csv --json --device cpu",
    ));
    let accuracy = told["report"]["evaluation"]["accuracy"].as_f64().unwrap();
    assert!((accuracy - right as f64 / rows as f64).abs() < 1e-12);
    let enough = "evaluate model.safetensors test.csv --device cpu --at-least";
    good(at, &format!("{enough} 0.9"));
    says(
        &bad(at, &format!("{enough} 1.0"), 1),
        &["accuracy is 0.9", "asked for"],
    );

    // Probabilities sum to 1, the class has the largest; without the target, and as JSON.
    let without = test
        .lines()
        .map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n");
    fs::write(at.join("new.csv"), without.collect::<String>()).unwrap();
    good(
        at,
        "predict model.safetensors new.csv --proba --out p.csv --device cpu",
    );
    let table = read(&at.join("p.csv"));
    assert!(table.starts_with("label,p(0),p(1),"));
    for (line, alone) in table.lines().zip(predicted.lines()).skip(1) {
        let (class, p) = line.split_once(',').unwrap();
        let p: Vec<f64> = p.split(',').map(|p| p.parse().unwrap()).collect();
        // Ten numbers, each rounded to an f32.
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{line}");
        let most = p.iter().copied().fold(0.0, f64::max);
        assert_eq!(p[class.parse::<usize>().unwrap()], most);
        assert_eq!(class, alone);
    }
    let told = json(&good(
        at,
        "predict model.safetensors new.csv --json --device cpu",
    ));
    assert_eq!(told.as_array().unwrap().len(), rows);
    assert_eq!(told[0]["label"].as_str(), predicted.lines().nth(1));

    let run = at.join("runs/train-1");
    for file in ["learning-curve", "confusion-matrix"] {
        let svg = read(&run.join(format!("{file}.svg")));
        assert!(svg.starts_with("<svg") && svg.contains("<text"), "{svg}");
    }
    let log = read(&run.join("log.jsonl"));
    let first = json(log.lines().next().unwrap());
    for key in [
        "step",
        "epoch",
        "train/loss",
        "lr",
        "validation/loss",
        "validation/accuracy",
        "train/grad_norm",
        "train/grad_norm_max",
        "wall_time",
    ] {
        assert!(first[key].is_number(), "{key}: {first}");
    }
    let history = read(&run.join("history.csv"));
    assert_eq!(history.lines().count(), log.lines().count() + 1);
    let mean = first["train/grad_norm"].to_string();
    let row = history.lines().nth(1).unwrap();
    assert_eq!(row.split(',').nth(6), Some(mean.as_str()), "{history}");
    let report = read(&run.join("report.md"));
    says(&report, &["64 inputs", "precision", "confusion-matrix.svg"]);
    let report = json(&read(&run.join("report.json")));
    assert_eq!(report["parameters"], 7510);

    let said = good(at, "inspect model.safetensors");
    says(
        &said,
        &["64 inputs → 100 relu → 10 identity", "7,510", "0.weight"],
    );
    let told = json(&good(at, "inspect runs/train-1 --json"));
    assert_eq!(
        (&told["state"], &told["parameters"]),
        (&"finished".into(), &7510.into())
    );
    good(at, "export runs/train-1 --weights weights.safetensors");
    let bytes = fs::read(at.join("weights.safetensors")).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(weights.tensor("0.weight").unwrap().shape(), [100, 64]);

    // What was written into the run trains the same again.
    good(
        at,
        "train --config runs/train-1/config.toml --run again --out again.safetensors -q",
    );
    let bytes = |file: &str| fs::read(at.join(file)).unwrap();
    assert!(
        bytes("again.safetensors") == bytes("model.safetensors"),
        "other bits"
    );
}

#[test]
fn numbers_from_a_csv_in_their_own_units() {
    let at = folder();
    let at = at.path();
    let (train, test) = split(&houses(400), 4);
    fs::write(at.join("train.csv"), train).unwrap();
    fs::write(at.join("test.csv"), &test).unwrap();
    let told = json(&good(
        at,
        "train train.csv --target price --device cpu --hidden 32,32 --epochs 300 --lr 0.01 --validation test.csv --json",
    ));
    assert_eq!(told["evaluated_on"], "validation");
    let scores = &told["report"]["scores"]["regression"];
    assert!(scores["r2"].as_f64() > Some(0.98), "{told}");
    let run = told["run"].as_str().unwrap();
    assert!(at.join(run).join("predicted-against-true.svg").exists());

    let predicted = good(at, &format!("predict {run} test.csv --device cpu"));
    let (mut worst, mut squares) = (0.0f64, 0.0);
    let rows = predicted.lines().count() - 1;
    for (p, line) in predicted.lines().zip(test.lines()).skip(1) {
        let number = |text: &str| text.parse::<f64>().unwrap();
        let (p, t) = (number(p), number(line.rsplit(',').next().unwrap()));
        worst = worst.max((p - t).abs());
        squares += (p - t) * (p - t);
    }
    // Prices go to 400,000.
    assert!(worst < 60_000.0, "{worst}");
    let rmse = scores["rmse"].as_f64().unwrap();
    let own = (squares / rows as f64).sqrt();
    assert!((rmse - own).abs() <= 1e-3 * own, "{rmse} {own}");
}

#[test]
fn an_idx_pair() {
    let at = folder();
    let at = at.path();
    bars(at, "train", 200);
    bars(at, "t10k", 60);
    let said = good(
        at,
        "train train-images-idx3-ubyte --targets train-labels-idx1-ubyte --hidden 16 --lr 0.01 --out bars.safetensors \
         --device cpu --epochs 60",
    );
    says(&said, &["36 → 16 relu", "2 classes"]);
    let told = json(&good(
        at,
        "evaluate bars.safetensors t10k-images-idx3-ubyte --targets t10k-labels-idx1-ubyte --json --device cpu",
    ));
    assert_eq!(told["report"]["evaluation"]["accuracy"], 1.0, "{told}");
    let alone = good(
        at,
        "predict bars.safetensors t10k-images-idx3-ubyte --device cpu",
    );
    let first: Vec<&str> = alone.lines().skip(1).take(4).collect();
    assert_eq!(first, ["0", "1", "0", "1"]);
}

#[test]
fn devices_verify_and_bench_tell_what_there_is() {
    let at = Path::new(".");
    let told = json(&good(at, "devices --json"));
    assert!(told["cpu"].as_str().unwrap().starts_with("CPU") && told["auto"]["why"].is_string());
    for adapter in told["adapters"].as_array().unwrap() {
        assert!(
            adapter["details"]["max_buffer"].as_u64() > Some(0),
            "{adapter}"
        );
    }
    says(&good(at, "devices"), &["auto takes", "cpu  CPU"]);
    says(
        &good(at, "verify --no-kernels --device cpu"),
        &["passed", "on CPU, f32"],
    );
    let told = json(&good(at, "verify --kernel row_loss --device cpu --json"));
    assert_eq!(told["passed"], true);
    let told = json(&good(at, "bench --widths 8 --seconds 0.01 --json"));
    assert!(
        told["steps"][0]["cpu_seconds"].as_f64() > Some(0.0),
        "{told}"
    );
}

/// One size of a table in 64 leaves a single row to the last batch, with which batch normalisation can do nothing.
#[test]
fn batch_norm_takes_a_row_that_is_left_over_into_the_batch_before() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("65.csv"), houses(65)).unwrap();
    for (device, more) in [("cpu", ""), ("gpu", "--micro-batch 32")] {
        let said = good(
            at,
            &format!(
                "train 65.csv --norm batch --batch-size 64 --validation 0 --epochs 3 --patience 0 --plots false --run {device} \
                 --device {device} {more}"
            ),
        );
        says(&said, &["1 step of 64 rows"]);
        let history = read(&at.join(device).join("history.csv"));
        let steps: Vec<&str> = history
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(1).unwrap())
            .collect();
        assert_eq!(steps, ["1", "2", "3"]);
    }
    // A single row has nothing that it could go into.
    let alone = "train 65.csv --norm batch --batch-size 1 --validation 0 --epochs 1 --patience 0 --device cpu";
    says(&bad(at, alone, 3), &["at least 2 rows", "batch size"]);
}

/// Standard input is data as a file is: the same model, the same answers, the same figures.
#[test]
fn data_comes_by_standard_input_and_answers_go_to_standard_output() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(100)).unwrap();
    let piped = |line: &str| {
        let output = bash(at, &format!("cat t.csv | '{TOOL}' {line}"));
        let said = text(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        text(&output.stdout)
    };
    let train = "--device cpu --epochs 3 --hidden 8";
    good(at, &format!("train t.csv {train} -q --run file"));
    says(&piped(&format!("train - {train}")), &["runs/stdin-1"]);
    assert!(model(at, "file") == model(at, "runs/stdin-1"));
    let answers = good(at, "predict file t.csv --device cpu");
    for line in ["predict file -", "predict file - --out -"] {
        assert_eq!(piped(&format!("{line} --device cpu")), answers);
    }
    assert!(!at.join("-").exists());
    assert_eq!(
        piped("evaluate file - --device cpu"),
        good(at, "evaluate file t.csv --device cpu")
    );

    // The run goes on where the data is given again, and only then.
    let said = bad(at, "train --resume runs/stdin-1 --epochs 5", 2);
    let parts = [
        "came by standard input",
        "`wgrad train DATA --resume runs/stdin-1`",
    ];
    says(&said, &parts);
    piped("train - --resume runs/stdin-1 --epochs 4 -q");
    good(at, "train t.csv --resume runs/stdin-1 --epochs 5 -q");
    good(at, "train --resume runs/stdin-1 --epochs 6 -q");
    good(at, "train --resume file --epochs 6 -q");
    same_runs(at, "file", "runs/stdin-1");
    let other = format!("head -n 91 t.csv | '{TOOL}' train - --resume runs/stdin-2");
    piped(&format!("train - {train} -q"));
    let changed = ["the data has changed", "90 rows now, 100 then"];
    says(&failed(&bash(at, &other), &other, 3), &changed);

    let refused = |line: &str, parts: &[&str]| {
        let output = bash(at, &format!("cat t.csv | '{TOOL}' {line}"));
        says(&failed(&output, line, 2), parts);
    };
    refused("train - --validation -", &["at once", "give a file"]);
    refused("train - --targets t.csv", &["one file", "NPZ"]);
    refused("train t.csv --out -", &["--out -", "takes no model", "./-"]);
    refused("export file --onnx -", &["--onnx -", "takes no model"]);
    let broken = bash(
        at,
        &format!("echo 'size,city\n1,many,3' | '{TOOL}' predict file -"),
    );
    says(&failed(&broken, "broken", 3), &["standard input, line 2"]);
}
