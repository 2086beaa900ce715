//! Loops over rows and elements, on all threads where it pays and compiled for this machine's vectors; sums in f32.

use rayon::prelude::*;

use super::scalar::Scalar;

/// Scalar operations below which a loop stays on the calling thread: waking the pool costs microseconds.
pub(crate) const PARALLEL_WORK: usize = 32_768;

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
