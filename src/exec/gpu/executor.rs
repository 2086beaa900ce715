//! The GPU executor: encodes a plan's ops.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::activation::{Activation, ActivationKey};
use crate::error::Result;
use crate::exec::gpu::readback::{Readback, Region};
use crate::exec::gpu::timestamps::Timestamps;
use crate::exec::gpu::upload::Ring;
use crate::exec::gpu::{Gpu, GpuBuffer, PARAMS_STRIDE, Pipeline};
use crate::kernels::form::Extents;
use crate::kernels::{
    Call, Choice, Constants, Kernel, MAX_OPERANDS, StepAt, Variant, Work, dense_backward_params,
    sum_parts,
};
use crate::plan::{BufferSpec, Op, Payload, View};

/// What a dispatch needs besides its parameters; made once for each op of the plan.
#[derive(Debug)]
struct Bound {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
}

/// A compiled kernel with its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct BoundKey {
    kernel: &'static str,
    variant: Variant,
    activation: ActivationKey,
    constants: Constants,
    operands: [Option<View>; MAX_OPERANDS],
}

/// One dispatch on its way into a submission.
#[derive(Debug)]
struct Dispatch {
    prepared: Arc<Bound>,
    groups: [u32; 3],
    cost: u64,
}

/// The buffers that ops name by number.
#[derive(Debug)]
struct Buffers {
    /// Of the plan's specs.
    plan: Vec<GpuBuffer>,
    /// Of data sets, numbered from [`FIRST_DATA`] on.
    data: HashMap<usize, GpuBuffer>,
    /// For gradients that are summed in parts.
    parts: Option<GpuBuffer>,
}

impl Buffers {
    fn get(&self, number: usize) -> &GpuBuffer {
        match number {
            PARTS => match &self.parts {
                Some(parts) => parts,
                None => unreachable!("it is made before it is used"),
            },
            FIRST_DATA.. => &self.data[&number],
            _ => &self.plan[number],
        }
    }
}

/// The buffers of a plan on the device.
#[derive(Debug)]
pub(crate) struct GpuExecutor {
    pub gpu: Arc<Gpu>,
    specs: Vec<BufferSpec>,
    /// Buffers that batches are uploaded to.
    uploads: Vec<usize>,
    buffers: Buffers,
    next_data: usize,
    params: GpuBuffer,
    prepared: HashMap<BoundKey, Arc<Bound>>,
    ring: Ring,
    readback: Readback,
    /// Of the passes, while they are timed.
    pub timestamps: Option<Timestamps>,
    /// Forms of the products that were asked for.
    chosen: HashMap<(&'static str, Extents), Choice>,
    /// Buffers, bind groups and pipelines made so far.
    created: u64,
    /// Of the submission that is being put together; kept for their memory.
    words: Vec<u32>,
    dispatches: Vec<Dispatch>,
}

/// Number of the buffer for the parts of gradients.
const PARTS: usize = usize::MAX;
/// Numbers of data sets' buffers begin here.
const FIRST_DATA: usize = 1 << 32;

/// Dispatches that one submission has room for, at least: many small steps.
const DISPATCHES: usize = 1024;

const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Where the parts of a gradient go: of the weight, and then of the bias.
fn part_views(parts: u32, weights: u32, biases: u32) -> [View; 2] {
    let len = |count: u32| u64::from(parts) * u64::from(count);
    let view = |offset: u64, len: u64| View {
        buffer: PARTS,
        offset,
        len,
    };
    // Bindings begin on multiples of 256 bytes.
    let of_bias = len(weights).next_multiple_of(64);
    [view(0, len(weights)), view(of_bias, len(biases))]
}

impl GpuExecutor {
    /// Buffers for at most `rows` rows, zeroed, and room for `ops` dispatches and the buffers `uploads` in one submission.
    pub fn new(
        gpu: &Arc<Gpu>,
        specs: &[BufferSpec],
        uploads: &[usize],
        rows: u64,
        ops: usize,
    ) -> Result<Self> {
        // A gradient that is summed in parts takes two dispatches.
        let params_bytes = PARAMS_STRIDE * (2 * ops) as u64;
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
            buffers: Buffers {
                plan: buffers,
                data: HashMap::new(),
                parts: None,
            },
            next_data: FIRST_DATA,
            params,
            prepared: HashMap::new(),
            chosen: HashMap::new(),
            ring: Ring::new(gpu, ring_size)?,
            readback: Readback::new(gpu, network)?,
            timestamps: None,
            words: Vec::new(),
            dispatches: Vec::new(),
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
        let ring = Ring::new(&self.gpu, ring_size.max(self.ring.size()))?;
        for (i, buffer) in growing.into_iter().zip(new) {
            self.buffers.plan[i] = buffer;
            self.created += 1;
        }
        self.ring = ring;
        self.created += 3;
        self.prepared.clear();
        Ok(())
    }

    /// Uploads the batch and runs ops in order, once for each step. Returns when they are submitted: at once, or, where a single
    /// submission would keep the device busy for too long, in several.
    pub fn submit(
        &mut self,
        ops: &[Op],
        steps: &[StepAt],
        uploads: &[(View, Payload<'_>)],
    ) -> Result<()> {
        self.begin(ops)?;
        for at in steps {
            for op in ops {
                self.expand(op, at)?;
            }
        }
        self.send(uploads)
    }

    /// Begins a submission of these ops, with the room that any of them needs for the parts of a gradient: were it made for each
    /// op, a later one would take away the buffer that an earlier one names.
    fn begin(&mut self, ops: &[Op]) -> Result<()> {
        self.words.clear();
        self.dispatches.clear();
        self.gpu.check()?;
        let mut bytes = 0;
        for op in ops {
            let parts = self.choose(op, &op.call).map_or(1, |choice| choice.parts);
            if let (Call::DenseBackwardParams(p), 2..) = (op.call, parts) {
                let [_, of_bias] = part_views(parts, p.outputs * p.inputs, p.outputs);
                bytes = bytes.max(4 * (of_bias.offset + of_bias.len));
            }
        }
        let have = self.buffers.parts.as_ref().map_or(0, |parts| parts.size());
        if bytes > have {
            let (what, sizes) = ("the parts of gradients", [("parts of gradients", bytes)]);
            self.buffers.parts = self.gpu.create_buffers(what, &sizes, USAGE)?.pop();
            self.created += 1;
            self.forget(&[PARTS]);
        }
        Ok(())
    }

    /// Gives the bind groups of buffers up that are there no more.
    fn forget(&mut self, buffers: &[usize]) {
        self.prepared.retain(|key, _| {
            let mut operands = key.operands.iter().flatten();
            operands.all(|view| !buffers.contains(&view.buffer))
        });
    }

    fn send(&mut self, uploads: &[(View, Payload<'_>)]) -> Result<()> {
        let mut parts: Vec<(u64, &[u8])> = vec![(0, bytemuck::cast_slice(&self.words))];
        let mut at = self.params.size();
        for (_, payload) in uploads {
            parts.push((at, payload.bytes()));
            at += payload.bytes().len() as u64;
        }
        let pace = &self.gpu.pace;
        let staging = self.ring.fill(&self.gpu, &parts)?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut copy = |from: u64, to: &wgpu::Buffer, at: u64, bytes: u64| {
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(staging, from, to, at, Some(bytes));
            }
        };
        copy(0, &self.params, 0, 4 * self.words.len() as u64);
        for ((view, payload), (from, _)) in uploads.iter().zip(&parts[1..]) {
            let bytes = payload.bytes().len() as u64;
            copy(*from, self.buffers.get(view.buffer), 4 * view.offset, bytes);
        }
        let most = pace.most();
        let mut at = 0;
        let mut total = 0;
        let submission = loop {
            let mut pass = encoder.begin_compute_pass(&Timestamps::pass(&mut self.timestamps));
            let (first, mut cost) = (at, 0);
            while let Some(dispatch) = self.dispatches.get(at) {
                if at > first && cost + dispatch.cost > most {
                    break;
                }
                let prepared = &dispatch.prepared;
                let [x, y, z] = dispatch.groups;
                pass.set_pipeline(&prepared.pipeline.pipeline);
                let offset = at as u32 * PARAMS_STRIDE as u32;
                pass.set_bind_group(0, &prepared.bind_group, &[offset]);
                pass.dispatch_workgroups(x, y, z);
                cost += dispatch.cost;
                at += 1;
            }
            drop(pass);
            total += cost;
            let submission = self.gpu.queue.submit([encoder.finish()]);
            if at == self.dispatches.len() {
                break submission;
            }
            encoder = self.gpu.device.create_command_encoder(&Default::default());
        };
        self.ring.submitted(submission, total);
        self.dispatches.clear();
        self.gpu.check()
    }

    /// Makes room for many small steps in one submission, and for uploads of so many bytes. Where memory is too tight for the
    /// steps, submissions stay short.
    pub fn reserve_steps(&mut self, upload_bytes: u64) -> Result<()> {
        let wanted = PARAMS_STRIDE * DISPATCHES as u64;
        let batch = self.ring.size() - self.params.size();
        let upload = batch.max(upload_bytes);
        let all = wanted + Ring::bytes(wanted + upload);
        if self.params.size() < wanted && self.gpu.check_memory("steps", all).is_ok() {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let sizes = [("params", wanted)];
            let mut params = self.gpu.create_buffers("the parameters", &sizes, usage)?;
            self.gpu.wait(None)?;
            if let Some(params) = params.pop() {
                self.params = params;
            }
            self.created += 1;
            self.prepared.clear();
        }
        let size = self.params.size().saturating_add(upload);
        if size > self.ring.size() {
            self.gpu.wait(None)?;
            self.ring = Ring::new(&self.gpu, size)?;
            self.created += 3;
        }
        Ok(())
    }

    /// Makes buffers for a data set, each of so many words, and gives their numbers.
    pub fn add_data(&mut self, sizes: &[(&str, u64)]) -> Result<Vec<View>> {
        let bytes: Vec<(&str, u64)> = sizes.iter().map(|(name, len)| (*name, 4 * len)).collect();
        let made = self.gpu.create_buffers("the data set", &bytes, USAGE)?;
        let mut views = Vec::new();
        for (buffer, (_, len)) in made.into_iter().zip(sizes) {
            self.buffers.data.insert(self.next_data, buffer);
            views.push(View::whole(self.next_data, *len));
            self.next_data += 1;
            self.created += 1;
        }
        Ok(views)
    }

    /// Gives the buffers of a data set up.
    pub fn remove_data(&mut self, views: &[View]) {
        for view in views {
            self.buffers.data.remove(&view.buffer);
        }
        self.forget(&views.iter().map(|view| view.buffer).collect::<Vec<_>>());
    }

    /// How many steps that cost so much, of so many ops each, one submission may have.
    pub fn steps_at_once(&self, cost: u64, ops: usize) -> usize {
        let room = self.params.size() / PARAMS_STRIDE / (2 * ops.max(1)) as u64;
        (self.gpu.pace.most() / cost.max(1)).clamp(1, room.max(1)) as usize
    }

    /// The form of a product: what the op says, or what the device says, asked once.
    fn choose(&mut self, op: &Op, call: &Call) -> Option<Choice> {
        if op.choice.is_some() {
            return op.choice;
        }
        let Work::Product(extents) = call.work() else {
            return None;
        };
        let key = (call.kernel().name, extents);
        if let Some(choice) = self.chosen.get(&key) {
            return Some(*choice);
        }
        let choice = self.gpu.choose(call, extents);
        self.chosen.insert(key, choice);
        Some(choice)
    }

    /// Appends an op's dispatches with their parameters.
    fn expand(&mut self, op: &Op, at: &StepAt) -> Result<()> {
        let choice = self.choose(op, &op.call);
        match (op.call, choice) {
            (Call::DenseBackwardParams(p), Some(Choice { parts, .. })) if parts > 1 => {
                let (weights, biases) = (p.outputs * p.inputs, p.outputs);
                let part_views = part_views(parts, weights, biases);
                let first =
                    Call::DenseBackwardParams(dense_backward_params::Params { accumulate: 0, ..p });
                self.dispatch(first, at, &op.activation, choice, &op.reads, &part_views)?;
                let second = Call::SumParts(sum_parts::Params {
                    weights,
                    biases,
                    parts,
                    accumulate: p.accumulate,
                });
                self.dispatch(second, at, &op.activation, None, &part_views, &op.writes)
            }
            (call, choice) => {
                self.dispatch(call, at, &op.activation, choice, &op.reads, &op.writes)
            }
        }
    }

    fn dispatch(
        &mut self,
        call: Call,
        at: &StepAt,
        activation: &Activation,
        choice: Option<Choice>,
        reads: &[View],
        writes: &[View],
    ) -> Result<()> {
        call.words(at, &mut self.words);
        let end = self
            .words
            .len()
            .next_multiple_of(PARAMS_STRIDE as usize / 4);
        self.words.resize(end, 0);
        let kernel = call.kernel();
        let mut operands = [None; MAX_OPERANDS];
        for (operand, view) in operands.iter_mut().zip(reads.iter().chain(writes)) {
            *operand = Some(*view);
        }
        let key = BoundKey {
            kernel: kernel.name,
            variant: call.variant(choice, self.gpu.vec4),
            activation: activation.key(),
            constants: call.work().constants(choice),
            operands,
        };
        let prepared = match self.prepared.get(&key) {
            Some(prepared) => Arc::clone(prepared),
            None => self.prepare(kernel, activation, key)?,
        };
        self.dispatches.push(Dispatch {
            prepared,
            groups: call.work().groups(choice),
            cost: call.cost().total() * u64::from(at.steps),
        });
        Ok(())
    }

    /// Makes a pipeline and a bind group.
    fn prepare(
        &mut self,
        kernel: &'static Kernel,
        activation: &Activation,
        key: BoundKey,
    ) -> Result<Arc<Bound>> {
        let pipeline = self
            .gpu
            .pipeline(kernel, key.variant, activation, key.constants)?;
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.params,
                offset: 0,
                size: std::num::NonZeroU64::new(PARAMS_STRIDE),
            }),
        }];
        for (i, view) in key.operands.iter().flatten().enumerate() {
            entries.push(wgpu::BindGroupEntry {
                binding: i as u32 + 1,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: self.buffers.get(view.buffer),
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
        self.gpu.check()?;
        let prepared = Arc::new(Bound {
            pipeline,
            bind_group,
        });
        self.prepared.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Copies numbers into a view, outside the training loop: in pieces, so that staging memory stays small.
    pub fn write(&mut self, view: View, payload: Payload<'_>) -> Result<()> {
        const PIECE: usize = 16 << 20;
        self.gpu.check()?;
        for (i, piece) in payload.bytes().chunks(PIECE).enumerate() {
            let offset = 4 * view.offset + (i * PIECE) as u64;
            self.gpu
                .queue
                .write_buffer(self.buffers.get(view.buffer), offset, piece);
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
                let buffer: &wgpu::Buffer = self.buffers.get(view.buffer);
                (buffer, 4 * view.offset, 4 * view.len)
            })
            .collect();
        self.readback.read(&self.gpu, &regions).await
    }
}
