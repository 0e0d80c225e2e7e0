//! What can be asked of an upload by tus: `/uploads/<id>`.

use super::tus_headers::{UPLOAD_OFFSET, checksum, is_spoken, number};
use crate::body::content_length;
use crate::gate::Needs;
use crate::handler::{Head, Operation, method_not_allowed};
use granary_storage::blob::UploadId;
use granary_storage::name::{Reference, RepositoryName};
use granary_storage::sums::Sum;
use granary_storage::{Error, Result, What};
use http::Method;

/// The operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `OPTIONS /uploads[/<id>]`.
    UploadOptions,
    /// `HEAD /uploads/<id>`: where it stands. Whoever still writes is fenced off.
    UploadStatus {
        /// The session.
        id: UploadId,
    },
    /// `PATCH /uploads/<id>`.
    Append {
        /// The session.
        id: UploadId,
        /// `Upload-Offset`.
        offset: Option<u64>,
        /// `Content-Length`.
        length: Option<u64>,
        /// `Upload-Checksum`.
        checksum: Option<Sum>,
        /// Whether the body is of the one type that the protocol knows.
        typed: bool,
    },
    /// `DELETE /uploads/<id>`.
    CancelUpload {
        /// The session.
        id: UploadId,
    },
}

/// An operation, and whether it is of the version that is spoken.
///
/// The repository is known to the session alone. So nothing but a login is asked at first, and the right to push
/// there once the session is found: on every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// `Tus-Resumable`.
    pub spoken: bool,
    /// What is asked.
    pub act: Act,
}

impl Operation for Op {
    fn needs(&self) -> Needs {
        Needs::Login
    }

    fn repository(&self) -> Option<&RepositoryName> {
        None
    }

    fn serves(&self) -> Option<&Reference> {
        None
    }

    fn metadata_only(&self) -> bool {
        matches!(self.act, Act::UploadStatus { .. })
    }
}

/// Understands a request; the path is that behind `/uploads`.
pub(super) fn parse(head: &Head<'_>) -> Result<Op> {
    let id = head.path.strip_prefix('/').unwrap_or_default();
    let spoken = is_spoken(head);
    if id.is_empty() {
        return match *head.method {
            Method::OPTIONS => Ok(Op {
                spoken,
                act: Act::UploadOptions,
            }),
            _ => Err(method_not_allowed("OPTIONS")),
        };
    }
    let id: UploadId = id.parse()?;
    let act = match *head.method {
        Method::OPTIONS => Act::UploadOptions,
        Method::HEAD => Act::UploadStatus { id },
        Method::PATCH => Act::Append {
            id,
            offset: number(head, &UPLOAD_OFFSET)?,
            length: content_length(head)?,
            checksum: checksum(head)?,
            typed: head
                .header("content-type")
                .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/offset+octet-stream")),
        },
        Method::DELETE => Act::CancelUpload { id },
        _ => return Err(method_not_allowed("HEAD, PATCH, DELETE, OPTIONS")),
    };
    Ok(Op { spoken, act })
}

/// That the request says where its bytes belong.
pub(super) fn offset_missing() -> Error {
    Error::invalid(What::Size, "Upload-Offset is missing")
}
