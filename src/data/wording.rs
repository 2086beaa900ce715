//! Names and values as errors tell them.

/// How errors call a column.
pub(crate) fn column_label(name: Option<&str>, index: usize) -> String {
    match name {
        Some(name) => format!("column {name:?}"),
        None => format!("column {index} (from 0)"),
    }
}

/// A value short enough for a message.
pub(crate) fn shortened(value: &str) -> String {
    const MOST: usize = 60;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.into(),
    }
}

/// Names short enough for a message.
pub(crate) fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| shortened(name))
        .collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The name most like this one, if one is alike.
pub(crate) fn nearest(name: &str, names: &[String]) -> Option<String> {
    // A name beyond reason is not worth the time.
    let folded = |name: &str| shortened(name.trim()).to_lowercase();
    let name = folded(name);
    let alike = |known: &String| strsim::jaro_winkler(&name, &folded(known));
    let best = names.iter().map(|known| (alike(known), known));
    best.filter(|(alike, _)| *alike > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.clone())
}
