//! What only a folder can show: rights, files of others, damage, a full disk, a start that was cut short.

use super::*;
use crate::blob::FsStore;
use crate::clock;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

fn store() -> (TempDir, FsStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FsStore::open(folder.path().join("store")).unwrap();
    (folder, store)
}

fn root(folder: &TempDir) -> PathBuf {
    folder.path().join("store")
}

fn blob_path(folder: &TempDir, blob: &VerifiedBlob) -> PathBuf {
    root(folder).join("blobs").join(blob.key().as_str())
}

fn upload_path(folder: &TempDir, id: UploadId) -> PathBuf {
    root(folder).join("uploads").join(id.to_string())
}

fn open_for_writing(path: &Path) -> fs::File {
    fs::OpenOptions::new().write(true).open(path).unwrap()
}

/// Everything under a folder, with the folder itself.
fn tree(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[tokio::test]
async fn files_and_folders_are_for_their_owner_only() {
    let (folder, store) = store();
    put(&store, &noise(1, 10)).await;
    parked(&store, &noise(1, 10)).await;
    let (mut files, mut folders) = (0, 0);
    for part in ["uploads", "blobs"] {
        for path in tree(&root(&folder).join(part)) {
            let found = fs::metadata(&path).unwrap();
            let (wanted, count) = if found.is_dir() {
                (0o700, &mut folders)
            } else {
                (0o600, &mut files)
            };
            assert_eq!(found.permissions().mode() & 0o777, wanted, "{}", path.display());
            *count += 1;
        }
    }
    // uploads, blobs, one an algorithm, and 256 in each of those.
    assert_eq!((files, folders), (2, 2 + 2 + 512));
    assert_eq!(fs::metadata(root(&folder)).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_blob_lies_at_the_path_that_its_key_names_and_an_upload_under_its_id() {
    let (folder, store) = store();
    let blob = put(&store, &noise(1, 10)).await;
    let id = parked(&store, &noise(2, 10)).await;
    assert_eq!(fs::read(blob_path(&folder, &blob)).unwrap(), noise(1, 10));
    assert_eq!(fs::read(upload_path(&folder, id)).unwrap(), noise(2, 10));
}

#[tokio::test]
async fn files_of_others_are_neither_listed_nor_touched() {
    let (folder, store) = store();
    let root = root(&folder);
    let (id, hex) = (UploadId::random(), Digest::sha256(b"").hex());
    let files = [
        root.join("README"),
        root.join("uploads/notes.txt"),
        root.join(format!("uploads/{}", id.to_string().to_uppercase())),
        root.join("blobs/README"),
        root.join("blobs/sha256/README"),
        root.join("blobs/sha256/00/README"),
        // What an older or newer layout may hold.
        root.join(format!("blobs/sha256/{}/{hex}", &hex[..2])),
        // A name of ours in the wrong folder.
        root.join(format!("blobs/sha256/00/{hex}.{id}")),
    ];
    for file in &files {
        fs::write(file, "not ours").unwrap();
    }
    // Names of ours on what is no file.
    let folders = [
        root.join(format!("uploads/{id}")),
        root.join(format!("blobs/sha256/{}/{hex}.{id}", &hex[..2])),
    ];
    for folder in &folders {
        fs::create_dir(folder).unwrap();
    }
    let link = root.join(format!("uploads/{}", UploadId::random()));
    symlink(&files[0], &link).unwrap();
    assert_empty(&store).await;
    let reopened = FsStore::open(&root).unwrap();
    assert_empty(&reopened).await;
    for file in &files {
        assert_eq!(fs::read_to_string(file).unwrap(), "not ours");
    }
    for path in folders.iter().chain([&link]) {
        fs::symlink_metadata(path).unwrap();
    }
}

#[tokio::test]
async fn a_listing_comes_in_bounded_batches() {
    let (folder, store) = store();
    let ids: HashSet<UploadId> = (0..2500).map(|_| UploadId::random()).collect();
    for id in &ids {
        fs::write(upload_path(&folder, *id), "").unwrap();
    }
    let batches: Vec<Vec<Stored>> = store.list().await.unwrap().try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.len() <= 1000));
    assert_eq!(files(&store).await.uploads, ids);
}

#[tokio::test]
async fn a_listing_of_a_store_with_a_folder_missing_is_an_error() {
    let (folder, store) = store();
    // Not an empty folder but damage: whoever compares rows with files must not take blobs for lost.
    fs::remove_dir(root(&folder).join("blobs/sha512/ff")).unwrap();
    let listed = store.list().await.unwrap().try_collect::<Vec<Vec<Stored>>>().await;
    assert_eq!(refusal(listed).0, ErrorKind::Internal);
}

#[tokio::test]
async fn a_start_that_was_cut_short_is_completed_by_the_next() {
    let (folder, store) = store();
    let blob = put(&store, &noise(1, 10)).await;
    drop(store);
    let root = root(&folder);
    // The marker is made last: without it, anything of the rest may be missing.
    let mut markers = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let marker = markers.find(|path| path.is_file()).unwrap();
    fs::remove_file(&marker).unwrap();
    fs::remove_dir_all(root.join("blobs/sha512")).unwrap();
    fs::remove_dir(root.join("uploads")).unwrap();
    for byte in 0..=u8::MAX {
        // Those with something in them stay.
        let _ = fs::remove_dir(root.join(format!("blobs/sha256/{byte:02x}")));
    }
    let store = FsStore::open(&root).unwrap();
    assert!(marker.is_file());
    assert_eq!(whole(&store, &blob).await, noise(1, 10));
    // Every folder is there again: a blob for each of them finds its place.
    for seed in 0..600 {
        put(&store, &noise(seed, 10)).await;
    }
    assert_eq!(tree(&root.join("blobs")).iter().filter(|path| path.is_dir()).count(), 1 + 2 + 512);
    let mut writer = store.begin(UploadId::random(), Algorithm::Sha512).await.unwrap();
    writer.write(noise(1, 10)).await.unwrap();
    writer.commit(&Digest::of(Algorithm::Sha512, &noise(1, 10))).await.unwrap();
}

#[tokio::test]
async fn a_store_opened_again_holds_what_it_held() {
    let (folder, store) = store();
    let blob = put(&store, &noise(1, 3 * MIB)).await;
    let id = parked(&store, &noise(2, 10)).await;
    let before = files(&store).await;
    drop(store);
    let store = FsStore::open(root(&folder)).unwrap();
    assert_eq!(files(&store).await, before);
    assert!(whole(&store, &blob).await == noise(1, 3 * MIB));
    assert_eq!(resume(&store, id, 10).await.offset(), 10);
}

#[tokio::test]
async fn a_store_where_a_file_stands_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    fs::write(&root, "a file").unwrap();
    assert_eq!(refusal(FsStore::open(&root)).0, ErrorKind::Internal);
    assert_eq!(fs::read_to_string(&root).unwrap(), "a file");
}

#[tokio::test]
async fn a_blob_that_lost_its_end_is_an_error_and_never_a_short_answer() {
    let (folder, store) = store();
    for (size, left) in [
        (1, 0),
        (1000, 999),
        (256 * KIB, 256 * KIB - 1),
        (3 * MIB, 256 * KIB),
        (3 * MIB, 3 * MIB - 1),
    ] {
        let blob = put(&store, &noise(1, size)).await;
        open_for_writing(&blob_path(&folder, &blob)).set_len(left as u64).unwrap();
        for wanted in [size, left, 1] {
            let ended = get(&store, blob.blob(), 0..wanted as u64).await;
            assert_eq!(refusal(ended).0, ErrorKind::Corrupt, "{wanted} of {size} bytes");
        }
    }
}

#[tokio::test]
async fn a_blob_that_loses_its_end_while_it_is_read_ends_in_an_error() {
    let (folder, store) = store();
    let blob = put(&store, &noise(1, 8 * MIB)).await;
    let mut stream = store.read(blob.blob(), 0..blob.size()).await.unwrap();
    let mut received = stream.next().await.unwrap().unwrap().len();
    open_for_writing(&blob_path(&folder, &blob)).set_len(300 * KIB as u64).unwrap();
    let error = loop {
        match stream.next().await {
            Some(Ok(piece)) => received += piece.len(),
            Some(Err(error)) => break error,
            None => panic!("{received} bytes passed for {}", blob.size()),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(received < 8 * MIB);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_flipped_bit_never_goes_out() {
    let (folder, store) = store();
    let size = MIB + 5;
    let bytes = noise(1, size);
    for at in [0, 1000, 256 * KIB - 1, 256 * KIB, MIB, size - 1] {
        let blob = put(&store, &bytes).await;
        let mut file = open_for_writing(&blob_path(&folder, &blob));
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[bytes[at] ^ 0x10]).unwrap();
        // Whole: what came before the damage may have gone out, the damaged piece has not.
        let mut received = Vec::new();
        let ended = match store.read(blob.blob(), 0..blob.size()).await {
            Err(error) => error,
            Ok(mut stream) => loop {
                match stream.next().await.unwrap() {
                    Ok(piece) => received.extend_from_slice(&piece),
                    Err(error) => break error,
                }
            },
        };
        assert_eq!(ended.kind(), ErrorKind::Corrupt, "byte {at}");
        assert!(received.len() <= at && bytes.starts_with(&received), "byte {at}");
        // A range in the same piece is refused, one in another piece is fine.
        let piece = at / (256 * KIB) * 256 * KIB;
        let beside = get(&store, blob.blob(), piece as u64..piece as u64 + 1).await;
        assert_eq!(refusal(beside).0, ErrorKind::Corrupt, "byte {at}");
        let elsewhere = if piece == 0 { 512 * KIB } else { 0 };
        let fine = get(&store, blob.blob(), elsewhere as u64..elsewhere as u64 + 100).await.unwrap();
        assert_eq!(fine, bytes.slice(elsewhere..elsewhere + 100), "byte {at}");
    }
}

#[tokio::test]
async fn two_files_that_changed_places_are_both_refused() {
    let (folder, store) = store();
    let (one, other) = (put(&store, &noise(1, MIB)).await, put(&store, &noise(2, MIB)).await);
    let (first, second) = (blob_path(&folder, &one), blob_path(&folder, &other));
    let aside = folder.path().join("aside");
    fs::rename(&first, &aside).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&aside, &second).unwrap();
    for blob in [&one, &other] {
        let ended = get(&store, blob.blob(), 0..blob.size()).await;
        assert_eq!(refusal(ended).0, ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn an_error_names_the_file_to_the_operator_and_not_to_the_client() {
    let (folder, store) = store();
    let blob = put(&store, &noise(1, 10)).await;
    fs::remove_file(blob_path(&folder, &blob)).unwrap();
    let error = store.read(blob.blob(), 0..10).await.err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(blob.key().as_str()), "{cause}");
    assert!(!error.message().contains(blob.digest().hex().as_str()), "{error}");
}

#[tokio::test]
async fn bytes_that_another_hand_changed_in_an_upload_never_become_a_blob() {
    let bytes = noise(1, 300 * KIB);
    for length in [bytes.len() - 1, bytes.len() + 1] {
        let (folder, store) = store();
        let id = parked(&store, &bytes).await;
        let writer = resume(&store, id, bytes.len()).await;
        open_for_writing(&upload_path(&folder, id)).set_len(length as u64).unwrap();
        // The hash is right; the file that would become the blob is not.
        let ended = writer.commit(&Digest::sha256(&bytes)).await;
        assert_eq!(refusal(ended).0, ErrorKind::Internal);
        assert_empty(&store).await;
    }
}

#[tokio::test]
async fn a_commit_never_writes_over_a_blob_that_is_there() {
    let (folder, store) = store();
    let bytes = noise(1, 10);
    let (id, mut writer) = begin(&store).await;
    let there = root(&folder)
        .join("blobs")
        .join(StorageKey::new(&Digest::sha256(&bytes), &id).as_str());
    fs::write(&there, "somebody's").unwrap();
    writer.write(bytes.clone()).await.unwrap();
    let made = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
    assert_eq!(fs::read_to_string(&there).unwrap(), "somebody's");
    assert_eq!(fs::read(root(&folder).join("blobs").join(made.key().as_str())).unwrap(), bytes);
    assert_eq!(made.key().as_str().parse::<StorageKey>().unwrap(), *made.key());
    assert_eq!(files(&store).await.uploads, HashSet::new());
}

#[tokio::test]
async fn a_blob_is_as_young_as_its_commit_however_old_its_bytes_are() {
    let (folder, store) = store();
    let bytes = noise(1, 10);
    let id = parked(&store, &bytes).await;
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    open_for_writing(&upload_path(&folder, id)).set_modified(long_ago).unwrap();
    let before = clock::now() - 60_000;
    // No byte is added, only the commit: between it and its row, its age is all that keeps the sweep from the file.
    resume(&store, id, 10).await.commit(&Digest::sha256(&bytes)).await.unwrap();
    let batches: Vec<Vec<Stored>> = store.list().await.unwrap().try_collect().await.unwrap();
    let all = batches.concat();
    assert!(matches!(all[..], [Stored::Blob { modified, .. }] if modified > before), "{all:?}");
}

/// An upload whose next byte meets a full disk, and a writer on it.
async fn on_a_full_disk(folder: &TempDir, store: &FsStore) -> (UploadId, Box<dyn BlobWriter>) {
    let id = UploadId::random();
    symlink("/dev/full", upload_path(folder, id)).unwrap();
    loop {
        match store.resume(id, Algorithm::Sha256, 0).await {
            Ok(writer) => return (id, writer),
            // The device is one for all, and a test beside this one has it just now.
            Err(error) => assert_eq!((error.kind(), error.what()), TAKEN_OVER),
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_leaves_nothing() {
    let (folder, store) = store();
    for size in [10, 256 * KIB, 3 * MIB] {
        let bytes = noise(1, size);
        let (id, mut writer) = on_a_full_disk(&folder, &store).await;
        let mut told = Ok(());
        for start in (0..size).step_by(100 * KIB) {
            told = writer.write(bytes.slice(start..size.min(start + 100 * KIB))).await;
            if told.is_err() {
                break;
            }
        }
        let committed = writer.commit(&Digest::sha256(&bytes)).await;
        match told {
            // Told once; then the writer is of no use.
            Err(error) => assert_eq!((error.kind(), committed.is_err()), (ErrorKind::StorageFull, true)),
            Ok(()) => assert_eq!(refusal(committed).0, ErrorKind::StorageFull),
        }
        let left = fs::symlink_metadata(upload_path(&folder, id));
        assert_eq!(left.unwrap_err().kind(), std::io::ErrorKind::NotFound, "with {size} bytes");
        assert_empty(&store).await;
    }
}

#[tokio::test]
async fn a_full_disk_does_not_take_what_was_acknowledged() {
    let (folder, store) = store();
    let head = noise(1, 1000);
    let id = parked(&store, &head).await;
    let path = upload_path(&folder, id);
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    symlink("/dev/full", &path).unwrap();
    let mut writer = loop {
        match store.resume(id, Algorithm::Sha256, 0).await {
            Ok(writer) => break writer,
            Err(error) => assert_eq!((error.kind(), error.what()), TAKEN_OVER),
        }
    };
    writer.write(noise(2, 10)).await.unwrap();
    assert_eq!(refusal(writer.park().await).0, ErrorKind::StorageFull);
    // Room was made, and the client goes on.
    fs::rename(&aside, &path).unwrap();
    let mut writer = resume(&store, id, 1000).await;
    assert_eq!(writer.offset(), 1000);
    writer.write(noise(2, 10)).await.unwrap();
    let bytes = joined(&[&head, &noise(2, 10)]);
    let blob = writer.commit(&Digest::sha256(&bytes)).await.unwrap();
    assert_eq!(whole(&store, &blob).await, bytes);
}

#[tokio::test]
async fn the_free_space_of_the_disk_is_known() {
    let (_folder, store) = store();
    assert!(store.free_space().await.unwrap().is_some_and(|free| free > 0));
}
