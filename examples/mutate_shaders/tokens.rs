//! As much of WGSL's grammar as mutating needs: tokens, and where functions begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword.
    Name,
    /// A type with its arguments, `vec4<f32>`: nothing in it is an operator.
    Type,
    Number,
    /// An operator or a bracket.
    Mark,
}

#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Where it begins in the code.
    pub start: usize,
}

impl Token<'_> {
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// The code without comments, as a planted fault sees it: lines and columns stay.
pub fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

const MARKS: &[&str] = &[
    "<<=", ">>=", "->", "++", "--", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=", "/=",
    "%=", "&=", "|=", "^=", "<<", ">>",
];

/// The tokens of code without comments.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = code[start..].chars().next() {
        if first.is_whitespace() {
            start += first.len_utf8();
            continue;
        }
        let rest = &code[start..];
        let (kind, length) = token(rest, first);
        tokens.push(Token {
            kind,
            text: &rest[..length],
            start,
        });
        start += length;
    }
    tokens
}

/// Kind and length of the token that `rest` begins with.
fn token(rest: &str, first: char) -> (Kind, usize) {
    let length = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
    if first.is_ascii_digit() {
        return (
            Kind::Number,
            length(|c| c.is_ascii_alphanumeric() || c == '.'),
        );
    }
    if first.is_alphabetic() || first == '_' {
        let name = length(|c| c.is_alphanumeric() || c == '_');
        return match arguments(&rest[..name], &rest[name..]) {
            0 => (Kind::Name, name),
            arguments => (Kind::Type, name + arguments),
        };
    }
    let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
    (Kind::Mark, mark.map_or(first.len_utf8(), |mark| mark.len()))
}

/// The length of the `<...>` after a name that takes types as arguments; 0 where there is none.
fn arguments(name: &str, rest: &str) -> usize {
    let numbered = ["vec", "mat"].iter().any(|prefix| {
        let size = name.strip_prefix(prefix).unwrap_or("");
        size.starts_with(|c: char| c.is_ascii_digit())
    });
    let takes = numbered || ["array", "atomic", "bitcast", "ptr", "var"].contains(&name);
    if !takes || !rest.starts_with('<') {
        return 0;
    }
    let mut depth = 0;
    for (i, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    0
}

/// A function: its name, and places of its tokens.
#[derive(Debug)]
pub struct Function<'a> {
    pub name: &'a str,
    /// From the name to the body.
    pub signature: Range<usize>,
    /// Inside the braces.
    pub body: Range<usize>,
}

/// The functions among the tokens, in order.
pub fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut functions = Vec::new();
    let mut i = 0;
    while i + 1 < tokens.len() {
        if tokens[i].text != "fn" {
            i += 1;
            continue;
        }
        let find = |from: usize, text: &str| {
            let mut rest = tokens[from..].iter();
            rest.position(|token| token.text == text)
                .map(|n| from + n)
                .unwrap_or(tokens.len())
        };
        let open = find(i, "{");
        let mut depth = 1;
        let mut close = open + 1;
        while close < tokens.len() {
            match tokens[close].text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            close += 1;
        }
        functions.push(Function {
            name: tokens[i + 1].text,
            signature: i + 1..open,
            body: (open + 1).min(close)..close,
        });
        i = close;
    }
    functions
}

/// The functions that an entry point calls, and those that they call; itself among them.
pub fn reached(code: &str, entry: &str) -> BTreeSet<String> {
    let tokens = tokens(code);
    let bodies: BTreeMap<&str, Range<usize>> = functions(&tokens)
        .into_iter()
        .map(|function| (function.name, function.body))
        .collect();
    let mut reached = BTreeSet::new();
    let mut left = vec![entry];
    while let Some(name) = left.pop() {
        let Some(body) = bodies.get(name) else {
            continue;
        };
        if reached.insert(name.to_owned()) {
            left.extend(tokens[body.clone()].iter().map(|token| token.text));
        }
    }
    reached
}
