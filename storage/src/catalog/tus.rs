//! Uploads by tus, as plain values: what a session's bytes are to become.

use super::model::RepositoryId;
use crate::blob::UploadId;
use crate::clock::Millis;
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
    /// How many bytes it will have.
    pub length: u64,
    /// `Upload-Metadata`, as it was sent.
    pub metadata: String,
    /// When it is forgotten, once its session is gone.
    pub expires_at: Millis,
}

/// An upload by tus; it outlives its session, so that who did not hear the last answer can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TusUpload {
    /// The repository that the file goes to.
    pub repository: RepositoryId,
    /// Its name.
    pub repository_name: RepositoryName,
    /// How many bytes it will have.
    pub length: u64,
    /// `Upload-Metadata`, as it was sent.
    pub metadata: String,
    /// Whether the file is stored.
    pub done: bool,
}
