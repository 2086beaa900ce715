//! The GPU executor: encodes a plan's ops.

use std::collections::HashMap;
use std::sync::Arc;

use crate::activation::ActivationKey;
use crate::error::Result;
use crate::gpu::readback::{Readback, Region};
use crate::gpu::upload::Ring;
use crate::gpu::{Gpu, GpuBuffer, PARAMS_STRIDE, Pipeline};
use crate::plan::{BufferSpec, Op, Payload, View};

/// What a dispatch needs besides its parameters; made once for each op of the plan.
#[derive(Debug)]
struct Prepared {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
}

/// A kernel variant with its operands.
type PreparedKey = (
    &'static str,
    ActivationKey,
    &'static str,
    u64,
    Vec<View>,
    Vec<View>,
);

/// The buffers of a plan on the device.
#[derive(Debug)]
pub(crate) struct GpuExecutor {
    pub gpu: Arc<Gpu>,
    specs: Vec<BufferSpec>,
    /// Buffers that batches are uploaded to.
    uploads: Vec<usize>,
    buffers: Vec<GpuBuffer>,
    params: GpuBuffer,
    prepared: HashMap<PreparedKey, Prepared>,
    ring: Ring,
    readback: Readback,
    /// Buffers, bind groups and pipelines made so far.
    created: u64,
}

const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

impl GpuExecutor {
    /// Buffers for at most `rows` rows, zeroed, and room for `ops` dispatches and the buffers `uploads` in one submission.
    pub fn new(
        gpu: &Arc<Gpu>,
        specs: &[BufferSpec],
        uploads: &[usize],
        rows: u64,
        ops: usize,
    ) -> Result<Self> {
        let params_bytes = PARAMS_STRIDE * ops as u64;
        let ring_size = Self::ring_size(specs, uploads, rows, params_bytes);
        let sizes: Vec<(&str, u64)> = specs
            .iter()
            .map(|spec| (spec.name.as_str(), spec.len(rows).saturating_mul(4)))
            .collect();
        let network = sizes.iter().map(|(_, size)| *size);
        let network = network.fold(0, u64::saturating_add);
        let total = network
            .saturating_add(params_bytes)
            .saturating_add(Ring::bytes(ring_size))
            .saturating_add(Readback::bytes(network));
        gpu.check_memory("the network", total)?;
        let buffers = gpu.create_buffers("the network", &sizes, USAGE)?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let sizes = [("params", params_bytes)];
        let mut params = gpu.create_buffers("the parameters", &sizes, usage)?;
        let Some(params) = params.pop() else {
            unreachable!("one buffer was asked for")
        };
        Ok(Self {
            gpu: Arc::clone(gpu),
            specs: specs.to_vec(),
            uploads: uploads.to_vec(),
            // Three of the ring, the parameters and the read-back.
            created: buffers.len() as u64 + 5,
            buffers,
            params,
            prepared: HashMap::new(),
            ring: Ring::new(gpu, ring_size)?,
            readback: Readback::new(gpu, network)?,
        })
    }

    /// An upload carries the parameters of all dispatches and a batch.
    fn ring_size(specs: &[BufferSpec], uploads: &[usize], rows: u64, params: u64) -> u64 {
        let batch = uploads
            .iter()
            .map(|&i| specs[i].len(rows).saturating_mul(4));
        batch.fold(params, u64::saturating_add)
    }

    /// Buffers, bind groups and pipelines made so far; it stands still once every kind of call was made.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// Reallocates what depends on the number of rows.
    pub fn resize(&mut self, rows: u64) -> Result<()> {
        self.gpu.wait(None)?;
        let growing: Vec<usize> = (0..self.specs.len())
            .filter(|&i| self.specs[i].per_row)
            .collect();
        let sizes: Vec<(&str, u64)> = growing
            .iter()
            .map(|&i| {
                let spec = &self.specs[i];
                (spec.name.as_str(), spec.len(rows).saturating_mul(4))
            })
            .collect();
        let ring_size = Self::ring_size(&self.specs, &self.uploads, rows, self.params.size());
        // The old workspace goes only when the new one is there: a failure leaves everything as it was.
        let new = self.gpu.create_buffers("the workspace", &sizes, USAGE)?;
        let ring = Ring::new(&self.gpu, ring_size)?;
        for (i, buffer) in growing.into_iter().zip(new) {
            self.buffers[i] = buffer;
            self.created += 1;
        }
        self.ring = ring;
        self.created += 3;
        self.prepared.clear();
        Ok(())
    }

    /// Uploads the batch and runs ops in order, in one submission. Returns when they are submitted.
    pub fn submit(&mut self, ops: &[Op], uploads: &[(View, Payload<'_>)]) -> Result<()> {
        self.gpu.check()?;
        let mut words = Vec::with_capacity(ops.len() * PARAMS_STRIDE as usize / 4);
        for op in ops {
            op.call.words(&mut words);
            words.resize(words.len().next_multiple_of(PARAMS_STRIDE as usize / 4), 0);
        }
        let keys = ops
            .iter()
            .map(|op| self.prepare(op))
            .collect::<Result<Vec<_>>>()?;

        let mut parts: Vec<(u64, &[u8])> = vec![(0, bytemuck::cast_slice(&words))];
        let mut at = self.params.size();
        for (_, payload) in uploads {
            parts.push((at, payload.bytes()));
            at += payload.bytes().len() as u64;
        }
        let staging = self.ring.fill(&self.gpu, &parts)?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut copy = |from: u64, to: &wgpu::Buffer, at: u64, bytes: u64| {
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(staging, from, to, at, Some(bytes));
            }
        };
        copy(0, &self.params, 0, 4 * words.len() as u64);
        for ((view, payload), (from, _)) in uploads.iter().zip(&parts[1..]) {
            let bytes = payload.bytes().len() as u64;
            copy(*from, &self.buffers[view.buffer], 4 * view.offset, bytes);
        }
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (i, (op, key)) in ops.iter().zip(&keys).enumerate() {
                let prepared = &self.prepared[key];
                let [x, y, z] = op.call.work().launch().groups;
                pass.set_pipeline(&prepared.pipeline.pipeline);
                let offset = i as u32 * PARAMS_STRIDE as u32;
                pass.set_bind_group(0, &prepared.bind_group, &[offset]);
                pass.dispatch_workgroups(x, y, z);
            }
        }
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.ring.submitted(submission);
        self.gpu.check()
    }

    /// The op's pipeline and bind group, made on first use.
    fn prepare(&mut self, op: &Op) -> Result<PreparedKey> {
        let kernel = op.call.kernel();
        let constants = op.call.work().launch().constants;
        let (constant, value) = constants
            .first()
            .map_or(("", 0), |(name, value)| (*name, value.to_bits()));
        let key = (
            kernel.name,
            op.activation.key(),
            constant,
            value,
            op.reads.clone(),
            op.writes.clone(),
        );
        if self.prepared.contains_key(&key) {
            return Ok(key);
        }
        let pipeline = self.gpu.pipeline(kernel, &op.activation, constants)?;
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.params,
                offset: 0,
                size: std::num::NonZeroU64::new(PARAMS_STRIDE),
            }),
        }];
        for (i, view) in op.reads.iter().chain(&op.writes).enumerate() {
            entries.push(wgpu::BindGroupEntry {
                binding: i as u32 + 1,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &self.buffers[view.buffer],
                    offset: 4 * view.offset,
                    size: std::num::NonZeroU64::new(4 * view.len),
                }),
            });
        }
        let bind_group = self
            .gpu
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(kernel.name),
                layout: &pipeline.layout,
                entries: &entries,
            });
        self.created += 2;
        self.prepared.insert(
            key.clone(),
            Prepared {
                pipeline,
                bind_group,
            },
        );
        self.gpu.check()?;
        Ok(key)
    }

    /// Copies numbers into a view, outside the training loop: in pieces, so that staging memory stays small.
    pub fn write(&mut self, view: View, payload: Payload<'_>) -> Result<()> {
        const PIECE: usize = 16 << 20;
        self.gpu.check()?;
        for (i, piece) in payload.bytes().chunks(PIECE).enumerate() {
            let offset = 4 * view.offset + (i * PIECE) as u64;
            self.gpu
                .queue
                .write_buffer(&self.buffers[view.buffer], offset, piece);
            if i > 0 || piece.len() == PIECE {
                self.gpu.queue.submit([]);
                self.gpu.wait(None)?;
            }
        }
        self.gpu.check()
    }

    /// Reads views back.
    pub async fn read(&mut self, views: &[View]) -> Result<Vec<Vec<f32>>> {
        let regions: Vec<Region<'_>> = views
            .iter()
            .map(|view| {
                let buffer: &wgpu::Buffer = &self.buffers[view.buffer];
                (buffer, 4 * view.offset, 4 * view.len)
            })
            .collect();
        self.readback.read(&self.gpu, &regions).await
    }
}
