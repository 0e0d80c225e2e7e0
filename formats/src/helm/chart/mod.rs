//! A chart's archive, as a stranger sends it: read as it comes, piece by piece, in memory that the limits bound and
//! never on an async worker. Nothing is unpacked; what is kept is Chart.yaml.

mod annotations;
mod archive;
#[cfg(test)]
mod archive_tests;
mod compare;
mod header;
mod image;
mod inspect;
mod metadata;
#[cfg(test)]
mod metadata_tests;
mod parts;
mod path;
mod publisher;
mod signed;
#[cfg(test)]
mod tests;
mod values;
mod version;
mod yaml;

pub(crate) use compare::{Differing, compare};
pub(crate) use inspect::{Inspected, Inspection};
pub(crate) use metadata::Metadata;
pub(crate) use parts::Kept;
pub use parts::Part;
pub(crate) use publisher::check_publisher;
pub(crate) use signed::Signed;
pub(crate) use version::Version;

#[cfg(test)]
pub(crate) use inspect::Reader;
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
pub fn fuzz_archive(bytes: &[u8]) {
    let limits = std::sync::Arc::new(granary_storage::limits::Limits::default());
    let read = |piece: usize| {
        let mut reader = inspect::Reader::new(limits.clone(), None);
        for piece in bytes.chunks(piece.max(1)) {
            reader.push(piece)?;
        }
        reader.finish()
    };
    let (whole, pieces) = (read(bytes.len()), read(7));
    assert_eq!(whole.is_ok(), pieces.is_ok(), "it depends on how it comes");
    if let Ok(found) = whole {
        assert_eq!(found.digest, granary_storage::Digest::sha256(bytes));
        check(&found.metadata);
    }
}

/// What a fuzz target reaches: reads an archive that is not compressed.
#[cfg(fuzzing)]
pub fn fuzz_tar(bytes: &[u8]) {
    use std::io::Write as _;
    let limits = std::sync::Arc::new(granary_storage::limits::Limits::default());
    let mut walk = archive::Walk::new(limits.clone(), None);
    if walk.write_all(bytes).is_ok()
        && let Ok(found) = walk.finish()
    {
        assert!(found.chart_yaml.len() as u64 <= limits.chart_metadata_bytes);
    }
}

/// What a fuzz target reaches: reads a Chart.yaml.
#[cfg(fuzzing)]
pub fn fuzz_metadata(bytes: &[u8]) {
    let limits = granary_storage::limits::Limits::default();
    if let Ok(found) = Metadata::read(bytes, &limits) {
        check(&found);
        let said = annotations::Said::read(found.annotations(), &limits);
        assert!(said.images.len() <= limits.chart_images);
        assert!(said.labels.iter().count() <= limits.labels_per_version);
    }
    if publisher::check_publisher(bytes, &limits).is_ok() {
        assert!(std::str::from_utf8(bytes).is_ok());
    }
}

/// What a fuzz target reaches: reads a provenance.
#[cfg(fuzzing)]
pub fn fuzz_provenance(bytes: &[u8]) {
    if let Ok(found) = Signed::read(bytes, &granary_storage::limits::Limits::default()) {
        check(&found.metadata);
    }
}

/// An index is made of this text, and a tag and a file's name of these.
#[cfg(fuzzing)]
fn check(found: &Metadata) {
    let json: serde_json::Value = serde_json::from_str(&found.to_json()).unwrap_or_default();
    assert_eq!(json["name"].as_str(), Some(found.name.as_str()));
    assert_eq!(json["version"].as_str(), Some(found.version.as_str()));
    assert!(found.tag().is_ok() && Version::read(&found.version).is_some());
    let file = format!("{}-{}.tgz", found.name, found.version);
    assert!(file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)));
}
