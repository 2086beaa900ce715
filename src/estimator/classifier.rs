//! The classifier, once fitted.

use std::fmt::Display;
use std::ops::ControlFlow;

use super::{MlpClassifier, scaled};
use crate::config::loss::Loss;
use crate::data::{ClassMap, Dataset, Matrix, Real, Standardizer};
use crate::error::{Error, Result};
use crate::fit::{Event, Fit, History};
use crate::metrics::{Report, argmax, softmax};
use crate::trainer::Trainer;

impl MlpClassifier {
    /// Trains on inputs x (N, I) and a label each: integers, strings, anything that displays.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without rows, [`Error::Shape`] if the numbers of rows differ, [`Error::OneClass`] if all labels are
    /// the same, [`Error::Argument`] or [`Error::Network`] for an option out of range; what [`Trainer::fit`] says.
    pub fn fit<L: Display>(&self, x: &Matrix<impl Real>, labels: &[L]) -> Result<FittedClassifier> {
        self.fit_with(x, labels, |_, _| Ok(ControlFlow::Continue(())))
    }

    /// [`fit`](Self::fit) with a callback; see [`Trainer::fit_with`].
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and the callback's.
    pub fn fit_with<L: Display>(
        &self,
        x: &Matrix<impl Real>,
        labels: &[L],
        callback: impl for<'f> FnMut(&mut Fit<'f>, &Event) -> Result<ControlFlow<()>>,
    ) -> Result<FittedClassifier> {
        let names: Vec<String> = labels.iter().map(L::to_string).collect();
        let classes = ClassMap::new(names.iter().map(String::as_str))?;
        if let [class] = classes.names() {
            return Err(Error::OneClass {
                file: "the data given".into(),
                column: "labels".into(),
                class: class.clone(),
                rows: labels.len(),
            });
        }
        let inputs = self.standardizer(x)?;
        let data = Dataset::classes(scaled(&inputs, x)?, indices(&classes, &names)?)?;
        let (trainer, history) = self.train(&data, classes.len(), Loss::CrossEntropy, callback)?;
        Ok(FittedClassifier {
            classes,
            inputs,
            trainer,
            history,
        })
    }
}

/// A trained classifier, with its classes and its preparation of the inputs.
#[derive(Debug)]
pub struct FittedClassifier {
    pub(super) classes: ClassMap,
    pub(super) inputs: Option<Standardizer>,
    pub(super) trainer: Trainer,
    pub(super) history: History,
}

impl FittedClassifier {
    /// The names of the classes, by index: in the order of numbers if all are numbers, else of text.
    pub fn classes(&self) -> &[String] {
        self.classes.names()
    }

    /// The name of the most probable class of each row.
    ///
    /// # Errors
    /// [`Error::Shape`] for another width than that of the training data; [`Error::EmptyData`] without rows;
    /// [`Error::Value`] if an output is not finite.
    pub fn predict(&mut self, x: &Matrix<impl Real>) -> Result<Vec<String>> {
        let classes = self.predict_classes(x)?;
        let names = self.classes.names();
        Ok(classes.iter().map(|&c| names[c as usize].clone()).collect())
    }

    /// The index of the most probable class of each row, the first of equals.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_classes(&mut self, x: &Matrix<impl Real>) -> Result<Vec<u32>> {
        let x = self.prepare(x)?;
        let logits = self.trainer.predict(&x)?;
        let row = |r| argmax(&wide(logits.row(r))) as u32;
        Ok((0..logits.rows()).map(row).collect())
    }

    /// The probability of each class for each row, (N, C).
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_proba(&mut self, x: &Matrix<impl Real>) -> Result<Matrix> {
        let x = self.prepare(x)?;
        let logits = self.trainer.predict(&x)?;
        let row = |r| softmax(&wide(logits.row(r))).into_iter().map(|p| p as f32);
        Matrix::new(logits.cols(), (0..logits.rows()).flat_map(row).collect())
    }

    /// Share of the rows whose most probable class is the label.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); [`Error::Shape`] if the numbers of rows differ. A label that the training data did not
    /// have is never right.
    pub fn score<L: Display>(&mut self, x: &Matrix<impl Real>, labels: &[L]) -> Result<f64> {
        let predicted = self.predict_classes(x)?;
        if predicted.len() != labels.len() {
            let got = format!("{} rows", labels.len());
            let expected = format!("{} rows as x has", predicted.len());
            let advice = "every row of x needs one label";
            return Err(Error::shape("labels", got, expected, advice));
        }
        let rows = predicted.iter().zip(labels);
        let right =
            rows.filter(|(p, label)| self.classes.index(&label.to_string()) == Some(**p as usize));
        Ok(right.count() as f64 / predicted.len() as f64)
    }

    /// Loss and all metrics; see [`Trainer::report`].
    ///
    /// # Errors
    /// As [`predict`](Self::predict); [`Error::Argument`] for a label that the training data did not have.
    pub fn report<L: Display>(&mut self, x: &Matrix<impl Real>, labels: &[L]) -> Result<Report> {
        let names: Vec<String> = labels.iter().map(L::to_string).collect();
        let labels = indices(&self.classes, &names)?;
        let data = Dataset::classes(self.prepare(x)?, labels)?;
        Ok(self.trainer.report(&data)?.named(self.classes.names()))
    }
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&z| f64::from(z)).collect()
}

/// The indices of these classes.
fn indices(classes: &ClassMap, names: &[String]) -> Result<Vec<u32>> {
    let index = |(row, label): (usize, &String)| {
        let unknown = || {
            let (name, value) = (format!("the label of row {row}"), format!("{label:?}"));
            let allowed = format!("one of the training data's: {}", classes.names().join(", "));
            Error::argument(name, value, allowed)
        };
        let index = classes.index(label).map(|index| index as u32);
        index.ok_or_else(unknown)
    };
    names.iter().enumerate().map(index).collect()
}
