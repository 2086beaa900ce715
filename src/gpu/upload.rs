//! The ring of upload buffers through which parameters and batches reach the device. It is allocated once, and its
//! length bounds the number of submissions in flight: without a bound, memory grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuBuffer};

/// Submissions in flight at most.
const SLOTS: usize = 3;

const IN_FLIGHT: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

#[derive(Debug)]
struct Slot {
    buffer: GpuBuffer,
    state: Arc<AtomicU8>,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Slot {
    /// Asks for the buffer back, for the host to write.
    fn map(&self) {
        self.state.store(IN_FLIGHT, Ordering::SeqCst);
        let state = Arc::clone(&self.state);
        self.buffer
            .map_async(wgpu::MapMode::Write, .., move |result| {
                let now = if result.is_ok() { MAPPED } else { FAILED };
                state.store(now, Ordering::SeqCst);
            });
    }
}

/// A ring of mapped buffers.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Vec<Slot>,
    next: usize,
}

impl Ring {
    pub fn new(gpu: &Gpu, size: u64) -> Result<Self> {
        let sizes = [("upload", size); SLOTS];
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let buffers = gpu.create_buffers("the upload buffers", &sizes, usage)?;
        let slots = buffers.into_iter().map(|buffer| {
            let slot = Slot {
                buffer,
                state: Arc::default(),
                submission: None,
            };
            slot.map();
            slot
        });
        Ok(Self {
            slots: slots.collect(),
            next: 0,
        })
    }

    /// Bytes that a ring of this size takes.
    pub fn bytes(size: u64) -> u64 {
        size.saturating_mul(SLOTS as u64)
    }

    /// Fills the next free buffer with `parts` (offset, bytes), waiting for it if need be, and gives it to the device.
    pub fn fill(&mut self, gpu: &Gpu, parts: &[(u64, &[u8])]) -> Result<&wgpu::Buffer> {
        let slot = &mut self.slots[self.next];
        let mut submission = slot.submission.take();
        // When another thread polls the device, it may hold our callback for a moment after our own poll returns.
        while slot.state.load(Ordering::SeqCst) == IN_FLIGHT {
            gpu.wait(submission.take())?;
            std::thread::yield_now();
        }
        let unmappable = || Error::Gpu {
            message: "an upload buffer cannot be mapped".into(),
        };
        if slot.state.load(Ordering::SeqCst) != MAPPED {
            gpu.check()?;
            return Err(unmappable());
        }
        {
            let mut view = slot
                .buffer
                .get_mapped_range_mut(..)
                .map_err(|_| unmappable())?;
            for (offset, bytes) in parts {
                let at = *offset as usize;
                view.slice(at..at + bytes.len()).copy_from_slice(bytes);
            }
        }
        slot.buffer.unmap();
        Ok(&slot.buffer)
    }

    /// Notes that the buffer filled last went out with `submission`, and asks for it back.
    pub fn submitted(&mut self, submission: wgpu::SubmissionIndex) {
        let slot = &mut self.slots[self.next];
        slot.submission = Some(submission);
        slot.map();
        self.next = (self.next + 1) % self.slots.len();
    }
}
