//! Data larger than memory, in pieces.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::{Cut, Dataset, order};
use crate::error::{Error, Result};

/// Rows that are read as they are asked for: [`Prepared`](crate::Prepared) data, a [`DataFile`](crate::DataFile) of arrays, or a
/// [`Dataset`], which is in memory anyway. Your own kind of file, too.
pub trait Source: fmt::Debug {
    /// Rows.
    fn rows(&self) -> usize;

    /// These rows, which follow one another.
    ///
    /// # Errors
    /// [`Error::Argument`] if the range is empty or beyond the rows; what else can be wrong with them.
    fn read(&self, rows: Range<usize>) -> Result<Dataset>;
}

impl Source for Dataset {
    fn rows(&self) -> usize {
        Dataset::rows(self)
    }

    fn read(&self, rows: Range<usize>) -> Result<Dataset> {
        super::array::check_rows("the data set", &rows, Dataset::rows(self))?;
        Ok(self.select(&rows.collect::<Vec<_>>()))
    }
}

impl Source for super::DataFile {
    fn rows(&self) -> usize {
        super::DataFile::rows(self)
    }

    fn read(&self, rows: Range<usize>) -> Result<Dataset> {
        self.dataset(rows, 1.0)
    }
}

/// Batches of a [`Source`], of which no more than a window of rows is in memory.
///
/// A window that holds the whole source gives the batches of [`Dataset::batches`], shuffled alike. A smaller one, when it is
/// shuffled, is put together from blocks of rows that follow one another, 16 where the window can be cut so, taken from places
/// all over the source, and shuffled within: wider windows mix better. The rows that do not fill a block are in the last one.
/// Each epoch wants a seed of its own.
///
/// ```
/// # use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Stream, Trainer};
/// # let source = Dataset::classes(Matrix::new(1, vec![0.0; 100])?, vec![0; 100])?;
/// # let mut trainer = Trainer::new(&Device::cpu(), &Mlp::new(1).dense(2, Identity), Loss::CrossEntropy, Sgd::default(), 7)?;
/// for epoch in 0..3 {
///     for batch in Stream::new(&source, 8, 64)?.shuffled(epoch) {
///         trainer.step(&batch?)?;
///     }
/// }
/// assert_eq!(trainer.steps(), 3 * 13);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// On a GPU, batches as large as a window, each given to [`Trainer::load`](crate::Trainer::load) and then to
/// [`Trainer::epoch`](crate::Trainer::epoch) with the batch size that training shall have, save submissions.
#[derive(Debug)]
pub struct Stream<'a> {
    source: &'a dyn Source,
    batch: usize,
    cut: Cut,
    window: usize,
    seed: Option<u64>,
    /// Parts of the source that are yet to come, a window's at a time.
    windows: VecDeque<Vec<Range<usize>>>,
    started: bool,
    /// Rows in memory, and those of them that are yet to come, in order.
    rows: Option<Dataset>,
    order: VecDeque<usize>,
}

/// Blocks in a window that is shuffled.
const BLOCKS: usize = 16;

impl<'a> Stream<'a> {
    /// Batches of `batch` rows, in order, through a window of `window` rows, rounded down to whole batches. The last batch has
    /// what is left.
    ///
    /// # Errors
    /// [`Error::BatchSize`] if the batch is empty or larger than the source; [`Error::Argument`] if the window is smaller
    /// than a batch.
    pub fn new(source: &'a dyn Source, batch: usize, window: usize) -> Result<Self> {
        let rows = source.rows();
        if batch == 0 || batch > rows {
            return Err(Error::BatchSize { batch, rows });
        }
        if window < batch {
            let name = "the window of a stream";
            let allowed = format!("at least a batch, {batch} rows");
            return Err(Error::argument(name, format!("{window} rows"), allowed));
        }
        Ok(Self {
            source,
            batch,
            cut: Cut::new(batch, false),
            window,
            seed: None,
            windows: VecDeque::new(),
            started: false,
            rows: None,
            order: VecDeque::new(),
        })
    }

    /// In a random order, the same for the same seed on every machine.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// A last batch of a single row goes into the batch before it: [`Batches::joined`](super::Batches::joined). The last window
    /// may have a row more then.
    #[must_use]
    pub fn joined(mut self) -> Self {
        self.cut = Cut::new(self.batch, true);
        self
    }

    fn plan(&mut self) {
        let rows = self.source.rows();
        if self.window >= rows {
            self.windows = VecDeque::from([vec![0..rows; 1]]);
            return;
        }
        let whole = self.window / self.batch * self.batch;
        // Windows of blocks alike are whole batches too.
        let most = if self.seed.is_some() { BLOCKS } else { 1 };
        let parts = (1..=most).rev().find(|n| whole.is_multiple_of(*n));
        let block = whole / parts.unwrap_or(1);
        let blocks = rows / block;
        let parts = order(blocks, self.seed).into_iter();
        let mut parts: Vec<_> = parts.map(|b| b * block..(b + 1) * block).collect();
        if blocks * block < rows {
            parts.push(blocks * block..rows);
        }
        self.windows = parts.chunks(whole / block).map(<[_]>::to_vec).collect();
        // Windows are whole batches: a row that is left over would be a window of its own.
        if self.cut.count(rows) < rows.div_ceil(self.batch) {
            let rows = |parts: &Vec<Range<usize>>| parts.iter().map(Range::len).sum::<usize>();
            let single = self.windows.back().is_some_and(|parts| rows(parts) == 1);
            if single && let Some(last) = self.windows.pop_back() {
                match self.windows.back_mut() {
                    Some(before) => before.extend(last),
                    None => self.windows.push_back(last),
                }
            }
        }
    }

    /// Reads the next window, if there is one.
    fn fill(&mut self) -> Result<bool> {
        let Some(parts) = self.windows.pop_front() else {
            return Ok(false);
        };
        // The former window goes before the next one comes.
        self.rows = None;
        let mut rows: Option<Dataset> = None;
        for part in &parts {
            let next = self.source.read(part.clone())?;
            match &mut rows {
                None => rows = Some(next),
                Some(rows) => rows.append(&next)?,
            }
        }
        let count = rows.as_ref().map_or(0, Dataset::rows);
        // Of one seed, each window has another order; a single one has that of Dataset::batches.
        let left = self.windows.len() as u64;
        let seed = self.seed.map(|seed| seed.wrapping_add(left << 32));
        self.order = order(count, seed).into();
        self.rows = rows;
        Ok(true)
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<Dataset>;

    fn next(&mut self) -> Option<Result<Dataset>> {
        if !self.started {
            self.started = true;
            self.plan();
        }
        while self.order.is_empty() {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.windows.clear();
                    return Some(Err(error));
                }
            }
        }
        let rows = self.rows.as_ref()?;
        let batch = self.order.drain(..self.cut.next(self.order.len()));
        Some(Ok(rows.select(&batch.collect::<Vec<_>>())))
    }
}
