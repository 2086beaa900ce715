//! Weights of rows.

use super::{Dataset, Matrix, Targets};
use crate::error::{Error, Result, shortest};

/// Weights are 0 or within these bounds, so that neither they nor their sums leave f32 on a device.
const LEAST: f32 = 1e-18;
const MOST: f32 = 1e18;

impl Dataset {
    /// With a weight for each row. The loss of a batch becomes Σ wᵢ·lᵢ / Σ wᵢ with [`Reduction::Mean`](crate::Reduction::Mean),
    /// where lᵢ is the row's loss, and Σ wᵢ·lᵢ with `Sum`; gradients are that loss's. With weights of its class for each row
    /// this is PyTorch's `CrossEntropyLoss(weight=…)` on class indices. Evaluation weighs loss and accuracy alike, as
    /// scikit-learn's `sample_weight` does.
    ///
    /// A row of weight 0 takes no part, whatever its loss, but that the statistics of [batch normalisation](crate::Mlp::batch_norm)
    /// are over rows, whatever their weights, as PyTorch's are. A batch may not weigh nothing: that is an error when it is used.
    /// [`select`](Self::select), [`split`](Self::split), batches and epochs carry weights along. Weights replace those that were
    /// there.
    ///
    /// ```
    /// # use wgrad::{Dataset, Matrix};
    /// let x = Matrix::new(1, vec![0.0, 1.0, 2.0])?;
    /// let data = Dataset::classes(x, vec![0, 1, 1])?.with_weights(vec![2.0, 0.5, 0.5])?;
    /// assert_eq!(data.head(2).weights(), Some(&[2.0, 0.5][..]));
    /// assert_eq!(data.total_weight(), 3.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not as many as rows; [`Error::Value`] if one is neither 0 nor within 1e-18 and 1e18.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self> {
        if weights.len() != self.rows() {
            let got = format!("{}", weights.len());
            let expected = format!("{}", self.rows());
            let advice = "give one for each row";
            return Err(Error::shape("the weights of rows", got, expected, advice));
        }
        let sound = |w: f32| w == 0.0 || (LEAST..=MOST).contains(&w);
        if let Some(row) = weights.iter().position(|&w| !sound(w)) {
            let (value, allowed) = (shortest(weights[row]), "0, or from 1e-18 to 1e18");
            let what = "the weights of rows";
            return Err(Error::value(what, value, (row, 1), allowed));
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// With each row weighed by its class: `weights[c]` for class c, times the weight that the row had.
    ///
    /// With PyTorch's `label_smoothing` beside class weights the two differ: PyTorch weighs the smoothed part by each class's own
    /// weight, and this by the row's.
    ///
    /// ```
    /// # use wgrad::{Dataset, Matrix};
    /// let x = Matrix::new(1, vec![0.0, 1.0, 2.0])?;
    /// let data = Dataset::classes(x, vec![0, 1, 1])?;
    /// let weights = data.balanced_class_weights()?;
    /// assert_eq!(weights, [1.5, 0.75]);
    /// let data = data.with_class_weights(&weights)?;
    /// # assert_eq!(data.weights(), Some(&[1.5, 0.75, 0.75][..]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Targets`] if targets are no class indices; [`Error::Class`] at a class without a weight; else as
    /// [`with_weights`](Self::with_weights).
    pub fn with_class_weights(self, weights: &[f32]) -> Result<Self> {
        let labels = self.labels_for("class weights")?;
        if let Some(row) = labels.iter().position(|&c| c as usize >= weights.len()) {
            return Err(Error::class(row, labels[row], weights.len()));
        }
        let of_class = labels.iter().map(|&c| weights[c as usize]);
        let weights = match &self.weights {
            None => of_class.collect(),
            Some(own) => of_class.zip(own).map(|(c, w)| c * w).collect(),
        };
        self.with_weights(weights)
    }

    /// The weight for each class with which all classes weigh the same: n/(k·nᶜ) with n rows, nᶜ of them of class c, and k
    /// classes that occur, which is scikit-learn's `class_weight="balanced"`. A class without rows has 1. Rows count alike, whatever
    /// their weights.
    ///
    /// # Errors
    /// [`Error::Targets`] if targets are no class indices; [`Error::OutOfMemory`] at a class index beyond 2²⁴, which no network
    /// has an output for.
    pub fn balanced_class_weights(&self) -> Result<Vec<f32>> {
        const MOST_CLASSES: usize = 1 << 24;
        let labels = self.labels_for("balanced class weights")?;
        let classes = labels.iter().max().map_or(0, |&c| c as usize + 1);
        if classes > MOST_CLASSES {
            return Err(Error::out_of_memory(
                format!("class weights for {classes} classes"),
                8 * classes as u64,
                None,
                "number the classes from 0; data::ClassMap does",
            ));
        }
        let mut counts = vec![0u64; classes];
        labels.iter().for_each(|&c| counts[c as usize] += 1);
        let occurring = counts.iter().filter(|&&count| count > 0).count();
        let weight = |&count: &u64| match count {
            0 => 1.0,
            _ => (labels.len() as f64 / (occurring as f64 * count as f64)) as f32,
        };
        Ok(counts.iter().map(weight).collect())
    }

    /// The weight of each row, where rows have weights.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// Σ of the weights in f64, in the order of the rows; the number of rows where they have none.
    pub fn total_weight(&self) -> f64 {
        match &self.weights {
            None => self.rows() as f64,
            Some(weights) => weights.iter().map(|&w| f64::from(w)).sum(),
        }
    }

    /// [`total_weight`](Self::total_weight) of these rows in this order.
    pub(crate) fn weight_of(&self, rows: &[u32]) -> f64 {
        match &self.weights {
            None => rows.len() as f64,
            Some(weights) => rows.iter().map(|&r| f64::from(weights[r as usize])).sum(),
        }
    }

    /// The same targets and weights for other inputs, as many rows.
    pub(crate) fn with_inputs(&self, inputs: Matrix) -> Result<Self> {
        let mut data = Self::new(inputs, self.targets.clone())?;
        data.weights.clone_from(&self.weights);
        Ok(data)
    }

    fn labels_for(&self, what: &str) -> Result<&[u32]> {
        match &self.targets {
            Targets::Classes(labels) => Ok(labels),
            Targets::Values(_) => {
                let advice = "make the data with Dataset::classes, or give each row its weight by with_weights";
                Err(Error::targets(
                    what,
                    "class indices",
                    "rows of numbers",
                    advice,
                ))
            }
        }
    }

    /// The weights of this data and of what is added to it.
    pub(super) fn weights_with(&self, next: &Self) -> Option<Vec<f32>> {
        if self.weights.is_none() && next.weights.is_none() {
            return None;
        }
        let of = |data: &Self| match &data.weights {
            Some(weights) => weights.clone(),
            None => vec![1.0; data.rows()],
        };
        let mut all = of(self);
        all.extend(of(next));
        Some(all)
    }
}
