//! Files that people take for data, and that are not read: told by their first bytes, with what makes data of them.

use super::bytes::{Bytes, GZIP};
use super::npz;
use super::wording::listed;
use crate::error::{Error, Result};

/// What a ZIP archive begins with; the second is one of nothing.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// First bytes, what a file that has them is, and what to do with it.
const KINDS: [(&[u8], &str, &str); 22] = [
    (b"PAR1", "is a Parquet file", AS_CSV),
    (b"ARROW1", "is a Feather (Arrow) file", AS_CSV),
    (b"FEA1", "is a Feather file", AS_CSV),
    (b"ORC", "is an ORC file", AS_CSV),
    (b"Obj\x01", "is an Avro file", AS_CSV),
    (b"\x89HDF\r\n\x1a\n", "is an HDF5 file", OF_HDF5),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", EXCEL, "save it as CSV"),
    (b"\x80\x02", PICKLE, OF_PICKLE),
    (b"\x80\x03", PICKLE, OF_PICKLE),
    (b"\x80\x04", PICKLE, OF_PICKLE),
    (b"\x80\x05", PICKLE, OF_PICKLE),
    (b"SQLite format 3\0", "is an SQLite database", TABLE),
    (b"MATLAB 5.0", "is a MATLAB file", OF_MATLAB),
    (b"%PDF-", "is a PDF document", COPY),
    (b"{\\rtf", "is an RTF document", COPY),
    (b"BZh", "is compressed by bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ\0", "is compressed by xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", UNZSTD),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", "unpack it"),
    (b"Rar!\x1a\x07", "is a RAR archive", "unpack it"),
    (b"\xff\xfe", "is UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16 text", "save it as UTF-8"),
];

const OF_HDF5: &str = "save its arrays as NPZ, with numpy.savez, or its table as CSV";
const OF_MATLAB: &str = "save its arrays as NPZ, or its table as CSV";
const EXCEL: &str = "is an Excel workbook (.xls) or another file of old Office";
const TABLE: &str = "save its table as CSV";
const COPY: &str = "copy its table into a CSV file";
const UNZSTD: &str = "unpack it with unzstd";
const AS_CSV: &str = "save it as CSV, with pandas: to_csv(\"data.csv\", index=False)";
const OF_HTML: &str =
    "download the data itself: a page often comes where a link to a file leads to one";
const OF_JSON: &str =
    "save it as CSV, with pandas: read_json(file).to_csv(\"data.csv\", index=False)";
const OF_JSON_LINES: &str =
    "save it as CSV, with pandas: read_json(file, lines=True).to_csv(\"data.csv\", index=False)";
const PICKLE: &str = "is a Python pickle";
const OF_PICKLE: &str = "a pickle can run any program and is not read: save its arrays with numpy.savez, or its table as CSV";

/// What a file with these first bytes is, if it is known and not read, and what to do.
fn known(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    // A text may begin with such letters, too.
    let binary = bytes.iter().take(1024).any(|&b| b < 9);
    let is = |first: &[u8]| bytes.starts_with(first) && (binary || !first[0].is_ascii_alphabetic());
    let kind = KINDS.iter().find(|(first, ..)| is(first));
    if let Some(&(_, problem, advice)) = kind {
        return Some((problem, advice));
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(("is a tar archive", "unpack it with tar -xf"));
    }
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = text.trim_ascii_start();
    let begins = |with: &[u8]| {
        let first = text.get(..with.len());
        first.is_some_and(|first| first.eq_ignore_ascii_case(with))
    };
    if begins(b"<!doctype") || begins(b"<html") {
        return Some(("is a web page (HTML), no table", OF_HTML));
    }
    if begins(b"<?xml") {
        return Some(("is XML", "save it as CSV"));
    }
    let behind = |mark: &[u8]| text.strip_prefix(mark).map(<[u8]>::trim_ascii_start);
    if behind(b"{").is_some_and(|rest| rest.starts_with(b"\"")) {
        return Some(("is JSON, perhaps an object a line", OF_JSON_LINES));
    }
    if behind(b"[").is_some_and(|rest| rest.starts_with(b"{") || rest.starts_with(b"[")) {
        return Some(("is JSON", OF_JSON));
    }
    // Of UTF-16 without a mark, every other byte of plain letters is zero.
    let letter = |b: u8| b.is_ascii_graphic() || b.is_ascii_whitespace();
    let pairs = bytes.get(..bytes.len().min(64) & !1).unwrap_or_default();
    let mut pairs = pairs.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let wide = match pairs.next() {
        Some((a, 0)) if letter(a) => pairs.len() > 0 && pairs.all(|(a, b)| letter(a) && b == 0),
        Some((0, b)) if letter(b) => pairs.len() > 0 && pairs.all(|(a, b)| a == 0 && letter(b)),
        _ => false,
    };
    wide.then_some(("is UTF-16 text", "save it as UTF-8"))
}

/// An error for a file that is known and not read, by its first bytes.
pub(crate) fn check(file: &str, bytes: &[u8]) -> Result<()> {
    match known(bytes) {
        Some((problem, advice)) => Err(Error::file(file, problem, advice)),
        None => Ok(()),
    }
}

/// An error for what is no table of text, where only that will do.
pub(crate) fn check_table(file: &str, bytes: &Bytes) -> Result<()> {
    check(file, bytes)?;
    if is_zip(bytes) {
        npz::Archive::open(file, bytes)?;
        let problem = "is an NPZ archive of arrays, no table";
        return Err(Error::file(file, problem, "open it as such"));
    }
    if bytes.starts_with(GZIP) {
        return Err(Error::file(file, "is in gzip", "unpack it with gunzip"));
    }
    Ok(())
}

/// What a ZIP archive that has no arrays is, by the names in it.
pub(crate) fn archive(file: &str, names: &[String]) -> Error {
    let refused = |problem: &str, advice: &str| Error::file(file, problem, advice);
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let within = |folder: &str| names.iter().any(|name| name.starts_with(folder));
    if has("[Content_Types].xml") {
        return match within("xl/") {
            true => refused("is an Excel workbook", "save it as CSV"),
            false => refused("is an Office document", TABLE),
        };
    }
    if has("mimetype") && has("content.xml") {
        return refused("is an OpenDocument file", TABLE);
    }
    if names.iter().any(|name| name.ends_with("data.pkl")) {
        let advice = "save its tensors as safetensors, or with numpy.savez";
        return refused("is a PyTorch file", advice);
    }
    let files = names.iter().filter(|name| !name.ends_with('/'));
    let files: Vec<String> = files.cloned().collect();
    let nothing = "give CSV, NPY, NPZ, IDX or safetensors";
    match files.as_slice() {
        [] => refused("is an empty ZIP archive", nothing),
        files => refused(&format!("is a ZIP of {}", listed(files)), "unpack it"),
    }
}
