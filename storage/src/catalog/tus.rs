//! Uploads by tus, as plain values: what a session's bytes are to become.

use super::model::RepositoryId;
use crate::blob::UploadId;
use crate::clock::Millis;
use crate::digest::Digest;
use crate::name::RepositoryName;
use std::sync::Arc;

/// What a new upload is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTusUpload {
    /// Its session.
    pub id: UploadId,
    /// The repository that the file goes to.
    pub repository: RepositoryId,
    /// The name of the principal it belongs to.
    pub principal: Arc<str>,
    /// How many bytes it will have; `None` where the client says so later.
    pub length: Option<u64>,
    /// `Upload-Metadata`, as it was sent.
    pub metadata: String,
    /// `Upload-Concat: partial`: its bytes are a part of a file.
    pub is_part: bool,
    /// When it is forgotten, once its session is gone.
    pub expires_at: Millis,
}

/// A new upload that is made of parts, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTusWhole {
    /// Its session, should it not be there already.
    pub id: UploadId,
    /// The repository that the file and the parts belong to.
    pub repository: RepositoryId,
    /// The name of the principal that they belong to.
    pub principal: Arc<str>,
    /// Its parts, each of them once.
    pub parts: Vec<UploadId>,
    /// `Upload-Concat`, as it was sent.
    pub concat: String,
    /// `Upload-Metadata`, as it was sent.
    pub metadata: String,
    /// Bytes of all parts, at most.
    pub max_length: u64,
    /// Open sessions of the principal, at most.
    pub max_open: u64,
    /// When it is forgotten, once its session is gone.
    pub expires_at: Millis,
}

/// An upload by tus; it outlives its session, so that who did not hear the last answer can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TusUpload {
    /// Its session.
    pub id: UploadId,
    /// The repository that the file goes to.
    pub repository: RepositoryId,
    /// Its name.
    pub repository_name: RepositoryName,
    /// How many bytes it will have; `None` while the client has not said so.
    pub length: Option<u64>,
    /// `Upload-Metadata`, as it was sent.
    pub metadata: String,
    /// `Upload-Concat`, as it was sent.
    pub concat: Option<String>,
    /// The blob that its bytes have become, whether or not the file is stored by now.
    pub digest: Option<Digest>,
    /// Whether the file is stored; of a part, whether that which it was joined into is.
    pub done: bool,
}

impl TusUpload {
    /// Whether its bytes are a part of a file, and never one by themselves.
    pub fn is_part(&self) -> bool {
        self.concat.as_deref() == Some(PART)
    }

    /// Whether it is made of parts, and takes no bytes itself.
    pub fn is_joined(&self) -> bool {
        self.concat.is_some() && !self.is_part()
    }
}

/// What `Upload-Concat` says of a part.
pub(super) const PART: &str = "partial";
