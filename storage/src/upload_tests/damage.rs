//! Disks that are full or lose something, a catalog that fails, and clients that leave at the worst moment.

use super::*;
use crate::ailing_store::{AilingStore, Ailment};
use std::fs;
use std::os::unix::fs::symlink;

const FULL: (ErrorKind, What) = (ErrorKind::StorageFull, What::Storage);

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
async fn who_asks_where_a_session_stands_and_who_ends_it_need_no_room() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("all of it")).await;
        let ailment = Ailment::Free(Some(0));
        let healthy = store.stores.blobs.clone();
        let full = Arc::new(AilingStore { healthy, ailment });
        let uploads = Stores::new(full, store.stores.catalog.clone(), Limits::default()).uploads;
        assert_eq!(refusal(uploads.open(id, store.repository, alice()).await), FULL);
        let session = uploads.evict(id, store.repository, alice()).await.unwrap();
        assert_eq!(session.offset, 9);
        let writing = uploads.take_over(id, store.repository, alice()).await.unwrap();
        writing.finish(&Digest::sha256(b"all of it")).await.unwrap();
        assert_only_blob(&store, b"all of it").await;
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
