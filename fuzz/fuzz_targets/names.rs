//! Names of repositories, projects, tags, digests and uploads: what is understood is written back as it was read.
#![no_main]

use granary_storage::Digest;
use granary_storage::blob::{StorageKey, UploadId};
use granary_storage::name::{ProjectName, Reference, RepositoryName, Tag};
use libfuzzer_sys::fuzz_target;
use std::fmt::Display;
use std::str::FromStr;

/// What was understood, which must read the same when it is written.
fn settled<T: FromStr + Display + PartialEq>(text: &str) -> Option<String> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    assert!(written.parse().is_ok_and(|again: T| again == value), "{text:?} became {written:?}");
    assert!(!written.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\' || c == '%'));
    Some(written)
}

fuzz_target!(|text: &str| {
    if let Some(name) = settled::<RepositoryName>(text) {
        assert!(name == text || name == format!("library/{text}"));
        assert!(!name.split('/').any(|part| matches!(part, "" | "." | "..")));
        assert!(name.len() <= 255 + "library/".len());
    }
    if let Some(tag) = settled::<Tag>(text) {
        assert!(tag == text && !tag.contains(['/', ':', '@']) && tag.len() <= 128);
    }
    if let Some(reference) = settled::<Reference>(text) {
        assert_eq!(reference, text);
    }
    if let Some(digest) = settled::<Digest>(text) {
        assert_eq!(digest, text);
    }
    settled::<ProjectName>(text);
    settled::<UploadId>(text);
    // A key becomes a path below the store.
    if let Some(key) = settled::<StorageKey>(text) {
        assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")));
    }
});
