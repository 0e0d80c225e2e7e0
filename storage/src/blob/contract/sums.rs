//! The checksums of files come from the same pass, whatever way the bytes took, and a digest need not be promised.

use super::*;
use crate::sums::{FileSums, Promised, Sum};

on_every_store![
    checksums_are_computed_where_they_are_asked_for_and_nowhere_else,
    an_upload_without_a_promise_gets_the_digest_that_it_was_begun_with,
    checksums_are_right_after_any_number_of_requests,
    a_wrong_checksum_leaves_nothing,
    a_checksum_may_be_promised_though_nobody_asked_for_it_before,
];

async fn checksums_are_computed_where_they_are_asked_for_and_nowhere_else(store: &dyn BlobStore) {
    for size in [0, 1, 256 * KIB, 2 * MIB + 1] {
        let bytes = noise(1, size);
        let (_, mut writer) = begin(store).await;
        writer.with_sums().await.unwrap();
        writer.write(bytes.clone()).await.unwrap();
        let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert_eq!(blob.sums(), Some(&FileSums::of(&bytes)), "{size} bytes");
        assert!(whole(store, &blob).await == bytes);
        assert_eq!(put(store, &bytes).await.sums(), None);
    }
}

async fn an_upload_without_a_promise_gets_the_digest_that_it_was_begun_with(store: &dyn BlobStore) {
    for algorithm in Algorithm::ALL {
        for size in [0, 1, 256 * KIB, 2 * MIB + 1] {
            let bytes = noise(2, size);
            let mut writer = store.begin(UploadId::random(), algorithm).await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            let blob = writer.seal(&Promised::default()).await.unwrap();
            assert_eq!((*blob.digest(), blob.size()), (Digest::of(algorithm, &bytes), size as u64));
            assert!(whole(store, &blob).await == bytes);
        }
    }
}

async fn checksums_are_right_after_any_number_of_requests(store: &dyn BlobStore) {
    let bytes = noise(3, 4 * 300 * KIB);
    // The first requests did not ask, or did; one that asks later has the rest read back.
    for asked_at in [0, 1, 3] {
        let (id, mut writer) = begin(store).await;
        for request in 0..4 {
            if request >= asked_at {
                writer.with_sums().await.unwrap();
            }
            let (start, end) = (request * 300 * KIB, (request + 1) * 300 * KIB);
            writer.write(bytes.slice(start..end)).await.unwrap();
            assert_eq!(writer.park().await.unwrap(), end as u64);
            writer = resume(store, id, end).await;
        }
        writer.with_sums().await.unwrap();
        let blob = writer.seal(&Promised::default()).await.unwrap();
        assert_eq!(*blob.digest(), Digest::sha256(&bytes));
        assert_eq!(blob.sums(), Some(&FileSums::of(&bytes)), "asked at request {asked_at}");
    }
}

fn promise(sum: Sum) -> Promised {
    Promised {
        digest: None,
        sums: vec![sum],
    }
}

async fn a_wrong_checksum_leaves_nothing(store: &dyn BlobStore) {
    let other = FileSums::of(b"something else");
    for size in [0, 1, 2 * MIB + 1] {
        for wrong in [other.sha512, other.sha1, other.md5, Digest::sha256(b"something else").into()] {
            let bytes = noise(4, size);
            let (_, mut writer) = begin(store).await;
            writer.with_sums().await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            let error = writer.seal(&promise(wrong)).await.unwrap_err();
            assert_eq!((error.kind(), error.what()), WRONG_DIGEST, "{wrong}");
            assert!(error.message().contains(&wrong.to_string()), "{error}");
            assert_empty(store).await;
        }
    }
}

async fn a_checksum_may_be_promised_though_nobody_asked_for_it_before(store: &dyn BlobStore) {
    for size in [0, 1, 2 * MIB + 1] {
        let bytes = noise(5, size);
        let right = FileSums::of(&bytes);
        for sum in [right.sha512, right.sha1, right.md5, Digest::sha256(&bytes).into()] {
            let (_, mut writer) = begin(store).await;
            writer.write(bytes.clone()).await.unwrap();
            let blob = writer.seal(&promise(sum)).await.unwrap();
            assert_eq!(*blob.digest(), Digest::sha256(&bytes));
            assert!(whole(store, &blob).await == bytes);
        }
    }
}
