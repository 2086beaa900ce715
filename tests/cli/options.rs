//! Flags, keys of TOML files, help.

use super::*;

#[test]
fn wrong_options_are_named_before_anything_is_done() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    let toml = |text: &str, parts: &[&str]| {
        fs::write(at.join("o.toml"), text).unwrap();
        says(&bad(at, "train t.csv --config o.toml", 2), parts);
    };
    toml(
        "epochs = 5\nbatchsize = 4\n",
        &["o.toml, line 2", "`batchsize`", "did you mean `batch-size`"],
    );
    toml("lerning-rate = 5\n", &["o.toml, line 1", "`lerning-rate`"]);
    toml("hiden = [3]\n", &["did you mean `hidden`"]);
    toml("epochs = \"many\"\n", &["o.toml", "line 1", "many"]);
    toml(
        "epochs = 1\nepochs = 2\n",
        &["o.toml", "line 2", "duplicate"],
    );
    toml("epochs = \n", &["o.toml", "line 1"]);
    toml("epochs = -3\n", &["-3"]);
    toml("optimizer = \"adamm\"\n", &["adamm", "adamw"]);
    toml("validation = 1.5\n", &["1.5"]);
    toml(
        "[train]\nepochs = 3\n",
        &[
            "o.toml, line 1",
            "`train` is a section",
            "leave out [train]",
        ],
    );
    toml(
        "epochs = 3\n\n[ data ]\nx = 1",
        &["o.toml, line 3", "`data` is a section"],
    );
    toml(
        "learning_rate = 0.1\n",
        &["o.toml, line 1", "did you mean `lr`?"],
    );
    toml(
        "zzz = 0.1\n",
        &["there is no option `zzz`", "wgrad train --help"],
    );
    toml(
        "hidden = [0]\n",
        &["o.toml", "line 1, column 10", "each 1 or more"],
    );
    toml(
        "class-weights = { a = -1 }\n",
        &["o.toml", "line 1", "\"a\" is -1"],
    );
    toml("schedule = \"cosin\"\n", &["cosin", "cosine, one_cycle"]);
    // A file lists options of other runs, too: what differs from the default was meant.
    toml(
        "optimizer = \"adam\"\nmomentum = 0.5\n",
        &["o.toml: `momentum = 0.5` would do nothing", "sgd"],
    );
    toml(
        "hidden = []\ndropout = 0.5\n",
        &["`dropout = 0.5`", "hidden layers"],
    );
    let said = bad(at, "train t.csv --config none.toml", 3);
    says(&said, &["none.toml", "see that the path is right"]);

    let wrong = |options: &str, code: i32, parts: &[&str]| {
        says(
            &bad(at, &format!("train t.csv --device cpu {options}"), code),
            parts,
        );
    };
    wrong("--epochs x", 2, &["--epochs", "'x'"]);
    wrong("--batchsize 3", 2, &["--batch-size"]);
    wrong("--hidden 8,x", 2, &["8,x", "256,128 or none"]);
    wrong("--hidden 0", 2, &["256,128 or none"]);
    wrong("--activation rulu", 2, &["rulu", "relu"]);
    wrong("--loss crossentropy", 2, &["crossentropy", "cross_entropy"]);
    wrong("--loss cross_entropy", 2, &["does not fit", "--loss mse"]);
    wrong("--loss huber(d=1)", 2, &["no argument d", "delta"]);
    wrong("--loss huber(delta=0)", 2, &["delta"]);
    wrong("--schedule cosin", 2, &["cosin", "cosine"]);
    wrong("--schedule step(every=0.5)", 2, &["every", "whole number"]);
    wrong("--schedule step(every=3", 2, &["name(key=number"]);
    wrong("--dropout 1", 2, &["dropout"]);
    wrong("--lr nan", 2, &["NaN"]);
    wrong("--lr=-1", 2, &["-1"]);
    wrong("--epochs 0", 2, &["epochs"]);
    wrong("--batch-size 0", 2, &["--batch-size is 0"]);
    wrong("--validation 1", 2, &["share of the rows"]);
    wrong("--validation nofile.csv", 3, &["nofile.csv"]);
    wrong(
        "--validation 0 --monitor validation-loss",
        2,
        &["--validation 0.2"],
    );
    wrong("--residual --hidden 8,9", 2, &["as wide as its input"]);
    wrong("--keep 0", 2, &["--keep"]);
    wrong("--log-steps 0", 2, &["--log-steps"]);
    wrong("--clip-norm 0", 2, &["clip"]);
    wrong(
        "--label-smoothing 0.1",
        2,
        &["--label-smoothing would do nothing", "the loss is mse"],
    );
    wrong(
        "--nesterov",
        2,
        &["--nesterov would do nothing", "give --optimizer sgd"],
    );
    wrong(
        "--monitor validation-accuracy",
        2,
        &["--monitor validation-loss"],
    );
    wrong(
        "--class-weights balance",
        2,
        &["balance", "none nor balanced", "yes=5,no=1"],
    );
    wrong("--class-weights a=1,a=2", 2, &["\"a\" has two weights"]);
    wrong(
        "--class-weights a=2",
        2,
        &["--class-weights would do nothing", "--task classification"],
    );
    wrong(
        "--class-weights a=2 --target city",
        2,
        &["\"a\"", "Bonn, Essen, Köln"],
    );
    wrong("--target prise", 3, &["prise", "did you mean \"price\""]);
    says(&bad(at, "train", 2), &["no data", "wgrad train DATA.csv"]);
    says(
        &bad(at, "train t.csv --device 'RTX 9999'", 4),
        &["RTX 9999"],
    );
    says(&bad(at, "train t.csv --targets t.csv", 3), &["t.csv"]);
    says(
        &bad(at, "verify --kernel nonesuch --device cpu", 2),
        &["nonesuch"],
    );
    says(&bad(at, "bench --widths 0", 2), &["--widths"]);
    says(&bad(at, "bench --device cpu", 2), &["measured anyway"]);
    let kernel = "verify --device cpu --kernel row_loss";
    for idle in ["m.safetensors", "--hidden 8", "--activation tanh"] {
        let said = bad(at, &format!("{kernel} {idle}"), 2);
        says(&said, &["cannot be used with"]);
    }
    says(
        &bad(at, "verify --hidden none --activation tanh", 2),
        &["--activation would do nothing"],
    );
    says(&bad(at, "verify --json --verbose", 2), &["--verbose"]);
    says(&bad(at, "export t.csv", 2), &["--weights"]);
    says(&bad(at, "nonesuch", 2), &["nonesuch"]);
    // Nothing was begun.
    assert!(!at.join("runs").exists());
}

#[test]
fn help_has_examples_and_completions_are_printed() {
    let at = Path::new(".");
    let all = good(at, "--help");
    says(&all, &["Exit codes:", "130"]);
    for command in [
        "train", "predict", "evaluate", "inspect", "export", "devices", "verify", "bench", "report",
    ] {
        let said = good(at, &format!("{command} --help"));
        says(&said, &["Examples:", &format!("wgrad {command}"), "Usage:"]);
        says(&all, &[command]);
    }
    says(&good(at, "--version"), &["wgrad "]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = good(at, &format!("completions {shell}"));
        says(&said, &["batch-size", "evaluate"]);
    }
}

/// Every flag of `train` has its key, and the file that is written has every key.
#[test]
fn flags_and_keys_are_the_same() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    good(at, "train t.csv --device cpu --epochs 1 --run run -q");
    let config = read(&at.join("run/config.toml"));
    let help = good(at, "train --help");
    let flags = help.lines().filter_map(|line| {
        let (before, rest) = line.trim_start().split_once("--")?;
        (before.len() <= 4).then(|| rest.split([' ', '[', '=']).next().unwrap())
    });
    let others = [
        "config",
        "resume",
        "elsewhere",
        "dry-run",
        "json",
        "quiet",
        "help",
    ];
    let flags: Vec<&str> = flags.filter(|flag| !others.contains(flag)).collect();
    for flag in &flags {
        let stands = |line: &str| {
            line.starts_with(&format!("{flag} =")) || line.starts_with(&format!("# {flag} ="))
        };
        assert!(config.lines().any(stands), "{flag} is not in config.toml");
    }
    assert!(flags.len() > 50, "{flags:?}");
    // As it is written it is read.
    good(at, "train --config run/config.toml --run again -q");
    // Options that do nothing in a run are comments in its file, and do no harm in another, as they are.
    says(&config, &["\n# momentum =\n", "\n# label-smoothing =\n"]);
    says(
        &config,
        &["\nbeta1 = 0.9\n", "\nepochs = 1\n", "\nbatch-size = 4\n"],
    );
    let old = "momentum = 0.9\nnesterov = false\nlabel-smoothing = 0.0\nepochs = 1\n";
    fs::write(at.join("old.toml"), old).unwrap();
    good(
        at,
        "train t.csv --config old.toml --device cpu --run old -q",
    );
    // The command line goes over the file.
    let file = "epochs = 7\nhidden = [4, 4]\ntarget = \"price\"\n";
    fs::write(at.join("o.toml"), file).unwrap();
    good(
        at,
        "train t.csv --config o.toml --epochs 2 --device cpu --run third -q",
    );
    let config = read(&at.join("third/config.toml"));
    says(
        &config,
        &[
            "\nepochs = 2\n",
            "\nhidden = [4, 4]\n",
            "\ntarget = [\"price\"]\n",
        ],
    );
}

/// The file of the run, in TOML, has whole numbers up to 2^63 − 1.
#[test]
fn numbers_that_the_file_of_the_run_cannot_hold_are_refused_at_once() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    let (most, beyond) = ("9223372036854775807", "9223372036854775808");
    let refused = |line: &str, parts: &[&str]| {
        says(&bad(at, &format!("train {line}"), 2), parts);
    };
    for n in [beyond, "18446744073709551615"] {
        for flag in ["--seed", "--epochs", "--keep", "--hidden"] {
            let said = format!("{flag} is {n}");
            refused(&format!("t.csv {flag} {n}"), &[&said, "at most", most]);
        }
        fs::write(at.join("o.toml"), format!("epochs = 1\nseed = {n}\n")).unwrap();
        refused(
            "t.csv --config o.toml",
            &["o.toml", "line 2", n, "go up to", most],
        );
    }
    assert!(!at.join("runs").exists());
    // The largest goes all the way.
    good(
        at,
        &format!("train t.csv --device cpu --epochs 1 --run run -q --seed {most}"),
    );
    let config = read(&at.join("run/config.toml"));
    says(&config, &[&format!("\nseed = {most}\n")]);
    refused(
        &format!("--resume run --epochs {beyond}"),
        &["--epochs is", "at most", most],
    );
    good(at, "train --resume run --epochs 2 -q");
}

/// Each option has its effect: the model has other bits than with any other.
#[test]
fn every_option_of_training_does_something() {
    let at = folder();
    let at = at.path();
    // Two classes, one of them rare, that lie apart and not quite.
    let row = |i: usize| {
        let (x, y) = ((i * 7919) % 199, (i * 104_729) % 211);
        format!(
            "{x},{y},{}\n",
            if x + y / 2 > 220 { "rare" } else { "common" }
        )
    };
    let table: String = (0..240).map(row).collect();
    fs::write(at.join("t.csv"), format!("x,y,class\n{table}")).unwrap();
    let mut runs = 0;
    let mut train = |options: &str| {
        runs += 1;
        let run = format!("r{runs}");
        let line =
            format!("train t.csv --device cpu --epochs 4 --plots false -q --run {run} {options}");
        good(at, &line);
        model(at, &run)
    };
    let base = train("");
    assert!(base == train(""));
    let options = [
        "--hidden 100,100",
        "--activation tanh",
        "--norm layer",
        "--norm batch",
        "--dropout 0.2",
        "--hidden 2",
        "--hidden 2 --residual",
        "--init he-normal",
        "--loss output-cross-entropy",
        "--label-smoothing 0.1",
        "--class-weights balanced",
        "--class-weights rare=3",
        "--batch-size 32",
        "--shuffle false",
        "--seed 1",
        "--optimizer sgd",
        "--optimizer sgd --momentum 0.5",
        "--optimizer sgd --nesterov",
        "--optimizer rmsprop",
        "--optimizer adamw",
        "--lr 0.01",
        "--beta1 0.8",
        "--beta2 0.9",
        "--eps 1e-3",
        "--weight-decay 0.1",
        "--l1 0.1",
        "--clip-norm 0.1",
        "--clip-value 0.01",
        "--schedule step(every=2,gamma=0.5)",
        "--schedule exponential(gamma=0.5)",
        "--schedule cosine",
        "--schedule cosine --schedule-per step",
        "--schedule one_cycle(max_lr=0.01)",
        "--schedule plateau(factor=0.1,patience=0,threshold=0.5)",
        "--warmup 2",
        "--validation 0.4",
        "--scaling none",
        // No epoch is better by 100 than the first.
        "--min-delta 100 --patience 2",
        "--min-delta 100 --patience 2 --restore-best false",
    ];
    let mut models = vec![(base, "nothing")];
    for option in options {
        let model = train(option);
        if let Some((_, other)) = models.iter().find(|(with, _)| *with == model) {
            panic!("{option} makes the same model as {other}");
        }
        models.push((model, option));
    }
    // Parts of batches make the same update, but for the order of sums.
    good(
        at,
        "train t.csv --device cpu --epochs 4 --micro-batch 7 --run micro -q",
    );
    let loss = |run: &str| {
        let log = read(&at.join(run).join("log.jsonl"));
        json(log.lines().last().unwrap())["train/loss"]
            .as_f64()
            .unwrap()
    };
    assert!((loss("micro") - loss("r1")).abs() < 1e-5 * loss("r1"));
    // What an epoch tells.
    let log = read(&at.join("r1/log.jsonl"));
    let told = json(log.lines().last().unwrap());
    for key in [
        "train/loss",
        "validation/loss",
        "validation/accuracy",
        "lr",
        "seconds",
    ] {
        assert!(told[key].as_f64() > Some(0.0), "{key}: {told}");
    }
    // A rate that was lowered is told, and norms where they are wanted.
    let lr = |run: &str| {
        let history = read(&at.join(run).join("history.csv"));
        let rates = history
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap().parse().unwrap());
        rates.collect::<Vec<f64>>()
    };
    let step = options.iter().position(|o| o.contains("step("));
    assert_eq!(
        lr(&format!("r{}", step.unwrap() + 3)),
        [1e-3, 1e-3, 5e-4, 5e-4]
    );
    assert!(!log.contains("grad_norm"));
    let norms = "train t.csv --device cpu --epochs 4 --grad-norm --run norms -q";
    good(at, norms);
    assert!(model(at, "norms") == model(at, "r1"), "other bits");
    let log = read(&at.join("norms/log.jsonl"));
    assert!(json(log.lines().last().unwrap())["train/grad_norm"].as_f64() > Some(0.0));
}

/// Weights of classes change training and not what is measured: shares of rows stay shares of rows.
#[test]
fn weights_of_classes_are_for_training() {
    let at = folder();
    let at = at.path();
    digits(at);
    fs::write(
        at.join("o.toml"),
        "class-weights = { 3 = 7.3, \"8\" = 0.37 }\n",
    )
    .unwrap();
    let begin = "train digits.csv --device cpu --epochs 2 --hidden 8 -q --json";
    for (line, on) in [
        ("--config o.toml", "validation"),
        ("--class-weights 3=7.3,8=0.37 --validation 0", "training"),
    ] {
        let told = json(&good(at, &format!("{begin} {line}")));
        assert_eq!(told["evaluated_on"], on);
        let evaluation = &told["report"]["evaluation"];
        let right = evaluation["accuracy"].as_f64().unwrap() * evaluation["rows"].as_f64().unwrap();
        assert!((right - right.round()).abs() < 1e-6, "{right}");
    }
    // The file of the run has them, and it goes on with them.
    let config = read(&at.join("runs/digits-2/config.toml"));
    says(&config, &["class-weights = { 3 = 7.3, 8 = 0.37 }"]);
    good(at, "train --resume runs/digits-2 --epochs 3 -q");
}
