//! Uploads by tus 1.0: `/uploads/<id>`, over the one upload engine. An upload is made by `tus_create.rs`.
//!
//! Source: <https://tus.io/protocols/resumable-upload>, core and the extensions that `OPTIONS` names.

use super::tus_headers::{Metadata, TUS_RESUMABLE, UPLOAD_LENGTH, UPLOAD_METADATA, VERSION, mismatch, options, standing, unspoken};
use super::tus_op::{Act, Op, offset_missing, parse};
use crate::dispatch::Granted;
use crate::handler::{Body, Challenge, FormatHandler, Head, Reply};
use crate::json_error;
use futures_util::StreamExt as _;
use granary_storage::access::{Access, Action, Actions};
use granary_storage::blob::UploadId;
use granary_storage::catalog::{Condition, NewFile, StorageFormat, TusUpload};
use granary_storage::label::Labels;
use granary_storage::sums::{Promised, Sum, Summing};
use granary_storage::upload::Writing;
use granary_storage::{Error, ErrorKind, Result, Stores, What, clock};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use std::sync::Arc;

/// Bytes of one request after which what came is acknowledged: clients send all there is in one, and a server that is
/// killed in the middle of it must not forget more than this.
const ACKNOWLEDGE_EVERY: u64 = 16 * 1024 * 1024;

/// The sessions of files, under a mount of their own.
pub struct Sessions;

impl FormatHandler for Sessions {
    const NAME: &'static str = "uploads";
    const MOUNT: &'static str = "/uploads";
    const STORES: StorageFormat = StorageFormat::Generic;
    type Op = Op;

    fn parse(&self, head: &Head<'_>, _: &Stores) -> Result<Op> {
        parse(head)
    }

    async fn serve(&self, stores: &Stores, granted: Granted<Op>, body: Body) -> Result<Reply> {
        let reply = match &granted.op().act {
            Act::UploadOptions => return Ok(json_error::with_common_headers(options(&stores.limits))),
            _ if !granted.op().spoken => return Ok(json_error::with_common_headers(unspoken())),
            Act::UploadStatus { id } => status(stores, &granted, *id).await,
            Act::Append { .. } => append(stores, &granted, body).await,
            Act::CancelUpload { id } => cancel(stores, &granted, *id).await,
        };
        reply.map(|reply| json_error::with_common_headers(reply.header(TUS_RESUMABLE, VERSION)))
    }

    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply {
        json_error::with_common_headers(json_error::render(error, challenge).header(TUS_RESUMABLE, VERSION))
    }
}

fn unknown() -> Error {
    Error::not_found(
        What::Upload,
        "there is no such upload; it may have expired, been completed or been cancelled",
    )
}

/// The upload, of this principal alone, once the gate has said that the principal may still push there.
async fn found(stores: &Stores, granted: &Granted<Op>, id: UploadId) -> Result<TusUpload> {
    let upload = stores.catalog.tus_upload(id, granted.by()).await?.ok_or_else(unknown)?;
    granted.allow(access(&upload, Action::Create.into())).await?;
    Ok(upload)
}

fn access(upload: &TusUpload, actions: Actions) -> Access {
    Access {
        repository: upload.repository_name.clone(),
        actions,
    }
}

/// Makes the file, and says so to who asks later.
async fn complete(stores: &Stores, granted: &Granted<Op>, id: UploadId, upload: &TusUpload, writing: Writing) -> Result<()> {
    let may_overwrite = match granted.allow(access(upload, Action::Overwrite.into())).await {
        Ok(()) => true,
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unauthenticated) => false,
        Err(error) => return Err(error),
    };
    let metadata = Metadata::parse(&upload.metadata)?;
    store(stores, id, writing, metadata, may_overwrite, granted.by()).await
}

/// Makes a file of an upload that has all its bytes.
///
/// # Errors
/// Those of the store. `PreconditionFailed` where another file stands in the way: clients try again what is a conflict.
pub(super) async fn store(
    stores: &Stores,
    id: UploadId,
    mut writing: Writing,
    metadata: Metadata,
    may_overwrite: bool,
    by: Arc<str>,
) -> Result<()> {
    writing.with_sums().await?;
    let landed = writing.complete(Promised::default()).await?;
    let new = NewFile {
        repository: landed.repository,
        path: metadata.path,
        digest: landed.digest,
        size: landed.size,
        media_type: metadata.media_type,
        condition: Condition::Always,
        labels: Labels::default(),
        may_overwrite,
        mends: false,
        source: None,
        by,
    };
    match stores.catalog.put_file(Arc::new(new)).await {
        Ok(_) => stores.catalog.finish_tus_upload(id).await,
        Err(error) => {
            stores.catalog.forget_tus_upload(id).await?;
            Err(for_good(error))
        }
    }
}

/// Clients try again what is answered with 409: what will not change by itself is said otherwise.
pub(super) fn for_good(error: Error) -> Error {
    match (error.kind(), error.what()) {
        (ErrorKind::Conflict, What::File) => Error::new(ErrorKind::PreconditionFailed, What::File, error.message().to_owned()),
        _ => error,
    }
}

/// `HEAD`.
async fn status(stores: &Stores, granted: &Granted<Op>, id: UploadId) -> Result<Reply> {
    let upload = found(stores, granted, id).await?;
    let (offset, expires_at) = if upload.done {
        (upload.length, None)
    } else {
        match stores.uploads.open(id, upload.repository, granted.by()).await {
            // All bytes are here, and the request that brought them broke off before its end.
            Ok(writing) if writing.offset() == upload.length => {
                complete(stores, granted, id, &upload, writing).await?;
                (upload.length, None)
            }
            Ok(writing) => (writing.park().await?, Some(expiry(stores))),
            // The request that finished it may have done so just now.
            Err(error) if error.is_not_found() && finished(stores, granted, id).await? => (upload.length, None),
            Err(error) => return Err(error),
        }
    };
    let reply = Reply::new(StatusCode::OK)
        .header(CACHE_CONTROL, "no-store")
        .header(UPLOAD_LENGTH, upload.length.to_string())
        .header(UPLOAD_METADATA, upload.metadata.as_str());
    Ok(standing(reply, offset, expires_at))
}

async fn finished(stores: &Stores, granted: &Granted<Op>, id: UploadId) -> Result<bool> {
    let upload = stores.catalog.tus_upload(id, granted.by()).await?;
    Ok(upload.is_some_and(|upload| upload.done))
}

fn expiry(stores: &Stores) -> clock::Millis {
    clock::now() + clock::millis(stores.limits.upload_expiry)
}

/// `DELETE`.
async fn cancel(stores: &Stores, granted: &Granted<Op>, id: UploadId) -> Result<Reply> {
    let upload = found(stores, granted, id).await?;
    stores.uploads.cancel(id, upload.repository, granted.by()).await?;
    stores.catalog.forget_tus_upload(id).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

/// `PATCH`.
async fn append(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Append {
        id,
        offset,
        length,
        checksum,
        typed,
    } = &granted.op().act
    else {
        return Err(unknown());
    };
    let id = *id;
    let upload = found(stores, granted, id).await?;
    if !typed {
        let sentence = "the body's Content-Type has to be application/offset+octet-stream";
        let mut reply = json_error::body(&Error::invalid(What::Request, sentence));
        reply.status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(reply);
    }
    let offset = offset.ok_or_else(offset_missing)?;
    if upload.done {
        // All of it is stored: there is nothing to add, and nothing to undo.
        return match offset == upload.length && length.is_none_or(|length| length == 0) {
            true => Ok(standing(Reply::new(StatusCode::NO_CONTENT), offset, None)),
            false => Err(elsewhere(upload.length)),
        };
    }
    // Looked at first: a request that is refused must not take the session from one that is writing.
    let stands = stores.uploads.status(id, upload.repository, granted.by()).await?.offset;
    if stands != offset {
        return Err(elsewhere(stands));
    }
    if length.is_some_and(|length| length > upload.length - offset.min(upload.length)) {
        return Err(too_long(&upload));
    }
    let mut writing = stores.uploads.open(id, upload.repository, granted.by()).await?;
    if writing.offset() != offset {
        let stands = writing.park().await?;
        return Err(elsewhere(stands));
    }
    writing.with_sums().await?;
    let session = Session {
        stores,
        granted,
        id,
        upload: &upload,
    };
    match session.fill(writing, body, offset, *length, checksum.as_ref()).await? {
        Filled::Mismatch => Ok(mismatch()),
        Filled::Whole(writing) => {
            complete(stores, granted, id, &upload, writing).await?;
            Ok(standing(Reply::new(StatusCode::NO_CONTENT), upload.length, None))
        }
        Filled::Part(writing) => {
            let offset = writing.park().await?;
            Ok(standing(Reply::new(StatusCode::NO_CONTENT), offset, Some(expiry(stores))))
        }
    }
}

fn elsewhere(offset: u64) -> Error {
    let sentence = format!("the upload stands at {offset} bytes; go on from there");
    Error::new(ErrorKind::Conflict, What::Upload, sentence)
}

fn too_long(upload: &TusUpload) -> Error {
    let sentence = format!("the upload was to have {} bytes, and more were sent", upload.length);
    Error::new(ErrorKind::TooLarge, What::File, sentence)
}

/// A session while a body comes in.
struct Session<'s> {
    stores: &'s Stores,
    granted: &'s Granted<Op>,
    id: UploadId,
    upload: &'s TusUpload,
}

/// What has become of a body.
enum Filled {
    /// It does not have its checksum; the upload stands where it stood.
    Mismatch,
    /// With it, the upload has all its bytes.
    Whole(Writing),
    /// There is more to come.
    Part(Writing),
}

impl Session<'_> {
    /// Takes the body in. With a checksum it counts as a whole or not at all; without one, what came is kept.
    async fn fill(&self, mut writing: Writing, mut body: Body, start: u64, length: Option<u64>, checksum: Option<&Sum>) -> Result<Filled> {
        let mut summing = checksum.map(|sum| Summing::new(sum.kind()));
        let mut acknowledged = start;
        let end = loop {
            let chunk = match body.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            };
            let behind = writing.offset() + chunk.len() as u64;
            if behind > self.upload.length {
                break Err(too_long(self.upload));
            }
            if length.is_some_and(|length| behind - start > length) {
                break Err(Error::new(
                    ErrorKind::Invalid,
                    What::Request,
                    "the body is longer than was announced",
                ));
            }
            if let Some(summing) = &mut summing {
                summing.update(&chunk);
            }
            writing.write(chunk).await?;
            if summing.is_none() && behind - acknowledged >= ACKNOWLEDGE_EVERY && behind < self.upload.length {
                acknowledged = behind;
                writing = self.acknowledge(writing).await?;
            }
        };
        let end = end.and_then(|()| match length {
            Some(length) if writing.offset() - start != length => {
                Err(Error::invalid(What::Size, "the body does not have the length that was announced"))
            }
            _ => Ok(()),
        });
        if let Err(error) = end {
            let broke_off = error.kind() == ErrorKind::Timeout || (error.kind(), error.what()) == (ErrorKind::Invalid, What::Size);
            if broke_off && summing.is_none() {
                writing.park().await?;
            } else {
                writing.give_up().await?;
            }
            return Err(error);
        }
        if let Some((summing, sum)) = summing.zip(checksum)
            && !summing.is(sum)
        {
            writing.give_up().await?;
            return Ok(Filled::Mismatch);
        }
        Ok(if writing.offset() == self.upload.length {
            Filled::Whole(writing)
        } else {
            Filled::Part(writing)
        })
    }

    /// Acknowledges what came, and goes on; a newer request may have come in between, and then it is its turn.
    async fn acknowledge(&self, writing: Writing) -> Result<Writing> {
        let offset = writing.park().await?;
        let mut writing = self.stores.uploads.open(self.id, self.upload.repository, self.granted.by()).await?;
        if writing.offset() != offset {
            let stands = writing.park().await?;
            return Err(elsewhere(stands));
        }
        writing.with_sums().await?;
        Ok(writing)
    }
}
