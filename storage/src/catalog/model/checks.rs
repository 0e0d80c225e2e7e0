//! What the check of the whole store reads.

use super::RepositoryId;
use crate::blob::Blob;
use crate::digest::Digest;

/// A blob as the check of the whole store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobCheck {
    /// The blob.
    pub blob: Blob,
    /// Its state in the catalog.
    pub state: String,
}

/// A live artifact as the check of the whole store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactCheck {
    /// Its repository.
    pub repository: RepositoryId,
    /// That repository's name.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Whether its bytes are there and have that digest.
    pub intact: bool,
    /// What it needs and the repository lacks.
    pub missing: Vec<Digest>,
}

/// A live tag, or the path of a live file, as the check of the whole store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionCheck {
    /// Its repository.
    pub repository: RepositoryId,
    /// That repository's name.
    pub name: String,
    /// The tag or path.
    pub version: String,
    /// What it points at.
    pub digest: Digest,
    /// Whether that is live.
    pub live: bool,
    /// Whether its history ends with that.
    pub recorded: bool,
}
