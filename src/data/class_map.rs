//! Names of classes and their indices.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::table::number;
use super::wording::{listed, nearest};
use crate::error::{Error, Result};

/// The classes of a target, or the categories of an input, each with its index from 0. Their order is that of numbers if all
/// names are numbers, else of text, so that it does not depend on the order of the rows.
///
/// A name is the text that stands in the data, to the letter: `00501` is not `501`, and two ids beyond 2⁵³ are two. Only a map of
/// [numbers](Self::numbers), of a column that was found to hold nothing else, takes `1` and `1.0` for one.
///
/// ```
/// let classes = wgrad::ClassMap::new(["setosa", "virginica", "setosa"])?;
/// assert_eq!(classes.index("virginica"), Some(1));
/// assert_eq!(classes.name(0), Some("setosa"));
/// assert_eq!(wgrad::ClassMap::new(["501", "00501"])?.len(), 2);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredClasses", into = "StoredClasses")]
pub struct ClassMap {
    names: Vec<String>,
    /// The names as numbers, in order, where the classes are numbers.
    numbers: Option<Vec<f64>>,
    /// Whether the names are in the order of numbers.
    by_number: bool,
}

/// How a map stands in a file. A list of numbers is a map of numbers, as it was before text kept its letters.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredClasses {
    Names(Vec<String>),
    /// Names that look like numbers and are none.
    Text {
        text: Vec<String>,
    },
    /// Numbers in another notation than that of a program: `1.000` for a thousand.
    Numbers {
        names: Vec<String>,
        numbers: Vec<f64>,
    },
}

/// A name as a number. Minus zero is zero.
fn finite(name: &str) -> Option<f64> {
    number(name).filter(|x| x.is_finite()).map(|x| x + 0.0)
}

/// The shortest first, then that of the alphabet.
fn by_text(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The order of names: that of numbers if all are numbers, ties and all else by text.
fn by_number(a: &str, b: &str) -> Ordering {
    let value = |name: &str| finite(name).unwrap_or_default();
    value(a).total_cmp(&value(b)).then_with(|| by_text(a, b))
}

impl ClassMap {
    /// The classes of these names, each as often as it comes. Names differ if their texts do.
    ///
    /// # Errors
    /// [`Error::EmptyData`] without names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Err(Error::empty("a list of classes"));
        }
        names.sort_unstable();
        names.dedup();
        let all_numbers = names.iter().all(|name| finite(name).is_some());
        if all_numbers {
            names.sort_by(|a, b| by_number(a, b));
        }
        Ok(Self {
            names,
            numbers: None,
            by_number: all_numbers,
        })
    }

    /// The classes of a column of numbers, from its texts and how often each stands there: texts of one number are one class,
    /// `1` and `1.0`, which has the name that stands there most often (of equals the shortest, then the first of the alphabet). If
    /// one of the texts is no number, this is [`new`](Self::new).
    ///
    /// ```
    /// let classes = wgrad::ClassMap::numbers([("1.0", 2), ("1", 1), ("2.0", 3)])?;
    /// assert_eq!(classes.names(), ["1.0", "2.0"]);
    /// assert_eq!(classes.index("1e0"), Some(0));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyData`] without names.
    pub fn numbers<S: Into<String>>(names: impl IntoIterator<Item = (S, usize)>) -> Result<Self> {
        let counted = names.into_iter().map(|(name, n)| {
            let name = name.into();
            let value = finite(&name).unwrap_or(f64::NAN);
            (name, value, n)
        });
        Self::of_numbers(counted.collect())
    }

    /// [`numbers`](Self::numbers) of texts with the numbers that they stand for, in whatever notation; a NaN is none.
    pub(crate) fn of_numbers(mut counted: Vec<(String, f64, usize)>) -> Result<Self> {
        if counted.is_empty() || counted.iter().any(|(_, x, _)| !x.is_finite()) {
            return Self::new(counted.into_iter().map(|(name, ..)| name));
        }
        counted.iter_mut().for_each(|(_, x, _)| *x += 0.0);
        counted.sort_by(|(a, x, n), (b, y, m)| {
            x.total_cmp(y).then(m.cmp(n)).then_with(|| by_text(a, b))
        });
        counted.dedup_by(|(_, x, _), (_, y, _)| x == y);
        let (names, numbers) = counted.into_iter().map(|(name, x, _)| (name, x)).unzip();
        Ok(Self {
            names,
            numbers: Some(numbers),
            by_number: true,
        })
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

    /// Whether its classes are numbers, however they are written.
    pub fn is_numeric(&self) -> bool {
        self.numbers.is_some()
    }

    /// The index of a class.
    pub fn index(&self, name: &str) -> Option<usize> {
        if self.numbers.is_some() {
            let same = self.names.iter().position(|n| n == name);
            return same.or_else(|| self.index_of_number(number(name)?));
        }
        let found = match self.by_number {
            true if finite(name).is_none() => return None,
            true => self.names.binary_search_by(|n| by_number(n, name)),
            false => self.names.binary_search_by(|n| n.as_str().cmp(name)),
        };
        found.ok()
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

impl TryFrom<StoredClasses> for ClassMap {
    type Error = Error;

    fn try_from(stored: StoredClasses) -> Result<Self> {
        let (count, classes) = match stored {
            StoredClasses::Names(names) => {
                let named = names.into_iter().map(|name| (name, 1));
                (named.len(), Self::numbers(named)?)
            }
            StoredClasses::Text { text } => (text.len(), Self::new(text)?),
            StoredClasses::Numbers { names, numbers } => {
                let pairs = names.into_iter().zip(numbers);
                let counted: Vec<_> = pairs.map(|(name, x)| (name, x, 1)).collect();
                (counted.len(), Self::of_numbers(counted)?)
            }
        };
        if classes.len() != count {
            let name = "a list of classes";
            let value = format!("{count} names, of which {} differ", classes.len());
            return Err(Error::argument(name, value, "names that differ"));
        }
        Ok(classes)
    }
}

impl From<ClassMap> for StoredClasses {
    fn from(classes: ClassMap) -> Self {
        let names = classes.names;
        let plain = |numbers: &[f64]| {
            let mut pairs = names.iter().zip(numbers);
            pairs.all(|(name, x)| finite(name) == Some(*x))
        };
        match classes.numbers {
            None if classes.by_number => StoredClasses::Text { text: names },
            Some(numbers) if !plain(&numbers) => StoredClasses::Numbers { names, numbers },
            _ => StoredClasses::Names(names),
        }
    }
}
