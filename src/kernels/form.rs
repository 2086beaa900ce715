//! The forms of the matmul: one WGSL fragment each, with the tile that a workgroup computes and what it needs of the adapter.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A way to compute C (m, n) = A (m, k) · B (k, n): a fragment of `shaders/form/` and its workgroup.
#[derive(Clone, Copy)]
pub struct Form {
    /// What reports, choices and the cache call it.
    pub name: &'static str,
    /// The WGSL fragment.
    pub source: &'static str,
    /// Invocations of a workgroup: the overrides TX and TY.
    pub invocations: (u32, u32),
    /// Rows and columns of C that a workgroup computes.
    pub tile: (u32, u32),
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// The adapter must have subgroups of exactly this many invocations.
    pub subgroup: Option<u32>,
}

// By name: their texts are long, and the executor looks forms up for every dispatch.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Form {}

impl Hash for Form {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

const fn tiles_4x4(name: &'static str, tx: u32, ty: u32) -> Form {
    Form {
        name,
        source: include_str!("../../shaders/form/tiles_4x4.wgsl"),
        invocations: (tx, ty),
        tile: (4 * ty, 4 * tx),
        workgroup_memory: 16 * 16 * (tx + 1 + ty + 1),
        subgroup: None,
    }
}

const fn tiles_8x8(name: &'static str, t: u32) -> Form {
    Form {
        name,
        source: include_str!("../../shaders/form/tiles_8x8.wgsl"),
        invocations: (t, t),
        tile: (8 * t, 8 * t),
        workgroup_memory: 16 * 8 * 2 * (2 * t + 1),
        subgroup: None,
    }
}

/// Two slices of 16 in workgroup memory.
const fn staged_8x8(name: &'static str, tx: u32, ty: u32) -> Form {
    Form {
        name,
        source: include_str!("../../shaders/form/staged_8x8.wgsl"),
        invocations: (tx, ty),
        tile: (8 * ty, 8 * tx),
        workgroup_memory: 16 * 2 * 16 * (2 * tx + 1 + 2 * ty + 1),
        subgroup: None,
    }
}

const fn subgroup(name: &'static str, source: &'static str, rows: u32, lanes: u32) -> Form {
    Form {
        name,
        source,
        invocations: (lanes, 1),
        tile: (rows, 8 * lanes),
        workgroup_memory: 0,
        subgroup: Some(lanes),
    }
}

const SUBGROUP_16X8: &str = concat!(
    include_str!("../../shaders/form/subgroup_16x8.wgsl"),
    include_str!("../../shaders/subgroup.wgsl")
);
const SUBGROUP_64X8: &str = concat!(
    include_str!("../../shaders/form/subgroup_64x8.wgsl"),
    include_str!("../../shaders/subgroup.wgsl")
);

/// Every form. The names say the tile of a workgroup: rows × columns.
pub static FORMS: &[Form] = &[
    tiles_4x4("tiles_32x32", 8, 8),
    tiles_4x4("tiles_64x64", 16, 16),
    // For few columns, and for few rows.
    tiles_4x4("tiles_128x16", 4, 32),
    tiles_4x4("tiles_16x128", 32, 4),
    tiles_8x8("tiles_64x64_by_8x8", 8),
    tiles_8x8("tiles_128x128", 16),
    staged_8x8("staged_64x128", 16, 8),
    staged_8x8("staged_128x64", 8, 16),
    Form {
        name: "direct_64x32",
        source: include_str!("../../shaders/form/direct_8x4.wgsl"),
        invocations: (8, 8),
        tile: (64, 32),
        workgroup_memory: 0,
        subgroup: None,
    },
    subgroup("subgroup_16x32", SUBGROUP_16X8, 16, 4),
    subgroup("subgroup_16x64", SUBGROUP_16X8, 16, 8),
    subgroup("subgroup_64x32", SUBGROUP_64X8, 64, 4),
    subgroup("subgroup_64x64", SUBGROUP_64X8, 64, 8),
];

/// The form of this name.
pub fn find_form(name: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.name == name)
}

/// How a matrix product is computed on an adapter: its form, and how many parts k is divided into. The same choice gives the
/// same bits on the same adapter and driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The form.
    pub form: &'static Form,
    /// Slices of k that are summed apart and then added in a fixed order; more than 1 for δᵀ·a only, whose k is the batch.
    pub parts: u32,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.form.name)?;
        if self.parts > 1 {
            write!(f, " in {} parts", self.parts)?;
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Recorded {
    form: String,
    parts: u32,
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.form.name.to_owned();
        let parts = self.parts;
        Recorded { form, parts }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let recorded = Recorded::deserialize(deserializer)?;
        let form = find_form(&recorded.form).ok_or_else(|| {
            let names: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
            serde::de::Error::custom(format!(
                "there is no form {:?}; there are {}",
                recorded.form,
                names.join(", ")
            ))
        })?;
        if !(1..=MAX_PARTS).contains(&recorded.parts) {
            return Err(serde::de::Error::custom(format!(
                "{} parts of k; 1 to {MAX_PARTS} are possible",
                recorded.parts
            )));
        }
        Ok(Self {
            form,
            parts: recorded.parts,
        })
    }
}

/// Parts that k may be divided into.
pub(crate) const MAX_PARTS: u32 = 32;

/// Elements that the parts of one gradient may take together: 16 MiB.
pub(crate) const MAX_PARTS_ELEMENTS: u64 = 1 << 22;

/// Extents of a matrix product: C (m, n) = A (m, k) · B (k, n).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Extents {
    pub m: u32,
    pub n: u32,
    pub k: u32,
}

/// What the default table knows of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdapterKind {
    pub software: bool,
    /// The size of its subgroups, where they are of one size and may be used.
    pub subgroup: Option<u32>,
    /// Bytes of memory that a workgroup may have.
    pub workgroup_memory: u32,
}

/// The form to use where nothing was measured.
pub(crate) fn default_choice(adapter: AdapterKind, extents: Extents, can_split: bool) -> Choice {
    let named = |name: &str| find_form(name).unwrap_or(&FORMS[0]);
    let whole = |name: &str| Choice {
        form: named(name),
        parts: 1,
    };
    let Extents { m, n, k } = extents;
    if adapter.software {
        // Loads cost, arithmetic is nearly free: see benches/results/llvmpipe.md. 64 rows at once take 5/8 of the time of
        // four times 16, so they must not waste more.
        let tall = 5 * m.next_multiple_of(64) <= 8 * m.next_multiple_of(16);
        let best = match (adapter.subgroup, tall) {
            (Some(8), true) => whole("subgroup_64x64"),
            (Some(8), false) => whole("subgroup_16x64"),
            (Some(4), true) => whole("subgroup_64x32"),
            (Some(4), false) => whole("subgroup_16x32"),
            _ => whole("tiles_64x64_by_8x8"),
        };
        return if best.form.covers(extents) {
            best
        } else {
            whole("tiles_32x32")
        };
    }
    // Large products: of forms tried on an NVIDIA H200 at 4096³, 64×128 and 128×64 in two slices were the fastest, 1.4 times as fast as
    // 128×128 in one. The rest was not measured on any GPU yet: it is what published matmul kernels in WGSL found best. The tuner measures.
    let groups =
        |form: &Form| u64::from(m.div_ceil(form.tile.0)) * u64::from(n.div_ceil(form.tile.1));
    let staged = named("staged_64x128");
    let large = match staged.workgroup_memory <= adapter.workgroup_memory {
        true => staged,
        false => named("tiles_128x128"),
    };
    let form = if n <= 16 && named("tiles_128x16").covers(extents) {
        named("tiles_128x16")
    } else if m <= 16 && named("tiles_16x128").covers(extents) {
        named("tiles_16x128")
    } else if groups(large) >= 128 {
        large
    } else if groups(named("tiles_64x64")) >= 64 {
        named("tiles_64x64")
    } else {
        named("tiles_32x32")
    };
    // A long sum of few tiles leaves most of a GPU idle.
    let mut parts = 1;
    if can_split {
        while u64::from(parts) * groups(form) < 64 && k / (2 * parts) >= 256 && parts < MAX_PARTS {
            parts *= 2;
        }
    }
    Choice { form, parts }
}
