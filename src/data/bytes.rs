//! The bytes of a file: read, or mapped where it is large.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result, unreadable};

/// Files from this size on are mapped, not read.
const MAPPED_FROM: u64 = 64 << 20;

/// Bytes that a stream may bring where its length is not known beforehand: a file of gzip, a pipe.
const STREAM_LIMIT: u64 = 1 << 40;

/// Shared bytes of a file, or a part of them.
#[derive(Clone)]
pub(crate) struct Bytes {
    whole: Arc<Whole>,
    range: Range<usize>,
}

enum Whole {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Bytes {
    /// The file's bytes. One larger than 64 MiB is mapped: another program must not shorten it meanwhile.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_from(path, MAPPED_FROM)
    }

    fn open_from(path: &Path, mapped_from: u64) -> Result<Self> {
        let failed = |error: std::io::Error| unreadable(path, &error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let file = path.display().to_string();
            return Err(Error::file(file, "is a folder", "name a file in it"));
        }
        if metadata.is_file() && metadata.len() >= mapped_from {
            // SAFETY: the map is read-only. That its bytes stay as they are while it is used cannot be promised on any
            // system; a program that shortens a file which another one has mapped ends that one, as the documentation of the
            // readers says. Every reader checks what it reads before it trusts it, and none keeps a reference across a check.
            #[allow(unsafe_code)]
            let map = unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?;
            return Ok(Self::of(Whole::Mapped(map)));
        }
        let mut bytes = Vec::new();
        let mut file = file.take(STREAM_LIMIT);
        file.read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes.into())
    }

    fn of(whole: Whole) -> Self {
        let len = match &whole {
            Whole::Read(bytes) => bytes.len(),
            Whole::Mapped(map) => map.len(),
        };
        Self {
            whole: Arc::new(whole),
            range: 0..len,
        }
    }

    /// A part, without a copy.
    ///
    /// # Panics
    /// If the part is not within.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len());
        Self {
            whole: self.whole.clone(),
            range: self.range.start + range.start..self.range.start + range.end,
        }
    }

    /// What gzip holds, if these bytes are gzip; else these bytes. `limit` says from the first bytes how many there can be.
    pub fn unpacked(self, file: &str, limit: impl FnOnce(&[u8]) -> Result<u64>) -> Result<Self> {
        if !self.starts_with(GZIP) {
            return Ok(self);
        }
        let mut decoder = MultiGzDecoder::new(&*self);
        let failed = |error| {
            let problem = format!("is damaged or cut short within its gzip ({error})");
            Error::file(file, problem, "get the file again")
        };
        Ok(read_limited(&mut decoder, limit, failed)?.into())
    }
}

/// What a gzip file begins with.
pub(crate) const GZIP: &[u8] = &[0x1f, 0x8b];

/// First bytes that tell how many follow: more than any header takes.
const FIRST: u64 = 16 << 10;

/// What a stream holds: up to the limit that its first bytes tell, and one byte more if there is more. Memory is taken as the
/// bytes come.
pub(crate) fn read_limited(
    stream: &mut dyn Read,
    limit: impl FnOnce(&[u8]) -> Result<u64>,
    failed: impl Fn(std::io::Error) -> Error,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut read = |most: u64, bytes: &mut Vec<u8>| stream.take(most).read_to_end(bytes);
    read(FIRST, &mut bytes).map_err(&failed)?;
    let limit = limit(&bytes)?;
    let rest = limit.saturating_add(1).saturating_sub(bytes.len() as u64);
    // A take of 0 would not reach the stream's end, where its checksum is compared.
    read(rest.max(1), &mut bytes).map_err(&failed)?;
    Ok(bytes)
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &*self.whole {
            Whole::Read(bytes) => bytes,
            Whole::Mapped(map) => map,
        };
        &whole[self.range.clone()]
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::of(Whole::Read(bytes))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &*self.whole {
            Whole::Read(_) => "read",
            Whole::Mapped(_) => "mapped",
        };
        write!(f, "{} bytes, {way}", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mapped, read and in parts, a file's bytes are the same.
    #[test]
    fn a_mapped_file_has_the_same_bytes() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let mapped = Bytes::open_from(path, 1).unwrap();
        let read = Bytes::open(path).unwrap();
        assert!(matches!(&*mapped.whole, Whole::Mapped(_)));
        assert!(matches!(&*read.whole, Whole::Read(_)));
        assert_eq!(&*mapped, &*read);
        assert_eq!(&*mapped.part(3..9).part(2..4), &read[5..7]);
    }
}
