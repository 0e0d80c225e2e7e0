//! Stories of the upload engine, over a store in a folder and every database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::Stores;
use crate::ailing_store::{AilingStore, Ailment};
use crate::catalog::BlobView;
use crate::sweep::{Swept, sweep};
use crate::test_support::{TestStore, repository};
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

fn alice() -> Arc<str> {
    "alice".into()
}

fn bob() -> Arc<str> {
    "bob".into()
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
const FULL: (ErrorKind, What) = (ErrorKind::StorageFull, What::Storage);

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
async fn alice_pushes_a_blob_in_three_requests() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("one ")).await;
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 4);
        writing.write(bytes("two ")).await.unwrap();
        assert_eq!(writing.park().await.unwrap(), 8);
        let session = status(&store, id).await.unwrap();
        assert_eq!(
            (session.offset, session.repository, session.principal),
            (8, store.repository, alice())
        );
        assert_eq!(view(&store, b"one two ").await, None);
        let before = clock::now();
        let mut writing = open(&store, id).await;
        writing.write(bytes("three")).await.unwrap();
        assert_eq!(writing.finish(&Digest::sha256(b"one two three")).await.unwrap(), 13);
        assert_only_blob(&store, b"one two three").await;
        assert_eq!(refusal(status(&store, id).await), NO_SUCH_UPLOAD);
        let lease = view(&store, b"one two three").await.unwrap().lease_until;
        assert!(lease >= before + clock::millis(Limits::default().blob_lease));
    }
}

#[tokio::test]
async fn a_session_goes_on_from_what_was_acknowledged_when_the_client_hangs_up() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        for lost in [bytes("lost"), large(1)] {
            let mut writing = open(&store, id).await;
            writing.write(lost).await.unwrap();
            drop(writing);
            assert_eq!(status(&store, id).await.unwrap().offset, 5);
        }
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 5);
        writing.write(bytes("tail")).await.unwrap();
        writing.finish(&Digest::sha256(b"head tail")).await.unwrap();
        assert_only_blob(&store, b"head tail").await;
    }
}

#[tokio::test]
async fn a_request_that_gives_up_keeps_what_was_acknowledged_before_it() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        for lost in [bytes("lost"), large(1)] {
            let mut writing = open(&store, id).await;
            writing.write(lost).await.unwrap();
            writing.give_up().await.unwrap();
            assert_eq!(status(&store, id).await.unwrap().offset, 5);
        }
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 5);
        writing.write(bytes("tail")).await.unwrap();
        writing.finish(&Digest::sha256(b"head tail")).await.unwrap();
        assert_only_blob(&store, b"head tail").await;
    }
}

#[tokio::test]
async fn a_session_whose_first_request_brought_nothing_goes_on() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        assert_eq!(open(&store, id).await.park().await.unwrap(), 0);
        drop(open(&store, id).await);
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 0);
        writing.write(bytes("late")).await.unwrap();
        writing.finish(&Digest::sha256(b"late")).await.unwrap();
        assert_only_blob(&store, b"late").await;
    }
}

#[tokio::test]
async fn the_empty_blob_is_a_blob() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        assert_eq!(open(&store, id).await.finish(&Digest::sha256(b"")).await.unwrap(), 0);
        assert_only_blob(&store, b"").await;
    }
}

#[tokio::test]
async fn a_session_survives_a_restart_of_everything() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &large(1)).await;
        // In the middle of the next request the process dies.
        let mut writing = open(&store, id).await;
        writing.write(large(2)).await.unwrap();
        drop(writing);
        let TestStore { stores, .. } = &store;
        let restarted = store.another_process();
        assert_eq!(
            restarted.uploads.status(id, store.repository, alice()).await.unwrap().offset,
            2 * MIB as u64
        );
        let mut writing = loop {
            match restarted.uploads.open(id, store.repository, alice()).await {
                Ok(writing) => break writing,
                // Only here does the old process live on to finish its last write.
                Err(error) => assert_eq!((error.kind(), error.what()), TAKEN_OVER),
            }
        };
        assert_eq!(writing.offset(), 2 * MIB as u64);
        writing.write(bytes("tail")).await.unwrap();
        let content = [&large(1)[..], b"tail"].concat();
        writing.finish(&Digest::sha256(&content)).await.unwrap();
        assert_only_blob(&store, &content).await;
        assert_eq!(refusal(stores.uploads.status(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
    }
}

#[tokio::test]
async fn a_session_whose_acknowledged_bytes_were_lost_goes_on_from_what_is_left() {
    for store in TestStore::all(&Limits::default()).await {
        // A power cut takes what had not reached the disk.
        let id = parked(&store, &bytes("head, and more")).await;
        fs::OpenOptions::new()
            .write(true)
            .open(store.upload_path(id))
            .unwrap()
            .set_len(4)
            .unwrap();
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 4);
        writing.write(bytes(", again")).await.unwrap();
        assert_eq!(writing.park().await.unwrap(), 11);
        assert_eq!(status(&store, id).await.unwrap().offset, 11);
        // The next one takes the file itself: nothing is left to go on from, and the client is told to start again.
        fs::remove_file(store.upload_path(id)).unwrap();
        let opened = store.stores.uploads.open(id, store.repository, alice()).await;
        assert_eq!(refusal(opened), (ErrorKind::NotFound, What::Upload));
        assert_eq!(refusal(status(&store, id).await), (ErrorKind::NotFound, What::Upload));
        assert_eq!(store.database.count("upload"), 0);
    }
}

#[tokio::test]
async fn a_newer_request_takes_the_session_over_and_the_older_one_changes_nothing() {
    #[derive(Debug)]
    enum Ends {
        Park,
        Finish,
        FinishWrong,
        GiveUp,
        Drop,
    }
    for ends in [Ends::Park, Ends::Finish, Ends::FinishWrong, Ends::GiveUp, Ends::Drop] {
        for store in TestStore::all(&Limits::default()).await {
            let id = parked(&store, &bytes("head ")).await;
            let mut older = open(&store, id).await;
            older.write(bytes("of the older")).await.unwrap();
            let mut newer = open(&store, id).await;
            assert_eq!(newer.offset(), 5);
            newer.write(bytes("of the ")).await.unwrap();
            let refused = match ends {
                Ends::Park => Some(older.park().await.map(drop)),
                Ends::Finish => Some(older.finish(&Digest::sha256(b"head of the older")).await.map(drop)),
                Ends::FinishWrong => Some(older.finish(&Digest::sha256(b"something else")).await.map(drop)),
                Ends::GiveUp => {
                    let _ = older.give_up().await;
                    None
                }
                Ends::Drop => {
                    drop(older);
                    None
                }
            };
            if let Some(refused) = refused {
                assert_eq!(refusal(refused), TAKEN_OVER, "{ends:?}");
            }
            // The session is still there, and the newer one's.
            assert_eq!(status(&store, id).await.unwrap().offset, 5, "{ends:?}");
            newer.write(bytes("newer")).await.unwrap();
            assert_eq!(newer.park().await.unwrap(), 17, "{ends:?}");
            let last = open(&store, id).await;
            last.finish(&Digest::sha256(b"head of the newer")).await.unwrap();
            assert_only_blob(&store, b"head of the newer").await;
        }
    }
}

#[tokio::test]
async fn two_processes_never_mix_their_bytes_in_one_session() {
    for finishes in [false, true] {
        for store in TestStore::all(&Limits::default()).await {
            let id = parked(&store, &bytes("head ")).await;
            let mut older = open(&store, id).await;
            older.write(bytes("of the older")).await.unwrap();
            // The other process has the session from now on, though the file is still in the first one's hands.
            let other = store.another_process();
            assert_eq!(refusal(other.uploads.open(id, store.repository, alice()).await), TAKEN_OVER);
            if finishes {
                // Proved bytes count, whoever asked meanwhile.
                older.finish(&Digest::sha256(b"head of the older")).await.unwrap();
                let newer = other.uploads.open(id, store.repository, alice()).await;
                assert_eq!(refusal(newer), (ErrorKind::NotFound, What::Upload));
                assert_only_blob(&store, b"head of the older").await;
                continue;
            }
            assert_eq!(refusal(older.park().await), TAKEN_OVER);
            let mut newer = other.uploads.open(id, store.repository, alice()).await.unwrap();
            assert_eq!(newer.offset(), 5);
            newer.write(bytes("of the newer")).await.unwrap();
            newer.finish(&Digest::sha256(b"head of the newer")).await.unwrap();
            assert_only_blob(&store, b"head of the newer").await;
        }
    }
}

#[tokio::test]
async fn of_many_requests_on_one_session_just_one_completes_it() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        let content = |number: usize| format!("head of request {number} {}", "x".repeat(300 * 1024));
        let attempts = (0..32).map(|number| {
            let (store, content) = (&store, content(number));
            async move {
                let mut writing = store.stores.uploads.open(id, store.repository, alice()).await?;
                writing.write(Bytes::copy_from_slice(&content.as_bytes()[5..])).await?;
                writing.finish(&Digest::sha256(content.as_bytes())).await
            }
        });
        let ended = join_all(attempts).await;
        let winners: Vec<usize> = (0..32).filter(|number| ended[*number].is_ok()).collect();
        for error in ended.into_iter().filter_map(Result::err) {
            // Overtaken, too late, or from the start while the others' bytes were gone already.
            let told = (error.kind(), error.what());
            assert!([TAKEN_OVER, NO_SUCH_UPLOAD, WRONG_DIGEST].contains(&told), "{error:?}");
        }
        assert!(winners.len() <= 1, "{winners:?}");
        if let [winner] = winners[..] {
            assert_only_blob(&store, content(winner).as_bytes()).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_nobody_touched_expires_with_its_bytes() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("forgotten")).await;
        store.database.execute("UPDATE upload SET expires_at = 1");
        let swept = sweep(&store.stores, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(
            swept,
            Swept {
                expired_uploads: 1,
                ..Swept::default()
            }
        );
        assert_eq!(refusal(status(&store, id).await), NO_SUCH_UPLOAD);
        let uploads = &store.stores.uploads;
        assert_eq!(refusal(uploads.open(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
        assert_eq!(refusal(uploads.cancel(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
        assert_nothing_stored(&store).await;
    }
}

#[tokio::test]
async fn every_request_on_a_session_puts_its_expiry_off() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        let put_off = clock::now() + clock::millis(Limits::default().upload_expiry);
        assert!(status(&store, id).await.unwrap().expires_at + 60_000 > put_off);
        store.database.execute("UPDATE upload SET expires_at = 1");
        let writing = open(&store, id).await;
        assert!(status(&store, id).await.unwrap().expires_at >= put_off);
        store.database.execute("UPDATE upload SET expires_at = 1");
        writing.park().await.unwrap();
        assert!(status(&store, id).await.unwrap().expires_at >= put_off);
    }
}

#[tokio::test]
async fn a_session_that_expires_under_a_writer_leaves_nothing() {
    for finishes in [true, false] {
        for store in TestStore::all(&Limits::default()).await {
            let id = parked(&store, &bytes("head ")).await;
            let mut writing = open(&store, id).await;
            writing.write(bytes("tail")).await.unwrap();
            store.database.execute("UPDATE upload SET expires_at = 1");
            sweep(&store.stores, Duration::from_secs(3600)).await.unwrap();
            let ended = if finishes {
                writing.finish(&Digest::sha256(b"head tail")).await
            } else {
                writing.park().await
            };
            assert_eq!(refusal(ended), TAKEN_OVER);
            assert_nothing_stored(&store).await;
        }
    }
}

#[tokio::test]
async fn a_principal_with_too_many_sessions_is_told_to_finish_some() {
    let limits = Limits {
        uploads_per_principal: 2,
        ..Limits::default()
    };
    for store in TestStore::all(&limits).await {
        let uploads = &store.stores.uploads;
        let other = repository(&store.stores, "acme/web").await;
        let first = begun(&store).await;
        uploads.begin(other, alice(), Algorithm::Sha256).await.unwrap();
        for repository in [store.repository, other] {
            let refused = uploads.begin(repository, alice(), Algorithm::Sha256).await;
            assert_eq!(refusal(refused), (ErrorKind::TooManyRequests, What::Upload));
        }
        assert_eq!(store.database.count("upload"), 2);
        // Somebody else's business is not hers.
        uploads.begin(store.repository, bob(), Algorithm::Sha256).await.unwrap();
        // Neither does it stop a push of one request.
        push(&store.stores, store.repository, &bytes("small")).await.unwrap();
        uploads.cancel(first, store.repository, alice()).await.unwrap();
        begun(&store).await;
    }
}

#[tokio::test]
async fn nothing_is_begun_when_less_than_the_reserve_is_free() {
    let limits = Limits {
        storage_reserve: 1000,
        ..Limits::default()
    };
    for store in TestStore::all(&limits).await {
        let disk = store.stores.blobs.clone();
        let cramped = |free| {
            let disk = disk.clone();
            Stores::new(
                Arc::new(AilingStore {
                    healthy: disk,
                    ailment: Ailment::Free(free),
                }),
                store.stores.catalog.clone(),
                limits.clone(),
            )
            .uploads
        };
        for free in [0, 999] {
            let uploads = cramped(Some(free));
            let session = uploads.begin(store.repository, alice(), Algorithm::Sha256).await;
            assert_eq!(refusal(session), FULL);
            let single = uploads.single(store.repository, alice(), Algorithm::Sha256).await;
            assert_eq!(refusal(single), FULL);
        }
        assert_nothing_stored(&store).await;
        // Just enough, and a store that cannot tell.
        for free in [Some(1000), None] {
            let uploads = cramped(free);
            uploads.begin(store.repository, alice(), Algorithm::Sha256).await.unwrap();
            uploads.single(store.repository, alice(), Algorithm::Sha256).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_session_goes_on_after_the_disk_was_full() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        let aside = store.upload_path(UploadId::random());
        fs::rename(store.upload_path(id), &aside).unwrap();
        symlink("/dev/full", store.upload_path(id)).unwrap();
        let mut writing = loop {
            match store.stores.uploads.open(id, store.repository, alice()).await {
                Ok(writing) => break writing,
                // The device is one for all, and a test beside this one has it just now.
                Err(error) => assert_eq!((error.kind(), error.what()), TAKEN_OVER),
            }
        };
        let mut told = Ok(());
        for _ in 0..4 {
            told = writing.write(large(1)).await;
            if told.is_err() {
                break;
            }
        }
        assert_eq!(refusal(told), FULL);
        // The request ends with what the disk said and with no other error.
        writing.give_up().await.unwrap();
        fs::rename(&aside, store.upload_path(id)).unwrap();
        assert_eq!(status(&store, id).await.unwrap().offset, 5);
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 5);
        writing.write(bytes("tail")).await.unwrap();
        writing.finish(&Digest::sha256(b"head tail")).await.unwrap();
        assert_only_blob(&store, b"head tail").await;
    }
}

#[tokio::test]
async fn a_blob_over_the_limit_is_refused_before_it_is_written() {
    let limits = Limits {
        blob_bytes: 10,
        ..Limits::default()
    };
    let too_large = (ErrorKind::TooLarge, What::Blob);
    for store in TestStore::all(&limits).await {
        let uploads = &store.stores.uploads;
        let mut single = uploads.single(store.repository, alice(), Algorithm::Sha256).await.unwrap();
        assert_eq!(refusal(single.write(bytes("eleven byte")).await), too_large);
        single.give_up().await.unwrap();
        assert_nothing_stored(&store).await;
        // In a session the requests count together.
        let id = parked(&store, &bytes("six by")).await;
        let mut writing = open(&store, id).await;
        assert_eq!(refusal(writing.write(bytes("tes, 5")).await), too_large);
        writing.give_up().await.unwrap();
        assert_eq!(status(&store, id).await.unwrap().offset, 6);
        // The limit itself is allowed.
        let mut writing = open(&store, id).await;
        writing.write(bytes("tes4")).await.unwrap();
        writing.finish(&Digest::sha256(b"six bytes4")).await.unwrap();
        assert_only_blob(&store, b"six bytes4").await;
    }
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
async fn a_session_is_of_one_principal_and_one_repository_and_nobody_else_learns_of_it() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let other = repository(&store.stores, "acme/web").await;
        let id = parked(&store, &bytes("hers")).await;
        let before = status(&store, id).await.unwrap();
        for (id, repository, by) in [
            (id, store.repository, bob()),
            (id, other, alice()),
            (id, other, bob()),
            (UploadId::random(), store.repository, alice()),
        ] {
            assert_eq!(refusal(uploads.status(id, repository, by.clone()).await), NO_SUCH_UPLOAD);
            assert_eq!(refusal(uploads.open(id, repository, by.clone()).await), NO_SUCH_UPLOAD);
            assert_eq!(refusal(uploads.cancel(id, repository, by).await), NO_SUCH_UPLOAD);
        }
        // None of them took it over or touched its bytes.
        assert_eq!(status(&store, id).await.unwrap(), before);
        let writing = open(&store, id).await;
        writing.finish(&Digest::sha256(b"hers")).await.unwrap();
        assert_only_blob(&store, b"hers").await;
        assert_eq!(store.stores.catalog.blob(other, Digest::sha256(b"hers")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_cancelled_session_leaves_nothing_even_under_a_writer() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let waiting = parked(&store, &large(1)).await;
        uploads.cancel(waiting, store.repository, alice()).await.unwrap();
        assert_eq!(refusal(status(&store, waiting).await), NO_SUCH_UPLOAD);
        assert_nothing_stored(&store).await;
        let id = parked(&store, &large(1)).await;
        let mut writing = open(&store, id).await;
        writing.write(large(2)).await.unwrap();
        uploads.cancel(id, store.repository, alice()).await.unwrap();
        let content = [&large(1)[..], &large(2)].concat();
        assert_eq!(refusal(writing.finish(&Digest::sha256(&content)).await), TAKEN_OVER);
        assert_eq!(refusal(uploads.cancel(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
        assert_nothing_stored(&store).await;
    }
}

#[tokio::test]
async fn a_push_of_one_request_leaves_no_session_and_a_broken_one_leaves_nothing() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        for gives_up in [true, false] {
            let mut writing = uploads.single(store.repository, alice(), Algorithm::Sha256).await.unwrap();
            writing.write(large(1)).await.unwrap();
            if gives_up {
                writing.give_up().await.unwrap();
            } else {
                // There is no session to acknowledge anything in.
                assert_eq!(writing.park().await.unwrap(), 0);
            }
            assert_nothing_stored(&store).await;
        }
        assert_eq!(push(&store.stores, store.repository, &large(1)).await.unwrap(), 2 * MIB as u64);
        assert_only_blob(&store, &large(1)).await;
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
async fn a_blob_that_is_there_already_keeps_its_one_file() {
    for store in TestStore::all(&Limits::default()).await {
        let other = repository(&store.stores, "acme/web").await;
        push(&store.stores, store.repository, &bytes("shared")).await.unwrap();
        let first = view(&store, b"shared").await.unwrap();
        // Into the same repository, into another one, and by way of a session.
        push(&store.stores, store.repository, &bytes("shared")).await.unwrap();
        push(&store.stores, other, &bytes("shared")).await.unwrap();
        let id = parked(&store, &bytes("shared")).await;
        open(&store, id).await.finish(&Digest::sha256(b"shared")).await.unwrap();
        let name = store.database.name;
        assert_eq!(store.files().await, (HashSet::new(), HashSet::from([first.key.clone()])), "{name}");
        assert_eq!(view(&store, b"shared").await.unwrap().key, first.key, "{name}");
        let there = store.stores.catalog.blob(other, Digest::sha256(b"shared")).await.unwrap().unwrap();
        assert_eq!(there.key, first.key, "{name}");
        let rows = ["blob", "repository_blob", "upload"].map(|table| store.database.count(table));
        assert_eq!(rows, [1, 2, 0], "{name}");
    }
}

#[tokio::test]
async fn a_blob_on_its_way_out_is_replaced_under_a_new_key() {
    for store in TestStore::all(&Limits::default()).await {
        push(&store.stores, store.repository, &bytes("doomed")).await.unwrap();
        let doomed = view(&store, b"doomed").await.unwrap();
        store.database.execute("UPDATE blob SET state = 'deleting'");
        assert_eq!(view(&store, b"doomed").await, None);
        push(&store.stores, store.repository, &bytes("doomed")).await.unwrap();
        let saved = view(&store, b"doomed").await.unwrap();
        assert_ne!(saved.key, doomed.key);
        // Whoever was about to delete the old bytes does so by their own key.
        assert_eq!(store.files().await.1, HashSet::from([saved.key.clone(), doomed.key.clone()]));
        store.stores.blobs.delete(&doomed.key).await.unwrap();
        assert_eq!(fs::read(store.blob_path(&saved.key)).unwrap(), b"doomed");
        assert_eq!(store.database.count("blob"), 1);
    }
}

#[tokio::test]
async fn sixty_four_pushers_of_one_blob_all_succeed_and_leave_one_file_and_one_row() {
    for store in TestStore::all(&Limits::default()).await {
        let content: Bytes = vec![7; 300 * 1024].into();
        let pushers = (0..64).map(|number| {
            let (store, content) = (&store, content.clone());
            async move {
                // Half of them in one request, half by way of a session.
                if number % 2 == 0 {
                    return push(&store.stores, store.repository, &content).await;
                }
                let id = parked(store, &content.slice(..1000)).await;
                let mut writing = open(store, id).await;
                writing.write(content.slice(1000..)).await?;
                writing.finish(&Digest::sha256(&content)).await
            }
        });
        for pushed in join_all(pushers).await {
            assert_eq!(pushed.unwrap(), content.len() as u64, "{}", store.database.name);
        }
        let key = view(&store, &content).await.unwrap().key.clone();
        assert_eq!(fs::read(store.blob_path(&key)).unwrap(), content);
        assert_eq!(store.files().await, (HashSet::new(), HashSet::from([key])));
        let rows = ["upload", "blob", "repository_blob"].map(|table| store.database.count(table));
        assert_eq!(rows, [0, 1, 1], "{}", store.database.name);
    }
}

#[tokio::test]
async fn a_catalog_that_fails_at_the_commit_names_nothing_and_the_next_push_succeeds() {
    for store in TestStore::all(&Limits::default()).await {
        store.database.execute("ALTER TABLE repository_blob RENAME TO broken");
        let failed = push(&store.stores, store.repository, &bytes("some bytes")).await;
        assert_eq!(refusal(failed).0, ErrorKind::Internal);
        store.database.execute("ALTER TABLE broken RENAME TO repository_blob");
        // Whether such a commit took place is not always known, so the file stays for the sweep to judge.
        let (uploads, orphans) = store.files().await;
        assert_eq!((uploads.len(), orphans.len()), (0, 1));
        assert_eq!(["blob", "repository_blob"].map(|table| store.database.count(table)), [0, 0]);
        assert_eq!(view(&store, b"some bytes").await, None);
        push(&store.stores, store.repository, &bytes("some bytes")).await.unwrap();
        let key = view(&store, b"some bytes").await.unwrap().key.clone();
        assert!(!orphans.contains(&key));
        assert_eq!(fs::read(store.blob_path(&key)).unwrap(), b"some bytes");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_commit_finds_its_blob_there() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &large(1)).await;
        let digest = Digest::sha256(&large(1));
        let commit = open(&store, id).await.finish(&digest);
        tokio::select! {
            biased;
            _ = commit => {}
            // Polled once, so that the work has begun, and dropped.
            () = std::future::ready(()) => {}
        }
        // The next request waits for the work that goes on without its client, and hears what came of it.
        let uploads = &store.stores.uploads;
        let opened = uploads.open(id, store.repository, alice()).await;
        assert_eq!(refusal(opened), (ErrorKind::NotFound, What::Upload));
        assert_eq!(uploads.finished(id, store.repository, &alice()), Some(digest));
        assert_eq!(uploads.finished(id, store.repository, "bob"), None);
        let key = view(&store, &large(1)).await.unwrap().key.clone();
        assert!(fs::read(store.blob_path(&key)).unwrap() == large(1));
        assert_eq!((store.database.count("blob"), store.database.count("upload")), (1, 0));
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
