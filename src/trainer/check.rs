//! Whether data fits a network and its loss.

use crate::data::{Dataset, Matrix, Targets};
use crate::error::{Error, Result, shortest};
use crate::loss::TargetKind;
use crate::plan::Plan;

pub(crate) fn check_inputs(plan: &Plan, x: &Matrix) -> Result<()> {
    if x.rows() == 0 {
        return Err(Error::EmptyData { what: "x".into() });
    }
    if x.cols() != plan.network.inputs() {
        return Err(Error::Shape {
            what: "x".into(),
            got: format!("({}, {})", x.rows(), x.cols()),
            expected: format!("({}, {})", x.rows(), plan.network.inputs()),
            advice: format!("the network takes {}", plan.network),
        });
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
                return Err(Error::Targets {
                    loss: loss.name().into(),
                    expected: "a row of numbers for each row of x".into(),
                    got: "class indices".into(),
                    advice: match kind {
                        TargetKind::Fractions => {
                            "make the data with Dataset::values, a column of 0s and 1s for each output"
                        }
                        _ => "make the data with Dataset::values, or use Loss::CrossEntropy",
                    }
                    .into(),
                });
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
                return Err(Error::Shape {
                    what: "targets".into(),
                    got: format!("({}, {})", values.rows(), values.cols()),
                    expected: format!("({}, {outputs})", values.rows()),
                    advice: format!("the network is {}", plan.network),
                });
            }
            if kind != TargetKind::Values {
                let data = values.data();
                if let Some(i) = data.iter().position(|t| !(0.0..=1.0).contains(t)) {
                    return Err(Error::Value {
                        what: format!("the targets of {}", loss.name()),
                        value: shortest(data[i]),
                        row: i / outputs,
                        col: i % outputs,
                        allowed: "a probability, in [0, 1]".into(),
                    });
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
        return Err(Error::OneRow {
            what: "this batch".into(),
        });
    }
    Ok(())
}

/// Whether a network can be trained on `rows` rows in batches of so many, these in micro-batches of so many.
pub(crate) fn check_batches(plan: &Plan, rows: usize, batch: usize, micro: usize) -> Result<()> {
    let last = rows % batch;
    let single = |size: usize| size > 0 && (micro == 1 || size % micro == 1);
    if plan.normalises_batches() && (single(batch) || single(last)) {
        let what = if single(batch) {
            format!("a part of each batch of {batch}")
        } else {
            format!("a part of the last batch, of {last} of {rows} rows,")
        };
        return Err(Error::OneRow { what });
    }
    Ok(())
}
