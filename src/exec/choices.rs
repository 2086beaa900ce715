//! Which form of the matmul runs for which sizes on an adapter: by measurement, by a recorded choice, or by the default table.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernels::Choice;
use crate::kernels::form::Extents;

/// When a device measures which form of the matmul is fastest. Whatever is chosen, the same choices give the same bits;
/// [`Device::choices`](crate::Device::choices) records them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Tuning {
    /// On real GPUs only; a software adapter takes the default table.
    #[default]
    Auto,
    /// On any adapter.
    On,
    /// Never: what is not pinned comes from the default table.
    Off,
}

/// Where measured choices are kept between runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TuningCache {
    /// In the folder that WGRAD_CACHE_DIR names, else in the user's cache folder; one file an adapter, driver and version of this
    /// crate.
    #[default]
    User,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere: every run measures anew.
    Nowhere,
}

/// Recorded choices: what a run used, and what another run can be made to use. The same choices give the same bits on the same
/// adapter and driver.
///
/// ```
/// let text = r#"{
///     "products": {"dense_forward 64x128x1024": {"form": "tiles_64x64", "parts": 1}},
///     "small_networks": {"64-32-10 relu, 32 rows": true}
/// }"#;
/// let choices: wgrad::Choices = serde_json::from_str(text).unwrap();
/// assert_eq!(choices.iter().count(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// The form of each kind of matrix product.
    #[serde(default)]
    products: BTreeMap<String, Choice>,
    /// Which networks are trained whole in one workgroup.
    #[serde(default)]
    small_networks: BTreeMap<String, bool>,
}

impl Choices {
    /// Products, named by kernel and m×n×k rounded up to powers of two, with what was chosen.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Choice)> {
        self.products
            .iter()
            .map(|(product, choice)| (&**product, *choice))
    }

    pub(crate) fn get(&self, product: &str) -> Option<Choice> {
        self.products.get(product).copied()
    }

    pub(crate) fn insert(&mut self, product: String, choice: Choice) {
        self.products.insert(product, choice);
    }

    pub(crate) fn extend(&mut self, other: Choices) {
        self.products.extend(other.products);
        self.small_networks.extend(other.small_networks);
    }

    /// Networks with their batches, and whether each is trained whole in one workgroup.
    pub fn small_networks(&self) -> impl Iterator<Item = (&str, bool)> {
        self.small_networks
            .iter()
            .map(|(name, small)| (&**name, *small))
    }

    pub(crate) fn small_network(&self, name: &str) -> Option<bool> {
        self.small_networks.get(name).copied()
    }

    pub(crate) fn insert_network(&mut self, name: String, small: bool) {
        self.small_networks.insert(name, small);
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (product, choice)) in self.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{product}: {choice}")?;
        }
        for (name, small) in self.small_networks() {
            let how = if small {
                "in one workgroup"
            } else {
                "op by op"
            };
            write!(f, "\n{name}: {how}")?;
        }
        Ok(())
    }
}

/// The name of a product among the choices: sizes within a power of two share one.
pub(crate) fn product_name(kernel: &str, extents: Extents) -> String {
    let up = |x: u32| u64::from(x).next_power_of_two();
    let Extents { m, n, k } = extents;
    format!("{kernel} {}x{}x{}", up(m), up(n), up(k))
}

/// A small network that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredNetwork {
    /// The network and its batch.
    pub network: String,
    /// Seconds a step in one workgroup.
    pub whole: f64,
    /// Seconds a step op by op.
    pub op_by_op: f64,
}

/// A candidate that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The product.
    pub product: String,
    /// The candidate.
    pub choice: Choice,
    /// Seconds a run, the best of several.
    pub seconds: f64,
    /// f32 operations a second.
    pub flops: f64,
}

/// A form that is not used on this adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disabled {
    /// The kernel.
    pub kernel: String,
    /// Its form and loads.
    pub variant: String,
    /// What it computed wrongly, or the compiler's message.
    pub reason: String,
}

/// What a device has measured since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TuningReport {
    /// Every candidate with its time.
    pub measured: Vec<Measured>,
    /// Every small network with its times.
    pub networks: Vec<MeasuredNetwork>,
    /// Forms that failed their check or did not compile here.
    pub disabled: Vec<Disabled>,
    /// What else there is to know: a time limit that was reached, a cache that could not be read or written.
    pub notes: Vec<String>,
}

impl TuningReport {
    /// Adds a note that is not there yet.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for TuningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.measured.is_empty() {
            write!(f, "nothing was measured")?;
        }
        let mut product = "";
        for m in &self.measured {
            if m.product != product {
                product = &m.product;
                writeln!(f, "{product}")?;
            }
            let name = m.choice.to_string();
            writeln!(
                f,
                "  {name:32} {:9.3} ms {:9.2} GFLOP/s",
                1e3 * m.seconds,
                m.flops / 1e9
            )?;
        }
        for n in &self.networks {
            let (whole, op_by_op) = (1e3 * n.whole, 1e3 * n.op_by_op);
            let name = &n.network;
            writeln!(
                f,
                "{name}: {whole:.3} ms a step in one workgroup, {op_by_op:.3} ms op by op"
            )?;
        }
        for d in &self.disabled {
            writeln!(f, "disabled: {} {}: {}", d.kernel, d.variant, d.reason)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl TuningCache {
    /// The file for an adapter, if there is a place for it.
    pub(crate) fn file(&self, adapter: &str) -> Option<PathBuf> {
        let folder = match self {
            TuningCache::Nowhere => return None,
            TuningCache::Folder(folder) => folder.clone(),
            TuningCache::User => match std::env::var_os("WGRAD_CACHE_DIR") {
                Some(folder) if !folder.is_empty() => folder.into(),
                _ => dirs::cache_dir()?.join("wgrad"),
            },
        };
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        let name: String = adapter.chars().map(plain).collect();
        Some(folder.join(format!("{name}-{}.json", env!("CARGO_PKG_VERSION"))))
    }
}

/// The choices in a file; none if there is no file.
pub(crate) fn read_choices(file: &Path) -> Result<Choices> {
    let bad = |reason: String| {
        Error::argument(
            "the file of tuned choices",
            file.display(),
            format!("what this crate wrote there ({reason}); delete it to measure anew"),
        )
    };
    match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| bad(e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Choices::default()),
        Err(e) => Err(bad(e.to_string())),
    }
}

/// Writes choices beside the file and renames, so that a reader never sees half of them. Choices that another process wrote
/// meanwhile stay, for each waits for the others' turn; so does a file that cannot be read.
pub(crate) fn write_choices(file: &Path, choices: &Choices) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::argument(
            "the file of tuned choices",
            file.display(),
            format!("in a folder that can be written to ({error})"),
        )
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // Held until it is dropped.
    let turn = std::fs::File::create(file.with_extension("lock")).map_err(failed)?;
    turn.lock().map_err(failed)?;
    let mut all = read_choices(file)?;
    all.extend(choices.clone());
    let text = serde_json::to_string_pretty(&all).map_err(|e| failed(e.into()))?;
    let new = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice_of(name: String) -> Choices {
        let mut choices = Choices::default();
        choices.insert_network(name, true);
        choices
    }

    #[test]
    fn what_many_write_at_once_is_all_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("adapter.json");
        std::thread::scope(|scope| {
            for i in 0..16 {
                let file = &file;
                scope.spawn(move || write_choices(file, &choice_of(format!("network {i}"))));
            }
        });
        let all = read_choices(&file).expect("a file");
        assert_eq!(all.small_networks().count(), 16);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("adapter.json");
        std::fs::write(&file, "somebody's").expect("written");
        let refused = write_choices(&file, &choice_of("network".into()));
        assert!(
            matches!(refused, Err(Error::Argument { .. })),
            "{refused:?}"
        );
        assert_eq!(
            std::fs::read_to_string(&file).expect("it is there"),
            "somebody's"
        );
    }
}
