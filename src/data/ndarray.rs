//! From and to `ndarray`, with the feature `ndarray`.

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::{Dataset, Matrix, Real};
use crate::error::{Error, Result};

/// Rows are rows; an array of any memory layout will do.
impl<T: Real> TryFrom<ArrayView2<'_, T>> for Matrix<T> {
    type Error = Error;

    /// As [`Matrix::new`].
    fn try_from(array: ArrayView2<'_, T>) -> Result<Self> {
        Self::new(array.ncols(), array.iter().copied().collect())
    }
}

impl<T: Real> TryFrom<&Array2<T>> for Matrix<T> {
    type Error = Error;

    /// As [`Matrix::new`].
    fn try_from(array: &Array2<T>) -> Result<Self> {
        Self::try_from(array.view())
    }
}

impl<T: Real> TryFrom<Array2<T>> for Matrix<T> {
    type Error = Error;

    /// As [`Matrix::new`]. An array that owns exactly its rows, one after the other, is not copied.
    fn try_from(array: Array2<T>) -> Result<Self> {
        if !array.is_standard_layout() {
            return Self::try_from(array.view());
        }
        let (cols, len) = (array.ncols(), array.len());
        match array.into_raw_vec_and_offset() {
            (data, None | Some(0)) if data.len() == len => Self::new(cols, data),
            (data, offset) => {
                let from = offset.unwrap_or(0);
                Self::new(cols, data[from..from + len].to_vec())
            }
        }
    }
}

impl<T: Real> From<Matrix<T>> for Array2<T> {
    /// An array (rows, cols), in standard layout; nothing is copied.
    fn from(matrix: Matrix<T>) -> Self {
        let shape = (matrix.rows(), matrix.cols());
        let array = Self::from_shape_vec(shape, matrix.into_data());
        array.unwrap_or_else(|e| unreachable!("rows times columns are the elements: {e}"))
    }
}

impl<T: Real> Matrix<T> {
    /// The matrix as an `ndarray` of shape (rows, cols), in place. Needs the feature `ndarray`.
    pub fn as_ndarray(&self) -> ArrayView2<'_, T> {
        let view = ArrayView2::from_shape((self.rows(), self.cols()), self.data());
        view.unwrap_or_else(|e| unreachable!("rows times columns are the elements: {e}"))
    }
}

/// What [`Dataset::classes_from_ndarray`] takes as inputs, as f32.
fn inputs<T: Real>(x: ArrayView2<'_, T>) -> Result<Matrix> {
    Matrix::try_from(x)?.to_f32()
}

impl Dataset {
    /// Inputs x (N, I), each rounded to the nearest f32, and a class index each, of any type of whole numbers. Needs the feature
    /// `ndarray`.
    ///
    /// # Errors
    /// As [`Dataset::classes`]; [`Error::Value`] if an input is not finite as an f32; [`Error::Argument`] at the first label
    /// that is negative or beyond u32.
    ///
    /// ```
    /// use ndarray::{array, aview1};
    /// use wgrad::Dataset;
    ///
    /// let x = array![[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]; // f64
    /// let labels = array![1_i64, 1, 0];
    /// let data = Dataset::classes_from_ndarray(x.view(), labels.view())?;
    /// assert_eq!(data.labels(), Some(&[1, 1, 0][..]));
    /// assert_eq!(data.labels().map(aview1), Some(array![1, 1, 0].view())); // and back
    /// assert_eq!(data.inputs().as_ndarray()[[0, 1]], 1.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn classes_from_ndarray<T: Real, L>(
        x: ArrayView2<'_, T>,
        labels: ArrayView1<'_, L>,
    ) -> Result<Self>
    where
        L: Copy + std::fmt::Display + TryInto<u32>,
    {
        let allowed = "a class index, from 0 and below 2^32";
        let label = |(row, &label): (usize, &L)| {
            let name = || format!("the label of row {row}");
            let bad = |_| Error::argument(name(), label, allowed);
            label.try_into().map_err(bad)
        };
        let labels = labels.iter().enumerate().map(label);
        Self::classes(inputs(x)?, labels.collect::<Result<_>>()?)
    }

    /// Inputs x (N, I) and targets t (N, O), each rounded to the nearest f32. A single target of shape (N) is
    /// `t.insert_axis(Axis(1))`. Needs the feature `ndarray`.
    ///
    /// # Errors
    /// As [`Dataset::values`]; [`Error::Value`] if a number is not finite as an f32.
    pub fn values_from_ndarray<T: Real, U: Real>(
        x: ArrayView2<'_, T>,
        targets: ArrayView2<'_, U>,
    ) -> Result<Self> {
        Self::values(inputs(x)?, inputs(targets)?)
    }
}
