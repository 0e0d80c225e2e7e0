//! What can be asked of an upload by tus: `/uploads/<id>`.

use super::tus_fill::Piece;
use super::tus_headers::{UPLOAD_LENGTH, UPLOAD_OFFSET, check_kept, is_spoken, is_typed, number};
use crate::gate::Needs;
use crate::handler::{Head, Operation, method_not_allowed};
use granary_storage::blob::UploadId;
use granary_storage::name::{Reference, RepositoryName};
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
        /// `Upload-Length`, of one that began without.
        total: Option<u64>,
        /// The body.
        piece: Piece,
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
/// The repository is known to the session alone. So nothing but a login is asked at first, and the right to store
/// there once dispatch has found the session: on every request.
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

    fn goes_on_with(&self) -> Option<UploadId> {
        match &self.act {
            Act::UploadStatus { id } | Act::Append { id, .. } | Act::CancelUpload { id } => Some(*id).filter(|_| self.spoken),
            Act::UploadOptions => None,
        }
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
    let act = match method(head)? {
        Method::OPTIONS => Act::UploadOptions,
        Method::HEAD => Act::UploadStatus { id },
        Method::PATCH => {
            if spoken {
                check_kept(head)?;
            }
            Act::Append {
                id,
                offset: number(head, &UPLOAD_OFFSET)?,
                total: number(head, &UPLOAD_LENGTH)?,
                piece: Piece::of(head)?,
                typed: is_typed(head),
            }
        }
        Method::DELETE => Act::CancelUpload { id },
        _ => return Err(method_not_allowed("HEAD, PATCH, DELETE, OPTIONS")),
    };
    Ok(Op { spoken, act })
}

/// The method, which a client that cannot send PATCH or DELETE says in a header of a POST. What the request may do is
/// decided by what it turns out to be.
///
/// # Errors
/// `Invalid`/`Request` for a method that is none, or a second one.
fn method(head: &Head<'_>) -> Result<Method> {
    let Some(said) = head.header("x-http-method-override").map(str::trim) else {
        return Ok(head.method.clone());
    };
    let bad = |why| Error::invalid(What::Request, why);
    let method = Method::from_bytes(said.as_bytes()).map_err(|_| bad("X-HTTP-Method-Override names no method"))?;
    if *head.method != Method::POST && *head.method != method {
        return Err(bad(
            "X-HTTP-Method-Override is for a POST, and this request has another method already",
        ));
    }
    Ok(method)
}

/// That the request says where its bytes belong.
pub(super) fn offset_missing() -> Error {
    Error::invalid(What::Size, "Upload-Offset is missing")
}
