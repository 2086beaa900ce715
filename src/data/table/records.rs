//! The records of a text, with the lines on which they begin: by the `csv` crate where one character stands between values.

use csv::ByteRecord;

use super::Delimiter;

/// Where a record begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub byte: usize,
    /// As an editor counts, from 1.
    pub line: u64,
}

impl Mark {
    pub const START: Self = Self { byte: 0, line: 1 };
}

/// What values stand between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// `None`: white space.
    pub delimiter: Option<u8>,
    pub quote: Option<u8>,
}

impl Dialect {
    fn reader<'a>(&self, bytes: &'a [u8]) -> Reader<'a> {
        let Some(delimiter) = self.delimiter else {
            return Reader::Words(Words {
                bytes,
                at: Mark { byte: 0, line: 0 },
                quote: self.quote,
                word: Vec::new(),
            });
        };
        let mut builder = csv::ReaderBuilder::new();
        builder
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter);
        match self.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        Reader::Csv(Box::new(builder.from_reader(bytes)))
    }

    /// As users say it.
    pub fn named(&self) -> Delimiter {
        match self.delimiter {
            Some(delimiter) => Delimiter::Char(delimiter as char),
            None => Delimiter::Whitespace,
        }
    }
}

enum Reader<'a> {
    Csv(Box<csv::Reader<&'a [u8]>>),
    Words(Words<'a>),
}

/// Records with the lines on which they begin. Lines of white space alone are none.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    from: Mark,
    reader: Reader<'a>,
    /// Values of a record, once that is known: a line of as many tabs is a record of nothing but missing values.
    pub cols: Option<usize>,
    pub record: ByteRecord,
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8], dialect: Dialect, from: Mark) -> Self {
        let bytes = &bytes[from.byte.min(bytes.len())..];
        Self {
            bytes,
            from,
            reader: dialect.reader(bytes),
            cols: None,
            record: ByteRecord::new(),
        }
    }

    /// Reads the next record; says where it begins.
    pub fn advance(&mut self) -> std::result::Result<Option<Mark>, csv::Error> {
        loop {
            let (begin, end) = match &mut self.reader {
                Reader::Words(words) => match words.read(&mut self.record) {
                    Some(begin) => (begin, None),
                    None => return Ok(None),
                },
                Reader::Csv(reader) => {
                    if !reader.read_byte_record(&mut self.record)? {
                        return Ok(None);
                    }
                    let end = reader.position().byte() as usize;
                    (begin(self.bytes, &self.record), Some(end))
                }
            };
            if let Some(end) = end
                && self.is_blank(begin.byte..end)
            {
                continue;
            }
            return Ok(Some(Mark {
                byte: self.from.byte + begin.byte,
                line: self.from.line + begin.line,
            }));
        }
    }

    /// Whether the record, which has these bytes, is a line of white space alone.
    fn is_blank(&self, bytes: std::ops::Range<usize>) -> bool {
        let white = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
        if !white(self.record.as_slice()) {
            return false;
        }
        let len = self.record.len();
        let another = self.cols.is_some_and(|cols| cols != len);
        // Quotation marks around nothing are a value.
        (len == 1 || another) && self.bytes.get(bytes).is_none_or(white)
    }
}

/// Where a record of the `csv` crate begins; lines before it count from 0.
fn begin(bytes: &[u8], record: &ByteRecord) -> Mark {
    let (mut byte, mut line) = match record.position() {
        Some(at) => (at.byte() as usize, at.line() - 1),
        None => (0, 0),
    };
    // The reader counts the empty lines before a record as its own.
    while let Some(b @ (b'\r' | b'\n')) = bytes.get(byte) {
        line += u64::from(*b == b'\n');
        byte += 1;
    }
    Mark { byte, line }
}

/// Values with white space between them, which the `csv` crate does not know.
struct Words<'a> {
    bytes: &'a [u8],
    at: Mark,
    quote: Option<u8>,
    word: Vec<u8>,
}

impl Words<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at.byte).copied()
    }

    fn step(&mut self, byte: u8) {
        self.at.byte += 1;
        self.at.line += u64::from(byte == b'\n');
    }

    /// Reads the next line that has a value; says where it begins.
    fn read(&mut self, record: &mut ByteRecord) -> Option<Mark> {
        record.clear();
        while let Some(b @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.step(b);
        }
        self.peek()?;
        let begin = self.at;
        while let Some(b) = self.peek() {
            match b {
                b'\r' | b'\n' => {
                    self.step(b);
                    break;
                }
                b' ' | b'\t' => self.step(b),
                _ => {
                    self.read_word();
                    record.push_field(&self.word);
                }
            }
        }
        Some(begin)
    }

    /// As the `csv` crate has it: a quotation mark opens at the beginning only, and what follows the closing one belongs to
    /// the value.
    fn read_word(&mut self) {
        self.word.clear();
        if self.quote.is_some() && self.peek() == self.quote {
            self.at.byte += 1;
            while let Some(b) = self.peek() {
                self.step(b);
                if Some(b) == self.quote {
                    if self.peek() != self.quote {
                        break;
                    }
                    self.at.byte += 1;
                }
                self.word.push(b);
            }
        }
        while let Some(b) = self.peek() {
            if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
                break;
            }
            self.at.byte += 1;
            self.word.push(b);
        }
    }
}
