//! Data in host memory: matrices, data sets, splits and batches; files of data, and what makes them ready for a network.

mod array;
mod bytes;
mod class_map;
mod convert;
mod cut;
mod element;
mod folds;
mod foreign;
mod frame;
mod idx;
#[cfg(feature = "ndarray")]
mod ndarray;
mod npy;
mod npz;
mod open;
mod part;
mod preparation;
mod standardizer;
mod stream;
mod table;
mod tensors;
mod weights;
mod wording;

pub use array::Array;
pub use class_map::ClassMap;
pub(crate) use cut::Cut;
pub use element::{Element, Task};
pub use folds::Folds;
pub use open::{DataFile, OpenOptions};
pub use part::Part;
pub use preparation::{
    Column, ColumnSurvey, Encoding, InputColumn, Missing, Preparation, PreparationOptions,
    Prepared, Raw, Scaling, Survey, SurveyedKind, TargetEncoding, Unseen, Warning, WarningKind,
};
pub use standardizer::Standardizer;
pub use stream::{Source, Stream};
pub(crate) use table::number;
pub use table::{ColumnRef, CsvOptions, Delimiter, Guess, Table};

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::error::{Error, Result};

/// The number type of a [`Matrix`]: f32, what a network computes with, or f64, what files hold and answers are told in.
pub trait Real: Copy + PartialEq + std::fmt::Debug + Into<f64> + sealed::Sealed + 'static {
    /// The nearest number of this type.
    fn nearest(x: f64) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Real for f32 {
    fn nearest(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    fn nearest(x: f64) -> Self {
        x
    }
}

/// A row-major matrix of finite numbers, (rows, cols): of f32 unless another type is named. What a network takes and gives is f32;
/// numbers on the user's own scale, before they are standardised and after answers are brought back, are f64.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix<T = f32> {
    cols: usize,
    data: Vec<T>,
}

impl<T: Real> Matrix<T> {
    /// A matrix of `cols` columns from its elements, row after row.
    ///
    /// # Errors
    /// [`Error::Shape`] if the elements do not fill whole rows, [`Error::Value`] at the first NaN or infinity.
    ///
    /// ```
    /// let x = wgrad::Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!((x.rows(), x.cols()), (2, 2));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(cols: usize, data: Vec<T>) -> Result<Self> {
        if cols == 0 {
            let got = format!("{} elements in 0 columns", data.len());
            let expected = "at least one column";
            return Err(Error::shape("a matrix", got, expected, "give whole rows"));
        }
        if !data.len().is_multiple_of(cols) {
            let got = format!("{} elements", data.len());
            let expected = format!("a multiple of {cols} elements");
            return Err(Error::shape("a matrix", got, expected, "give whole rows"));
        }
        if let Some(i) = data.iter().position(|&x| !x.into().is_finite()) {
            return Err(Error::value("a matrix", data[i], (i, cols), "finite"));
        }
        Ok(Self { cols, data })
    }

    /// A matrix from rows of equal length.
    ///
    /// # Errors
    /// As [`Matrix::new`]; [`Error::Shape`] names the first row of another length.
    pub fn from_rows<R: AsRef<[T]>>(rows: &[R]) -> Result<Self> {
        let cols = rows.first().map_or(0, |row| row.as_ref().len());
        if let Some(r) = rows.iter().position(|row| row.as_ref().len() != cols) {
            let got = format!("{} columns", rows[r].as_ref().len());
            let expected = format!("{cols} columns as row 0 has");
            let advice = "rows must have one length";
            return Err(Error::shape(format!("row {r}"), got, expected, advice));
        }
        if rows.is_empty() {
            return Err(Error::empty("the matrix"));
        }
        let data = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        Self::new(cols, data)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.cols
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All elements, row after row.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// Row `r`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, r: usize) -> &[T] {
        &self.data[r * self.cols..][..self.cols]
    }

    /// The same numbers in f64, exactly.
    pub fn to_f64(&self) -> Matrix<f64> {
        Matrix {
            cols: self.cols,
            data: self.data.iter().map(|&x| x.into()).collect(),
        }
    }

    /// The nearest numbers in f32.
    ///
    /// # Errors
    /// [`Error::Value`] at the first that is beyond the range of f32.
    pub fn to_f32(&self) -> Result<Matrix> {
        let cols = self.cols;
        let data: Vec<f32> = self.data.iter().map(|&x| f32::nearest(x.into())).collect();
        if let Some(i) = data.iter().position(|x| !x.is_finite()) {
            let what = "a matrix to be rounded to f32";
            let allowed = "within ±3.4028235e38: scale the numbers first";
            return Err(Error::value(what, self.data[i], (i, cols), allowed));
        }
        Ok(Matrix { cols, data })
    }

    /// All elements, row after row, without a copy.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// The rows with these numbers, in this order.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn select(&self, rows: &[usize]) -> Self {
        let cols = self.cols;
        let mut data = Vec::with_capacity(rows.len() * cols);
        for &r in rows {
            data.extend_from_slice(self.row(r));
        }
        Self { cols, data }
    }
}

/// What a network shall answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A class index a row, from 0.
    Classes(Vec<u32>),
    /// A row of numbers a row: values, or probabilities.
    Values(Matrix),
}

impl Targets {
    /// Rows.
    pub fn rows(&self) -> usize {
        match self {
            Targets::Classes(labels) => labels.len(),
            Targets::Values(values) => values.rows(),
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Targets::Classes(labels) => Targets::Classes(rows.iter().map(|&r| labels[r]).collect()),
            Targets::Values(values) => Targets::Values(values.select(rows)),
        }
    }
}

/// Inputs with their targets. A batch is a data set too.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    inputs: Matrix,
    targets: Targets,
    /// One a row; see weights.rs.
    weights: Option<Vec<f32>>,
}

impl Dataset {
    /// Inputs x (N, I) and a class index each.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without rows, [`Error::Shape`] if the numbers of rows differ.
    pub fn classes(inputs: Matrix, labels: Vec<u32>) -> Result<Self> {
        Self::new(inputs, Targets::Classes(labels))
    }

    /// Inputs x (N, I) and targets t (N, O): values to fit, or probabilities.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without rows, [`Error::Shape`] if the numbers of rows differ.
    pub fn values(inputs: Matrix, targets: Matrix) -> Result<Self> {
        Self::new(inputs, Targets::Values(targets))
    }

    fn new(inputs: Matrix, targets: Targets) -> Result<Self> {
        if inputs.rows() == 0 {
            return Err(Error::empty("x"));
        }
        if inputs.rows() != targets.rows() {
            let got = format!("{} rows", targets.rows());
            let expected = format!("{} rows as x has", inputs.rows());
            let advice = "every row of x needs one target";
            return Err(Error::shape("targets", got, expected, advice));
        }
        Ok(Self {
            inputs,
            targets,
            weights: None,
        })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.inputs.rows()
    }

    /// The inputs x (N, I).
    pub fn inputs(&self) -> &Matrix {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The class indices, one a row; none where the targets are numbers.
    ///
    /// ```
    /// # use wgrad::{Dataset, Matrix};
    /// let x = Matrix::new(1, vec![0.0, 1.0])?;
    /// let data = Dataset::classes(x.clone(), vec![1, 0])?;
    /// assert_eq!(data.labels(), Some(&[1, 0][..]));
    /// assert_eq!(data.target_values(), None);
    /// let data = Dataset::values(x.clone(), x)?;
    /// assert_eq!(data.target_values().map(Matrix::data), Some(&[0.0, 1.0][..]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn labels(&self) -> Option<&[u32]> {
        match &self.targets {
            Targets::Classes(labels) => Some(labels),
            Targets::Values(_) => None,
        }
    }

    /// The targets t (N, O) where they are numbers; none where they are class indices. ([`Dataset::values`] makes such data.)
    pub fn target_values(&self) -> Option<&Matrix> {
        match &self.targets {
            Targets::Classes(_) => None,
            Targets::Values(values) => Some(values),
        }
    }

    /// Adds the rows of a data set of the same columns.
    fn append(&mut self, next: &Self) -> Result<()> {
        let what = "rows to be added to a data set";
        let expected = "inputs and targets as it has";
        let differ = |got: &str| Error::shape(what, got, expected, "give parts of one data set");
        if next.inputs.cols != self.inputs.cols {
            return Err(differ(&format!("{} inputs", next.inputs.cols)));
        }
        let weights = self.weights_with(next);
        match (&mut self.targets, &next.targets) {
            (Targets::Classes(labels), Targets::Classes(more)) => labels.extend_from_slice(more),
            (Targets::Values(values), Targets::Values(more)) if values.cols == more.cols => {
                values.data.extend_from_slice(&more.data);
            }
            _ => return Err(differ("other targets")),
        }
        self.inputs.data.extend_from_slice(&next.inputs.data);
        self.weights = weights;
        Ok(())
    }

    /// The rows with these numbers, in this order.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn select(&self, rows: &[usize]) -> Self {
        let select = |weights: &Vec<f32>| rows.iter().map(|&r| weights[r]).collect();
        Self {
            inputs: self.inputs.select(rows),
            targets: self.targets.select(rows),
            weights: self.weights.as_ref().map(select),
        }
    }

    /// The first `n` rows, at least one, or all if there are fewer.
    pub fn head(&self, n: usize) -> Self {
        let rows: Vec<usize> = (0..n.clamp(1, self.rows())).collect();
        self.select(&rows)
    }

    /// Splits at random, `fraction` of the rows first; with classes, of each class (stratified), and of each with two rows at
    /// least one. The same seed gives the same split.
    ///
    /// # Errors
    /// [`Error::Argument`] if the fraction is not within (0, 1) or one part would be empty.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let (first, second) = stratified(self.labels(), self.rows(), fraction, seed)?;
        Ok((self.select(&first), self.select(&second)))
    }

    /// Batches of `size` rows in order; the last one has what is left.
    ///
    /// # Errors
    /// [`Error::BatchSize`] if size is 0 or beyond the data.
    ///
    /// ```
    /// # use wgrad::{Dataset, Matrix};
    /// # let data = Dataset::classes(Matrix::new(1, vec![0.0; 10])?, vec![0; 10])?;
    /// let sizes: Vec<usize> = data.batches(4)?.shuffled(7).map(|batch| batch.rows()).collect();
    /// assert_eq!(sizes, [4, 4, 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn batches(&self, size: usize) -> Result<Batches<'_>> {
        if size == 0 || size > self.rows() {
            let (batch, rows) = (size, self.rows());
            return Err(Error::BatchSize { batch, rows });
        }
        Ok(Batches {
            data: self,
            cut: Cut::new(size, false),
            size,
            order: order(self.rows(), None),
            at: 0,
        })
    }
}

/// Rows divided at random, `fraction` of them first; with classes, of each class, and of each with two rows at least one. Both
/// parts are in order.
pub(crate) fn stratified(
    labels: Option<&[u32]>,
    rows: usize,
    fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let allowed = "in (0, 1), and leave rows for both parts";
    let bad = |value: String| Error::argument("the fraction of a split", value, allowed);
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(bad(fraction.to_string()));
    }
    let mut order = order(rows, Some(seed));
    let class = |&row: &usize| labels.map_or(0, |labels| labels[row]);
    order.sort_by_key(class);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    // Rounded over all strata so far, so that many small classes do not all round the same way.
    let (mut seen, mut taken) = (0, 0);
    for stratum in order.chunk_by(|a, b| class(a) == class(b)) {
        seen += stratum.len();
        let count = ((fraction * seen as f64).round() as usize).saturating_sub(taken);
        // A class that the first part lacks could not be learnt there; one of a single row goes by chance.
        let least = usize::from(labels.is_some() && stratum.len() > 1);
        let count = count.max(least).min(stratum.len());
        taken += count;
        first.extend_from_slice(&stratum[..count]);
        second.extend_from_slice(&stratum[count..]);
    }
    if first.is_empty() || second.is_empty() {
        return Err(bad(format!("{fraction} with {rows} rows")));
    }
    first.sort_unstable();
    second.sort_unstable();
    Ok((first, second))
}

/// Fisher and Yates' shuffle. Written out, because a library's own may change between versions.
fn shuffle(order: &mut [usize], rng: &mut impl Rng) {
    for i in (1..order.len()).rev() {
        let j = ((u128::from(rng.next_u64()) * (i as u128 + 1)) >> 64) as usize;
        order.swap(i, j);
    }
}

/// The order in which [`Dataset::batches`] takes the rows, shuffled or not; the same for the same seed on every machine.
pub(crate) fn order(rows: usize, shuffle_seed: Option<u64>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    if let Some(seed) = shuffle_seed {
        shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
    }
    order
}

/// An iterator over batches; see [`Dataset::batches`].
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    data: &'a Dataset,
    cut: Cut,
    size: usize,
    order: Vec<usize>,
    at: usize,
}

impl Batches<'_> {
    /// A last batch of a single row goes into the batch before it, as [`Trainer::epoch`](crate::Trainer::epoch) and
    /// [`Trainer::fit`](crate::Trainer::fit) have it for networks with [batch normalisation](crate::Mlp::batch_norm), which
    /// has nothing to compare a single row with.
    ///
    /// ```
    /// # use wgrad::{Dataset, Matrix};
    /// # let data = Dataset::classes(Matrix::new(1, vec![0.0; 9])?, vec![0; 9])?;
    /// let sizes: Vec<usize> = data.batches(4)?.joined().map(|batch| batch.rows()).collect();
    /// assert_eq!(sizes, [4, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn joined(mut self) -> Self {
        self.cut = Cut::new(self.size, true);
        self
    }

    /// In a random order, the same for the same seed on every machine. Pass the epoch, or seed + epoch.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.order = order(self.data.rows(), Some(seed));
        self
    }
}

impl Iterator for Batches<'_> {
    type Item = Dataset;

    fn next(&mut self) -> Option<Dataset> {
        let end = self.at + self.cut.next(self.order.len() - self.at);
        if self.at == end {
            return None;
        }
        let batch = self.data.select(&self.order[self.at..end]);
        self.at = end;
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.cut.count(self.order.len() - self.at);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}
