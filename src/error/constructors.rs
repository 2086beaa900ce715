//! Short ways to make the errors that are made in many places.

use super::Error;

/// Makers that have an error's fields for arguments.
macro_rules! makers {
    ($($name:ident = $error:ident { $($field:ident: $type:ty),+ })+) => {
        impl Error {
            $(pub(crate) fn $name($($field: impl Into<$type>),+) -> Self {
                Self::$error { $($field: $field.into()),+ }
            })+
        }
    };
}

makers! {
    shape = Shape { what: String, got: String, expected: String, advice: String }
    class = Class { row: usize, label: u32, classes: usize }
    empty = EmptyData { what: String }
    file = File { file: String, problem: String, advice: String }
    targets = Targets { what: String, expected: String, got: String, advice: String }
    output_activation = OutputActivation { loss: String, needs: String, activation: String, advice: String }
    nothing_accumulated = NothingAccumulated { call: String }
    one_row = OneRow { what: String }
    gpu = Gpu { message: String }
    out_of_memory = OutOfMemory { what: String, need: u64, have: Option<u64>, advice: String }
}

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
        let mut error = Self::limit(what, need, limit, advice);
        if let Self::Limit { in_bytes, .. } = &mut error {
            *in_bytes = true;
        }
        error
    }
}
