//! The GPU: the only place that names wgpu. An open adapter, its limits, its compiled kernels and what became of it.

#![expect(
    unsafe_code,
    reason = "unchecked shader modules and the driver's memory sizes, each block with its reason"
)]

pub(crate) mod adapter;
pub(crate) mod executor;
mod readback;
mod upload;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::activation::{Activation, ActivationKey};
use crate::device::{DeviceOptions, Fault};
use crate::error::{Error, Result};
use crate::kernels::{Access, Kernel};
use crate::plan::Limits;

/// Each dispatch's parameters begin on a multiple of this: the strictest alignment of uniform offsets.
pub(crate) const PARAMS_STRIDE: u64 = 256;

/// What the driver told us since the device was opened.
#[derive(Debug, Default)]
struct Troubles {
    lost: Option<String>,
    errors: Vec<String>,
}

/// A compiled kernel variant. The activation is kept, so that a custom one's address is never reused while it is a key.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    _activation: Activation,
}

/// Kernel, activation, bits of the override constant.
type PipelineKey = (&'static str, ActivationKey, u64);

/// A buffer, counted among the bytes in use on its device for as long as it lives.
#[derive(Debug)]
pub(crate) struct GpuBuffer {
    buffer: wgpu::Buffer,
    bytes: u64,
    in_use: Arc<AtomicU64>,
}

impl std::ops::Deref for GpuBuffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        self.in_use.fetch_sub(self.bytes, Ordering::SeqCst);
    }
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
    faults: Vec<Fault>,
    troubles: Arc<Mutex<Troubles>>,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
}

/// A poisoned lock only means that another thread panicked; the data behind ours is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("wgrad"),
                required_features: wgpu::Features::empty(),
                required_limits: limits.clone(),
                experimental_features: wgpu::ExperimentalFeatures::disabled(),
                memory_hints: wgpu::MemoryHints::Performance,
                trace: wgpu::Trace::Off,
            })
            .await
            .map_err(|e| Error::Gpu {
                message: format!("{} cannot be opened: {e}", info.name),
            })?;
        let troubles = Arc::new(Mutex::new(Troubles::default()));
        let seen = Arc::clone(&troubles);
        device.set_device_lost_callback(move |reason, message| {
            lock(&seen).lost = Some(format!("{reason:?}: {message}"));
        });
        let seen = Arc::clone(&troubles);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&seen).errors.push(error.to_string());
        }));
        let memory = match (options.memory_limit, driver_memory(&adapter)) {
            (Some(limit), Some(memory)) => Some(limit.min(memory)),
            (limit, memory) => limit.or(memory),
        };
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
            faults: options.faults.clone(),
            troubles,
            pipelines: Mutex::default(),
        })
    }

    /// Whether the adapter can run the kernels at all.
    fn check_limits(info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> Result<()> {
        let needs = [
            (
                "storage buffers in a stage",
                5,
                limits.max_storage_buffers_per_shader_stage,
            ),
            (
                "invocations in a workgroup",
                256,
                limits.max_compute_invocations_per_workgroup,
            ),
            (
                "bytes of workgroup memory",
                2 * 16 * 17 * 16,
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
                return Err(Error::Limit {
                    what: format!("{}: {what}", info.name),
                    need: need.into(),
                    limit: limit.into(),
                    advice: "this adapter cannot run the kernels: choose another".into(),
                });
            }
        }
        Ok(())
    }

    /// Whether the adapter is a program on the CPU.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
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
        self.check_lost()?;
        let mut troubles = lock(&self.troubles);
        if troubles.errors.is_empty() {
            return Ok(());
        }
        let message = troubles.errors.drain(..).collect::<Vec<_>>().join("\n");
        Err(Error::Gpu { message })
    }

    fn check_lost(&self) -> Result<()> {
        match &lock(&self.troubles).lost {
            Some(reason) => Err(Error::DeviceLost {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Waits until a submission, or everything submitted, is done. What the driver reported meanwhile is left for
    /// [`check`](Self::check). (`poll` panics on a lost device.)
    pub fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let wait = wgpu::PollType::Wait {
            submission_index,
            timeout: None,
        };
        let result = catch_unwind(AssertUnwindSafe(|| self.device.poll(wait)));
        self.check_lost()?;
        match result {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::Gpu {
                message: error.to_string(),
            }),
            Err(_) => Err(Error::DeviceLost {
                reason: "waiting for it failed".into(),
            }),
        }
    }

    /// Destroys the device; everything that uses it fails from now on.
    pub fn destroy(&self) {
        // First, so that whoever is in the middle of a call hears of the loss, not of its consequences.
        lock(&self.troubles)
            .lost
            .get_or_insert_with(|| "Destroyed: Device::destroy was called".into());
        self.device.destroy();
        // wgpu lets go of the memory when it is next polled.
        let _ = catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll)));
    }

    fn out_of_memory(&self, what: &str, need: u64, have: Option<u64>) -> Error {
        Error::OutOfMemory {
            what: format!("{what} on {}", self.info.name),
            need,
            have,
            advice: "use a smaller network, an optimiser with less state, or smaller batches \
                     with accumulate() and apply()"
                .into(),
        }
    }

    /// Whether `bytes` more fit the device's memory, as far as it is known.
    pub fn check_memory(&self, what: &str, bytes: u64) -> Result<()> {
        let need = self.in_use.load(Ordering::SeqCst).saturating_add(bytes);
        if self.memory.is_some_and(|memory| need > memory) {
            return Err(self.out_of_memory(what, need, self.memory));
        }
        Ok(())
    }

    /// Creates buffers within error scopes, after a check of the exact byte count.
    pub fn create_buffers(
        &self,
        what: &str,
        sizes: &[(&str, u64)],
        usage: wgpu::BufferUsages,
    ) -> Result<Vec<GpuBuffer>> {
        self.check()?;
        let total = sizes.iter().map(|(_, size)| *size);
        let total = total.fold(0, u64::saturating_add);
        self.check_memory(what, total)?;
        let mut buffers = Vec::new();
        for &(name, size) in sizes {
            if size > self.limits.max_buffer_size {
                return Err(Error::Limit {
                    what: format!("buffer {name}"),
                    need: size,
                    limit: self.limits.max_buffer_size,
                    advice: "use smaller batches with accumulate() and apply()".into(),
                });
            }
            let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(name),
                // No buffer is empty: a binding needs at least one element.
                size: size.max(4),
                usage,
                mapped_at_creation: false,
            });
            let memory = pollster::block_on(memory.pop());
            let validation = pollster::block_on(validation.pop());
            let before = self.in_use.load(Ordering::SeqCst);
            if memory.is_some() {
                let need = before.saturating_add(total);
                return Err(self.out_of_memory(what, need, self.memory));
            }
            self.check_lost()?;
            if let Some(error) = validation {
                return Err(Error::Gpu {
                    message: error.to_string(),
                });
            }
            self.in_use.fetch_add(size, Ordering::SeqCst);
            buffers.push(GpuBuffer {
                buffer,
                bytes: size,
                in_use: Arc::clone(&self.in_use),
            });
        }
        self.check()?;
        Ok(buffers)
    }

    /// The compiled variant of a kernel.
    pub fn pipeline(
        &self,
        kernel: &'static Kernel,
        activation: &Activation,
        constants: &'static [(&'static str, f64)],
    ) -> Result<Arc<Pipeline>> {
        let activation = if kernel.activation {
            activation
        } else {
            &Activation::Identity
        };
        // A family has one override constant at most.
        let constant = constants.first().map_or(0, |(_, value)| value.to_bits());
        let key = (kernel.name, activation.key(), constant);
        if let Some(found) = lock(&self.pipelines).get(&key) {
            return Ok(Arc::clone(found));
        }
        let compiled = Arc::new(self.compile(kernel, activation, constants)?);
        lock(&self.pipelines).insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    fn compile(
        &self,
        kernel: &'static Kernel,
        activation: &Activation,
        constants: &[(&str, f64)],
    ) -> Result<Pipeline> {
        self.check()?;
        let mut text = kernel.wgsl(activation);
        for fault in self
            .faults
            .iter()
            .filter(|fault| fault.kernel == kernel.name)
        {
            text = fault.plant(&text).unwrap_or(text);
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        };
        let custom = matches!(activation, Activation::Custom(_));
        let module = if self.shader_checks || custom || !self.faults.is_empty() {
            self.device.create_shader_module(descriptor)
        } else {
            // SAFETY: our kernels guard every access by the sizes in their parameters, which the plan derives from the same
            // sizes as the buffers; tests/kernels.rs runs each of them with guard words around every operand, with checks
            // and without. Their loops end: each counts up to a parameter.
            unsafe {
                self.device.create_shader_module_trusted(
                    descriptor,
                    wgpu::ShaderRuntimeChecks::unchecked(),
                )
            }
        };
        let layout = self.bind_group_layout(kernel);
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(kernel.name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(kernel.name),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants,
                    // Every word of workgroup memory is written before it is read.
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            });
        let error = pollster::block_on(scope.pop());
        self.check_lost()?;
        if let Some(error) = error {
            return Err(Error::Kernel {
                kernel: format!("{} ({activation})", kernel.name),
                adapter: self.info.name.clone(),
                message: error.to_string(),
            });
        }
        self.check()?;
        Ok(Pipeline {
            pipeline,
            layout,
            _activation: activation.clone(),
        })
    }

    /// Binding 0: parameters at a dynamic offset; then the operands in order.
    fn bind_group_layout(&self, kernel: &Kernel) -> wgpu::BindGroupLayout {
        let entry = |binding: usize, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset,
                min_binding_size: None,
            },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
        for (i, operand) in kernel.operands.iter().enumerate() {
            let ty = wgpu::BufferBindingType::Storage {
                read_only: operand.access == Access::Read,
            };
            entries.push(entry(i + 1, ty, false));
        }
        self.device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(kernel.name),
                entries: &entries,
            })
    }
}

/// Bytes of the largest device-local heap, where the backend can be asked.
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
fn driver_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the adapter outlives the guard, and the call below only reads properties.
    let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    // SAFETY: the physical device belongs to this instance.
    let memory = unsafe {
        vulkan
            .shared_instance()
            .raw_instance()
            .get_physical_device_memory_properties(vulkan.raw_physical_device())
    };
    let heaps = &memory.memory_heaps[..memory.memory_heap_count as usize];
    // Bit 0 of a heap's flags is VK_MEMORY_HEAP_DEVICE_LOCAL_BIT.
    let local = heaps.iter().filter(|heap| heap.flags.as_raw() & 1 != 0);
    local.map(|heap| heap.size).max()
}

#[cfg(any(target_vendor = "apple", target_family = "wasm"))]
fn driver_memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}
