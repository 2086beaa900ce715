//! The GPU: the only place that names wgpu. An open adapter, its limits, its compiled kernels and what became of it.

#![expect(
    unsafe_code,
    reason = "unchecked shader modules and the driver's memory sizes, each block with its reason"
)]

pub(crate) mod adapter;
pub(crate) mod chooser;
pub(crate) mod executor;
mod memory;
mod pace;
mod pipeline;
mod readback;
pub(crate) mod timestamps;
mod upload;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::exec::device::{Assumed, DeviceOptions, Fault};
use crate::exec::gpu::chooser::Chooser;
pub(crate) use crate::exec::gpu::memory::GpuBuffer;
use crate::exec::gpu::memory::driver_memory;
use crate::exec::gpu::pace::Pace;
pub(crate) use crate::exec::gpu::pipeline::Pipeline;
use crate::exec::gpu::pipeline::PipelineKey;
use crate::kernels::{Call, Form, Work, network_memory};
use crate::plan::Limits;

/// Each dispatch's parameters begin on a multiple of this: the strictest alignment of uniform offsets.
pub(crate) const PARAMS_STRIDE: u64 = 256;

/// How long a failure waits for the word that the device is lost before it is called anything else.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the driver told us since the device was opened.
#[derive(Debug, Default)]
struct Troubles {
    lost: Option<String>,
    errors: Vec<String>,
}

/// An open GPU device.
#[derive(Debug)]
pub(crate) struct Gpu {
    /// Place in the list of adapters.
    pub index: usize,
    pub info: wgpu::AdapterInfo,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    /// Bytes of device memory, where the driver says, or the user's limit.
    pub memory: Option<u64>,
    /// Bytes of all buffers on this device.
    in_use: Arc<AtomicU64>,
    binding_limit: u64,
    shader_checks: bool,
    /// The size of its subgroups, where kernels may use them.
    subgroup: Option<u32>,
    /// Whether rows of whole vec4s are loaded by vec4.
    pub vec4: bool,
    /// How much work one submission may have.
    pub pace: Pace,
    pub chooser: Chooser,
    /// What the user says of small networks.
    small_network: Option<bool>,
    /// What it is taken for, whatever it is.
    assumed: Assumed,
    faults: Vec<Fault>,
    troubles: Arc<Mutex<Troubles>>,
    /// Held for reading while the host looks into a mapped buffer: wgpu takes the memory away with the device.
    mapped: RwLock<()>,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
}

/// A poisoned lock only means that another thread panicked; the data behind ours is valid at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// Opens an adapter with all its limits.
    pub async fn open(
        adapter: wgpu::Adapter,
        index: usize,
        options: &DeviceOptions,
    ) -> Result<Self> {
        let info = adapter.get_info();
        let limits = adapter.limits();
        Self::check_limits(&info, &limits)?;
        // Kernels that broadcast within a subgroup need one size, known when they are written.
        let subgroups = adapter.features() & wgpu::Features::SUBGROUP;
        let one_size = info.subgroup_min_size == info.subgroup_max_size;
        let subgroup = (!subgroups.is_empty() && one_size).then_some(info.subgroup_min_size);
        // For profiling; costs nothing while no pass is timed.
        let timestamps = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("wgrad"),
                required_features: subgroups | timestamps,
                required_limits: limits.clone(),
                experimental_features: wgpu::ExperimentalFeatures::disabled(),
                memory_hints: wgpu::MemoryHints::Performance,
                trace: wgpu::Trace::Off,
            })
            .await
            .map_err(|e| Error::gpu(format!("{} cannot be opened: {e}", info.name)))?;
        let troubles = Arc::new(Mutex::new(Troubles::default()));
        let seen = Arc::clone(&troubles);
        device.set_device_lost_callback(move |reason, message| {
            let reason = format!("{reason:?}: {message}");
            let reason = reason.trim_end_matches([':', ' ']).to_owned();
            lock(&seen).lost.get_or_insert(reason);
        });
        let seen = Arc::clone(&troubles);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&seen).errors.push(error.to_string());
        }));
        let assumed = options.assumed.or_environment()?;
        let has = assumed.memory.or_else(|| driver_memory(&adapter));
        let memory = match (options.memory_limit, has) {
            (Some(limit), Some(memory)) => Some(limit.min(memory)),
            (limit, memory) => limit.or(memory),
        };
        let mut name = format!(
            "{} {} {} {}",
            info.name, info.backend, info.driver, info.driver_info
        );
        if assumed.discrete {
            name += " taken for a GPU";
        }
        let real = info.device_type != wgpu::DeviceType::Cpu || assumed.discrete;
        let chooser = Chooser::new(options, real, &name);
        Ok(Self {
            index,
            info,
            device,
            queue,
            limits,
            memory,
            in_use: Arc::default(),
            binding_limit: options.binding_limit.unwrap_or(u64::MAX),
            shader_checks: options.shader_checks,
            subgroup,
            vec4: !options.scalar_loads,
            pace: Pace::default(),
            chooser,
            small_network: options.small_network,
            assumed,
            faults: options.faults.clone(),
            troubles,
            mapped: RwLock::default(),
            pipelines: Mutex::default(),
        })
    }

    /// Whether the adapter can run the kernels at all.
    fn check_limits(info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> Result<()> {
        let needs = [
            (
                "storage buffers in a stage",
                6,
                limits.max_storage_buffers_per_shader_stage,
            ),
            (
                "invocations in a workgroup",
                256,
                limits.max_compute_invocations_per_workgroup,
            ),
            (
                "bytes of workgroup memory",
                16 * 16 * 18,
                limits.max_compute_workgroup_storage_size,
            ),
            (
                "workgroups in a dimension",
                65_535,
                limits.max_compute_workgroups_per_dimension,
            ),
        ];
        for (what, need, limit) in needs {
            if need > limit {
                return Err(Error::limit(
                    format!("{}: {what}", info.name),
                    need,
                    limit,
                    "this adapter cannot run the kernels: choose another",
                ));
            }
        }
        Ok(())
    }

    /// Faults planted in its kernels.
    pub fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Whether the adapter is a program on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Whether what is best on software adapters is taken by default.
    fn goes_by_software(&self) -> bool {
        self.is_software() && !self.assumed.discrete
    }

    /// Whether a form of the matmul can run here.
    pub fn can_run(&self, form: &Form) -> bool {
        let (x, y) = form.invocations;
        x * y <= self.limits.max_compute_invocations_per_workgroup
            && x <= self.limits.max_compute_workgroup_size_x
            && y <= self.limits.max_compute_workgroup_size_y
            && form.workgroup_memory <= self.limits.max_compute_workgroup_storage_size
            && form
                .subgroup
                .is_none_or(|lanes| self.subgroup == Some(lanes))
    }

    /// Whether a kernel's bindings and workgroup memory are to be had here.
    pub fn can_bind(&self, call: &Call) -> bool {
        let bindings = self.limits.max_storage_buffers_per_shader_stage as usize;
        let memory = match call.work() {
            Work::Network { values } => network_memory(values),
            _ => 0,
        };
        call.kernel().operands.len() <= bindings
            && memory <= self.limits.max_compute_workgroup_storage_size
    }

    /// What plans may assume.
    pub fn plan_limits(&self) -> Limits {
        let binding = self
            .limits
            .max_storage_buffer_binding_size
            .min(self.limits.max_buffer_size)
            .min(self.binding_limit)
            // Indices must fit u32, padding of the grid included.
            .min(1 << 32);
        Limits {
            binding: binding / 4,
            // Mesa's llvmpipe stops a loop silently after 65,535 iterations in all.
            iterations: if self.is_software() {
                30_000
            } else {
                u64::from(u32::MAX)
            },
            tiled: crate::kernels::MAX_TILED,
        }
    }

    /// The error that the driver reported since the last call, if any.
    pub fn check(&self) -> Result<()> {
        let message = {
            // Under one lock: the consequences of a loss may come at any moment.
            let mut troubles = lock(&self.troubles);
            if let Some(reason) = troubles.lost.clone() {
                return Err(Error::DeviceLost { reason });
            }
            if troubles.errors.is_empty() {
                return Ok(());
            }
            troubles.errors.drain(..).collect::<Vec<_>>().join("\n")
        };
        Err(self.failure(Error::gpu(message)))
    }

    fn check_lost(&self) -> Result<()> {
        match lock(&self.troubles).lost.clone() {
            Some(reason) => Err(Error::DeviceLost { reason }),
            None => Ok(()),
        }
    }

    /// What to call the failure of a map, a poll, a submission or a creation: a lost device if the device is lost, else
    /// `otherwise`. All such failures go through here, for the consequences of a loss may be seen before the loss is told:
    /// wgpu tells it when the device is polled, maybe by another thread. So this polls, and waits for that word a moment.
    pub fn failure(&self, otherwise: Error) -> Error {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Err(lost) = self.check_lost() {
                return lost;
            }
            if !self.poll() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        match (self.check_lost(), otherwise) {
            (Err(lost), _) => lost,
            // Later calls hear of it, too.
            (Ok(()), Error::DeviceLost { reason }) => {
                lock(&self.troubles).lost = Some(reason.clone());
                Error::DeviceLost { reason }
            }
            (Ok(()), otherwise) => otherwise,
        }
    }

    /// Runs the callbacks that are due; false where it cannot. (wgpu panics when a lost device is polled.)
    fn poll(&self) -> bool {
        let poll = || self.device.poll(wgpu::PollType::Poll);
        matches!(catch_unwind(AssertUnwindSafe(poll)), Ok(Ok(_)))
    }

    /// Waits until a submission, or everything submitted, is done. What the driver reported meanwhile is left for
    /// [`check`](Self::check). (wgpu panics when a lost device is polled.)
    pub fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let wait = wgpu::PollType::Wait {
            submission_index,
            timeout: None,
        };
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(wait))) {
            Ok(Ok(_)) => self.check_lost(),
            Ok(Err(error)) => Err(self.failure(Error::gpu(error.to_string()))),
            Err(_) => Err(self.failure(Error::DeviceLost {
                reason: "waiting for it failed".into(),
            })),
        }
    }

    /// Keeps [`destroy`](Self::destroy) from taking the memory of mapped buffers away, until the guard is dropped.
    pub fn mapped(&self) -> Result<RwLockReadGuard<'_, ()>> {
        let guard = self.mapped.read().unwrap_or_else(PoisonError::into_inner);
        self.check_lost()?;
        Ok(guard)
    }

    /// Destroys the device; everything that uses it fails from now on.
    pub fn destroy(&self) {
        {
            let _no_views = self.mapped.write().unwrap_or_else(PoisonError::into_inner);
            // First, so that whoever is in the middle of a call hears of the loss, not of its consequences.
            lock(&self.troubles)
                .lost
                .get_or_insert_with(|| "Destroyed: Device::destroy was called".into());
        }
        self.device.destroy();
        // wgpu lets go of the memory when it is next polled.
        self.poll();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::device::{Backend, Device};

    /// What a driver does: the consequences first, the loss a moment later, from another thread.
    #[test]
    fn a_failure_is_a_lost_device_if_that_is_told_a_moment_later() {
        let failed = || Error::gpu("a buffer cannot be mapped");
        let failures: [fn(&Gpu, Error) -> Error; 2] = [
            |gpu, error| gpu.failure(error),
            |gpu, error| {
                lock(&gpu.troubles).errors.push(error.to_string());
                gpu.check().expect_err("there is one")
            },
        ];
        for failure in failures {
            let device = Device::gpu().expect("the GPU tests need an adapter");
            let Backend::Gpu(gpu) = &device.kind else {
                panic!("{device} is no GPU")
            };
            // Of a device that is there, it keeps its name.
            let error = failure(gpu, failed());
            assert!(matches!(error, Error::Gpu { .. }), "{error}");
            gpu.check().expect("it was told once");

            let later = device.clone();
            let loss = std::thread::spawn(move || {
                std::thread::sleep(PATIENCE / 10);
                later.destroy();
            });
            let error = failure(gpu, failed());
            assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
            loss.join().expect("no panic");
        }
    }

    #[test]
    fn a_device_is_not_destroyed_under_a_mapped_buffer() {
        let device = Device::gpu().expect("the GPU tests need an adapter");
        let Backend::Gpu(gpu) = &device.kind else {
            panic!("{device} is no GPU")
        };
        let mapped = gpu.mapped().expect("the device is there");
        let other = device.clone();
        let destroying = std::thread::spawn(move || other.destroy());
        std::thread::sleep(PATIENCE / 10);
        gpu.check_lost().expect("not while it is mapped");
        drop(mapped);
        destroying.join().expect("no panic");
        let refused = gpu.mapped().expect_err("it is lost");
        assert!(matches!(refused, Error::DeviceLost { .. }), "{refused}");
    }
}
