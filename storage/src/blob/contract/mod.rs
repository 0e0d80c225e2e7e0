//! The contract of a blob store, as tests: written once, run for every store through the
//! public traits alone. One file a promise; what only a folder can show is in `folder.rs`
//! and `processes.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Blob, BlobStore, BlobWriter, StorageKey, Stored, UploadId, VerifiedBlob};
use crate::digest::{Algorithm, Digest};
use crate::error::{ErrorKind, Result, What};
use ::bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::collections::HashSet;
use std::ops::Range;

/// Makes one test of each case and store. A case takes a new, empty store.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod on_fs {
            $(
                #[tokio::test]
                async fn $case() {
                    let folder = tempfile::tempdir().unwrap();
                    super::$case(&crate::blob::FsStore::open(folder.path()).unwrap()).await;
                }
            )+
        }
        mod on_simulated {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::blob::fs::simulated::store()).await;
                }
            )+
        }
        mod on_memory {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::blob::MemoryStore::default()).await;
                }
            )+
        }
    };
}

mod bytes;
mod crowd;
mod digests;
mod fencing;
mod folder;
mod keys;
mod processes;
mod random;
mod removal;
mod resume;
mod sums;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a writer hears when another has taken its upload over.
const TAKEN_OVER: (ErrorKind, What) = (ErrorKind::Conflict, What::Upload);
/// What is said of an upload that the store holds nothing of.
const NO_SUCH_UPLOAD: (ErrorKind, What) = (ErrorKind::NotFound, What::Upload);
/// What is said of bytes that are not those promised.
const WRONG_DIGEST: (ErrorKind, What) = (ErrorKind::DigestMismatch, What::Digest);

/// Bytes of which no two stretches are alike, so that none passes for another.
fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// One after the other.
fn joined(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

async fn begin(store: &dyn BlobStore) -> (UploadId, Box<dyn BlobWriter>) {
    let id = UploadId::random();
    (id, store.begin(id, Algorithm::Sha256).await.unwrap())
}

async fn resume(store: &dyn BlobStore, id: UploadId, offset: usize) -> Box<dyn BlobWriter> {
    store.resume(id, Algorithm::Sha256, offset as u64).await.unwrap()
}

/// An upload of `bytes` that waits for its next request.
async fn parked(store: &dyn BlobStore, bytes: &[u8]) -> UploadId {
    let (id, mut writer) = begin(store).await;
    writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    assert_eq!(writer.park().await.unwrap(), bytes.len() as u64);
    id
}

/// A blob of `bytes`, uploaded at one go.
async fn put(store: &dyn BlobStore, bytes: &Bytes) -> VerifiedBlob {
    let (_, mut writer) = begin(store).await;
    writer.write(bytes.clone()).await.unwrap();
    writer.commit(&Digest::sha256(bytes)).await.unwrap()
}

/// The bytes of a range, or the error that the stream ends in.
async fn get(store: &dyn BlobStore, blob: &Blob, range: Range<u64>) -> Result<Bytes> {
    let mut stream = store.read(blob, range).await?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return Err(error);
            }
        }
    }
    Ok(bytes.freeze())
}

/// All bytes of a blob.
async fn whole(store: &dyn BlobStore, blob: &VerifiedBlob) -> Bytes {
    get(store, blob.blob(), 0..blob.size()).await.unwrap()
}

/// What a store holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files {
    uploads: HashSet<UploadId>,
    blobs: HashSet<StorageKey>,
}

async fn files(store: &dyn BlobStore) -> Files {
    let batches: Vec<Vec<Stored>> = store.list().await.unwrap().try_collect().await.unwrap();
    let mut files = Files::default();
    for file in batches.into_iter().flatten() {
        let new = match file.clone() {
            Stored::Upload { id, .. } => files.uploads.insert(id),
            Stored::Blob { key, .. } => files.blobs.insert(key),
        };
        assert!(new, "{file:?} is listed twice");
    }
    files
}

async fn assert_empty(store: &dyn BlobStore) {
    assert_eq!(files(store).await, Files::default());
}

/// How something was refused.
fn refusal<T>(result: Result<T>) -> (ErrorKind, What) {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => (error.kind(), error.what()),
    }
}
