//! Uploading blobs: in one request, as a stream, in chunks, or by mounting what is there.
//! Source: distribution-spec, "Pushing blobs".

use super::blobs::CONTENT_DIGEST;
use super::error;
use super::op::{Act, ChunkRange, Mount, OPTIONAL_MOUNT_SOURCE, Op};
use crate::body::fill;
use crate::dispatch::Granted;
use crate::gate::Held;
use crate::handler::{Body, Reply};
use granary_storage::blob::UploadId;
use granary_storage::catalog::{Repository, RepositoryId, StorageFormat};
use granary_storage::upload::{Home, Writing};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What, clock};
use http::header::{LOCATION, RANGE};
use http::{HeaderName, StatusCode};

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

fn unknown() -> Error {
    Error::not_found(What::Upload, "there is no such upload")
}

/// The name as the client wrote it: `Location` echoes it.
fn requested(granted: &Granted<Op>) -> &str {
    granted.op().name.as_ref().map_or("", |name| &name.requested)
}

fn session_reply(status: StatusCode, granted: &Granted<Op>, id: UploadId, offset: u64) -> Reply {
    Reply::new(status)
        .header(LOCATION, format!("/v2/{}/blobs/uploads/{id}", requested(granted)))
        .header(UPLOAD_UUID, id.to_string())
        // Inclusive, so that nothing and one byte look alike; the specification has it so.
        .header(RANGE, format!("0-{}", offset.saturating_sub(1)))
}

fn created(granted: &Granted<Op>, digest: &Digest) -> Reply {
    Reply::new(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{}/blobs/{digest}", requested(granted)))
        .header(CONTENT_DIGEST, digest.to_string())
}

/// `POST …/blobs/uploads/`: a mount, a whole blob, or a session.
pub(super) async fn start(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::StartUpload {
        mount,
        digest,
        algorithm,
        length,
    } = &granted.op().act
    else {
        return Err(unknown());
    };
    let Some(name) = &granted.op().name else { return Err(unknown()) };
    let source = match mount {
        Some(mount) => find_source(stores, granted, mount).await?.map(|source| (source, mount.digest)),
        None => None,
    };
    let by = granted.by();
    let make = async || {
        if granted.repository().is_none() {
            granted.confirm().await?;
        }
        let owner = granted.principal().account;
        let (name, by) = (name.repository.clone(), by.clone());
        stores.catalog.ensure_repository(name, StorageFormat::Oci, owner, by).await
    };
    if let Some((source, digest)) = source {
        let lease_until = clock::now() + clock::millis(stores.limits.blob_lease);
        let to = make().await?.id;
        if stores
            .catalog
            .mount_blob(to, source, digest, lease_until, by.clone())
            .await?
            .is_some()
        {
            return Ok(created(granted, &digest));
        }
    }
    if let Some(digest) = digest {
        check_announced(stores, 0, *length)?;
        let home = Home::ToBeMade {
            name: name.repository.clone(),
            format: StorageFormat::Oci,
            owner: granted.principal().account,
        };
        let mut writing = stores.uploads.single(home, by, digest.algorithm()).await?;
        return match fill(&mut writing, body, *length).await {
            Ok(()) => {
                if granted.repository().is_none()
                    && let Err(error) = granted.confirm().await
                {
                    writing.give_up().await?;
                    return Err(error);
                }
                writing.finish(digest).await.map(|_| created(granted, digest))
            }
            Err(error) => {
                writing.give_up().await?;
                Err(error)
            }
        };
    }
    // What is refused for want of room leaves no repository behind.
    stores.uploads.check_space().await?;
    let repository = make().await?;
    let session = stores.uploads.begin(repository.id, by, *algorithm).await?;
    Ok(session_reply(StatusCode::ACCEPTED, granted, session.id, 0))
}

/// The repository to mount from, when there is one that the caller may read.
///
/// # Errors
/// `Unauthenticated`/`Scope` when the caller may read the source but the token does not reach it: the client
/// then fetches a wider token. Only a source that links the blob is worth that trip.
async fn find_source(stores: &Stores, granted: &Granted<Op>, mount: &Mount) -> Result<Option<RepositoryId>> {
    let Some(from) = &mount.from else {
        return stores.catalog.find_blob(mount.digest, granted.visible().clone()).await;
    };
    let held = granted.optional(OPTIONAL_MOUNT_SOURCE);
    if held == Held::No {
        return Ok(None);
    }
    let Some(source) = stores.catalog.repository(from.repository.clone()).await? else {
        return Ok(None);
    };
    if stores.catalog.blob(source.id, mount.digest).await?.is_none() {
        return Ok(None);
    }
    match held {
        Held::Yes => Ok(Some(source.id)),
        _ => Err(Error::new(
            ErrorKind::Unauthenticated,
            What::Scope,
            "the token does not reach the repository to mount from",
        )),
    }
}

fn existing(granted: &Granted<Op>) -> Result<&Repository> {
    granted.repository().ok_or_else(unknown)
}

/// `GET …/blobs/uploads/<id>`.
pub(super) async fn status(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::UploadStatus { id } = granted.op().act else {
        return Err(unknown());
    };
    let session = stores.uploads.status(id, existing(granted)?.id, granted.by()).await?;
    Ok(session_reply(StatusCode::NO_CONTENT, granted, id, session.offset))
}

/// `DELETE …/blobs/uploads/<id>`.
pub(super) async fn cancel(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::CancelUpload { id } = granted.op().act else {
        return Err(unknown());
    };
    stores.uploads.cancel(id, existing(granted)?.id, granted.by()).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

/// `PATCH …/blobs/uploads/<id>`.
pub(super) async fn append(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Append { id, range, length } = granted.op().act else {
        return Err(unknown());
    };
    let mut writing = match open(stores, granted, id, range, length).await? {
        Opened::Writing(writing) => writing,
        Opened::OutOfOrder(reply) => return Ok(reply),
    };
    match fill(&mut writing, body, range.map(length_of).or(length)).await {
        Ok(()) => {
            let offset = writing.park().await?;
            Ok(session_reply(StatusCode::ACCEPTED, granted, id, offset))
        }
        Err(error) => {
            stop(writing, range, &error).await?;
            Err(error)
        }
    }
}

/// `PUT …/blobs/uploads/<id>?digest=…`, with the rest of the bytes or none.
pub(super) async fn finish(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Finish { id, digest, range, length } = granted.op().act else {
        return Err(unknown());
    };
    let mut writing = match open(stores, granted, id, range, length).await {
        Ok(Opened::Writing(writing)) => writing,
        Ok(Opened::OutOfOrder(reply)) => return Ok(reply),
        // The answer to the request that finished it was lost on its way, and the client asks again.
        Err(error) if error.is_not_found() && stores.uploads.finished(id, existing(granted)?.id, &granted.by()) == Some(digest) => {
            return Ok(created(granted, &digest));
        }
        Err(error) => return Err(error),
    };
    match fill(&mut writing, body, range.map(length_of).or(length)).await {
        Ok(()) => writing.finish(&digest).await.map(|_| created(granted, &digest)),
        Err(error) => {
            stop(writing, range, &error).await?;
            Err(error)
        }
    }
}

enum Opened {
    Writing(Writing),
    OutOfOrder(Reply),
}

/// Takes the session over, unless the chunk does not fit where it stands.
async fn open(stores: &Stores, granted: &Granted<Op>, id: UploadId, range: Option<ChunkRange>, length: Option<u64>) -> Result<Opened> {
    let repository = existing(granted)?.id;
    if let Some(range) = range {
        // Looked at first: a chunk that is refused must not take the session from a request that is writing.
        let session = stores.uploads.status(id, repository, granted.by()).await?;
        if range.first != session.offset {
            return Ok(Opened::OutOfOrder(out_of_order(granted, id, session.offset)));
        }
        if length.is_some_and(|length| length != length_of(range)) {
            return Err(Error::invalid(What::Size, "Content-Range and Content-Length do not agree"));
        }
    }
    let writing = stores.uploads.open(id, repository, granted.by()).await?;
    if let Err(error) = check_announced(stores, writing.offset(), length) {
        writing.give_up().await?;
        return Err(error);
    }
    match range {
        Some(range) if range.first != writing.offset() => {
            let offset = writing.offset();
            writing.park().await?;
            Ok(Opened::OutOfOrder(out_of_order(granted, id, offset)))
        }
        _ => Ok(Opened::Writing(writing)),
    }
}

fn out_of_order(granted: &Granted<Op>, id: UploadId, offset: u64) -> Reply {
    let refusal = Error::new(
        ErrorKind::BadRange,
        What::Upload,
        format!("the upload stands at {offset} bytes; go on from there"),
    );
    let mut reply = error::body(&refusal);
    reply
        .headers
        .extend(session_reply(StatusCode::RANGE_NOT_SATISFIABLE, granted, id, offset).headers);
    reply
}

/// A body that announces more than a blob may hold is refused before it is read.
fn check_announced(stores: &Stores, offset: u64, length: Option<u64>) -> Result<()> {
    let limit = stores.limits.blob_bytes;
    if length.is_some_and(|length| offset.saturating_add(length) > limit) {
        let sentence = format!("the blob is larger than the limit of {limit} bytes");
        return Err(Error::new(ErrorKind::TooLarge, What::Blob, sentence));
    }
    Ok(())
}

fn length_of(range: ChunkRange) -> u64 {
    range.last - range.first + 1
}

/// Ends a request that failed in the middle. What a plain stream brought until then is kept, so that the
/// client can ask where it stands and go on; a chunk counts as a whole or not at all.
async fn stop(writing: Writing, range: Option<ChunkRange>, error: &Error) -> Result<()> {
    let broke_off = matches!(error.kind(), ErrorKind::Timeout) || matches!((error.kind(), error.what()), (ErrorKind::Invalid, What::Size));
    if broke_off && range.is_none() {
        writing.park().await.map(drop)
    } else {
        writing.give_up().await
    }
}
