//! Whether data fits a network and its loss.

use crate::config::loss::TargetKind;
use crate::data::{Cut, Dataset, Matrix, Targets};
use crate::error::{Error, Result, shortest};
use crate::plan::Plan;

pub(crate) fn check_inputs(plan: &Plan, x: &Matrix) -> Result<()> {
    if x.rows() == 0 {
        return Err(Error::empty("x"));
    }
    if x.cols() != plan.network.inputs() {
        return Err(Error::shape(
            "x",
            format!("({}, {})", x.rows(), x.cols()),
            format!("({}, {})", x.rows(), plan.network.inputs()),
            format!("the network takes {}", plan.network),
        ));
    }
    Ok(())
}

/// Whether a batch fits the network and the loss.
pub(crate) fn check_batch(plan: &Plan, batch: &Dataset) -> Result<()> {
    check_inputs(plan, batch.inputs())?;
    let outputs = plan.network.outputs();
    let loss = plan.criterion.loss;
    let kind = loss.targets();
    match batch.targets() {
        Targets::Classes(labels) => {
            if kind != TargetKind::Classes {
                let advice = match kind {
                    TargetKind::Fractions => {
                        "make the data with Dataset::values, a column of 0s and 1s for each output"
                    }
                    _ => "make the data with Dataset::values, or use Loss::CrossEntropy",
                };
                let (got, expected) = ("class indices", "a row of numbers for each row of x");
                return Err(Error::targets(loss.name(), expected, got, advice));
            }
            if let Some(row) = labels.iter().position(|&label| label as usize >= outputs) {
                return Err(Error::Label {
                    row,
                    label: labels[row],
                    classes: outputs,
                });
            }
        }
        Targets::Values(values) => {
            if values.cols() != outputs {
                return Err(Error::shape(
                    "targets",
                    format!("({}, {})", values.rows(), values.cols()),
                    format!("({}, {outputs})", values.rows()),
                    format!("the network is {}", plan.network),
                ));
            }
            if kind != TargetKind::Values {
                let data = values.data();
                if let Some(i) = data.iter().position(|t| !(0.0..=1.0).contains(t)) {
                    let what = format!("the targets of {}", loss.name());
                    let (x, place) = (shortest(data[i]), (i, outputs));
                    return Err(Error::value(what, x, place, "a probability, in [0, 1]"));
                }
            }
        }
    }
    Ok(())
}

/// Whether a network can be trained on this batch: [`check_batch`], and rows enough for statistics.
pub(crate) fn check_training(plan: &Plan, batch: &Dataset) -> Result<()> {
    check_batch(plan, batch)?;
    if plan.normalises_batches() && batch.rows() == 1 {
        return Err(Error::one_row("this batch"));
    }
    Ok(())
}

/// How a network's rows are cut into batches of `size`: batch normalisation needs two rows in each.
pub(crate) fn cut(plan: &Plan, size: usize) -> Cut {
    Cut::new(size, plan.normalises_batches())
}

/// Whether a network can be trained in batches of so many rows, these in micro-batches of so many: a single row that is left
/// over goes into the batch before it, but there must be one.
pub(crate) fn check_batches(plan: &Plan, batch: usize, micro: usize) -> Result<()> {
    if plan.normalises_batches() && batch.min(micro) == 1 {
        let what = if batch == 1 {
            "each of these batches".into()
        } else {
            format!("each part of a batch of {batch}")
        };
        return Err(Error::OneRow { what });
    }
    Ok(())
}
