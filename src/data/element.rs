//! What an array is made of: the types of its elements, its layout, its values.

use std::borrow::Cow;
use std::fmt;

use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
    /// Text of at most so many characters, four bytes each, as NumPy's `U3` is.
    Text(usize),
    /// Text of at most so many bytes, as NumPy's `S3` is.
    Bytes(usize),
}

/// The types of numbers, each with NumPy's code and safetensors' type.
pub(super) const NUMBERS: [(Element, &str, Dtype); 13] = [
    (Element::Bool, "b1", Dtype::BOOL),
    (Element::U8, "u1", Dtype::U8),
    (Element::I8, "i1", Dtype::I8),
    (Element::U16, "u2", Dtype::U16),
    (Element::I16, "i2", Dtype::I16),
    (Element::U32, "u4", Dtype::U32),
    (Element::I32, "i4", Dtype::I32),
    (Element::U64, "u8", Dtype::U64),
    (Element::I64, "i8", Dtype::I64),
    (Element::F16, "f2", Dtype::F16),
    // NumPy has none.
    (Element::Bf16, "", Dtype::BF16),
    (Element::F32, "f4", Dtype::F32),
    (Element::F64, "f8", Dtype::F64),
];

impl Element {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Element::Text(length) => length.saturating_mul(4),
            Element::Bytes(length) => length,
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 | Element::Bf16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    /// Whether elements are whole numbers by their type.
    pub fn is_integer(self) -> bool {
        use Element::{Bf16, F16, F32, F64};
        !matches!(self, F16 | Bf16 | F32 | F64) && !self.is_text()
    }

    /// Whether elements are text.
    pub fn is_text(self) -> bool {
        matches!(self, Element::Text(_) | Element::Bytes(_))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Text(length) => write!(f, "text of {length} characters"),
            Element::Bytes(length) => write!(f, "text of {length} bytes"),
            number => write!(f, "{}", format!("{number:?}").to_lowercase()),
        }
    }
}

/// What the targets are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// What the values speak for, the same for tables and arrays. Classes, if they are text or names written as `00501` is; if at most
    /// 20 different whole numbers stand in at least twice as many rows; if all whole numbers from 0 or 1 to at most 100 do, each about
    /// as often; or if whole numbers stand beside images. Else values. Arrays that are read without a
    /// [`Preparation`](crate::Preparation) hold classes if their type is one of whole numbers, one to a row.
    #[default]
    Auto,
    /// Classes.
    Classification,
    /// Values.
    Regression,
}

/// A value as it stands in the data, as exact as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// Nothing: a word for it, or a NaN.
    Missing,
    /// A number of a type with fractions; of an array perhaps not finite.
    Number(f64),
    /// A number of a type of whole numbers; a bool is 0 or 1.
    Whole(i128),
    /// Text, which may be a number's; of an array without the zeros that fill it up.
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// The value as text: names of classes and categories.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Missing => Cow::Borrowed(""),
            Value::Number(x) => Cow::Owned(x.to_string()),
            Value::Whole(i) => Cow::Owned(i.to_string()),
            Value::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// How an array's bytes are to be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ArrayLayout {
    pub shape: Vec<usize>,
    pub element: Element,
    pub big_endian: bool,
    pub fortran: bool,
}

impl ArrayLayout {
    /// Bytes of the whole array. No allocation may come before this was compared with the bytes that there are.
    pub fn bytes(&self, name: &str) -> Result<usize> {
        let size = Some(self.element.bytes());
        let bytes = self.shape.iter().fold(size, |n, &dim| n?.checked_mul(dim));
        let advice = "the file is damaged, get it again";
        bytes.filter(|&n| n <= isize::MAX as usize).ok_or_else(|| {
            let problem = format!("states the shape {:?}, which no memory holds", self.shape);
            Error::file(name, problem, advice)
        })
    }
}
