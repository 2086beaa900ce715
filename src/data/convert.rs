//! Matrices from numbers of another kind, and from nested vectors.

use super::{Matrix, Real};
use crate::error::{Error, Result};

impl Matrix {
    /// A matrix of `cols` columns from f64 numbers, row after row, each rounded to the nearest f32. Where numbers are large beside
    /// their differences, standardise them in f64 first, for instance by a [`Preparation`](crate::Preparation).
    ///
    /// # Errors
    /// As [`Matrix::new`]; [`Error::Value`] at the first number that is beyond the range of f32.
    ///
    /// ```
    /// # use wgrad::Matrix;
    /// let measured: Vec<f64> = vec![0.5, 1.5, -2.0, 0.25];
    /// let x = Matrix::from_f64(2, &measured)?;
    /// assert_eq!(x.row(1), [-2.0, 0.25]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_f64(cols: usize, data: &[f64]) -> Result<Self> {
        Matrix::new(cols, data.to_vec())?.to_f32()
    }

    /// A matrix from rows of f64 numbers of equal length, each rounded to the nearest f32; see [`Matrix::from_f64`].
    ///
    /// # Errors
    /// As [`Matrix::from_rows`]; [`Error::Value`] at the first number that is beyond the range of f32.
    pub fn from_f64_rows<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self> {
        Matrix::from_rows(rows)?.to_f32()
    }
}

impl<T: Real> TryFrom<Vec<Vec<T>>> for Matrix<T> {
    type Error = Error;

    /// As [`Matrix::from_rows`].
    fn try_from(rows: Vec<Vec<T>>) -> Result<Self> {
        Self::from_rows(&rows)
    }
}

impl From<Matrix> for Matrix<f64> {
    /// As [`Matrix::to_f64`]: exactly.
    fn from(matrix: Matrix) -> Self {
        matrix.to_f64()
    }
}

impl TryFrom<Matrix<f64>> for Matrix {
    type Error = Error;

    /// As [`Matrix::to_f32`].
    fn try_from(matrix: Matrix<f64>) -> Result<Self> {
        matrix.to_f32()
    }
}
