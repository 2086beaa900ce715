//! From a call's work to its override constants and grid.

/// What a call has to do, from which [`Launch`] follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// An (m, n) product.
    Tiles { m: u32, n: u32 },
    /// Rows of so many columns.
    Rows { rows: u32, cols: u32 },
    /// So many elements.
    Elements { count: u32 },
}

/// Override constants and workgroup counts of a dispatch; both come from the same [`Work`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Launch {
    pub constants: &'static [(&'static str, f64)],
    pub groups: [u32; 3],
}

/// At most so many workgroups in one dimension: WebGPU's default limit, which no adapter undercuts.
const MAX_GROUPS: u32 = 65_535;

/// Rows or columns that a grid of the smallest tiles covers.
pub(crate) const MAX_TILED: u64 = MAX_GROUPS as u64 * 4 * SMALL_TILE as u64;

/// A grid of at least `groups` workgroups for kernels that number them `y·groups.x + x`.
fn folded(groups: u32) -> [u32; 3] {
    let x = groups.clamp(1, MAX_GROUPS);
    [x, groups.div_ceil(x).max(1), 1]
}

/// Side of a workgroup in invocations; its tile is four times that.
const SMALL_TILE: u32 = 8;
const LARGE_TILE: u32 = 16;

impl Work {
    pub fn launch(self) -> Launch {
        match self {
            Work::Tiles { m, n } => {
                let t = tile_side(m, n);
                let constants: &[(&str, f64)] = if t == LARGE_TILE {
                    &[("T", 16.0)]
                } else {
                    &[("T", 8.0)]
                };
                Launch {
                    constants,
                    groups: [n.div_ceil(4 * t), m.div_ceil(4 * t), 1],
                }
            }
            Work::Rows { rows, cols } => {
                const LANES: [&[(&str, f64)]; 7] = [
                    &[("LANES", 1.0)],
                    &[("LANES", 2.0)],
                    &[("LANES", 4.0)],
                    &[("LANES", 8.0)],
                    &[("LANES", 16.0)],
                    &[("LANES", 32.0)],
                    &[("LANES", 64.0)],
                ];
                // A lane takes at least four columns: below that, the tree costs more than it saves.
                let lanes_log2 = cols.div_ceil(4).next_power_of_two().ilog2().min(6);
                Launch {
                    constants: LANES[lanes_log2 as usize],
                    groups: folded(rows.div_ceil(64 >> lanes_log2)),
                }
            }
            Work::Elements { count } => Launch {
                constants: &[],
                groups: folded(count.div_ceil(256)),
            },
        }
    }
}

/// Large tiles reuse more of what they load; small ones waste less at the edges of small matrices.
fn tile_side(m: u32, n: u32) -> u32 {
    if m >= 128 && n >= 128 {
        LARGE_TILE
    } else {
        SMALL_TILE
    }
}
