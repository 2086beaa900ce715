//! Bringing numbers back to the host.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use futures::channel::oneshot;

use crate::error::{Error, Result};
use crate::exec::gpu::{Gpu, GpuBuffer, lock};

/// Bytes brought back at once, at most.
const MOST: u64 = 4 << 20;

/// A part of a buffer to read: byte offset and length.
pub(super) type Region<'a> = (&'a wgpu::Buffer, u64, u64);

/// The buffer that read-backs go through, allocated with everything else, so that results can be had however tight the
/// memory is. What exceeds it comes in pieces.
#[derive(Debug)]
pub(super) struct Readback {
    staging: GpuBuffer,
    /// A read-back was begun and not ended: its future was dropped, maybe with the buffer mapped.
    abandoned: bool,
    /// The thread that waits for the device. It ends before this does: were it the last to hold the device, it would unload the
    /// driver whenever it came to it, maybe while the process exits, which crashes.
    waiter: Waiter,
}

/// A thread that is joined when it is given up.
#[derive(Debug, Default)]
struct Waiter(Option<JoinHandle<()>>);

impl Waiter {
    fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            // It does not panic; what it waited for tells of itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.join();
    }
}

impl Readback {
    /// Bytes of the buffer for read-backs of at most `total` bytes.
    pub fn bytes(total: u64) -> u64 {
        total.clamp(4, MOST)
    }

    pub fn new(gpu: &Gpu, total: u64) -> Result<Self> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let sizes = [("readback", Self::bytes(total))];
        let mut buffers = gpu.create_buffers("the read-back buffer", &sizes, usage)?;
        let Some(staging) = buffers.pop() else {
            unreachable!("one buffer was asked for")
        };
        Ok(Self {
            staging,
            abandoned: false,
            waiter: Waiter::default(),
        })
    }

    /// Reads regions, each in as many pieces as it takes.
    pub async fn read(&mut self, gpu: &Arc<Gpu>, regions: &[Region<'_>]) -> Result<Vec<Vec<f32>>> {
        let mut out: Vec<Vec<f32>> = regions
            .iter()
            .map(|(_, _, len)| Vec::with_capacity((*len / 4) as usize))
            .collect();
        // (region, its offset, bytes) of the pieces of one trip.
        let mut trip: Vec<(usize, u64, u64)> = Vec::new();
        let mut filled = 0;
        for (r, &(_, _, len)) in regions.iter().enumerate() {
            let mut at = 0;
            while at < len {
                let bytes = (len - at).min(self.staging.size() - filled);
                trip.push((r, at, bytes));
                filled += bytes;
                at += bytes;
                if filled == self.staging.size() {
                    self.fetch(gpu, regions, &trip, &mut out).await?;
                    trip.clear();
                    filled = 0;
                }
            }
        }
        self.fetch(gpu, regions, &trip, &mut out).await?;
        Ok(out)
    }

    async fn fetch(
        &mut self,
        gpu: &Arc<Gpu>,
        regions: &[Region<'_>],
        trip: &[(usize, u64, u64)],
        out: &mut [Vec<f32>],
    ) -> Result<()> {
        if trip.is_empty() {
            return Ok(());
        }
        gpu.check()?;
        self.waiter.join();
        let staging = &self.staging;
        if self.abandoned {
            // Ends the mapping, or the wait for it.
            staging.unmap();
        }
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut filled = 0;
        for &(r, at, bytes) in trip {
            let (buffer, offset, _) = regions[r];
            encoder.copy_buffer_to_buffer(buffer, offset + at, staging, filled, Some(bytes));
            filled += bytes;
        }
        let submission = gpu.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        self.abandoned = true;
        let on_mapped = Arc::clone(&sender);
        staging.map_async(wgpu::MapMode::Read, ..filled, move |result| {
            if let Some(sender) = lock(&on_mapped).take() {
                let _ = sender.send(result);
            }
        });
        // Nobody else polls the device while the caller awaits. When the device is lost no callback ever comes: giving
        // the sender up ends the wait below.
        let waiter = Arc::clone(gpu);
        let wait = move || {
            if waiter.wait(Some(submission)).is_err() {
                lock(&sender).take();
            }
        };
        let thread = std::thread::Builder::new()
            .name("wgrad read-back".into())
            .spawn(wait)
            .map_err(|e| Error::gpu(format!("no thread can be had to wait for the GPU: {e}")))?;
        self.waiter.0 = Some(thread);
        let mapped = receiver.await;
        // It has nothing more to wait for.
        self.waiter.join();
        gpu.check()?;
        if !matches!(mapped, Ok(Ok(()))) {
            return Err(gpu.failure(Error::gpu("the read-back buffer cannot be mapped")));
        }
        {
            let _mapped = gpu.mapped()?;
            let view = staging.get_mapped_range(..filled).map_err(|e| {
                gpu.failure(Error::gpu(format!(
                    "the read-back buffer cannot be mapped: {e}"
                )))
            })?;
            let mut at = 0;
            for &(r, _, bytes) in trip {
                let bytes = bytes as usize;
                out[r].extend(bytemuck::pod_collect_to_vec::<u8, f32>(
                    &view[at..at + bytes],
                ));
                at += bytes;
            }
        }
        staging.unmap();
        self.abandoned = false;
        Ok(())
    }
}
