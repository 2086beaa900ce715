//! The floors of the house: a module uses only what stands below it. This reads the sources; nothing is compiled or run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// From the ground up. A module may use those before it, and itself.
const FLOORS: [&str; 16] = [
    "error",
    "number",
    "data",
    "config",
    "kernels",
    "plan",
    "metrics",
    "exec",
    "check",
    "tune",
    "trainer",
    "files",
    "fit",
    "verify",
    "profile",
    "estimator",
];

/// Modules above all floors: re-exports and text.
const ROOF: [&str; 3] = ["lib", "book", "bin"];

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The code of a file without comments, and without its tests, which stand at its end.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    let code = lines.collect::<Vec<_>>().join("\n");
    let tests = code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len());
    code[..tests].to_owned()
}

/// Names that follow `crate::`, in paths and in braces.
fn used(code: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(rest.chars().take_while(|c| is_name(*c)).collect());
            continue;
        };
        let (mut depth, mut name) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.insert(std::mem::take(&mut name));
                }
                c if depth == 0 && !c.is_whitespace() => name.push(c),
                _ => {}
            }
        }
        names.insert(name);
    }
    let first = |name: String| name.split("::").next().unwrap_or("").to_owned();
    names
        .into_iter()
        .map(first)
        .filter(|n| !n.is_empty())
        .collect()
}

#[test]
fn every_module_uses_only_what_stands_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    let floor = |name: &str| FLOORS.iter().position(|f| *f == name);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file
            .strip_prefix(&src)
            .expect("it lies in src")
            .with_extension("");
        let module = inside
            .iter()
            .next()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if ROOF.contains(&&*module) || inside.ends_with("tests") {
            continue;
        }
        let Some(here) = floor(&module) else {
            wrong.push(format!("{module} has no floor"));
            continue;
        };
        for name in used(&code(
            &std::fs::read_to_string(&file).expect("it can be read"),
        )) {
            match floor(&name) {
                Some(there) if there <= here => {}
                Some(_) => wrong.push(format!(
                    "{} uses {name}, which stands above it",
                    inside.display()
                )),
                None => wrong.push(format!(
                    "{} uses {name}, which has no floor",
                    inside.display()
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arrows_are_found_in_paths_and_braces() {
    let text = "use crate::plan::Op;\nuse crate::{error::Error, kernels::{Call, x}, exec};\n// crate::fit\nlet x = crate::tune::y();\n#[cfg(test)]\nuse crate::verify::z;\n#[cfg(test)]\nmod tests {\nuse crate::files;";
    let found = used(&code(text));
    let expected = ["error", "exec", "kernels", "plan", "tune", "verify"].map(String::from);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
