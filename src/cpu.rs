//! The CPU executor: runs a plan on the twins, in f32 (the CPU path), f64 (the reference) or
//! [`Bounded`](crate::bounded::Bounded) (reference and rounding bound at once).

mod pool;

pub(crate) use pool::threads;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrayvec::ArrayVec;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernels::{Call, MAX_OPERANDS, Read, StepAt};
use crate::plan::{BufferSpec, Op, Payload, View};
use crate::scalar::{Mat, Scalar};

/// Scalar operations below which a loop stays on the calling thread: waking the pool costs microseconds.
const PARALLEL_WORK: usize = 32_768;

/// Rows a thread takes at a time, so that each takes enough work.
fn rows_per_task(work_per_row: usize) -> usize {
    (PARALLEL_WORK / 4 / work_per_row.max(1)).max(1)
}

/// Runs `f`, where it works on f32, compiled for this machine's vectors, as far as it is inlined here: the crate itself is built
/// for any machine's. The numbers are the same; nothing is contracted or reordered.
#[inline(always)]
pub(crate) fn vectorised<F: Scalar, R>(f: impl FnOnce() -> R) -> R {
    if F::IS_F32 {
        pulp::Arch::new().dispatch(f)
    } else {
        f()
    }
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
        vectorised::<F, _>(
            #[inline(always)]
            || {
                for (r, row) in x.chunks_mut(stride).take(rows).enumerate() {
                    f(r, row);
                }
            },
        );
    } else {
        x.par_chunks_mut(stride)
            .take(rows)
            .enumerate()
            .with_min_len(rows_per_task(work_per_row))
            .for_each(|(r, row)| {
                vectorised::<F, _>(
                    #[inline(always)]
                    || f(r, row),
                )
            });
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
        vectorised::<F, _>(
            #[inline(always)]
            || {
                for (r, (x, y)) in both.take(rows).enumerate() {
                    f(r, x, y);
                }
            },
        );
    } else {
        x.par_chunks_mut(x_stride)
            .zip(y.par_chunks_mut(y_stride))
            .take(rows)
            .enumerate()
            .with_min_len(rows_per_task(work_per_row))
            .for_each(|(r, (x, y))| {
                vectorised::<F, _>(
                    #[inline(always)]
                    || f(r, x, y),
                )
            });
    }
}

/// Declares an elementwise loop over its first operand's length, in parallel blocks where it pays. It tells whether `f` was
/// true for every element.
macro_rules! each {
    ($(#[$doc:meta])* $name:ident, ($($out:ident),+), ($($input:ident),+)) => {
        $(#[$doc])*
        pub(crate) fn $name<F: Scalar>(
            $($out: &mut [F],)+
            $($input: &[F],)+
            f: impl Fn($(each!(@mut $out),)+ $(each!(@val $input)),+) -> bool + Sync,
        ) -> bool {
            const BLOCK: usize = PARALLEL_WORK / 4;
            #[allow(unused_variables)]
            let n = each!(@first $($out),+).len();
            $(let $out = &mut $out[..n];)+
            $(let $input = &$input[..n];)+
            let block = |($($out,)+ $($input,)+): ($(each!(@slice_mut $out),)+ $(each!(@slice $input),)+)| {
                let n = each!(@first $($out),+).len();
                $(let $out = &mut $out[..n];)+
                $(let $input = &$input[..n];)+
                vectorised::<F, _>(#[inline(always)] || {
                    // No branch, so that the loop can be vectorised.
                    let mut all = true;
                    for i in 0..n {
                        all &= f($(&mut $out[i],)+ $($input[i]),+);
                    }
                    all
                })
            };
            if n < PARALLEL_WORK {
                block(($($out,)+ $($input,)+))
            } else {
                ($($out.par_chunks_mut(BLOCK),)+ $($input.par_chunks(BLOCK),)+)
                    .into_par_iter()
                    .map(block)
                    .reduce(|| true, |a, b| a & b)
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
    finish: impl Fn(usize, usize, &mut [f32]) + Sync,
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
    let threads = if m * n * k < 64 * PARALLEL_WORK {
        1
    } else {
        rayon::current_num_threads()
    };
    let by_columns = !accumulate && b.row_stride == 1 && a.col_stride == 1;
    let target = Target(c.as_mut_ptr(), c_stride);
    let (down, across) = parts(threads, m, n, a.row_stride < a.col_stride);
    if down * across == 1 {
        let parallelism = if threads == 1 {
            gemm::Parallelism::None
        } else {
            gemm::Parallelism::Rayon(0)
        };
        gemm_part(target, 0..m, 0..n, k, a, b, accumulate, parallelism);
        for_rows(c, c_stride, m, 4 * n, |r, row| finish(r, 0, &mut row[..n]));
        return;
    }
    let part = |count: usize, parts: usize, i: usize| {
        // On whole vectors.
        let at = |i: usize| (count * i / parts).next_multiple_of(16).min(count);
        at(i)..if i + 1 == parts { count } else { at(i + 1) }
    };
    (0..down * across).into_par_iter().for_each(|i| {
        let rows = part(m, down, i / across);
        let cols = part(n, across, i % across);
        if by_columns && cols.len() > rows.len() {
            gemm_by_columns(target, rows.clone(), cols.clone(), k, a, b);
        } else {
            let parallelism = gemm::Parallelism::None;
            gemm_part(
                target,
                rows.clone(),
                cols.clone(),
                k,
                a,
                b,
                accumulate,
                parallelism,
            );
        }
        vectorised::<f32, _>(
            #[inline(always)]
            || {
                for r in rows {
                    finish(r, cols.start, target.row(r, cols.clone()));
                }
            },
        );
    });
}

/// Most threads among which a product is divided here, and not by gemm.
const MOST_PARTS: usize = 8;

/// Into how many parts C's rows and columns are divided, one part a thread: (1, 1) leaves that to gemm, which shares its packed
/// operands between threads and so wins with many of them, but on few threads loses up to half to its synchronisation.
/// (Measured on two: 64×128×784 80 GFLOP/s by gemm's threads, 188 in two parts; 1024³ the same.)
fn parts(threads: usize, m: usize, n: usize, a_is_transposed: bool) -> (usize, usize) {
    if threads == 1 || threads > MOST_PARTS {
        return (1, 1);
    }
    // The side that is divided, so that no thread packs what another does: of δᵀ·a its rows, else the columns. (Measured too.)
    let least = 32;
    if a_is_transposed {
        let down = threads.min(m.div_ceil(least));
        (down, (threads / down).min(n.div_ceil(least)).max(1))
    } else {
        let across = threads.min(n.div_ceil(least));
        ((threads / across).min(m.div_ceil(least)).max(1), across)
    }
}

/// C of a product: its first element and its row stride.
#[derive(Clone, Copy)]
struct Target(*mut f32, usize);

#[expect(unsafe_code, reason = "threads write disjoint parts of one matrix")]
// SAFETY: gemm_f32 hands every thread rows and columns that no other one has.
unsafe impl Send for Target {}
#[expect(unsafe_code, reason = "threads write disjoint parts of one matrix")]
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// Columns of a row.
    #[expect(unsafe_code, reason = "threads write disjoint parts of one matrix")]
    fn row<'a>(self, r: usize, cols: std::ops::Range<usize>) -> &'a mut [f32] {
        // SAFETY: gemm_f32 asserted that the row exists, borrows c for as long as its threads run, and gives each thread rows and
        // columns that no other one has.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(r * self.1 + cols.start), cols.len()) }
    }
}

/// Rows and columns of a product. The caller has seen that they, and the operands' elements for them, exist.
#[allow(clippy::too_many_arguments)]
fn gemm_part(
    Target(c, c_stride): Target,
    rows: std::ops::Range<usize>,
    cols: std::ops::Range<usize>,
    k: usize,
    a: Mat<'_, f32>,
    b: Mat<'_, f32>,
    accumulate: bool,
    parallelism: gemm::Parallelism,
) {
    if rows.is_empty() || cols.is_empty() {
        return;
    }
    let a_first = if k == 0 { 0 } else { rows.start * a.row_stride };
    let b_first = if k == 0 { 0 } else { cols.start * b.col_stride };
    let (a_data, b_data) = (&a.data[a_first..], &b.data[b_first..]);
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers and strides; its only interface"
    )]
    // SAFETY: every element that gemm may touch lies inside the slices, as gemm_f32 asserted; c is borrowed mutably there, so it
    // overlaps neither a nor b, and no other thread has these rows and columns.
    unsafe {
        gemm::gemm(
            rows.len(),
            cols.len(),
            k,
            c.add(rows.start * c_stride + cols.start),
            1,
            c_stride as isize,
            accumulate,
            a_data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b_data.as_ptr(),
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

/// [`gemm_part`] for x·Wᵀ: column after column, then transposed. gemm packs the operand that lies along C's contiguous side, and
/// slowly where, as here, both lie along k. By columns that is x, of which there is less than of W. (Measured on one thread:
/// 256×512×1024 165 to 198 GFLOP/s, 16×512×1024 40 to 117.)
fn gemm_by_columns(
    target: Target,
    rows: std::ops::Range<usize>,
    cols: std::ops::Range<usize>,
    k: usize,
    a: Mat<'_, f32>,
    b: Mat<'_, f32>,
) {
    thread_local! {
        static COLUMNS: std::cell::RefCell<Vec<f32>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let (m, n) = (rows.len(), cols.len());
    COLUMNS.with_borrow_mut(|columns| {
        if columns.len() < m * n {
            columns.resize(m * n, 0.0);
        }
        // Bᵀ·Aᵀ, whose rows are the columns of C.
        let weight = Mat::rows(&b.data[cols.start * b.col_stride..], b.col_stride);
        let x = Mat {
            data: &a.data[rows.start * a.row_stride..],
            row_stride: 1,
            col_stride: a.row_stride,
        };
        let whole = Target(columns.as_mut_ptr(), m);
        gemm_part(
            whole,
            0..n,
            0..m,
            k,
            weight,
            x,
            false,
            gemm::Parallelism::None,
        );
        // In blocks, which stay in registers and in the nearest cache.
        const BLOCK: usize = 16;
        for i in (0..m).step_by(BLOCK) {
            let height = BLOCK.min(m - i);
            for j in (0..n).step_by(BLOCK) {
                let width = BLOCK.min(n - j);
                let mut block = [[0.0; BLOCK]; BLOCK];
                for (j, column) in (j..).zip(&mut block[..width]) {
                    column[..height].copy_from_slice(&columns[j * m + i..][..height]);
                }
                for r in 0..height {
                    let first = cols.start + j;
                    let row = target.row(rows.start + i + r, first..first + width);
                    for (x, column) in row.iter_mut().zip(&block) {
                        *x = column[r];
                    }
                }
            }
        }
    });
}

/// [`Scalar::column_sums`] in f32: row after row, so that the loop can be vectorised.
pub(crate) fn column_sums_f32(
    out: &mut [f32],
    x: &[f32],
    stride: usize,
    rows: usize,
    accumulate: bool,
) {
    if !accumulate {
        out.fill(0.0);
    }
    vectorised::<f32, _>(
        #[inline(always)]
        || {
            for row in x.chunks(stride).take(rows) {
                for (sum, x) in out.iter_mut().zip(row) {
                    *sum += x;
                }
            }
        },
    );
}

/// [`Scalar::sums_over_rows`] in f32: blocks of columns, each row after row, so that the loop can be vectorised.
pub(crate) fn sums_over_rows_f32(
    out: &mut [f32],
    rows: usize,
    f: impl Fn(usize, usize) -> f32 + Sync,
) {
    const BLOCK: usize = 64;
    let blocks = out.len().div_ceil(BLOCK);
    for_rows(out, BLOCK, blocks, 4 * BLOCK * rows, |block, out| {
        out.fill(0.0);
        for r in 0..rows {
            for (i, sum) in out.iter_mut().enumerate() {
                *sum += f(r, block * BLOCK + i);
            }
        }
    });
}

/// [`Scalar::dot_in_lanes`] in f32.
pub(crate) fn dot_f32(k: usize, at: impl Fn(usize) -> (f32, f32)) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = k / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            let (a, b) = at(first + i);
            *lane += a * b;
        }
    }
    let mut rest = 0.0;
    for i in whole..k {
        let (a, b) = at(i);
        rest += a * b;
    }
    rest + lanes.iter().sum::<f32>()
}

/// Independent sums or maxima, so that the loop can be vectorised.
const LANES: usize = 16;

/// [`Scalar::sum_of`] in f32.
pub(crate) fn sum_f32(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    rest + lanes.iter().sum::<f32>()
}

/// [`Scalar::max_of`] in f32. NaNs are not seen here.
pub(crate) fn max_f32(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::MIN; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks
        .remainder()
        .iter()
        .fold(f32::MIN, |m, &x| larger(m, x));
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    lanes.iter().fold(rest, |m, &x| larger(m, x))
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
                F::copy(&mut x[at..at + data.len()], data);
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
        self.in_pool(ops, |this| {
            for at in steps {
                for op in ops {
                    this.run_op(op, op.call.at(at));
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

    /// Runs ops in order.
    pub fn run(&mut self, ops: &[Op]) {
        self.in_pool(ops, |this| {
            for op in ops {
                this.run_op(op, op.call);
            }
        });
    }

    fn run_op(&mut self, op: &Op, call: Call) {
        // What an op writes is taken out of the list while it runs; the plan never lets one read a buffer it writes. Nothing
        // here allocates.
        let mut taken: ArrayVec<(usize, Vec<F>), MAX_OPERANDS> = ArrayVec::new();
        for view in &op.writes {
            if taken.iter().all(|(buffer, _)| *buffer != view.buffer) {
                match &mut self.buffers[view.buffer] {
                    Storage::Floats(x) => taken.push((view.buffer, std::mem::take(x))),
                    Storage::Words(_) => unreachable!("no kernel of a plan writes words"),
                }
            }
        }
        // A user's function may panic: the buffers go back all the same.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let reads: ArrayVec<Read<'_, F>, MAX_OPERANDS> = op
                .reads
                .iter()
                .map(|view| match &self.buffers[view.buffer] {
                    Storage::Floats(x) => Read::Floats(&x[view.range()]),
                    Storage::Words(x) => Read::Words(&x[view.range()]),
                })
                .collect();
            let mut writes: ArrayVec<(usize, &mut [F]), MAX_OPERANDS> = ArrayVec::new();
            for (buffer, contents) in &mut taken {
                split(*buffer, contents, &op.writes, &mut writes);
            }
            writes.sort_unstable_by_key(|(operand, _)| *operand);
            let mut writes: ArrayVec<&mut [F], MAX_OPERANDS> =
                writes.into_iter().map(|(_, x)| x).collect();
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
