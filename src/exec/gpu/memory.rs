//! Device memory: buffers that are counted, and refused where they do not fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::exec::gpu::Gpu;

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

impl Gpu {
    fn out_of_memory(&self, what: &str, need: u64, have: Option<u64>) -> Error {
        Error::out_of_memory(
            format!("{what} on {}", self.info.name),
            need,
            have,
            "use a smaller network, an optimiser with less state, or smaller batches \
                     with accumulate() and apply()",
        )
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
                return Err(Error::limit_in_bytes(
                    format!("buffer {name}"),
                    size,
                    self.limits.max_buffer_size,
                    "use smaller batches with accumulate() and apply()",
                ));
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
                return Err(self.failure(self.out_of_memory(what, need, self.memory)));
            }
            if let Some(error) = validation {
                return Err(self.failure(Error::gpu(error.to_string())));
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
}

/// Bytes of the largest device-local heap, where the backend can be asked.
#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
pub(super) fn driver_memory(adapter: &wgpu::Adapter) -> Option<u64> {
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
pub(super) fn driver_memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}
