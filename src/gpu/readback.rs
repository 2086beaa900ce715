//! Bringing numbers back to the host.

use std::sync::Arc;

use futures::channel::oneshot;

use crate::error::{Error, Result};
use crate::gpu::Gpu;

/// Bytes brought back at once.
const MOST: u64 = 64 << 20;

/// The buffer that read-backs go through; it grows to what was asked for, up to [`MOST`].
#[derive(Debug, Default)]
pub(super) struct Readback {
    buffer: Option<wgpu::Buffer>,
}

impl Readback {
    /// Bytes in use.
    pub fn bytes(&self) -> u64 {
        self.buffer.as_ref().map_or(0, wgpu::Buffer::size)
    }

    /// Reads regions (buffer, byte offset, byte length), each in as many pieces as it takes.
    pub async fn read(
        &mut self,
        gpu: &Arc<Gpu>,
        in_use: u64,
        regions: &[(&wgpu::Buffer, u64, u64)],
    ) -> Result<Vec<Vec<f32>>> {
        let total: u64 = regions.iter().map(|(_, _, len)| *len).sum();
        let size = total.clamp(4, MOST);
        if self.bytes() < size {
            let in_use = in_use - self.bytes();
            self.buffer = None;
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let sizes = [("readback", size.next_power_of_two().min(MOST))];
            self.buffer = gpu
                .create_buffers("a read-back", in_use, &sizes, usage)?
                .pop();
        }
        let Some(staging) = &self.buffer else {
            unreachable!("the buffer was created above")
        };
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
                let bytes = (len - at).min(staging.size() - filled);
                trip.push((r, at, bytes));
                filled += bytes;
                at += bytes;
                if filled == staging.size() {
                    fetch(gpu, staging, regions, &trip, &mut out).await?;
                    trip.clear();
                    filled = 0;
                }
            }
        }
        fetch(gpu, staging, regions, &trip, &mut out).await?;
        Ok(out)
    }
}

async fn fetch(
    gpu: &Arc<Gpu>,
    staging: &wgpu::Buffer,
    regions: &[(&wgpu::Buffer, u64, u64)],
    trip: &[(usize, u64, u64)],
    out: &mut [Vec<f32>],
) -> Result<()> {
    if trip.is_empty() {
        return Ok(());
    }
    gpu.check()?;
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let mut filled = 0;
    for &(r, at, bytes) in trip {
        let (buffer, offset, _) = regions[r];
        encoder.copy_buffer_to_buffer(buffer, offset + at, staging, filled, Some(bytes));
        filled += bytes;
    }
    let submission = gpu.queue.submit([encoder.finish()]);
    let (sender, receiver) = oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, ..filled, move |result| {
        let _ = sender.send(result);
    });
    // Nobody else polls the device while the caller awaits.
    let waiter = Arc::clone(gpu);
    std::thread::spawn(move || {
        let _ = waiter.wait(Some(submission));
        let _ = waiter.wait(None);
    });
    let mapped = receiver.await;
    gpu.check()?;
    if !matches!(mapped, Ok(Ok(()))) {
        return Err(Error::Gpu {
            message: "the read-back buffer cannot be mapped".into(),
        });
    }
    {
        let view = staging.get_mapped_range(..filled).map_err(|e| Error::Gpu {
            message: e.to_string(),
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
    Ok(())
}
