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
    toml("[train]\nepochs = 3\n", &["`train`"]);
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
    wrong("--batch-size 0", 2, &["batch_size"]);
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
    wrong("--label-smoothing 0.1", 2, &["label_smoothing"]);
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
        "train", "predict", "evaluate", "inspect", "export", "devices", "verify", "bench",
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
