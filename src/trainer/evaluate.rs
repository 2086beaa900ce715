//! Evaluation and prediction.

use super::{Amount, EVALUATION_ROWS, Trainer, check_batch, check_inputs, kind, weighted_sum};
use crate::data::{Dataset, Matrix};
use crate::error::{Error, Result, shortest};
use crate::kernels::StepAt;
use crate::metrics::{Evaluation, Sums};
use crate::plan::{Mode, Payload};
use crate::{metrics, tune};

impl Trainer {
    /// Loss over a data set, and accuracy where targets are class indices, with the weights as they are. Rows with
    /// [weights](Dataset::with_weights) count by them in both: Σ wᵢ·lᵢ / Σ wᵢ, and the share of Σ wᵢ that is right. Where some
    /// sum overflows f32, or −ln 0 is met, the loss is infinite or NaN.
    ///
    /// # Errors
    /// As [`step`](Self::step) if the data does not fit or weighs nothing.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        pollster::block_on(self.evaluate_async(data))
    }

    /// [`evaluate`](Self::evaluate) for asynchronous code.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Evaluation> {
        self.evaluate_into(data, None).await
    }

    /// Evaluates, and adds all outputs to what a report is made of.
    pub(super) async fn evaluate_into(
        &mut self,
        data: &Dataset,
        mut sums: Option<&mut Sums>,
    ) -> Result<Evaluation> {
        check_batch(&self.plan, data)?;
        let total = Amount::of(data);
        total.check("the data")?;
        let cols = self.plan.network.outputs();
        // Rows are weighed here, in f64.
        let kind = kind(data).unweighted();
        let (mut loss, mut right, mut first) = (0.0, 0.0, 0);
        let rows = self.evaluation_rows(data.rows())?;
        for chunk in data.batches(rows)? {
            let (rows, room) = (chunk.rows() as u32, self.room as u64);
            let mut ops = self.plan.losses(Mode::Evaluation, rows, room, kind);
            let mut views = vec![self.plan.losses_view(room).head(rows.into())];
            if sums.is_some() {
                let outputs = u64::from(rows) * cols as u64;
                views.push(self.plan.output_view(room).head(outputs));
            } else if kind.labels {
                // A number a row comes back, not all its outputs.
                ops.push(self.plan.hits(rows, room));
                views.push(self.plan.hits_view(room).head(rows.into()));
            }
            self.submit_batch(&ops, &StepAt::default(), &chunk)?;
            let read = self.executor.read_f64(&views).await?;
            loss += weighted_sum(&chunk, &read[0]);
            match (&mut sums, read.get(1)) {
                (Some(sums), Some(outputs)) => {
                    let hits = metrics::hits(outputs, cols, chunk.targets());
                    right += weighted_sum(&chunk, &hits);
                    sums.add(outputs, cols, chunk.targets(), first)?;
                }
                (None, Some(hits)) => right += weighted_sum(&chunk, hits),
                _ => {}
            }
            first += chunk.rows();
        }
        Ok(Evaluation {
            loss: loss * self.plan.criterion.batch_scale(total.weight),
            accuracy: kind.labels.then(|| right / total.weight),
            rows: data.rows(),
        })
    }

    /// How many of `rows` rows go through the network at a time, with room made for them: fewer where memory is tight, and never
    /// fewer than training has used.
    pub(super) fn evaluation_rows(&mut self, rows: usize) -> Result<usize> {
        let mut room = rows.min(EVALUATION_ROWS);
        loop {
            match self.reserve(room) {
                Ok(()) => return Ok(self.room.min(rows)),
                Err(Error::OutOfMemory { .. } | Error::Limit { .. }) if self.room > 0 => {
                    return Ok(self.room.min(rows));
                }
                Err(Error::OutOfMemory { .. } | Error::Limit { .. }) if room > 1 => room /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    /// The network's output (N, O) for inputs x (N, I): a of the last layer, so logits where that is the identity.
    ///
    /// # Errors
    /// [`Error::Shape`] if the width does not fit; [`Error::Value`] if an output is not finite; [`Error::DeviceLost`].
    pub fn predict(&mut self, x: &Matrix) -> Result<Matrix> {
        pollster::block_on(self.predict_async(x))
    }

    /// [`predict`](Self::predict) for asynchronous code.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub async fn predict_async(&mut self, x: &Matrix) -> Result<Matrix> {
        let outputs = self.predict_f64_async(x).await?;
        let cols = self.plan.network.outputs();
        let data: Vec<f32> = outputs.into_iter().map(|x| x as f32).collect();
        if let Some(i) = data.iter().position(|x| !x.is_finite()) {
            let (what, x) = ("the network's output", shortest(data[i]));
            let allowed =
                "finite: some sum overflowed f32; scale the inputs or look at the weights";
            return Err(Error::value(what, x, (i, cols), allowed));
        }
        Matrix::new(cols, data)
    }

    /// [`predict`](Self::predict) in the device's own precision: f64 on [`Device::reference`](crate::Device::reference). Row
    /// after row.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_f64(&mut self, x: &Matrix) -> Result<Vec<f64>> {
        pollster::block_on(self.predict_f64_async(x))
    }

    pub(super) async fn predict_f64_async(&mut self, x: &Matrix) -> Result<Vec<f64>> {
        check_inputs(&self.plan, x)?;
        let rows = self.evaluation_rows(x.rows())?;
        let cols = self.plan.network.outputs() as u64;
        let mut out = Vec::with_capacity(x.rows() * cols as usize);
        for chunk in x.data().chunks(rows * x.cols()) {
            let rows = (chunk.len() / x.cols()) as u32;
            let room = self.room as u64;
            let ops = self.plan.forward(Mode::Evaluation, rows, room);
            tune::prepare(&self.device, &ops)?;
            let upload = (self.plan.x_view(room), Payload::Floats(chunk));
            self.executor
                .submit(&ops, &[StepAt::default()], &[upload])?;
            let view = self.plan.output_view(room).head(u64::from(rows) * cols);
            out.extend(self.executor.read_f64(&[view]).await?.remove(0));
        }
        Ok(out)
    }
}
