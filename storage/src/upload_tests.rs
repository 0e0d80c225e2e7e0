//! Stories of the upload engine, over a store in a folder and every database: what they share, and those of digests and
//! checksums that were promised.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "upload_tests/blobs.rs"]
mod blobs;
#[path = "upload_tests/damage.rs"]
mod damage;
#[path = "upload_tests/sessions.rs"]
mod sessions;

use super::*;
use crate::Stores;
use crate::catalog::BlobView;
use crate::test_support::TestStore;
use futures_util::TryStreamExt as _;
use std::collections::HashSet;

const MIB: usize = 1024 * 1024;

fn alice() -> Arc<str> {
    "alice".into()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// A stretch of bytes longer than what a writer keeps in memory.
fn large(byte: u8) -> Bytes {
    vec![byte; 2 * MIB].into()
}

/// How something was refused.
fn refusal<T>(result: Result<T>) -> (ErrorKind, What) {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => (error.kind(), error.what()),
    }
}

const NO_SUCH_UPLOAD: (ErrorKind, What) = (ErrorKind::NotFound, What::Upload);
const TAKEN_OVER: (ErrorKind, What) = (ErrorKind::Conflict, What::Upload);
const WRONG_DIGEST: (ErrorKind, What) = (ErrorKind::DigestMismatch, What::Digest);

/// Alice opens a session in `acme/api`.
async fn begun(store: &TestStore) -> UploadId {
    let uploads = &store.stores.uploads;
    uploads.begin(store.repository, alice(), Algorithm::Sha256).await.unwrap().id
}

/// Alice opens a session and sends a first piece, which is acknowledged.
async fn parked(store: &TestStore, piece: &Bytes) -> UploadId {
    let id = begun(store).await;
    let mut writing = open(store, id).await;
    writing.write(piece.clone()).await.unwrap();
    assert_eq!(writing.park().await.unwrap(), piece.len() as u64);
    id
}

/// Alice's next request on her session.
async fn open(store: &TestStore, id: UploadId) -> Writing {
    store.stores.uploads.open(id, store.repository, alice()).await.unwrap()
}

async fn status(store: &TestStore, id: UploadId) -> Result<Upload> {
    store.stores.uploads.status(id, store.repository, alice()).await
}

/// Alice pushes a blob in one request.
async fn push(stores: &Stores, repository: RepositoryId, content: &Bytes) -> Result<u64> {
    let mut writing = stores.uploads.single(repository, alice(), Algorithm::Sha256).await?;
    writing.write(content.clone()).await?;
    writing.finish(&Digest::sha256(content)).await
}

async fn view(store: &TestStore, content: &[u8]) -> Option<BlobView> {
    store.stores.catalog.blob(store.repository, Digest::sha256(content)).await.unwrap()
}

/// `content` is in `acme/api`, whole, and its file is the only one of the store; no session is left.
async fn assert_only_blob(store: &TestStore, content: &[u8]) {
    let name = store.database.name;
    let found = view(store, content).await.unwrap();
    assert_eq!(
        (found.digest, found.size),
        (Digest::sha256(content), content.len() as u64),
        "{name}"
    );
    let read = store.stores.blobs.read(&found, 0..found.size).await.unwrap();
    assert!(read.try_collect::<Vec<Bytes>>().await.unwrap().concat() == content, "{name}");
    assert_eq!(store.files().await, (HashSet::new(), HashSet::from([found.key.clone()])), "{name}");
    let rows = ["upload", "blob", "repository_blob", "event WHERE kind = 'blob.pushed'"].map(|table| store.database.count(table));
    assert_eq!(rows, [0, 1, 1, 1], "{name}: sessions, blobs, links, pushes");
}

/// Nothing was stored, no session is left, and nothing is said to have been pushed.
async fn assert_nothing_stored(store: &TestStore) {
    let name = store.database.name;
    assert_eq!(store.files().await, (HashSet::new(), HashSet::new()), "{name}");
    let rows = ["upload", "blob", "repository_blob", "event WHERE kind = 'blob.pushed'"].map(|table| store.database.count(table));
    assert_eq!(rows, [0; 4], "{name}: sessions, blobs, links, pushes");
}

#[tokio::test]
async fn bytes_with_another_digest_close_the_session_and_leave_nothing() {
    for store in TestStore::all(&Limits::default()).await {
        for piece in [bytes("some bytes"), large(1)] {
            let id = parked(&store, &piece).await;
            let ended = open(&store, id).await.finish(&Digest::sha256(b"something else")).await;
            assert_eq!(refusal(ended), WRONG_DIGEST);
            assert_eq!(refusal(status(&store, id).await), NO_SUCH_UPLOAD);
            assert_nothing_stored(&store).await;
        }
        let mut single = store
            .stores
            .uploads
            .single(store.repository, alice(), Algorithm::Sha256)
            .await
            .unwrap();
        single.write(bytes("some bytes")).await.unwrap();
        assert_eq!(refusal(single.finish(&Digest::sha256(b"something else")).await), WRONG_DIGEST);
        assert_nothing_stored(&store).await;
    }
}

#[tokio::test]
async fn a_blob_may_be_named_by_its_sha512() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let digest = Digest::of(Algorithm::Sha512, b"some bytes");
        // Announced in time, or only at the end.
        for algorithm in [Algorithm::Sha512, Algorithm::Sha256] {
            let id = uploads.begin(store.repository, alice(), algorithm).await.unwrap().id;
            let mut writing = open(&store, id).await;
            writing.write(bytes("some ")).await.unwrap();
            writing.park().await.unwrap();
            assert_eq!(status(&store, id).await.unwrap().algorithm, algorithm);
            let mut writing = open(&store, id).await;
            writing.write(bytes("bytes")).await.unwrap();
            writing.finish(&digest).await.unwrap();
            let found = store.stores.catalog.blob(store.repository, digest).await.unwrap().unwrap();
            assert_eq!((found.digest, found.size), (digest, 10));
        }
        // The second one brought what was there already.
        assert_eq!(store.files().await.1.len(), 1);
        assert_eq!((store.database.count("blob"), store.database.count("upload")), (1, 0));
        // The same bytes by their sha256 are another blob.
        assert_eq!(view(&store, b"some bytes").await, None);
    }
}

#[tokio::test]
async fn an_upload_without_a_promised_digest_becomes_the_blob_that_it_is_with_its_checksums() {
    for store in TestStore::all(&Limits::default()).await {
        let content = large(7);
        let mut writing = store
            .stores
            .uploads
            .single(store.repository, alice(), Algorithm::Sha256)
            .await
            .unwrap();
        writing.with_sums().await.unwrap();
        writing.write(content.clone()).await.unwrap();
        let landed = writing.complete(Promised::default()).await.unwrap();
        let sums = FileSums::of(&content);
        let expected = Landed {
            repository: store.repository,
            digest: Digest::sha256(&content),
            size: content.len() as u64,
            sums: Some(sums),
        };
        assert_eq!(landed, expected);
        assert_only_blob(&store, &content).await;
        let row = format!(
            "blob WHERE sha1 = '{}' AND md5 = '{}' AND sha512 = '{}'",
            sums.sha1.hex(),
            sums.md5.hex(),
            sums.sha512.hex()
        );
        assert_eq!(store.database.count(&row), 1, "{}", store.database.name);
    }
}

#[tokio::test]
async fn a_blob_that_came_without_checksums_gets_them_from_whoever_brings_it_as_a_file() {
    for store in TestStore::all(&Limits::default()).await {
        let content = bytes("a layer, and a file");
        push(&store.stores, store.repository, &content).await.unwrap();
        assert_eq!(
            store.database.count("blob WHERE sha1 IS NULL AND md5 IS NULL AND sha512 IS NULL"),
            1
        );
        let uploads = &store.stores.uploads;
        let mut writing = uploads.single(store.repository, alice(), Algorithm::Sha256).await.unwrap();
        writing.with_sums().await.unwrap();
        writing.write(content.clone()).await.unwrap();
        writing.complete(Promised::default()).await.unwrap();
        let md5 = FileSums::of(&content).md5.hex();
        assert_eq!(
            store.database.count(&format!("blob WHERE md5 = '{md5}'")),
            1,
            "{}",
            store.database.name
        );
        assert_eq!(store.files().await.1.len(), 1, "the second copy is gone");
    }
}

#[tokio::test]
async fn a_wrong_checksum_closes_the_upload_and_leaves_nothing() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let mut writing = uploads.single(store.repository, alice(), Algorithm::Sha256).await.unwrap();
        writing.with_sums().await.unwrap();
        writing.write(large(1)).await.unwrap();
        let promised = Promised {
            digest: None,
            sums: vec![FileSums::of(b"something else").md5],
        };
        assert_eq!(refusal(writing.complete(promised).await), WRONG_DIGEST);
        assert_nothing_stored(&store).await;
    }
}

#[tokio::test]
async fn a_session_whose_bytes_became_a_blob_without_a_row_is_completed_by_who_asks() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &large(1)).await;
        let digest = Digest::sha256(&large(1));
        store.database.execute("ALTER TABLE repository_blob RENAME TO broken");
        let failed = open(&store, id).await.finish(&digest).await;
        assert_eq!(refusal(failed).0, ErrorKind::Internal);
        // It fails again, and the bytes are still there.
        assert_eq!(refusal(status(&store, id).await).0, ErrorKind::Internal);
        store.database.execute("ALTER TABLE broken RENAME TO repository_blob");
        assert_eq!(refusal(status(&store, id).await), NO_SUCH_UPLOAD);
        assert_eq!(store.stores.uploads.finished(id, store.repository, "alice"), Some(digest));
        assert_only_blob(&store, &large(1)).await;
    }
}

#[tokio::test]
async fn parts_are_joined_from_the_start_after_it_failed_half_way() {
    for store in TestStore::all(&Limits::default()).await {
        let (one, two) = (parked(&store, &large(1)).await, parked(&store, &large(2)).await);
        let id = begun(&store).await;
        let parts = vec![(one, 2 * MIB as u64), (two, 2 * MIB as u64)];
        let longer = vec![parts[0], (two, 2 * MIB as u64 + 1)];
        let uploads = &store.stores.uploads;
        let failed = uploads.join(id, store.repository, alice(), longer, Promised::default()).await;
        assert_eq!(refusal(failed), (ErrorKind::PreconditionFailed, What::Upload));
        let joined = uploads
            .join(id, store.repository, alice(), parts.clone(), Promised::default())
            .await
            .unwrap()
            .unwrap();
        let whole = [large(1), large(2)].concat();
        assert_eq!((joined.digest, joined.size), (Digest::sha256(&whole), whole.len() as u64));
        assert_eq!(joined.sums, Some(FileSums::of(&whole)));
        // The session is over, and the parts are as they were.
        let again = uploads.join(id, store.repository, alice(), parts, Promised::default()).await;
        assert_eq!(refusal(again), NO_SUCH_UPLOAD);
        for part in [one, two] {
            assert_eq!(status(&store, part).await.unwrap().offset, 2 * MIB as u64);
            uploads.cancel(part, store.repository, alice()).await.unwrap();
        }
        assert_only_blob(&store, &whole).await;
    }
}
