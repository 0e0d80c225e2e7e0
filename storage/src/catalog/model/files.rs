//! Files, what is said of them, and the folders and releases that they form.

use super::{Changed, Condition, Repository, RepositoryId};
use crate::blob::Blob;
use crate::clock::Millis;
use crate::digest::Digest;
use crate::label::{LabelChanges, Labels};
use crate::name::FilePath;
use crate::sums::FileSums;
use std::sync::Arc;

/// Why nothing else is stored at the path of a file that keeps its content.
pub const IMMUTABLE: &str = "the files of its project keep their content; store it at another path";

/// A file to be stored under a path. Its bytes are linked in the repository already.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The repository.
    pub repository: RepositoryId,
    /// The path.
    pub path: FilePath,
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// The media type that the client named.
    pub media_type: Option<String>,
    /// What must hold for the path.
    pub condition: Condition,
    /// Its labels. Where the path holds just this content already, none leave those that it has.
    pub labels: Labels,
    /// Whether the caller may store other content under an existing path, or other labels.
    pub may_overwrite: bool,
    /// Whether what the path held was damaged before these bytes came ([`FilePlace::damaged`]). Where they are the same
    /// again, they mend it, which no condition on what is there stands against.
    pub mends: bool,
    /// The repository whose live content the bytes are, where they did not come with the request: they are linked in
    /// the same transaction.
    pub source: Option<RepositoryId>,
    /// The principal's name.
    pub by: Arc<str>,
}

/// Changes of a file's labels.
#[derive(Clone, Debug)]
pub struct RelabelFile {
    /// The repository.
    pub repository: RepositoryId,
    /// The path.
    pub path: FilePath,
    /// The changes.
    pub changes: LabelChanges,
    /// What must hold for the path.
    pub condition: Condition,
    /// Labels that it may have in the end, at most.
    pub most: usize,
    /// The principal's name.
    pub by: Arc<str>,
}

/// Something live that holds some content, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The repository.
    pub repository: Repository,
    /// The manifest or the file.
    pub artifact: Digest,
    /// A path of it, where it is a file.
    pub path: Option<FilePath>,
}

/// Content that is here, as far as somebody may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldContent {
    /// How many bytes.
    pub size: u64,
    /// The checksums, where they are known.
    pub sums: Option<FileSums>,
    /// Where it can be read; at least one.
    pub holders: Vec<Holder>,
}

/// How a file came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStored {
    /// The path was free.
    Created,
    /// The path held this content before.
    Replaced(Digest),
    /// The path holds just this content already; its labels or its media type were changed.
    Relabelled,
    /// The path holds just this content already; nothing was changed.
    Unchanged,
}

/// What stands at a path, as far as storing a file there is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePlace {
    /// The content of the file that is there.
    pub current: Option<Digest>,
    /// Since when.
    pub changed: Option<Changed>,
    /// Whether its bytes were found damaged, and are set aside until they are stored again.
    pub damaged: bool,
    /// Whether that file keeps its content: its project lets none be replaced.
    pub immutable: bool,
    /// The files beside it that are named as its checksums are (`fw.bin.sha256`), as far as they can be read.
    pub sidecars: Vec<FileView>,
    /// A file that would have to be a folder, or one in the folder that would have to be a file.
    pub in_the_way: Option<String>,
}

/// A file as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileView {
    /// Its path.
    pub path: FilePath,
    /// Its bytes.
    pub blob: Blob,
    /// Whether these were found damaged, and are set aside until they are stored again.
    pub damaged: bool,
    /// The media type that the client named.
    pub media_type: Option<Arc<str>>,
    /// Its checksums, where they are known.
    pub sums: Option<FileSums>,
    /// Its labels.
    pub labels: Labels,
    /// When the path was last pointed at other content.
    pub updated_at: Millis,
    /// By whom.
    pub updated_by: Arc<str>,
}

/// What a folder holds directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderEntry {
    /// A folder, by its name.
    Folder(String),
    /// A file.
    File {
        /// Its name in the folder; its path from there, where the files of all folders below are listed.
        name: String,
        /// Its digest.
        digest: Digest,
        /// How many bytes.
        size: u64,
        /// The media type that the client named.
        media_type: Option<String>,
        /// When the path was last pointed at other content.
        updated_at: Millis,
        /// By whom.
        updated_by: String,
        /// Whether its bytes were found damaged: it cannot be read until they are stored again.
        damaged: bool,
    },
}

impl FolderEntry {
    /// What a page that begins after this entry names: a folder's name ends in `/`.
    pub fn marker(&self) -> String {
        match self {
            Self::Folder(name) => format!("{name}/"),
            Self::File { name, .. } => name.clone(),
        }
    }
}

/// A release of a repository's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseEntry {
    /// The folder that it is.
    pub name: String,
    /// Whether it only leads up to a version.
    pub prerelease: bool,
}
