//! safetensors files with a seal: a note in the metadata that says what the file is, and a checksum over every byte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use bytemuck::Pod;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::number::numbers::Numbers;
use crate::trainer::StoredArray;

fn bytes<T: Pod, const N: usize>(x: &[T], of: impl Fn(T) -> [u8; N]) -> Cow<'_, [u8]> {
    match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(x)),
        false => Cow::Owned(x.iter().flat_map(|&x| of(x)).collect()),
    }
}

/// An array on its way into a file.
pub(crate) struct Entry<'a> {
    name: String,
    shape: &'a [usize],
    dtype: Dtype,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Entry<'a> {
    pub fn f32(name: String, shape: &'a [usize], data: &'a [f32]) -> Self {
        Self {
            name,
            shape,
            dtype: Dtype::F32,
            bytes: bytes(data, f32::to_le_bytes),
        }
    }

    pub fn array(array: &'a StoredArray) -> Self {
        let (name, shape) = (array.name.clone(), &*array.shape);
        match &array.numbers {
            Numbers::F32(x) => Self::f32(name, shape, x),
            Numbers::F64(x) => Self {
                name,
                shape,
                dtype: Dtype::F64,
                bytes: bytes(x, f64::to_le_bytes),
            },
        }
    }
}

/// The header's length and the header, for entries that are then in the order of their data.
fn header(entries: &mut [Entry<'_>], metadata: (&str, String)) -> io::Result<Vec<u8>> {
    // The widest types first, so that all are aligned.
    entries.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
    let mut at = 0;
    let mut infos = Vec::new();
    for entry in entries.iter() {
        let end = at + entry.bytes.len();
        let info = TensorInfo {
            dtype: entry.dtype,
            shape: entry.shape.to_vec(),
            data_offsets: (at, end),
        };
        infos.push((entry.name.clone(), info));
        at = end;
    }
    let metadata = HashMap::from([(metadata.0.to_owned(), metadata.1)]);
    let metadata = Metadata::new(Some(metadata), infos).map_err(io::Error::other)?;
    let mut json = serde_json::to_vec(&metadata)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    Ok(bytes)
}

/// Writes a plain safetensors file.
pub(crate) fn write_plain(to: &mut dyn Write, mut entries: Vec<Entry<'_>>) -> io::Result<()> {
    // What other readers look for.
    to.write_all(&header(&mut entries, ("format", "pt".into()))?)?;
    entries
        .iter()
        .try_for_each(|entry| to.write_all(&entry.bytes))
}

/// The metadata's entry that is ours.
const KEY: &str = "wgrad";

/// What to do with a file that is not what it should be.
pub(super) const DAMAGED: &str =
    "it was cut short, is damaged or is something else: take another copy";

/// Hexadecimal digits of a checksum: XXH3 of 128 bits, over the file with zeros in its place.
const DIGITS: usize = 32;
/// How the entry begins as it stands in a header. No text within a string can look so, for its quotes would be escaped.
const BEGINNING: &str = r#""wgrad":"{\"checksum\":\""#;

/// Version of the format. It goes up when an older reader would misunderstand the file.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct SealOut<'a, T> {
    /// The first field: see [`BEGINNING`].
    checksum: &'a str,
    format: u32,
    kind: &'a str,
    version: &'a str,
    body: &'a T,
}

/// What is read first.
#[derive(Deserialize)]
struct Seal {
    format: u32,
    kind: String,
    version: String,
}

#[derive(Deserialize)]
struct SealIn<T> {
    body: T,
}

/// Writes a file of a kind with a body of metadata.
pub(crate) fn write_sealed<T: Serialize>(
    to: &mut dyn Write,
    kind: &str,
    body: &T,
    mut entries: Vec<Entry<'_>>,
) -> io::Result<()> {
    let seal = SealOut {
        checksum: &"0".repeat(DIGITS),
        format: FORMAT,
        kind,
        version: env!("CARGO_PKG_VERSION"),
        body,
    };
    let mut header = header(&mut entries, (KEY, serde_json::to_string(&seal)?))?;
    let mut hash = Xxh3::new();
    hash.update(&header);
    entries.iter().for_each(|entry| hash.update(&entry.bytes));
    let at = find_checksum(&header)
        .ok_or_else(|| io::Error::other("the header has no place for its checksum"))?;
    header[at..at + DIGITS].copy_from_slice(hex(hash.digest128()).as_bytes());
    to.write_all(&header)?;
    entries
        .iter()
        .try_for_each(|entry| to.write_all(&entry.bytes))
}

fn hex(digest: u128) -> String {
    format!("{digest:0DIGITS$x}")
}

/// Where the checksum's digits are, if there is exactly one place for them.
fn find_checksum(header: &[u8]) -> Option<usize> {
    let beginning = BEGINNING.as_bytes();
    let windows = header.windows(beginning.len()).enumerate();
    let mut places = windows.filter(|(_, window)| *window == beginning);
    let at = places.next()?.0 + beginning.len();
    (places.next().is_none() && at + DIGITS <= header.len()).then_some(at)
}

/// The tensors of a file's bytes, or what is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> std::result::Result<(usize, Metadata), String> {
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| format!("it is no safetensors file: {e}"))?;
    Ok((8 + header, metadata))
}

/// A tensor as a file has it.
pub(crate) struct RawTensor<'a> {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: &'a [u8],
}

/// The tensors of a file that [`parse`] has read, in the order of their data.
pub(crate) fn tensors<'a>(
    bytes: &'a [u8],
    start: usize,
    metadata: &Metadata,
) -> std::result::Result<Vec<RawTensor<'a>>, String> {
    let tensor = |name: String| {
        let bad = || format!("its tensor {name:?} does not lie within it");
        let info = metadata.info(&name).ok_or_else(bad)?;
        let (from, to) = info.data_offsets;
        // The sizes fit the shapes: the crate has seen to that.
        let data = bytes.get(start + from..start + to).ok_or_else(bad)?;
        Ok(RawTensor {
            dtype: info.dtype,
            shape: info.shape.clone(),
            name,
            data,
        })
    };
    metadata.offset_keys().into_iter().map(tensor).collect()
}

/// Body and arrays by their names of a file of a kind, and the version of the crate that wrote it. `name` is what errors call the file.
pub(crate) fn read_sealed<T: DeserializeOwned>(
    bytes: &[u8],
    kind: &str,
    name: &str,
) -> Result<(T, HashMap<String, StoredArray>, String)> {
    let fail = |problem: String, advice: &str| Error::file(name, problem, advice);

    let (start, metadata) = parse(bytes).map_err(|problem| fail(problem, DAMAGED))?;
    let note = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
    let Some(note) = note else {
        let problem = format!("it is a safetensors file, but no {kind} of this crate");
        let advice = "Tensors::load reads weights alone, which are to be set in a network of yours";
        return Err(fail(problem, advice));
    };
    let json =
        |e: serde_json::Error| fail(format!("its description cannot be read ({e})"), DAMAGED);
    let seal: Seal = serde_json::from_str(note).map_err(json)?;
    if seal.format != FORMAT {
        let (format, writer, reader) = (seal.format, seal.version, env!("CARGO_PKG_VERSION"));
        let problem = format!(
            "it has version {format} of the format and was written by version {writer} of this crate, but version {reader} \
             reads {FORMAT}"
        );
        let advice = "use the version that wrote it, or a later one";
        return Err(fail(problem, advice));
    }
    let checksum = find_checksum(&bytes[..start]).ok_or_else(|| {
        let advice = "another program has written it again: take the original";
        fail("it has no checksum in its place".into(), advice)
    })?;
    let mut header = bytes[..start].to_vec();
    header[checksum..checksum + DIGITS].fill(b'0');
    let mut hash = Xxh3::new();
    hash.update(&header);
    hash.update(&bytes[start..]);
    if hex(hash.digest128()).as_bytes() != &bytes[checksum..checksum + DIGITS] {
        let problem = "its checksum does not fit its contents".into();
        let advice = "it is damaged, or another program has changed it: take another copy";
        return Err(fail(problem, advice));
    }
    if seal.kind != kind {
        let problem = format!("it is a {}, not a {kind}", seal.kind);
        return Err(fail(problem, "load it as what it is"));
    }
    let body: SealIn<T> = serde_json::from_str(note).map_err(json)?;
    let raw = tensors(bytes, start, &metadata).map_err(|problem| fail(problem, DAMAGED))?;
    let arrays = raw.into_iter().map(|raw| {
        let numbers = match raw.dtype {
            Dtype::F32 => Numbers::F32(elements(raw.data, f32::from_le_bytes)),
            Dtype::F64 => Numbers::F64(elements(raw.data, f64::from_le_bytes)),
            other => {
                let problem = format!("its tensor {:?} is of type {other}", raw.name);
                return Err(fail(problem, "only F32 and F64 are known here"));
            }
        };
        let array = StoredArray {
            name: raw.name.clone(),
            shape: raw.shape,
            numbers,
        };
        Ok((raw.name, array))
    });
    Ok((body.body, arrays.collect::<Result<_>>()?, seal.version))
}

/// Whole elements of N bytes.
pub(crate) fn elements<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.chunks_exact(N);
    let element = |chunk: &[u8]| of(std::array::from_fn(|i| chunk[i]));
    chunks.map(element).collect()
}

/// The array of this name taken out of those of a file, if it is there with this shape.
pub(crate) fn take(
    arrays: &mut HashMap<String, StoredArray>,
    name: &str,
    shape: &[usize],
) -> Option<StoredArray> {
    let found = arrays.get(name)?;
    (found.shape == shape).then(|| arrays.remove(name))?
}

/// What a type with a sealed file has beside `write` and `read`.
macro_rules! sealed_file {
    ($type:ident, $what:literal) => {
        impl $type {
            #[doc = concat!("Writes the ", $what, "'s file. What stood there before is replaced when the new file is whole.")]
            ///
            /// # Errors
            /// [`Error::File`](crate::Error::File) if it cannot be written; what was there is unchanged then.
            pub fn save(&self, path: impl AsRef<std::path::Path>) -> crate::error::Result<()> {
                super::disk::write(path.as_ref(), |to| self.write(to))
            }

            /// The bytes that [`save`](Self::save) writes.
            pub fn to_bytes(&self) -> Vec<u8> {
                let mut bytes = Vec::new();
                match self.write(&mut bytes) {
                    Ok(()) => bytes,
                    Err(error) => unreachable!("a vector takes what is written: {error}"),
                }
            }

            #[doc = concat!("Reads a ", $what, "'s file.")]
            ///
            /// # Errors
            /// [`Error::File`](crate::Error::File) if it cannot be read, is damaged, is something else, or is of a later version of
            /// the format.
            pub fn load(path: impl AsRef<std::path::Path>) -> crate::error::Result<Self> {
                let path = path.as_ref();
                let bytes = super::disk::read_safetensors(path)?;
                Self::read(&bytes, &path.display().to_string())
            }

            /// [`load`](Self::load) from the bytes of a file.
            ///
            /// # Errors
            /// As [`load`](Self::load).
            pub fn from_bytes(bytes: &[u8]) -> crate::error::Result<Self> {
                Self::read(bytes, "the bytes given")
            }
        }
    };
}
pub(super) use sealed_file;
