//! The GPU's own clock: when each compute pass began and ended, where the adapter can tell.
//!
//! Drivers are known to give zeros or nonsense: [`busy`] says whether numbers can be believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::exec::gpu::{Gpu, GpuBuffer};

/// Passes that are timed at most; a query set holds 4,096 timestamps.
const PASSES: u32 = 2048;

/// When a pass began and ended, in ticks of the GPU's clock.
pub(crate) type Ticks = [u64; 2];

/// The times of compute passes, until they are taken.
#[derive(Debug)]
pub(crate) struct Timestamps {
    set: wgpu::QuerySet,
    resolved: GpuBuffer,
    host: GpuBuffer,
    /// Passes begun so far.
    passes: u32,
}

impl Timestamps {
    /// Nothing where the adapter has no timestamps.
    pub fn new(gpu: &Gpu) -> Result<Option<Self>> {
        let features = gpu.device.features();
        if !features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let bytes = u64::from(2 * PASSES) * 8;
        let buffer = |name, usage| -> Result<GpuBuffer> {
            let mut made = gpu.create_buffers("timestamps", &[(name, bytes)], usage)?;
            made.pop()
                .ok_or_else(|| Error::gpu("no buffer for timestamps"))
        };
        let resolve = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let read = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Some(Self {
            set: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * PASSES,
            }),
            resolved: buffer("timestamps", resolve)?,
            host: buffer("timestamps, read back", read)?,
            passes: 0,
        }))
    }

    /// How to begin the next pass, so that it is timed if anything is.
    pub fn pass(timestamps: &mut Option<Self>) -> wgpu::ComputePassDescriptor<'_> {
        let timed = timestamps.as_mut().and_then(|t| {
            let at = t.passes;
            t.passes = at.saturating_add(1);
            (at < PASSES).then_some(wgpu::ComputePassTimestampWrites {
                query_set: &t.set,
                beginning_of_pass_write_index: Some(2 * at),
                end_of_pass_write_index: Some(2 * at + 1),
            })
        });
        wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: timed,
        }
    }

    /// The times of all passes since they were last taken; nothing if there were too many. Waits for them.
    pub fn take(&mut self, gpu: &Gpu) -> Result<Option<Vec<Ticks>>> {
        let passes = std::mem::take(&mut self.passes);
        if passes > PASSES {
            return Ok(None);
        }
        if passes == 0 {
            return Ok(Some(Vec::new()));
        }
        let bytes = 16 * u64::from(passes);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&self.set, 0..2 * passes, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.host, 0, Some(bytes));
        let submission = gpu.queue.submit([encoder.finish()]);
        let called = Arc::new(AtomicBool::new(false));
        let on_mapped = Arc::clone(&called);
        self.host.map_async(wgpu::MapMode::Read, ..bytes, move |_| {
            on_mapped.store(true, Ordering::SeqCst);
        });
        let mut submission = Some(submission);
        // When another thread polls the device, it may hold our callback for a moment after our own poll returns.
        while !called.load(Ordering::SeqCst) {
            gpu.wait(submission.take())?;
            std::thread::yield_now();
        }
        gpu.check()?;
        let mapped = gpu.mapped()?;
        let view = self.host.get_mapped_range(..bytes);
        let ticks = view.map(|view| bytemuck::pod_collect_to_vec::<u8, Ticks>(&view));
        drop(mapped);
        self.host.unmap();
        ticks.map(Some).map_err(|e| {
            gpu.failure(Error::gpu(format!(
                "the buffer of timestamps cannot be mapped: {e}"
            )))
        })
    }
}

/// Seconds that these passes kept the GPU busy, if the times can be true of passes that ran one after the other within
/// `wall` of the host's clock; a tick lasts `period` nanoseconds.
pub(crate) fn busy(passes: &[Ticks], period: f32, wall: Duration) -> Option<f64> {
    let mut ticks = 0;
    let mut before = [0; 2];
    for &[begin, end] in passes {
        let in_order = begin >= before[0] && end >= before[1];
        if begin == 0 || end < begin || !in_order {
            return None;
        }
        // A pass may begin while the one before is still ending.
        ticks += end - begin.max(before[1]).min(end);
        before = [begin, end];
    }
    let seconds = |ticks: u64| ticks as f64 * f64::from(period) * 1e-9;
    let first = passes.first()?[0];
    let whole = seconds(before[1] - first);
    (ticks > 0 && whole <= wall.as_secs_f64()).then(|| seconds(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_possible_times_count() {
        let wall = Duration::from_nanos(100);
        assert_eq!(busy(&[[10, 20], [30, 50]], 1.0, wall), Some(30.0 * 1e-9));
        // Overlapping passes count once.
        assert_eq!(busy(&[[10, 20], [15, 50]], 2.0, wall), Some(80.0 * 1e-9));
        for wrong in [
            &[][..],
            &[[0, 0]],
            &[[0, 20]],
            &[[20, 10]],
            &[[10, 10]],
            &[[10, 111]],
            &[[30, 50], [10, 20]],
            &[[10, 20], [200, 210]],
        ] {
            assert_eq!(busy(wrong, 1.0, wall), None, "{wrong:?}");
        }
    }
}
