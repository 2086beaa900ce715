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
            return Err(Error::empty("x"));
        }
        let mut moments = vec![Moments::default(); x.cols()];
        for row in 0..x.rows() {
            for (moments, &x) in moments.iter_mut().zip(x.row(row)) {
                moments.add(x.into());
            }
        }
        Ok(Self::of(&moments))
    }

    /// Leaves `cols` columns as they are.
    pub fn identity(cols: usize) -> Self {
        Self {
            shift: vec![0.0; cols],
            factor: vec![1.0; cols],
            constant: Vec::new(),
        }
    }

    pub(crate) fn of(columns: &[Moments]) -> Self {
        let (shift, factor) = columns.iter().map(Moments::scaling).unzip();
        let constant = (0..columns.len()).filter(|&c| columns[c].is_constant());
        let constant = constant.collect();
        Self {
            shift,
            factor,
            constant,
        }
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
            let what = "a matrix to be standardised";
            let got = format!("{} columns", x.cols());
            let advice = "it takes what it was fitted on";
            return Err(Error::shape(what, got, format!("{cols} columns"), advice));
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
    /// What numbers are divided by before they are squared, a power of two of their size: their squares stay within f64.
    unit: f64,
    /// In that unit.
    mean: f64,
    squares: f64,
    first: Option<f64>,
    varies: bool,
    largest: f64,
    /// Whether there is one that no f32 holds.
    wide: bool,
    /// Whether there is one that is no multiple of [`COARSE`], as whole numbers are.
    fine: bool,
}

/// What is no more than so many units in the last place is taken for rounding noise: a handful of operations make as much.
const NOISE: f64 = 4.0;

/// Numbers on this grid were written down so and are not noise of a rounding, however large they are.
const COARSE: f64 = 1.0 / 1024.0;

/// Numbers up to here, in their unit, have squares that can be added up.
const LARGEST: f64 = 1.157_920_892_373_162e77;

impl Moments {
    pub fn add(&mut self, x: f64) {
        // Squares leave f64 where numbers are extreme; of ordinary ones the unit is 1 and changes nothing.
        let beyond = x != 0.0 && (self.unit == 0.0 || (x / self.unit).abs() > LARGEST);
        if beyond {
            let exponent = x.abs().log2().floor();
            let extreme = !(LARGEST.recip()..=LARGEST).contains(&x.abs());
            let unit = if extreme { exponent.exp2() } else { 1.0 };
            let before = self.unit / unit;
            self.mean *= before;
            self.squares *= before * before;
            self.unit = unit;
        }
        self.count += 1.0;
        let scaled = if self.unit == 0.0 { 0.0 } else { x / self.unit };
        let before = scaled - self.mean;
        self.mean += before / self.count;
        self.squares += before * (scaled - self.mean);
        self.varies |= *self.first.get_or_insert(x) != x;
        self.largest = self.largest.max(x.abs());
        self.wide |= f64::from(x as f32) != x;
        self.fine |= (x / COARSE).fract() != 0.0;
    }

    pub fn mean(&self) -> f64 {
        match self.varies {
            true => self.mean * self.unit,
            false => self.first.unwrap_or_default(),
        }
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt() * self.unit
    }

    /// Whether all are one number, but for what its rounding may have made of it: 0.3 and 0.1 + 0.2. The unit in the last place is
    /// that of f32 where an f32 holds them all, for such were computed in f32. Numbers on a coarse grid, whole ones among them, are
    /// no noise.
    pub fn is_constant(&self) -> bool {
        let unit = match self.wide {
            true => f64::EPSILON,
            false => f64::from(f32::EPSILON),
        };
        !self.varies || self.fine && self.deviation() <= NOISE * unit * self.largest
    }

    /// Shift and factor. A constant column has factor 1, and so have numbers too far apart for a standard deviation.
    pub fn scaling(&self) -> (f64, f64) {
        let factor = (self.count / self.squares).sqrt() / self.unit;
        let sound = !self.is_constant() && factor.is_finite() && factor > 0.0;
        (self.mean(), if sound { factor } else { 1.0 })
    }
}
