//! The texts that a kernel comes in: the form of a product and the loads of its matrices; the formulas of an update and a loss.

use std::fmt;

use super::form::Form;
use crate::config::fragment::Fragment;

/// How a kernel of the family [`Family::Product`](super::Family::Product) loads one of its matrices, four elements at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Load {
    /// Rows of any length, one element after the other.
    Scalar,
    /// Rows of a multiple of 4 elements, by vec4.
    Vec4,
}

/// A matrix of a product: its operand and the WGSL fragment for each [`Load`] that it may have.
#[derive(Debug, Clone, Copy)]
pub struct Loads {
    /// Name of the operand.
    pub operand: &'static str,
    /// The alias that each fragment declares: the type of the elements of its binding.
    pub element: &'static str,
    /// Fragments of `shaders/operand/`.
    pub fragments: &'static [(Load, &'static str)],
}

pub(crate) const X_LOADS: Loads = Loads {
    operand: "x",
    element: "InputWord",
    fragments: &[
        (Load::Scalar, include_str!("../../shaders/operand/x.wgsl")),
        (
            Load::Vec4,
            include_str!("../../shaders/operand/x_vec4.wgsl"),
        ),
    ],
};

pub(crate) const WEIGHT_LOADS: Loads = Loads {
    operand: "weight",
    element: "WeightWord",
    fragments: &[
        (
            Load::Scalar,
            include_str!("../../shaders/operand/weight.wgsl"),
        ),
        (
            Load::Vec4,
            include_str!("../../shaders/operand/weight_vec4.wgsl"),
        ),
    ],
};

pub(crate) const DELTA_LOADS: Loads = Loads {
    operand: "delta",
    element: "DeltaWord",
    fragments: &[
        (
            Load::Scalar,
            include_str!("../../shaders/operand/delta.wgsl"),
        ),
        (
            Load::Vec4,
            include_str!("../../shaders/operand/delta_vec4.wgsl"),
        ),
    ],
};

/// How rows of so many elements are loaded.
pub(crate) fn row_load(cols: u32) -> Load {
    if cols.is_multiple_of(4) {
        Load::Vec4
    } else {
        Load::Scalar
    }
}

/// How columns [first, first + cols) of rows that begin `stride` elements apart are loaded.
pub(crate) fn panel_load(stride: u32, first: u32, cols: u32) -> Load {
    row_load(stride | first | cols)
}

/// One text of a kernel, apart from its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Variant {
    /// The form of a product, and how its two matrices are loaded, in the order of [`Kernel::loads`](super::Kernel::loads).
    pub product: Option<(&'static Form, [Load; 2])>,
    /// The fragments of its formulas, one of each kind in [`Kernel::formulas`](super::Kernel::formulas).
    pub formulas: [Option<&'static Fragment>; 2],
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((form, [a, b])) = self.product {
            return write!(f, "{} with {a:?} and {b:?} loads", form.name);
        }
        let names = self.formulas.iter().flatten().map(|formula| formula.name);
        match names.collect::<Vec<_>>().join(" and ").as_str() {
            "" => f.write_str("plain"),
            names => f.write_str(names),
        }
    }
}
