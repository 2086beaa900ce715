//! Columns of numbers brought to mean 0 and standard deviation 1.

use serde::{Deserialize, Serialize};

use super::{Matrix, Real};
use crate::error::{Error, Result};

/// For each column `y = (x − shift)·factor`, computed in f64: with the column's mean as shift and 1 over its standard deviation
/// (of the population: divided by the number of rows) as factor. The factor of a constant column is 1, so that it becomes 0.
///
/// ```
/// use wgrad::{Matrix, Standardizer};
///
/// let x = Matrix::from_rows(&[[1.0, 5.0], [3.0, 5.0]])?;
/// let standardizer = Standardizer::fit(&x)?;
/// assert_eq!(standardizer.apply(&x)?.data(), [-1.0, 0.0, 1.0, 0.0]);
/// assert_eq!(standardizer.constant(), [1]);
/// assert_eq!(standardizer.inverse(&standardizer.apply(&x)?)?, x);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standardizer {
    /// What is taken from each column's numbers.
    pub shift: Vec<f64>,
    /// What they are then multiplied by.
    pub factor: Vec<f64>,
    /// Columns whose numbers were all the same.
    constant: Vec<usize>,
}

impl Standardizer {
    /// Of these columns.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without rows.
    pub fn fit<T: Real>(x: &Matrix<T>) -> Result<Self> {
        if x.rows() == 0 {
            return Err(Error::EmptyData { what: "x".into() });
        }
        let mut moments = vec![Moments::default(); x.cols()];
        for row in 0..x.rows() {
            for (moments, &x) in moments.iter_mut().zip(x.row(row)) {
                moments.add(x.into());
            }
        }
        let mut standardizer = Self::default();
        for moments in &moments {
            standardizer.push(moments);
        }
        Ok(standardizer)
    }

    /// Leaves `cols` columns as they are.
    pub fn identity(cols: usize) -> Self {
        Self {
            shift: vec![0.0; cols],
            factor: vec![1.0; cols],
            constant: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, moments: &Moments) {
        let (shift, factor) = moments.scaling();
        if moments.is_constant() {
            self.constant.push(self.shift.len());
        }
        self.shift.push(shift);
        self.factor.push(factor);
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.shift.len().min(self.factor.len())
    }

    /// Columns, from 0, whose numbers were all the same when it was fitted.
    pub fn constant(&self) -> &[usize] {
        &self.constant
    }

    /// One number, brought to the scale.
    pub(crate) fn forward(&self, col: usize, x: f64) -> f64 {
        (x - self.shift[col]) * self.factor[col]
    }

    /// Brings a matrix to the scale, in f64; the results alone are rounded to f32, which a network takes.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of columns; [`Error::Value`] for a number that overflows.
    pub fn apply<T: Real>(&self, x: &Matrix<T>) -> Result<Matrix> {
        self.each(x, |col, x| self.forward(col, x))
    }

    /// Brings a matrix back to the numbers' own scale, in f64: an f32 cannot hold small differences of large numbers.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of columns; [`Error::Value`] for a number that overflows.
    pub fn inverse<T: Real>(&self, y: &Matrix<T>) -> Result<Matrix<f64>> {
        self.each(y, |col, y| y / self.factor[col] + self.shift[col])
    }

    fn each<A: Real, B: Real>(
        &self,
        x: &Matrix<A>,
        f: impl Fn(usize, f64) -> f64,
    ) -> Result<Matrix<B>> {
        let cols = self.cols();
        if x.cols() != cols {
            return Err(Error::Shape {
                what: "a matrix to be standardised".into(),
                got: format!("{} columns", x.cols()),
                expected: format!("{cols} columns"),
                advice: "it takes what it was fitted on".into(),
            });
        }
        let each = |(i, &x): (usize, &A)| B::nearest(f(i % cols, x.into()));
        Matrix::new(cols, x.data().iter().enumerate().map(each).collect())
    }
}

/// Mean and variance of numbers that come one by one (Welford, *Note on a method for calculating corrected sums of squares and
/// products*, 1962).
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    first: Option<f64>,
    varies: bool,
}

impl Moments {
    pub fn add(&mut self, x: f64) {
        self.count += 1.0;
        let before = x - self.mean;
        self.mean += before / self.count;
        self.squares += before * (x - self.mean);
        self.varies |= *self.first.get_or_insert(x) != x;
    }

    pub fn mean(&self) -> f64 {
        if self.varies {
            self.mean
        } else {
            self.first.unwrap_or_default()
        }
    }

    pub fn is_constant(&self) -> bool {
        !self.varies
    }

    /// Shift and factor. Numbers too far apart or too close for a standard deviation have factor 1.
    pub fn scaling(&self) -> (f64, f64) {
        let factor = (self.count / self.squares).sqrt();
        let sound = self.varies && factor.is_finite() && factor > 0.0;
        (self.mean(), if sound { factor } else { 1.0 })
    }
}
