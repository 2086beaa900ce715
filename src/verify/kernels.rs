//! The kernel table against its twins.

use std::collections::BTreeMap;

use crate::check::{self, Check, Report};
use crate::config::activation::Activation;
use crate::error::{Error, Result};
use crate::exec::device::{Backend, Device};
use crate::kernels::cases::{Case, LONG};
use crate::kernels::{self, ALL, Call, Choice, FORMS, Work};

/// What [`kernels_with`] runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelOptions {
    /// Only the kernel of this name.
    pub kernel: Option<String>,
    /// Stop a kernel at its first failure.
    pub fail_fast: bool,
    /// Seed of the contents.
    pub seed: u64,
}

/// How far [`kernels_with_progress`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelProgress<'a> {
    /// The kernel whose case is next.
    pub kernel: &'a str,
    /// Kernels done.
    pub kernels_done: usize,
    /// Kernels in all.
    pub kernels: usize,
    /// Cases of this kernel that are done.
    pub cases_done: usize,
    /// Cases of this kernel.
    pub cases: usize,
}

/// Runs every kernel on awkward shapes (single elements, one beside each tile edge, sums and rows beyond 65,535) with every
/// activation, NaNs around every operand and in every gap, and compares each element with the f64 twin within its rounding
/// bound. Matrix products run in every form that the device can run. One check a kernel, activation and form. Seconds to minutes on a software adapter.
///
/// # Errors
/// Of the device; a wrong result is no error but a failed [`Check`].
pub fn kernels(device: &Device) -> Result<Report> {
    kernels_with(device, &KernelOptions::default())
}

/// [`kernels()`], of a part of the table.
///
/// # Errors
/// As [`kernels()`].
pub fn kernels_with(device: &Device, options: &KernelOptions) -> Result<Report> {
    kernels_with_progress(device, options, |_| {})
}

/// [`kernels_with()`], with a callback before each case.
///
/// ```no_run
/// use wgrad::{Device, verify};
/// let options = verify::KernelOptions::default();
/// let report = verify::kernels_with_progress(&Device::gpu()?, &options, |p| {
///     eprint!("\r{} of {} kernels, {}: {}/{}", p.kernels_done, p.kernels, p.kernel, p.cases_done, p.cases);
/// })?;
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// As [`kernels()`].
pub fn kernels_with_progress(
    device: &Device,
    options: &KernelOptions,
    mut progress: impl FnMut(&KernelProgress<'_>),
) -> Result<Report> {
    if let Some(name) = options
        .kernel
        .as_ref()
        .filter(|n| kernels::find(n).is_none())
    {
        return Err(Error::argument(
            "the kernel to verify",
            format!("{name:?}"),
            {
                let names: Vec<&str> = ALL.iter().map(|kernel| kernel.name).collect();
                format!("one of {}", names.join(", "))
            },
        ));
    }
    let mut checks = Vec::new();
    let wanted = |name: &str| options.kernel.as_ref().is_none_or(|wanted| wanted == name);
    let chosen: Vec<_> = ALL.iter().filter(|kernel| wanted(kernel.name)).collect();
    for (kernels_done, kernel) in chosen.iter().enumerate() {
        let mut of_kernel: BTreeMap<String, Check> = BTreeMap::new();
        let cases = kernel.cases(options.seed);
        for (i, case) in cases.iter().enumerate() {
            progress(&KernelProgress {
                kernel: kernel.name,
                kernels_done,
                kernels: chosen.len(),
                cases_done: i,
                cases: cases.len(),
            });
            let checks = check::run(device, case, &choices(device, case, i))?;
            let stop = options.fail_fast && checks.iter().any(|check| !check.passed);
            for check in checks {
                of_kernel
                    .entry(check.name.clone())
                    .and_modify(|known| merge(known, &check))
                    .or_insert(check);
            }
            if stop {
                break;
            }
        }
        checks.extend(of_kernel.into_values());
    }
    Ok(Report {
        title: "kernel table".into(),
        device: device.to_string(),
        checks,
    })
}

/// The ways to compute a case on this device: a product in every form that can run here and covers it, and gradients also in
/// parts. The activations are one fragment that no form looks into: each is tried in two forms, in turn. A form's loop over a
/// long sum is one text whatever the kernel loads, and a kernel's loads are one text in every form: each form makes a long sum
/// for one of the three kernels, each kernel in every third form.
fn choices(device: &Device, case: &Case, index: usize) -> Vec<Option<Choice>> {
    let Backend::Gpu(gpu) = &device.kind else {
        return vec![None];
    };
    if !gpu.can_bind(&case.call) {
        return Vec::new();
    }
    let Work::Product(extents) = case.call.work() else {
        return vec![None];
    };
    let forms = FORMS
        .iter()
        .filter(|form| gpu.can_run(form) && form.covers(extents));
    let mut choices: Vec<Choice> = forms.map(|form| Choice { form, parts: 1 }).collect();
    if case.activation != Activation::Identity {
        let n = choices.len();
        choices = vec![choices[index % n], choices[(index + n / 2) % n]];
    }
    if extents.k > LONG && choices.len() >= 3 {
        let turn = match case.call {
            Call::DenseForward(_) => 0,
            Call::DenseBackwardInput(_) => 1,
            _ => 2,
        };
        choices = choices.into_iter().skip(turn).step_by(3).collect();
    }
    // Wide results are about places, not about parts.
    let wide = extents.m.max(extents.n) > LONG;
    if matches!(case.call, Call::DenseBackwardParams(_)) && !wide {
        let whole = choices.clone();
        choices.extend(whole.iter().map(|choice| Choice {
            parts: 3,
            ..*choice
        }));
    }
    choices.into_iter().map(Some).collect()
}

/// Keeps the worse of two checks of one name, and counts both.
fn merge(known: &mut Check, check: &Check) {
    let elements = known.elements + check.elements;
    let worse = match (known.passed, check.passed) {
        (true, false) => true,
        (false, true) => false,
        _ => check.ratio() > known.ratio(),
    };
    if worse {
        *known = check.clone();
    }
    known.elements = elements;
}
