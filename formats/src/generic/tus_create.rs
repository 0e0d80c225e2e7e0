//! Making an upload by tus: `POST /generic/<project>/<name>/` (the creation extension).

use super::files::{OTHER_CONTENT, unknown};
use super::newest;
use super::op::{Act, OPTIONAL_OVERWRITE, Op};
use super::tus;
use super::tus_headers::{Metadata, TUS_RESUMABLE, UPLOAD_LENGTH, VERSION, is_spoken, number, options, standing, unspoken};
use crate::dispatch::Granted;
use crate::gate::Held;
use crate::handler::{Head, Reply};
use granary_storage::catalog::{FilePlace, NewTusUpload, StorageFormat};
use granary_storage::{Algorithm, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use http::header::LOCATION;

/// What a new upload is to become; `None` for a request of another version, which is answered with the one spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `Upload-Length`.
    pub length: u64,
    /// `Upload-Metadata`.
    pub metadata: Metadata,
}

/// Understands a request.
pub(super) fn parse(head: &Head<'_>) -> Result<Option<Wanted>> {
    if !is_spoken(head) {
        return Ok(None);
    }
    if head.header("upload-concat").is_some() || head.header("upload-defer-length").is_some() {
        let sentence = "Upload-Concat and Upload-Defer-Length are not understood; OPTIONS names the extensions that are";
        return Err(Error::invalid(What::Request, sentence));
    }
    let length = number(head, &UPLOAD_LENGTH)?.ok_or_else(|| Error::invalid(What::Size, "Upload-Length is missing"))?;
    let metadata = Metadata::parse(head.header("upload-metadata").unwrap_or_default())?;
    newest::check_readable(&metadata.path)?;
    Ok(Some(Wanted { length, metadata }))
}

/// `OPTIONS …/`.
pub(super) fn abilities(stores: &Stores) -> Reply {
    options(&stores.limits)
}

/// `POST …/`.
pub(super) async fn create(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Op {
        repository: name,
        act: Act::StartUpload { wanted },
    } = granted.op()
    else {
        return Err(unknown());
    };
    let Some(Wanted { length, metadata }) = wanted else {
        return Ok(unspoken());
    };
    let limit = stores.limits.blob_bytes;
    if *length > limit {
        let sentence = format!("the file is larger than the limit of {limit} bytes");
        return Err(Error::new(ErrorKind::TooLarge, What::File, sentence));
    }
    let may_overwrite = granted.optional(OPTIONAL_OVERWRITE) == Held::Yes;
    let place = match granted.repository() {
        Some(repository) => stores.catalog.file_place(repository.id, metadata.path.clone()).await?,
        None => FilePlace::default(),
    };
    if let Some(other) = place.in_the_way {
        let sentence = format!("{other} is a file, and no path can be a file and a folder");
        return Err(Error::new(ErrorKind::PreconditionFailed, What::File, sentence));
    }
    if place.current.is_some() && !may_overwrite {
        let sentence = format!("{} exists, and {OTHER_CONTENT}", metadata.path);
        return Err(Error::new(ErrorKind::Denied, What::File, sentence));
    }
    // What is refused for want of room leaves no repository behind.
    stores.uploads.check_space().await?;
    if granted.repository().is_none() {
        granted.confirm().await?;
    }
    let (owner, by) = (granted.principal().account, granted.by());
    let repository = stores
        .catalog
        .ensure_repository(name.clone(), StorageFormat::Generic, owner, by.clone())
        .await?;
    let session = stores.uploads.begin(repository.id, by.clone(), Algorithm::Sha256).await?;
    let new = NewTusUpload {
        id: session.id,
        repository: repository.id,
        principal: by.clone(),
        length: *length,
        metadata: metadata.text.clone(),
        expires_at: session.expires_at,
    };
    stores.catalog.add_tus_upload(new).await?;
    let mut expires_at = Some(session.expires_at);
    if *length == 0 {
        let writing = stores.uploads.open(session.id, repository.id, by.clone()).await?;
        tus::store(stores, session.id, writing, metadata.clone(), may_overwrite, by).await?;
        expires_at = None;
    }
    let reply = Reply::new(StatusCode::CREATED)
        .header(TUS_RESUMABLE, VERSION)
        .header(LOCATION, format!("/uploads/{}", session.id));
    Ok(standing(reply, 0, expires_at))
}
