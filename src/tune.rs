//! The tuner: measures which form of the matmul is fastest on this adapter, after each has matched the f64 twin. It does so
//! before the first step that would use it, in [`prepare`]; a submission never measures.

use std::time::{Duration, Instant};

use crate::check;
use crate::error::Result;
use crate::exec::Executor;
use crate::exec::choices::{Disabled, Measured, MeasuredNetwork, product_name};
use crate::exec::device::{Backend, Device};
use crate::exec::gpu::chooser::can_have_parts;
use crate::exec::gpu::{Gpu, lock};
use crate::kernels::form::Extents;
use crate::kernels::{Access, Call, Choice, FORMS, StepAt, Work};
use crate::plan::{BufferSpec, Op, Payload, View};

/// A measurement lasts so long.
const SAMPLE: Duration = Duration::from_millis(5);
/// Candidates within this factor of the fastest are measured again.
const NEAR: f64 = 1.3;
/// So many times, if there is time.
const TURNS: usize = 7;
/// A GPU that had nothing to do runs at a fraction of its clock, and takes tens of milliseconds of work to reach the rest.
const WARMING: Duration = Duration::from_millis(50);
/// Longer than that none takes.
const WARMED: Duration = Duration::from_millis(500);
/// What the default table says stays unless another is faster by this factor: less is noise.
const MARGIN: f64 = 1.03;
/// Sides of larger products are measured at this size: they run at its speed, and need less memory.
const LARGEST: u32 = 2048;

/// Measures the products among these ops for which no form is known yet, where the device is one that measures.
///
/// # Errors
/// Of the device.
pub(crate) fn prepare(device: &Device, ops: &[Op]) -> Result<()> {
    let Backend::Gpu(gpu) = &device.kind else {
        return Ok(());
    };
    if !gpu.chooser.on {
        return Ok(());
    }
    for op in ops.iter().filter(|op| op.choice.is_none()) {
        let Work::Product(extents) = op.call.work() else {
            continue;
        };
        let product = product_name(op.call.kernel().name, extents);
        if gpu.known_choice(&op.call, extents, &product).is_none() {
            measure(device, gpu, &op.call, extents, &product)?;
        }
    }
    Ok(())
}

/// Whether this network is trained whole in one workgroup: measured, where the device is one that measures and does not know yet.
/// `measure` gives the seconds of a step that way and op by op.
///
/// # Errors
/// Of the device.
pub(crate) fn small_network(
    gpu: &Gpu,
    call: &Call,
    name: String,
    measure: impl FnOnce() -> Result<(f64, f64)>,
) -> Result<bool> {
    if !gpu.fits_workgroup(call) {
        return Ok(false);
    }
    let chooser = &gpu.chooser;
    let time_left = chooser.on && lock(&chooser.state).spent < chooser.budget;
    if time_left && gpu.known_network(&name).is_none() {
        // Not under the lock: the products of the steps that are measured may be measured first.
        let start = Instant::now();
        let (whole, op_by_op) = measure()?;
        let mut state = lock(&chooser.state);
        state.spent += start.elapsed();
        state.report.networks.push(MeasuredNetwork {
            network: name.clone(),
            whole,
            op_by_op,
        });
        state.known.insert_network(name.clone(), whole < op_by_op);
        let known = state.known.clone();
        drop(state);
        gpu.save(&known);
    }
    Ok(gpu.choose_network(call, name))
}

/// Finds the fastest candidate for a product, if there is time to measure.
fn measure(device: &Device, gpu: &Gpu, call: &Call, extents: Extents, product: &str) -> Result<()> {
    let chooser = &gpu.chooser;
    let _alone = lock(&chooser.measuring);
    if lock(&chooser.state).known.get(product).is_some() {
        return Ok(());
    }
    let start = Instant::now();
    let note = |note: String| lock(&chooser.state).report.note(note);
    let budget = chooser.budget;
    if lock(&chooser.state).spent >= budget {
        note(format!(
            "{budget:?} were spent on measuring: further products take the default table"
        ));
        return Ok(());
    }
    let call = call.resized(LARGEST);
    let mut bench = match Bench::new(device, call) {
        Ok(bench) => bench,
        // Memory is needed for training first.
        Err(error) => {
            gpu.check()?;
            note(format!("{product} was not measured: {error}"));
            return Ok(());
        }
    };
    let budget_each = budget * 3 / 20;
    let mut timed: Vec<Timed> = Vec::new();
    let mut warm = false;
    for choice in candidates(gpu, &call, extents) {
        if start.elapsed() >= budget_each {
            note(format!(
                "{product}: not all candidates were measured in {budget_each:?}"
            ));
            break;
        }
        if !checked(device, gpu, &call, choice)? {
            continue;
        }
        if !warm {
            bench.warm(choice)?;
            warm = true;
        }
        timed.push(bench.first_time(choice)?);
    }
    // Those that come near the fastest go on, in turns: other work on the machine, and a clock that changes, slow all of them or none.
    timed.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let near = timed.first().map_or(0.0, |fastest| NEAR * fastest.seconds);
    let finalists = timed.partition_point(|t| t.seconds <= near);
    let mut samples = vec![Vec::new(); finalists];
    for _ in 0..TURNS {
        if finalists < 2 || start.elapsed() >= budget_each {
            break;
        }
        for (t, samples) in timed.iter().zip(&mut samples) {
            samples.push(bench.time(t.choice, t.count)?);
        }
    }
    for (t, samples) in timed.iter_mut().zip(samples) {
        t.seconds = median(samples).unwrap_or(t.seconds);
    }
    let likely = gpu.default_choice(&call, extents);
    let judged = |t: &Timed| t.seconds / if t.choice == likely { MARGIN } else { 1.0 };
    let best = timed[..finalists]
        .iter()
        .min_by(|a, b| judged(a).total_cmp(&judged(b)))
        .map(|t| t.choice);
    let measured = timed.iter().map(|t| Measured {
        product: product.to_owned(),
        choice: t.choice,
        seconds: t.seconds,
        flops: call.cost().flops as f64 / t.seconds,
    });
    let mut state = lock(&chooser.state);
    state.spent += start.elapsed();
    state.report.measured.extend(measured);
    if let Some(choice) = best {
        state.known.insert(product.to_owned(), choice);
        let known = state.known.clone();
        drop(state);
        gpu.save(&known);
    }
    Ok(())
}

fn candidates(gpu: &Gpu, call: &Call, extents: Extents) -> Vec<Choice> {
    let forms = FORMS
        .iter()
        .filter(|form| gpu.can_run(form) && form.covers(extents));
    let mut candidates: Vec<Choice> = forms.map(|form| Choice { form, parts: 1 }).collect();
    let likely = gpu.default_choice(call, extents);
    // The likeliest first, in case time runs out.
    candidates.sort_by_key(|choice| choice.form != likely.form);
    let whole = candidates.clone();
    for parts in [4, 16] {
        if extents.k / parts >= 32 && can_have_parts(call, parts) {
            candidates.extend(whole.iter().map(|choice| Choice { parts, ..*choice }));
        }
    }
    candidates
}

/// Whether the variant that this choice takes matches the f64 twin on its ragged shapes; found out once.
fn checked(device: &Device, gpu: &Gpu, call: &Call, choice: Choice) -> Result<bool> {
    let kernel = call.kernel();
    let variant = call.variant(Some(choice), gpu.vec4);
    if let Some(outcome) = lock(&gpu.chooser.state)
        .checked
        .get(&(kernel.name, variant))
    {
        return Ok(outcome.is_none());
    }
    let wrong = match check::variant(device, call, choice) {
        Ok(None) => None,
        Ok(Some(check)) => Some(check),
        Err(error) => {
            gpu.check()?;
            Some(error.to_string())
        }
    };
    let mut state = lock(&gpu.chooser.state);
    if let Some(reason) = &wrong {
        state.report.disabled.push(Disabled {
            kernel: kernel.name.into(),
            variant: variant.to_string(),
            reason: reason.clone(),
        });
    }
    let passed = wrong.is_none();
    state.checked.insert((kernel.name, variant), wrong);
    Ok(passed)
}

/// One product with operands to run it on.
pub(crate) struct Bench {
    pub executor: Executor,
    pub op: Op,
}

/// Dispatches that a submission of measurements has at most.
pub(crate) const REPEATS: usize = 256;

impl Bench {
    pub fn new(device: &Device, call: Call) -> Result<Self> {
        let operands = call.kernel().operands;
        let sizes: Vec<u64> = call.sizes().map(|len| len.max(1)).collect();
        let specs: Vec<BufferSpec> = operands
            .iter()
            .zip(&sizes)
            .map(|(operand, len)| BufferSpec::fixed(operand.name, *len))
            .collect();
        let views: Vec<View> = sizes
            .iter()
            .enumerate()
            .map(|(buffer, &len)| View::whole(buffer, len))
            .collect();
        let mut executor = Executor::new(device, &specs, &[], 0, REPEATS)?;
        // Never zeros: hardware may multiply them faster.
        let numbers: Vec<f32> = (0..1 << 16)
            .map(|i| (i * 7919 % 1999 + 1) as f32 / 2000.0)
            .collect();
        for view in &views {
            let mut at = 0;
            while at < view.len {
                let piece = View {
                    offset: at,
                    len: (view.len - at).min(numbers.len() as u64),
                    ..*view
                };
                executor.write(piece, Payload::Floats(&numbers[..piece.len as usize]))?;
                at += piece.len;
            }
        }
        let reads = operands.iter().filter(|o| o.access == Access::Read).count();
        Ok(Self {
            executor,
            op: Op::new(call, views[..reads].to_vec(), views[reads..].to_vec()),
        })
    }

    /// Seconds of so many runs of the op, one after the other in one submission.
    pub fn run(&mut self, count: usize) -> Result<f64> {
        let ops = vec![self.op.clone(); count];
        let start = Instant::now();
        self.executor.submit(&ops, &[StepAt::default()], &[])?;
        self.executor.wait()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Works until the time of the work has stopped falling.
    fn warm(&mut self, choice: Choice) -> Result<()> {
        self.time(choice, 1)?;
        let once = self.time(choice, 1)?;
        let count = ((SAMPLE.as_secs_f64() / once) as usize).clamp(1, REPEATS);
        let start = Instant::now();
        let mut least = f64::INFINITY;
        while start.elapsed() < WARMED {
            let seconds = self.time(choice, count)?;
            if start.elapsed() >= WARMING && seconds > 0.97 * least {
                break;
            }
            least = least.min(seconds);
        }
        Ok(())
    }

    /// Measures a candidate for itself, after a run that does not count.
    fn first_time(&mut self, choice: Choice) -> Result<Timed> {
        self.time(choice, 1)?;
        let once = self.time(choice, 1)?;
        let count = ((SAMPLE.as_secs_f64() / once) as usize).clamp(1, REPEATS);
        let seconds = self.time(choice, count)?.min(self.time(choice, count)?);
        Ok(Timed {
            choice,
            count,
            seconds,
        })
    }

    /// Seconds of one run, from `count` of them.
    fn time(&mut self, choice: Choice, count: usize) -> Result<f64> {
        self.op.choice = Some(choice);
        Ok(self.run(count)? / count as f64)
    }
}

/// The middle one.
fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// A candidate that was measured.
#[derive(Debug, Clone, Copy)]
struct Timed {
    choice: Choice,
    /// Runs that last long enough together.
    count: usize,
    /// Of one run.
    seconds: f64,
}
