//! NPZ: NumPy's archive of arrays, a ZIP of NPY files.

use std::borrow::Cow;
use std::io::Cursor;

use zip::ZipArchive;

use super::array::Array;
use super::bytes::{Bytes, read_limited};
use super::{foreign, npy};
use crate::error::{Error, Result};

/// The arrays of an archive, of which none is unpacked yet.
pub(crate) struct Archive<'a> {
    file: &'a str,
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Names of the arrays, as `numpy.savez` got them.
    pub names: Vec<String>,
}

fn damaged(file: &str, error: &dyn std::fmt::Display) -> Error {
    let problem = format!("is not an NPZ archive, or is damaged ({error})");
    let advice = "get the file again, or write it with numpy.savez";
    Error::file(file, problem, advice)
}

impl<'a> Archive<'a> {
    pub fn open(file: &'a str, bytes: &'a Bytes) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(&**bytes)).map_err(|e| damaged(file, &e))?;
        let name = |name: std::result::Result<Cow<'_, str>, _>| match name {
            Ok(name) => Ok(name.into_owned()),
            Err(e) => Err(damaged(file, &e)),
        };
        let all: Vec<String> = zip.file_names().map(name).collect::<Result<_>>()?;
        let arrays = all.iter().filter_map(|name| name.strip_suffix(".npy"));
        let mut names: Vec<String> = arrays.map(String::from).collect();
        names.sort();
        if names.is_empty() {
            return Err(foreign::archive(file, &all));
        }
        Ok(Self { file, zip, names })
    }

    /// Unpacks an array. Memory is taken as its bytes come, and no more than its header states.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let label = format!("{}, array {name:?}", self.file);
        let entry = self.zip.by_name(&format!("{name}.npy"));
        let mut entry = entry.map_err(|e| damaged(&label, &e))?;
        let length = |first: &[u8]| npy::length(&label, first);
        let bytes = read_limited(&mut entry, length, |e| damaged(&label, &e))?;
        npy::read(&label, &bytes.into())
    }
}
