//! Proof: what a device computes, held against the f64 reference with a bound for every element.
//!
//! - [`kernels()`] runs the whole kernel table on awkward shapes: a test of this adapter and its driver.
//! - [`gradients()`] runs a training step of your network op by op: each op's result against the f64 twin fed the device's
//!   own inputs, and each gradient against an f64 run of the whole plan.
//! - [`finite_differences()`] holds the f64 reference itself against central differences.
//! - [`training()`] follows a whole run step by step.
//! - [`dimensions()`] holds the shapes of derivatives against the parameters'.
//! - [`activation()`] holds an activation's fragment, its Rust functions and its derivative against each other.
//!
//! The bounds follow from the lengths of the sums and from WGSL's accuracy rules; none is tuned. A comparison holds if
//! both sides and the bound are finite and |device − reference| ≤ bound, so a NaN never passes.

mod activation;
mod differences;
mod dimensions;
mod gradients;
mod kernels;
mod training;

use std::fmt;

use serde::Serialize;

pub use activation::activation;
pub use differences::finite_differences;
pub use dimensions::dimensions;
pub use gradients::gradients;
pub(crate) use kernels::variant;
pub use kernels::{KernelOptions, KernelProgress, kernels, kernels_with, kernels_with_progress};
pub use training::training;

use crate::bounded::Bounded;
use crate::cpu::CpuExecutor;
use crate::error::Result;
use crate::executor::Executor;
use crate::plan::{Op, Plan, View};

/// One comparison of many elements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The op or tensor.
    pub name: String,
    /// Elements compared.
    pub elements: usize,
    /// Elements left out, because a kink makes a difference quotient meaningless there.
    pub skipped: usize,
    /// Index of the element that comes nearest to its bound, or exceeds it most.
    pub place: usize,
    /// What the device has there.
    pub device: f64,
    /// What the reference has there.
    pub reference: f64,
    /// |device − reference| there.
    pub error: f64,
    /// How large the error may be there.
    pub bound: f64,
    /// The largest bound of any element.
    pub largest_bound: f64,
    /// Whether every element is finite and within its bound.
    pub passed: bool,
    /// What failed, where it is not a number out of bounds.
    pub note: Option<String>,
}

impl Check {
    /// Compares a device's numbers with the reference.
    pub(crate) fn compare(name: String, device: &[f64], reference: &[Bounded]) -> Self {
        let pairs = device.iter().zip(reference);
        let mut check = Self::of_pairs(name, pairs.map(|(&d, r)| (d, r.value, r.err)));
        if device.len() != reference.len() {
            check.passed = false;
            check.note = Some(format!(
                "{} elements against {}",
                device.len(),
                reference.len()
            ));
        }
        check
    }

    /// Compares (device, reference, bound) element by element.
    pub(crate) fn of_pairs(name: String, pairs: impl Iterator<Item = (f64, f64, f64)>) -> Self {
        let mut check = Self {
            name,
            elements: 0,
            skipped: 0,
            place: 0,
            device: 0.0,
            reference: 0.0,
            error: 0.0,
            bound: 0.0,
            largest_bound: 0.0,
            passed: true,
            note: None,
        };
        let mut worst = -1.0;
        for (i, (device, reference, bound)) in pairs.enumerate() {
            check.elements += 1;
            check.largest_bound = check.largest_bound.max(bound);
            let error = (device - reference).abs();
            let good =
                device.is_finite() && reference.is_finite() && bound.is_finite() && error <= bound;
            check.passed &= good;
            let badness = if good {
                // 0/0: an exact result that had to be exact.
                if error == 0.0 { 0.0 } else { error / bound }
            } else if error.is_finite() && bound.is_finite() {
                error / bound.max(f64::MIN_POSITIVE)
            } else {
                f64::INFINITY
            };
            if badness > worst {
                worst = badness;
                (check.place, check.device, check.reference) = (i, device, reference);
                (check.error, check.bound) = (error, bound);
            }
        }
        if check.elements == 0 {
            check.passed = false;
            check.note = Some("nothing was compared".into());
        }
        check
    }

    /// error/bound at the worst place; above 1 if it failed there.
    pub fn ratio(&self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            self.error / self.bound
        }
    }
}

/// The outcome of a verification: one line a check, and a verdict. As JSON, a NaN or an infinity becomes `null`. Checks of an
/// optimiser count what its dispatch covers: all parameters with their padding, its state, and the ledger of losses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was verified.
    pub title: String,
    /// On which device; a software adapter is called one.
    pub device: String,
    /// Every comparison.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether every check passed, and there was at least one.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\non {}", self.title, self.device)?;
        let width = self.checks.iter().map(|check| check.name.chars().count());
        let width = width.max().unwrap_or(0).max(4);
        writeln!(
            f,
            "{:width$} {:>9} {:>8} {:>8}  verdict",
            "what", "elements", "error", "bound"
        )?;
        for check in &self.checks {
            write!(
                f,
                "{:width$} {:>9} {:>8.1e} {:>8.1e}  {}",
                check.name,
                check.elements,
                check.error,
                check.bound,
                if check.passed { "ok" } else { "FAILED" }
            )?;
            if check.skipped > 0 {
                write!(f, " ({} skipped at kinks)", check.skipped)?;
            }
            if !check.passed && check.elements > 0 {
                write!(
                    f,
                    ": {:.8e} instead of {:.8e} at {}",
                    check.device, check.reference, check.place
                )?;
                if !check.reference.is_finite() {
                    write!(f, " (what it was computed from was not finite already)")?;
                }
            }
            if let Some(note) = &check.note {
                write!(f, " ({note})")?;
            }
            writeln!(f)?;
        }
        match self.failures().next() {
            None if self.passed() => write!(f, "all {} checks passed", self.checks.len()),
            None => write!(f, "nothing was checked"),
            Some(first) => write!(
                f,
                "{} of {} checks FAILED, first: {}",
                self.failures().count(),
                self.checks.len(),
                first.name
            ),
        }
    }
}

/// What [`judge_ops`] found.
struct Judged {
    check: Check,
    /// The reference's results with their bounds, for each view written.
    expected: Vec<(View, Vec<Bounded>)>,
}

/// Runs ops on the device and on the judge from the same inputs, compares everything that they wrote, and hands the device's
/// results to the judge, as exact.
fn judge_ops(
    plan: &Plan,
    ops: &[Op],
    device: &mut Executor,
    judge: &mut CpuExecutor<Bounded>,
) -> Result<Judged> {
    device.submit(ops, &[])?;
    judge.run(&ops.iter().map(|op| device.held(op)).collect::<Vec<_>>());
    let mut views: Vec<View> = Vec::new();
    for view in ops.iter().flat_map(|op| &op.writes) {
        if !plan.is_placeholder(*view) && !views.contains(view) {
            views.push(*view);
        }
    }
    let results = pollster::block_on(device.read_f64(&views))?;
    let expected: Vec<(View, Vec<Bounded>)> = views
        .iter()
        .map(|view| (*view, judge.floats(*view).to_vec()))
        .collect();
    let all = expected.iter().flat_map(|(_, x)| x).copied();
    let check = Check::compare(String::new(), &results.concat(), &all.collect::<Vec<_>>());
    for (view, result) in views.iter().zip(results) {
        judge.set(*view, result.into_iter().map(Bounded::exact));
    }
    Ok(Judged { check, expected })
}
