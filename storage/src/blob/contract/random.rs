//! Whatever way an upload takes, its blob is the bytes that were acknowledged, in their order.

use super::*;
use crate::blob::{FsStore, MemoryStore};
use proptest::prelude::*;
use proptest::sample::Index;

/// Something that happens to an upload.
#[derive(Clone, Debug)]
enum Step {
    /// The client sends so many bytes, in chunks of at most so many.
    Write { size: usize, chunk: usize },
    /// The request ends and is acknowledged; the next one comes.
    Park,
    /// The request ends and is not acknowledged; the next one comes.
    GiveUp,
    /// The client hangs up in the middle, and comes back.
    HangUp,
    /// As [`Step::Park`], and the next request meets another process.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![0..100usize, Just(256 * KIB), 200 * KIB..300 * KIB, MIB..MIB + 300 * KIB];
    let chunk = prop_oneof![16 * KIB..64 * KIB, Just(256 * KIB), Just(2 * MIB)];
    let step = prop_oneof![
        4 => (size, chunk).prop_map(|(size, chunk)| Step::Write { size, chunk }),
        2 => Just(Step::Park),
        1 => Just(Step::GiveUp),
        1 => Just(Step::HangUp),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..10)
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![3 => Just(Algorithm::Sha256), 1 => Just(Algorithm::Sha512)]
}

/// Takes an upload through `steps` and completes it. The two stores hold the same: two processes over one.
async fn follow(stores: [&dyn BlobStore; 2], steps: &[Step], begun: Algorithm, promised: Algorithm) {
    let id = UploadId::random();
    let mut at = 0;
    let mut writer = stores[at].begin(id, begun).await.unwrap();
    let (mut acknowledged, mut taken_in) = (Vec::new(), Vec::new());
    for (number, step) in (1..).zip(steps) {
        match step {
            Step::Write { size, chunk } => {
                let bytes = noise(number, *size);
                for start in (0..*size).step_by(*chunk) {
                    writer.write(bytes.slice(start..(start + chunk).min(*size))).await.unwrap();
                }
                taken_in.extend_from_slice(&bytes);
                assert_eq!(writer.offset(), taken_in.len() as u64);
                continue;
            }
            Step::Park => {
                assert_eq!(writer.park().await.unwrap(), taken_in.len() as u64);
                acknowledged.clone_from(&taken_in);
            }
            Step::Restart => {
                writer.park().await.unwrap();
                acknowledged.clone_from(&taken_in);
                at = 1 - at;
            }
            Step::GiveUp => drop(writer.park().await.unwrap()),
            Step::HangUp => drop(writer),
        }
        taken_in.clone_from(&acknowledged);
        writer = match stores[at].resume(id, begun, acknowledged.len() as u64).await {
            Ok(writer) => writer,
            Err(error) => {
                // Bytes that were acknowledged are there.
                assert_eq!((error.is_not_found(), acknowledged.len()), (true, 0), "{error:?}");
                stores[at].begin(id, begun).await.unwrap()
            }
        };
        assert_eq!(writer.offset(), acknowledged.len() as u64);
    }
    let blob = writer.commit(&Digest::of(promised, &taken_in)).await.unwrap();
    assert_eq!(blob.size(), taken_in.len() as u64);
    assert!(whole(stores[1 - at], &blob).await == taken_in, "the blob holds other bytes");
    let held = files(stores[at]).await;
    assert_eq!((held.uploads, held.blobs), (HashSet::new(), HashSet::from([blob.key().clone()])));
    // The next way starts from an empty store.
    stores[at].delete(blob.key()).await.unwrap();
}

fn block_on(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(story);
}

#[test]
fn any_way_through_requests_gives_the_acknowledged_bytes_on_fs() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (FsStore::open(folder.path()).unwrap(), FsStore::open(folder.path()).unwrap());
    proptest!(ways(), |(steps in steps(), begun in algorithm(), promised in algorithm())| {
        block_on(follow([&one, &other], &steps, begun, promised));
    });
}

#[test]
fn any_way_through_requests_gives_the_acknowledged_bytes_on_memory() {
    let store = MemoryStore::default();
    proptest!(ways(), |(steps in steps(), begun in algorithm(), promised in algorithm())| {
        block_on(follow([&store, &store], &steps, begun, promised));
    });
}

fn ways() -> ProptestConfig {
    ProptestConfig::with_cases(64)
}

#[test]
fn any_range_gives_just_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = FsStore::open(folder.path()).unwrap();
    let bytes = noise(1, 3 * MIB);
    proptest!(ways(), |(size in 0..=bytes.len(), one in any::<Index>(), other in any::<Index>())| {
        let (one, other) = (one.index(size + 1), other.index(size + 1));
        let (from, to) = (one.min(other), one.max(other));
        block_on(async {
            let blob = put(&store, &bytes.slice(..size)).await;
            let part = get(&store, blob.blob(), from as u64..to as u64).await.unwrap();
            assert!(part == bytes.slice(from..to), "the range {from}..{to} of {size} gave other bytes");
            store.delete(blob.key()).await.unwrap();
        });
    });
}
