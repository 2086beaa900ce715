//! What stands with a model that an estimator made.

use serde::{Deserialize, Serialize};

use super::Model;
use crate::config::loss::Loss;
use crate::data::{ClassMap, Standardizer};
use crate::error::{Error, Result};
use crate::trainer::Trainer;

/// How an estimator prepares its data, as it stands with the [`Model`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "estimator", rename_all = "snake_case")]
pub(crate) enum Estimated {
    Classifier {
        classes: ClassMap,
        inputs: Option<Standardizer>,
    },
    Regressor {
        inputs: Option<Standardizer>,
        targets: Option<Standardizer>,
    },
}

impl Estimated {
    /// The model of a trainer, with this.
    pub fn model(&self, trainer: &mut Trainer) -> Result<Model> {
        let mut model = trainer.model()?;
        let value = serde_json::to_value(self);
        model.preparation = Some(value.unwrap_or_else(|e| unreachable!("lists and names: {e}")));
        Ok(model)
    }

    /// What stands with a model of an estimator, if it fits its network.
    pub fn of(model: &Model) -> Result<Self> {
        let value = model.preparation.clone().unwrap_or_default();
        let prepared: Self = serde_json::from_value(value)
            .map_err(|_| refused("it was not made by an estimator".into()))?;
        let (inputs, outputs) = (model.network().inputs(), model.network().outputs());
        let fits = |standardizer: &Option<Standardizer>, cols: usize| {
            let Some(s) = standardizer else { return true };
            let sound = |x: &f64| x.is_finite();
            s.shift.len() == cols
                && s.factor.len() == cols
                && s.shift.iter().all(sound)
                && s.factor.iter().all(|x| sound(x) && *x != 0.0)
        };
        let fits = match &prepared {
            Self::Classifier { classes, inputs: x } => {
                let logits = model.criterion().loss == Loss::CrossEntropy;
                classes.len() == outputs && logits && fits(x, inputs)
            }
            Self::Regressor { inputs: x, targets } => fits(x, inputs) && fits(targets, outputs),
        };
        match fits {
            true => Ok(prepared),
            false => Err(refused("its preparation does not fit its network".into())),
        }
    }

    /// The error where the other estimator is wanted.
    pub fn is_not(&self, wanted: &str) -> Error {
        let name = match self {
            Self::Classifier { .. } => "a classifier",
            Self::Regressor { .. } => "a regressor",
        };
        refused(format!("it is {name}, not {wanted}"))
    }
}

fn refused(problem: String) -> Error {
    let advice = "give the file that save() of such an estimator wrote, or use Model";
    Error::file("the model", problem, advice)
}
