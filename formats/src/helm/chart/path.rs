//! Names in an archive.

use super::fault;
use granary_storage::Result;

/// Bytes of a path, at most. Charts use a tenth of it, and what is told of a file repeats its path.
const PATH_MAX: usize = 1024;

/// A name in the archive that leads nowhere but into the chart.
pub(super) struct Path {
    pub(super) segments: Vec<String>,
    /// Whether it says of itself that it is a folder.
    pub(super) folder: bool,
    pub(super) shown: String,
}

impl Path {
    pub(super) fn read(raw: &[u8]) -> Result<Self> {
        let shown = shown(raw);
        let refuse = |why: &str| Err(fault(format!("the archive holds the path {shown}, which {why}")));
        if raw.len() > PATH_MAX {
            return refuse(&format!("is longer than {PATH_MAX} bytes"));
        }
        let Ok(text) = std::str::from_utf8(raw) else {
            return refuse("is not UTF-8");
        };
        if text.contains(char::is_control) {
            return refuse("holds control characters");
        }
        // Helm takes a backslash for the separator where there is one, and then a slash for a letter.
        if text.contains('\\') && text.contains('/') {
            return refuse("holds both slashes and backslashes");
        }
        let text = text.replace('\\', "/");
        let drive = text.get(..2).is_some_and(is_drive);
        if text.starts_with('/') || drive {
            return refuse("is absolute");
        }
        let trimmed = text.strip_suffix('/').unwrap_or(&text);
        let segments: Vec<String> = trimmed.split('/').map(str::to_owned).collect();
        if segments.iter().any(|segment| segment == "..") {
            return refuse("leads out of the chart");
        }
        if segments.iter().any(|segment| segment.is_empty() || segment == ".") {
            return refuse("is not written plainly: it holds an empty segment or a single dot");
        }
        Ok(Self {
            segments,
            folder: text.ends_with('/'),
            shown,
        })
    }
}

/// Whether a segment is a drive as Windows names one: `C:`.
pub(super) fn is_drive(segment: &str) -> bool {
    matches!(segment.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
}

/// A name as a sentence can hold it.
pub(super) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(200)
        .collect();
    format!("{clean:?}")
}
