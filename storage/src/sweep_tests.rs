//! Stories of the sweep: what it takes, and what it must leave, over a store in a folder and every database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::ailing_store::{AilingStore, Ailment};
use crate::digest::{Algorithm, Digest};
use crate::error::ErrorKind;
use crate::limits::Limits;
use crate::test_support::TestStore;
use bytes::Bytes;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

const HOUR: Duration = Duration::from_secs(3600);

/// Sets a file's time back by so much, or a little more.
fn age(path: &Path, by: Duration) {
    let modified = fs::metadata(path).unwrap().modified().unwrap() - by - Duration::from_secs(60);
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
}

fn alice() -> Arc<str> {
    "alice".into()
}

/// Alice's session in `acme/api`, with some bytes acknowledged.
async fn session(store: &TestStore) -> UploadId {
    let uploads = &store.stores.uploads;
    let id = uploads.begin(store.repository, alice(), Algorithm::Sha256).await.unwrap().id;
    let mut writing = uploads.open(id, store.repository, alice()).await.unwrap();
    writing.write(Bytes::from_static(b"some bytes")).await.unwrap();
    writing.park().await.unwrap();
    id
}

/// A file of an upload that no session names: what a crash leaves of a push of one request.
async fn orphan_upload(store: &TestStore) -> UploadId {
    let id = UploadId::random();
    let mut writer = store.stores.blobs.begin(id, Algorithm::Sha256).await.unwrap();
    writer.write(Bytes::from_static(b"some bytes")).await.unwrap();
    writer.park().await.unwrap();
    id
}

/// A file of a blob that no row names: what a crash leaves between the rename and the row.
async fn orphan_blob(store: &TestStore, content: &'static str) -> StorageKey {
    let mut writer = store.stores.blobs.begin(UploadId::random(), Algorithm::Sha256).await.unwrap();
    writer.write(Bytes::from_static(content.as_bytes())).await.unwrap();
    writer.commit(&Digest::sha256(content.as_bytes())).await.unwrap().key().clone()
}

/// A blob that Alice pushed to `acme/api`.
async fn pushed(store: &TestStore, content: &'static str) -> StorageKey {
    let uploads = &store.stores.uploads;
    let mut writing = uploads.single(store.repository, alice(), Algorithm::Sha256).await.unwrap();
    writing.write(Bytes::from_static(content.as_bytes())).await.unwrap();
    let digest = Digest::sha256(content.as_bytes());
    writing.finish(&digest).await.unwrap();
    store
        .stores
        .catalog
        .blob(store.repository, digest)
        .await
        .unwrap()
        .unwrap()
        .key
        .clone()
}

#[tokio::test]
async fn a_sweep_of_an_empty_store_removes_nothing() {
    for store in TestStore::all(&Limits::default()).await {
        assert_eq!(sweep(&store.stores, HOUR).await.unwrap(), Swept::default());
    }
}

#[tokio::test]
async fn expired_sessions_go_with_their_bytes_and_the_others_stay() {
    for store in TestStore::all(&Limits::default()).await {
        let (expired, open) = (session(&store).await, session(&store).await);
        store
            .database
            .execute(&format!("UPDATE upload SET expires_at = 1 WHERE id = '{expired}'"));
        // An open session keeps its file however old that is.
        age(&store.upload_path(open), HOUR);
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        let expected = Swept {
            expired_uploads: 1,
            ..Swept::default()
        };
        assert_eq!(swept, expected, "{}", store.database.name);
        assert_eq!(store.files().await.0, HashSet::from([open]));
        assert_eq!(store.database.count("upload"), 1);
        let status = store.stores.uploads.status(open, store.repository, alice()).await.unwrap();
        assert_eq!(status.offset, 10);
    }
}

#[tokio::test]
async fn one_sweep_takes_any_number_of_expired_sessions() {
    for store in TestStore::all(&Limits::default()).await {
        let with_bytes = session(&store).await;
        for _ in 0..BATCH * 2 {
            let uploads = &store.stores.uploads;
            uploads.begin(store.repository, alice(), Algorithm::Sha256).await.unwrap();
        }
        store.database.execute("UPDATE upload SET expires_at = 1");
        store
            .database
            .execute(&format!("UPDATE upload SET expires_at = 2 WHERE id = '{with_bytes}'"));
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        let expected = Swept {
            expired_uploads: BATCH as u64 * 2 + 1,
            ..Swept::default()
        };
        assert_eq!(swept, expected);
        assert_eq!(store.database.count("upload"), 0);
        assert_eq!(store.files().await, (HashSet::new(), HashSet::new()));
    }
}

#[tokio::test]
async fn orphans_of_uploads_go_once_they_are_old() {
    for store in TestStore::all(&Limits::default()).await {
        let (old, young, named) = (orphan_upload(&store).await, orphan_upload(&store).await, session(&store).await);
        age(&store.upload_path(old), HOUR);
        age(&store.upload_path(young), HOUR / 2);
        age(&store.upload_path(named), HOUR * 24);
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        let expected = Swept {
            orphan_uploads: 1,
            ..Swept::default()
        };
        assert_eq!(swept, expected, "{}", store.database.name);
        assert_eq!(store.files().await.0, HashSet::from([young, named]));
    }
}

#[tokio::test]
async fn orphans_of_blobs_go_once_they_are_old() {
    for store in TestStore::all(&Limits::default()).await {
        let (old, young) = (orphan_blob(&store, "old").await, orphan_blob(&store, "young").await);
        let named = pushed(&store, "named").await;
        age(&store.blob_path(&old), HOUR);
        age(&store.blob_path(&young), HOUR / 2);
        age(&store.blob_path(&named), HOUR * 24 * 365);
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        let expected = Swept {
            orphan_blobs: 1,
            ..Swept::default()
        };
        assert_eq!(swept, expected, "{}", store.database.name);
        assert_eq!(store.files().await.1, HashSet::from([young, named.clone()]));
        assert_eq!(fs::read(store.blob_path(&named)).unwrap(), b"named");
        assert_eq!(["blob", "repository_blob"].map(|table| store.database.count(table)), [1, 1]);
    }
}

#[tokio::test]
async fn a_second_copy_of_a_blob_goes_and_the_one_that_the_row_names_stays() {
    for store in TestStore::all(&Limits::default()).await {
        let (named, copy) = (pushed(&store, "content").await, orphan_blob(&store, "content").await);
        assert_eq!(named.digest(), copy.digest());
        for key in [&named, &copy] {
            age(&store.blob_path(key), HOUR);
        }
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        assert_eq!((swept.orphan_blobs, swept.orphan_uploads), (1, 0));
        assert_eq!(store.files().await.1, HashSet::from([named]));
    }
}

#[tokio::test]
async fn a_blob_that_is_being_deleted_is_left_to_those_who_delete_it() {
    for store in TestStore::all(&Limits::default()).await {
        let key = pushed(&store, "doomed").await;
        store.database.execute("UPDATE blob SET state = 'deleting'");
        age(&store.blob_path(&key), HOUR);
        assert_eq!(sweep(&store.stores, HOUR).await.unwrap(), Swept::default());
        assert_eq!(store.files().await.1, HashSet::from([key]));
    }
}

#[tokio::test]
async fn a_commit_of_an_upload_that_waited_long_is_safe_from_a_sweep_before_its_row() {
    for store in TestStore::all(&Limits::default()).await {
        let id = session(&store).await;
        age(&store.upload_path(id), HOUR * 24);
        // The bytes lie under their key, and the transaction that names them has not begun.
        let writer = store.stores.blobs.resume(id, Algorithm::Sha256, 10).await.unwrap();
        let blob = writer.commit(&Digest::sha256(b"some bytes")).await.unwrap();
        assert_eq!(sweep(&store.stores, HOUR).await.unwrap(), Swept::default());
        assert_eq!(fs::read(store.blob_path(blob.key())).unwrap(), b"some bytes");
    }
}

#[tokio::test]
async fn sweeping_more_orphans_than_one_batch_takes_all_of_them() {
    for store in TestStore::all(&Limits::default()).await {
        let named = session(&store).await;
        age(&store.upload_path(named), HOUR);
        for _ in 0..2100 {
            let path = store.upload_path(UploadId::random());
            fs::write(&path, "").unwrap();
            age(&path, HOUR);
        }
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        assert_eq!((swept.orphan_uploads, swept.orphan_blobs), (2100, 0));
        assert_eq!(store.files().await.0, HashSet::from([named]));
        assert_eq!(sweep(&store.stores, HOUR).await.unwrap(), Swept::default());
    }
}

#[tokio::test]
async fn files_of_others_stay_however_old_they_are() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = store.upload_path(UploadId::random());
        let file = uploads.with_file_name("notes.txt");
        fs::write(&file, "not ours").unwrap();
        // A folder with a name that an upload could have.
        fs::create_dir(&uploads).unwrap();
        for path in [&file, &uploads] {
            let long_ago = SystemTime::UNIX_EPOCH + HOUR;
            fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        let orphan = orphan_upload(&store).await;
        age(&store.upload_path(orphan), HOUR);
        let swept = sweep(&store.stores, HOUR).await.unwrap();
        assert_eq!((swept.orphan_uploads, swept.orphan_blobs), (1, 0));
        assert_eq!(fs::read_to_string(&file).unwrap(), "not ours");
        assert!(uploads.is_dir());
    }
}

/// The stores of a test, but for how they list what they hold.
fn ailing(store: &TestStore, ailment: Ailment) -> Stores {
    let healthy = store.stores.blobs.clone();
    let ailing = Arc::new(AilingStore { healthy, ailment });
    Stores::new(ailing, store.stores.catalog.clone(), Limits::default())
}

#[tokio::test]
async fn a_listing_that_fails_removes_nothing() {
    for at_once in [true, false] {
        for store in TestStore::all(&Limits::default()).await {
            let (upload, blob) = (orphan_upload(&store).await, orphan_blob(&store, "old").await);
            age(&store.upload_path(upload), HOUR);
            age(&store.blob_path(&blob), HOUR);
            let lists = if at_once { Ailment::ListsNot } else { Ailment::ListsNotToItsEnd };
            let stores = ailing(&store, lists);
            assert_eq!(sweep(&stores, HOUR).await.unwrap_err().kind(), ErrorKind::Internal);
            assert_eq!(store.files().await, (HashSet::from([upload]), HashSet::from([blob])));
        }
    }
}

#[tokio::test]
async fn a_catalog_that_fails_removes_nothing() {
    for table in ["upload", "blob"] {
        for store in TestStore::all(&Limits::default()).await {
            let (named, waiting) = (pushed(&store, "named").await, session(&store).await);
            age(&store.blob_path(&named), HOUR);
            age(&store.upload_path(waiting), HOUR);
            let before = store.files().await;
            // Gone once the expired sessions are done. Not to know of a row is no proof that there is none.
            let gone = store.database.statements(&format!("ALTER TABLE {table} RENAME TO broken"));
            let stores = ailing(&store, Ailment::ListsAfter(Box::new(gone)));
            assert_eq!(sweep(&stores, HOUR).await.unwrap_err().kind(), ErrorKind::Internal);
            assert_eq!(store.files().await, before, "{}", store.database.name);
            // Gone from the start.
            assert_eq!(sweep(&store.stores, HOUR).await.unwrap_err().kind(), ErrorKind::Internal);
            assert_eq!(store.files().await, before, "{}", store.database.name);
            store.database.execute(&format!("ALTER TABLE broken RENAME TO {table}"));
            assert_eq!(sweep(&store.stores, HOUR).await.unwrap(), Swept::default());
        }
    }
}
