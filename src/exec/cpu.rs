//! The CPU executor: runs a plan on the twins, in f32 (the CPU path), f64 (the reference) or
//! [`Bounded`](crate::number::bounded::Bounded) (reference and rounding bound at once).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrayvec::ArrayVec;

use crate::error::{Error, Result};
use crate::kernels::{MAX_OPERANDS, Read, StepAt};
use crate::number::loops::PARALLEL_WORK;
use crate::number::pool;
use crate::number::scalar::Scalar;
use crate::plan::{BufferSpec, Op, Payload, View};

/// Contents of a buffer.
#[derive(Debug, Clone)]
enum Contents<F> {
    Floats(Vec<F>),
    Words(Vec<u32>),
}

/// The buffers of a plan in host memory, and the loop that runs its ops on the twins.
#[derive(Debug)]
pub(crate) struct CpuExecutor<F> {
    buffers: Vec<Contents<F>>,
}

/// A vector of zeros, or a typed error instead of an abort.
fn zeros<T: Clone>(len: u64, zero: T, name: &str) -> Result<Vec<T>> {
    let fail = || {
        Error::out_of_memory(
            name,
            len.saturating_mul(size_of::<T>() as u64),
            None,
            "use a smaller network or a smaller batch",
        )
    };
    let len = usize::try_from(len).map_err(|_| fail())?;
    let mut x = Vec::new();
    x.try_reserve_exact(len).map_err(|_| fail())?;
    x.resize(len, zero);
    Ok(x)
}

/// Bytes of host memory that are available, where the system says.
fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Whether the buffers fit. The system would grant them, and end the process when they are touched.
fn check_memory<'a, F>(specs: impl Iterator<Item = &'a BufferSpec>, rows: u64) -> Result<()> {
    let elements = specs
        .map(|spec| spec.len(rows))
        .fold(0, u64::saturating_add);
    let need = elements.saturating_mul(size_of::<F>() as u64);
    let have = available_memory();
    if have.is_some_and(|have| need > have) {
        return Err(Error::out_of_memory(
            "the network in host memory",
            need,
            have,
            "use a smaller network or a smaller batch",
        ));
    }
    Ok(())
}

impl<F: Scalar> CpuExecutor<F> {
    /// Buffers for at most `rows` rows, zeroed.
    pub fn new(specs: &[BufferSpec], rows: u64) -> Result<Self> {
        check_memory::<F>(specs.iter(), rows)?;
        let buffers = specs
            .iter()
            .map(|spec| Self::allocate(spec, rows))
            .collect::<Result<_>>()?;
        Ok(Self { buffers })
    }

    fn allocate(spec: &BufferSpec, rows: u64) -> Result<Contents<F>> {
        Ok(Contents::Floats(zeros(
            spec.len(rows),
            F::of(0.0),
            &spec.name,
        )?))
    }

    /// Reallocates what depends on the number of rows.
    pub fn resize(&mut self, specs: &[BufferSpec], rows: u64) -> Result<()> {
        check_memory::<F>(specs.iter().filter(|spec| spec.per_row), rows)?;
        for (buffer, spec) in self.buffers.iter_mut().zip(specs) {
            if spec.per_row {
                *buffer = Self::allocate(spec, rows)?;
            }
        }
        Ok(())
    }

    /// Copies `payload` to the beginning of a view.
    pub fn write(&mut self, view: View, payload: Payload<'_>) {
        let at = view.offset as usize;
        let buffer = &mut self.buffers[view.buffer];
        // Targets may be numbers in one batch and class indices in the next.
        match (&*buffer, payload) {
            (Contents::Floats(x), Payload::Words(_)) => *buffer = Contents::Words(vec![0; x.len()]),
            (Contents::Words(x), Payload::Floats(_)) => {
                *buffer = Contents::Floats(vec![F::of(0.0); x.len()]);
            }
            _ => {}
        }
        match (buffer, payload) {
            (Contents::Floats(x), Payload::Floats(data)) => {
                F::copy(&mut x[at..at + data.len()], data);
            }
            (Contents::Words(x), Payload::Words(data)) => {
                x[at..at + data.len()].copy_from_slice(data);
            }
            _ => unreachable!("the storage was made to fit above"),
        }
    }

    /// Sets the numbers of a view.
    pub fn set(&mut self, view: View, values: impl Iterator<Item = F>) {
        let Contents::Floats(x) = &mut self.buffers[view.buffer] else {
            unreachable!("a buffer of words has no numbers")
        };
        for (x, value) in x[view.range()].iter_mut().zip(values) {
            *x = value;
        }
    }

    /// The numbers of a view.
    pub fn floats(&self, view: View) -> &[F] {
        match &self.buffers[view.buffer] {
            Contents::Floats(x) => &x[view.range()],
            Contents::Words(_) => unreachable!("a buffer of words has no numbers"),
        }
    }

    /// Copies a batch in and runs ops in order, once for each step.
    pub fn submit(&mut self, ops: &[Op], steps: &[StepAt], uploads: &[(View, Payload<'_>)]) {
        for &(view, payload) in uploads {
            self.write(view, payload);
        }
        self.in_pool(ops, |this| {
            for at in steps {
                for op in ops {
                    this.run_op(op, at);
                }
            }
        });
    }

    /// Runs `f` on a thread of the pool where `ops` are work for the pool: entering it for every op takes longer than many an op.
    fn in_pool(&mut self, ops: &[Op], f: impl FnOnce(&mut Self) + Send) {
        let work: u64 = ops.iter().map(|op| op.call.cost().flops).sum();
        if work > 64 * PARALLEL_WORK as u64 {
            pool::awake(|| f(self));
        } else {
            f(self);
        }
    }

    /// Copies rows of a data set to the beginning of a view.
    pub fn gather<'a>(&mut self, view: View, rows: &[u32], row: impl Fn(usize) -> Payload<'a>) {
        let mut at = view;
        for &r in rows {
            let payload = row(r as usize);
            self.write(at, payload);
            at.offset += (payload.bytes().len() / 4) as u64;
        }
    }

    fn run_op(&mut self, op: &Op, at: &StepAt) {
        // What an op writes is taken out of the list while it runs; the plan never lets one read a buffer it writes. Nothing
        // here allocates.
        let mut taken: ArrayVec<(usize, Vec<F>), MAX_OPERANDS> = ArrayVec::new();
        for view in &op.writes {
            if taken.iter().all(|(buffer, _)| *buffer != view.buffer) {
                match &mut self.buffers[view.buffer] {
                    Contents::Floats(x) => taken.push((view.buffer, std::mem::take(x))),
                    Contents::Words(_) => unreachable!("no kernel of a plan writes words"),
                }
            }
        }
        // A user's function may panic: the buffers go back all the same.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let reads: ArrayVec<Read<'_, F>, MAX_OPERANDS> = op
                .reads
                .iter()
                .map(|view| match &self.buffers[view.buffer] {
                    Contents::Floats(x) => Read::Floats(&x[view.range()]),
                    Contents::Words(x) => Read::Words(&x[view.range()]),
                })
                .collect();
            let mut writes: ArrayVec<(usize, &mut [F]), MAX_OPERANDS> = ArrayVec::new();
            for (buffer, contents) in &mut taken {
                split(*buffer, contents, &op.writes, &mut writes);
            }
            writes.sort_unstable_by_key(|(operand, _)| *operand);
            let mut writes: ArrayVec<&mut [F], MAX_OPERANDS> =
                writes.into_iter().map(|(_, x)| x).collect();
            op.call.run_twin(at, &op.activation, &reads, &mut writes);
        }));
        for (buffer, contents) in taken {
            self.buffers[buffer] = Contents::Floats(contents);
        }
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }
}

/// Splits a buffer into the disjoint views that an op writes, each with its operand's index.
fn split<'a, F>(
    buffer: usize,
    mut rest: &'a mut [F],
    views: &[View],
    out: &mut ArrayVec<(usize, &'a mut [F]), MAX_OPERANDS>,
) {
    let mut mine: ArrayVec<(usize, &View), MAX_OPERANDS> = views
        .iter()
        .enumerate()
        .filter(|(_, view)| view.buffer == buffer)
        .collect();
    mine.sort_unstable_by_key(|(_, view)| view.offset);
    let mut at = 0;
    for (operand, view) in mine {
        let range = view.range();
        let (head, tail) = rest.split_at_mut(range.end - at);
        out.push((operand, &mut head[range.start - at..]));
        at = range.end;
        rest = tail;
    }
}
