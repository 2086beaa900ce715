//! Arrays of numbers as files hold them: rows of one shape, of any element type, read a few rows at a time.

use std::fmt;
use std::ops::Range;

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::{Dataset, Matrix, Targets};
use crate::error::{Error, Result, shortest};

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
}

impl Element {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 | Element::Bf16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    /// Whether elements are whole numbers by their type.
    pub fn is_integer(self) -> bool {
        !matches!(
            self,
            Element::F16 | Element::Bf16 | Element::F32 | Element::F64
        )
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// What the targets are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Classes, if they are text, or whole numbers: of an array one to a row, of a table at most 20 different ones for at least
    /// twice as many rows. Else values.
    #[default]
    Auto,
    /// Classes.
    Classification,
    /// Values.
    Regression,
}

/// An array in a file. Of a file above 64 MiB nothing is in memory but what is asked for (the file is mapped; no program may
/// shorten it meanwhile); an array of an NPZ or of a gzip file is unpacked into memory.
#[derive(Debug, Clone)]
pub struct Array {
    name: String,
    shape: Vec<usize>,
    element: Element,
    big_endian: bool,
    /// Of Fortran order, where each column's elements begin, in elements from the row's number on.
    columns: Option<Vec<usize>>,
    cols: usize,
    bytes: Bytes,
}

/// How an array's bytes are to be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub shape: Vec<usize>,
    pub element: Element,
    pub big_endian: bool,
    pub fortran: bool,
}

impl Layout {
    /// Bytes of the whole array. No allocation may come before this was compared with the bytes that there are.
    pub fn bytes(&self, name: &str) -> Result<usize> {
        let size = Some(self.element.bytes());
        let bytes = self.shape.iter().fold(size, |n, &dim| n?.checked_mul(dim));
        bytes
            .filter(|&n| n <= isize::MAX as usize)
            .ok_or_else(|| Error::File {
                file: name.into(),
                problem: format!("states the shape {:?}, which no memory holds", self.shape),
                advice: "the file is damaged, get it again".into(),
            })
    }
}

impl Array {
    /// `bytes` must be what the layout says, and no more.
    pub(crate) fn new(name: String, layout: Layout, bytes: Bytes) -> Result<Self> {
        let need = layout.bytes(&name)?;
        if layout.shape.is_empty() {
            return Err(Error::File {
                file: name,
                problem: "is a single number".into(),
                advice: "give an array with a row for each sample".into(),
            });
        }
        if layout.shape.contains(&0) {
            return Err(Error::EmptyData {
                what: format!("{name} {:?}", layout.shape),
            });
        }
        if need != bytes.len() {
            let problem = format!(
                "has {} bytes of data, but {:?} elements of {} take {need}",
                bytes.len(),
                layout.shape,
                layout.element
            );
            let advice = if bytes.len() < need {
                "the file is cut short, get it again"
            } else {
                "more follows than is stated: the file is damaged, or has something else behind the array"
            };
            return Err(Error::File {
                file: name,
                problem,
                advice: advice.into(),
            });
        }
        let cols = layout.shape[1..].iter().product();
        let columns = (layout.fortran && layout.shape.len() > 1).then(|| {
            // Column j counts the dimensions behind the first, the last one fastest.
            let mut offsets = vec![0];
            let mut stride = layout.shape[0];
            for &dim in &layout.shape[1..] {
                let wider = offsets
                    .iter()
                    .flat_map(|&o| (0..dim).map(move |i| o + i * stride));
                offsets = wider.collect();
                stride *= dim;
            }
            offsets
        });
        Ok(Self {
            name,
            shape: layout.shape,
            element: layout.element,
            big_endian: layout.big_endian,
            columns,
            cols,
            bytes,
        })
    }

    /// What errors call it: the file, and the array in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its dimensions; the first counts the rows.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Type of the elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// Elements of a row, over all dimensions behind the first (an image's pixels, line after line).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows as numbers: each element times `scale` (1/255 makes bytes numbers from 0 to 1 that
    /// [`Storage::U8`](crate::Storage::U8) keeps), rounded to f32.
    ///
    /// # Errors
    /// [`Error::Value`] at the first number that is not finite, or not as an f32; [`Error::Argument`] if the rows are not there
    /// or the scale is not finite.
    pub fn matrix(&self, rows: Range<usize>, scale: f64) -> Result<Matrix> {
        self.check(&rows)?;
        let scale = f64::from(scale as f32);
        if !scale.is_finite() {
            return Err(Error::Argument {
                name: "the scale of an array".into(),
                value: scale.to_string(),
                allowed: "finite as an f32".into(),
            });
        }
        let mut data = reserved(&self.name, rows.len(), self.cols)?;
        self.for_each(rows.clone(), |x| {
            // Exact before it is rounded where x is a byte: what f32 arithmetic gives.
            data.push(if scale == 1.0 { x } else { x * scale } as f32);
        });
        if let Some(i) = data.iter().position(|x: &f32| !x.is_finite()) {
            return Err(Error::Value {
                what: self.name.clone(),
                value: shortest(data[i]),
                row: rows.start + i / self.cols,
                col: i % self.cols,
                allowed: "finite as an f32: mend it or leave that row out".into(),
            });
        }
        Matrix::new(self.cols, data)
    }

    /// Rows as class indices.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is more than one number in a row; [`Error::Value`] at the first that is no whole number from 0
    /// on; [`Error::Argument`] if the rows are not there.
    pub fn labels(&self, rows: Range<usize>) -> Result<Vec<u32>> {
        self.check(&rows)?;
        if self.cols != 1 {
            return Err(Error::Shape {
                what: self.name.clone(),
                got: format!("{:?}", self.shape),
                expected: format!("[{}]", self.rows()),
                advice: "classes are one whole number for each row".into(),
            });
        }
        let mut labels: Vec<u32> = reserved(&self.name, rows.len(), 1)?;
        let mut bad = None;
        self.for_each(rows.clone(), |x| {
            if bad.is_none() && !(x.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&x)) {
                bad = Some((labels.len(), x));
            }
            labels.push(x as u32);
        });
        match bad {
            Some((i, x)) => Err(Error::Value {
                what: self.name.clone(),
                value: x,
                row: rows.start + i,
                col: 0,
                allowed:
                    "a class index, a whole number from 0 on; or say that the task is regression"
                        .into(),
            }),
            None => Ok(labels),
        }
    }

    fn check(&self, rows: &Range<usize>) -> Result<()> {
        check_rows(&self.name, rows, self.rows())
    }

    /// Visits the elements of some rows, row after row.
    fn for_each(&self, rows: Range<usize>, visit: impl FnMut(f64)) {
        match &self.columns {
            None => self.visit(rows.start * self.cols..rows.end * self.cols, visit),
            Some(columns) => {
                self.visit(rows.flat_map(|r| columns.iter().map(move |c| c + r)), visit);
            }
        }
    }

    fn visit(&self, elements: impl Iterator<Item = usize>, mut visit: impl FnMut(f64)) {
        let bytes: &[u8] = &self.bytes;
        macro_rules! each {
            ($type:ty, $to:expr) => {{
                const SIZE: usize = size_of::<$type>();
                for i in elements {
                    let mut element = [0; SIZE];
                    element.copy_from_slice(&bytes[i * SIZE..][..SIZE]);
                    let x = match self.big_endian {
                        true => <$type>::from_be_bytes(element),
                        false => <$type>::from_le_bytes(element),
                    };
                    visit($to(x));
                }
            }};
        }
        match self.element {
            Element::Bool => each!(u8, |x| f64::from(u8::from(x != 0))),
            Element::U8 => each!(u8, f64::from),
            Element::I8 => each!(i8, f64::from),
            Element::U16 => each!(u16, f64::from),
            Element::I16 => each!(i16, f64::from),
            Element::U32 => each!(u32, f64::from),
            Element::I32 => each!(i32, f64::from),
            Element::U64 => each!(u64, |x| x as f64),
            Element::I64 => each!(i64, |x| x as f64),
            Element::F16 => each!(f16, f64::from),
            Element::Bf16 => each!(bf16, f64::from),
            Element::F32 => each!(f32, f64::from),
            Element::F64 => each!(f64, |x| x),
        }
    }
}

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} of {}", self.name, self.shape, self.element)
    }
}

pub(crate) fn check_rows(name: &str, rows: &Range<usize>, have: usize) -> Result<()> {
    if rows.start >= rows.end || rows.end > have {
        return Err(Error::Argument {
            name: format!("the rows of {name}"),
            value: format!("{rows:?}"),
            allowed: format!("within 0..{have}, and not empty"),
        });
    }
    Ok(())
}

/// Room for rows, or an error that it cannot be had.
pub(crate) fn reserved<T>(what: &str, rows: usize, cols: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    let fits = match rows.checked_mul(cols) {
        Some(count) => room.try_reserve_exact(count).is_ok(),
        None => false,
    };
    if !fits {
        return Err(Error::OutOfMemory {
            what: format!("{what}, {rows} rows of {cols},"),
            need: (rows as u64)
                .saturating_mul(cols as u64)
                .saturating_mul(size_of::<T>() as u64),
            have: None,
            advice: "take fewer rows at a time: see Stream".into(),
        });
    }
    Ok(room)
}

/// Arrays with a row for each sample: inputs, and targets where there are any.
#[derive(Debug, Clone)]
pub struct Arrays {
    inputs: Array,
    targets: Option<Array>,
    task: Task,
}

impl Arrays {
    /// Of two arrays, or of inputs alone.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers of rows differ.
    pub fn new(inputs: Array, targets: Option<Array>, task: Task) -> Result<Self> {
        if let Some(targets) = &targets
            && targets.rows() != inputs.rows()
        {
            return Err(Error::Shape {
                what: targets.name.clone(),
                got: format!("{:?}", targets.shape),
                expected: format!(
                    "{} rows, as {} {:?} has",
                    inputs.rows(),
                    inputs.name,
                    inputs.shape
                ),
                advice: "every row of inputs needs one target: see that the files belong together"
                    .into(),
            });
        }
        Ok(Self {
            inputs,
            targets,
            task,
        })
    }

    /// The inputs.
    pub fn inputs(&self) -> &Array {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> Option<&Array> {
        self.targets.as_ref()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.inputs.rows()
    }

    /// Targets of some rows.
    pub(crate) fn read_targets(&self, rows: Range<usize>) -> Result<Targets> {
        let Some(targets) = &self.targets else {
            return Err(Error::File {
                file: self.inputs.name.clone(),
                problem: "has no targets".into(),
                advice: "give the array of targets too".into(),
            });
        };
        let classes = match self.task {
            Task::Auto => targets.cols == 1 && targets.element.is_integer(),
            Task::Classification => true,
            Task::Regression => false,
        };
        Ok(match classes {
            true => Targets::Classes(targets.labels(rows)?),
            false => Targets::Values(targets.matrix(rows, 1.0)?),
        })
    }

    /// Some rows, inputs times `scale`.
    ///
    /// # Errors
    /// As [`Array::matrix`] and [`Array::labels`]; [`Error::File`] if there are no targets.
    pub fn dataset(&self, rows: Range<usize>, scale: f64) -> Result<Dataset> {
        let inputs = self.inputs.matrix(rows.clone(), scale)?;
        match self.read_targets(rows)? {
            Targets::Classes(labels) => Dataset::classes(inputs, labels),
            Targets::Values(values) => Dataset::values(inputs, values),
        }
    }
}
