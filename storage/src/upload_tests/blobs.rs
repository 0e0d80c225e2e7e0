//! What a finished upload leaves: one blob with one file, whoever brought it and how often.

use super::*;
use crate::test_support::repository;
use futures_util::future::join_all;
use std::fs;

#[tokio::test]
async fn the_empty_blob_is_a_blob() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        assert_eq!(open(&store, id).await.finish(&Digest::sha256(b"")).await.unwrap(), 0);
        assert_only_blob(&store, b"").await;
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
