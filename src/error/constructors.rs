//! Short ways to make the errors that are made in many places.

use super::Error;

impl Error {
    pub(crate) fn argument(
        name: impl Into<String>,
        value: impl ToString,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Argument {
            name: name.into(),
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }

    pub(crate) fn shape(
        what: impl Into<String>,
        got: impl Into<String>,
        expected: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::Shape {
            what: what.into(),
            got: got.into(),
            expected: expected.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn class(row: usize, label: u32, classes: usize) -> Self {
        Self::Class {
            row,
            label,
            classes,
        }
    }

    pub(crate) fn empty(what: impl Into<String>) -> Self {
        Self::EmptyData { what: what.into() }
    }

    /// Of the element `i` of a matrix of `cols` columns.
    pub(crate) fn value(
        what: impl Into<String>,
        value: impl Into<f64>,
        (i, cols): (usize, usize),
        allowed: impl Into<String>,
    ) -> Self {
        Self::Value {
            what: what.into(),
            value: value.into(),
            row: i / cols,
            col: i % cols,
            allowed: allowed.into(),
        }
    }

    pub(crate) fn file(
        file: impl Into<String>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::File {
            file: file.into(),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn gpu(message: impl Into<String>) -> Self {
        Self::Gpu {
            message: message.into(),
        }
    }

    pub(crate) fn limit(
        what: impl Into<String>,
        need: impl Into<u64>,
        limit: impl Into<u64>,
        advice: impl Into<String>,
    ) -> Self {
        Self::Limit {
            what: what.into(),
            need: need.into(),
            limit: limit.into(),
            in_bytes: false,
            advice: advice.into(),
        }
    }

    pub(crate) fn limit_in_bytes(
        what: impl Into<String>,
        need: u64,
        limit: u64,
        advice: impl Into<String>,
    ) -> Self {
        Self::Limit {
            what: what.into(),
            need,
            limit,
            in_bytes: true,
            advice: advice.into(),
        }
    }

    pub(crate) fn out_of_memory(
        what: impl Into<String>,
        need: u64,
        have: Option<u64>,
        advice: impl Into<String>,
    ) -> Self {
        Self::OutOfMemory {
            what: what.into(),
            need,
            have,
            advice: advice.into(),
        }
    }
}
