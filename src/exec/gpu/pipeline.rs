//! Compiled kernels, one a kernel, text, activation and workgroup size, made on first use.

use std::sync::Arc;

use crate::config::activation::{Activation, ActivationKey};
use crate::error::{Error, Result};
use crate::exec::gpu::{Gpu, lock};
use crate::kernels::{Access, Constants, Kernel, Variant};

/// A compiled kernel variant. The activation is kept, so that a custom one's address is never reused while it is a key.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    _activation: Activation,
}

/// Kernel, its text, its activation, its override constants.
pub(super) type PipelineKey = (&'static str, Variant, ActivationKey, Constants);

impl Gpu {
    /// The compiled variant of a kernel.
    pub fn pipeline(
        &self,
        kernel: &'static Kernel,
        variant: Variant,
        activation: &Activation,
        constants: Constants,
    ) -> Result<Arc<Pipeline>> {
        let activation = if kernel.activation {
            activation
        } else {
            &Activation::Identity
        };
        let key = (kernel.name, variant, activation.key(), constants);
        if let Some(found) = lock(&self.pipelines).get(&key) {
            return Ok(Arc::clone(found));
        }
        let compiled = Arc::new(self.compile(kernel, variant, activation, constants)?);
        lock(&self.pipelines).insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    fn compile(
        &self,
        kernel: &'static Kernel,
        variant: Variant,
        activation: &Activation,
        constants: Constants,
    ) -> Result<Pipeline> {
        self.check()?;
        let constants = &constants.values()[..];
        let mut text = kernel.wgsl(&variant, activation);
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
            // sizes as the buffers; tests/kernels/kernels.rs runs each of them with guard words around every operand, with checks
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
        if let Some(error) = error {
            return Err(self.failure(Error::Kernel {
                kernel: format!("{} ({activation}, {variant})", kernel.name),
                adapter: self.info.name.clone(),
                message: error.to_string(),
            }));
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
