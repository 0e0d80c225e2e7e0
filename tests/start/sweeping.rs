//! What a crash leaves behind is swept away when it is old, and nothing else is.

use crate::support::{TestServer, bytes, sha256, wait_for};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The time `days` ago.
#[allow(clippy::disallowed_methods, reason = "files are aged by the wall clock, as a sweep reads it")]
fn ago(days: u32) -> SystemTime {
    SystemTime::now() - DAY * days
}

fn age(path: &Path, days: u32) {
    let file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(ago(days)).unwrap();
}

/// The only file of a blob.
fn file_of(server: &TestServer, digest: &str) -> PathBuf {
    let files = server.blob_files(digest);
    assert_eq!(files.len(), 1);
    server.data().join("store/blobs/sha256").join(&digest[7..9]).join(&files[0])
}

#[test]
fn old_files_that_no_row_names_go_and_all_others_stay() {
    let server = TestServer::with(&[("sweep.interval", "1s"), ("sweep.orphan_age", "1h")]);
    let admin = server.admin();
    let blob = bytes(1, 5000);
    let digest = admin.push_blob("acme/app", &blob);
    let session = admin.open_session("acme/app");
    session.append(&bytes(2, 600_000)).expect(202);
    let (kept, uploads) = (file_of(&server, &digest), server.data().join("store/uploads"));
    let own = std::fs::read_dir(&uploads).unwrap().next().unwrap().unwrap().path();
    // A crash after the rename and before the row, and one in the middle of an upload.
    let id = "11111111-1111-4111-8111-111111111111";
    let (orphan, half) = (kept.with_extension(id), uploads.join(id));
    let young = uploads.join("22222222-2222-4222-8222-222222222222");
    for path in [&orphan, &half, &young] {
        std::fs::write(path, b"left behind").unwrap();
    }
    for path in [&orphan, &half, &kept, &own] {
        age(path, 2);
    }

    wait_for("the sweep", || {
        let gone = |path: &Path| !path.try_exists().unwrap();
        (gone(&orphan) && gone(&half)).then_some(())
    });

    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
    assert!(young.try_exists().unwrap(), "it may belong to a commit on its way");
    assert_eq!(session.offset(), 600_000);
    session.finish(b"", &sha256(&bytes(2, 600_000))).expect(201);
    server.wait_for_log("swept expired uploads and orphan files");
}

#[test]
fn a_file_that_is_none_of_the_stores_is_left_alone() {
    let server = TestServer::with(&[("sweep.interval", "1s"), ("sweep.orphan_age", "1h")]);
    let store = server.data().join("store");
    let strange = [
        store.join("uploads/README"),
        store.join("blobs/sha256/00/notes.txt"),
        store.join("lost+found"),
    ];
    for path in &strange {
        std::fs::write(path, b"an operator's").unwrap();
        age(path, 100);
    }
    let orphan = store.join("uploads/11111111-1111-4111-8111-111111111111");
    std::fs::write(&orphan, b"left behind").unwrap();
    age(&orphan, 100);

    wait_for("the sweep", || (!orphan.try_exists().unwrap()).then_some(()));

    for path in &strange {
        assert!(path.try_exists().unwrap(), "{}", path.display());
    }
}
