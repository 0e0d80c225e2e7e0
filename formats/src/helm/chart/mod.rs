//! A chart's archive, as a stranger sends it: read as it comes, piece by piece, in memory that the limits bound and
//! never on an async worker. Nothing is unpacked; what is kept is Chart.yaml.

mod archive;
mod inspect;
mod metadata;
#[cfg(test)]
mod tests;
mod version;
mod yaml;

pub(crate) use inspect::{Inspected, Inspection};
pub(crate) use metadata::Metadata;
pub(crate) use version::Version;

#[cfg(test)]
pub(crate) use tests::Packed;

use granary_storage::{Error, What};
use std::borrow::Cow;

/// A fault of the archive, in a sentence.
fn fault(message: impl Into<Cow<'static, str>>) -> Error {
    Error::invalid(What::Request, message)
}

/// What a fuzz target reaches: reads an archive, and holds what was understood to what it must be.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let limits = std::sync::Arc::new(granary_storage::limits::Limits::default());
    let read = |piece: usize| {
        let mut reader = inspect::Reader::new(limits.clone());
        for piece in bytes.chunks(piece.max(1)) {
            reader.push(piece)?;
        }
        reader.finish()
    };
    let whole = read(bytes.len());
    let pieces = read(7);
    assert_eq!(whole.is_ok(), pieces.is_ok());
    if let Ok(found) = whole {
        let json: serde_json::Value = serde_json::from_str(&found.metadata.to_json()).unwrap_or_default();
        assert_eq!(json["name"].as_str(), Some(found.metadata.name.as_str()));
        assert!(found.metadata.tag().is_ok());
        assert!(found.metadata.to_json().len() as u64 <= 8 * limits.chart_metadata_bytes);
    }
}

/// What a fuzz target reaches: reads a Chart.yaml.
#[cfg(fuzzing)]
pub fn fuzz_metadata(bytes: &[u8]) {
    let limits = granary_storage::limits::Limits::default();
    if let Ok(found) = Metadata::read(bytes, &limits) {
        let again: serde_json::Value = serde_json::from_str(&found.to_json()).unwrap_or_default();
        assert_eq!(again["version"].as_str(), Some(found.version.as_str()));
    }
}
