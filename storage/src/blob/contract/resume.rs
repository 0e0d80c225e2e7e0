//! An upload waits between two requests and goes on where it was acknowledged, not a byte further.

use super::*;
use crate::sums::FileSums;

on_every_store![
    a_parked_upload_goes_on_where_it_stood,
    a_parked_upload_can_be_completed_without_another_byte,
    an_upload_in_many_requests_is_the_sum_of_them,
    bytes_behind_the_offset_are_cut_off,
    bytes_that_were_never_acknowledged_are_dropped,
    an_upload_can_start_over_from_nothing,
    a_writer_stands_at_what_is_left_when_that_is_less_than_was_acknowledged,
    an_upload_that_was_never_begun_is_not_found,
    an_upload_that_has_ended_is_not_found,
    a_parked_upload_of_nothing_leaves_nothing,
    what_a_parked_upload_holds_can_be_read,
    what_an_upload_became_is_found_and_proved_again_under_another_key,
];

async fn a_parked_upload_goes_on_where_it_stood(store: &dyn BlobStore) {
    for (first, second) in [(1, 1), (1000, 2000), (256 * KIB, 256 * KIB), (MIB + 1, 2 * MIB), (3 * MIB, 1)] {
        let (head, tail) = (noise(1, first), noise(2, second));
        let id = parked(store, &head).await;
        assert_eq!(files(store).await.uploads, HashSet::from([id]));
        let mut writer = resume(store, id, first).await;
        assert_eq!(writer.offset(), first as u64);
        writer.write(tail.clone()).await.unwrap();
        let bytes = joined(&[&head, &tail]);
        let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert_eq!(blob.size(), bytes.len() as u64);
        assert!(whole(store, &blob).await == bytes);
        assert_eq!(files(store).await.uploads, HashSet::new());
    }
}

async fn a_parked_upload_can_be_completed_without_another_byte(store: &dyn BlobStore) {
    for size in [1, 256 * KIB, 2 * MIB] {
        let bytes = noise(1, size);
        let id = parked(store, &bytes).await;
        let blob = resume(store, id, size).await.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert!(whole(store, &blob).await == bytes);
    }
}

async fn an_upload_in_many_requests_is_the_sum_of_them(store: &dyn BlobStore) {
    let bytes = noise(1, 20 * 70_001);
    let id = parked(store, &bytes[..70_001]).await;
    for request in 1..20 {
        let start = request * 70_001;
        let mut writer = resume(store, id, start).await;
        writer.write(bytes.slice(start..start + 70_001)).await.unwrap();
        assert_eq!(writer.park().await.unwrap(), (start + 70_001) as u64);
    }
    let writer = resume(store, id, bytes.len()).await;
    let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
    assert!(whole(store, &blob).await == bytes);
}

async fn bytes_behind_the_offset_are_cut_off(store: &dyn BlobStore) {
    for (held, offset) in [(10, 9), (10, 1), (2 * MIB, MIB + 5), (2 * MIB, 2 * MIB - 1)] {
        let id = parked(store, &noise(1, held)).await;
        let mut writer = resume(store, id, offset).await;
        assert_eq!(writer.offset(), offset as u64);
        writer.write(Bytes::from_static(b"end")).await.unwrap();
        let bytes = joined(&[&noise(1, held)[..offset], b"end"]);
        let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert!(whole(store, &blob).await == bytes);
    }
}

async fn bytes_that_were_never_acknowledged_are_dropped(store: &dyn BlobStore) {
    // A few bytes are still in memory when the client hangs up, a lot have reached the store.
    for unacknowledged in [1, 256 * KIB, 3 * MIB] {
        let head = noise(1, 1000);
        let id = parked(store, &head).await;
        let mut writer = resume(store, id, 1000).await;
        writer.write(noise(2, unacknowledged)).await.unwrap();
        drop(writer);
        let mut writer = resume(store, id, 1000).await;
        assert_eq!(writer.offset(), 1000);
        writer.write(noise(3, 500)).await.unwrap();
        let bytes = joined(&[&head, &noise(3, 500)]);
        let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert!(whole(store, &blob).await == bytes);
    }
}

async fn an_upload_can_start_over_from_nothing(store: &dyn BlobStore) {
    let id = parked(store, &noise(1, 2 * MIB)).await;
    let mut writer = resume(store, id, 0).await;
    assert_eq!(writer.offset(), 0);
    writer.write(noise(2, 100)).await.unwrap();
    let blob = writer.commit(&Digest::sha256(&noise(2, 100))).await.unwrap();
    assert_eq!(whole(store, &blob).await, noise(2, 100));
}

async fn a_writer_stands_at_what_is_left_when_that_is_less_than_was_acknowledged(store: &dyn BlobStore) {
    let id = parked(store, &noise(1, 1000)).await;
    let mut writer = resume(store, id, 5000).await;
    assert_eq!(writer.offset(), 1000);
    writer.write(noise(2, 1)).await.unwrap();
    let bytes = joined(&[&noise(1, 1000), &noise(2, 1)]);
    let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
    assert_eq!(whole(store, &blob).await, bytes);
}

async fn an_upload_that_was_never_begun_is_not_found(store: &dyn BlobStore) {
    parked(store, b"of somebody else").await;
    let before = files(store).await;
    for offset in [0, 10] {
        let ended = store.resume(UploadId::random(), Algorithm::Sha256, offset).await;
        assert_eq!(refusal(ended), NO_SUCH_UPLOAD);
    }
    assert_eq!(files(store).await, before);
}

async fn an_upload_that_has_ended_is_not_found(store: &dyn BlobStore) {
    let bytes = noise(1, 300 * KIB);
    let ids: [UploadId; 4] = [
        parked(store, &bytes).await,
        parked(store, &bytes).await,
        parked(store, &bytes).await,
        parked(store, &bytes).await,
    ];
    let size = bytes.len();
    resume(store, ids[0], size).await.commit(&Digest::sha256(&bytes)).await.unwrap();
    let wrong = resume(store, ids[1], size).await.commit(&Digest::sha256(b"")).await;
    assert_eq!(refusal(wrong), WRONG_DIGEST);
    resume(store, ids[2], size).await.abort().await.unwrap();
    store.discard(ids[3]).await.unwrap();
    for id in ids {
        assert_eq!(refusal(store.resume(id, Algorithm::Sha256, 0).await), NO_SUCH_UPLOAD);
    }
}

async fn a_parked_upload_of_nothing_leaves_nothing(store: &dyn BlobStore) {
    let (id, writer) = begin(store).await;
    assert_eq!(writer.park().await.unwrap(), 0);
    assert_empty(store).await;
    assert_eq!(refusal(store.resume(id, Algorithm::Sha256, 0).await), NO_SUCH_UPLOAD);
    // The session goes on all the same: whoever finds nothing begins.
    let mut writer = store.begin(id, Algorithm::Sha256).await.unwrap();
    writer.write(Bytes::from_static(b"late")).await.unwrap();
    let blob = writer.commit(&Digest::sha256(b"late")).await.unwrap();
    assert_eq!(whole(store, &blob).await, "late");
}

async fn what_a_parked_upload_holds_can_be_read(store: &dyn BlobStore) {
    for size in [1, 256 * KIB, 2 * MIB + 7] {
        let bytes = noise(1, size);
        let id = parked(store, &bytes).await;
        for length in [0, 1, size / 2, size] {
            let stream = store.read_upload(id, length as u64).await.unwrap();
            let read: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert!(read.concat() == bytes[..length], "{length} of {size}");
        }
        assert_eq!(refusal(store.read_upload(id, size as u64 + 1).await), NO_SUCH_UPLOAD);
        // It goes on as if nobody had looked.
        let blob = resume(store, id, size).await.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert!(whole(store, &blob).await == bytes);
        assert_eq!(refusal(store.read_upload(id, 1).await), NO_SUCH_UPLOAD);
    }
}

async fn what_an_upload_became_is_found_and_proved_again_under_another_key(store: &dyn BlobStore) {
    let bytes = noise(1, 2 * MIB + 7);
    put(store, &noise(2, 10)).await;
    let id = parked(store, &bytes).await;
    assert_eq!(store.sealed(id).await.unwrap(), None, "it is none yet");
    let blob = resume(store, id, bytes.len()).await.commit(&Digest::sha256(&bytes)).await.unwrap();
    let mut former = blob.key().clone();
    // As often as it is asked for: what was to write the row may fail again.
    for _ in 0..3 {
        let found = store.sealed(id).await.unwrap().unwrap();
        assert_eq!((found.digest(), found.size()), (blob.digest(), blob.size()));
        assert_eq!(found.sums(), Some(&FileSums::of(&bytes)));
        assert_ne!(found.key(), &former);
        assert!(whole(store, &found).await == bytes);
        let held = files(store).await.blobs;
        assert!(held.len() == 2 && !held.contains(&former), "{held:?}");
        former = found.key().clone();
    }
    assert_eq!(store.sealed(UploadId::random()).await.unwrap(), None);
}
