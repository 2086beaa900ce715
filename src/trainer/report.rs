//! Metrics over a data set.

use super::{Trainer, check_batch};
use crate::data::Dataset;
use crate::error::Result;
use crate::metrics::{Report, Sums};

impl Trainer {
    /// Loss and all metrics over a data set, with the weights as they are: of class indices accuracy, log loss, confusion
    /// matrix, precision, recall, F1 and, with two classes, ROC-AUC; of values R², MAE and RMSE. Reads all outputs back,
    /// some rows at a time; [`evaluate`](Self::evaluate) tells less and costs less.
    ///
    /// ```
    /// # use wgrad::{Activation::*, Dataset, Device, Loss, Matrix, Mlp, Sgd, Trainer};
    /// # let test = Dataset::classes(Matrix::new(1, vec![0.0; 4])?, vec![0, 1, 0, 1])?;
    /// # let network = Mlp::new(1).dense(2, Identity);
    /// # let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::CrossEntropy, Sgd::default(), 7)?;
    /// let report = trainer.report(&test)?.named(&["ham", "spam"]);
    /// println!("{report}"); // a table
    /// let f1 = report.classification().unwrap().scores.macro_average.f1;
    /// # assert!(f1 > 0.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// Rows with [weights](Dataset::with_weights) count by them in the evaluation; the other metrics count rows.
    ///
    /// # Errors
    /// As [`step`](Self::step) if the data does not fit; [`Error::Value`](crate::Error::Value) if an output is not finite.
    pub fn report(&mut self, data: &Dataset) -> Result<Report> {
        pollster::block_on(self.report_async(data))
    }

    /// [`report`](Self::report) for asynchronous code.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub async fn report_async(&mut self, data: &Dataset) -> Result<Report> {
        check_batch(&self.plan, data)?;
        let mut sums = Sums::new(data, &self.plan);
        let evaluation = self.evaluate_into(data, Some(&mut sums)).await?;
        Ok(sums.finish(evaluation))
    }
}
