//! Names of classes and their indices.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::table::number;
use super::wording::{listed, nearest};
use crate::error::{Error, Result};

/// The classes of a target, or the categories of an input, each with its index from 0. Their order is that of numbers if all
/// names are numbers, else of text, so that it does not depend on the order of the rows. Numbers are the same however they are
/// written: `1` and `1.0` are one class.
///
/// ```
/// let classes = wgrad::ClassMap::new(["setosa", "virginica", "setosa"])?;
/// assert_eq!(classes.index("virginica"), Some(1));
/// assert_eq!(classes.name(0), Some("setosa"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct ClassMap {
    names: Vec<String>,
    /// The names as numbers, if all are.
    numbers: Option<Vec<f64>>,
}

impl ClassMap {
    /// The classes of these names, each as often as it comes.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Err(Error::EmptyData {
                what: "a list of classes".into(),
            });
        }
        let finite = |name: &String| number(name).filter(|x| x.is_finite());
        // Minus zero is zero.
        let value = |name: &String| finite(name).unwrap_or_default() + 0.0;
        let numeric = names.iter().all(|name| finite(name).is_some());
        if numeric {
            let order = |a: &String, b: &String| value(a).total_cmp(&value(b));
            names.sort_by(|a, b| order(a, b).then_with(|| a.len().cmp(&b.len())));
            names.dedup_by(|a, b| order(a, b) == Ordering::Equal);
        } else {
            names.sort();
            names.dedup();
        }
        let numbers = numeric.then(|| names.iter().map(value).collect());
        Ok(Self { names, numbers })
    }

    /// Classes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The names, by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of a class.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    /// The index of a class.
    pub fn index(&self, name: &str) -> Option<usize> {
        match &self.numbers {
            Some(numbers) => {
                let x = number(name)? + 0.0;
                numbers.binary_search_by(|n| n.total_cmp(&x)).ok()
            }
            None => self.names.binary_search_by(|n| n.as_str().cmp(name)).ok(),
        }
    }

    /// The index of a class that is named by a number.
    pub fn index_of_number(&self, x: f64) -> Option<usize> {
        match &self.numbers {
            Some(numbers) => numbers.binary_search_by(|n| n.total_cmp(&(x + 0.0))).ok(),
            None => self.index(&x.to_string()),
        }
    }

    /// The names, for a message about one that is not among them.
    pub(crate) fn known(&self, name: &str) -> String {
        match nearest(name, &self.names) {
            Some(near) if self.numbers.is_none() => {
                format!("known are {} (did you mean {near:?}?)", listed(&self.names))
            }
            _ => format!("known are {}", listed(&self.names)),
        }
    }
}

impl TryFrom<Vec<String>> for ClassMap {
    type Error = Error;

    fn try_from(names: Vec<String>) -> Result<Self> {
        let count = names.len();
        let classes = Self::new(names)?;
        if classes.len() != count {
            return Err(Error::Argument {
                name: "a list of classes".into(),
                value: format!("{count} names, of which {} differ", classes.len()),
                allowed: "names that differ".into(),
            });
        }
        Ok(classes)
    }
}

impl From<ClassMap> for Vec<String> {
    fn from(classes: ClassMap) -> Self {
        classes.names
    }
}
