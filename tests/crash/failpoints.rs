//! Each failpoint of the storage, at each time that a day comes by it: the process dies there, or the
//! step fails. The table names them all.

use super::day::{Day, Trouble};
use super::sweeping;
use crate::support::TestServer;
use std::collections::BTreeSet;
use std::path::Path;

/// Times that a day comes by one failpoint, at most.
const TIMES: u64 = 60;

/// One story for a death and one for a fault at each failpoint.
macro_rules! stories {
    ($($name:ident: $failpoint:literal by $story:path;)*) => {
        const TOLD: &[&str] = &[$($failpoint),*];
        $(
            mod $name {
                use super::*;

                #[test]
                fn the_process_dies() {
                    $story($failpoint, Trouble::Death);
                }

                #[test]
                fn the_step_fails() {
                    $story($failpoint, Trouble::Fault);
                }
            }
        )*
    };
}

stories! {
    blob_written: "blob.written" by days;
    blob_compared: "blob.compared" by days;
    blob_synced: "blob.synced" by days;
    blob_renamed: "blob.renamed" by days;
    blob_folder_synced: "blob.folder_synced" by days;
    blob_linked: "blob.linked" by days;
    blob_committed: "blob.committed" by days;
    blob_mounted: "blob.mounted" by days;
    blob_unlinked: "blob.unlinked" by days;
    manifest_stored: "manifest.stored" by days;
    tag_moved: "tag.moved" by days;
    manifest_committed: "manifest.committed" by days;
    manifest_deleted: "manifest.deleted" by days;
    tag_deleted: "tag.deleted" by days;
    file_stored: "file.stored" by days;
    file_named: "file.named" by days;
    file_labelled: "file.labelled" by days;
    file_deleted: "file.deleted" by days;
    catalog_before_commit: "catalog.before_commit" by days;
    catalog_after_commit: "catalog.after_commit" by days;
    sweep_expired: "sweep.expired" by sweeping::sweeps;
    sweep_orphan: "sweep.orphan" by sweeping::sweeps;
}

/// The value of `GRANARY_FAILPOINT`.
pub(super) fn setting(failpoint: &str, time: u64, trouble: Trouble) -> String {
    match trouble {
        Trouble::Death => format!("{failpoint}@{time}"),
        Trouble::Fault => format!("{failpoint}@{time}=error"),
    }
}

/// A day for each time that one comes by the failpoint, and one that does not come by that often.
fn days(failpoint: &str, trouble: Trouble) {
    let server = TestServer::start();
    if trouble == Trouble::Fault {
        server.expects_errors();
    }
    for time in 1..=TIMES {
        let day = Day::begin(&server.admin(), time);
        server.kill();
        let before = server.log().len();
        let up = server.start_with_failpoint(&setting(failpoint, time, trouble));
        if !up {
            // There are commits at the start, too.
            assert_ne!(server.ended(), 0);
            server.start_again();
        }
        if day.live(&server, trouble) || !up {
            continue;
        }
        server.kill();
        if !server.log()[before..].contains(&format!("failpoint {failpoint}")) {
            assert!(time > 1, "nothing comes by {failpoint}");
            return;
        }
        // Nobody asked for what failed: it was the sweep's.
        server.start_again();
    }
    panic!("a day comes by {failpoint} without end");
}

/// The names in the sources.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let hits = text.split("failpoint::hit(\"").skip(1);
            found.extend(hits.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
}

#[test]
fn every_failpoint_of_the_sources_has_its_story() {
    let mut found = BTreeSet::new();
    for folder in ["storage/src", "formats/src", "server/src"] {
        names(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder), &mut found);
    }
    let told: BTreeSet<String> = TOLD.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(found, told);
}
