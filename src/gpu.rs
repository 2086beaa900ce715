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

/// An open GPU device.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub info: wgpu::AdapterInfo,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    /// Bytes of device memory, where the driver says, or the user's limit.
    pub memory: Option<u64>,
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
    pub async fn open(adapter: wgpu::Adapter, options: &DeviceOptions) -> Result<Self> {
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
            info,
            device,
            queue,
            limits,
            memory,
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
            .min(self.binding_limit);
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
        let mut troubles = lock(&self.troubles);
        if let Some(reason) = &troubles.lost {
            return Err(Error::DeviceLost {
                reason: reason.clone(),
            });
        }
        if troubles.errors.is_empty() {
            return Ok(());
        }
        let message = troubles.errors.drain(..).collect::<Vec<_>>().join("\n");
        Err(Error::Gpu { message })
    }

    /// Waits until a submission, or everything submitted, is done. `poll` panics on a lost device.
    pub fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let wait = wgpu::PollType::Wait {
            submission_index,
            timeout: None,
        };
        let result = catch_unwind(AssertUnwindSafe(|| self.device.poll(wait)));
        self.check()?;
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
        self.device.destroy();
        // The callback runs when the queue is next polled.
        let _ = self.wait(None);
        lock(&self.troubles)
            .lost
            .get_or_insert_with(|| "Destroyed: Device::destroy was called".into());
    }

    /// Creates buffers within an error scope, after a check of the exact byte count against `in_use` bytes and the memory.
    pub fn create_buffers(
        &self,
        what: &str,
        in_use: u64,
        sizes: &[(&str, u64)],
        usage: wgpu::BufferUsages,
    ) -> Result<Vec<wgpu::Buffer>> {
        self.check()?;
        let need = sizes
            .iter()
            .map(|(_, size)| *size)
            .fold(in_use, u64::saturating_add);
        let out_of_memory = |have| Error::OutOfMemory {
            what: format!("{what} on {}", self.info.name),
            need,
            have,
            advice: "use a smaller network, an optimiser with less state, or smaller batches \
                     with accumulate() and apply()"
                .into(),
        };
        if self.memory.is_some_and(|memory| need > memory) {
            return Err(out_of_memory(self.memory));
        }
        let mut buffers = Vec::new();
        let mut created = in_use;
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
            if memory.is_some() {
                return Err(out_of_memory(Some(created)));
            }
            if let Some(error) = validation {
                return Err(Error::Gpu {
                    message: error.to_string(),
                });
            }
            created += size;
            buffers.push(buffer);
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
        if let Some(error) = pollster::block_on(scope.pop()) {
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
    heaps.iter().map(|heap| heap.size).max()
}

#[cfg(any(target_vendor = "apple", target_family = "wasm"))]
fn driver_memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}
