//! The store as the formats see it: bytes, catalog, uploads and limits in one hand.

use crate::blob::{Blob, BlobStore, ByteStream};
use crate::catalog::Catalog;
use crate::downloads::Downloads;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::upload::Uploads;
use futures_util::StreamExt as _;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Everything that outlives a request. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    /// Bytes by storage key.
    pub blobs: Arc<dyn BlobStore>,
    /// What the bytes mean.
    pub catalog: Catalog,
    /// The upload engine over both.
    pub uploads: Uploads,
    /// What is being read.
    pub downloads: Downloads,
    /// The right to pack or unpack a piece of an archive.
    pub archive_work: Arc<Semaphore>,
    /// The limits in force.
    pub limits: Arc<Limits>,
}

impl Stores {
    /// Joins a blob store and a catalog.
    pub fn new(blobs: Arc<dyn BlobStore>, catalog: Catalog, limits: Limits) -> Self {
        let limits = Arc::new(limits);
        let uploads = Uploads::new(blobs.clone(), catalog.clone(), limits.clone());
        Self {
            blobs,
            catalog,
            uploads,
            downloads: Downloads::new(&limits),
            archive_work: Arc::new(Semaphore::new(limits.archive_work)),
            limits,
        }
    }

    /// The bytes `range` of a blob. One that turns out to be damaged is set aside before anybody hears of it.
    ///
    /// # Errors
    /// As [`BlobStore::read`].
    pub async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<ByteStream> {
        let stream = match self.blobs.read(blob, range).await {
            Ok(stream) => stream,
            Err(error) => return Err(self.set_aside(blob, error).await),
        };
        let (stores, blob) = (self.clone(), blob.clone());
        Ok(Box::pin(stream.then(move |item| {
            let (stores, blob) = (stores.clone(), blob.clone());
            async move {
                match item {
                    Ok(bytes) => Ok(bytes),
                    Err(error) => Err(stores.set_aside(&blob, error).await),
                }
            }
        })))
    }

    async fn set_aside(&self, blob: &Blob, error: Error) -> Error {
        if error.kind() == ErrorKind::Corrupt {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(digest = %blob.digest, key = %blob.key, cause, "a blob is damaged and is set aside until it is pushed again");
            if let Err(error) = self.catalog.quarantine_blob(blob.clone()).await {
                tracing::error!(digest = %blob.digest, %error, "a damaged blob could not be set aside");
            }
        }
        error
    }
}
