//! The kernel table against its twins.

use std::collections::BTreeMap;

use super::{Check, Report};
use crate::activation::Activation;
use crate::bounded::Bounded;
use crate::cpu::CpuExecutor;
use crate::device::{Device, Kind};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::kernels::cases::{Case, Data, GUARD, GUARD_WORDS};
use crate::kernels::form::Extents;
use crate::kernels::{self, ALL, Access, Call, Choice, FORMS, Work};
use crate::plan::{BufferSpec, Op, Payload, View};

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
        return Err(Error::Argument {
            name: "the kernel to verify".into(),
            value: format!("{name:?}"),
            allowed: {
                let names: Vec<&str> = ALL.iter().map(|kernel| kernel.name).collect();
                format!("one of {}", names.join(", "))
            },
        });
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
            let checks = run(device, case, &choices(device, case, i))?;
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

/// Whether the variant that `call` takes in this form keeps to its bounds on the ragged shapes of the table: `None`, or what failed.
pub(crate) fn variant(device: &Device, call: &Call, choice: Choice) -> Result<Option<String>> {
    let wanted = call.variant(Some(choice), true);
    let cases = call.kernel().cases(0).into_iter().filter(|case| {
        let Work::Product(Extents { m, n, k }) = case.call.work() else {
            return false;
        };
        case.activation == Activation::Identity
            && m.max(n).max(k) <= 300
            && case.call.variant(Some(choice), true) == wanted
    });
    let mut tried = 0;
    for case in cases {
        tried += 1;
        for check in run(device, &case, &[Some(choice)])? {
            if !check.passed {
                return Ok(Some(format!(
                    "{} instead of {} at {}, where {} is allowed ({})",
                    check.device,
                    check.reference,
                    check.place,
                    check.bound,
                    check.note.unwrap_or_default()
                )));
            }
        }
    }
    Ok((tried == 0).then(|| "the table has no case for it".into()))
}

/// The ways to compute a case on this device: a product in every form that can run here and covers it, and gradients also in
/// parts. The activations are one fragment that no form looks into: each is tried in two forms, in turn.
fn choices(device: &Device, case: &Case, index: usize) -> Vec<Option<Choice>> {
    let Kind::Gpu(gpu) = &device.kind else {
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
    if matches!(case.call, Call::DenseBackwardParams(_)) {
        let whole = choices.clone();
        choices.extend(whole.iter().map(|choice| Choice {
            parts: 3,
            ..*choice
        }));
    }
    choices.into_iter().map(Some).collect()
}

/// What reports call a case.
fn name_of(case: &Case, choice: Option<Choice>) -> String {
    let mut name = case.call.kernel().name.to_owned();
    if case.call.kernel().activation {
        name += &format!(", {}", case.activation);
    }
    if let Some(choice) = choice {
        name += &format!(", {choice}");
    }
    name
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

/// An operand with guard words on both sides.
fn guarded(data: &Data) -> Data {
    let guard = vec![GUARD; GUARD_WORDS];
    let bits = [guard.clone(), data.bits(), guard].concat();
    match data {
        Data::Floats(_) => Data::Floats(bits.into_iter().map(f32::from_bits).collect()),
        Data::Words(_) => Data::Words(bits),
    }
}

fn payload(data: &Data) -> Payload<'_> {
    match data {
        Data::Floats(x) => Payload::Floats(x),
        Data::Words(x) => Payload::Words(x),
    }
}

/// Runs one case on the device, once in each way, and on the f64 twin.
fn run(device: &Device, case: &Case, choices: &[Option<Choice>]) -> Result<Vec<Check>> {
    let kernel = case.call.kernel();
    let operands: Vec<Data> = case.reads.iter().chain(&case.writes).map(guarded).collect();
    let specs: Vec<BufferSpec> = kernel
        .operands
        .iter()
        .zip(&operands)
        .map(|(operand, data)| BufferSpec::fixed(operand.name, data.bits().len() as u64))
        .collect();
    let view = |buffer: usize| View {
        buffer,
        offset: GUARD_WORDS as u64,
        len: (operands[buffer].bits().len() - 2 * GUARD_WORDS) as u64,
    };
    let whole = |buffer: usize| View {
        buffer,
        offset: 0,
        len: operands[buffer].bits().len() as u64,
    };
    let of = |access: Access| {
        let operands = kernel.operands.iter().enumerate();
        operands
            .filter(move |(_, operand)| operand.access == access)
            .map(|(i, _)| i)
    };
    let mut op = Op {
        call: case.call,
        activation: case.activation.clone(),
        reads: of(Access::Read).map(view).collect(),
        writes: of(Access::Write).map(view).collect(),
        layer: None,
        choice: None,
        part: None,
    };
    let mut executor = Executor::new(device, &specs, &[], 0, 1)?;
    let mut reference = CpuExecutor::<Bounded>::new(&specs, 0)?;
    for (i, data) in operands.iter().enumerate() {
        executor.write(whole(i), payload(data))?;
        reference.write(whole(i), payload(data));
    }
    reference.run(&[executor.held(&op)]);

    let written: Vec<usize> = of(Access::Write).collect();
    let mut checks = Vec::new();
    for &choice in choices {
        for &i in &written {
            executor.write(whole(i), payload(&operands[i]))?;
        }
        op.choice = choice;
        executor.submit(std::slice::from_ref(&op), &[])?;
        let views: Vec<View> = written.iter().map(|&i| whole(i)).collect();
        let results = pollster::block_on(executor.read(&views))?;
        checks.push(compare(case, choice, &written, &results, |i| {
            reference.floats(whole(i))
        }));
    }
    Ok(checks)
}

/// Compares what the device wrote, guards included, with the reference.
fn compare<'a>(
    case: &Case,
    choice: Option<Choice>,
    written: &[usize],
    results: &[Vec<f32>],
    reference: impl Fn(usize) -> &'a [Bounded],
) -> Check {
    let kernel = case.call.kernel();
    let mut pairs = Vec::new();
    let mut trespass = None;
    for (&i, result) in written.iter().zip(results) {
        let expected = reference(i);
        for (e, (&got, expected)) in result.iter().zip(expected).enumerate() {
            if expected.value.is_nan() {
                // A guard word, or a gap that the kernel must leave alone.
                if got.to_bits() != GUARD {
                    trespass.get_or_insert_with(|| {
                        format!(
                            "{} was written at {}, outside what is the kernel's",
                            kernel.operands[i].name,
                            e as i64 - GUARD_WORDS as i64
                        )
                    });
                }
            } else {
                pairs.push((f64::from(got), expected.value, expected.err));
            }
        }
    }
    let mut check = Check::of_pairs(name_of(case, choice), pairs.into_iter());
    if trespass.is_some() {
        check.passed = false;
        check.note = trespass;
    } else if !check.passed {
        check.note = Some(format!("{:?}", case.call));
    }
    check
}
