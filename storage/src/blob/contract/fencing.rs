//! Of two writers on one upload the newer one has it, and nothing of the older one gets into the blob.

use super::*;

on_every_store![
    an_older_writer_can_not_write_once_a_newer_one_has_the_upload,
    an_older_writer_can_not_park_once_a_newer_one_has_the_upload,
    an_older_writer_can_not_commit_once_a_newer_one_has_the_upload,
    an_older_writer_that_gives_up_leaves_the_newer_ones_bytes_alone,
    an_older_writer_that_is_dropped_leaves_the_newer_ones_bytes_alone,
    only_the_newest_of_many_writers_has_the_upload,
    a_writer_whose_upload_was_discarded_can_not_go_on,
    a_writer_that_is_fenced_can_not_go_on_and_leaves_what_was_acknowledged,
];

const HEAD: &[u8] = b"acknowledged, ";
const TAIL: &[u8] = b"and the newer one's";

/// An upload that stands behind [`HEAD`], with an older writer that has gone on by `size` bytes and a newer one that has not.
async fn two_writers(store: &dyn BlobStore, size: usize) -> (Box<dyn BlobWriter>, Box<dyn BlobWriter>) {
    let id = parked(store, HEAD).await;
    let mut older = resume(store, id, HEAD.len()).await;
    older.write(noise(1, size)).await.unwrap();
    let newer = resume(store, id, HEAD.len()).await;
    assert_eq!(newer.offset(), HEAD.len() as u64);
    (older, newer)
}

/// The newer writer completes the upload, which is its own bytes behind the acknowledged ones and nothing else.
async fn completes(store: &dyn BlobStore, mut newer: Box<dyn BlobWriter>) {
    newer.write(Bytes::from_static(TAIL)).await.unwrap();
    let bytes = joined(&[HEAD, TAIL]);
    let blob = newer.commit(&Digest::sha256(&bytes)).await.unwrap();
    assert_eq!(blob.size(), bytes.len() as u64);
    assert_eq!(whole(store, &blob).await, bytes);
    let held = files(store).await;
    assert_eq!((held.uploads.len(), held.blobs), (0, HashSet::from([blob.key().clone()])));
    // One blob for each case: the next one starts from an empty store.
    store.delete(blob.key()).await.unwrap();
}

/// What the older writer had taken in when it was overtaken: nothing, what fits into memory, more than that.
const PROGRESS: [usize; 3] = [0, 100, 2 * MIB];

async fn an_older_writer_can_not_write_once_a_newer_one_has_the_upload(store: &dyn BlobStore) {
    for size in PROGRESS {
        let (mut older, newer) = two_writers(store, size).await;
        // A write may be taken in before the store is asked; it can not go on for long.
        let mut refused = Ok(());
        for _ in 0..4 {
            refused = older.write(noise(3, MIB)).await;
            if refused.is_err() {
                break;
            }
        }
        assert_eq!(refusal(refused), TAKEN_OVER);
        assert!(older.write(noise(3, MIB)).await.is_err(), "a writer that has failed is of no use");
        assert!(older.park().await.is_err(), "a writer that has failed is of no use");
        completes(store, newer).await;
    }
}

async fn an_older_writer_can_not_park_once_a_newer_one_has_the_upload(store: &dyn BlobStore) {
    for size in PROGRESS {
        let (older, newer) = two_writers(store, size).await;
        assert_eq!(refusal(older.park().await), TAKEN_OVER);
        completes(store, newer).await;
    }
}

async fn an_older_writer_can_not_commit_once_a_newer_one_has_the_upload(store: &dyn BlobStore) {
    for size in PROGRESS {
        let (older, mut newer) = two_writers(store, size).await;
        newer.write(Bytes::new()).await.unwrap();
        let own = Digest::sha256(&joined(&[HEAD, &noise(1, size)]));
        assert_eq!(refusal(older.commit(&own).await), TAKEN_OVER);
        assert_eq!(files(store).await.blobs, HashSet::new());
        completes(store, newer).await;
    }
}

async fn an_older_writer_that_gives_up_leaves_the_newer_ones_bytes_alone(store: &dyn BlobStore) {
    for size in PROGRESS {
        let (older, newer) = two_writers(store, size).await;
        let _ = older.abort().await;
        completes(store, newer).await;
    }
}

async fn an_older_writer_that_is_dropped_leaves_the_newer_ones_bytes_alone(store: &dyn BlobStore) {
    for size in PROGRESS {
        let (older, newer) = two_writers(store, size).await;
        drop(older);
        completes(store, newer).await;
    }
}

async fn only_the_newest_of_many_writers_has_the_upload(store: &dyn BlobStore) {
    let id = parked(store, HEAD).await;
    let mut older = Vec::new();
    for seed in 0..8 {
        let mut writer = resume(store, id, HEAD.len()).await;
        writer.write(noise(seed, 300 * KIB)).await.unwrap();
        older.push(writer);
    }
    let newest = resume(store, id, HEAD.len()).await;
    for writer in older {
        assert_eq!(refusal(writer.park().await), TAKEN_OVER);
    }
    completes(store, newest).await;
}

async fn a_writer_whose_upload_was_discarded_can_not_go_on(store: &dyn BlobStore) {
    for size in PROGRESS {
        for commits in [true, false] {
            let id = parked(store, HEAD).await;
            let mut writer = resume(store, id, HEAD.len()).await;
            writer.write(noise(1, size)).await.unwrap();
            store.discard(id).await.unwrap();
            let digest = Digest::sha256(&joined(&[HEAD, &noise(1, size)]));
            let ended = if commits {
                writer.commit(&digest).await.map(drop)
            } else {
                writer.park().await.map(drop)
            };
            assert_eq!(refusal(ended), TAKEN_OVER);
            assert_empty(store).await;
        }
    }
}

async fn a_writer_that_is_fenced_can_not_go_on_and_leaves_what_was_acknowledged(store: &dyn BlobStore) {
    for size in PROGRESS {
        let id = parked(store, HEAD).await;
        let mut older = resume(store, id, HEAD.len()).await;
        older.write(noise(1, size)).await.unwrap();
        store.fence(id).await.unwrap();
        assert_eq!(refusal(older.park().await), TAKEN_OVER);
        // Nobody has it, and there is nothing to stop.
        store.fence(id).await.unwrap();
        assert!(store.upload_size(id).await.unwrap().unwrap() >= HEAD.len() as u64);
        completes(store, resume(store, id, HEAD.len()).await).await;
    }
    store.fence(UploadId::random()).await.unwrap();
}
