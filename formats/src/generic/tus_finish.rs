//! From an upload that has all its bytes to the file. The bytes become a blob, which the upload remembers, and the blob
//! becomes the file; who asks again after something failed on the way goes on from where it failed.

use super::sidecar::{self, Claim};
use super::tus_headers::Metadata;
use crate::body::collect;
use granary_storage::catalog::{Condition, FilePlace, FileView, NewFile, TusUpload};
use granary_storage::sums::{Promised, Sum};
use granary_storage::upload::Writing;
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use std::sync::Arc;

/// Times that a request looks at what others make of an upload before it says that it cannot wait longer.
const LOOKS: usize = 4;

/// Clients try again what is answered with 409: what will not change by itself is said otherwise.
pub(super) fn for_good(error: Error) -> Error {
    match (error.kind(), error.what()) {
        (ErrorKind::Conflict, What::File) => Error::new(ErrorKind::PreconditionFailed, What::File, error.message().to_owned()),
        _ => error,
    }
}

/// Whether the same upload would be refused again, however often it is tried.
fn is_for_good(error: &Error) -> bool {
    use ErrorKind as K;
    match error.kind() {
        // Another request is at it.
        K::Conflict => error.what() != What::Upload,
        K::NotFound
        | K::DigestMismatch
        | K::Invalid
        | K::Denied
        | K::Blocked
        | K::TooLarge
        | K::Unsupported
        | K::PreconditionFailed
        | K::Corrupt => true,
        K::BadRange
        | K::Unauthenticated
        | K::TooManyRequests
        | K::UriTooLong
        | K::LengthRequired
        | K::Timeout
        | K::StorageFull
        | K::Unavailable
        | K::Internal => false,
    }
}

/// An upload on its way to its file.
pub(super) struct Finish<'s> {
    pub(super) stores: &'s Stores,
    pub(super) upload: &'s TusUpload,
    pub(super) may_overwrite: bool,
    pub(super) by: Arc<str>,
}

impl Finish<'_> {
    /// Makes the file of a session that holds all its bytes.
    ///
    /// # Errors
    /// Those of the store. `PreconditionFailed` where another file stands in the way; with such a refusal the upload is over.
    pub(super) async fn whole(&self, mut writing: Writing) -> Result<()> {
        let metadata = Metadata::parse(&self.upload.metadata, &self.stores.limits)?;
        let place = self.place(&metadata).await?;
        // A real file that stands there already stays one.
        if place.current.is_none()
            && let Some((file, sum)) = sidecar::of(self.stores, self.upload.repository, &metadata.path).await?
        {
            return self.compare(writing, &file, &sum).await;
        }
        let claims = sidecar::claims(self.stores, &metadata.path, &place.sidecars).await?;
        writing.with_sums().await?;
        writing.remember();
        match writing.complete(promised(&claims)).await {
            Ok(landed) => self.file(landed.digest).await,
            Err(error) if error.kind() == ErrorKind::DigestMismatch => {
                self.stores.catalog.forget_tus_upload(self.upload.id).await?;
                Err(sidecar::explained(error, &claims))
            }
            Err(error) => Err(error),
        }
    }

    async fn place(&self, metadata: &Metadata) -> Result<FilePlace> {
        let (repository, path) = (self.upload.repository, metadata.path.clone());
        self.stores.catalog.file_place(repository, path).await
    }

    /// Makes the file of an upload whose bytes are a blob already.
    ///
    /// # Errors
    /// As [`Finish::whole`].
    pub(super) async fn file(&self, digest: Digest) -> Result<()> {
        let Metadata {
            path, media_type, labels, ..
        } = Metadata::parse(&self.upload.metadata, &self.stores.limits)?;
        let new = NewFile {
            repository: self.upload.repository,
            path,
            digest,
            size: self.upload.length.unwrap_or(0),
            media_type,
            condition: Condition::Always,
            labels,
            may_overwrite: self.may_overwrite,
            mends: false,
            source: None,
            by: self.by.clone(),
        };
        match self.stores.catalog.land_tus_file(self.upload.id, Arc::new(new)).await {
            Ok(_) => self.discard_parts().await,
            Err(error) if is_for_good(&error) => {
                self.stores.catalog.forget_tus_upload(self.upload.id).await?;
                Err(for_good(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the file of an upload that is made of parts, or waits for who is at it.
    ///
    /// # Errors
    /// As [`Finish::whole`]. `PreconditionFailed`/`Upload` when a part is not what it was; the parts that are left are
    /// free then.
    pub(super) async fn joined(&self) -> Result<()> {
        let Self { stores, upload, by, .. } = self;
        let metadata = Metadata::parse(&upload.metadata, &stores.limits)?;
        for _ in 0..LOOKS {
            let Some(known) = stores.catalog.tus_upload(upload.id, by.clone()).await? else {
                return Err(cancelled());
            };
            if known.done {
                return Ok(());
            }
            if let Some(digest) = known.digest {
                return self.file(digest).await;
            }
            let parts = stores.catalog.tus_parts(upload.id).await?;
            let total: u64 = parts.iter().map(|(_, length)| length).sum();
            let sidecars = self.place(&metadata).await?.sidecars;
            let claims = sidecar::claims(stores, &metadata.path, &sidecars).await?;
            let joined = match upload.length == Some(total) {
                true => {
                    let joined = stores
                        .uploads
                        .join(upload.id, upload.repository, by.clone(), parts, promised(&claims));
                    joined.await.map_err(|error| sidecar::explained(error, &claims))
                }
                false => Err(cancelled()),
            };
            match joined {
                Ok(Some(landed)) => return self.file(landed.digest).await,
                Ok(None) => {}
                // Another process may have brought it to its end.
                Err(error) if error.is_not_found() && self.is_joined_by_now().await? => {}
                Err(error) => {
                    if is_for_good(&error) {
                        self.give_up().await?;
                    }
                    return Err(error);
                }
            }
        }
        let sentence = "the parts are still being joined; ask again shortly";
        Err(Error::new(ErrorKind::Unavailable, What::Request, sentence))
    }

    /// Whether another request has made a blob of the parts, or the file.
    pub(super) async fn is_joined_by_now(&self) -> Result<bool> {
        let known = self.stores.catalog.tus_upload(self.upload.id, self.by.clone()).await?;
        Ok(known.is_some_and(|known| known.done || known.digest.is_some()))
    }

    /// The upload comes to nothing.
    pub(super) async fn give_up(&self) -> Result<()> {
        let (id, repository) = (self.upload.id, self.upload.repository);
        match self.stores.uploads.cancel(id, repository, self.by.clone()).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        self.stores.catalog.forget_tus_upload(id).await
    }

    /// The parts' bytes are in the file. What cannot be removed now is the sweep's.
    async fn discard_parts(&self) -> Result<()> {
        if !self.upload.is_joined() {
            return Ok(());
        }
        for (part, _) in self.stores.catalog.tus_parts(self.upload.id).await? {
            if let Err(error) = self.stores.blobs.discard(part).await {
                tracing::warn!(%part, %error, "the bytes of a part that was joined are left to the sweep");
            }
        }
        Ok(())
    }

    /// Holds a checksum against its file; it is not kept, as one that is sent by PUT is not.
    async fn compare(&self, writing: Writing, file: &FileView, sum: &Sum) -> Result<()> {
        let Self { stores, upload, .. } = self;
        let length = writing.park().await?;
        let agrees = async {
            let bytes = stores.blobs.read_upload(upload.id, length).await?;
            let sent = collect(bytes, Some(length), stores.limits.sidecar_bytes, What::File).await?;
            sidecar::check(&sent, file, sum)
        };
        match agrees.await {
            Ok(()) => {
                stores.catalog.finish_tus_upload(upload.id).await?;
                stores.uploads.cancel(upload.id, upload.repository, self.by.clone()).await
            }
            Err(error) => {
                if is_for_good(&error) {
                    self.give_up().await?;
                }
                Err(error)
            }
        }
    }
}

/// What checksums that were stored before their file promise of it.
fn promised(claims: &[Claim]) -> Promised {
    Promised {
        digest: None,
        sums: claims.iter().map(|claim| claim.sum).collect(),
    }
}

fn cancelled() -> Error {
    let sentence = "a part was cancelled or has expired; send its bytes again";
    Error::new(ErrorKind::PreconditionFailed, What::Upload, sentence)
}
