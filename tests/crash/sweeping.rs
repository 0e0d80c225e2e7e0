//! A sweep that dies, or fails, between what it removes: the next one finishes the work, and what is in use stays.

use super::day::Trouble;
use super::failpoints::setting;
use super::{expect_clean, expect_clean_after_crash};
use crate::support::{Client, Session, TestServer, bytes, sha256, wait_for};
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of each session.
const HELD: usize = 30_000;

/// The sweep comes by each failpoint twice.
pub(super) fn sweeps(failpoint: &str, trouble: Trouble) {
    for time in 1..=2 {
        disturbed_sweep(failpoint, time, trouble);
    }
}

fn disturbed_sweep(failpoint: &str, time: u64, trouble: Trouble) {
    let server = TestServer::with(&[("sweep.interval", "1s")]);
    let admin = server.admin();
    let blob = bytes(1, 5000);
    let digest = admin.push_blob("acme/app", &blob);
    let [expired, also_expired, open] = [0, 1, 2].map(|_| session(&admin));
    server.kill();
    for session in [&expired, &also_expired] {
        expire(&server, session);
    }
    let orphans = [left_behind(&server, "uploads"), left_behind(&server, "blobs/sha256/11")];

    // A sweep is the first thing that a server does.
    let up = server.start_with_failpoint(&setting(failpoint, time, trouble));
    assert!(up || trouble == Trouble::Death);
    match trouble {
        Trouble::Death => {
            assert_eq!(server.ended(), -1, "not by a signal");
            expect_clean_after(&server, &orphans);
            server.start_again();
        }
        Trouble::Fault => {
            server.expects_errors();
            server.wait_for_log(&format!("failpoint {failpoint}"));
        }
    }

    let gone = |path: &Path| !path.try_exists().unwrap();
    wait_for("the orphans' removal", || orphans.iter().all(|path| gone(path)).then_some(()));
    let admin = admin.meets_faults();
    for session in [&expired, &also_expired] {
        admin.get(&session.location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // What the disturbed sweep could not remove is an orphan, and goes when it is old.
    let files = [&expired, &also_expired].map(|session| file(&server, session));
    files.iter().filter(|path| !gone(path)).for_each(|path| age(path));
    age(&file(&server, &open));
    wait_for("the sessions' removal", || files.iter().all(|path| gone(path)).then_some(()));
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
    assert_eq!(open.offset(), HELD);
    open.finish(b"", &sha256(&bytes(2, HELD))).expect(201);
    expect_clean(&server);
}

/// Litter that is old enough is found, and nothing else.
fn expect_clean_after(server: &TestServer, orphans: &[PathBuf]) {
    for orphan in orphans.iter().filter(|orphan| orphan.try_exists().unwrap()) {
        std::fs::File::open(orphan).unwrap().set_modified(now()).unwrap();
    }
    expect_clean_after_crash(server, &[]);
    expect_clean(server);
    orphans
        .iter()
        .filter(|orphan| orphan.try_exists().unwrap())
        .for_each(|orphan| age(orphan));
}

fn session(admin: &Client) -> Session<'_> {
    let session = admin.open_session("acme/app");
    session.append(&bytes(2, HELD)).expect(202);
    session
}

/// The id of a session, by which its file goes.
fn id<'s>(session: &'s Session<'_>) -> &'s str {
    let path = session.location.split('?').next().unwrap();
    path.rsplit('/').next().unwrap()
}

fn file(server: &TestServer, session: &Session<'_>) -> PathBuf {
    server.data().join("store/uploads").join(id(session))
}

/// Lets a session's time run out, of which the shortest that can be set is a minute.
fn expire(server: &TestServer, session: &Session<'_>) {
    let sql = format!("UPDATE upload SET expires_at = 1 WHERE id = '{}'", id(session));
    if let Some(database) = server.database() {
        database.query(&sql);
        return;
    }
    let path = server.data().join("granary.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    assert_eq!(diesel::sql_query(sql).execute(&mut connection), Ok(1));
}

/// An old file that no row names.
fn left_behind(server: &TestServer, folder: &str) -> PathBuf {
    let id = "11111111-1111-4111-8111-111111111111";
    let name = if folder == "uploads" {
        id.to_owned()
    } else {
        format!("{}.{id}", "1".repeat(64))
    };
    let path = server.data().join("store").join(folder).join(name);
    std::fs::write(&path, b"left behind").unwrap();
    age(&path);
    path
}

#[allow(clippy::disallowed_methods, reason = "files are aged by the wall clock, as a sweep reads it")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn age(path: &Path) {
    let two_days = Duration::from_secs(2 * 24 * 3600);
    let file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(now() - two_days).unwrap();
}
