//! NPY: NumPy's file of one array. The header is a Python literal, parsed by `py_literal`, as the crates for NPY do; those
//! multiply a hostile header's dimensions unchecked, and so are not used.

use py_literal::Value;

use super::array::Array;
use super::bytes::Bytes;
use super::element::{ArrayLayout, Element, NUMBERS};
use crate::error::{Error, Result};

/// What an NPY file begins with.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read, as NumPy has it too.
const HEADER: usize = 10_000;

/// Brackets in brackets that a header may have: a dictionary with a tuple has 2.
const DEPTH: usize = 4;

fn damaged(name: &str, problem: impl Into<String>) -> Error {
    let advice = "get the file again, or write it with numpy.save";
    Error::file(name, problem, advice)
}

/// The layout that a file's first bytes tell, and where the data begins.
pub(crate) fn layout(name: &str, bytes: &[u8]) -> Result<(ArrayLayout, usize)> {
    if !bytes.starts_with(MAGIC) {
        let problem = format!("is not NPY: it begins with {}", first_bytes(bytes));
        return Err(Error::file(name, problem, "write it with numpy.save"));
    }
    let have = bytes.len();
    let cut = || {
        damaged(
            name,
            format!("is cut short within its header, at {have} bytes"),
        )
    };
    let start = match bytes.get(6..8).ok_or_else(cut)? {
        [1, 0] => 10,
        [2 | 3, 0] => 12,
        version => {
            let version = format!("{}.{}", version[0], version[1]);
            let problem = format!("is of NPY version {version}, but 1.0, 2.0 and 3.0 are known");
            return Err(damaged(name, problem));
        }
    };
    // Of two bytes or four, the least first.
    let len = bytes.get(8..start).ok_or_else(cut)?.iter();
    let len = len.rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
    if len > HEADER {
        let problem = format!("states a header of {len} bytes, but at most {HEADER} are read");
        return Err(damaged(name, problem));
    }
    let header = bytes.get(start..start + len).ok_or_else(cut)?;
    Ok((parse(name, header)?, start + len))
}

fn parse(name: &str, header: &[u8]) -> Result<ArrayLayout> {
    let bad = |what: &str| damaged(name, format!("has a header that cannot be used ({what})"));
    let text = std::str::from_utf8(header).map_err(|_| bad("it is not text"))?;
    let text = text.trim();
    // The parser goes back for each bracket within brackets; escapes are never needed.
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '\\' => return Err(bad("it has a backslash")),
            _ => {}
        }
        if depth > DEPTH {
            return Err(bad("brackets in brackets"));
        }
    }
    let Ok(Value::Dict(entries)) = text.parse::<Value>() else {
        return Err(bad("it is no Python dictionary"));
    };
    let get = |key: &str| {
        let mut entries = entries.iter();
        let entry = entries.find(|(k, _)| matches!(k, Value::String(k) if k == key));
        let missing = || bad(&format!("{key} is missing"));
        entry.map(|(_, value)| value).ok_or_else(missing)
    };
    let descr = match get("descr")? {
        Value::String(descr) => descr,
        _ => return Err(unsupported(name, "records of several fields")),
    };
    let (element, big_endian) = element(descr).ok_or_else(|| unsupported(name, descr))?;
    let Value::Boolean(fortran) = *get("fortran_order")? else {
        return Err(bad("fortran_order is no bool"));
    };
    let (Value::Tuple(dims) | Value::List(dims)) = get("shape")? else {
        return Err(bad("shape is no tuple"));
    };
    let side = |dim: &_| usize::try_from(dim).map_err(|_| bad(&format!("a dimension is {dim}")));
    let shape = dims.iter().map(|dim| match dim {
        Value::Integer(dim) => side(dim),
        _ => Err(bad("a dimension is no whole number")),
    });
    Ok(ArrayLayout {
        shape: shape.collect::<Result<_>>()?,
        element,
        big_endian,
        fortran,
    })
}

/// What to do about elements that are not read, in words that NumPy takes.
fn unsupported(name: &str, descr: &str) -> Error {
    let kind = descr.trim_start_matches(['<', '>', '=', '|']);
    let advice = match kind.chars().next() {
        Some('c') => "save its real and imaginary parts, numpy.stack((x.real, x.imag), -1)",
        Some('M') => {
            "save its seconds since 1970, (x - numpy.datetime64(0, 's')) / numpy.timedelta64(1, 's')"
        }
        Some('m') => "save its seconds, x / numpy.timedelta64(1, 's')",
        Some('O') => {
            "objects are stored as programs, which are not run: save it with .astype('float64'), or with .astype(str) if it \
             is text"
        }
        Some('f') => "save it with .astype('float64')",
        Some('r') => {
            "save structured_to_unstructured(x), from numpy.lib.recfunctions, if all fields are numbers; else a table as CSV"
        }
        _ => "save numbers or text",
    };
    let problem =
        format!("has elements of type {descr:?}, but bool, integers, floats and text are read");
    Error::file(name, problem, advice)
}

/// Characters or bytes of text that an element may have.
const TEXT: usize = 1 << 20;

fn element(descr: &str) -> Option<(Element, bool)> {
    let mut chars = descr.chars();
    let big_endian = match chars.next()? {
        '<' | '|' => false,
        '=' => cfg!(target_endian = "big"),
        '>' => true,
        _ => return None,
    };
    let length = |digits: &str| {
        let length: usize = digits.parse().ok()?;
        (1..=TEXT).contains(&length).then_some(length)
    };
    let code = chars.as_str();
    let number = NUMBERS.iter().find(|(_, known, _)| *known == code);
    let element = match (number, code.split_at_checked(1)?) {
        (Some((number, ..)), _) => *number,
        (None, ("U", digits)) => Element::Text(length(digits)?),
        (None, ("S", digits)) => Element::Bytes(length(digits)?),
        (None, _) => return None,
    };
    Some((element, big_endian))
}

/// The array of an NPY file.
pub(crate) fn read(name: &str, bytes: &Bytes) -> Result<Array> {
    let (layout, start) = layout(name, bytes)?;
    let array = Array::new(name.into(), layout, bytes.part(start..bytes.len()))?;
    array.check_text()?;
    Ok(array)
}

/// Bytes that a file with these first bytes has.
pub(crate) fn length(name: &str, first: &[u8]) -> Result<u64> {
    let (layout, start) = layout(name, first)?;
    Ok(layout.bytes(name)? as u64 + start as u64)
}

/// The first bytes of a file, for a message.
pub(crate) fn first_bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing, it is empty".into();
    }
    let shown: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("the bytes {}", shown.join(" "))
}
