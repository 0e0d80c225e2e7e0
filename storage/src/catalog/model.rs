//! What goes into the catalog and what comes out, as plain values.
//! How rows look is `schema.rs`; how they are read and written is `queries/`.

mod accounts;
mod checks;
mod files;

pub use accounts::*;
pub use checks::*;
pub use files::*;

use super::charts::{NewChart, Over};
use crate::blob::{Blob, UploadId, VerifiedBlob};
use crate::clock::Millis;
use crate::digest::{Algorithm, Digest};
use crate::name::{ProjectName, RepositoryName, Tag};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// The number of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// The number of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub i64);

/// The number of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryId(pub i64);

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its number.
    pub id: ProjectId,
    /// Its name.
    pub name: ProjectName,
    /// Whether everybody may read it (where anonymous access is on at all).
    pub public: bool,
    /// When it was made.
    pub created_at: Millis,
    /// Whether a published chart version may be replaced, by who may overwrite and says that it is to be.
    pub mutable_versions: bool,
    /// Whether a file keeps its content for as long as it is there, also from who may overwrite.
    pub immutable_files: bool,
}

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageFormat {
    /// Manifests: images, charts, any OCI artifact.
    Oci,
    /// Files.
    Generic,
}

impl StorageFormat {
    /// The word in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Generic => "generic",
        }
    }
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its number.
    pub id: RepositoryId,
    /// Its project.
    pub project: ProjectId,
    /// Its canonical name.
    pub name: RepositoryName,
    /// What it holds.
    pub format: StorageFormat,
}

/// A blob as one repository sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobView {
    /// The blob.
    pub blob: Blob,
    /// Until when the link holds without a manifest that names the blob.
    pub lease_until: Millis,
}

impl std::ops::Deref for BlobView {
    type Target = Blob;

    fn deref(&self) -> &Blob {
        &self.blob
    }
}

/// A verified blob to be made visible in a repository.
#[derive(Clone, Debug)]
pub struct NewBlob {
    /// The repository.
    pub repository: RepositoryId,
    /// The proof that the bytes are there.
    pub blob: VerifiedBlob,
    /// The upload session to close in the same transaction. When it has been closed since, the commit fails with
    /// `Conflict`/`Upload`.
    pub session: Option<UploadId>,
    /// Whether the upload by tus of that session remembers, in the same transaction, that this is what it became.
    pub remembered: bool,
    /// How long the link holds without a manifest.
    pub lease_until: Millis,
    /// The principal's name.
    pub by: Arc<str>,
}

/// How a blob commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// These bytes are now the blob.
    New,
    /// The blob was there already: the caller removes its own copy.
    Duplicate,
}

/// An upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The repository it belongs to.
    pub repository: RepositoryId,
    /// The name of the principal it belongs to.
    pub principal: Arc<str>,
    /// The algorithm it is hashed with as it arrives.
    pub algorithm: Algorithm,
    /// Bytes acknowledged.
    pub offset: u64,
    /// Grows with each request that takes the session over; a writer with an older one is fenced off.
    pub epoch: i64,
    /// When it is swept unless touched.
    pub expires_at: Millis,
}

/// What an artifact is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A container image for one platform.
    Image,
    /// A list of manifests.
    Index,
    /// A Helm chart.
    Chart,
    /// Any other artifact.
    Artifact,
    /// A file.
    File,
    /// A signature of another artifact.
    Signature,
    /// A bill of materials of another artifact.
    Sbom,
    /// A statement about another artifact.
    Attestation,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Image,
        Self::Index,
        Self::Chart,
        Self::Artifact,
        Self::File,
        Self::Signature,
        Self::Sbom,
        Self::Attestation,
    ];

    /// The word in the catalog and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Index => "index",
            Self::Chart => "chart",
            Self::Artifact => "artifact",
            Self::File => "file",
            Self::Signature => "signature",
            Self::Sbom => "sbom",
            Self::Attestation => "attestation",
        }
    }
}

/// How a manifest refers to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeRole {
    /// The config blob.
    Config,
    /// A layer blob.
    Layer,
    /// A manifest (or, in a build cache's index, a blob) that an index lists.
    Child,
    /// The artifact that this one is about. It may be missing.
    Subject,
    /// The bytes of a generic file.
    File,
    /// What vouches for a chart, and came after its manifest.
    Provenance,
}

impl EdgeRole {
    /// The word in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Child => "child",
            Self::Subject => "subject",
            Self::File => "file",
            Self::Provenance => "provenance",
        }
    }
}

/// A reference from a new manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEdge {
    /// What is referred to.
    pub child: Digest,
    /// How.
    pub role: EdgeRole,
    /// Whether it must be here: a linked blob for config, layer and file; a live artifact or a linked blob for a child.
    pub required: bool,
}

/// A manifest to be stored, already parsed and hashed.
#[derive(Clone, Debug)]
pub struct NewManifest {
    /// The repository.
    pub repository: RepositoryId,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The manifest, verbatim.
    pub bytes: Bytes,
    /// Its media type, without parameters.
    pub media_type: String,
    /// What it is.
    pub kind: Kind,
    /// Its artifact type, or for an image manifest without one its config's media type.
    pub artifact_type: Option<String>,
    /// What it is about.
    pub subject: Option<Digest>,
    /// Its descriptor as JSON, ready for a referrers answer; only with `subject`.
    pub descriptor: Option<String>,
    /// The annotations of the manifest, as a JSON object of strings.
    pub labels: String,
    /// Bytes of the manifest and of everything it names directly.
    pub total_size: u64,
    /// What it refers to. May repeat; the catalog keeps one of each.
    pub edges: Vec<NewEdge>,
    /// The names that shall point at it.
    pub tags: Vec<Tag>,
    /// What must hold for those names.
    pub condition: Condition,
    /// Whether the caller may point an existing name at other content.
    pub may_overwrite: bool,
    /// The chart that it holds, when it says that it holds one.
    pub chart: Option<NewChart>,
    /// What it may take the place of, where a name is that of a published chart.
    pub over: Over,
    /// The principal's name.
    pub by: Arc<str>,
}

/// A condition on what a name points at, tested in the transaction that moves it (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// None.
    #[default]
    Always,
    /// The name is free (`If-None-Match: *`).
    Absent,
    /// The name points at something (`If-Match: *`).
    Present,
    /// The name points at one of these (`If-Match: "…"`).
    OneOf(Vec<Digest>),
    /// The name points at none of these (`If-None-Match: "…"`).
    NoneOf(Vec<Digest>),
    /// What the name points at was not changed after this second since 1970 (`If-Unmodified-Since`). It says nothing
    /// of a name that is free, or of which no date is known (RFC 9110 §13.1.4).
    UnchangedSince(i64),
    /// Two conditions at once.
    Both(Box<(Condition, Condition)>),
}

impl Condition {
    /// Whether the condition holds for a name that points at `current`, of which no date is known.
    pub fn holds(&self, current: Option<&Digest>) -> bool {
        self.holds_at(current, None)
    }

    /// Whether the condition holds for a name that points at `current` since `changed`.
    pub fn holds_at(&self, current: Option<&Digest>, changed: Option<Changed>) -> bool {
        match (self, current) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Present, Some(_)) => true,
            (Self::NoneOf(_) | Self::UnchangedSince(_), None) => true,
            (Self::Absent, Some(_)) | (Self::Present | Self::OneOf(_), None) => false,
            (Self::UnchangedSince(second), Some(_)) => changed.is_none_or(|changed| changed.is_seen_by(*second)),
            (Self::Both(both), current) => both.0.holds_at(current, changed) && both.1.holds_at(current, changed),
            (Self::OneOf(wanted), Some(current)) => wanted.contains(current),
            (Self::NoneOf(refused), Some(current)) => !refused.contains(current),
        }
    }
}

/// When a file took the place that it has, as far as the dates of HTTP can tell, which count in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The second since 1970.
    pub second: i64,
    /// Whether it was the only change in that second. Where it was not, the date that is this second may be of what
    /// was there before, and proves nothing (RFC 9110 §8.8.2.2).
    pub once: bool,
}

impl Changed {
    /// A change of this time, when nobody asked whether it was the only one of its second.
    pub fn at(time: Millis) -> Self {
        Self {
            second: time.div_euclid(1000),
            once: false,
        }
    }

    /// Whether who knows this date knows what is there.
    pub fn is(&self, second: i64) -> bool {
        self.once && self.second == second
    }

    /// Whether who looked at this date has seen what is there.
    pub fn is_seen_by(&self, second: i64) -> bool {
        self.second < second || self.is(second)
    }
}

/// How a manifest came to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whether the repository did not hold this manifest before.
    pub created: bool,
    /// The tags that now point at it and did not before, with what they pointed at.
    pub moved: Vec<(Tag, Option<Digest>)>,
}

/// A manifest as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestView {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Its bytes, verbatim.
    pub bytes: Bytes,
    /// Why the version of the chart that it holds was yanked, empty where nobody said it; `None` when it was not.
    pub yanked: Option<Arc<str>>,
}

/// How a deletion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone (in the trash).
    Done,
    /// It was not here.
    Absent,
    /// It is held: these artifacts of the repository refer to it (a few of them).
    InUse(Vec<Digest>),
}

/// One line of a tag's history, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// What the tag points at since then, or `None` since it was deleted.
    pub digest: Option<Digest>,
    /// When.
    pub at: Millis,
    /// By whom.
    pub by: String,
}

/// A referrer: its digest, for paging, and its descriptor as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The referring artifact.
    pub digest: Digest,
    /// Its artifact type.
    pub artifact_type: Option<String>,
    /// Its descriptor.
    pub descriptor: String,
}

/// A page of referrers, by digest.
#[derive(Debug, Default)]
pub struct Referrers {
    /// The page.
    pub list: Vec<Referrer>,
    /// Whether there are more after it.
    pub more: bool,
    /// What a format answers with it, made once and kept as long as the page is.
    pub rendered: OnceLock<Bytes>,
}

/// One numbered row for everything that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: Millis,
    /// Who.
    pub principal: String,
    /// What happened, as `noun.verb` (`tag.moved`).
    pub kind: String,
    /// Where, if in a repository.
    pub repository: Option<RepositoryId>,
    /// The rest, as a JSON object.
    pub body: String,
}

/// Words of the catalog, read back.
macro_rules! read_back {
    ($kind:ty, $what:literal, $all:expr) => {
        impl std::str::FromStr for $kind {
            type Err = crate::Error;

            fn from_str(text: &str) -> crate::Result<Self> {
                $all.into_iter()
                    .find(|value| value.as_str() == text)
                    .ok_or_else(|| crate::Error::internal(format!("{text:?} is no {}", $what)))
            }
        }
    };
}

read_back!(StorageFormat, "storage format", [Self::Oci, Self::Generic]);
read_back!(Kind, "kind of artifact", Self::ALL);
