//! Where bytes live. The contract of a blob store, which knows nothing of
//! repositories, names or access: it turns a stream into a [`VerifiedBlob`] and
//! gives the bytes of a [`StorageKey`] back.
//!
//! Every store passes the one suite in `contract`.

pub mod checksum;
#[cfg(test)]
mod contract;
mod fs;
mod memory;

pub use checksum::Checksums;
pub use fs::FsStore;
pub use memory::MemoryStore;

use crate::clock::Millis;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, ErrorKind, Result, What};
use crate::sums::{FileSums, Promised};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

/// The bytes of a blob, or of a part of it, in order.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Names one upload, also across restarts and processes: a random UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(uuid::Uuid);

impl UploadId {
    /// A new, unguessable one.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// The one after this, which differs in the first 32 bits alone, for a second key where this one's is taken. As random as this one, so that nobody else has it;
    /// and always the same, so that a test which is run again does the same again.
    fn next(self) -> Self {
        Self(uuid::Uuid::from_u128(self.0.as_u128().wrapping_add(1 << 96)))
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = Error;

    /// # Errors
    /// `NotFound`/`Upload` for anything but a hyphenated lower-case UUID: what was never issued does not exist.
    fn from_str(text: &str) -> Result<Self> {
        uuid::Uuid::try_parse(text)
            .ok()
            .map(Self)
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| Error::not_found(What::Upload, "there is no such upload"))
    }
}

/// Where a store keeps one blob. Opaque to the catalog; a re-upload gets a new one, also one of the same session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StorageKey(Arc<str>);

impl StorageKey {
    /// The key of `digest` as uploaded by `upload`: `sha256/ab/ab….<upload>`.
    pub fn new(digest: &Digest, upload: &UploadId) -> Self {
        let hex = digest.hex();
        Self(format!("{}/{}/{hex}.{upload}", digest.algorithm().as_str(), &hex[..2]).into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one that `upload` may have got: its own, or one after it.
    fn is_of(&self, upload: UploadId) -> bool {
        let id = self.0.rsplit_once('.').and_then(|(_, id)| id.parse::<UploadId>().ok());
        id.is_some_and(|id| (id.0.as_u128() ^ upload.0.as_u128()) << 32 == 0)
    }

    /// The digest that the key promises.
    pub fn digest(&self) -> Option<Digest> {
        let (algorithm, rest) = self.0.split_once('/')?;
        let hex = rest.split_once('/')?.1.split_once('.')?.0;
        format!("{algorithm}:{hex}").parse().ok()
    }
}

impl FromStr for StorageKey {
    type Err = Error;

    /// # Errors
    /// `Internal` for a text that [`StorageKey::new`] cannot have made: such a text never reaches a path.
    fn from_str(text: &str) -> Result<Self> {
        let key = Self(text.into());
        let upload = text.rsplit_once('.').and_then(|(_, upload)| upload.parse::<UploadId>().ok());
        match key.digest().zip(upload) {
            Some((digest, upload)) if Self::new(&digest, &upload) == key => Ok(key),
            _ => Err(Error::internal(format!("malformed storage key {text:?}"))),
        }
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A committed blob: all that is needed to read it back, and to notice when it reads back otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// Where they lie.
    pub key: StorageKey,
    /// The checksums of their pieces.
    pub checksums: Checksums,
}

/// Bytes that a store has hashed, found equal to the digest promised, and made
/// durable. Only a [`BlobWriter`] makes one, and a commit accepts nothing else:
/// content is never taken on somebody's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBlob {
    blob: Blob,
    sums: Option<FileSums>,
}

impl VerifiedBlob {
    /// For writers in this module only; what it says must have been proved.
    fn new(blob: Blob, sums: Option<FileSums>) -> Self {
        Self { blob, sums }
    }

    /// What has been proved.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The checksums that were computed besides, where that was asked for.
    pub fn sums(&self) -> Option<&FileSums> {
        self.sums.as_ref()
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        &self.blob.digest
    }

    /// How many bytes.
    pub fn size(&self) -> u64 {
        self.blob.size
    }

    /// Where they lie.
    pub fn key(&self) -> &StorageKey {
        &self.blob.key
    }
}

/// A caller that asks for more than there is has a fault of its own; the blob is not to blame.
fn check_range(blob: &Blob, range: &Range<u64>) -> Result<()> {
    if range.start <= range.end && range.end <= blob.size {
        return Ok(());
    }
    Err(Error::internal(format!("bytes {range:?} were asked of a blob of {}", blob.size)))
}

/// The bytes of a blob are not what was committed. Whoever meets this sets the blob aside, so that it can be pushed again.
fn corrupt(blob: &Blob, why: impl fmt::Display) -> Error {
    let sentence = "the blob is damaged in this registry; push it again";
    Error::new(ErrorKind::Corrupt, What::Blob, sentence).because(format!("{} at {}: {why}", blob.digest, blob.key))
}

/// A file of a store, as the sweep sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Bytes of an upload that is not committed.
    Upload {
        /// The upload.
        id: UploadId,
        /// When it was last written.
        modified: Millis,
    },
    /// A committed blob, which the catalog may or may not know.
    Blob {
        /// Its key.
        key: StorageKey,
        /// When it was committed.
        modified: Millis,
    },
}

/// What a store must do, and nothing else.
///
/// - **Atomic.** [`BlobStore::read`] gives the bytes of a committed blob or an error, never others, never a part as if it were all.
/// - **Durable.** When [`BlobWriter::commit`] has answered, the bytes survive a power cut.
/// - **Proved.** A commit whose bytes do not have the expected digest fails and leaves no blob.
/// - **Flat.** No method's memory grows with the size of a blob.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Starts an upload of nothing yet. `upload` must be new.
    async fn begin(&self, upload: UploadId, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>>;

    /// Goes on with an upload, possibly one that another process began.
    ///
    /// The bytes behind `offset` are cut off. When fewer than `offset` bytes are left
    /// (a power cut), the writer stands at what is left: the caller compares [`BlobWriter::offset`].
    ///
    /// # Errors
    /// `NotFound`/`Upload` when the store holds nothing of it.
    async fn resume(&self, upload: UploadId, algorithm: Algorithm, offset: u64) -> Result<Box<dyn BlobWriter>>;

    /// Stops whoever writes an upload in this process, and waits for the write it is in: what was not handed over by then
    /// never is. Reads nothing, and makes no writer.
    async fn fence(&self, upload: UploadId) -> Result<()>;

    /// Bytes that an upload holds, or `None` when there is nothing of it.
    async fn upload_size(&self, upload: UploadId) -> Result<Option<u64>>;

    /// The first `length` bytes that an upload holds, for joining it to others. They are as they were written, and proved by nothing.
    ///
    /// # Errors
    /// `NotFound`/`Upload` when the store holds nothing of it, or less.
    async fn read_upload(&self, upload: UploadId, length: u64) -> Result<ByteStream>;

    /// The blob that an upload became, its bytes proved anew and made durable under another key: for one whose row is
    /// still to be written, because the process died or the catalog failed in between. Only for who knows that no row
    /// names it, and that nobody is about to write one. Looks through all that the store holds.
    async fn sealed(&self, upload: UploadId) -> Result<Option<VerifiedBlob>>;

    /// Throws an upload's bytes away. Absent is fine.
    async fn discard(&self, upload: UploadId) -> Result<()>;

    /// The bytes `range` of a blob, which lies within its size.
    ///
    /// # Errors
    /// `Internal` when the range does not. `Corrupt`/`Blob` when the bytes are absent or not those that were committed: at once where the first piece
    /// shows it, else the stream ends in that error before a wrong byte goes out.
    async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<ByteStream>;

    /// The size of a blob, or `None` when it is absent.
    async fn size(&self, key: &StorageKey) -> Result<Option<u64>>;

    /// Removes a blob's bytes. Absent is fine.
    async fn delete(&self, key: &StorageKey) -> Result<()>;

    /// Everything in the store, a bounded batch at a time, in no particular order; for the sweep and `fsck`.
    async fn list(&self) -> Result<Listing>;

    /// Free bytes where the store writes, when it can tell.
    async fn free_space(&self) -> Result<Option<u64>>;
}

/// What [`BlobStore::list`] gives: batches of files.
pub type Listing = Pin<Box<dyn Stream<Item = Result<Vec<Stored>>> + Send>>;

/// One upload being written. Push style: the caller drains its own body.
///
/// Dropping a writer keeps what reached the store, for a later [`BlobStore::resume`].
#[async_trait]
pub trait BlobWriter: Send {
    /// Bytes taken in so far, from the very start of the upload.
    fn offset(&self) -> u64;

    /// Takes in the next bytes. May buffer; waits when the store is slower than the caller.
    ///
    /// # Errors
    /// After an error the writer is of no use: its next call fails too.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Hands everything taken in to the store and lets go; gives the offset.
    async fn park(self: Box<Self>) -> Result<u64>;

    /// Computes [`FileSums`] too, in the same pass. Bytes of an earlier request that were not summed so are read back.
    async fn with_sums(&mut self) -> Result<()>;

    /// Proves that the bytes are what was promised and makes them durable. Without a digest promised they get the one
    /// of the algorithm that the upload was begun with. When one of another algorithm is promised, or checksums that
    /// were not computed on the way, the bytes are read back and hashed anew.
    ///
    /// # Errors
    /// `DigestMismatch`/`Digest` when they are not; the upload is then discarded.
    /// Any failure to flush counts as loss of the bytes: the upload is discarded and never retried.
    async fn seal(self: Box<Self>, promised: &Promised) -> Result<VerifiedBlob>;

    /// Proves that the bytes have the digest `expected` and makes them durable.
    ///
    /// # Errors
    /// As [`BlobWriter::seal`].
    async fn commit(self: Box<Self>, expected: &Digest) -> Result<VerifiedBlob> {
        self.seal(&(*expected).into()).await
    }

    /// Throws the upload away; what a newer writer has made of it stays.
    async fn abort(self: Box<Self>) -> Result<()>;
}
