//! Reading, storing and deleting files.

use super::archive;
use super::checksums::{self, describe};
use super::deploy;
use super::media;
use super::op::{Act, OPTIONAL_OVERWRITE, Op, PutFile};
use super::path::file_address;
use super::sidecar::{self, Claim};
use super::sums_file;
use crate::body::fill;
use crate::conditions::{ReadConditions, http_date};
use crate::dispatch::Granted;
use crate::gate::Held;
use crate::handler::{Body, Reply, ReplyBody};
use crate::json_error;
use crate::range::{Wanted, boundary, content_range, multipart};
use futures_util::{future, stream};
use granary_storage::catalog::{Changed, FilePlace, FileStored, FileView, IMMUTABLE, NewFile, StorageFormat};
use granary_storage::name::FilePath;
use granary_storage::sums::{FileSums, Sum};
use granary_storage::upload::Home;
use granary_storage::{Algorithm, Digest, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION,
};
use serde_json::json;
use std::sync::Arc;

/// Another file may be stored under the path at any time, and who may see it can change.
pub(super) const ASK_AGAIN: &str = "private, no-cache";

/// Why a path that holds something takes nothing else.
pub(super) const OTHER_CONTENT: &str = "you may not store other content there";

pub(super) fn unknown() -> Error {
    Error::not_found(What::File, "there is no such file")
}

/// `GET` and `HEAD …/<path>`.
pub(super) async fn read(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::ReadFile {
        path,
        within,
        head,
        conditions,
        recursive,
    } = &granted.op().act
    else {
        return Err(unknown());
    };
    let file = match (granted.file(), within) {
        (Some(file), _) if file.path == *path => file,
        (Some(archive), Some(within)) => {
            check_sound(archive)?;
            return archive::read(stores, granted, within, *head, conditions).await;
        }
        _ => return computed(stores, granted, path, *head, *recursive, conditions).await,
    };
    check_sound(file)?;
    let (blob, digest) = (&file.blob, file.blob.digest);
    let changed = changed(stores, granted, file, conditions).await?;
    let plain = |status| {
        describe(Reply::new(status), &digest, file.sums.as_ref())
            .header(LAST_MODIFIED, http_date(file.updated_at))
            .header(CACHE_CONTROL, ASK_AGAIN)
            .header(ACCEPT_RANGES, "bytes")
    };
    if conditions.not_modified(&digest.to_string(), Some(changed))? {
        return Ok(plain(StatusCode::NOT_MODIFIED));
    }
    let media_type = media::of(file.media_type.as_deref(), path.file_name());
    let reply = |status| guarded(plain(status), &media_type);
    match conditions.parts(blob, Some(changed), stores.limits.ranges_per_request) {
        _ if *head => Ok(reply(StatusCode::OK)
            .header(CONTENT_TYPE, media_type.as_str())
            .with(ReplyBody::Omitted { len: blob.size })),
        Wanted::Whole => {
            let stream = stores.read(blob, 0..blob.size).await?;
            let reply = reply(StatusCode::OK).header(CONTENT_TYPE, media_type.as_str());
            Ok(reply.with(ReplyBody::stream(blob.size, stream)))
        }
        Wanted::One(range) => {
            let len = range.end - range.start;
            let stream = stores.read(blob, range.clone()).await?;
            let reply = reply(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_TYPE, media_type.as_str())
                .header(CONTENT_RANGE, content_range(&range, blob.size));
            Ok(reply.with(ReplyBody::stream(len, stream)))
        }
        Wanted::Many(ranges) => {
            let (len, stream) = multipart(stores, blob, ranges, &media_type);
            let content_type = format!("multipart/byteranges; boundary={}", boundary(blob));
            let reply = reply(StatusCode::PARTIAL_CONTENT).header(CONTENT_TYPE, content_type);
            Ok(reply.with(ReplyBody::stream(len, stream)))
        }
        Wanted::Unsatisfiable => {
            let refusal = Error::new(ErrorKind::BadRange, What::Range, format!("the file has {} bytes", blob.size));
            Ok(json_error::body(&refusal).header(CONTENT_RANGE, format!("bytes */{}", blob.size)))
        }
    }
}

/// An answer with content of some type: a browser never runs it with the rights of this server's pages.
pub(super) fn guarded(reply: Reply, media_type: &str) -> Reply {
    match media::is_active(media_type) {
        true => reply
            .header(CONTENT_DISPOSITION, "attachment")
            .header(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        false => reply,
    }
}

/// Refuses to read a file whose bytes were found damaged.
///
/// # Errors
/// `Corrupt`/`File`.
pub(super) fn check_sound(file: &FileView) -> Result<()> {
    match file.damaged {
        true => {
            let sentence = "the stored bytes of this file are damaged; whoever stores the same file again mends it";
            Err(Error::new(ErrorKind::Corrupt, What::File, sentence))
        }
        false => Ok(()),
    }
}

/// What the file's date says, as far as the request depends on it.
pub(super) async fn changed(stores: &Stores, granted: &Granted<Op>, file: &FileView, conditions: &ReadConditions) -> Result<Changed> {
    let second = file.updated_at.div_euclid(1000);
    match granted.repository() {
        Some(repository) if conditions.name_second(second) => {
            let path = file.path.clone();
            stores.catalog.file_changed(repository.id, path, file.updated_at).await
        }
        _ => Ok(Changed { second, once: true }),
    }
}

/// The checksum of the file beside which the path would stand, or those of the folder that it would stand in.
async fn computed(
    stores: &Stores,
    granted: &Granted<Op>,
    path: &FilePath,
    head: bool,
    recursive: bool,
    conditions: &ReadConditions,
) -> Result<Reply> {
    let repository = granted.repository().ok_or_else(unknown)?.id;
    if let Some(folder) = sums_file::folder_of(path) {
        return sums_file::read(stores, repository, folder, head, recursive, conditions).await;
    }
    let (file, kind) = checksums::beside(path).ok_or_else(unknown)?;
    let file: FileView = stores.catalog.file(repository, file).await?.ok_or_else(unknown)?;
    let line = checksums::line(&file, kind).ok_or_else(unknown)?;
    let tag = Digest::sha256(line.as_bytes());
    // Without a date: its file's tells nothing of a checksum that was stored here since, and is deleted by now.
    let plain = |status| {
        Reply::new(status)
            .header(ETAG, format!("\"{tag}\""))
            .header(CACHE_CONTROL, ASK_AGAIN)
    };
    if conditions.not_modified(&tag.to_string(), None)? {
        return Ok(plain(StatusCode::NOT_MODIFIED));
    }
    Ok(plain(StatusCode::OK)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .with(ReplyBody::Bytes(line.into())))
}

/// `PUT …/<path>`.
pub(super) async fn put(stores: &Stores, granted: &Granted<Op>, mut body: Body) -> Result<Reply> {
    let Op { repository: name, act } = granted.op();
    let Act::PutFile(put) = act else {
        return Err(unknown());
    };
    let place = check_place(stores, granted, put).await?;
    if put.deploy {
        let claims = sidecar::claims(stores, &put.path, &place.sidecars).await?;
        return deploy::by_checksum(stores, granted, put, body, &claims).await;
    }
    if let Some(repository) = granted.repository()
        && let Some(claimed) = sidecar::of(stores, repository.id, &put.path).await?
    {
        let sent = sidecar::verified(stores, &claimed, body, put.length).await?;
        if place.current.is_none() {
            return Ok(sidecar::told(granted.op(), &claimed));
        }
        // A real file that stands there already stays one.
        body = Box::pin(stream::once(future::ready(Ok(sent))));
    }
    let limit = stores.limits.blob_bytes;
    if put.length.is_some_and(|length| length > limit) {
        let sentence = format!("the file is larger than the limit of {limit} bytes");
        return Err(Error::new(ErrorKind::TooLarge, What::File, sentence));
    }
    let home = match granted.repository() {
        Some(repository) => Home::Existing(repository.id),
        None => Home::ToBeMade {
            name: name.clone(),
            format: StorageFormat::Generic,
            owner: granted.principal().account,
        },
    };
    let mut writing = stores.uploads.single(home, granted.by(), Algorithm::Sha256).await?;
    let written = async {
        writing.with_sums().await?;
        fill(&mut writing, body, put.length).await?;
        if granted.repository().is_none() {
            granted.confirm().await?;
        }
        claims_by_now(stores, granted, &put.path).await
    };
    let claims = match written.await {
        Ok(claims) => claims,
        Err(error) => {
            writing.give_up().await?;
            return Err(error);
        }
    };
    let landed = writing.complete(put.promises.promised(&claims)).await;
    let landed = landed.map_err(|error| sidecar::explained(error, &claims))?;
    let new = NewFile {
        mends: place.damaged,
        ..put.with(granted, landed.repository, landed.digest, landed.size)
    };
    let stored = stores.catalog.put_file(Arc::new(new)).await?;
    Ok(told(
        granted.op(),
        &put.path,
        stored,
        &landed.digest,
        landed.size,
        landed.sums.as_ref(),
    ))
}

/// What is claimed of a path once its bytes are here: a checksum may have come while they did. One that comes in the
/// short time between this and the transaction that stores the file is still not seen.
async fn claims_by_now(stores: &Stores, granted: &Granted<Op>, path: &FilePath) -> Result<Vec<Claim>> {
    let made = match granted.repository() {
        Some(repository) => Some(repository.id),
        // Somebody else may have made it meanwhile.
        None => stores
            .catalog
            .repository(granted.op().repository.clone())
            .await?
            .map(|made| made.id),
    };
    match made {
        Some(repository) => {
            let place = stores.catalog.file_place(repository, path.clone()).await?;
            sidecar::claims(stores, path, &place.sidecars).await
        }
        None => Ok(Vec::new()),
    }
}

/// What is said of a file that was stored.
pub(super) fn told(op: &Op, path: &FilePath, stored: FileStored, digest: &Digest, size: u64, sums: Option<&FileSums>) -> Reply {
    let name = &op.repository;
    let status = match stored {
        FileStored::Created => StatusCode::CREATED,
        FileStored::Replaced(_) | FileStored::Relabelled | FileStored::Unchanged => StatusCode::OK,
    };
    let told = json!({
        "repository": name.as_str(),
        "path": path.as_str(),
        "size": size,
        "sha256": digest.hex(),
        "changed": stored != FileStored::Unchanged,
    });
    describe(Reply::new(status), digest, sums)
        .header(LOCATION, file_address(name, path))
        .header(CONTENT_TYPE, "application/json")
        .with(ReplyBody::Bytes(format!("{told}\n").into()))
}

/// Refuses what would be refused in the end, before a byte of the body is read. The transaction that stores the file
/// tests all of it again.
async fn check_place(stores: &Stores, granted: &Granted<Op>, put: &PutFile) -> Result<FilePlace> {
    let path = &put.path;
    let place = match granted.repository() {
        Some(repository) => stores.catalog.file_place(repository.id, path.clone()).await?,
        None => FilePlace::default(),
    };
    if let Some(other) = &place.in_the_way {
        let sentence = format!("{other} is a file, and no path can be a file and a folder");
        return Err(Error::new(ErrorKind::Conflict, What::File, sentence));
    }
    let promised = put.promises.sha256();
    // What is damaged may be mended by the same bytes, which only the body tells unless another checksum is promised.
    if place.damaged && promised.is_none_or(|sum| place.current.is_some_and(|current| Sum::from(current) == *sum)) {
        return Ok(place);
    }
    if !put.condition.holds_at(place.current.as_ref(), place.changed) {
        let sentence = "the condition on what the path holds does not hold";
        return Err(Error::new(ErrorKind::PreconditionFailed, What::File, sentence));
    }
    let same = |current: Digest| promised == Some(&Sum::from(current));
    if place.immutable && place.current.is_some_and(|current| !same(current)) {
        let sentence = format!("{path} exists, and {IMMUTABLE}; if it is the same content, say so with X-Checksum-Sha256");
        return Err(Error::new(ErrorKind::Conflict, What::File, sentence));
    }
    if granted.optional(OPTIONAL_OVERWRITE) != Held::Yes && place.current.is_some_and(|current| !same(current)) {
        let sentence = format!("{path} exists, and {OTHER_CONTENT}; if it is the same content, say so with X-Checksum-Sha256");
        return Err(Error::new(ErrorKind::Conflict, What::File, sentence));
    }
    Ok(place)
}

/// `DELETE …/<path>`.
pub(super) async fn delete(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::DeleteFile { path, condition } = &granted.op().act else {
        return Err(unknown());
    };
    let repository = granted.repository().ok_or_else(unknown)?.id;
    let deleted = stores
        .catalog
        .delete_file(repository, path.clone(), condition.clone(), granted.by())
        .await?;
    match deleted {
        true => Ok(Reply::new(StatusCode::NO_CONTENT)),
        false => Err(unknown()),
    }
}
