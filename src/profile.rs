//! Where the time goes: the peak of a device, each op of a training step, and the step as a whole.
//!
//! Everything is wall-clock time around whole submissions, each long enough that starting it does not count. Compare
//! figures only within one run, on an otherwise idle machine; the benches measure devices in turns.

use std::time::Instant;

use serde::Serialize;

use crate::activation::Activation;
use crate::data::{Dataset, Targets};
use crate::device::Device;
use crate::error::Result;
use crate::executor::Executor;
use crate::kernels::{Call, copy, dense_forward, multiply_add};
use crate::plan::{BufferSpec, Op, Payload, View};
use crate::trainer::{Trainer, check_batch, initial_weights, target_payload};

/// What a device reaches when nothing else is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
    /// The share of the device's peak: of its operations or of its bandwidth, whichever the op is nearer to.
    pub fn share(&self, peak: &Peak) -> f64 {
        let least = f64::max(
            self.flops as f64 / peak.flops,
            self.bytes as f64 / peak.bytes,
        );
        least / self.seconds
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
    /// Bringing a batch to the device.
    pub upload: f64,
    /// Bringing the loss of a step back, which training does only when asked.
    pub readback: f64,
}

/// Dispatches in one submission when an op is measured alone.
const REPEATS: usize = 64;

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

/// Measures a device's peak for about `seconds`: on a GPU, long chains of multiply-adds in registers and a copy of 64 MiB; on a
/// CPU, the `gemm` crate on 1024×1024 matrices (the best that portable code reaches) and the same copy.
///
/// # Errors
/// Of the device.
pub fn peak(device: &Device, seconds: f64) -> Result<Peak> {
    const N: u32 = 1024;
    let gpu = device.adapter().is_some();
    // 64 MiB: beyond every cache that a copy could hide in, within every binding.
    let count: u64 = 1 << 24;
    let specs = ["x", "y", "w", "bias", "none"].map(|name| BufferSpec::fixed(name, count));
    let view = |buffer| View {
        buffer,
        offset: 0,
        len: count,
    };
    let mut executor = Executor::new(device, &specs, 0, 2)?;
    let mut rate = |call: Call, reads: &[usize], writes: &[usize], work: u64| -> Result<f64> {
        let op = Op {
            call,
            activation: Activation::Identity,
            reads: reads.iter().map(|b| view(*b)).collect(),
            writes: writes.iter().map(|b| view(*b)).collect(),
            layer: None,
            part: None,
        };
        let ops = [op.clone(), op];
        let seconds = time(seconds / 2.0, ops.len(), || {
            executor.submit(&ops, &[])?;
            executor.wait()
        })?;
        Ok(work as f64 / seconds)
    };
    let flops = if gpu {
        let call = Call::MultiplyAdd(multiply_add::Params {
            // Little memory and long chains.
            count: 1 << 20,
            rounds: 1024,
            factor: 0.75,
            term: 0.3,
        });
        rate(call, &[0], &[1], call.cost().flops)?
    } else {
        let call = Call::DenseForward(dense_forward::Params {
            rows: N,
            inputs: N,
            outputs: N,
            first: 0,
            stride: N,
            store_z: 0,
        });
        rate(call, &[0, 2, 3], &[4, 1], call.cost().flops)?
    };
    let call = Call::Copy(copy::Params {
        count: count as u32,
    });
    let bytes = rate(call, &[0], &[1], 4 * call.cost().words)?;
    Ok(Peak { flops, bytes })
}

/// Measures a training step of this trainer's network on its device with a batch like `batch`: the step with its parts, and
/// each op alone, each for about `seconds`. The trainer is left as it was.
///
/// # Errors
/// As [`Trainer::step`].
pub fn step(trainer: &Trainer, batch: &Dataset, seconds: f64) -> Result<(StepTime, Vec<OpTime>)> {
    let whole = step_time(trainer, batch, seconds)?;
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    let ops = step_ops(trainer, batch);
    let mut executor = Executor::new(
        trainer.device(),
        &plan.buffers,
        rows,
        REPEATS.max(ops.len()),
    )?;
    // Real activations, not zeros.
    upload(trainer, batch, &mut executor)?;
    executor.submit(&ops, &[])?;
    let mut times = Vec::new();
    for op in &ops {
        // As many as keep a submission short.
        let once = time(0.0, 1, || {
            executor.submit(std::slice::from_ref(op), &[])?;
            executor.wait()
        })?;
        let count = ((0.1 / once) as usize).clamp(1, REPEATS);
        let repeated = vec![op.clone(); count];
        let seconds = time(seconds, count, || {
            executor.submit(&repeated, &[])?;
            executor.wait()
        })?;
        let cost = op.call.cost();
        times.push(OpTime {
            name: op.to_string(),
            seconds,
            flops: cost.flops,
            bytes: 4 * cost.words,
        });
    }
    Ok((whole, times))
}

/// The first part of [`step`] alone.
///
/// # Errors
/// As [`Trainer::step`].
pub fn step_time(trainer: &Trainer, batch: &Dataset, seconds: f64) -> Result<StepTime> {
    check_batch(trainer.plan(), batch)?;
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    plan.check_rows(rows)?;
    let ops = step_ops(trainer, batch);
    let mut executor = Executor::new(trainer.device(), &plan.buffers, rows, ops.len())?;
    upload(trainer, batch, &mut executor)?;
    let batch_upload = [
        (plan.x_view(rows), Payload::Floats(batch.inputs().data())),
        (plan.targets_view(rows), target_payload(batch)),
    ];
    let uploads = &batch_upload[..];
    // Enough steps between waits that waiting does not count.
    let once = time(0.0, 1, || {
        executor.submit(&ops, uploads)?;
        executor.wait()
    })?;
    let count = ((0.5 * seconds / once) as usize).clamp(1, 1000);
    let mut many = |ops: &[Op], uploads: &[(View, Payload<'_>)]| {
        time(seconds, count, || {
            for _ in 0..count {
                executor.submit(ops, uploads)?;
            }
            executor.wait()
        })
    };
    let step = many(&ops, uploads)?;
    let compute = many(&ops, &[])?;
    let upload = many(&[], uploads)?;
    let ledger = plan.ledger_view();
    let readback = time(seconds / 4.0, 1, || {
        pollster::block_on(executor.read(&[ledger])).map(|_| ())
    })?;
    Ok(StepTime {
        step,
        compute,
        upload,
        readback,
    })
}

fn step_ops(trainer: &Trainer, batch: &Dataset) -> Vec<Op> {
    let plan = trainer.plan();
    let rows = batch.rows() as u32;
    let labels = matches!(batch.targets(), Targets::Classes(_));
    let mut ops = plan.forward(rows, rows.into());
    ops.extend(plan.loss(rows, rows.into(), labels));
    ops.extend(plan.backward(rows, rows.into(), false));
    ops.extend(plan.update(trainer.optimizer(), 1, rows.into()));
    ops
}

/// Brings initial weights and the batch to an executor.
fn upload(trainer: &Trainer, batch: &Dataset, executor: &mut Executor) -> Result<()> {
    let plan = trainer.plan();
    let rows = batch.rows() as u64;
    initial_weights(plan, 0, |view, data| {
        executor.write(view, Payload::Floats(data))
    })?;
    executor.write(plan.x_view(rows), Payload::Floats(batch.inputs().data()))?;
    executor.write(plan.targets_view(rows), target_payload(batch))
}
