//! f32 matrix products through the `gemm` crate.

use rayon::prelude::*;

use super::loops::{PARALLEL_WORK, for_rows, vectorised};
use super::scalar::Mat;

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
pub(crate) const MOST_PARTS: usize = 8;

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
