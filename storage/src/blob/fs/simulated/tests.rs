//! A store's life on the simulated disk, for thousands of seeds; and single faults, told one by one.

use super::world::{live, prepared};
use super::{LeftOut, Op, SimulatedDisk};
use crate::blob::{BlobStore as _, FsStore, UploadId};
use crate::digest::{Algorithm, Digest};
use crate::error::ErrorKind;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use rustix::io::Errno;
use std::sync::Arc;

/// Lives lived in an ordinary run.
const SEEDS: u64 = 2_000;

/// Lives to be lived, from the environment for longer runs.
#[allow(clippy::disallowed_methods, reason = "a setting of these tests alone")]
fn seeds() -> u64 {
    std::env::var("GRANARY_TEST_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

/// The first life in which something does not hold, and what. Each seed gives the same life again:
/// all file work is done in its order on one thread.
fn first_violation(seeds: std::ops::Range<u64>, left_out: Option<LeftOut>) -> Option<(u64, String)> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build().unwrap();
    let prepared = prepared();
    seeds
        .into_iter()
        .find_map(|seed| Some((seed, runtime.block_on(live(seed, &prepared, left_out)).err()?)))
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut_and_nothing_else_passes_for_it() {
    assert_eq!(first_violation(0..seeds(), None), None);
}

#[test]
fn a_store_that_did_not_sync_its_files_would_be_found_out() {
    let (seed, found) = first_violation(0..SEEDS, Some(LeftOut::DataSync)).unwrap();
    assert!(
        found.contains("the name of other bytes") || found.contains("the acknowledged blob"),
        "seed {seed}: {found}"
    );
}

#[test]
fn a_store_that_did_not_sync_its_folders_would_be_found_out() {
    let (seed, found) = first_violation(0..SEEDS, Some(LeftOut::FolderSync)).unwrap();
    assert!(
        found.contains("the acknowledged blob") || found.contains("the marker"),
        "seed {seed}: {found}"
    );
}

#[test]
fn a_store_that_synced_its_files_only_after_their_rename_would_be_found_out() {
    let (seed, found) = first_violation(0..SEEDS, Some(LeftOut::SyncBeforeRename)).unwrap();
    assert!(found.contains("the name of other bytes"), "seed {seed}: {found}");
}

#[tokio::test]
async fn a_store_keeps_its_first_blob_wherever_its_first_start_died() {
    let root = "/srv/granary/store";
    let content = Bytes::from_static(b"the first blob");
    let all = usize::try_from(prepared().operations()).unwrap();
    // After the last one, a start that was left alone.
    for died_at in all - 12..=all + 1 {
        for seed in 0..20 {
            let disk = SimulatedDisk::new(seed);
            disk.stop_after(died_at);
            assert_eq!(FsStore::on(Arc::new(disk.clone()), root.into()).is_ok(), died_at > all);
            disk.go_on();
            let store = FsStore::on(Arc::new(disk.clone()), root.into()).unwrap();
            let mut writer = store.begin(UploadId::random(), Algorithm::Sha256).await.unwrap();
            writer.write(content.clone()).await.unwrap();
            let blob = writer.commit(&Digest::sha256(&content)).await.unwrap();
            let store = FsStore::on(Arc::new(disk.crash(seed)), root.into()).unwrap();
            let pieces: Vec<Bytes> = store.read(blob.blob(), 0..blob.size()).await.unwrap().try_collect().await.unwrap();
            assert_eq!(pieces.concat(), content);
        }
    }
}

/// A store in which the operation of a commit failed, after the commit: what it was told, and what the disk was asked.
async fn commit_with(op: Op, error: Errno) -> (SimulatedDisk, ErrorKind) {
    let disk = SimulatedDisk::new(0);
    let store = FsStore::on(Arc::new(disk.clone()), "/store".into()).unwrap();
    let id = UploadId::random();
    let content = Bytes::from(vec![7; 5000]);
    let mut writer = store.begin(id, Algorithm::Sha256).await.unwrap();
    writer.write(content.clone()).await.unwrap();
    assert_eq!(writer.park().await.unwrap(), 5000);
    let writer = store.resume(id, Algorithm::Sha256, 5000).await.unwrap();
    disk.fail_next(op, error);
    let refused = writer.commit(&Digest::sha256(&content)).await.unwrap_err();
    // The upload is gone: nobody can try the same file again.
    assert!(store.resume(id, Algorithm::Sha256, 5000).await.err().unwrap().is_not_found());
    let listed: Vec<_> = store.list().await.unwrap().try_collect().await.unwrap();
    assert!(listed.concat().is_empty(), "{listed:?}");
    (disk, refused.kind())
}

#[tokio::test]
async fn after_a_restart_what_is_there_is_read_once_and_only_by_who_needs_it() {
    let disk = SimulatedDisk::new(0);
    let open = || FsStore::on(Arc::new(disk.clone()), "/store".into()).unwrap();
    let (id, content) = (UploadId::random(), Bytes::from(vec![7; 5000]));
    let mut writer = open().begin(id, Algorithm::Sha256).await.unwrap();
    writer.write(content.slice(..4000)).await.unwrap();
    writer.park().await.unwrap();
    let store = open();
    store.fence(id).await.unwrap();
    assert_eq!(store.upload_size(id).await.unwrap(), Some(4000));
    store.resume(id, Algorithm::Sha256, 4000).await.unwrap().park().await.unwrap();
    assert_eq!(disk.count(Op::Read), 0, "who looks reads nothing");
    let reads = async |sums: bool| {
        let before = disk.count(Op::Read);
        let mut writer = open().resume(id, Algorithm::Sha256, 4000).await.unwrap();
        if sums {
            writer.with_sums().await.unwrap();
        }
        writer.write(content.slice(4000..)).await.unwrap();
        writer.park().await.unwrap();
        disk.count(Op::Read) - before
    };
    assert_eq!(reads(false).await, reads(true).await, "all sums come of one pass");
    // One that was stopped does not have to be read again, and what it becomes is proved all the same.
    let store = open();
    let mut writer = store.resume(id, Algorithm::Sha256, 5000).await.unwrap();
    writer.with_sums().await.unwrap();
    store.fence(id).await.unwrap();
    let before = disk.count(Op::Read);
    let writer = store.resume(id, Algorithm::Sha256, 5000).await.unwrap();
    let blob = writer.commit(&Digest::sha256(&content)).await.unwrap();
    assert_eq!((blob.size(), disk.count(Op::Read)), (5000, before));
}

#[tokio::test]
async fn what_an_unread_upload_lost_is_noticed_before_it_is_a_blob() {
    let disk = SimulatedDisk::new(0);
    let open = || FsStore::on(Arc::new(disk.clone()), "/store".into()).unwrap();
    let (id, content) = (UploadId::random(), Bytes::from(vec![7; 5000]));
    let mut writer = open().begin(id, Algorithm::Sha256).await.unwrap();
    writer.write(content.clone()).await.unwrap();
    writer.park().await.unwrap();
    let writer = open().resume(id, Algorithm::Sha256, 5000).await.unwrap();
    let refused = writer.commit(&Digest::sha256(b"other bytes")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn a_file_that_can_not_be_synced_is_given_up_and_never_synced_again() {
    for (error, told) in [(Errno::IO, ErrorKind::Internal), (Errno::NOSPC, ErrorKind::StorageFull)] {
        let (disk, refused) = commit_with(Op::SyncData, error).await;
        assert_eq!((refused, disk.count(Op::SyncData), disk.count(Op::Rename)), (told, 1, 0));
    }
}

#[tokio::test]
async fn a_blob_whose_folder_can_not_be_synced_is_given_up() {
    for (error, told) in [(Errno::IO, ErrorKind::Internal), (Errno::NOSPC, ErrorKind::StorageFull)] {
        let at_start = {
            let disk = SimulatedDisk::new(0);
            FsStore::on(Arc::new(disk.clone()), "/store".into()).unwrap();
            disk.count(Op::SyncFolder)
        };
        let (disk, refused) = commit_with(Op::SyncFolder, error).await;
        assert_eq!((refused, disk.count(Op::SyncFolder)), (told, at_start + 1));
    }
}
