//! Files that are wrong, and places that cannot be written.

use super::*;

fn rows(n: usize) -> String {
    (0..n)
        .map(|i| format!("{i},{},{}\n", i * i, i % 2))
        .collect()
}

/// A table of two numbers and a class, with a line of one's own on line 32.
fn table(more: &str) -> Vec<u8> {
    format!("a,b,y\n{}{more}{}", rows(30), rows(10)).into_bytes()
}

#[test]
fn wrong_data_is_named_with_file_line_column_value_and_remedy() {
    let at = folder();
    let at = at.path();
    let wrong = |name: &str, content: &[u8], options: &str, parts: &[&str]| {
        fs::write(at.join(name), content).unwrap();
        says(
            &bad(at, &format!("train {name} --device cpu {options}"), 3),
            parts,
        );
    };
    wrong(
        "ragged.csv",
        &table("1,2\n"),
        "",
        &["ragged.csv, line 32", "2", "3"],
    );
    wrong(
        "text.csv",
        &table("1,many,0\n"),
        "",
        &["text.csv, line 32", "\"b\"", "many"],
    );
    wrong(
        "nan.csv",
        &table("1,NaN,0\n"),
        "",
        &["nan.csv, line 32", "\"b\"", "NaN", "--missing drop"],
    );
    wrong(
        "gap.csv",
        &table("1,,0\n"),
        "",
        &["gap.csv, line 32", "\"b\"", "missing", "--missing drop"],
    );
    wrong(
        "blank.csv",
        &table("1,2,\n"),
        "",
        &["blank.csv, line 32", "\"y\"", "learnt", "--missing drop"],
    );
    let numeric = ["text.csv, line 32", "\"b\"", "many", "said to be numeric"];
    wrong("text.csv", &table("1,many,0\n"), "--numeric b", &numeric);
    wrong(
        "inf.csv",
        &table("1,inf,0\n"),
        "",
        &["inf.csv, line 32", "inf"],
    );
    wrong("quote.csv", &table("1,\"2,0\n"), "", &["quote.csv"]);
    let one: String = (0..30).map(|i| format!("{i},yes\n")).collect();
    wrong(
        "one.csv",
        format!("a,y\n{one}").as_bytes(),
        "",
        &["one.csv", "one class", "yes"],
    );
    wrong("empty.csv", b"", "", &["empty.csv"]);
    wrong("header.csv", b"a,b,y\n", "", &["header.csv"]);
    wrong("t.csv", &table(""), "--target label", &["label", "a, b, y"]);
    wrong("bytes.csv", b"a,b,y\n\xff\xfe,1,2\n", "", &["bytes.csv"]);

    let npy = sample("f4.npy");
    let short = ["short.npy", "77 bytes", "80", "cut short, get it again"];
    wrong("short.npy", &npy[..npy.len() - 3], "", &short);
    wrong("x.npy", &npy, "", &["x.npy", "--targets FILE"]);
    bars(at, "b", 40);
    let mut idx = fs::read(at.join("b-images-idx3-ubyte")).unwrap();
    idx[2] = 7;
    let labels = "--targets b-labels-idx1-ubyte";
    let magic = ["magic-idx3-ubyte", "magic number is wrong", "00 00 07 03"];
    wrong("magic-idx3-ubyte", &idx, labels, &magic);
    bars(at, "few", 30);
    let few = fs::read(at.join("few-images-idx3-ubyte")).unwrap();
    wrong("few-images-idx3-ubyte", &few, labels, &["30", "40"]);
    let said = bad(at, "train none.csv", 3);
    says(&said, &["none.csv", "see that the path is right"]);
    assert!(!at.join("runs").exists());
}

#[test]
fn data_that_does_not_suit_a_model_is_named() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("good.csv"), table("")).unwrap();
    good(
        at,
        "train good.csv --device cpu --epochs 1 --out m.safetensors -q",
    );
    let wrong = |command: &str, name: &str, content: &str, parts: &[&str]| {
        fs::write(at.join(name), content).unwrap();
        says(
            &bad(
                at,
                &format!("{command} m.safetensors {name} --device cpu"),
                3,
            ),
            parts,
        );
    };
    let unseen = ["unseen.csv, line 3", "\"7\"", "0, 1"];
    wrong("evaluate", "unseen.csv", "a,b,y\n1,2,0\n1,2,7\n", &unseen);
    wrong("predict", "less.csv", "a,c\n1,2\n", &["less.csv", "\"b\""]);
    wrong(
        "predict",
        "gap.csv",
        "a,b\n1,2\n,3\n",
        &["gap.csv, line 3", "\"a\""],
    );
    wrong("evaluate", "noy.csv", "a,b\n1,2\n", &["noy.csv", "\"y\""]);

    let bytes = fs::read(at.join("m.safetensors")).unwrap();
    fs::write(at.join("cut.safetensors"), &bytes[..bytes.len() - 9]).unwrap();
    says(
        &bad(at, "predict cut.safetensors good.csv", 3),
        &["cut.safetensors"],
    );
    says(&bad(at, "predict good.csv good.csv", 3), &["good.csv"]);
    says(
        &bad(at, "inspect none.safetensors", 3),
        &["none.safetensors"],
    );
    fs::create_dir(at.join("void")).unwrap();
    let said = bad(at, "inspect void", 3);
    says(&said, &["void", "neither a model nor a checkpoint"]);
    assert_eq!(fs::read_dir(at.join("void")).unwrap().count(), 0);
}

#[test]
fn places_that_cannot_be_written_are_found_before_training() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    let wrong = |options: &str, parts: &[&str]| {
        says(
            &bad(at, &format!("train t.csv --device cpu {options}"), 3),
            parts,
        );
    };
    wrong(
        "--out none/m.safetensors",
        &["none/m.safetensors", "see that the path is right"],
    );
    wrong("--out .", &["a folder stands there"]);
    wrong("--out t.csv/m", &["t.csv/m"]);
    wrong("--out /proc/m.safetensors", &["/proc/m.safetensors"]);
    wrong("--out /dev/null", &["no ordinary file"]);
    wrong("--run t.csv", &["t.csv", "a file stands"]);
    wrong("--run /proc/run", &["/proc/run"]);
    fs::create_dir(at.join("full")).unwrap();
    fs::write(at.join("full/mine"), "mine").unwrap();
    wrong(
        "--run full",
        &["full: the folder is not empty", "nothing is overwritten"],
    );
    assert_eq!(fs::read_dir(at.join("full")).unwrap().count(), 1);
    good(at, "train t.csv --device cpu --epochs 1 --run run -q");
    wrong("--run run", &["wgrad train --resume run"]);
    assert!(!at.join("runs").exists());
    // A name is taken once.
    for n in 1..=2 {
        good(at, "train t.csv --device cpu --epochs 1 -q");
        assert!(at.join(format!("runs/t-{n}/model.safetensors")).exists());
    }
}

/// A limit on the size of files stands for a full disk.
#[test]
fn a_disk_that_fills_up_leaves_a_run_to_go_on_with() {
    let at = folder();
    let at = at.path();
    digits(at);
    // Checkpoints have some 300 KB; the log grows beyond the limit, of blocks of 512 or 1024 bytes.
    let train = format!(
        "trap '' XFSZ; ulimit -f 1200; exec '{TOOL}' train digits.csv --device cpu --hidden 8 --epochs 20000 --patience 0 \
         --validation 0 --log-steps 1 --checkpoint-epochs 5 --run run -q"
    );
    let said = failed(&bash(at, &train), &train, 3);
    says(
        &said,
        &[
            "run/log.jsonl",
            "free some space",
            "wgrad train --resume run",
        ],
    );
    let epochs = read(&at.join("run/history.csv")).lines().count() + 5;
    good(at, &format!("train --resume run --epochs {epochs} -q"));
}

/// What cannot be written at the very beginning leaves a folder in which the run can be begun.
#[test]
fn a_full_disk_at_the_beginning_leaves_nothing_in_the_way() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    let train = "train t.csv --device cpu --epochs 2 --run run -q";
    // The file of options has more than a block.
    let line = format!("trap '' XFSZ; ulimit -f 1; exec '{TOOL}' {train}");
    let said = failed(&bash(at, &line), &line, 3);
    says(&said, &["run/config.toml", "free some space"]);
    assert!(!at.join("run/config.toml").exists());
    let said = bad(at, "train --resume run", 3);
    says(&said, &["no run to go on with", "--run run"]);
    // What a process leaves that is killed there.
    fs::write(at.join("run/.config.toml.1.wgrad-tmp"), "half").unwrap();
    good(at, train);
    let names = fs::read_dir(at.join("run")).unwrap();
    let mut names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.ends_with("-tmp")));

    let full = |line: &str| bash(at, &format!("'{TOOL}' {line} > /dev/full"));
    if Path::new("/dev/full").exists() {
        let line = "predict run t.csv --device cpu";
        let said = failed(&full(line), line, 3);
        says(&said, &["standard output", "No space left"]);
        let said = bad(at, &format!("{line} --out /dev/full"), 3);
        says(&said, &["/dev/full", "free some space"]);
    }
    // A file that is not whole is not left behind.
    let line = format!(
        "trap '' XFSZ; ulimit -f 0; exec '{TOOL}' predict run t.csv --device cpu --out p.csv"
    );
    says(
        &failed(&bash(at, &line), &line, 3),
        &["p.csv", "free some space"],
    );
    let left = fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["run", "t.csv"]);
}

/// An output that is one of the inputs is refused before anything is done, whatever the way to it, and every file is as it was.
#[test]
fn nothing_that_is_read_is_overwritten() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("d.csv"), houses(60)).unwrap();
    fs::write(at.join("v.csv"), houses(40)).unwrap();
    fs::write(at.join("o.toml"), "epochs = 1\n").unwrap();
    let train = "train d.csv --device cpu --epochs 1 -q";
    good(at, &format!("{train} --run run --out m"));
    std::os::unix::fs::symlink("d.csv", at.join("soft")).unwrap();
    fs::hard_link(at.join("d.csv"), at.join("hard")).unwrap();
    fs::hard_link(at.join("m"), at.join("m2")).unwrap();
    fs::create_dir(at.join("sub")).unwrap();
    std::os::unix::fs::symlink("..", at.join("sub/up")).unwrap();
    let all = || {
        let files = bash(at, "find . -type f | sort | xargs sha256sum");
        text(&files.stdout)
    };
    let before = all();
    let refused = |line: &str, parts: &[&str]| {
        let said = bad(at, line, 2);
        says(&said, parts);
        says(&said, &["would be overwritten", "give another name"]);
    };
    for out in [
        "d.csv",
        "./d.csv",
        "sub/../d.csv",
        "sub/up/d.csv",
        "soft",
        "hard",
    ] {
        refused(&format!("{train} --out {out}"), &["--out", "is the data"]);
        refused(&format!("predict m d.csv --out {out}"), &["is the data"]);
        refused(&format!("predict m {out} --out d.csv"), &["is the data"]);
    }
    let held = format!("{train} --validation v.csv --out v.csv");
    refused(&held, &["is --validation"]);
    refused(
        &format!("{train} --config o.toml --out o.toml"),
        &["is --config"],
    );
    refused(
        &format!("{train} --init-from m --out m2"),
        &["is --init-from"],
    );
    refused(&format!("{train} --run new --out new"), &["is --run"]);
    refused(
        &format!("{train} --init-from run --out run/model.safetensors"),
        &["a file of the run in"],
    );
    refused(
        "train --resume run --out run/config.toml",
        &["a file of the run in run"],
    );
    for model in ["m", "m2", "./m"] {
        refused(&format!("predict {model} d.csv -o m"), &["is the model"]);
        for to in ["--onnx", "--weights", "--model"] {
            refused(&format!("export {model} {to} m"), &[to, "is the model"]);
        }
    }
    refused(
        "predict run d.csv -o run/log.jsonl",
        &["a file of the run in run"],
    );
    refused(
        "export run --model run/model.safetensors",
        &["a file of the run in run"],
    );
    refused(
        "export m --onnx n --weights sub/../n",
        &["--onnx", "is --weights"],
    );
    // Nor is what is of another kind than that which would take its place.
    refused(&format!("{train} --out v.csv"), &["neither a model"]);
    refused("predict m d.csv --out run/model.safetensors", &["no text"]);
    refused("export m --onnx v.csv", &["no ONNX"]);
    refused("export m --weights v.csv", &["neither a model"]);
    assert_eq!(all(), before);
    assert!(!at.join("runs").exists());

    // What is one's own is replaced.
    for _ in 0..2 {
        good(at, "predict m d.csv --out run/p.csv --device cpu");
        good(at, "export m --onnx m.onnx --weights w --model n");
        good(at, &format!("{train} --out n"));
    }
}

/// Not a byte of an answer comes before the last row is known to have one.
#[test]
fn predict_writes_nothing_before_it_can_answer_all() {
    let at = folder();
    let at = at.path();
    fs::write(at.join("t.csv"), houses(60)).unwrap();
    good(
        at,
        "train t.csv --device cpu --epochs 1 --run run --out m -q",
    );
    let mut rows = houses(20_000);
    good_lines(at, &rows, 20_000);
    rows += "many,Bonn,3,1\n";
    fs::write(at.join("bad.csv"), rows).unwrap();
    fs::write(at.join("old.csv"), "mine").unwrap();
    let names = || {
        let names = fs::read_dir(at).unwrap();
        let mut names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for line in [
        "predict m bad.csv",
        "predict m bad.csv --json",
        "predict m bad.csv --out new.csv",
        "predict m bad.csv --out old.csv",
    ] {
        let output = command(at, &format!("{line} --device cpu"))
            .output()
            .unwrap();
        says(
            &failed(&output, line, 3),
            &["bad.csv, line 20002", "\"many\""],
        );
        assert!(output.stdout.is_empty(), "{line}");
        assert_eq!(names(), before);
    }
    assert_eq!(read(&at.join("old.csv")), "mine");
}

/// That a table of so many rows has so many answers, in order.
#[track_caller]
fn good_lines(at: &Path, table: &str, rows: usize) {
    fs::write(at.join("good.csv"), table).unwrap();
    let answers = good(at, "predict m good.csv --device cpu");
    let answers: Vec<&str> = answers.lines().skip(1).collect();
    assert_eq!(answers.len(), rows);
    // The rows repeat: the price depends on the row's number modulo these.
    let period = 170 * 6 * 3;
    let same = answers
        .iter()
        .zip(&answers[period..])
        .filter(|(a, b)| a == b);
    assert_eq!(same.count(), rows - period);
}
