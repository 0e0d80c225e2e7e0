//! Two stores on one folder, as two processes have them: what one of them knows, the other does not.

use super::*;
use crate::blob::FsStore;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;
use tempfile::TempDir;

/// Two stores that share a folder and nothing else.
fn two() -> (TempDir, FsStore, FsStore) {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (FsStore::open(folder.path()).unwrap(), FsStore::open(folder.path()).unwrap());
    (folder, one, other)
}

fn upload_path(folder: &TempDir, id: UploadId) -> PathBuf {
    folder.path().join("uploads").join(id.to_string())
}

#[tokio::test]
async fn an_upload_goes_on_in_another_process_and_is_hashed_anew_from_its_start() {
    for size in [1, 256 * KIB, 2 * MIB + 3] {
        let (_folder, one, other) = two();
        let (head, tail) = (noise(1, size), noise(2, 1000));
        let id = parked(&one, &head).await;
        let mut writer = resume(&other, id, size).await;
        assert_eq!(writer.offset(), size as u64);
        writer.write(tail.clone()).await.unwrap();
        let bytes = joined(&[&head, &tail]);
        let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
        for store in [&one, &other] {
            assert!(whole(store, &blob).await == bytes);
        }
        assert_eq!(refusal(one.resume(id, Algorithm::Sha256, size as u64).await), NO_SUCH_UPLOAD);
    }
}

#[tokio::test]
async fn bytes_that_rotted_between_two_processes_are_noticed() {
    let (folder, one, other) = two();
    let bytes = noise(1, 1000);
    let id = parked(&one, &bytes).await;
    let mut rotten = bytes.to_vec();
    rotten[500] ^= 1;
    fs::write(upload_path(&folder, id), &rotten).unwrap();
    let ended = resume(&other, id, 1000).await.commit(&Digest::sha256(&bytes)).await;
    assert_eq!(refusal(ended), WRONG_DIGEST);
    assert_empty(&one).await;
}

#[tokio::test]
async fn a_process_does_not_believe_its_old_hash_once_another_has_written() {
    let (_folder, one, other) = two();
    let id = parked(&one, b"one").await;
    let mut writer = resume(&other, id, 3).await;
    writer.write(Bytes::from_static(b" two")).await.unwrap();
    writer.park().await.unwrap();
    let mut writer = resume(&one, id, 7).await;
    writer.write(Bytes::from_static(b" three")).await.unwrap();
    let blob = writer.commit(&Digest::sha256(b"one two three")).await.unwrap();
    assert_eq!(whole(&other, &blob).await, "one two three");
}

#[tokio::test]
async fn a_process_does_not_believe_its_old_hash_though_another_has_written_just_as_much() {
    for (promised, kept) in [(b"theirs", true), (b"mine..", false)] {
        let (folder, one, other) = two();
        // Nothing of it is acknowledged: the other process starts at 0, and its bytes are.
        let id = parked(&one, b"mine..").await;
        let modified = || -> SystemTime { fs::metadata(upload_path(&folder, id)).unwrap().modified().unwrap() };
        let before = modified();
        loop {
            let mut writer = resume(&other, id, 0).await;
            writer.write(Bytes::from_static(b"theirs")).await.unwrap();
            writer.park().await.unwrap();
            // Clocks of file systems tick slowly; two processes that take turns are slower.
            if modified() != before {
                break;
            }
        }
        let ended = resume(&one, id, 6).await.commit(&Digest::sha256(promised)).await;
        if kept {
            assert_eq!(whole(&one, &ended.unwrap()).await, "theirs");
        } else {
            assert_eq!(refusal(ended), WRONG_DIGEST);
            assert_empty(&one).await;
        }
    }
}

#[tokio::test]
async fn a_process_can_not_take_an_upload_from_another_that_is_writing_it() {
    let (_folder, one, other) = two();
    let id = parked(&one, b"head").await;
    let mut writer = resume(&one, id, 4).await;
    for offset in [0, 4] {
        assert_eq!(refusal(other.resume(id, Algorithm::Sha256, offset).await), TAKEN_OVER);
    }
    writer.write(Bytes::from_static(b" and tail")).await.unwrap();
    writer.park().await.unwrap();
    // It has let go.
    let writer = resume(&other, id, 13).await;
    let blob = writer.commit(&Digest::sha256(b"head and tail")).await.unwrap();
    assert_eq!(whole(&one, &blob).await, "head and tail");
}

/// An older writer in one process that has not touched the disk yet, and a newer one in the other that has,
/// with the first half of `bytes`.
async fn newer_in_another_process(one: &FsStore, other: &FsStore, bytes: &Bytes) -> (Box<dyn BlobWriter>, Box<dyn BlobWriter>) {
    let id = UploadId::random();
    let mut older = one.begin(id, Algorithm::Sha256).await.unwrap();
    older.write(Bytes::from_static(b"the older one's")).await.unwrap();
    let mut newer = other.begin(id, Algorithm::Sha256).await.unwrap();
    newer.write(bytes.slice(..MIB)).await.unwrap();
    // Waits for the first piece to be on the disk.
    newer.write(bytes.slice(MIB..2 * MIB)).await.unwrap();
    (older, newer)
}

/// What an older writer may still try.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Try {
    Write,
    Park,
    Commit,
    Abort,
    Drop,
}

const TRIES: [Try; 5] = [Try::Write, Try::Park, Try::Commit, Try::Abort, Try::Drop];

/// An older writer tries, and is refused where it would have changed something.
async fn tries(mut older: Box<dyn BlobWriter>, what: Try) {
    let ended = match what {
        Try::Write => {
            // The first may still lie in memory when it is taken in.
            let first = older.write(noise(2, MIB)).await;
            if first.is_ok() { older.write(noise(2, MIB)).await } else { first }
        }
        Try::Park => older.park().await.map(drop),
        Try::Commit => older.commit(&Digest::sha256(b"the older one's")).await.map(drop),
        Try::Abort => return older.abort().await.unwrap(),
        Try::Drop => return drop(older),
    };
    assert_eq!(refusal(ended), TAKEN_OVER, "{what:?}");
}

#[tokio::test]
async fn an_older_writer_of_another_process_does_not_touch_the_newer_ones_file() {
    for what in TRIES {
        let (_folder, one, other) = two();
        let bytes = noise(1, 4 * MIB);
        let (older, mut newer) = newer_in_another_process(&one, &other, &bytes).await;
        tries(older, what).await;
        // Its hash is that of all its bytes, whatever has become of its file.
        newer.write(bytes.slice(2 * MIB..)).await.unwrap();
        let blob = newer.commit(&Digest::sha256(&bytes)).await.unwrap();
        assert!(whole(&one, &blob).await == bytes, "{what:?} got into the newer one's file");
        let held = files(&one).await;
        assert_eq!(
            (held.uploads.len(), held.blobs),
            (0, HashSet::from([blob.key().clone()])),
            "{what:?}"
        );
    }
}

#[tokio::test]
async fn an_older_writer_of_another_process_does_not_touch_what_the_newer_one_has_parked() {
    for what in TRIES {
        let (_folder, one, other) = two();
        let id = UploadId::random();
        let mut older = one.begin(id, Algorithm::Sha256).await.unwrap();
        older.write(Bytes::from_static(b"the older one's")).await.unwrap();
        let mut newer = other.begin(id, Algorithm::Sha256).await.unwrap();
        newer.write(noise(1, 1000)).await.unwrap();
        newer.park().await.unwrap();
        tries(older, what).await;
        let newer = resume(&other, id, 1000).await;
        assert_eq!(newer.offset(), 1000, "{what:?}");
        let blob = newer.commit(&Digest::sha256(&noise(1, 1000))).await.unwrap();
        assert_eq!(whole(&one, &blob).await, noise(1, 1000), "{what:?} got into the newer one's file");
    }
}

#[tokio::test]
async fn a_commit_makes_a_blob_of_its_own_file_and_of_no_other() {
    for replaced in [true, false] {
        let (folder, one, _) = two();
        let id = parked(&one, b"own").await;
        let writer = resume(&one, id, 3).await;
        // Another process discards the upload, and perhaps begins it anew.
        fs::remove_file(upload_path(&folder, id)).unwrap();
        if replaced {
            fs::write(upload_path(&folder, id), "other").unwrap();
        }
        assert_eq!(refusal(writer.commit(&Digest::sha256(b"own")).await), TAKEN_OVER);
        let held = files(&one).await;
        assert_eq!((held.uploads.len(), held.blobs.len()), (usize::from(replaced), 0));
        if replaced {
            assert_eq!(fs::read(upload_path(&folder, id)).unwrap(), b"other");
        }
    }
}
