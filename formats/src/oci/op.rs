//! What an OCI client can ask for, typed: the operation, the access it needs and
//! what dispatch resolves for it. How a request becomes one is `parse.rs`.

use crate::conditions::ReadConditions;
use crate::gate::Needs;
use crate::handler::Operation;
use crate::paging::Page;
use granary_storage::access::{Access, Action, Actions};
use granary_storage::blob::UploadId;
use granary_storage::catalog::Condition;
use granary_storage::name::{Reference, RepositoryName, Tag};
use granary_storage::{Algorithm, Digest};

/// A repository as the client wrote it and as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As written: answers (`name`, `Location`) echo this.
    pub requested: String,
    /// The canonical name.
    pub repository: RepositoryName,
}

/// `Content-Range` of a chunk: first and last byte, inclusive, without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

/// A mount that an upload asks for first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The blob.
    pub digest: Digest,
    /// The repository to take it from; any readable one when absent.
    pub from: Option<Named>,
}

/// The operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `GET /v2/`.
    Base,
    /// `GET /v2/_catalog`.
    Catalog(Page),
    /// `GET …/tags/list`.
    Tags(Page),
    /// `GET|HEAD …/manifests/<reference>`.
    ReadManifest {
        /// Tag or digest.
        reference: Reference,
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `PUT …/manifests/<reference>`.
    PutManifest {
        /// Tag or digest.
        reference: Reference,
        /// Tags from `?tag=` parameters; only with a digest reference.
        tags: Vec<Tag>,
        /// `Content-Type` without parameters.
        media_type: Option<String>,
        /// `If-Match` and `If-None-Match`.
        condition: Condition,
        /// `Content-Length`.
        length: Option<u64>,
    },
    /// `DELETE …/manifests/<reference>`.
    DeleteManifest {
        /// Tag or digest.
        reference: Reference,
    },
    /// `GET …/referrers/<digest>`.
    Referrers {
        /// The subject.
        subject: Digest,
        /// `?artifactType=`.
        artifact_type: Option<String>,
        /// The page; `after` is a digest.
        page: Page,
    },
    /// `GET|HEAD …/blobs/<digest>`.
    ReadBlob {
        /// The blob.
        digest: Digest,
        /// Whether only the headers are wanted.
        head: bool,
        /// Conditions.
        conditions: ReadConditions,
    },
    /// `DELETE …/blobs/<digest>`.
    DeleteBlob {
        /// The blob.
        digest: Digest,
    },
    /// `POST …/blobs/uploads/`.
    StartUpload {
        /// `?mount=&from=`.
        mount: Option<Mount>,
        /// `?digest=`: the body is the whole blob.
        digest: Option<Digest>,
        /// `?digest-algorithm=`.
        algorithm: Algorithm,
        /// `Content-Length`.
        length: Option<u64>,
    },
    /// `GET …/blobs/uploads/<id>`.
    UploadStatus {
        /// The session.
        id: UploadId,
    },
    /// `PATCH …/blobs/uploads/<id>`.
    Append {
        /// The session.
        id: UploadId,
        /// `Content-Range`.
        range: Option<ChunkRange>,
        /// `Content-Length`.
        length: Option<u64>,
    },
    /// `PUT …/blobs/uploads/<id>?digest=`.
    Finish {
        /// The session.
        id: UploadId,
        /// The digest promised.
        digest: Digest,
        /// `Content-Range`.
        range: Option<ChunkRange>,
        /// `Content-Length`.
        length: Option<u64>,
    },
    /// `DELETE …/blobs/uploads/<id>`.
    CancelUpload {
        /// The session.
        id: UploadId,
    },
}

/// An operation and the repository it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The repository; `None` only for [`Act::Base`] and [`Act::Catalog`].
    pub name: Option<Named>,
    /// What is asked.
    pub act: Act,
}

/// The place of [`Action::Overwrite`] among the optional accesses of [`Act::PutManifest`].
pub(super) const OPTIONAL_OVERWRITE: usize = 0;
/// The place of reading the mount's source among the optional accesses of [`Act::StartUpload`].
pub(super) const OPTIONAL_MOUNT_SOURCE: usize = 0;

impl Operation for Op {
    fn needs(&self) -> Needs {
        let Some(name) = &self.name else {
            return if matches!(self.act, Act::Catalog(_)) {
                Needs::Listing
            } else {
                Needs::Login
            };
        };
        let access = |actions: Actions| Access {
            repository: name.repository.clone(),
            actions,
        };
        let mut optional = Vec::new();
        let mut across = false;
        let actions = match &self.act {
            Act::Base | Act::Catalog(_) => Actions::ALL,
            Act::Tags(_) | Act::ReadManifest { .. } | Act::Referrers { .. } | Act::ReadBlob { .. } => Actions::PULL,
            Act::PutManifest { .. } => {
                optional.push(access(Action::Overwrite.into()));
                Action::Create.into()
            }
            Act::DeleteManifest { .. } | Act::DeleteBlob { .. } => Actions::DELETE,
            Act::StartUpload { mount, .. } => {
                match mount {
                    Some(Mount { from: Some(from), .. }) => {
                        optional.push(Access {
                            repository: from.repository.clone(),
                            actions: Actions::PULL,
                        });
                    }
                    Some(Mount { from: None, .. }) => across = true,
                    None => {}
                }
                Action::Create.into()
            }
            Act::UploadStatus { .. } | Act::Append { .. } | Act::Finish { .. } | Act::CancelUpload { .. } => Action::Create.into(),
        };
        Needs::Access {
            required: vec![access(actions)],
            optional,
            across,
        }
    }

    fn repository(&self) -> Option<&RepositoryName> {
        self.name.as_ref().map(|name| &name.repository)
    }

    fn serves(&self) -> Option<&Reference> {
        match &self.act {
            Act::ReadManifest { reference, .. } => Some(reference),
            _ => None,
        }
    }

    fn metadata_only(&self) -> bool {
        matches!(self.act, Act::ReadManifest { head: true, .. })
    }
}
