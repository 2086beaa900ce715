//! Each option in each situation: it changes what comes out, or it is refused.

use std::collections::{BTreeMap, HashMap};

use super::*;

/// Points in the plane: of two classes, or with a number between 0 and 1 that depends on them.
fn points(rows: usize, numbers: bool, turned: bool) -> String {
    let mut out = String::from("x,y,t\n");
    for i in 0..rows {
        let (x, y) = ((i * 7919) % 199, (i * 104_729) % 211);
        let above = (x + y / 2 > 190) != turned;
        let _ = match (numbers, above) {
            (true, _) => {
                let z = (x + y) as f64 / 420.0;
                writeln!(out, "{x},{y},{:.4}", if turned { 1.0 - z } else { z })
            }
            (false, true) => writeln!(out, "{x},{y},rare"),
            (false, false) => writeln!(out, "{x},{y},common"),
        };
    }
    out
}

/// An option, and what stands beside it so that its effect can be seen.
const OPTIONS: &[(&str, &str)] = &[
    ("--activation tanh", ""),
    ("--norm layer", ""),
    ("--dropout 0.3", ""),
    ("--residual", ""),
    ("--init he-normal", ""),
    ("--init he-normal", "--init-from MODEL"),
    ("--init-from MODEL", ""),
    ("--label-smoothing 0.1", ""),
    ("--class-weights balanced", ""),
    ("--class-weights rare=3", ""),
    ("--standardize-target false", ""),
    ("--batch-size 7", ""),
    ("--micro-batch 3", "--batch-size 8"),
    ("--micro-batch 8", "--batch-size 8"),
    ("--shuffle false", ""),
    ("--seed 3", ""),
    ("--seed 3", "--shuffle false --init zeros --validation 0"),
    ("--lr 0.02", ""),
    ("--lr 0.02", "--schedule one_cycle(max_lr=0.03)"),
    ("--momentum 0.5", ""),
    ("--nesterov", ""),
    ("--beta1 0.8", ""),
    ("--beta2 0.8", ""),
    ("--eps 0.01", ""),
    ("--weight-decay 0.2", ""),
    ("--l1 0.2", ""),
    ("--clip-norm 0.01", ""),
    ("--clip-value 0.001", ""),
    ("--grad-norm", ""),
    ("--grad-norm", "--clip-norm 0.01"),
    ("--schedule exponential(gamma=0.5)", ""),
    ("--schedule-per step", ""),
    ("--schedule-per step", "--schedule exponential(gamma=0.9)"),
    ("--schedule-per step", "--warmup 1"),
    ("--warmup 1", ""),
    ("--validation 0.5", ""),
    ("--validation-targets turned.csv", ""),
    ("--patience 1", "--min-delta 100"),
    ("--patience 1", "--min-delta 100 --validation 0"),
    ("--min-delta 100", "--patience 1"),
    (
        "--min-delta 100",
        "--patience 1 --validation 0 --restore-best true",
    ),
    ("--min-delta 100", "--patience 0 --restore-best false"),
    ("--monitor train-loss", "--validation turned.csv"),
    (
        "--monitor train-loss",
        "--validation turned.csv --patience 0 --restore-best false",
    ),
    ("--restore-best false", "--min-delta 100"),
    ("--restore-best true", "--min-delta 100 --validation 0"),
    ("--storage f16", ""),
    ("--out OUT", ""),
    ("--checkpoint-steps 1", "--checkpoint-epochs 0 --keep 99"),
    (
        "--checkpoint-minutes 1e-9",
        "--checkpoint-epochs 0 --keep 99",
    ),
    ("--keep 1", "--checkpoint-epochs 1"),
    ("--log-steps 1", ""),
    ("--plots true", ""),
];

/// All that a run leaves, but for times.
type Outcome = BTreeMap<String, Vec<u8>>;

struct Sweep {
    at: PathBuf,
    runs: usize,
    known: HashMap<String, Outcome>,
    refused: usize,
    took_effect: usize,
}

impl Sweep {
    /// Trains; what came of it, or what was said.
    fn train(&mut self, line: &str) -> Result<Outcome, String> {
        self.runs += 1;
        let run = format!("run{}", self.runs);
        let plots = match line.contains("--plots") {
            true => "",
            false => "--plots false",
        };
        let line = line.replace("OUT", &format!("{run}.out"));
        let line = format!("train {line} {plots} --device cpu --epochs 3 -q --run {run}");
        let output = command(&self.at, &line).output().unwrap();
        if !output.status.success() {
            return Err(failed(&output, &line, 2));
        }
        let mut outcome = Outcome::new();
        let folder = self.at.join(&run);
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let content = match name.as_str() {
                "model.safetensors" => fs::read(entry.path()).unwrap(),
                "history.csv" => timeless(&read(&entry.path())).join("\n").into_bytes(),
                "log.jsonl" => read(&entry.path()).lines().count().to_string().into_bytes(),
                // Where nobody says how often, time decides.
                "checkpoints" if line.contains("--checkpoint-epochs") => {
                    format!("{:?}", checkpoints(&folder, ".").len()).into_bytes()
                }
                _ => Vec::new(),
            };
            outcome.insert(name, content);
        }
        if self.at.join(format!("{run}.out")).exists() {
            outcome.insert("out".into(), Vec::new());
        }
        fs::remove_dir_all(folder).unwrap();
        Ok(outcome)
    }

    /// Every option, in a situation.
    fn all(&mut self, base: &str, model: &str) {
        for &(option, beside) in OPTIONS {
            let name = option.split(' ').next().unwrap();
            let line = format!("{base} {beside} {option}");
            // An option is given once.
            let twice = line
                .split(' ')
                .filter(|word| word.starts_with("--"))
                .any(|word| line.matches(&format!("{word} ")).count() > 1);
            let [with, without] = [line.as_str(), &format!("{base} {beside}")]
                .map(|line| line.replace("MODEL", model));
            if twice {
                continue;
            }
            let before = match self.known.get(&without) {
                Some(known) => known.clone(),
                None => match self.train(&without) {
                    Ok(outcome) => outcome,
                    // What stands beside it does nothing either here.
                    Err(_) => continue,
                },
            };
            self.known.insert(without.clone(), before.clone());
            match self.train(&with) {
                Err(said) => {
                    self.refused += 1;
                    assert!(said.contains(name), "{with}: {said}");
                    let told = ["leave", "give"].iter().any(|word| said.contains(word));
                    assert!(told, "{with}: {said}");
                }
                Ok(after) => {
                    self.took_effect += 1;
                    assert!(before != after, "{option} changes nothing: {with}");
                }
            }
        }
    }
}

#[test]
fn no_option_of_training_is_accepted_and_ignored() {
    // Hundreds of runs that sync what they write: in memory, where there is a folder for that.
    let at = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder());
    let at = at.path();
    let mut sweep = Sweep {
        at: at.to_owned(),
        runs: 0,
        known: HashMap::new(),
        refused: 0,
        took_effect: 0,
    };
    for (kind, numbers) in [("classes", false), ("numbers", true)] {
        let folder = at.join(kind);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("t.csv"), points(60, numbers, false)).unwrap();
        fs::write(folder.join("turned.csv"), points(60, numbers, true)).unwrap();
        sweep.at.clone_from(&folder);
        sweep.known.clear();
        let task = match numbers {
            true => "t.csv --task regression",
            false => "t.csv",
        };
        for hidden in ["2,8", "none"] {
            let line = format!(
                "train {task} --hidden {hidden} --epochs 1 --device cpu -q --run m{hidden} --plots false"
            );
            good(&folder, &line);
        }
        for optimizer in ["adam", "adamw", "sgd", "rmsprop"] {
            sweep.all(
                &format!("{task} --hidden 2,8 --optimizer {optimizer}"),
                "m2,8",
            );
        }
        sweep.all(&format!("{task} --hidden none"), "mnone");
        let loss = match numbers {
            true => "binary_cross_entropy",
            false => "output_cross_entropy",
        };
        // The network of another loss has another last layer.
        let line = format!(
            "train {task} --hidden 2,8 --loss {loss} --epochs 1 --device cpu -q --run ml --plots false"
        );
        good(&folder, &line);
        sweep.all(&format!("{task} --hidden 2,8 --loss {loss}"), "ml");
    }
    assert!(sweep.refused > 80, "{}", sweep.refused);
    assert!(sweep.took_effect > 300, "{}", sweep.took_effect);
}
