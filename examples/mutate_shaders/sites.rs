//! Where a shader can be mutated, and into what.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use crate::tokens::{self, Function, Kind, Token};

/// A WGSL file.
#[derive(Debug)]
pub struct Source {
    /// From the crate's folder on.
    pub path: String,
    /// Without comments.
    pub code: String,
}

/// A token, or a barrier, that can be mutated.
#[derive(Debug)]
pub struct Site {
    /// Index of the file.
    pub file: usize,
    /// The function that it stands in.
    pub function: String,
    /// Where it stands in the file's code.
    pub span: Range<usize>,
    /// What might stand there instead; some of it does not compile.
    pub replacements: Vec<String>,
    pub barrier: bool,
    /// Which of the file's places it is that have this text on a line of this text, and of how many.
    nth: (usize, usize),
}

/// A shader with one token changed.
#[derive(Debug)]
pub struct Mutant<'a> {
    pub source: &'a Source,
    pub site: &'a Site,
    pub after: &'a str,
}

impl Source {
    /// Every WGSL file below the folder.
    pub fn all(root: &Path) -> std::io::Result<Vec<Self>> {
        let mut folders = vec![root.join("shaders")];
        let mut sources = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "wgsl") {
                    let names = path.strip_prefix(root).unwrap_or(&path).components();
                    let names: Vec<_> = names.map(|n| n.as_os_str().to_string_lossy()).collect();
                    sources.push(Self {
                        code: tokens::without_comments(&std::fs::read_to_string(&path)?),
                        path: names.join("/"),
                    });
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }

    /// The code with another text at a place.
    pub fn mutated(&self, span: Range<usize>, text: &str) -> String {
        let mut code = self.code.clone();
        code.replace_range(span, text);
        code
    }

    fn line(&self, at: usize) -> &str {
        let begin = self.code[..at].rfind('\n').map_or(0, |i| i + 1);
        let end = self.code[at..]
            .find('\n')
            .map_or(self.code.len(), |i| at + i);
        self.code[begin..end].trim()
    }

    /// Line and column, from 1 on.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.code[..at];
        let column = before.rfind('\n').map_or(at, |i| at - i - 1);
        (before.matches('\n').count() + 1, column + 1)
    }
}

impl Site {
    /// Every site of the files.
    pub fn all(sources: &[Source]) -> Vec<Self> {
        let mut sites = Vec::new();
        for (file, source) in sources.iter().enumerate() {
            let tokens = tokens::tokens(&source.code);
            let mut of_file: Vec<Self> = Vec::new();
            for function in tokens::functions(&tokens) {
                let names = Names::of(&tokens, &function);
                for i in function.body.clone() {
                    let barrier = barrier(&tokens, i);
                    let replacements = match &barrier {
                        Some(_) => vec![String::new()],
                        None => replacements(&tokens, i, &names),
                    };
                    if !replacements.is_empty() {
                        of_file.push(Self {
                            file,
                            function: function.name.to_owned(),
                            span: barrier.clone().unwrap_or(tokens[i].span()),
                            replacements,
                            barrier: barrier.is_some(),
                            nth: (1, 1),
                        });
                    }
                }
            }
            number(source, &mut of_file);
            sites.append(&mut of_file);
        }
        sites
    }

    pub fn mutant<'a>(&'a self, source: &'a Source, after: &'a str) -> Mutant<'a> {
        Mutant {
            source,
            site: self,
            after,
        }
    }
}

/// Numbers the sites that look the same.
fn number(source: &Source, sites: &mut [Site]) {
    let mut alike: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (i, site) in sites.iter().enumerate() {
        let key = (
            source.line(site.span.start),
            &source.code[site.span.clone()],
        );
        alike.entry(key).or_default().push(i);
    }
    for alike in alike.into_values() {
        for (n, i) in alike.iter().enumerate() {
            sites[*i].nth = (n + 1, alike.len());
        }
    }
}

impl Mutant<'_> {
    /// The file's code with the mutation.
    pub fn code(&self) -> String {
        self.source.mutated(self.site.span.clone(), self.after)
    }

    /// What changes: `min → max`.
    pub fn change(&self) -> String {
        let before = &self.source.code[self.site.span.clone()];
        let after = match self.after {
            "" => "nothing",
            after => after,
        };
        match self.site.nth {
            (_, 1) => format!("{before} → {after}"),
            (n, of) => format!("{before} → {after} ({n} of {of})"),
        }
    }

    /// Where: file, line, column.
    pub fn place(&self) -> String {
        let (line, column) = self.source.place(self.site.span.start);
        format!("{}:{line}:{column}", self.source.path)
    }

    /// How the list of equivalents names it: by its line's text, which stays when lines are added above it.
    pub fn entry(&self) -> String {
        let line = self.source.line(self.site.span.start);
        format!("{} | {line} | {} | ", self.source.path, self.change())
    }
}

/// Where a statement that is a barrier stands, if token `i` begins one.
fn barrier(tokens: &[Token<'_>], i: usize) -> Option<Range<usize>> {
    let end = tokens.get(i + 3)?;
    let statement = tokens[i].text.ends_with("Barrier") && end.text == ";";
    statement.then(|| tokens[i].start..end.span().end)
}

/// What identifiers of a function name.
#[derive(Default)]
struct Names<'a> {
    variables: BTreeSet<&'a str>,
    functions: BTreeSet<&'a str>,
    fields: BTreeSet<&'a str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Role {
    Variable,
    Function,
    Field,
    /// Letters of a vector's components.
    Components,
    /// A keyword, a type, or what a declaration gives a name to.
    None,
}

const KEYWORDS: &[&str] = &[
    "if",
    "else",
    "for",
    "while",
    "loop",
    "switch",
    "case",
    "default",
    "return",
    "break",
    "continue",
    "continuing",
    "discard",
    "let",
    "var",
    "const",
    "fn",
    "true",
    "false",
    "bool",
];

fn role(tokens: &[Token<'_>], i: usize) -> Role {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
    let name = tokens[i].text;
    if tokens[i].kind != Kind::Name || KEYWORDS.contains(&name) {
        return Role::None;
    }
    match (text(i.wrapping_sub(1)), text(i + 1)) {
        (".", _) if name.bytes().all(|c| LETTERS.contains(&c)) => Role::Components,
        (".", _) => Role::Field,
        ("let" | "var" | "const" | ":", _) => Role::None,
        (_, "(") => Role::Function,
        _ => Role::Variable,
    }
}

impl<'a> Names<'a> {
    fn of(tokens: &[Token<'a>], function: &Function<'a>) -> Self {
        let mut names = Self::default();
        let pairs = tokens[function.signature.clone()].windows(2);
        let parameters = pairs.filter(|pair| pair[1].text == ":");
        names.variables.extend(parameters.map(|pair| pair[0].text));
        for i in function.body.clone() {
            let name = tokens[i].text;
            let of_its_role = match role(tokens, i) {
                Role::Variable => &mut names.variables,
                Role::Function => &mut names.functions,
                Role::Field => &mut names.fields,
                Role::Components | Role::None => continue,
            };
            of_its_role.insert(name);
        }
        names
    }
}

fn replacements(tokens: &[Token<'_>], i: usize, names: &Names<'_>) -> Vec<String> {
    let token = &tokens[i];
    let others = |of: &BTreeSet<&str>| {
        let others = of.iter().filter(|name| **name != token.text);
        others.map(|name| (*name).to_owned()).collect()
    };
    match token.kind {
        Kind::Type => Vec::new(),
        Kind::Number => numbers(token.text),
        Kind::Mark => marks(tokens, i),
        Kind::Name if token.text == "true" => vec!["false".into()],
        Kind::Name if token.text == "false" => vec!["true".into()],
        Kind::Name => match role(tokens, i) {
            Role::None => Vec::new(),
            Role::Variable => others(&names.variables),
            Role::Field => others(&names.fields),
            Role::Components => components(token.text),
            Role::Function => match token.text {
                "min" => vec!["max".into()],
                "max" => vec!["min".into()],
                _ => others(&names.functions),
            },
        },
    }
}

const LETTERS: &[u8] = b"xyzw";

/// Every letter of a swizzle moved on, by as much.
fn components(text: &str) -> Vec<String> {
    let moved = |by: usize| {
        let letters = text.bytes().map(|c| {
            let place = LETTERS.iter().position(|letter| *letter == c);
            char::from(LETTERS[(place.unwrap_or(0) + by) % LETTERS.len()])
        });
        letters.collect()
    };
    (1..LETTERS.len()).map(moved).collect()
}

/// Whole numbers beside it; fractions that differ by an eighth; something for nothing.
fn numbers(text: &str) -> Vec<String> {
    let neighbours = |n: u64, show: &dyn Fn(u64) -> String| {
        let below = n.checked_sub(1);
        below.into_iter().chain([n + 1]).map(show).collect()
    };
    let (digits, suffix) = match text.strip_suffix('u') {
        Some(digits) => (digits, "u"),
        None => (text, ""),
    };
    if let Some(hex) = digits.strip_prefix("0x") {
        let n = u64::from_str_radix(hex, 16);
        return n.map_or(Vec::new(), |n| {
            neighbours(n, &|n| format!("0x{n:x}{suffix}"))
        });
    }
    if let Ok(n) = digits.parse::<u64>() {
        return neighbours(n, &|n| format!("{n}{suffix}"));
    }
    match digits.parse::<f64>() {
        Ok(0.0) => vec!["1.0".into()],
        Ok(x) => vec![format!("{:?}", x * 0.875), format!("{:?}", x * 1.125)],
        Err(_) => Vec::new(),
    }
}

/// Operators that are easily taken for one another.
fn marks(tokens: &[Token<'_>], i: usize) -> Vec<String> {
    let before = tokens[..i].last();
    // After a value an operator has two sides.
    let value = before.is_some_and(|token| match token.kind {
        Kind::Mark => [")", "]"].contains(&token.text),
        _ => token.text != "return",
    });
    let declares = || {
        let names = tokens[..i].iter().rev();
        let mut statement = names.take_while(|token| !["{", "}", "(", ";"].contains(&token.text));
        statement.any(|token| ["let", "var", "const"].contains(&token.text))
    };
    let neighbours: &[&str] = match tokens[i].text {
        "!" => &[""],
        "-" if !value => &[""],
        "=" if !declares() => &["+=", "-="],
        _ if !value => &[],
        "+" => &["-", "*"],
        "-" => &["+"],
        "*" => &["/", "+"],
        "/" => &["*", "%"],
        "%" => &["/", "*"],
        "<" => &["<=", ">"],
        "<=" => &["<", ">="],
        ">" => &[">=", "<"],
        ">=" => &[">", "<="],
        "==" => &["!="],
        "!=" => &["=="],
        "&&" => &["||"],
        "||" => &["&&"],
        "&" => &["|", "^"],
        "|" => &["&", "^"],
        "^" => &["|", "&"],
        "<<" => &[">>"],
        ">>" => &["<<"],
        "+=" => &["-=", "="],
        "-=" => &["+=", "="],
        "*=" => &["/=", "="],
        "/=" => &["*=", "="],
        "++" => &["--"],
        "--" => &["++"],
        _ => &[],
    };
    neighbours.iter().map(|mark| (*mark).to_owned()).collect()
}
