//! Cross-validation, and splits in three.

use super::{Dataset, order};
use crate::error::{Error, Result};

/// An iterator over folds; see [`Dataset::folds`].
#[derive(Debug, Clone)]
pub struct Folds<'a> {
    data: &'a Dataset,
    /// The fold of each row.
    fold: Vec<usize>,
    k: usize,
    at: usize,
}

impl Dataset {
    /// `k` pairs of data sets for cross-validation, (training, validation): each row is in the validation part once. Rows are dealt out
    /// at random; with classes, those of each class as evenly as can be (stratified). The same seed gives the same folds.
    ///
    /// # Errors
    /// [`Error::Argument`] if k is below 2 or above the number of rows, or if a class has fewer rows than there are folds.
    ///
    /// ```
    /// # use wgrad::{Dataset, Matrix};
    /// # let data = Dataset::classes(Matrix::new(1, vec![0.0; 10])?, vec![0, 0, 0, 0, 0, 0, 1, 1, 1, 1])?;
    /// for (train, validation) in data.folds(3, 7)? {
    ///     assert!(train.rows() + validation.rows() == 10 && validation.rows() >= 3);
    /// }
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn folds(&self, k: usize, seed: u64) -> Result<Folds<'_>> {
        let name = "the number of folds";
        if k < 2 || k > self.rows() {
            let allowed = format!("from 2 to the number of rows, {}", self.rows());
            return Err(Error::argument(name, k, allowed));
        }
        // With classes, class by class.
        let mut order = order(self.rows(), Some(seed));
        if let Some(labels) = self.labels() {
            order.sort_by_key(|&r| labels[r]);
            let mut strata = order.chunk_by(|&a, &b| labels[a] == labels[b]);
            if let Some(stratum) = strata.find(|stratum| stratum.len() < k) {
                let (rows, class) = (stratum.len(), labels[stratum[0]]);
                let value = format!("{k}, with {rows} row(s) of class {class}");
                let allowed = "at most the rows of the rarest class: take fewer folds, more rows, or leave that class out";
                return Err(Error::argument(name, value, allowed));
            }
        }
        // One after another, on through the classes: parts differ by one row at most, over all and in each class.
        let mut fold = vec![0; self.rows()];
        for (i, &row) in order.iter().enumerate() {
            fold[row] = i % k;
        }
        let (data, at) = (self, 0);
        Ok(Folds { data, fold, k, at })
    }

    /// Splits at random in three: `train` of the rows to learn from, `validation` of them to choose by, the rest to test
    /// on; with classes, of each class (stratified), as [`split`](Self::split) does.
    ///
    /// # Errors
    /// [`Error::Argument`] if the fractions are not within (0, 1), leave nothing to test on, or one part would be empty.
    pub fn split_three(
        &self,
        train: f64,
        validation: f64,
        seed: u64,
    ) -> Result<(Self, Self, Self)> {
        let rest = 1.0 - train;
        if !(validation > 0.0 && validation < rest) {
            let name = "the validation part of a split";
            let value = format!("{validation}, beside {train} for training");
            let allowed = "above 0, and leave rows to test on";
            return Err(Error::argument(name, value, allowed));
        }
        let (train, rest_rows) = self.split(train, seed)?;
        let (validation, test) = rest_rows.split(validation / rest, seed.wrapping_add(1))?;
        Ok((train, validation, test))
    }
}

impl Iterator for Folds<'_> {
    type Item = (Dataset, Dataset);

    fn next(&mut self) -> Option<(Dataset, Dataset)> {
        if self.at == self.k {
            return None;
        }
        let (validation, train): (Vec<usize>, Vec<usize>) =
            (0..self.fold.len()).partition(|&row| self.fold[row] == self.at);
        self.at += 1;
        Some((self.data.select(&train), self.data.select(&validation)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.k - self.at, Some(self.k - self.at))
    }
}

impl ExactSizeIterator for Folds<'_> {}
