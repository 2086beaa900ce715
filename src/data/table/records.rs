//! The records of a text, by the `csv` crate, with the lines on which they begin; what cuts them.

use csv::ByteRecord;

/// Lines that are looked at to guess the delimiter.
const SAMPLE: usize = 20;

/// Where a record begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub byte: usize,
    /// As an editor counts, from 1.
    pub line: u64,
}

/// What values stand between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
}

impl Dialect {
    fn reader<'a>(&self, bytes: &'a [u8]) -> csv::Reader<&'a [u8]> {
        let mut builder = csv::ReaderBuilder::new();
        builder
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter);
        match self.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        builder.from_reader(bytes)
    }
}

/// Records with the lines on which they begin.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    from: Mark,
    reader: csv::Reader<&'a [u8]>,
    pub record: ByteRecord,
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8], dialect: Dialect, from: Mark) -> Self {
        let bytes = &bytes[from.byte.min(bytes.len())..];
        Self {
            bytes,
            from,
            reader: dialect.reader(bytes),
            record: ByteRecord::new(),
        }
    }

    /// Reads the next record; says where it begins.
    pub fn advance(&mut self) -> std::result::Result<Option<Mark>, csv::Error> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let (mut byte, mut line) = match self.record.position() {
            Some(at) => (at.byte() as usize, at.line() - 1),
            None => (0, 0),
        };
        // The reader counts the empty lines before a record as its own.
        while let Some(b @ (b'\r' | b'\n')) = self.bytes.get(byte) {
            line += u64::from(*b == b'\n');
            byte += 1;
        }
        Ok(Some(Mark {
            byte: self.from.byte + byte,
            line: self.from.line + line,
        }))
    }
}

/// What cuts the first lines best; see [`CsvOptions::delimiter`](super::CsvOptions::delimiter).
pub(super) fn guess_delimiter(bytes: &[u8], quote: Option<u8>) -> u8 {
    let (mut best, mut best_of_first) = ((1, b','), (1, b','));
    for delimiter in *b",;\t|" {
        if quote == Some(delimiter) {
            continue;
        }
        let from = Mark { byte: 0, line: 1 };
        let mut records = Records::new(bytes, Dialect { delimiter, quote }, from);
        let mut cols = None;
        for _ in 0..SAMPLE {
            let Ok(Some(_)) = records.advance() else {
                break;
            };
            let len = records.record.len();
            if cols.is_none() && len > best_of_first.0 {
                best_of_first = (len, delimiter);
            }
            if *cols.get_or_insert(len) != len {
                cols = None;
                break;
            }
        }
        if let Some(cols) = cols
            && cols > best.0
        {
            best = (cols, delimiter);
        }
    }
    if best.0 == 1 { best_of_first.1 } else { best.1 }
}
