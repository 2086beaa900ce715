//! Tests of all that the tool says: what it advises can be followed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use proc_macro2::{TokenStream, TokenTree};

use crate::Cli;

/// The sources of the tool, by their path within it, without their tests.
fn sources() -> BTreeMap<String, String> {
    fn add(folder: &Path, root: &Path, to: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, root, to);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                to.insert(name, code.to_owned());
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/bin/wgrad");
    let mut all = BTreeMap::new();
    add(&root, &root, &mut all);
    // This file has none that a user sees.
    all.remove("messages.rs");
    assert!(all.len() > 25, "{:?}", all.keys());
    all
}

/// The contents of the string literals of a source, and of its comments of items, some of which are help.
fn said(code: &str, comments: bool) -> Vec<String> {
    fn walk(tokens: TokenStream, comments: bool, out: &mut Vec<String>) {
        for token in tokens {
            match token {
                // A comment is an attribute.
                TokenTree::Group(group) if !comments && group.to_string().starts_with("[doc") => {}
                TokenTree::Group(group) => walk(group.stream(), comments, out),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let text = text.trim_start_matches(['r', '#']).trim_end_matches('#');
                    let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
                    out.extend(text.map(|text| text.trim_start().to_owned()));
                }
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    walk(code.parse().unwrap(), comments, &mut out);
    out
}

/// The long options in a text.
fn options(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in text.match_indices("--") {
        let before = text[..at].chars().next_back();
        let name: String = text[at + 2..]
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
            .collect();
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if begins && before.is_none_or(|c| !c.is_alphanumeric() && c != '-') {
            out.push(name.trim_end_matches('-').to_owned());
        }
    }
    out
}

/// The long options of each command, those of all commands among them.
fn known() -> BTreeMap<String, Vec<String>> {
    let mut cli = Cli::command();
    cli.build();
    let of = |command: &clap::Command| -> Vec<String> {
        let longs = command.get_arguments().filter_map(|a| a.get_long());
        longs.map(str::to_owned).collect()
    };
    let named = |command: &clap::Command| (command.get_name().to_owned(), of(command));
    cli.get_subcommands().map(named).collect()
}

#[test]
fn the_scan_sees_what_is_said() {
    let code = r##"fn f<'a>() { g('"', '\'', "one --lr \"two\"", r#"raw "--eps""#); } // "not --x"
/// Help with --seed"##;
    assert_eq!(
        said(code, true),
        ["one --lr \\\"two\\\"", "raw \"--eps\"", "Help with --seed"]
    );
    let names = options("--lr, `--no-kernels` a--b --- --{name}");
    assert_eq!(names, ["lr", "no-kernels"]);
}

/// Every option that is named anywhere is one of the parser's: of the command that the text is about, where that can be told
/// by the file, or by the command that stands before it.
#[test]
fn options_that_are_named_are_there() {
    let known = known();
    let mut seen = 0;
    for (file, code) in sources() {
        let stem = file.split(['/', '.']).next().unwrap();
        for text in said(&code, true) {
            for line in text.lines().filter(|line| !line.contains("cargo ")) {
                let command = line.split("wgrad ").nth(1);
                let command = command.and_then(|rest| rest.split([' ', '`']).next());
                let command = command.filter(|name| known.contains_key(*name));
                let others = line.contains("other commands");
                let own = (known.contains_key(stem) && !others).then_some(stem);
                for name in options(line) {
                    seen += 1;
                    let there = match command.or(own) {
                        Some(command) => known[command].contains(&name),
                        None => known.values().any(|names| names.contains(&name)),
                    };
                    assert!(there, "{file}: there is no --{name}: {line}");
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// Users of the tool have no Rust: neither a message nor the help names its paths or calls.
#[test]
fn no_message_names_an_item_of_rust() {
    // What the translation of errors looks for, and an attribute's.
    let own = ["::", "()", "Option::is_none"];
    for (file, code) in sources() {
        for text in said(&code, false) {
            let clean = !text.contains("::") && !text.contains("()");
            assert!(clean || own.contains(&text.as_str()), "{file}: {text}");
        }
    }
    for command in Cli::command().get_subcommands() {
        let help = command.clone().render_long_help().to_string();
        assert!(!help.contains("::") && !help.contains("()"), "{help}");
    }
}

/// The library is not only the tool's: it names none of its options.
#[test]
fn the_library_names_no_option_of_the_tool() {
    fn walk(folder: &Path, told: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("bin") {
                    walk(&path, told);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let code = fs::read_to_string(&path).unwrap();
                for text in said(&code, false) {
                    for name in options(&text) {
                        told.push(format!("{}: --{name} in {text:?}", path.display()));
                    }
                }
            }
        }
    }
    let mut told = Vec::new();
    walk(
        &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut told,
    );
    told.retain(|line| !line.contains("cargo ") && !line.contains("wgrad "));
    assert!(told.is_empty(), "{}", told.join("\n"));
}
