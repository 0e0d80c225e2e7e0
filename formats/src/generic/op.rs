//! What can be asked about files, typed: the operation and the access it needs. How a request becomes one is `parse.rs`.

use super::archive::Within;
use super::checksums::Promises;
use super::download::Format;
use super::listing::Form;
use super::release::Range;
use super::tus_create::Wanted;
use crate::conditions::ReadConditions;
use crate::dispatch::Granted;
use crate::gate::{Held, Needs};
use crate::handler::Operation;
use crate::paging::Page;
use granary_storage::Digest;
use granary_storage::access::{Access, Action, Actions};
use granary_storage::catalog::{Condition, NewFile, RepositoryId};
use granary_storage::label::Labels;
use granary_storage::name::{FilePath, Reference, RepositoryName};
use granary_storage::release::Releases;

/// The operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `GET|HEAD …/<path>`: a file, the checksum of one, or a file in an archive.
    ReadFile {
        /// The file.
        path: FilePath,
        /// The archive that the path leads into, where no file has it.
        within: Option<Within>,
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
        /// `?recursive`: of a folder's checksums, those of the folders below it as well.
        recursive: bool,
    },
    /// `PUT …/<path>`.
    PutFile(PutFile),
    /// `GET|HEAD …/<path>?labels`: what is known of a file.
    ReadLabels {
        /// The file.
        path: FilePath,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `GET|HEAD …/@<range>/<rest>`: where the newest release of these is.
    NewestRelease {
        /// Which releases.
        range: Range,
        /// What of it: a file's path, or a folder's with its slash; nothing for all of it.
        rest: String,
        /// The query, as it came: it goes on with the client.
        query: String,
    },
    /// `GET|HEAD …/?releases`: which releases there are, the newest first.
    ListReleases {
        /// Those that the page may hold.
        among: Releases,
        /// The page.
        page: Page,
    },
    /// `PATCH …/<path>`.
    ChangeLabels {
        /// The file.
        path: FilePath,
        /// `If-Match`, `If-None-Match` and `If-Unmodified-Since`.
        condition: Condition,
        /// `Content-Length`.
        length: Option<u64>,
    },
    /// `DELETE …/<path>`.
    DeleteFile {
        /// The file.
        path: FilePath,
        /// `If-Match`, `If-None-Match` and `If-Unmodified-Since`.
        condition: Condition,
    },
    /// `GET|HEAD …/` and `…/<path>/`: what a folder holds, or a folder in an archive.
    ListFiles {
        /// The folder; the whole repository for `None`.
        folder: Option<FilePath>,
        /// The archive that the path leads into, where nothing is stored in such a folder.
        within: Option<Within>,
        /// `?recursive`: the files of all folders below it, rather than these folders.
        recursive: bool,
        /// The page.
        page: Page,
        /// As what it is shown.
        form: Form,
    },
    /// `GET|HEAD …/<path>/?archive=…`: all files of a folder, in one.
    FetchFolder {
        /// The folder; the whole repository for `None`.
        folder: Option<FilePath>,
        /// As what it is packed.
        format: Format,
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `POST …/`: an upload in pieces (tus).
    StartUpload {
        /// What it is to become; `None` where the protocol's version is none that is spoken.
        wanted: Option<Wanted>,
    },
    /// `OPTIONS …/`: what is known of tus.
    UploadAbilities,
}

/// A file that is to be stored, as the request says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutFile {
    /// Where.
    pub path: FilePath,
    /// `Content-Type`, where it says something about the file.
    pub media_type: Option<String>,
    /// `If-Match`, `If-None-Match` and `If-Unmodified-Since`.
    pub condition: Condition,
    /// The checksums that the bytes must have.
    pub promises: Promises,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// Its labels.
    pub labels: Labels,
    /// `X-Checksum-Deploy`: the bytes are here already, and do not come.
    pub deploy: bool,
}

impl PutFile {
    /// The file, once its bytes are known.
    pub(super) fn with(&self, granted: &Granted<Op>, repository: RepositoryId, digest: Digest, size: u64) -> NewFile {
        NewFile {
            repository,
            path: self.path.clone(),
            digest,
            size,
            media_type: self.media_type.clone(),
            condition: self.condition.clone(),
            labels: self.labels.clone(),
            may_overwrite: granted.optional(OPTIONAL_OVERWRITE) == Held::Yes,
            mends: false,
            source: None,
            by: granted.by(),
        }
    }
}

/// An operation and the repository it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The repository.
    pub repository: RepositoryName,
    /// What is asked.
    pub act: Act,
}

/// The place of [`Action::Overwrite`] among the optional accesses of [`Act::PutFile`] and [`Act::StartUpload`].
pub(super) const OPTIONAL_OVERWRITE: usize = 0;

impl Operation for Op {
    fn needs(&self) -> Needs {
        let access = |actions: Actions| Access {
            repository: self.repository.clone(),
            actions,
        };
        match &self.act {
            Act::ReadFile { .. }
            | Act::ReadLabels { .. }
            | Act::NewestRelease { .. }
            | Act::ListReleases { .. }
            | Act::ListFiles { .. }
            | Act::FetchFolder { .. } => Needs::one(access(Actions::PULL)),
            // Who changes some is told all.
            Act::ChangeLabels { .. } => Needs::one(access(Actions::PUSH | Actions::PULL)),
            Act::DeleteFile { .. } => Needs::one(access(Actions::DELETE)),
            Act::UploadAbilities => Needs::one(access(Action::Create.into())),
            Act::StartUpload { .. } => Needs::to_store(&self.repository, false),
            Act::PutFile(PutFile { deploy, .. }) => Needs::to_store(&self.repository, *deploy),
        }
    }

    fn repository(&self) -> Option<&RepositoryName> {
        Some(&self.repository)
    }

    fn serves(&self) -> Option<&Reference> {
        None
    }

    fn serves_file(&self) -> Option<&FilePath> {
        match &self.act {
            Act::ReadFile { path, .. } => Some(path),
            _ => None,
        }
    }

    fn serves_within(&self) -> Option<&FilePath> {
        match &self.act {
            Act::ReadFile { within, .. } | Act::ListFiles { within, .. } => within.as_ref().map(|within| &within.archive),
            _ => None,
        }
    }

    fn metadata_only(&self) -> bool {
        // What is said of a file in an archive is read out of the archive.
        matches!(
            self.act,
            Act::ReadFile {
                head: true,
                within: None,
                ..
            }
        )
    }
}
