//! Where rows are cut into batches.

use std::ops::Range;

/// How rows are cut into batches of one size, the last of which has what is left. Every cut is made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Rows of a batch, at least 1.
    size: usize,
    /// Whether a last batch of a single row goes into the one before it, as batch normalisation needs it.
    joined: bool,
}

impl Cut {
    pub fn new(size: usize, joined: bool) -> Self {
        debug_assert!(size > 0);
        Self {
            size,
            // Batches of one row each are not to be mended.
            joined: joined && size > 1,
        }
    }

    /// Rows of the next batch where so many are left.
    pub fn next(self, left: usize) -> usize {
        if self.joined && left == self.size + 1 {
            left
        } else {
            self.size.min(left)
        }
    }

    /// Batches of so many rows.
    pub fn count(self, rows: usize) -> usize {
        rows.div_ceil(self.size) - usize::from(self.joins(rows))
    }

    /// Rows of the largest batch of so many rows.
    pub fn largest(self, rows: usize) -> usize {
        self.size.min(rows) + usize::from(self.joins(rows))
    }

    /// Rows of the first `batches` batches of so many rows.
    pub fn first(self, batches: usize, rows: usize) -> usize {
        let end = self.size.saturating_mul(batches).min(rows);
        if self.joined && batches > 0 && rows - end == 1 {
            rows
        } else {
            end
        }
    }

    /// The batches, one after the other. A range of an epoch that begins with a batch and ends with one is cut as the epoch is.
    pub fn ranges(self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut at = rows.start;
        std::iter::from_fn(move || {
            let batch = self.next(rows.end - at);
            at += batch;
            (batch > 0).then_some(at - batch..at)
        })
    }

    fn joins(self, rows: usize) -> bool {
        self.joined && rows > self.size && rows % self.size == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_last_batch_of_one_row_is_joined() {
        let sizes = |rows: usize, size, joined| -> Vec<usize> {
            let cut = Cut::new(size, joined);
            let ranges: Vec<Range<usize>> = cut.ranges(7..7 + rows).collect();
            assert!(ranges.iter().all(|range| range.start >= 7));
            let sizes: Vec<usize> = ranges.iter().map(Range::len).collect();
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert_eq!(cut.count(rows), sizes.len(), "{rows} rows by {size}");
            assert_eq!(cut.largest(rows), *sizes.iter().max().unwrap());
            for n in 0..=sizes.len() {
                assert_eq!(cut.first(n, rows), sizes[..n].iter().sum::<usize>());
            }
            assert_eq!(cut.first(usize::MAX, rows), rows);
            sizes
        };
        assert_eq!(sizes(65, 64, true), [65]);
        assert_eq!(sizes(65, 64, false), [64, 1]);
        assert_eq!(sizes(129, 64, true), [64, 65]);
        assert_eq!(sizes(130, 64, true), [64, 64, 2]);
        assert_eq!(sizes(128, 64, true), [64, 64]);
        assert_eq!(sizes(63, 64, true), [63]);
        assert_eq!(sizes(1, 64, true), [1]);
        assert_eq!(sizes(5, 2, true), [2, 3]);
        assert_eq!(sizes(3, 1, true), [1, 1, 1]);
        for rows in 1..40 {
            for size in 1..40 {
                let (plain, joined) = (sizes(rows, size, false), sizes(rows, size, true));
                let single = size > 1 && plain.len() > 1 && plain.ends_with(&[1]);
                if single {
                    assert!(!joined.contains(&1), "{rows} rows by {size}");
                } else {
                    assert_eq!(plain, joined);
                }
            }
        }
    }
}
