//! Making an upload by tus: `POST /generic/<project>/<name>/` (the creation extension, with its two variants: the first
//! bytes come along, or the length comes later).

use super::files::{OTHER_CONTENT, unknown};
use super::newest;
use super::op::{Act, OPTIONAL_OVERWRITE, Op};
use super::tus_apart::apart;
use super::tus_fill::{Filled, Piece, Session, too_long};
use super::tus_finish::Finish;
use super::tus_headers::{
    Metadata, TUS_RESUMABLE, UPLOAD_DEFER_LENGTH, UPLOAD_LENGTH, VERSION, check_kept, is_spoken, is_typed, mismatch, number, options,
    standing, unspoken,
};
use super::tus_join::{self, Concat};
use crate::dispatch::Granted;
use crate::gate::Held;
use crate::handler::{Body, Head, Reply};
use granary_storage::blob::ByteStream;
use granary_storage::catalog::{FilePlace, IMMUTABLE, NewTusUpload, Repository, RepositoryId, StorageFormat, TusUpload};
use granary_storage::limits::Limits;
use granary_storage::name::FilePath;
use granary_storage::{Algorithm, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use http::header::LOCATION;
use std::sync::Arc;

/// What a new upload is to become; `None` for a request of another version, which is answered with the one spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `Upload-Length`; `None` where it follows (`Upload-Defer-Length`), or from the parts.
    pub length: Option<u64>,
    /// `Upload-Metadata`; a part may have any, and it means nothing.
    pub metadata: Result<Metadata, String>,
    /// `Upload-Concat`.
    pub concat: Option<Concat>,
    /// The first bytes, where they come along.
    pub piece: Option<Piece>,
}

/// Understands a request.
pub(super) fn parse(head: &Head<'_>, limits: &Limits) -> Result<Option<Wanted>> {
    if !is_spoken(head) {
        return Ok(None);
    }
    check_kept(head)?;
    let concat = tus_join::parse(head, limits)?;
    let length = number(head, &UPLOAD_LENGTH)?;
    match (length, head.header(UPLOAD_DEFER_LENGTH.as_str()).map(str::trim), &concat) {
        (None, None, Some(Concat::Whole { .. })) | (Some(_), None, None | Some(Concat::Part)) => {}
        (None, Some("1"), None | Some(Concat::Part)) => {}
        (_, _, Some(Concat::Whole { .. })) => {
            let sentence = "the length of a file that is made of parts follows from them; leave Upload-Length and Upload-Defer-Length out";
            return Err(Error::invalid(What::Size, sentence));
        }
        (None, None, _) => return Err(Error::invalid(What::Size, "Upload-Length is missing")),
        _ => {
            let sentence = "Upload-Defer-Length is 1 where the length is told later, and stands without Upload-Length";
            return Err(Error::invalid(What::Size, sentence));
        }
    }
    let text = head.header("upload-metadata").unwrap_or_default();
    let metadata = match concat {
        Some(Concat::Part) => Err(text.to_owned()),
        _ => Ok(Metadata::parse(text, limits)?),
    };
    if let Ok(metadata) = &metadata {
        newest::check_readable(&metadata.path)?;
    }
    let piece = is_typed(head).then(|| Piece::of(head)).transpose()?;
    Ok(Some(Wanted {
        length,
        metadata,
        concat,
        piece,
    }))
}

/// `OPTIONS …/`.
pub(super) fn abilities(stores: &Stores) -> Reply {
    options(&stores.limits)
}

/// `POST …/`.
pub(super) async fn create(stores: &Stores, granted: Granted<Op>, body: Body) -> Result<Reply> {
    let (stores, granted) = (stores.clone(), Arc::new(granted));
    apart(body, async move |body| create_apart(&stores, &granted, body).await).await
}

async fn create_apart(stores: &Stores, granted: &Granted<Op>, body: ByteStream) -> Result<Reply> {
    let Op {
        repository: name,
        act: Act::StartUpload { wanted },
    } = granted.op()
    else {
        return Err(unknown());
    };
    let Some(wanted) = wanted else {
        return Ok(unspoken());
    };
    let limit = stores.limits.blob_bytes;
    if wanted.length.is_some_and(|length| length > limit) {
        let sentence = format!("the file is larger than the limit of {limit} bytes");
        return Err(Error::new(ErrorKind::TooLarge, What::File, sentence));
    }
    let may_overwrite = granted.optional(OPTIONAL_OVERWRITE) == Held::Yes;
    match (&wanted.concat, &wanted.metadata) {
        (Some(Concat::Whole { parts, text }), Ok(metadata)) => {
            return tus_join::join(stores, granted, metadata, (parts, text), may_overwrite).await;
        }
        (_, Ok(metadata)) => check_place(stores, granted.repository(), &metadata.path, may_overwrite).await?,
        (_, Err(_)) => {}
    }
    // What is refused for want of room leaves no repository behind.
    stores.uploads.check_space().await?;
    if granted.repository().is_none() {
        granted.confirm().await?;
    }
    let (owner, by) = (granted.principal().account, granted.by());
    let made = stores
        .catalog
        .ensure_repository(name.clone(), StorageFormat::Generic, owner, by)
        .await?;
    begin(stores, granted, made.id, wanted, body).await
}

/// Refuses what would be refused in the end. The transaction that stores the file tests all of it again.
pub(super) async fn check_place(stores: &Stores, repository: Option<&Repository>, path: &FilePath, may_overwrite: bool) -> Result<()> {
    let place = match repository {
        Some(repository) => stores.catalog.file_place(repository.id, path.clone()).await?,
        None => FilePlace::default(),
    };
    if let Some(other) = place.in_the_way {
        let sentence = format!("{other} is a file, and no path can be a file and a folder");
        return Err(Error::new(ErrorKind::PreconditionFailed, What::File, sentence));
    }
    // Damaged, it may be mended by the same content.
    if place.immutable && !place.damaged {
        let sentence = format!("{path} exists, and {IMMUTABLE}");
        return Err(Error::new(ErrorKind::PreconditionFailed, What::File, sentence));
    }
    if place.current.is_some() && !may_overwrite {
        let sentence = format!("{path} exists, and {OTHER_CONTENT}");
        return Err(Error::new(ErrorKind::Denied, What::File, sentence));
    }
    Ok(())
}

/// Opens the session, and takes in what comes along.
async fn begin(stores: &Stores, granted: &Granted<Op>, repository: RepositoryId, wanted: &Wanted, body: ByteStream) -> Result<Reply> {
    let by = granted.by();
    let session = stores.uploads.begin(repository, by.clone(), Algorithm::Sha256).await?;
    let metadata = match &wanted.metadata {
        Ok(metadata) => &metadata.text,
        Err(text) => text,
    };
    let new = NewTusUpload {
        id: session.id,
        repository,
        principal: by.clone(),
        length: wanted.length,
        metadata: metadata.clone(),
        is_part: wanted.concat == Some(Concat::Part),
        expires_at: session.expires_at,
    };
    stores.catalog.add_tus_upload(new).await?;
    let upload = stores.catalog.tus_upload(session.id, by.clone()).await?.ok_or_else(unknown)?;
    let created = |offset, expires_at| {
        let reply = Reply::new(StatusCode::CREATED)
            .header(TUS_RESUMABLE, VERSION)
            .header(LOCATION, format!("/uploads/{}", session.id));
        standing(reply, offset, expires_at)
    };
    let taken = take_in(stores, granted, &upload, wanted.piece.as_ref(), body).await;
    match taken {
        Ok(Taken::Mismatch) => {
            cancel(stores, &upload, granted).await?;
            Ok(mismatch())
        }
        Ok(Taken::Part(offset)) => Ok(created(offset, Some(session.expires_at))),
        Ok(Taken::Whole) => Ok(created(upload.length.unwrap_or(0), None)),
        // Nobody has heard of the upload, so nobody could go on with it.
        Err(error) => {
            cancel(stores, &upload, granted).await?;
            Err(error)
        }
    }
}

/// What came of the first bytes.
enum Taken {
    Mismatch,
    Part(u64),
    Whole,
}

async fn take_in(stores: &Stores, granted: &Granted<Op>, upload: &TusUpload, piece: Option<&Piece>, body: ByteStream) -> Result<Taken> {
    if piece.is_none() && (upload.length != Some(0) || upload.is_part()) {
        return Ok(Taken::Part(0));
    }
    if let Some((sent, most)) = piece.and_then(|piece| piece.length).zip(upload.length)
        && sent > most
    {
        return Err(too_long(most));
    }
    let by = granted.by();
    let mut writing = stores.uploads.open(upload.id, upload.repository, by.clone()).await?;
    if !upload.is_part() {
        writing.with_sums().await?;
    }
    let session = Session { stores, upload };
    let (writing, _running) = match piece {
        Some(piece) => match session.fill(writing, body, piece).await? {
            Filled::Mismatch => return Ok(Taken::Mismatch),
            Filled::Part(offset) => return Ok(Taken::Part(offset)),
            Filled::Whole(writing, running) => (*writing, running),
        },
        None => (writing, stores.uploads.bring_to_end(upload.id)),
    };
    let finish = Finish {
        stores,
        upload,
        may_overwrite: granted.still_holds(OPTIONAL_OVERWRITE).await? == Held::Yes,
        by,
    };
    finish.whole(writing).await.map(|()| Taken::Whole)
}

async fn cancel(stores: &Stores, upload: &TusUpload, granted: &Granted<Op>) -> Result<()> {
    match stores.uploads.cancel(upload.id, upload.repository, granted.by()).await {
        Err(error) if !error.is_not_found() => return Err(error),
        _ => {}
    }
    stores.catalog.forget_tus_upload(upload.id).await
}
