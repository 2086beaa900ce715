//! The ring of upload buffers through which parameters and batches reach the device. It is allocated once, and its
//! length bounds the number of submissions in flight: without a bound, memory grows.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::exec::gpu::{Gpu, GpuBuffer, lock};

/// Submissions in flight at most.
const SLOTS: usize = 3;

const IN_FLIGHT: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

#[derive(Debug)]
struct Staging {
    buffer: GpuBuffer,
    state: Arc<AtomicU8>,
    submission: Option<wgpu::SubmissionIndex>,
    /// When the submission went out, and what it cost.
    sent: Option<(Instant, u64)>,
    /// When it was seen to be done.
    done: Arc<Mutex<Option<Instant>>>,
}

impl Staging {
    /// Asks for the buffer back, for the host to write.
    fn map(&self) {
        self.state.store(IN_FLIGHT, Ordering::SeqCst);
        let state = Arc::clone(&self.state);
        let done = Arc::clone(&self.done);
        self.buffer
            .map_async(wgpu::MapMode::Write, .., move |result| {
                *lock(&done) = Some(Instant::now());
                let now = if result.is_ok() { MAPPED } else { FAILED };
                state.store(now, Ordering::SeqCst);
            });
    }
}

/// A ring of mapped buffers.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Vec<Staging>,
    next: usize,
    /// When the last submission that was looked at was done.
    last_done: Option<Instant>,
}

impl Ring {
    pub fn new(gpu: &Gpu, size: u64) -> Result<Self> {
        let sizes = [("upload", size); SLOTS];
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let buffers = gpu.create_buffers("the upload buffers", &sizes, usage)?;
        let slots = buffers.into_iter().map(|buffer| {
            let slot = Staging {
                buffer,
                state: Arc::default(),
                submission: None,
                sent: None,
                done: Arc::default(),
            };
            slot.map();
            slot
        });
        Ok(Self {
            slots: slots.collect(),
            next: 0,
            last_done: None,
        })
    }

    /// Bytes of each of its buffers.
    pub fn size(&self) -> u64 {
        self.slots.first().map_or(0, |slot| slot.buffer.size())
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
        let done = *lock(&slot.done);
        if let (Some((sent, cost)), Some(done)) = (slot.sent.take(), done) {
            // The device began with it when it was sent, or when the one before was done.
            let began = self.last_done.map_or(sent, |before| before.max(sent));
            self.last_done = Some(done);
            gpu.pace
                .observe(cost, done.saturating_duration_since(began));
        }
        let unmappable = || gpu.failure(Error::gpu("an upload buffer cannot be mapped"));
        if slot.state.load(Ordering::SeqCst) != MAPPED {
            gpu.check()?;
            return Err(unmappable());
        }
        {
            let _mapped = gpu.mapped()?;
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

    /// Notes that the buffer filled last went out with `submission`, whose ops cost so much, and asks for it back.
    pub fn submitted(&mut self, submission: wgpu::SubmissionIndex, cost: u64) {
        let slot = &mut self.slots[self.next];
        slot.submission = Some(submission);
        slot.sent = Some((Instant::now(), cost));
        slot.map();
        self.next = (self.next + 1) % self.slots.len();
    }
}
