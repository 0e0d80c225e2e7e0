//! A blob store with one ailment, for tests: everything else is the healthy store's.

use crate::blob::{Blob, BlobStore, BlobWriter, ByteStream, Listing, StorageKey, UploadId, VerifiedBlob};
use crate::digest::Algorithm;
use crate::error::{Error, Result};
use futures_util::stream;
use std::ops::Range;
use std::sync::Arc;

/// What is wrong.
pub(crate) enum Ailment {
    /// It says that so many bytes are free, or that it cannot tell.
    Free(Option<u64>),
    /// It does not list what it holds.
    ListsNot,
    /// It breaks off after a first folder that reads as empty.
    ListsNotToItsEnd,
    /// It lists as ever, but not before this has happened.
    ListsAfter(Box<dyn Fn() + Send + Sync>),
}

/// The store.
pub(crate) struct AilingStore {
    pub(crate) healthy: Arc<dyn BlobStore>,
    pub(crate) ailment: Ailment,
}

#[async_trait::async_trait]
impl BlobStore for AilingStore {
    async fn begin(&self, upload: UploadId, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>> {
        self.healthy.begin(upload, algorithm).await
    }

    async fn resume(&self, upload: UploadId, algorithm: Algorithm, offset: u64) -> Result<Box<dyn BlobWriter>> {
        self.healthy.resume(upload, algorithm, offset).await
    }

    async fn fence(&self, upload: UploadId) -> Result<()> {
        self.healthy.fence(upload).await
    }

    async fn upload_size(&self, upload: UploadId) -> Result<Option<u64>> {
        self.healthy.upload_size(upload).await
    }

    async fn read_upload(&self, upload: UploadId, length: u64) -> Result<ByteStream> {
        self.healthy.read_upload(upload, length).await
    }

    async fn sealed(&self, upload: UploadId) -> Result<Option<VerifiedBlob>> {
        self.healthy.sealed(upload).await
    }

    async fn discard(&self, upload: UploadId) -> Result<()> {
        self.healthy.discard(upload).await
    }

    async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<ByteStream> {
        self.healthy.read(blob, range).await
    }

    async fn size(&self, key: &StorageKey) -> Result<Option<u64>> {
        self.healthy.size(key).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<()> {
        self.healthy.delete(key).await
    }

    async fn list(&self) -> Result<Listing> {
        let broken = || Error::internal("the disk does not answer");
        match &self.ailment {
            Ailment::ListsNot => return Err(broken()),
            Ailment::ListsNotToItsEnd => return Ok(Box::pin(stream::iter([Ok(Vec::new()), Err(broken())]))),
            Ailment::ListsAfter(happens) => happens(),
            Ailment::Free(_) => {}
        }
        self.healthy.list().await
    }

    async fn free_space(&self) -> Result<Option<u64>> {
        match &self.ailment {
            Ailment::Free(free) => Ok(*free),
            _ => self.healthy.free_space().await,
        }
    }
}
