//! Uploads by tus 1.0: `/uploads/<id>`, over the one upload engine. An upload is made by `tus_create.rs`.
//!
//! Source: <https://tus.io/protocols/resumable-upload>, core and the extensions that `OPTIONS` names.

use super::op::OPTIONAL_OVERWRITE;
use super::tus_apart::apart;
use super::tus_fill::{Filled, Session, elsewhere, is_whole, too_long};
use super::tus_finish::Finish;
use super::tus_headers::{
    TUS_RESUMABLE, UPLOAD_CONCAT, UPLOAD_DEFER_LENGTH, UPLOAD_LENGTH, UPLOAD_METADATA, VERSION, busy, mismatch, options, standing, unspoken,
};
use super::tus_op::{Act, Op, offset_missing, parse};
use crate::dispatch::Granted;
use crate::gate::Held;
use crate::handler::{Body, Challenge, FormatHandler, Head, Reply};
use crate::json_error;
use granary_storage::blob::ByteStream;
use granary_storage::catalog::{StorageFormat, TusUpload};
use granary_storage::upload::{Writing, unknown};
use granary_storage::{Error, ErrorKind, Result, Stores, What, clock};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use std::sync::Arc;
use std::time::Duration;

/// How long a request that asks where an upload stands waits for who is bringing it to its end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Times that it looks again where another one was quicker.
const LOOKS: usize = 8;

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
            Act::UploadStatus { .. } => status(stores, granted).await,
            Act::Append { .. } => {
                let (stores, granted) = (stores.clone(), Arc::new(granted));
                apart(body, async move |body| append(&stores, &granted, body).await).await
            }
            Act::CancelUpload { .. } => cancel(stores, &granted).await,
        };
        reply.map(|reply| json_error::with_common_headers(reply.header(TUS_RESUMABLE, VERSION)))
    }

    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply {
        json_error::with_common_headers(json_error::render(error, challenge).header(TUS_RESUMABLE, VERSION))
    }
}

/// Makes the file, for who may still store there now that all bytes have come.
async fn finish<'s>(stores: &'s Stores, granted: &Granted<Op>, upload: &'s TusUpload) -> Result<Finish<'s>> {
    Ok(Finish {
        stores,
        upload,
        may_overwrite: granted.still_holds(OPTIONAL_OVERWRITE).await? == Held::Yes,
        by: granted.by(),
    })
}

async fn finish_whole(stores: &Stores, granted: &Granted<Op>, upload: &TusUpload, writing: Writing) -> Result<()> {
    match finish(stores, granted, upload).await {
        Ok(finish) => finish.whole(writing).await,
        Err(error) => {
            // What came while it was allowed is kept, for when it is allowed again.
            writing.park().await?;
            Err(error)
        }
    }
}

/// Whether an upload is at its end: stored, or stored now where all but that was done.
async fn is_done(stores: &Stores, granted: &Granted<Op>, upload: &TusUpload) -> Result<bool> {
    match upload.digest {
        _ if upload.done => Ok(true),
        None => Ok(false),
        Some(digest) => finish(stores, granted, upload).await?.file(digest).await.map(|()| true),
    }
}

/// The same for an upload whose session was not there: another request, or a process that died, may have brought it
/// to its end.
async fn ended_meanwhile(stores: &Stores, granted: &Granted<Op>, upload: &TusUpload) -> Result<bool> {
    match stores.catalog.tus_upload(upload.id, granted.by()).await? {
        Some(known) => is_done(stores, granted, &known).await,
        None => Ok(false),
    }
}

/// `HEAD`. Its answer is one that a client forgets the upload by, unless it is 423: so it waits, and what it waits for
/// goes on when it waits no longer.
async fn status(stores: &Stores, granted: Granted<Op>) -> Result<Reply> {
    let upload = granted.upload()?.clone();
    let (stores, known) = (stores.clone(), upload.clone());
    let looking = tokio::spawn(async move { locate(&stores, &granted, &known).await });
    let (offset, expires_at) = match tokio::time::timeout(PATIENCE, looking).await {
        Err(_) => return Ok(busy()),
        Ok(found) => match found.map_err(Error::internal)? {
            Err(error) if is_elsewhere(&error) => return Ok(busy()),
            found => found?,
        },
    };
    let mut reply = Reply::new(StatusCode::OK).header(CACHE_CONTROL, "no-store");
    reply = match upload.length {
        Some(length) => reply.header(UPLOAD_LENGTH, length.to_string()),
        None => reply.header(UPLOAD_DEFER_LENGTH, "1"),
    };
    if let Some(concat) = &upload.concat {
        reply = reply.header(UPLOAD_CONCAT, concat.as_str());
    }
    if !upload.metadata.is_empty() {
        reply = reply.header(UPLOAD_METADATA, upload.metadata.as_str());
    }
    Ok(standing(reply, offset, expires_at))
}

/// Whether another request has the upload, or does just now what was asked for.
fn is_elsewhere(error: &Error) -> bool {
    matches!(
        (error.kind(), error.what()),
        (ErrorKind::Conflict, What::Upload) | (ErrorKind::Unavailable, What::Request)
    )
}

/// Where an upload stands, and until when it can go on. Whoever still writes it is fenced off; what has all its bytes is
/// brought to its end.
async fn locate(stores: &Stores, granted: &Granted<Op>, upload: &TusUpload) -> Result<(u64, Option<clock::Millis>)> {
    let done = (upload.length.unwrap_or(0), None);
    if is_done(stores, granted, upload).await? {
        return Ok(done);
    }
    if upload.is_joined() {
        finish(stores, granted, upload).await?.joined().await?;
        return Ok(done);
    }
    let mut looks = 0;
    loop {
        looks += 1;
        let session = match stores.uploads.evict(upload.id, upload.repository, granted.by()).await {
            Ok(session) => session,
            Err(error) if error.is_not_found() && ended_meanwhile(stores, granted, upload).await? => return Ok(done),
            Err(error) => return Err(error),
        };
        if upload.length != Some(session.offset) || upload.is_part() {
            return Ok((session.offset, Some(session.expires_at)));
        }
        // All bytes are here, and the request that brought them broke off before its end.
        match go_on(stores, granted, upload).await {
            Ok(()) => return Ok(done),
            Err(error) if error.is_not_found() && ended_meanwhile(stores, granted, upload).await? => return Ok(done),
            Err(error) if is_elsewhere(&error) && looks < LOOKS => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes the file of an upload whose session holds all bytes of it.
async fn go_on(stores: &Stores, granted: &Granted<Op>, upload: &TusUpload) -> Result<()> {
    let writing = stores.uploads.take_over(upload.id, upload.repository, granted.by()).await?;
    let _running = stores.uploads.bring_to_end(upload.id);
    if !is_whole(upload, &writing) {
        return Err(elsewhere(writing.park().await?));
    }
    finish_whole(stores, granted, upload, writing).await
}

fn expiry(stores: &Stores) -> clock::Millis {
    clock::now() + clock::millis(stores.limits.upload_expiry)
}

/// `DELETE`.
async fn cancel(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let upload = granted.upload()?;
    match stores.uploads.cancel(upload.id, upload.repository, granted.by()).await {
        // Its bytes are a blob already. Unless they are a file as well, which goes by a deletion of its own, they need not
        // become one.
        Err(error) if error.is_not_found() => match stores.catalog.tus_upload(upload.id, granted.by()).await? {
            Some(known) if !known.done => {}
            _ => return Err(error),
        },
        cancelled => cancelled?,
    }
    stores.catalog.forget_tus_upload(upload.id).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

/// `PATCH`.
async fn append(stores: &Stores, granted: &Granted<Op>, body: ByteStream) -> Result<Reply> {
    let Act::Append {
        offset,
        total,
        piece,
        typed,
        ..
    } = &granted.op().act
    else {
        return Err(unknown());
    };
    let mut upload = granted.upload()?.clone();
    if !typed {
        let sentence = "the body's Content-Type has to be application/offset+octet-stream";
        let mut reply = json_error::body(&Error::invalid(What::Request, sentence));
        reply.status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(reply);
    }
    if upload.is_joined() {
        let sentence = "the upload is made of its parts, and takes no bytes itself";
        return Err(Error::new(ErrorKind::Denied, What::Upload, sentence));
    }
    let offset = offset.ok_or_else(offset_missing)?;
    // Looked at first: a request that is refused must not take the session from one that is writing.
    let stands = match is_done(stores, granted, &upload).await? {
        true => None,
        false => match stores.uploads.status(upload.id, upload.repository, granted.by()).await {
            Ok(session) => Some(session.offset),
            Err(error) if error.is_not_found() && ended_meanwhile(stores, granted, &upload).await? => None,
            Err(error) => return Err(error),
        },
    };
    let Some(stands) = stands else {
        // All of it is stored: there is nothing to add, and nothing to undo.
        let length = upload.length.unwrap_or(0);
        return match offset == length && piece.length.is_none_or(|length| length == 0) {
            true => Ok(standing(Reply::new(StatusCode::NO_CONTENT), offset, None)),
            false => Err(elsewhere(length)),
        };
    };
    if stands != offset {
        return Err(elsewhere(stands));
    }
    if let Some(total) = *total {
        settle(stores, &mut upload, offset, total).await?;
    }
    if let Some((length, most)) = piece.length.zip(upload.length)
        && length > most - offset.min(most)
    {
        return Err(too_long(most));
    }
    let mut writing = match stores.uploads.open(upload.id, upload.repository, granted.by()).await {
        // Another request with the same bytes was quicker.
        Err(error) if error.is_not_found() && ended_meanwhile(stores, granted, &upload).await? => {
            return Err(elsewhere(upload.length.unwrap_or(0)));
        }
        opened => opened?,
    };
    if writing.offset() != offset {
        let stands = writing.park().await?;
        return Err(elsewhere(stands));
    }
    if !upload.is_part() {
        writing.with_sums().await?;
    }
    let session = Session { stores, upload: &upload };
    match session.fill(writing, body, piece).await? {
        Filled::Mismatch => Ok(mismatch()),
        Filled::Whole(writing, _running) => {
            finish_whole(stores, granted, &upload, *writing).await?;
            Ok(standing(Reply::new(StatusCode::NO_CONTENT), upload.length.unwrap_or(0), None))
        }
        Filled::Part(offset) => Ok(standing(Reply::new(StatusCode::NO_CONTENT), offset, Some(expiry(stores)))),
    }
}

/// Takes in the length of an upload that began without one.
///
/// # Errors
/// `Invalid`/`Size` when it is another than was said before, or less than is there; `TooLarge`/`File`.
async fn settle(stores: &Stores, upload: &mut TusUpload, offset: u64, total: u64) -> Result<()> {
    let limit = stores.limits.blob_bytes;
    if total > limit {
        let sentence = format!("the file is larger than the limit of {limit} bytes");
        return Err(Error::new(ErrorKind::TooLarge, What::File, sentence));
    }
    let other = || Error::invalid(What::Size, "Upload-Length is another than was said before");
    match upload.length {
        Some(length) if length == total => return Ok(()),
        Some(_) => return Err(other()),
        None if total < offset => {
            let sentence = format!("the upload has {offset} bytes already, more than Upload-Length says");
            return Err(Error::invalid(What::Size, sentence));
        }
        None => {}
    }
    if !stores.catalog.settle_tus_length(upload.id, total).await? {
        return Err(other());
    }
    upload.length = Some(total);
    Ok(())
}
