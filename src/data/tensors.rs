//! Data in safetensors files, by the `safetensors` crate.

use safetensors::SafeTensors;

use super::array::Array;
use super::bytes::Bytes;
use super::element::{ArrayLayout, NUMBERS};
use crate::error::{Error, Result};

fn parsed<'a>(file: &str, bytes: &'a Bytes) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        let problem = format!("is not safetensors, or is damaged ({error})");
        Error::file(file, problem, "get the file again")
    })
}

/// Names of the tensors.
pub(crate) fn names(file: &str, bytes: &Bytes) -> Result<Vec<String>> {
    let tensors = parsed(file, bytes)?;
    let mut names: Vec<String> = tensors.names().into_iter().map(String::from).collect();
    names.sort();
    Ok(names)
}

/// A tensor of a file that has it.
pub(crate) fn read(file: &str, bytes: &Bytes, name: &str) -> Result<Array> {
    let label = format!("{file}, tensor {name:?}");
    let tensors = parsed(file, bytes)?;
    let tensor = tensors.tensor(name).map_err(|error| {
        let problem = format!("cannot be read ({error})");
        Error::file(&label, problem, "get the file again")
    })?;
    let dtype = tensor.dtype();
    let Some(&(element, ..)) = NUMBERS.iter().find(|(.., known)| *known == dtype) else {
        let problem =
            format!("has elements of type {dtype:?}, but bool, integers and floats are read");
        return Err(Error::file(label, problem, "save it as float32"));
    };
    let layout = ArrayLayout {
        shape: tensor.shape().to_vec(),
        element,
        big_endian: false,
        fortran: false,
    };
    let start = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
    let data = bytes.part(start..start + tensor.data().len());
    Array::new(label, layout, data)
}
