//! Bytes come back exactly as they went in: whole, in ranges, and never fewer than asked for.

use super::*;

on_every_store![
    bytes_of_every_size_come_back_exactly,
    how_an_upload_is_cut_into_chunks_leaves_no_trace,
    empty_chunks_change_nothing,
    every_kind_of_range_gives_just_its_bytes,
    a_range_past_the_end_is_an_error_and_never_a_short_answer,
    an_absent_blob_is_an_error_to_read_and_has_no_size,
    a_reader_that_has_begun_never_ends_early_when_the_blob_is_deleted,
    a_reader_that_goes_away_harms_nobody,
    free_space_is_a_number_or_unknown,
];

/// Around the sizes at which a store may begin its next piece, and beyond several of them.
const SIZES: [usize; 16] = [
    0,
    1,
    63,
    256 * KIB - 1,
    256 * KIB,
    256 * KIB + 1,
    512 * KIB,
    MIB - 1,
    MIB,
    MIB + 1,
    MIB + 256 * KIB - 1,
    MIB + 256 * KIB,
    MIB + 256 * KIB + 1,
    2 * MIB,
    3 * MIB + 7,
    5 * MIB,
];

async fn bytes_of_every_size_come_back_exactly(store: &dyn BlobStore) {
    for size in SIZES {
        let bytes = noise(size as u64, size);
        let blob = put(store, &bytes).await;
        assert_eq!((*blob.digest(), blob.size()), (Digest::sha256(&bytes), size as u64));
        assert_eq!(blob.key().digest(), Some(*blob.digest()));
        assert_eq!(store.size(blob.key()).await.unwrap(), Some(size as u64));
        assert!(whole(store, &blob).await == bytes, "{size} bytes came back changed");
    }
    let held = files(store).await;
    assert_eq!((held.uploads.len(), held.blobs.len()), (0, SIZES.len()));
}

async fn how_an_upload_is_cut_into_chunks_leaves_no_trace(store: &dyn BlobStore) {
    let bytes = noise(1, 2 * MIB + 300 * KIB + 11);
    for chunk in [997, 8 * KIB, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB, MIB + 1, 4 * MIB] {
        let (_, mut writer) = begin(store).await;
        let mut sent = 0;
        while sent < bytes.len() {
            let end = (sent + chunk).min(bytes.len());
            writer.write(bytes.slice(sent..end)).await.unwrap();
            sent = end;
            assert_eq!(writer.offset(), sent as u64);
        }
        let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert!(whole(store, &blob).await == bytes, "chunks of {chunk} bytes came back changed");
    }
}

async fn empty_chunks_change_nothing(store: &dyn BlobStore) {
    let bytes = noise(1, 256 * KIB + 1);
    let (_, mut writer) = begin(store).await;
    for part in [bytes.slice(..1), bytes.slice(1..)] {
        writer.write(Bytes::new()).await.unwrap();
        writer.write(part).await.unwrap();
        writer.write(Bytes::new()).await.unwrap();
    }
    assert_eq!(writer.offset(), bytes.len() as u64);
    let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
    assert!(whole(store, &blob).await == bytes);
}

async fn every_kind_of_range_gives_just_its_bytes(store: &dyn BlobStore) {
    let bytes = noise(1, 3 * MIB + 7);
    let blob = put(store, &bytes).await;
    let (piece, end) = (256 * KIB, bytes.len());
    for (from, to) in [
        (0, 0),
        (0, 1),
        (0, piece),
        (0, piece + 1),
        (0, end),
        (1, end),
        (17, 18),
        (17, 17),
        (piece - 1, piece + 1),
        (piece, 3 * piece),
        (piece, 3 * piece + 1),
        (MIB - 1, MIB + 1),
        (5, 2 * MIB + 5),
        (end - 1, end),
        (end, end),
    ] {
        let part = get(store, blob.blob(), from as u64..to as u64).await.unwrap();
        assert!(part == bytes.slice(from..to), "the range {from}..{to} gave other bytes");
    }
    let nothing = put(store, &Bytes::new()).await;
    assert_eq!(whole(store, &nothing).await, Bytes::new());
}

async fn a_range_past_the_end_is_an_error_and_never_a_short_answer(store: &dyn BlobStore) {
    for size in [0, 5, 256 * KIB, 3 * MIB] {
        let blob = put(store, &noise(1, size)).await;
        let size = size as u64;
        for range in [0..size + 1, size..size + 1, size + 5..size + 6, 0..size + 10 * MIB as u64] {
            let ended = get(store, blob.blob(), range.clone()).await;
            assert_eq!(refusal(ended).0, ErrorKind::Internal, "{range:?} of {size}");
        }
    }
}

async fn an_absent_blob_is_an_error_to_read_and_has_no_size(store: &dyn BlobStore) {
    let bytes = noise(1, 10);
    let blob = put(store, &bytes).await;
    // The same content under the key of another upload is another blob.
    let absent = Blob {
        key: StorageKey::new(blob.digest(), &UploadId::random()),
        ..blob.blob().clone()
    };
    for range in [0..0, 0..1, 0..10] {
        assert_eq!(refusal(store.read(&absent, range).await).0, ErrorKind::Corrupt);
    }
    assert_eq!(store.size(&absent.key).await.unwrap(), None);
    assert_eq!(whole(store, &blob).await, bytes);
}

async fn a_reader_that_has_begun_never_ends_early_when_the_blob_is_deleted(store: &dyn BlobStore) {
    let bytes = noise(1, 3 * MIB);
    let blob = put(store, &bytes).await;
    let stream = store.read(blob.blob(), 0..blob.size()).await.unwrap();
    store.delete(blob.key()).await.unwrap();
    // All of it or an error: a client must not take a part for the whole.
    if let Ok(pieces) = stream.try_collect::<Vec<Bytes>>().await {
        assert!(pieces.concat() == bytes);
    }
}

async fn a_reader_that_goes_away_harms_nobody(store: &dyn BlobStore) {
    let bytes = noise(1, 3 * MIB);
    let blob = put(store, &bytes).await;
    let mut stream = store.read(blob.blob(), 0..blob.size()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    assert!(whole(store, &blob).await == bytes);
}

async fn free_space_is_a_number_or_unknown(store: &dyn BlobStore) {
    assert_ne!(store.free_space().await.unwrap(), Some(0));
}
