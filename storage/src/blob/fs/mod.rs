//! Blobs in a folder:
//!
//! ```text
//! uploads/<upload id>                           bytes of an upload that is not committed
//! blobs/sha256/ab/<hex>.<upload id>             a committed blob
//! ```
//!
//! How bytes get there is `writer.rs`, how they come back is `read.rs`, what they lie on is `disk.rs`;
//! this file knows the folders.

mod buffer;
mod disk;
mod folders;
mod list;
mod read;
mod sealed;
#[cfg(test)]
pub(super) mod simulated;
mod sink;
mod writer;

use super::{Blob, BlobStore, BlobWriter, ByteStream, Listing, StorageKey, UploadId, VerifiedBlob, check_range};
use crate::digest::Algorithm;
use crate::error::{Error, ErrorKind, Result};
use async_trait::async_trait;
use buffer::Buffers;
use disk::{Disk, RealDisk};
use quick_cache::sync::Cache;
use sink::{Parked, Sink};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Commits that flush at once. Measured: at 16 KiB a blob, 64 of them gain at most 30 % over 8 for six times the latency.
const COMMITS: usize = 16;
/// Hasher states kept for uploads between two requests. A lost one costs reading the upload back, nothing else.
const PARKED: usize = 10_000;
/// How often an upload whose file another writer holds is tried, and the wait between two tries.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(4);

/// A blob store in a folder.
#[derive(Clone)]
pub struct FsStore(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    commits: Semaphore,
    buffers: Buffers,
    parked: Cache<UploadId, Parked>,
    /// Uploads that a writer of this process has open, so that a newer writer can stop it.
    open: Mutex<HashMap<UploadId, Weak<Mutex<Sink>>>>,
}

impl FsStore {
    /// Opens the store in `root`, making its folders durable on first use. Blocks; for start-up.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::on(Arc::new(RealDisk), root.into())
    }

    /// Opens the store in `root` of a disk.
    fn on(disk: Arc<dyn Disk>, root: PathBuf) -> Result<Self> {
        folders::prepare(&*disk, &root)?;
        Ok(Self(Arc::new(Inner {
            disk,
            root,
            commits: Semaphore::new(COMMITS),
            buffers: Buffers::default(),
            parked: Cache::new(PARKED),
            open: Mutex::default(),
        })))
    }
}

impl Inner {
    fn upload_path(&self, upload: UploadId) -> PathBuf {
        self.root.join("uploads").join(upload.to_string())
    }

    fn blob_path(&self, key: &StorageKey) -> PathBuf {
        self.root.join("blobs").join(key.as_str())
    }

    /// Stops the writer that this process has open for `upload`, if any, and waits for the write it is in.
    fn fence(&self, upload: UploadId) {
        let older = lock(&self.open).remove(&upload);
        if let Some(sink) = older.and_then(|sink| sink.upgrade())
            && let Some(parked) = lock(&sink).fence()
        {
            self.parked.insert(upload, parked);
        }
    }

    fn register(&self, upload: UploadId, sink: &Arc<Mutex<Sink>>) {
        let mut open = lock(&self.open);
        open.retain(|_, sink| sink.strong_count() > 0);
        open.insert(upload, Arc::downgrade(sink));
    }
}

/// A lock whose holder panicked is taken all the same: every state behind these locks is valid between two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// Removes a file; one that is not there is fine.
fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The length of a file; `None` for one that is not there.
async fn size(disk: Arc<dyn Disk>, path: PathBuf) -> Result<Option<u64>> {
    blocking(move || match disk.stat(&path) {
        Ok(found) => Ok(Some(found.length)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

#[async_trait]
impl BlobStore for FsStore {
    async fn begin(&self, upload: UploadId, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(writer::Writer::new(
            self.0.clone(),
            upload,
            Sink::fresh(self.0.disk.clone(), self.0.upload_path(upload), algorithm),
        )))
    }

    async fn resume(&self, upload: UploadId, algorithm: Algorithm, offset: u64) -> Result<Box<dyn BlobWriter>> {
        let store = self.0.clone();
        let sink = blocking(move || {
            let mut tries = 1;
            loop {
                store.fence(upload);
                let parked = store.parked.remove(&upload).map(|(_, parked)| parked);
                match Sink::reopen(store.disk.clone(), store.upload_path(upload), algorithm, offset, parked) {
                    // A writer of this process that is just opening or closing the file can be stopped, or is gone, in a moment.
                    Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {
                        tries += 1;
                        std::thread::sleep(PAUSE);
                    }
                    ended => return ended,
                }
            }
        });
        Ok(Box::new(writer::Writer::new(self.0.clone(), upload, sink.await?)))
    }

    async fn fence(&self, upload: UploadId) -> Result<()> {
        let store = self.0.clone();
        blocking(move || {
            store.fence(upload);
            Ok(())
        })
        .await
    }

    async fn discard(&self, upload: UploadId) -> Result<()> {
        let store = self.0.clone();
        blocking(move || {
            store.fence(upload);
            store.parked.remove(&upload);
            Ok(remove(&*store.disk, &store.upload_path(upload))?)
        })
        .await
    }

    async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<ByteStream> {
        check_range(blob, &range)?;
        let (disk, path) = (self.0.disk.clone(), self.0.blob_path(&blob.key));
        read::stream(disk, path, blob.clone(), range, self.0.buffers.clone()).await
    }

    async fn read_upload(&self, upload: UploadId, length: u64) -> Result<ByteStream> {
        let (disk, path) = (self.0.disk.clone(), self.0.upload_path(upload));
        read::of_upload(disk, path, length, self.0.buffers.clone()).await
    }

    async fn sealed(&self, upload: UploadId) -> Result<Option<VerifiedBlob>> {
        let (disk, root) = (self.0.disk.clone(), self.0.root.clone());
        sealed::find(disk, root, upload).await
    }

    async fn upload_size(&self, upload: UploadId) -> Result<Option<u64>> {
        size(self.0.disk.clone(), self.0.upload_path(upload)).await
    }

    async fn size(&self, key: &StorageKey) -> Result<Option<u64>> {
        size(self.0.disk.clone(), self.0.blob_path(key)).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<()> {
        let (disk, path) = (self.0.disk.clone(), self.0.blob_path(key));
        blocking(move || Ok(remove(&*disk, &path)?)).await
    }

    async fn list(&self) -> Result<Listing> {
        list::all(self.0.disk.clone(), self.0.root.clone()).await
    }

    async fn free_space(&self) -> Result<Option<u64>> {
        // One system call on the local file system, cheaper than a change of thread.
        Ok(Some(self.0.disk.free_space(&self.0.root)?))
    }
}
