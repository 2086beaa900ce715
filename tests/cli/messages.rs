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
