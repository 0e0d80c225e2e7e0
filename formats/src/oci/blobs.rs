//! Reading and deleting blobs. A blob is visible where it is linked, and nowhere else.

use super::error;
use super::op::{Act, Op};
use crate::dispatch::Granted;
use crate::handler::{Reply, ReplyBody};
use crate::range::{Wanted, boundary, content_range, multipart};
use granary_storage::catalog::{BlobView, Deleted, RepositoryId};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What, clock};
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderName, StatusCode};

/// The header that names the content of an answer.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Content under its digest never changes, but who may see it does.
pub(crate) const FOREVER: &str = "private, max-age=31536000, immutable";

/// Of what type a blob is, nobody says.
const OCTETS: &str = "application/octet-stream";

fn unknown() -> Error {
    Error::not_found(What::Blob, "there is no such blob in this repository")
}

/// `GET` and `HEAD …/blobs/<digest>`.
pub(super) async fn read(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::ReadBlob { digest, head, conditions } = &granted.op().act else {
        return Err(unknown());
    };
    let repository = granted.repository().ok_or_else(unknown)?.id;
    let BlobView { blob, lease_until } = stores.catalog.blob(repository, *digest).await?.ok_or_else(unknown)?;
    if *head {
        keep(stores, repository, blob.digest, lease_until).await?;
    }
    let reply = |status| {
        Reply::new(status)
            .header(CONTENT_DIGEST, digest.to_string())
            .header(ETAG, format!("\"{digest}\""))
            .header(CACHE_CONTROL, FOREVER)
            .header(ACCEPT_RANGES, "bytes")
    };
    if conditions.not_modified(&digest.to_string(), None)? {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let whole = |reply: Reply| reply.header(CONTENT_TYPE, OCTETS);
    match conditions.parts(&blob, None, stores.limits.ranges_per_request) {
        _ if *head => Ok(whole(reply(StatusCode::OK)).with(ReplyBody::Omitted { len: blob.size })),
        Wanted::Whole => {
            let stream = stores.read(&blob, 0..blob.size).await?;
            Ok(whole(reply(StatusCode::OK)).with(ReplyBody::stream(blob.size, stream)))
        }
        Wanted::One(range) => {
            let len = range.end - range.start;
            let stream = stores.read(&blob, range.clone()).await?;
            let reply = whole(reply(StatusCode::PARTIAL_CONTENT)).header(CONTENT_RANGE, content_range(&range, blob.size));
            Ok(reply.with(ReplyBody::stream(len, stream)))
        }
        Wanted::Many(ranges) => {
            let content_type = format!("multipart/byteranges; boundary={}", boundary(&blob));
            let (len, stream) = multipart(stores, &blob, ranges, OCTETS);
            let reply = reply(StatusCode::PARTIAL_CONTENT).header(CONTENT_TYPE, content_type);
            Ok(reply.with(ReplyBody::stream(len, stream)))
        }
        Wanted::Unsatisfiable => {
            let refusal = Error::new(ErrorKind::BadRange, What::Range, format!("the blob has {} bytes", blob.size));
            Ok(error::body(&refusal).header(CONTENT_RANGE, format!("bytes */{}", blob.size)))
        }
    }
}

/// A client skips an upload on the strength of this answer, so the blob must outlast the push:
/// the lease is renewed, but only when half of it is gone, so that reads stay reads.
async fn keep(stores: &Stores, repository: RepositoryId, digest: Digest, lease_until: clock::Millis) -> Result<()> {
    let (now, lease) = (clock::now(), clock::millis(stores.limits.blob_lease));
    if lease_until - now < lease / 2 {
        stores.catalog.touch_blob(repository, digest, now + lease).await?;
    }
    Ok(())
}

/// `DELETE …/blobs/<digest>`.
pub(super) async fn delete(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::DeleteBlob { digest } = &granted.op().act else {
        return Err(unknown());
    };
    let repository = granted.repository().ok_or_else(unknown)?.id;
    match stores.catalog.unlink_blob(repository, *digest, granted.by()).await? {
        Deleted::Done => Ok(Reply::new(StatusCode::ACCEPTED)),
        Deleted::Absent => Err(unknown()),
        Deleted::InUse(holders) => {
            let holder = holders.first().map(ToString::to_string).unwrap_or_default();
            Err(Error::new(
                ErrorKind::Unsupported,
                What::Blob,
                format!("the manifest {holder} needs this blob; delete the manifest first"),
            ))
        }
    }
}
