//! One plan, several executors: the CPU's runs the twins, the GPU's encodes kernels. The devices, how they are opened, and which
//! kernels they were seen or told to choose.

pub mod choices;
pub(crate) mod cpu;
pub mod device;
pub(crate) mod gpu;

use std::time::Duration;

use crate::error::Result;
use crate::exec::cpu::CpuExecutor;
use crate::exec::device::{Backend, Device};
use crate::exec::gpu::executor::GpuExecutor;
use crate::exec::gpu::timestamps::{self, Timestamps};
use crate::kernels::StepAt;
use crate::number::numbers::Numbers;
use crate::plan::{BufferSpec, Op, Payload, Plan, View};

/// What runs a plan's ops on its buffers.
#[derive(Debug)]
pub(crate) enum Executor {
    Gpu(Box<GpuExecutor>),
    Cpu(CpuExecutor<f32>),
    Reference(CpuExecutor<f64>),
}

impl Executor {
    /// Zeroed buffers of a plan for at most `rows` rows, and room for `ops` ops in one call of [`submit`](Self::submit).
    pub fn of_plan(device: &Device, plan: &Plan, rows: u64, ops: usize) -> Result<Self> {
        Self::new(device, &plan.buffers, &plan.uploads(), rows, ops)
    }

    /// Zeroed buffers, of which `uploads` are filled by [`submit`](Self::submit).
    pub fn new(
        device: &Device,
        specs: &[BufferSpec],
        uploads: &[usize],
        rows: u64,
        ops: usize,
    ) -> Result<Self> {
        Ok(match &device.kind {
            Backend::Gpu(gpu) => {
                Self::Gpu(Box::new(GpuExecutor::new(gpu, specs, uploads, rows, ops)?))
            }
            Backend::Cpu => Self::Cpu(CpuExecutor::new(specs, rows)?),
            Backend::Reference => Self::Reference(CpuExecutor::new(specs, rows)?),
        })
    }

    /// Reallocates what depends on the number of rows; parameters, gradients and state stay.
    pub fn resize(&mut self, specs: &[BufferSpec], rows: u64) -> Result<()> {
        match self {
            Self::Gpu(gpu) => gpu.resize(rows),
            Self::Cpu(cpu) => cpu.resize(specs, rows),
            Self::Reference(cpu) => cpu.resize(specs, rows),
        }
    }

    /// Uploads a batch and runs ops in order, once for each step. On a GPU it returns when they are submitted.
    pub fn submit(
        &mut self,
        ops: &[Op],
        steps: &[StepAt],
        uploads: &[(View, Payload<'_>)],
    ) -> Result<()> {
        match self {
            Self::Gpu(gpu) => return gpu.submit(ops, steps, uploads),
            Self::Cpu(cpu) => cpu.submit(ops, steps, uploads),
            Self::Reference(cpu) => cpu.submit(ops, steps, uploads),
        }
        Ok(())
    }

    /// Copies data to the beginning of a view, outside the training loop.
    pub fn write(&mut self, view: View, payload: Payload<'_>) -> Result<()> {
        match self {
            Self::Gpu(gpu) => gpu.write(view, payload)?,
            Self::Cpu(cpu) => cpu.write(view, payload),
            Self::Reference(cpu) => cpu.write(view, payload),
        }
        Ok(())
    }

    /// Reads views, rounded to f32 on the reference.
    pub async fn read(&mut self, views: &[View]) -> Result<Vec<Vec<f32>>> {
        Ok(match self {
            Self::Gpu(gpu) => gpu.read(views).await?,
            Self::Cpu(cpu) => views.iter().map(|v| cpu.floats(*v).to_vec()).collect(),
            Self::Reference(cpu) => views
                .iter()
                .map(|v| cpu.floats(*v).iter().map(|&x| x as f32).collect())
                .collect(),
        })
    }

    /// Reads views in the executor's own precision.
    pub async fn read_f64(&mut self, views: &[View]) -> Result<Vec<Vec<f64>>> {
        if let Self::Reference(cpu) = self {
            return Ok(views.iter().map(|v| cpu.floats(*v).to_vec()).collect());
        }
        let read = self.read(views).await?;
        let widen = |x: Vec<f32>| x.into_iter().map(f64::from).collect();
        Ok(read.into_iter().map(widen).collect())
    }

    /// Reads views as they are: nothing is rounded.
    pub async fn read_numbers(&mut self, views: &[View]) -> Result<Vec<Numbers>> {
        if let Self::Reference(cpu) = self {
            let of = |view: &View| Numbers::F64(cpu.floats(*view).to_vec());
            return Ok(views.iter().map(of).collect());
        }
        let read = self.read(views).await?;
        Ok(read.into_iter().map(Numbers::F32).collect())
    }

    /// Fills views one after the other with what was read, rounded where it comes from a device of higher precision.
    pub fn write_numbers(&mut self, views: &[View], numbers: &Numbers) -> Result<()> {
        if let (Self::Reference(cpu), Numbers::F64(x)) = (&mut *self, numbers) {
            let mut x = x.iter().copied();
            for view in views {
                cpu.set(*view, x.by_ref().take(view.len as usize));
            }
            return Ok(());
        }
        let narrow: Vec<f32>;
        let mut x: &[f32] = match numbers {
            Numbers::F32(x) => x,
            Numbers::F64(_) => {
                narrow = numbers.to_f32();
                &narrow
            }
        };
        for view in views {
            let (part, rest) = x.split_at(view.len as usize);
            self.write(*view, Payload::Floats(part))?;
            x = rest;
        }
        Ok(())
    }

    /// Copies rows of a data set into a batch, on a CPU.
    pub fn gather<'a>(&mut self, view: View, rows: &[u32], row: impl Fn(usize) -> Payload<'a>) {
        match self {
            Self::Gpu(_) => unreachable!("a GPU gathers by itself"),
            Self::Cpu(cpu) => cpu.gather(view, rows, row),
            Self::Reference(cpu) => cpu.gather(view, rows, row),
        }
    }

    /// Waits until everything submitted is done.
    pub fn wait(&self) -> Result<()> {
        match self {
            Self::Gpu(gpu) => gpu.gpu.wait(None),
            _ => Ok(()),
        }
    }

    /// From now on a GPU times its compute passes, if it can; says whether it does.
    pub fn start_timestamps(&mut self) -> Result<bool> {
        let Self::Gpu(gpu) = self else {
            return Ok(false);
        };
        gpu.timestamps = Timestamps::new(&gpu.gpu)?;
        Ok(gpu.timestamps.is_some())
    }

    /// Ends that. Seconds that the passes kept the GPU busy; nothing if its clock cannot be right, given that all of them ran
    /// within `wall`.
    pub fn end_timestamps(&mut self, wall: Duration) -> Result<Option<f64>> {
        let Self::Gpu(gpu) = self else {
            return Ok(None);
        };
        let Some(mut timestamps) = gpu.timestamps.take() else {
            return Ok(None);
        };
        let passes = timestamps.take(&gpu.gpu)?;
        let period = gpu.gpu.queue.get_timestamp_period();
        Ok(passes.and_then(|passes| timestamps::busy(&passes, period, wall)))
    }

    /// Ops and their step with their numbers as they are held here: in f32, but on the reference.
    pub fn held(&self, ops: &[Op], at: &StepAt) -> (Vec<Op>, StepAt) {
        match self {
            Self::Reference(_) => (ops.to_vec(), *at),
            _ => (ops.iter().map(Op::as_device).collect(), at.as_device()),
        }
    }

    /// Device objects made so far; 0 on a CPU.
    pub fn created(&self) -> u64 {
        match self {
            Self::Gpu(gpu) => gpu.created(),
            _ => 0,
        }
    }
}
