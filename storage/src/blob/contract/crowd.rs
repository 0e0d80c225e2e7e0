//! Many at once: none disturbs another.

use super::*;
use futures_util::future::join_all;

on_every_store![
    commits_of_the_same_content_at_once_all_succeed,
    commits_of_different_content_at_once_keep_each_its_own,
    writers_that_fight_for_one_upload_never_mix_their_bytes,
];

const CROWD: u64 = 64;

async fn commits_of_the_same_content_at_once_all_succeed(store: &dyn BlobStore) {
    let bytes = noise(1, 300 * KIB);
    let blobs = join_all((0..CROWD).map(|_| put(store, &bytes))).await;
    let keys: HashSet<StorageKey> = blobs.iter().map(|blob| blob.key().clone()).collect();
    assert_eq!(keys.len() as u64, CROWD);
    let held = files(store).await;
    assert_eq!((held.uploads.len(), held.blobs), (0, keys));
    for blob in &blobs {
        assert!(whole(store, blob).await == bytes);
    }
}

async fn commits_of_different_content_at_once_keep_each_its_own(store: &dyn BlobStore) {
    // From a few bytes to more than a piece.
    let content = |seed: u64| noise(seed, usize::try_from(seed * seed * seed * 5).unwrap());
    let blobs = join_all((0..CROWD).map(|seed| async move { put(store, &content(seed)).await })).await;
    for (seed, blob) in (0..CROWD).zip(&blobs) {
        assert!(whole(store, blob).await == content(seed), "the bytes of writer {seed}");
    }
    let held = files(store).await;
    assert_eq!((held.uploads.len(), held.blobs.len() as u64), (0, CROWD));
}

async fn writers_that_fight_for_one_upload_never_mix_their_bytes(store: &dyn BlobStore) {
    // Once with bytes that take their time, then with so few that one writer completes what another is just opening.
    fight(store, 300 * KIB).await;
    for _ in 0..20 {
        fight(store, 10).await;
    }
}

/// Everybody adds `size` bytes of his own to one upload and completes it; who did has exactly that blob.
async fn fight(store: &dyn BlobStore, size: usize) {
    let head = noise(1, 1000);
    let id = parked(store, &head).await;
    let content = |seed: u64| joined(&[&head, &noise(100 + seed, size)]);
    let fights = (0..CROWD).map(|seed| {
        let own = content(seed);
        async move {
            let mut writer = store.resume(id, Algorithm::Sha256, 1000).await?;
            for start in (1000..own.len()).step_by(100 * KIB) {
                writer.write(own.slice(start..own.len().min(start + 100 * KIB))).await?;
            }
            writer.commit(&Digest::sha256(&own)).await
        }
    });
    let ended = join_all(fights).await;
    let mut winners = Vec::new();
    for (seed, result) in (0..CROWD).zip(ended) {
        match result {
            Ok(blob) => winners.push((seed, blob)),
            // Overtaken, or too late.
            Err(error) => assert!(
                [TAKEN_OVER, NO_SUCH_UPLOAD].contains(&(error.kind(), error.what())),
                "writer {seed}: {error:?}"
            ),
        }
    }
    // An upload is completed once.
    assert_eq!(winners.len(), 1);
    let (seed, blob) = &winners[0];
    assert!(whole(store, blob).await == content(*seed));
    let held = files(store).await;
    assert_eq!((held.uploads.len(), held.blobs), (0, HashSet::from([blob.key().clone()])));
    store.delete(blob.key()).await.unwrap();
}
