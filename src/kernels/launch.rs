//! From a call's work to its override constants and grid.

use super::form::{Choice, Extents, Form};
use super::{Family, Kernel, Variant};

/// What a call has to do, from which its grid follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A matrix product.
    Product(Extents),
    /// Rows of so many columns.
    Rows { rows: u32, cols: u32 },
    /// Columns, each from all its rows.
    Columns { cols: u32 },
    /// So many elements.
    Elements { count: u32 },
    /// A small network, with so many elements of workgroup memory.
    Network { values: u32 },
}

/// Bytes of workgroup memory, in steps of which small networks come; and of these, for a reduction and the number of rows.
const NETWORK_STEP: u32 = 4096;
const NETWORK_FIXED: u32 = 1024 + 16;

/// Bytes of workgroup memory that a small network takes.
pub(crate) fn network_memory(values: u32) -> u32 {
    (4 * values + NETWORK_FIXED).next_multiple_of(NETWORK_STEP)
}

/// Override constants of a compiled kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Constants {
    /// Of elementwise kernels, which have none.
    None,
    /// Invocations a row.
    Lanes(u32),
    /// Invocations of a workgroup, x and y.
    Group(u32, u32),
    /// Elements of workgroup memory.
    Values(u32),
}

impl Constants {
    /// As names and values.
    pub fn values(self) -> Vec<(&'static str, f64)> {
        match self {
            Constants::None => vec![],
            Constants::Lanes(lanes) => vec![("LANES", lanes.into())],
            Constants::Values(values) => vec![("VALUES", values.into())],
            Constants::Group(x, y) => vec![("TX", x.into()), ("TY", y.into())],
        }
    }
}

/// At most so many workgroups in one dimension: WebGPU's default limit, which no adapter undercuts.
const MAX_GROUPS: u32 = 65_535;

/// Rows or columns that a grid of the smallest square tiles covers.
pub(crate) const MAX_TILED: u64 = MAX_GROUPS as u64 * 32;

/// What a workgroup takes of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workgroup {
    /// Invocations, x and y.
    pub invocations: (u32, u32),
    /// Bytes of memory that they share.
    pub memory: u32,
}

impl Kernel {
    /// What a workgroup takes of an adapter: known before anything is compiled, because drivers may hang where it is too much.
    pub fn workgroup(&self, variant: &Variant, constants: Constants) -> Workgroup {
        let (invocations, memory) = match (self.family, variant.product, constants) {
            (Family::Product, Some((form, _)), _) => (form.invocations, form.workgroup_memory),
            (Family::Network, _, Constants::Values(values)) => {
                ((256, 1), 4 * values + NETWORK_FIXED)
            }
            (Family::Rows, ..) => ((64, 1), 4 * 64),
            (Family::Columns, ..) => ((256, 1), 4 * 256),
            _ => ((256, 1), 0),
        };
        Workgroup {
            invocations,
            memory,
        }
    }
}

impl Form {
    /// Whether a grid of this form's tiles covers so large a product.
    pub(crate) fn covers(&self, extents: Extents) -> bool {
        extents.m.div_ceil(self.tile.0) <= MAX_GROUPS
            && extents.n.div_ceil(self.tile.1) <= MAX_GROUPS
    }
}

/// A grid of at least `groups` workgroups for kernels that number them `y·groups.x + x`.
fn folded(groups: u32) -> [u32; 3] {
    let x = groups.clamp(1, MAX_GROUPS);
    [x, groups.div_ceil(x).max(1), 1]
}

/// Invocations that share a row, as a power of two: a lane takes at least four columns, since below that the tree costs more than
/// it saves.
fn lanes_log2(cols: u32) -> u32 {
    cols.div_ceil(4).next_power_of_two().ilog2().min(6)
}

impl Work {
    pub fn rows(rows: u32, cols: u32) -> Self {
        Self::Rows { rows, cols }
    }

    pub fn elements(count: u32) -> Self {
        Self::Elements { count }
    }

    pub fn columns(cols: u32) -> Self {
        Self::Columns { cols }
    }

    /// (m, k) times (k, n).
    pub fn product(m: u32, n: u32, k: u32) -> Self {
        Self::Product(Extents { m, n, k })
    }

    /// Override constants; `choice` is for matrix products.
    pub fn constants(self, choice: Option<Choice>) -> Constants {
        match (self, choice) {
            (Work::Product(_), Some(Choice { form, .. })) => {
                Constants::Group(form.invocations.0, form.invocations.1)
            }
            (Work::Product(_), None) => unreachable!("a product needs a form"),
            (Work::Rows { cols, .. }, _) => Constants::Lanes(1 << lanes_log2(cols)),
            (Work::Columns { .. } | Work::Elements { .. }, _) => Constants::None,
            (Work::Network { values }, _) => {
                Constants::Values((network_memory(values) - NETWORK_FIXED) / 4)
            }
        }
    }

    /// Workgroup counts of a dispatch.
    pub fn groups(self, choice: Option<Choice>) -> [u32; 3] {
        match (self, choice) {
            (Work::Product(Extents { m, n, .. }), Some(Choice { form, parts })) => {
                [n.div_ceil(form.tile.1), m.div_ceil(form.tile.0), parts]
            }
            (Work::Product(_), None) => unreachable!("a product needs a form"),
            (Work::Rows { rows, cols }, _) => folded(rows.div_ceil(64 >> lanes_log2(cols))),
            (Work::Columns { cols }, _) => folded(cols.div_ceil(16)),
            (Work::Elements { count }, _) => folded(count.div_ceil(256)),
            (Work::Network { .. }, _) => [1, 1, 1],
        }
    }
}
