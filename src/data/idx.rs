//! IDX: MNIST's own format. Two zero bytes, a type, a number of dimensions, the dimensions as big-endian u32, the elements.
//!
//! No crate for it is at once of a free licence, kept and safe from hostile files; the reader is these few lines.

use super::array::Array;
use super::bytes::Bytes;
use super::element::{ArrayLayout, Element};
use super::npy::first_bytes;
use crate::error::{Error, Result};

/// The layout that a file's first bytes tell, and where the data begins.
pub(crate) fn layout(name: &str, bytes: &[u8]) -> Result<(ArrayLayout, usize)> {
    let advice = "give an IDX file as MNIST's are, gzip or not, or get the file again";
    let bad = |problem: String| Error::file(name, problem, advice);
    let wrong = || {
        let begin = first_bytes(bytes);
        bad(format!(
            "is not IDX, its magic number is wrong: it begins with {begin}, but must begin with 00 00, a type (08 for bytes) \
             and a number of dimensions from 1 on"
        ))
    };
    let &[zero, zero_too, kind, dims] = bytes.first_chunk::<4>().ok_or_else(wrong)?;
    let element = match kind {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => return Err(wrong()),
    };
    if (zero, zero_too) != (0, 0) || dims == 0 {
        return Err(wrong());
    }
    let start = 4 + 4 * usize::from(dims);
    let Some(sizes) = bytes.get(4..start) else {
        let need = format!("{} bytes, but {dims} dimensions take {start}", bytes.len());
        return Err(bad(format!("is cut short within its header: {need}")));
    };
    let size = |s: &[u8]| u32::from_be_bytes([s[0], s[1], s[2], s[3]]) as usize;
    let layout = ArrayLayout {
        shape: sizes.chunks_exact(4).map(size).collect(),
        element,
        big_endian: true,
        fortran: false,
    };
    Ok((layout, start))
}

/// Whether a file looks like IDX.
pub(crate) fn is_idx(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=8, ..])
}

/// The array of an IDX file.
pub(crate) fn read(name: &str, bytes: &Bytes) -> Result<Array> {
    let (layout, start) = layout(name, bytes)?;
    Ok(Array::new(name.into(), layout, bytes.part(start..bytes.len()))?.of_images())
}

/// Bytes that a file with these first bytes has.
pub(crate) fn length(name: &str, first: &[u8]) -> Result<u64> {
    let (layout, start) = layout(name, first)?;
    Ok(layout.bytes(name)? as u64 + start as u64)
}
