//! Arrays of numbers as files hold them: rows of one shape, of any element type, read a few rows at a time.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use half::{bf16, f16};

use super::Matrix;
use super::bytes::Bytes;
use super::element::{ArrayLayout, Element, Value};
use crate::error::{Cell, CellKind, Error, Result, shortest};

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
    /// Whether the file is of a format for images.
    images: bool,
    bytes: Bytes,
}

impl Array {
    /// `bytes` must be what the layout says, and no more.
    pub(crate) fn new(name: String, layout: ArrayLayout, bytes: Bytes) -> Result<Self> {
        let need = layout.bytes(&name)?;
        if layout.shape.is_empty() {
            let advice = "give an array with a row for each sample";
            return Err(Error::file(name, "is a single number", advice));
        }
        if layout.shape.contains(&0) {
            return Err(Error::empty(format!("{name} {:?}", layout.shape)));
        }
        if need != bytes.len() {
            let ArrayLayout { shape, element, .. } = layout;
            let have = bytes.len();
            let problem = format!(
                "has {have} bytes of data, but {shape:?} elements of {element} take {need}"
            );
            let advice = match have < need {
                true => "the file is cut short, get it again",
                false => {
                    "more follows than is stated: the file is damaged, or has something else behind the array"
                }
            };
            return Err(Error::file(name, problem, advice));
        }
        let cols = layout.shape[1..].iter().product();
        let columns = (layout.fortran && layout.shape.len() > 1).then(|| {
            // Column j counts the dimensions behind the first, the last one fastest.
            let mut offsets = vec![0];
            let mut stride = layout.shape[0];
            for &dim in &layout.shape[1..] {
                let wider = |&o: &usize| (0..dim).map(move |i| o + i * stride);
                offsets = offsets.iter().flat_map(wider).collect();
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
            images: false,
            bytes,
        })
    }

    /// This array, from a file of a format for images.
    pub(crate) fn of_images(self) -> Self {
        let images = true;
        Self { images, ..self }
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

    /// Whether its elements are text.
    pub fn is_text(&self) -> bool {
        self.element.is_text()
    }

    /// Whether its elements are the brightness of pixels: bytes, from an IDX file or of more than two dimensions.
    pub fn is_image(&self) -> bool {
        self.element == Element::U8 && (self.images || self.shape.len() > 2)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// Elements of a row, over all dimensions behind the first (an image's pixels, line after line).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// An element, by its row and by its place in it.
    ///
    /// # Panics
    /// If there is no such element.
    #[inline]
    pub(crate) fn cell(&self, row: usize, col: usize) -> Value<'_> {
        let i = match &self.columns {
            None => row * self.cols + col,
            Some(columns) => columns[col] + row,
        };
        let bytes: &[u8] = &self.bytes;
        macro_rules! element {
            ($type:ty) => {{
                const SIZE: usize = size_of::<$type>();
                let mut element = [0; SIZE];
                element.copy_from_slice(&bytes[i * SIZE..][..SIZE]);
                match self.big_endian {
                    true => <$type>::from_be_bytes(element),
                    false => <$type>::from_le_bytes(element),
                }
            }};
        }
        match self.element {
            Element::Bool => Value::Whole((element!(u8) != 0).into()),
            Element::U8 => Value::Whole(element!(u8).into()),
            Element::I8 => Value::Whole(element!(i8).into()),
            Element::U16 => Value::Whole(element!(u16).into()),
            Element::I16 => Value::Whole(element!(i16).into()),
            Element::U32 => Value::Whole(element!(u32).into()),
            Element::I32 => Value::Whole(element!(i32).into()),
            Element::U64 => Value::Whole(element!(u64).into()),
            Element::I64 => Value::Whole(element!(i64).into()),
            Element::F16 => Value::Number(element!(f16).into()),
            Element::Bf16 => Value::Number(element!(bf16).into()),
            Element::F32 => Value::Number(element!(f32).into()),
            Element::F64 => Value::Number(element!(f64)),
            Element::Text(length) => {
                let text = bytes[i * 4 * length..][..4 * length].chunks_exact(4);
                let character = |c| self.character(c).unwrap_or(char::REPLACEMENT_CHARACTER);
                let text: String = text.map(character).collect();
                let end = text.trim_end_matches('\0').len();
                Value::Text(Cow::Owned(text[..end].into()))
            }
            Element::Bytes(length) => {
                let text = &bytes[i * length..][..length];
                let last = text.iter().rposition(|&b| b != 0);
                let end = last.map_or(0, |last| last + 1);
                Value::Text(String::from_utf8_lossy(&text[..end]))
            }
        }
    }

    /// An error where text is none: no file of NumPy's own has it, but all that is read after this may trust it.
    pub(crate) fn check_text(&self) -> Result<()> {
        let bytes: &[u8] = &self.bytes;
        let size = self.element.bytes();
        let is_text = |element: &[u8]| match self.element {
            Element::Text(_) => element.chunks_exact(4).all(|c| self.character(c).is_some()),
            _ => std::str::from_utf8(element).is_ok(),
        };
        if !self.is_text() {
            return Ok(());
        }
        let mut elements = bytes.chunks_exact(size);
        let Some(i) = elements.position(|element| !is_text(element)) else {
            return Ok(());
        };
        let latin = "save numpy.char.decode(x, 'latin-1'), or of the encoding that it has";
        let (encoding, advice) = match self.element {
            Element::Text(_) => ("UTF-32", "the file is damaged, get it again"),
            _ => ("UTF-8", latin),
        };
        let which = format!("number {i} (from 0) in the file");
        let problem = format!("has an element, {which}, that is no text in {encoding}");
        Err(Error::file(&self.name, problem, advice))
    }

    /// The character of these four bytes, if there is one of their code.
    fn character(&self, bytes: &[u8]) -> Option<char> {
        let code = [bytes[0], bytes[1], bytes[2], bytes[3]];
        char::from_u32(match self.big_endian {
            true => u32::from_be_bytes(code),
            false => u32::from_le_bytes(code),
        })
    }

    /// An error where numbers are needed and there is text.
    fn check_numbers(&self) -> Result<()> {
        if !self.is_text() {
            return Ok(());
        }
        let problem = format!("has elements of {}, but numbers are needed", self.element);
        let advice = "save numbers, with .astype('float64') if the text is numbers";
        Err(Error::file(self.name.clone(), problem, advice))
    }

    /// Rows as numbers, as exact as the file has them.
    ///
    /// # Errors
    /// [`Error::Value`] at the first number that is not finite; [`Error::Cell`] at the first whole number beyond ±2⁵³, which an
    /// f64 does not hold exactly; [`Error::File`] if the elements are text; [`Error::Argument`] if the rows are not there.
    pub fn matrix_f64(&self, rows: Range<usize>) -> Result<Matrix<f64>> {
        const LARGEST: i128 = 1 << 53;
        self.check(&rows)?;
        self.check_numbers()?;
        let mut data: Vec<f64> = reserved(&self.name, rows.len(), self.cols)?;
        self.for_each(rows.clone(), |x| data.push(x));
        let place = |i: usize| (rows.start + i / self.cols, i % self.cols);
        let beyond = |(i, x): (usize, &f64)| {
            if x.abs() < LARGEST as f64 {
                return None;
            }
            let (row, col) = place(i);
            match self.cell(row, col) {
                Value::Whole(x) if x.abs() > LARGEST => Some((row, col, x)),
                _ => None,
            }
        };
        if let Some((row, col, x)) = data.iter().enumerate().find_map(beyond) {
            return Err(Error::Cell(Box::new(Cell {
                file: self.name.clone(),
                place: format!("row {row}"),
                column: format!("column {col} (from 0)"),
                value: x.to_string(),
                problem: "is a whole number beyond ±2⁵³, which would be rounded".into(),
                advice: "leave that column out, or save it as text if it names something".into(),
                kind: CellKind::Other,
            })));
        }
        if let Some(i) = data.iter().position(|x| !x.is_finite()) {
            let (at, allowed) = (self.at(&rows, i), "finite: mend it or leave that row out");
            return Err(Error::value(&self.name, data[i], at, allowed));
        }
        Matrix::new(self.cols, data)
    }

    /// Rows as numbers: each element times `scale` (1/255 makes bytes numbers from 0 to 1 that
    /// [`Storage::U8`](crate::Storage::U8) keeps), rounded to f32.
    ///
    /// # Errors
    /// [`Error::Value`] at the first number that is not finite, or not as an f32; [`Error::Argument`] if the rows are not there
    /// or the scale is not finite.
    pub fn matrix(&self, rows: Range<usize>, scale: f64) -> Result<Matrix> {
        self.check(&rows)?;
        self.check_numbers()?;
        let scale = f64::from(scale as f32);
        if !scale.is_finite() {
            let name = "the scale of an array";
            return Err(Error::argument(name, scale, "finite as an f32"));
        }
        let mut data = reserved(&self.name, rows.len(), self.cols)?;
        self.for_each(rows.clone(), |x| {
            // Exact before it is rounded where x is a byte: what f32 arithmetic gives.
            data.push(if scale == 1.0 { x } else { x * scale } as f32);
        });
        if let Some(i) = data.iter().position(|x: &f32| !x.is_finite()) {
            let allowed = "finite as an f32: mend it or leave that row out";
            let (value, at) = (shortest(data[i]), self.at(&rows, i));
            return Err(Error::value(&self.name, value, at, allowed));
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
        self.check_numbers()?;
        if self.cols != 1 {
            let got = format!("{:?}", self.shape);
            let expected = format!("[{}]", self.rows());
            let advice = "classes are one whole number for each row";
            return Err(Error::shape(self.name.clone(), got, expected, advice));
        }
        let mut labels: Vec<u32> = reserved(&self.name, rows.len(), 1)?;
        let mut bad = None;
        self.for_each(rows.clone(), |x| {
            if bad.is_none() && !(x.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&x)) {
                bad = Some((labels.len(), x));
            }
            labels.push(x as u32);
        });
        let Some((i, x)) = bad else { return Ok(labels) };
        let allowed = "a class index, a whole number from 0 on; or say that the task is regression";
        Err(Error::value(&self.name, x, self.at(&rows, i), allowed))
    }

    fn check(&self, rows: &Range<usize>) -> Result<()> {
        check_rows(&self.name, rows, self.rows())
    }

    /// Which element of the whole array the i-th of these rows is, and the columns.
    fn at(&self, rows: &Range<usize>, i: usize) -> (usize, usize) {
        (rows.start * self.cols + i, self.cols)
    }

    /// Visits the elements of some rows, row after row.
    fn for_each(&self, rows: Range<usize>, mut visit: impl FnMut(f64)) {
        for row in rows {
            for col in 0..self.cols {
                match self.cell(row, col) {
                    Value::Number(x) => visit(x),
                    Value::Whole(i) => visit(i as f64),
                    // Those who ask for numbers have looked.
                    Value::Text(_) | Value::Missing => {}
                }
            }
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
        let (name, value) = (format!("the rows of {name}"), format!("{rows:?}"));
        let allowed = format!("within 0..{have}, and not empty");
        return Err(Error::argument(name, value, allowed));
    }
    Ok(())
}

/// Room for rows, or an error that it cannot be had.
pub(crate) fn reserved<T>(what: &str, rows: usize, cols: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    let fits = |count| room.try_reserve_exact(count).is_ok();
    if !rows.checked_mul(cols).is_some_and(fits) {
        let need = [rows, cols, size_of::<T>()].map(|n| n as u64);
        return Err(Error::out_of_memory(
            format!("{what}, {rows} rows of {cols},"),
            need.into_iter().fold(1, u64::saturating_mul),
            None,
            "take fewer rows at a time: see Stream",
        ));
    }
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(element: Element, big_endian: bool, fortran: bool, bytes: &[u8]) -> Array {
        let layout = ArrayLayout {
            shape: vec![2, bytes.len() / element.bytes() / 2],
            element,
            big_endian,
            fortran,
        };
        Array::new("a".into(), layout, bytes.to_vec().into()).unwrap()
    }

    /// A NaN and 0.
    fn nan() -> Array {
        let bytes = [f64::NAN.to_le_bytes(), [0; 8]].concat();
        array(Element::F64, false, false, &bytes)
    }

    fn cells(array: &Array) -> Vec<Value<'_>> {
        let places = (0..array.rows()).flat_map(|r| (0..array.cols()).map(move |c| (r, c)));
        places.map(|(r, c)| array.cell(r, c)).collect()
    }

    /// Of every type, in both orders of bytes and of elements.
    #[test]
    fn cells_are_what_the_file_has() {
        let ints = |ints: [i128; 4]| ints.map(Value::Whole);
        macro_rules! check {
            ($element:ident, $type:ty, $cell:ident, $values:expr) => {{
                let values: [$type; 4] = $values;
                let [a, b, c, d] = values;
                let expected = values.map(|x| Value::$cell(x.into()));
                let little = values.map(|x| x.to_le_bytes()).concat();
                let big = values.map(|x| x.to_be_bytes()).concat();
                let columns = [a, c, b, d].map(|x| x.to_be_bytes()).concat();
                let forms = [
                    (false, false, little),
                    (true, false, big),
                    (true, true, columns),
                ];
                for (big_endian, fortran, bytes) in forms {
                    let array = array(Element::$element, big_endian, fortran, &bytes);
                    assert_eq!(cells(&array), expected);
                }
            }};
        }
        check!(U8, u8, Whole, [0, 1, 2, u8::MAX]);
        check!(I8, i8, Whole, [0, 1, i8::MIN, i8::MAX]);
        check!(U16, u16, Whole, [0, 1, 2, u16::MAX]);
        check!(I16, i16, Whole, [0, 1, i16::MIN, i16::MAX]);
        check!(U32, u32, Whole, [0, 1, 2, u32::MAX]);
        check!(I32, i32, Whole, [0, 1, i32::MIN, i32::MAX]);
        check!(U64, u64, Whole, [0, 1, (1 << 53) + 1, u64::MAX]);
        check!(I64, i64, Whole, [0, -1, i64::MIN, i64::MAX]);
        check!(F32, f32, Number, [0.5, -1.0, f32::MAX, f32::MIN_POSITIVE]);
        check!(F64, f64, Number, [0.1, -1.0, f64::MAX, 1_700_000_000.5]);
        let halves = [0.5, -1.0, 2.0, 3.0];
        check!(F16, f16, Number, halves.map(f16::from_f32));
        check!(Bf16, bf16, Number, halves.map(bf16::from_f32));
        let bools = array(Element::Bool, false, false, &[0, 1, 2, 0]);
        assert_eq!(cells(&bools), ints([0, 1, 1, 0]));
        assert!(matches!(nan().cell(0, 0), Value::Number(x) if x.is_nan()));
    }

    #[test]
    fn text_is_without_the_zeros_behind_it() {
        let texts = ["ab", "", "é\0x", "00501"];
        let expected = texts.map(|text| Value::Text(text.into()));
        let codes = |text: &str| {
            let mut codes: Vec<u32> = text.chars().map(u32::from).collect();
            codes.resize(5, 0);
            codes
        };
        let wide = texts.map(codes).concat();
        let little: Vec<u8> = wide.iter().flat_map(|c| c.to_le_bytes()).collect();
        let big: Vec<u8> = wide.iter().flat_map(|c| c.to_be_bytes()).collect();
        let narrow = texts.map(|text| {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(5, 0);
            bytes
        });
        let arrays = [
            array(Element::Text(5), false, false, &little),
            array(Element::Text(5), true, false, &big),
            array(Element::Bytes(5), false, false, &narrow.concat()),
        ];
        for array in &arrays {
            assert!(array.is_text() && !array.element().is_integer());
            array.check_text().unwrap();
            assert_eq!(cells(array), expected);
        }
        let bad = [
            array(Element::Text(1), false, false, &[0, 0, 0, 0, 0, 0xd8, 0, 0]),
            array(Element::Bytes(1), false, false, &[b'a', 0xe9]),
        ];
        for (array, encoding) in bad.iter().zip(["UTF-32", "UTF-8"]) {
            let error = array.check_text().unwrap_err().to_string();
            assert!(
                error.contains("number 1") && error.contains(encoding),
                "{error}"
            );
            // A file that changes under a map makes no panic.
            assert!(matches!(array.cell(1, 0), Value::Text(text) if text == "\u{fffd}"));
        }
    }

    #[test]
    fn numbers_are_exact_in_f64_or_refused() {
        let of = |values: [i64; 2]| {
            let bytes = values.map(i64::to_le_bytes).concat();
            array(Element::I64, false, false, &bytes).matrix_f64(0..2)
        };
        let largest = 1_i64 << 53;
        let exact = [9007199254740992.0, -9007199254740992.0];
        assert_eq!(of([largest, -largest]).unwrap().data(), exact);
        let error = of([7, -largest - 1]).unwrap_err().to_string();
        assert!(
            error.contains("row 1, column 0") && error.contains("-9007199254740993"),
            "{error}"
        );
        let numbers = [1_700_000_000.25, 1e300];
        let floats = numbers.map(f64::to_le_bytes).concat();
        let floats = array(Element::F64, false, false, &floats);
        assert_eq!(floats.matrix_f64(0..2).unwrap().data(), numbers);
        assert_eq!(floats.matrix_f64(1..2).unwrap().data(), [1e300]);
        let error = nan().matrix_f64(0..2).unwrap_err().to_string();
        assert!(error.contains("NaN stands at row 0, column 0"), "{error}");
        let text = array(Element::Bytes(1), false, false, b"12");
        assert!(text.matrix_f64(0..2).is_err());
    }
}
