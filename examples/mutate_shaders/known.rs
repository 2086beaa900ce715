//! The mutations that are known to change nothing that anybody could notice.

use std::path::Path;

use crate::Failure;
use crate::sites::{Site, Source};

/// The lines of `equivalent.txt`: what [`Mutant::entry`](crate::sites::Mutant::entry) says, and a reason.
pub struct Known(Vec<String>);

impl Known {
    pub fn read(root: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(root.join("examples/mutate_shaders/equivalent.txt"))?;
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Self(lines.map(str::to_owned).collect()))
    }

    /// Whether an entry is listed, with a reason.
    pub fn has(&self, entry: &str) -> bool {
        self.0
            .iter()
            .any(|line| line.len() > entry.len() && line.starts_with(entry))
    }

    /// Refuses a list with lines of shaders that are no more.
    pub fn check(&self, sources: &[Source], sites: &[Site]) -> Result<(), Failure> {
        let mut stale = self.0.clone();
        for site in sites {
            for after in &site.replacements {
                let entry = site.mutant(&sources[site.file], after).entry();
                stale.retain(|line| line.len() == entry.len() || !line.starts_with(&entry));
            }
        }
        if stale.is_empty() {
            return Ok(());
        }
        Err(format!(
            "equivalent.txt has lines that are no mutation with a reason:\n{}",
            stale.join("\n")
        )
        .into())
    }
}
