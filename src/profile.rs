//! Where the time goes: the peak of a device, each op of a training step, and the step as a whole.
//!
//! Times are the host's, around whole submissions, each long enough that starting it does not count; the computation of a step is
//! timed by the GPU itself where its clock can be believed. Compare figures only within one run, on an otherwise idle machine;
//! the benches measure devices in turns.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::config::activation::Activation;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::exec::device::Device;
use crate::kernels::cases::{Case, Data};
use crate::kernels::form::MAX_PARTS_ELEMENTS;
use crate::kernels::{
    ALL, Call, Choice, Kernel, StepAt, Work, copy, dense_backward_input, dense_backward_params,
    dense_forward, multiply_add,
};
use crate::plan::{BufferSpec, Op, Payload, View};
use crate::trainer::{Trainer, check_training, initial_weights, kind, uploads};
use crate::tune::{self, Bench, REPEATS};

/// What a device reaches when nothing else is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// f32 operations a second, a multiplication and an addition counting two.
    pub flops: f64,
    /// Bytes a second that a copy reads and writes.
    pub bytes: f64,
}

/// Time and rate of one op of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpTime {
    /// The op.
    pub name: String,
    /// Seconds a run.
    pub seconds: f64,
    /// f32 operations.
    pub flops: u64,
    /// Bytes that it has to move at least.
    pub bytes: u64,
}

impl OpTime {
    /// The share of the device's peak: of its operations or of its bandwidth, whichever the op is nearer to. None where that would
    /// be more than the peak: then the op's data stays in caches, which the peak of memory does not count.
    pub fn share(&self, peak: &Peak) -> Option<f64> {
        let least = f64::max(
            self.flops as f64 / peak.flops,
            self.bytes as f64 / peak.bytes,
        );
        Some(least / self.seconds).filter(|share| *share <= 1.0)
    }
}

/// Seconds that a training step and its parts take. On a GPU the parts overlap within a run of steps, so that the step
/// may take less than their sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepTime {
    /// A whole step, one of many in a row.
    pub step: f64,
    /// Its ops alone, on a batch that is already there.
    pub compute: f64,
    /// What measured `compute`.
    pub clock: Clock,
    /// Bringing a batch to the device.
    pub upload: f64,
    /// Bringing the loss of a step back, which training does only when asked.
    pub readback: f64,
}

/// What measured a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Clock {
    /// The host's clock, around whole submissions.
    Host,
    /// The GPU's timestamps around each compute pass.
    Gpu,
    /// The host's clock, because the GPU's timestamps cannot be true.
    HostInstead,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clock::Host => "host's clock",
            Clock::Gpu => "GPU timestamps",
            Clock::HostInstead => "host's clock, since the GPU's timestamps cannot be true",
        })
    }
}

/// Time of a matrix product computed in one form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormTime {
    /// The kernel.
    pub kernel: String,
    /// The form.
    pub choice: Choice,
    /// Seconds a run.
    pub seconds: f64,
    /// f32 operations.
    pub flops: u64,
}

/// The step of every measurement: one that changes next to nothing, so that numbers stay what they are.
const AT: StepAt = StepAt {
    lr: 1e-6,
    grad_scale: 1e-3,
    ..StepAt::FIRST
};

/// Seconds a call of `f`, which does `count` calls' work, from as many calls as fill `seconds`, after one that warms up.
fn time(seconds: f64, count: usize, mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    f()?;
    let start = Instant::now();
    let mut calls = 0;
    while calls == 0 || start.elapsed().as_secs_f64() < seconds {
        f()?;
        calls += count;
    }
    Ok(start.elapsed().as_secs_f64() / calls as f64)
}

/// Elements of a copy whose bandwidth is measured: 256 MiB, beyond every cache that it could hide in.
const COPIED: u64 = 1 << 26;

/// Measures a device's peak for about `seconds`: on a GPU, long chains of multiply-adds in registers and a copy of 256 MiB, or of
/// as much as it has room for; on a CPU, the `gemm` crate on 1024×1024 matrices (the best that portable code reaches) and the same
/// copy. A GPU is brought to its clock before.
///
/// # Errors
/// Of the device.
pub fn peak(device: &Device, seconds: f64) -> Result<Peak> {
    let flops = match device.adapter() {
        Some(_) => peak_of_chains(device, seconds / 2.0)?,
        None => {
            const N: u32 = 1024;
            let call = dense_forward::Params::whole(N, N, N).into();
            let mut bench = Bench::new(device, call)?;
            rate(&mut bench, call.cost().flops, seconds / 2.0)?
        }
    };
    let mut count = COPIED.min(device.plan_limits().binding);
    let (call, mut bench) = loop {
        let call = Call::from(copy::Params {
            count: count as u32,
        });
        match Bench::new(device, call) {
            Ok(bench) => break (call, bench),
            Err(Error::OutOfMemory { .. } | Error::Limit { .. }) if count > 1 << 20 => count /= 2,
            Err(error) => return Err(error),
        }
    };
    let bytes = rate(&mut bench, 4 * call.cost().words, seconds / 2.0)?;
    Ok(Peak { flops, bytes })
}

/// Operations a second of chains in registers, from as many invocations as reach most, and from chains so long that starting them
/// does not count.
fn peak_of_chains(device: &Device, seconds: f64) -> Result<f64> {
    // Few invocations fill a small GPU, and a large one only many: an H200 runs 270,000 at once, of 16 chains each.
    const COUNTS: [u32; 4] = [1 << 18, 1 << 20, 1 << 22, 1 << 24];
    let mut most: f64 = 0.0;
    for count in COUNTS {
        let mut rounds = 256;
        let (call, mut bench, once) = loop {
            let call = Call::from(multiply_add::Params {
                count,
                rounds,
                factor: 0.75,
                term: 0.3,
            });
            let mut bench = match Bench::new(device, call) {
                Err(Error::OutOfMemory { .. } | Error::Limit { .. }) if most > 0.0 => {
                    return Ok(most);
                }
                bench => bench?,
            };
            bench.run(1)?;
            let once = bench.run(1)?;
            if once >= LONG || rounds == 1 << 14 {
                break (call, bench, once);
            }
            rounds *= 4;
        };
        let rate = rate(&mut bench, call.cost().flops, seconds / COUNTS.len() as f64)?;
        most = most.max(rate);
        // More would keep it busy for no more than a longer time.
        if once > 25.0 * LONG {
            break;
        }
    }
    Ok(most)
}

/// Seconds beside which sending work to a GPU and waiting for it do not count.
const LONG: f64 = 4e-3;

/// Work a second, from the best of some runs: what the device can, not what others let it do.
fn rate(bench: &mut Bench, work: u64, seconds: f64) -> Result<f64> {
    let begun = Instant::now();
    bench.run(1)?;
    let count = ((LONG / bench.run(1)?) as usize).clamp(1, REPEATS);
    let mut least = f64::INFINITY;
    // A cold clock reaches its height within tens of milliseconds.
    while least.is_infinite() || begun.elapsed().as_secs_f64() < seconds.max(0.1) {
        least = least.min(bench.run(count)? / count as f64);
    }
    Ok(work as f64 / least)
}

/// Measures each kernel of the table alone, for about `seconds` each, at a size that training has: matrices of 256×512×512, 4,096
/// rows of 256, a million elements. Whatever a network uses, its kernels are among them.
///
/// # Errors
/// Of the device.
pub fn kernels(device: &Device, seconds: f64) -> Result<Vec<OpTime>> {
    // Every operand has room for the largest of them.
    const ROOM: u64 = 1 << 20;
    const OPERANDS: usize = 9;
    let specs: Vec<BufferSpec> = (0..OPERANDS)
        .map(|i| BufferSpec::fixed(&format!("operand {i}"), ROOM))
        .collect();
    let view = |buffer| View::whole(buffer, ROOM);
    let numbers = numbers(ROOM);
    let mut executor = Executor::new(device, &specs, &[], 0, REPEATS)?;
    let mut times = Vec::new();
    for Case {
        call,
        reads,
        writes,
        ..
    } in ALL.iter().flat_map(Kernel::samples)
    {
        for (buffer, data) in reads.iter().chain(&writes).enumerate() {
            // Words are places, classes, or numbers by their bits: any is as good as another, but must be there.
            let words;
            let payload = match data {
                Data::Floats(_) => Payload::Floats(&numbers),
                Data::Words(word) => {
                    words = vec![word[0]; ROOM as usize];
                    Payload::Words(&words)
                }
            };
            executor.write(view(buffer), payload)?;
        }
        let reads = 0..reads.len();
        let writes = reads.end..reads.end + writes.len();
        let (reads, writes) = (reads.map(view), writes.map(view));
        let op = Op::new(call, reads.collect(), writes.collect()).through(&Activation::Tanh);
        tune::prepare(device, std::slice::from_ref(&op))?;
        times.push(op_time(&mut executor, &op, seconds)?);
    }
    Ok(times)
}

/// Measures the three matrix products in each form that the GPU can run, gradients also as a sum of four parts, for about
/// `seconds` each. Empty on a CPU. Speed only: whether a form computes rightly there is the
/// [tuner](Device::tuning_report)'s to find out.
///
/// # Errors
/// Of the device, [`OutOfMemory`](crate::Error::OutOfMemory) among them.
pub fn forms(
    device: &Device,
    rows: u32,
    inputs: u32,
    outputs: u32,
    seconds: f64,
) -> Result<Vec<FormTime>> {
    let forms = device.forms();
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    let mut times = Vec::new();
    let products: [Call; 3] = [
        dense_forward::Params::whole(rows, inputs, outputs).into(),
        dense_backward_input::Params::whole(rows, inputs, outputs).into(),
        dense_backward_params::Params::whole(rows, inputs, outputs).into(),
    ];
    for call in products {
        let Work::Product(extents) = call.work() else {
            unreachable!("a product");
        };
        let Bench { mut executor, op } = Bench::new(device, call)?;
        let split = matches!(call, Call::DenseBackwardParams(_))
            && u64::from(inputs) * u64::from(outputs) * 4 <= MAX_PARTS_ELEMENTS;
        for parts in [1, 4] {
            for form in forms.iter().filter(|form| form.covers(extents)) {
                if parts > 1 && !split {
                    continue;
                }
                let choice = Choice { form, parts };
                let op = op.clone().chosen(Some(choice));
                let time = op_time(&mut executor, &op, seconds)?;
                times.push(FormTime {
                    kernel: call.kernel().name.into(),
                    choice,
                    seconds: time.seconds,
                    flops: time.flops,
                });
            }
        }
    }
    Ok(times)
}

/// Numbers in (0, 1), so that logarithms and quotients are finite.
fn numbers(count: u64) -> Vec<f32> {
    (0..count)
        .map(|i| (i * 7919 % 1999 + 1) as f32 / 2000.0)
        .collect()
}

/// Time of one op on what its buffers hold, from submissions of many.
fn op_time(executor: &mut Executor, op: &Op, seconds: f64) -> Result<OpTime> {
    // As many as keep a submission short.
    let once = time(0.0, 1, || {
        executor.submit(std::slice::from_ref(op), &[AT], &[])?;
        executor.wait()
    })?;
    let count = ((0.1 / once) as usize).clamp(1, REPEATS);
    let repeated = vec![op.clone(); count];
    let seconds = time(seconds, count, || {
        executor.submit(&repeated, &[AT], &[])?;
        executor.wait()
    })?;
    let cost = op.call.cost();
    Ok(OpTime {
        name: op.to_string(),
        seconds,
        flops: cost.flops,
        bytes: 4 * cost.words,
    })
}

/// Measures a training step of this trainer's network on its device with a batch like `batch`: the step with its parts, and
/// each op alone, each for about `seconds`. The trainer is left as it was.
///
/// # Errors
/// As [`Trainer::step`].
pub fn step(trainer: &Trainer, batch: &Dataset, seconds: f64) -> Result<(StepTime, Vec<OpTime>)> {
    Ok((
        step_time(trainer, batch, seconds)?,
        ops(trainer, batch, seconds)?,
    ))
}

/// The second part of [`step`] alone.
///
/// # Errors
/// As [`Trainer::step`].
pub fn ops(trainer: &Trainer, batch: &Dataset, seconds: f64) -> Result<Vec<OpTime>> {
    check_training(trainer.plan(), batch)?;
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    let ops = step_ops(trainer, batch)?;
    let mut executor = Executor::of_plan(trainer.device(), plan, rows, REPEATS.max(ops.len()))?;
    // Real activations, not zeros.
    upload(trainer, batch, &mut executor)?;
    executor.submit(&ops, &[AT], &[])?;
    let mut times = Vec::new();
    for op in &ops {
        times.push(op_time(&mut executor, op, seconds)?);
    }
    Ok(times)
}

/// The first part of [`step`] alone.
///
/// # Errors
/// As [`Trainer::step`].
pub fn step_time(trainer: &Trainer, batch: &Dataset, seconds: f64) -> Result<StepTime> {
    check_training(trainer.plan(), batch)?;
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    plan.check_rows(rows)?;
    let ops = step_ops(trainer, batch)?;
    let mut executor = Executor::of_plan(trainer.device(), plan, rows, ops.len())?;
    upload(trainer, batch, &mut executor)?;
    let uploads = &uploads(plan, batch, rows)[..];
    // Enough steps between waits that waiting does not count.
    let once = time(0.0, 1, || {
        executor.submit(&ops, &[AT], uploads)?;
        executor.wait()
    })?;
    let count = ((0.5 * seconds / once) as usize).clamp(1, 1000);
    let mut many = |ops: &[Op], uploads: &[(View, Payload<'_>)]| {
        time(seconds, count, || {
            for _ in 0..count {
                executor.submit(ops, &[AT], uploads)?;
            }
            executor.wait()
        })
    };
    let step = many(&ops, uploads)?;
    let compute = many(&ops, &[])?;
    let upload = many(&[], uploads)?;
    let (compute, clock) = match gpu_time(&mut executor, &ops, count.min(100))? {
        Some(Some(seconds)) => (seconds, Clock::Gpu),
        Some(None) => (compute, Clock::HostInstead),
        None => (compute, Clock::Host),
    };
    let ledger = plan.ledger_view();
    let readback = time(seconds / 4.0, 1, || {
        pollster::block_on(executor.read(&[ledger])).map(|_| ())
    })?;
    Ok(StepTime {
        step,
        compute,
        clock,
        upload,
        readback,
    })
}

/// Seconds of the ops by the GPU's own clock, the mean of `count` runs: nothing where it has none, and nothing within where that
/// cannot be right.
fn gpu_time(executor: &mut Executor, ops: &[Op], count: usize) -> Result<Option<Option<f64>>> {
    if !executor.start_timestamps()? {
        return Ok(None);
    }
    let start = Instant::now();
    for _ in 0..count {
        executor.submit(ops, &[AT], &[])?;
    }
    executor.wait()?;
    let busy = executor.end_timestamps(start.elapsed())?;
    Ok(Some(busy.map(|seconds| seconds / count as f64)))
}

fn step_ops(trainer: &Trainer, batch: &Dataset) -> Result<Vec<Op>> {
    let plan = trainer.plan();
    let rows = batch.rows() as u32;
    let mut ops = plan.gradients(rows, rows.into(), kind(batch), false);
    ops.extend(plan.update(&trainer.rule()));
    tune::prepare(trainer.device(), &ops)?;
    Ok(ops)
}

/// Brings initial weights and the batch to an executor.
fn upload(trainer: &Trainer, batch: &Dataset, executor: &mut Executor) -> Result<()> {
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    initial_weights(plan, 0, |view, data| {
        executor.write(view, Payload::Floats(data))
    })?;
    for (view, payload) in uploads(plan, batch, rows) {
        executor.write(view, payload)?;
    }
    Ok(())
}
