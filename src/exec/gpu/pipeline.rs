//! Compiled kernels, one a kernel, text, activation and workgroup size, made on first use.

use std::sync::Arc;

use crate::config::activation::{Activation, ActivationKey};
use crate::error::{Error, Result};
use crate::exec::gpu::{Gpu, lock};
use crate::kernels::{Access, Constants, Kernel, Variant, Workgroup};

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
        self.check_workgroup(kernel, &variant, constants)?;
        let compiled = Arc::new(self.compile(kernel, variant, activation, constants)?);
        lock(&self.pipelines).insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Whether the adapter can run it. wgpu checks neither workgroup memory nor invocations before the driver sees them, and an
    /// H200's hung at more than its 48 KiB.
    fn check_workgroup(
        &self,
        kernel: &Kernel,
        variant: &Variant,
        constants: Constants,
    ) -> Result<()> {
        let Workgroup {
            invocations: (x, y),
            memory,
        } = kernel.workgroup(variant, constants);
        let limits = &self.limits;
        let needs = [
            (
                "storage buffers in a stage",
                kernel.operands.len() as u32,
                limits.max_storage_buffers_per_shader_stage,
            ),
            (
                "invocations in a workgroup",
                x * y,
                limits.max_compute_invocations_per_workgroup,
            ),
            (
                "invocations of a workgroup in x",
                x,
                limits.max_compute_workgroup_size_x,
            ),
            (
                "invocations of a workgroup in y",
                y,
                limits.max_compute_workgroup_size_y,
            ),
            (
                "bytes of workgroup memory",
                memory,
                limits.max_compute_workgroup_storage_size,
            ),
        ];
        for (what, need, limit) in needs {
            if need > limit {
                let what = format!(
                    "{what} for {} ({variant}) on {}",
                    kernel.name, self.info.name
                );
                let advice = "let the library choose the kernel, or choose another adapter";
                return Err(Error::limit(what, need, limit, advice));
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::device::{Backend, Device};
    use crate::kernels::{Load, find, find_form};

    /// Before the driver sees it.
    #[test]
    fn a_workgroup_beyond_the_adapter_is_refused() {
        let mut device = Device::gpu().expect("the GPU tests need an adapter");
        let Backend::Gpu(gpu) = &mut device.kind else {
            panic!("{device} is no GPU")
        };
        let gpu = Arc::get_mut(gpu).expect("nobody else has it");
        let kernel = find("dense_forward").expect("a kernel");
        let form = find_form("staged_64x128").expect("a form");
        let variant = Variant {
            product: Some((form, [Load::Scalar; 2])),
            ..Variant::default()
        };
        let constants = Constants::Group(form.invocations.0, form.invocations.1);
        let of = |gpu: &Gpu| gpu.pipeline(kernel, variant, &Activation::Identity, constants);
        let sound = gpu.limits.clone();
        let spoil: [fn(&mut wgpu::Limits); 3] = [
            |limits| limits.max_compute_workgroup_storage_size = 24 << 10,
            |limits| limits.max_compute_invocations_per_workgroup = 64,
            |limits| limits.max_storage_buffers_per_shader_stage = 4,
        ];
        for spoil in spoil {
            gpu.limits = sound.clone();
            spoil(&mut gpu.limits);
            let refused = of(gpu).expect_err("it is too much");
            assert!(matches!(refused, Error::Limit { .. }), "{refused}");
        }
        gpu.limits = sound;
        of(gpu).expect("it can be had");
    }
}
