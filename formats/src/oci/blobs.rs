//! Reading and deleting blobs. A blob is visible where it is linked, and nowhere else.

use super::error;
use super::op::{Act, Op, ReadConditions};
use super::range::{Wanted, wanted};
use crate::dispatch::Granted;
use crate::handler::{Reply, ReplyBody};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use granary_storage::blob::{Blob, ByteStream};
use granary_storage::catalog::{BlobView, Deleted, RepositoryId};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What, clock};
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderName, StatusCode};
use std::ops::Range;

/// The header that names the content of an answer.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Content under its digest never changes, but who may see it does.
pub(super) const FOREVER: &str = "private, max-age=31536000, immutable";

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
    if not_modified(conditions, digest) {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let whole = |reply: Reply| reply.header(CONTENT_TYPE, "application/octet-stream");
    match parts(conditions, &blob, stores.limits.ranges_per_request) {
        _ if *head => Ok(whole(reply(StatusCode::OK)).with(ReplyBody::Omitted { len: blob.size })),
        Wanted::Whole => {
            let stream = stores.read(&blob, 0..blob.size).await?;
            Ok(whole(reply(StatusCode::OK)).with(ReplyBody::Stream { len: blob.size, stream }))
        }
        Wanted::One(range) => {
            let len = range.end - range.start;
            let stream = stores.read(&blob, range.clone()).await?;
            let reply = whole(reply(StatusCode::PARTIAL_CONTENT)).header(CONTENT_RANGE, content_range(&range, blob.size));
            Ok(reply.with(ReplyBody::Stream { len, stream }))
        }
        Wanted::Many(ranges) => {
            let boundary = format!("granary-{}", &digest.hex()[..32]);
            let (len, stream) = multipart(stores, &blob, ranges, &boundary);
            let reply = reply(StatusCode::PARTIAL_CONTENT).header(CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}"));
            Ok(reply.with(ReplyBody::Stream { len, stream }))
        }
        Wanted::Unsatisfiable => {
            let refusal = Error::new(ErrorKind::BadRange, What::Range, format!("the blob has {} bytes", blob.size));
            Ok(error::body(&refusal).header(CONTENT_RANGE, format!("bytes */{}", blob.size)))
        }
    }
}

/// Whether the client holds the content already.
pub(super) fn not_modified(conditions: &ReadConditions, digest: &Digest) -> bool {
    conditions
        .if_none_match
        .iter()
        .any(|tag| tag == "*" || tag.parse().is_ok_and(|held: Digest| held == *digest))
}

/// The parts to send: none but the whole when `If-Range` names other content.
fn parts(conditions: &ReadConditions, blob: &Blob, most: usize) -> Wanted {
    let same = |tag: &String| tag.trim().trim_matches('"').parse().is_ok_and(|held: Digest| held == blob.digest);
    match &conditions.range {
        Some(range) if conditions.if_range.as_ref().is_none_or(same) => wanted(range, blob.size, most),
        _ => Wanted::Whole,
    }
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

/// Several parts as one body (RFC 9110 §14.6). Each part is opened when its turn comes.
fn multipart(stores: &Stores, blob: &Blob, ranges: Vec<Range<u64>>, boundary: &str) -> (u64, ByteStream) {
    let size = blob.size;
    let heading = |range: &Range<u64>| {
        let content_range = content_range(range, size);
        Bytes::from(format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {content_range}\r\n\r\n"
        ))
    };
    let parts: Vec<(Bytes, Range<u64>)> = ranges.into_iter().map(|range| (heading(&range), range)).collect();
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let len = parts
        .iter()
        .map(|(heading, range)| heading.len() as u64 + range.end - range.start)
        .sum::<u64>()
        + end.len() as u64;
    let (stores, blob) = (stores.clone(), blob.clone());
    let body = stream::iter(parts).flat_map(move |(heading, range)| {
        let (stores, blob) = (stores.clone(), blob.clone());
        let content = stream::once(async move { stores.read(&blob, range).await }).flat_map(|opened| match opened {
            Ok(content) => content,
            Err(error) => Box::pin(stream::iter([Err(error)])),
        });
        stream::iter([Ok(heading)]).chain(content)
    });
    (len, Box::pin(body.chain(stream::iter([Ok(end)]))))
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
