//! Content is never taken on somebody's word: a commit proves the digest or leaves nothing.

use super::*;

on_every_store![
    bytes_with_another_digest_leave_nothing,
    a_resumed_upload_with_another_digest_leaves_nothing,
    one_flipped_bit_anywhere_is_noticed,
    sha512_is_proved_as_sha256_is,
    a_commit_may_promise_another_algorithm_than_the_upload_was_begun_with,
    a_wrong_digest_of_another_algorithm_leaves_nothing,
    the_same_content_uploaded_twice_has_two_keys,
];

async fn bytes_with_another_digest_leave_nothing(store: &dyn BlobStore) {
    for size in [0, 1, 256 * KIB, 2 * MIB + 1] {
        let bytes = noise(1, size);
        let promised = Digest::sha256(b"something else");
        let (id, mut writer) = begin(store).await;
        writer.write(bytes.clone()).await.unwrap();
        let error = writer.commit(&promised).await.unwrap_err();
        assert_eq!((error.kind(), error.what()), WRONG_DIGEST);
        // The client can compare what it sent with what it meant.
        for digest in [Digest::sha256(&bytes), promised] {
            assert!(error.message().contains(&digest.to_string()), "{error}");
        }
        assert_empty(store).await;
        assert_eq!(store.size(&StorageKey::new(&promised, &id)).await.unwrap(), None);
        assert_eq!(refusal(store.resume(id, Algorithm::Sha256, size as u64).await), NO_SUCH_UPLOAD);
    }
}

async fn a_resumed_upload_with_another_digest_leaves_nothing(store: &dyn BlobStore) {
    for rest in [0, 10, MIB] {
        let id = parked(store, &noise(1, 1000)).await;
        let mut writer = resume(store, id, 1000).await;
        writer.write(noise(2, rest)).await.unwrap();
        // The right digest of the second half alone.
        let ended = writer.commit(&Digest::sha256(&noise(2, rest))).await;
        assert_eq!(refusal(ended), WRONG_DIGEST);
        assert_empty(store).await;
    }
}

async fn one_flipped_bit_anywhere_is_noticed(store: &dyn BlobStore) {
    let bytes = noise(1, MIB + 256 * KIB + 2);
    let promised = Digest::sha256(&bytes);
    for position in [0, 256 * KIB - 1, 256 * KIB, MIB, bytes.len() - 1] {
        let mut flipped = BytesMut::from(&bytes[..]);
        flipped[position] ^= 1;
        let (_, mut writer) = begin(store).await;
        writer.write(flipped.freeze()).await.unwrap();
        assert_eq!(refusal(writer.commit(&promised).await), WRONG_DIGEST, "at {position}");
    }
    assert_empty(store).await;
}

async fn sha512_is_proved_as_sha256_is(store: &dyn BlobStore) {
    let bytes = noise(1, MIB + 1);
    let right = Digest::of(Algorithm::Sha512, &bytes);
    let upload = |promised: Digest| {
        let bytes = bytes.clone();
        async move {
            let mut writer = store.begin(UploadId::random(), Algorithm::Sha512).await.unwrap();
            writer.write(bytes).await.unwrap();
            writer.commit(&promised).await
        }
    };
    let ended = upload(Digest::of(Algorithm::Sha512, b"something else")).await;
    assert_eq!(refusal(ended), WRONG_DIGEST);
    assert_empty(store).await;
    let blob = upload(right).await.unwrap();
    assert_eq!((*blob.digest(), blob.size()), (right, bytes.len() as u64));
    assert_eq!(blob.key().digest(), Some(right));
    assert!(whole(store, &blob).await == bytes);
}

async fn a_commit_may_promise_another_algorithm_than_the_upload_was_begun_with(store: &dyn BlobStore) {
    for (begun, promised) in [(Algorithm::Sha256, Algorithm::Sha512), (Algorithm::Sha512, Algorithm::Sha256)] {
        for size in [0, 1, 256 * KIB, 2 * MIB + 3] {
            let bytes = noise(7, size);
            let mut writer = store.begin(UploadId::random(), begun).await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            let digest = Digest::of(promised, &bytes);
            let blob = writer.commit(&digest).await.unwrap();
            assert_eq!((*blob.digest(), blob.size()), (digest, size as u64));
            assert!(whole(store, &blob).await == bytes);
        }
    }
}

async fn a_wrong_digest_of_another_algorithm_leaves_nothing(store: &dyn BlobStore) {
    for size in [0, 1, 2 * MIB] {
        let (_, mut writer) = begin(store).await;
        writer.write(noise(1, size)).await.unwrap();
        let ended = writer.commit(&Digest::of(Algorithm::Sha512, b"something else")).await;
        assert_eq!(refusal(ended), WRONG_DIGEST);
        assert_empty(store).await;
    }
}

async fn the_same_content_uploaded_twice_has_two_keys(store: &dyn BlobStore) {
    let bytes = noise(1, 1000);
    let (first, second) = (put(store, &bytes).await, put(store, &bytes).await);
    assert_eq!(first.digest(), second.digest());
    assert_ne!(first.key(), second.key());
    let both = HashSet::from([first.key().clone(), second.key().clone()]);
    assert_eq!(files(store).await.blobs, both);
    // Neither hangs on the other.
    store.delete(first.key()).await.unwrap();
    assert_eq!(store.size(first.key()).await.unwrap(), None);
    assert_eq!(whole(store, &second).await, bytes);
}
