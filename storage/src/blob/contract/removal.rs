//! What is thrown away is gone, throwing it away twice is fine, and the listing tells what is left.

use super::*;
use crate::clock;

on_every_store![
    an_aborted_upload_leaves_nothing,
    discarding_an_upload_twice_or_one_that_never_was_is_fine,
    deleting_a_blob_twice_or_one_that_never_was_is_fine,
    what_is_removed_takes_nothing_else_with_it,
    a_listing_names_every_upload_and_blob_once_with_its_time,
    an_empty_store_lists_nothing,
];

async fn an_aborted_upload_leaves_nothing(store: &dyn BlobStore) {
    for size in [0, 100, 2 * MIB] {
        let (id, mut writer) = begin(store).await;
        writer.write(noise(1, size)).await.unwrap();
        writer.abort().await.unwrap();
        assert_empty(store).await;
        // The same for an upload that had waited.
        let id_of_parked = parked(store, &noise(1, 100)).await;
        let mut writer = resume(store, id_of_parked, 100).await;
        writer.write(noise(1, size)).await.unwrap();
        writer.abort().await.unwrap();
        assert_empty(store).await;
        for id in [id, id_of_parked] {
            assert_eq!(refusal(store.resume(id, Algorithm::Sha256, 0).await), NO_SUCH_UPLOAD);
        }
    }
}

async fn discarding_an_upload_twice_or_one_that_never_was_is_fine(store: &dyn BlobStore) {
    let id = parked(store, &noise(1, 2 * MIB)).await;
    for id in [id, id, UploadId::random()] {
        store.discard(id).await.unwrap();
    }
    assert_empty(store).await;
}

async fn deleting_a_blob_twice_or_one_that_never_was_is_fine(store: &dyn BlobStore) {
    let blob = put(store, &noise(1, 10)).await;
    let absent = StorageKey::new(&Digest::sha256(b"never stored"), &UploadId::random());
    for key in [blob.key(), blob.key(), &absent] {
        store.delete(key).await.unwrap();
    }
    assert_empty(store).await;
    assert_eq!(store.size(blob.key()).await.unwrap(), None);
    assert_eq!(refusal(store.read(blob.blob(), 0..10).await).0, ErrorKind::Corrupt);
}

async fn what_is_removed_takes_nothing_else_with_it(store: &dyn BlobStore) {
    let (kept, dropped) = (put(store, &noise(1, 10)).await, put(store, &noise(2, 10)).await);
    let (waiting, discarded) = (parked(store, &noise(3, 10)).await, parked(store, &noise(4, 10)).await);
    store.delete(dropped.key()).await.unwrap();
    store.discard(discarded).await.unwrap();
    // A blob is not reached through the upload that brought it.
    let (id, mut writer) = begin(store).await;
    writer.write(noise(5, 10)).await.unwrap();
    let late = writer.commit(&Digest::sha256(&noise(5, 10))).await.unwrap();
    store.discard(id).await.unwrap();
    let held = files(store).await;
    assert_eq!(held.uploads, HashSet::from([waiting]));
    assert_eq!(held.blobs, HashSet::from([kept.key().clone(), late.key().clone()]));
    assert_eq!(whole(store, &kept).await, noise(1, 10));
    assert_eq!(whole(store, &late).await, noise(5, 10));
}

async fn a_listing_names_every_upload_and_blob_once_with_its_time(store: &dyn BlobStore) {
    // Generous, since file systems keep their own clock: this tells milliseconds from seconds and now from never.
    let (earliest, latest) = (clock::now() - 60_000, clock::now() + 3_600_000);
    let mut expected = Files::default();
    for seed in 0..20 {
        expected.blobs.insert(put(store, &noise(seed, 10)).await.key().clone());
        expected.uploads.insert(parked(store, &noise(seed, 10)).await);
    }
    let mut writer = store.begin(UploadId::random(), Algorithm::Sha512).await.unwrap();
    writer.write(noise(1, 10)).await.unwrap();
    let blob = writer.commit(&Digest::of(Algorithm::Sha512, &noise(1, 10))).await.unwrap();
    expected.blobs.insert(blob.key().clone());
    assert_eq!(files(store).await, expected);

    let mut listing = store.list().await.unwrap();
    while let Some(batch) = listing.next().await {
        for file in batch.unwrap() {
            let (Stored::Upload { modified, .. } | Stored::Blob { modified, .. }) = file;
            assert!((earliest..latest).contains(&modified), "{file:?}");
        }
    }
}

async fn an_empty_store_lists_nothing(store: &dyn BlobStore) {
    let batches: Vec<Vec<Stored>> = store.list().await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches.concat(), []);
}
