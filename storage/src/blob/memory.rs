//! Blobs in memory, for tests: the same contract, and nothing survives the process.

use super::checksum::Checksums;
use super::{Blob, BlobStore, BlobWriter, ByteStream, Listing, StorageKey, Stored, UploadId, VerifiedBlob, check_range, corrupt};
use crate::clock::{self, Millis};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result, What};
use crate::sums::{FileSums, Promised};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A blob store in memory.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    /// The bytes of each upload, and which writer holds it.
    uploads: HashMap<UploadId, (BytesMut, u64, Millis)>,
    blobs: HashMap<StorageKey, (Bytes, Millis)>,
    writers: u64,
}

struct MemoryWriter {
    store: MemoryStore,
    upload: UploadId,
    number: u64,
    offset: u64,
    algorithm: Algorithm,
    sums: bool,
}

impl MemoryStore {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self, upload: UploadId, algorithm: Algorithm, bytes: BytesMut) -> Box<dyn BlobWriter> {
        let mut content = self.content();
        content.writers += 1;
        let (number, offset) = (content.writers, bytes.len() as u64);
        content.uploads.insert(upload, (bytes, number, clock::now()));
        Box::new(MemoryWriter {
            store: self.clone(),
            upload,
            number,
            offset,
            algorithm,
            sums: false,
        })
    }
}

impl MemoryWriter {
    /// The upload's bytes, while this writer is the newest.
    fn bytes<T>(&self, work: impl FnOnce(&mut BytesMut) -> T) -> Result<T> {
        match self.store.content().uploads.get_mut(&self.upload) {
            Some((bytes, number, modified)) if *number == self.number => {
                *modified = clock::now();
                Ok(work(bytes))
            }
            _ => Err(Error::new(
                ErrorKind::Conflict,
                What::Upload,
                "another request has taken this upload over",
            )),
        }
    }
}

fn gone() -> Error {
    Error::not_found(What::Upload, "the upload's bytes are gone; start again")
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn begin(&self, upload: UploadId, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>> {
        Ok(self.writer(upload, algorithm, BytesMut::new()))
    }

    async fn resume(&self, upload: UploadId, algorithm: Algorithm, offset: u64) -> Result<Box<dyn BlobWriter>> {
        let held = self.content().uploads.get(&upload).map(|(bytes, ..)| bytes.clone());
        let mut bytes = held.ok_or_else(gone)?;
        bytes.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        Ok(self.writer(upload, algorithm, bytes))
    }

    async fn fence(&self, upload: UploadId) -> Result<()> {
        let mut content = self.content();
        content.writers += 1;
        let newest = content.writers;
        if let Some((_, number, _)) = content.uploads.get_mut(&upload) {
            *number = newest;
        }
        Ok(())
    }

    async fn upload_size(&self, upload: UploadId) -> Result<Option<u64>> {
        Ok(self.content().uploads.get(&upload).map(|(bytes, ..)| bytes.len() as u64))
    }

    async fn read_upload(&self, upload: UploadId, length: u64) -> Result<ByteStream> {
        let held = self.content().uploads.get(&upload).map(|(bytes, ..)| bytes.clone().freeze());
        let wanted = usize::try_from(length).ok();
        let bytes = held.zip(wanted).filter(|(held, wanted)| *wanted <= held.len());
        let (bytes, wanted) = bytes.ok_or_else(gone)?;
        Ok(Box::pin(stream::iter([Ok(bytes.slice(..wanted))])))
    }

    async fn sealed(&self, upload: UploadId) -> Result<Option<VerifiedBlob>> {
        let mut content = self.content();
        let Some(old) = content.blobs.keys().find(|key| key.is_of(upload)).cloned() else {
            return Ok(None);
        };
        let Some((digest, (bytes, _))) = old.digest().zip(content.blobs.remove(&old)) else {
            return Ok(None);
        };
        let next = StorageKey::new(&digest, &upload.next());
        let key = match next == old {
            true => StorageKey::new(&digest, &upload.next().next()),
            false => next,
        };
        let blob = Blob {
            digest,
            size: bytes.len() as u64,
            key: key.clone(),
            checksums: Checksums::of(&bytes),
        };
        let sums = FileSums::of(&bytes);
        content.blobs.insert(key, (bytes, clock::now()));
        Ok(Some(VerifiedBlob::new(blob, Some(sums))))
    }

    async fn discard(&self, upload: UploadId) -> Result<()> {
        self.content().uploads.remove(&upload);
        Ok(())
    }

    async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<ByteStream> {
        check_range(blob, &range)?;
        let held = self.content().blobs.get(&blob.key).map(|(bytes, _)| bytes.clone());
        let bytes = held.ok_or_else(|| corrupt(blob, "its bytes are missing"))?;
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = bounds
            .filter(|(start, end)| start <= end && *end <= bytes.len())
            .map(|(start, end)| bytes.slice(start..end));
        let part = part.ok_or_else(|| corrupt(blob, "its bytes are fewer"))?;
        Ok(Box::pin(stream::iter([Ok(part)])))
    }

    async fn size(&self, key: &StorageKey) -> Result<Option<u64>> {
        Ok(self.content().blobs.get(key).map(|(bytes, _)| bytes.len() as u64))
    }

    async fn delete(&self, key: &StorageKey) -> Result<()> {
        self.content().blobs.remove(key);
        Ok(())
    }

    async fn list(&self) -> Result<Listing> {
        let content = self.content();
        let uploads = content.uploads.iter().map(|(id, (.., modified))| Stored::Upload {
            id: *id,
            modified: *modified,
        });
        let blobs = content.blobs.iter().map(|(key, (_, modified))| Stored::Blob {
            key: key.clone(),
            modified: *modified,
        });
        let all: Vec<Stored> = uploads.chain(blobs).collect();
        Ok(Box::pin(stream::iter([Ok(all)])))
    }

    async fn free_space(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

#[async_trait]
impl BlobWriter for MemoryWriter {
    fn offset(&self) -> u64 {
        self.offset
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.bytes(|bytes| bytes.extend_from_slice(&chunk))?;
        self.offset += chunk.len() as u64;
        Ok(())
    }

    async fn park(self: Box<Self>) -> Result<u64> {
        self.bytes(|_| ())?;
        if self.offset == 0 {
            self.store.content().uploads.remove(&self.upload);
        }
        Ok(self.offset)
    }

    async fn with_sums(&mut self) -> Result<()> {
        self.sums = true;
        self.bytes(|_| ())
    }

    async fn seal(self: Box<Self>, promised: &Promised) -> Result<VerifiedBlob> {
        let bytes = self.bytes(|bytes| bytes.split().freeze())?;
        let mut content = self.store.content();
        content.uploads.remove(&self.upload);
        let algorithm = promised.digest.map_or(self.algorithm, |digest| digest.algorithm());
        let digest = Digest::of(algorithm, &bytes);
        let sums = (self.sums || promised.needs_sums(algorithm)).then(|| FileSums::of(&bytes));
        promised.check(&digest, sums.as_ref())?;
        let key = StorageKey::new(&digest, &self.upload);
        let blob = Blob {
            digest,
            size: bytes.len() as u64,
            key: key.clone(),
            checksums: Checksums::of(&bytes),
        };
        content.blobs.insert(key, (bytes, clock::now()));
        Ok(VerifiedBlob::new(blob, sums))
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        // Not what a newer writer has made of it.
        if self.bytes(|_| ()).is_ok() {
            self.store.content().uploads.remove(&self.upload);
        }
        Ok(())
    }
}
