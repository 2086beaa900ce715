//! The CPU executor: runs a plan on the twins, in f32 (the CPU path), f64 (the reference) or
//! [`Bounded`](crate::bounded::Bounded) (reference and rounding bound at once).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernels::{Call, Read, StepAt};
use crate::plan::{BufferSpec, Op, Payload, View};
use crate::scalar::{Mat, Scalar};

/// Scalar operations below which a loop stays on the calling thread: waking the pool costs microseconds.
const PARALLEL_WORK: usize = 32_768;

/// Rows a thread takes at a time, so that each takes enough work.
fn rows_per_task(work_per_row: usize) -> usize {
    (PARALLEL_WORK / 4 / work_per_row.max(1)).max(1)
}

/// `f(r, row)` for each of `rows` rows that begin `stride` elements apart in `x`; in parallel where it pays.
pub(crate) fn for_rows<F: Scalar>(
    x: &mut [F],
    stride: usize,
    rows: usize,
    work_per_row: usize,
    f: impl Fn(usize, &mut [F]) + Sync,
) {
    if rows * work_per_row < PARALLEL_WORK {
        for (r, row) in x.chunks_mut(stride).take(rows).enumerate() {
            f(r, row);
        }
    } else {
        x.par_chunks_mut(stride)
            .take(rows)
            .enumerate()
            .with_min_len(rows_per_task(work_per_row))
            .for_each(|(r, row)| f(r, row));
    }
}

/// [`for_rows`] over two arrays at once, each with its stride.
pub(crate) fn for_rows2<F: Scalar>(
    (x, x_stride): (&mut [F], usize),
    (y, y_stride): (&mut [F], usize),
    rows: usize,
    work_per_row: usize,
    f: impl Fn(usize, &mut [F], &mut [F]) + Sync,
) {
    if rows * work_per_row < PARALLEL_WORK {
        let both = x.chunks_mut(x_stride).zip(y.chunks_mut(y_stride));
        for (r, (x, y)) in both.take(rows).enumerate() {
            f(r, x, y);
        }
    } else {
        x.par_chunks_mut(x_stride)
            .zip(y.par_chunks_mut(y_stride))
            .take(rows)
            .enumerate()
            .with_min_len(rows_per_task(work_per_row))
            .for_each(|(r, (x, y))| f(r, x, y));
    }
}

/// Declares an elementwise loop over its first operand's length, in parallel blocks where it pays.
macro_rules! each {
    ($(#[$doc:meta])* $name:ident, ($($out:ident),+), ($($input:ident),+)) => {
        $(#[$doc])*
        pub(crate) fn $name<F: Scalar>(
            $($out: &mut [F],)+
            $($input: &[F],)+
            f: impl Fn($(each!(@mut $out),)+ $(each!(@val $input)),+) + Sync,
        ) {
            const BLOCK: usize = PARALLEL_WORK / 4;
            #[allow(unused_variables)]
            let n = each!(@first $($out),+).len();
            $(let $out = &mut $out[..n];)+
            $(let $input = &$input[..n];)+
            let block = |($($out,)+ $($input,)+): ($(each!(@slice_mut $out),)+ $(each!(@slice $input),)+)| {
                let n = each!(@first $($out),+).len();
                $(let $out = &mut $out[..n];)+
                $(let $input = &$input[..n];)+
                for i in 0..n {
                    f($(&mut $out[i],)+ $($input[i]),+);
                }
            };
            if n < PARALLEL_WORK {
                block(($($out,)+ $($input,)+));
            } else {
                ($($out.par_chunks_mut(BLOCK),)+ $($input.par_chunks(BLOCK),)+)
                    .into_par_iter()
                    .for_each(block);
            }
        }
    };
    (@mut $x:ident) => { &mut F };
    (@val $x:ident) => { F };
    (@slice_mut $x:ident) => { &mut [F] };
    (@slice $x:ident) => { &[F] };
    (@first $x:ident $(, $rest:ident)*) => { $x };
}

each!(
    /// `f(x, a)` for each element.
    each1, (x), (a)
);
each!(
    /// `f(x, a, b)` for each element.
    each2r, (x), (a, b)
);
each!(
    /// `f(x, y, a)` for each element.
    each2, (x, y), (a)
);
each!(
    /// `f(x, y, z, a)` for each element.
    each3, (x, y, z), (a)
);

/// f32 `c (+)= a·b` through the `gemm` crate, on all threads where it pays; see [`Scalar::matmul`].
#[allow(clippy::too_many_arguments)]
pub(crate) fn gemm_f32(
    c: &mut [f32],
    c_stride: usize,
    m: usize,
    n: usize,
    k: usize,
    a: Mat<'_, f32>,
    b: Mat<'_, f32>,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    let last = |rows: usize, row_stride: usize, cols: usize, col_stride: usize| {
        rows.saturating_sub(1) * row_stride + cols.saturating_sub(1) * col_stride
    };
    assert!(last(m, c_stride, n, 1) < c.len());
    assert!(k == 0 || last(m, a.row_stride, k, a.col_stride) < a.data.len());
    assert!(k == 0 || last(k, b.row_stride, n, b.col_stride) < b.data.len());
    let parallelism = if m * n * k < 16 * PARALLEL_WORK {
        gemm::Parallelism::None
    } else {
        gemm::Parallelism::Rayon(0)
    };
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers and strides; its only interface"
    )]
    // SAFETY: every element that gemm may touch lies inside the slices, as asserted above, and c is borrowed mutably, so it
    // overlaps neither a nor b.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            c_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Contents of a buffer.
#[derive(Debug, Clone)]
enum Storage<F> {
    Floats(Vec<F>),
    Words(Vec<u32>),
}

/// The buffers of a plan in host memory, and the loop that runs its ops on the twins.
#[derive(Debug)]
pub(crate) struct CpuExecutor<F> {
    buffers: Vec<Storage<F>>,
}

/// A vector of zeros, or a typed error instead of an abort.
fn zeros<T: Clone>(len: u64, zero: T, name: &str) -> Result<Vec<T>> {
    let fail = || Error::OutOfMemory {
        what: name.to_owned(),
        need: len.saturating_mul(size_of::<T>() as u64),
        have: None,
        advice: "use a smaller network or a smaller batch".into(),
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
        return Err(Error::OutOfMemory {
            what: "the network in host memory".into(),
            need,
            have,
            advice: "use a smaller network or a smaller batch".into(),
        });
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

    fn allocate(spec: &BufferSpec, rows: u64) -> Result<Storage<F>> {
        Ok(Storage::Floats(zeros(
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
            (Storage::Floats(x), Payload::Words(_)) => *buffer = Storage::Words(vec![0; x.len()]),
            (Storage::Words(x), Payload::Floats(_)) => {
                *buffer = Storage::Floats(vec![F::of(0.0); x.len()]);
            }
            _ => {}
        }
        match (buffer, payload) {
            (Storage::Floats(x), Payload::Floats(data)) => {
                for (x, &d) in x[at..].iter_mut().zip(data) {
                    *x = F::of(f64::from(d));
                }
            }
            (Storage::Words(x), Payload::Words(data)) => {
                x[at..at + data.len()].copy_from_slice(data);
            }
            _ => unreachable!("the storage was made to fit above"),
        }
    }

    /// Sets the numbers of a view.
    pub fn set(&mut self, view: View, values: impl Iterator<Item = F>) {
        let Storage::Floats(x) = &mut self.buffers[view.buffer] else {
            unreachable!("a buffer of words has no numbers")
        };
        for (x, value) in x[view.range()].iter_mut().zip(values) {
            *x = value;
        }
    }

    /// The numbers of a view.
    pub fn floats(&self, view: View) -> &[F] {
        match &self.buffers[view.buffer] {
            Storage::Floats(x) => &x[view.range()],
            Storage::Words(_) => unreachable!("a buffer of words has no numbers"),
        }
    }

    /// Copies a batch in and runs ops in order.
    pub fn submit(&mut self, ops: &[Op], uploads: &[(View, Payload<'_>)]) {
        for &(view, payload) in uploads {
            self.write(view, payload);
        }
        self.run(ops);
    }

    /// [`submit`](Self::submit) for several steps.
    pub fn run_steps(&mut self, ops: &[Op], steps: &[StepAt], uploads: &[(View, Payload<'_>)]) {
        self.submit(&[], uploads);
        for at in steps {
            for op in ops {
                self.run_op(op, op.call.at(at));
            }
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

    /// Runs ops in order.
    pub fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.run_op(op, op.call);
        }
    }

    fn run_op(&mut self, op: &Op, call: Call) {
        // What an op writes is taken out of the list while it runs; the plan never lets one read a buffer it writes.
        let mut taken: Vec<(usize, Vec<F>)> = Vec::with_capacity(op.writes.len());
        for view in &op.writes {
            if taken.iter().all(|(buffer, _)| *buffer != view.buffer) {
                match &mut self.buffers[view.buffer] {
                    Storage::Floats(x) => taken.push((view.buffer, std::mem::take(x))),
                    Storage::Words(_) => unreachable!("no kernel writes words"),
                }
            }
        }
        // A user's function may panic: the buffers go back all the same.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let reads: Vec<Read<'_, F>> = op
                .reads
                .iter()
                .map(|view| match &self.buffers[view.buffer] {
                    Storage::Floats(x) => Read::Floats(&x[view.range()]),
                    Storage::Words(x) => Read::Words(&x[view.range()]),
                })
                .collect();
            let mut writes: Vec<(usize, &mut [F])> = Vec::with_capacity(op.writes.len());
            for (buffer, contents) in &mut taken {
                split(*buffer, contents, &op.writes, &mut writes);
            }
            writes.sort_by_key(|(operand, _)| *operand);
            let mut writes: Vec<&mut [F]> = writes.into_iter().map(|(_, x)| x).collect();
            call.run_twin(&op.activation, &reads, &mut writes);
        }));
        for (buffer, contents) in taken {
            self.buffers[buffer] = Storage::Floats(contents);
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
    out: &mut Vec<(usize, &'a mut [F])>,
) {
    let mut mine: Vec<(usize, &View)> = views
        .iter()
        .enumerate()
        .filter(|(_, view)| view.buffer == buffer)
        .collect();
    mine.sort_by_key(|(_, view)| view.offset);
    let mut at = 0;
    for (operand, view) in mine {
        let range = view.range();
        let (head, tail) = rest.split_at_mut(range.end - at);
        out.push((operand, &mut head[range.start - at..]));
        at = range.end;
        rest = tail;
    }
}
