//! Metrics of scores and probabilities.

use super::{check_labels, check_rows};
use crate::data::Matrix;
use crate::error::{Error, Result, shortest};

/// Share of rows whose class is among the `k` largest scores. Of equal scores the last class ranks first, as in scikit-learn.
///
/// # Errors
/// [`Error::EmptyData`] without targets, [`Error::Shape`] if the numbers of rows differ, [`Error::Class`] if a target has no
/// column, [`Error::Argument`] if `k` is 0.
pub fn top_k_accuracy(scores: &Matrix, targets: &[u32], k: usize) -> Result<f64> {
    check_rows("scores", scores.rows(), targets.len())?;
    check_labels(targets, scores.cols())?;
    if k == 0 {
        return Err(Error::argument("k", "0", "1 or more"));
    }
    let rows = targets.iter().enumerate();
    let hits = rows.filter(|&(r, &t)| rank(scores.row(r), t as usize) < k);
    Ok(hits.count() as f64 / targets.len() as f64)
}

/// Classes that rank before class `t`.
pub(super) fn rank<T: PartialOrd>(row: &[T], t: usize) -> usize {
    let before = |(c, x): &(usize, &T)| **x > row[t] || (**x == row[t] && *c > t);
    row.iter().enumerate().filter(before).count()
}

/// Area under the receiver operating characteristic of two classes: the probability that a row of class 1 scores higher than
/// a row of class 0, where equal scores count half. From the ranks, ties by their mean rank (Mann and Whitney's U).
///
/// # Errors
/// [`Error::EmptyData`] without targets, [`Error::Shape`] if the lengths differ, [`Error::Class`] if a target is neither 0
/// nor 1, [`Error::Undefined`] if only one of the two occurs or a score is NaN.
pub fn roc_auc(scores: &[f64], targets: &[u32]) -> Result<f64> {
    check_rows("scores", scores.len(), targets.len())?;
    check_labels(targets, 2)?;
    let undefined = |reason: &str| Error::Undefined {
        metric: "ROC-AUC".into(),
        reason: reason.into(),
    };
    let ones = targets.iter().filter(|&&t| t == 1).count();
    let zeros = targets.len() - ones;
    if ones == 0 || zeros == 0 {
        return Err(undefined(
            "all targets are of one class, and it compares two",
        ));
    }
    if scores.iter().any(|x| x.is_nan()) {
        return Err(undefined("a score is NaN"));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // Ranks from 1; doubled, so that mean ranks are whole.
    let (mut doubled, mut before) = (0u128, 0u128);
    for equals in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let n = equals.len() as u128;
        let hits = equals.iter().filter(|&&r| targets[r] == 1).count() as u128;
        doubled += hits * (2 * before + n + 1);
        before += n;
    }
    let (ones, zeros) = (ones as u128, zeros as u128);
    let wins = doubled - ones * (ones + 1);
    Ok(wins as f64 / (2.0 * ones as f64 * zeros as f64))
}

/// Mean of −ln p over the rows, where p is the probability given to the row's class, clipped to [ε, 1 − ε] with f32's
/// ε = 2⁻²³, as scikit-learn clips single precision.
///
/// # Errors
/// [`Error::EmptyData`] without targets, [`Error::Shape`] if the numbers of rows differ, [`Error::Class`] if a target has no
/// column, [`Error::Value`] if a number is no probability.
pub fn log_loss(probabilities: &Matrix, targets: &[u32]) -> Result<f64> {
    check_rows("probabilities", probabilities.rows(), targets.len())?;
    check_labels(targets, probabilities.cols())?;
    let data = probabilities.data();
    if let Some(i) = data.iter().position(|p| !(0.0..=1.0).contains(p)) {
        let (value, at) = (shortest(data[i]), (i, probabilities.cols()));
        return Err(Error::value("probabilities", value, at, "in [0, 1]"));
    }
    let of = |(r, &t): (usize, &u32)| surprise(f64::from(probabilities.row(r)[t as usize]));
    let sum: f64 = targets.iter().enumerate().map(of).sum();
    Ok(sum / targets.len() as f64)
}

/// −ln p, clipped.
pub(super) fn surprise(p: f64) -> f64 {
    let eps = f64::from(f32::EPSILON);
    -p.clamp(eps, 1.0 - eps).ln()
}
