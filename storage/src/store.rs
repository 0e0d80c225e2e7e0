//! The store as the formats see it: bytes, catalog, uploads and limits in one hand.

use crate::archives::Archives;
use crate::blob::{Blob, BlobStore, ByteStream};
use crate::catalog::Catalog;
use crate::downloads::Downloads;
use crate::error::{Error, ErrorKind, Result, What};
use crate::limits::Limits;
use crate::upload::Uploads;
use futures_util::StreamExt as _;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    /// Who is walking folders and looking into archives.
    pub archives: Archives,
    /// The right to pack or unpack a piece of an archive.
    pub archive_work: Arc<Semaphore>,
    /// The limits in force.
    pub limits: Arc<Limits>,
    /// Host and port of this registry, as its users write them before a repository's name (`registry.example.com`);
    /// `None` where nobody has said.
    pub host: Option<Arc<str>>,
    /// A place for each chart that may be unpacked.
    unpacking: Arc<Semaphore>,
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
            archives: Archives::new(&limits),
            archive_work: Arc::new(Semaphore::new(limits.archive_work)),
            unpacking: Arc::new(Semaphore::new(limits.chart_unpacks)),
            limits,
            host: None,
        }
    }

    /// The same, under a name that its users know.
    #[must_use]
    pub fn known_as(self, host: Option<&str>) -> Self {
        Self {
            host: host.map(Into::into),
            ..self
        }
    }

    /// Takes places for so many charts that are unpacked to read files in them, until what is given is dropped.
    ///
    /// # Errors
    /// `Unavailable`/`Request` when there are fewer of the [`Limits::chart_unpacks`] left.
    pub fn unpack(&self, charts: u32) -> Result<OwnedSemaphorePermit> {
        let places = self.unpacking.clone().try_acquire_many_owned(charts);
        places.map_err(|_| {
            Error::new(
                ErrorKind::Unavailable,
                What::Request,
                "too many charts are being unpacked; try again shortly",
            )
        })
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
