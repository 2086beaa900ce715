//! Checks of what a device computes against the f64 twin with its rounding bound: a case of a kernel, a form of a product, ops of a
//! plan.

use std::fmt;

use serde::Serialize;

use crate::config::activation::Activation;
use crate::error::Result;
use crate::exec::Executor;
use crate::exec::cpu::CpuExecutor;
use crate::exec::device::Device;
use crate::kernels::cases::{Case, Data, GUARD, GUARD_WORDS};
use crate::kernels::form::Extents;
use crate::kernels::{Access, Call, Choice, StepAt, Work};
use crate::number::bounded::Bounded;
use crate::plan::{BufferSpec, Op, Payload, Plan, View};

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
pub(crate) struct Judged {
    pub check: Check,
    /// The reference's results with their bounds, for each view written.
    pub expected: Vec<(View, Vec<Bounded>)>,
}

/// Runs ops on the device and on the judge from the same inputs, compares everything that they wrote, and hands the device's
/// results to the judge, as exact.
pub(crate) fn judge_ops(
    plan: &Plan,
    ops: &[Op],
    at: &StepAt,
    device: &mut Executor,
    judge: &mut CpuExecutor<Bounded>,
) -> Result<Judged> {
    device.submit(ops, &[*at], &[])?;
    let (held, held_at) = device.held(ops, at);
    judge.submit(&held, &[held_at], &[]);
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

/// What reports call a case.
fn name_of(case: &Case, choice: Option<Choice>) -> String {
    let mut name = case.call.name();
    if case.call.kernel().activation {
        name += &format!(", {}", case.activation);
    }
    if let Some(choice) = choice {
        name += &format!(", {choice}");
    }
    name
}

/// What stands around operands that are read: were it [`GUARD`], a kernel that copies from outside one to outside another would
/// change nothing.
const READ_GUARD: u32 = GUARD ^ 1;

/// An operand with guard words on both sides.
fn guarded(data: &Data, guard: u32) -> Data {
    let guard = vec![guard; GUARD_WORDS];
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
pub(crate) fn run(device: &Device, case: &Case, choices: &[Option<Choice>]) -> Result<Vec<Check>> {
    let kernel = case.call.kernel();
    let reads = case.reads.iter().map(|data| guarded(data, READ_GUARD));
    let writes = case.writes.iter().map(|data| guarded(data, GUARD));
    let operands: Vec<Data> = reads.chain(writes).collect();
    let specs: Vec<BufferSpec> = kernel
        .operands
        .iter()
        .zip(&operands)
        .map(|(operand, data)| BufferSpec::fixed(operand.name, data.len() as u64))
        .collect();
    let view = |buffer: usize| View {
        buffer,
        offset: GUARD_WORDS as u64,
        len: (operands[buffer].len() - 2 * GUARD_WORDS) as u64,
    };
    let whole = |buffer: usize| View::whole(buffer, operands[buffer].len() as u64);
    let of = |access: Access| {
        let operands = kernel.operands.iter().enumerate();
        operands
            .filter(move |(_, operand)| operand.access == access)
            .map(|(i, _)| i)
    };
    let mut op = Op::new(
        case.call,
        of(Access::Read).map(view).collect(),
        of(Access::Write).map(view).collect(),
    )
    .through(&case.activation);
    let mut executor = Executor::new(device, &specs, &[], 0, 1)?;
    let mut reference = CpuExecutor::<Bounded>::new(&specs, 0)?;
    for (i, data) in operands.iter().enumerate() {
        executor.write(whole(i), payload(data))?;
        reference.write(whole(i), payload(data));
    }
    let written: Vec<usize> = of(Access::Write).collect();
    for &i in &written {
        if let Data::Floats(x) = &operands[i] {
            let held = |x: &f32| match x.to_bits() {
                GUARD => UNWRITTEN,
                _ => f64::from(*x),
            };
            reference.set(whole(i), x.iter().map(|x| Bounded::exact(held(x))));
        }
    }
    let (held, held_at) = executor.held(std::slice::from_ref(&op), &case.at);
    reference.submit(&held, &[held_at], &[]);

    let mut checks = Vec::new();
    for &choice in choices {
        for &i in &written {
            executor.write(whole(i), payload(&operands[i]))?;
        }
        op.choice = choice;
        executor.submit(std::slice::from_ref(&op), &[case.at], &[])?;
        let views: Vec<View> = written.iter().map(|&i| whole(i)).collect();
        let results = pollster::block_on(executor.read(&views))?;
        checks.push(compare(case, choice, &written, &results, |i| {
            reference.floats(whole(i))
        }));
    }
    Ok(checks)
}

/// What stands for a guard word where the reference may write: no f32, and not NaN, which the reference may compute.
const UNWRITTEN: f64 = 1.234e300;

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
        if case.void == Some(kernel.operands[i].name) {
            continue;
        }
        let expected = reference(i);
        for (e, (&got, expected)) in result.iter().zip(expected).enumerate() {
            let place = || {
                format!(
                    "{} at {}",
                    kernel.operands[i].name,
                    e as i64 - GUARD_WORDS as i64
                )
            };
            if expected.value == UNWRITTEN {
                // A gap that the kernel must leave alone, too.
                if got.to_bits() != GUARD {
                    trespass.get_or_insert_with(|| {
                        format!("{} was written, outside what is the kernel's", place())
                    });
                }
            } else if !expected.value.is_finite() {
                // A device may make a NaN of an infinity, but no number.
                if got.is_finite() {
                    trespass.get_or_insert_with(|| {
                        format!("{} is {got}, of what is not finite", place())
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
