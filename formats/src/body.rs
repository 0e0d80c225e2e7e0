//! Reading a request's body: into memory with a limit, or into an upload.

use crate::handler::{Body, Head};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use granary_storage::upload::Writing;
use granary_storage::{Error, ErrorKind, Result, What};

/// The whole body, when it is at most `limit` bytes; `announced` is the request's `Content-Length`, if any.
///
/// # Errors
/// `TooLarge`/`what`, before reading when the announced length is over the limit; `Invalid`/`Size` when the body
/// has another length than was announced; whatever broke the stream.
pub(crate) async fn collect(
    mut body: impl Stream<Item = Result<Bytes>> + Unpin,
    announced: Option<u64>,
    limit: u64,
    what: What,
) -> Result<Bytes> {
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            what,
            format!("the body is larger than the limit of {limit} bytes"),
        )
    };
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut all = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if (all.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        all.extend_from_slice(&chunk);
    }
    if announced.is_some_and(|length| length != all.len() as u64) {
        return Err(Error::invalid(What::Size, "the body does not have the length that was announced"));
    }
    Ok(all.freeze())
}

/// `Content-Length`.
///
/// # Errors
/// `Invalid`/`Size` when it is no number.
pub(crate) fn content_length(head: &Head<'_>) -> Result<Option<u64>> {
    let bad = || Error::invalid(What::Size, "Content-Length is not a number");
    head.header("content-length")
        .map(|text| text.trim().parse().map_err(|_| bad()))
        .transpose()
}

/// Moves the body into the upload; `expected` bytes of it, when that is known.
pub(crate) async fn fill(writing: &mut Writing, mut body: Body, expected: Option<u64>) -> Result<()> {
    let start = writing.offset();
    let disagrees = || Error::invalid(What::Size, "the body does not have the length that was announced");
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if expected.is_some_and(|expected| writing.offset() - start + chunk.len() as u64 > expected) {
            return Err(disagrees());
        }
        writing.write(chunk).await?;
    }
    if expected.is_some_and(|expected| writing.offset() - start != expected) {
        return Err(disagrees());
    }
    Ok(())
}
