//! The process dies, in every step that has a failpoint and at random instants; a step fails as on a
//! broken disk. What was acknowledged is there afterwards, and nothing is there by half.

mod day;
mod failpoints;
mod kills;
mod pieces;
mod resending;
mod sweeping;
mod upload;

use crate::support::TestServer;

/// What `granary fsck` finds, by the words for it. None of it means that content is lost.
#[track_caller]
fn findings(server: &TestServer, arguments: &[&str]) -> Vec<String> {
    let ran = server.cli(&[&["fsck", "--output", "json"], arguments].concat()).expect(0);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["finding"].as_str().unwrap().to_owned()).collect()
}

/// `granary fsck` finds nothing and says nothing on standard output.
#[track_caller]
fn expect_clean(server: &TestServer) {
    let ran = server.cli(&["fsck"]).expect(0);
    assert_eq!(ran.stdout, "", "{}", ran.stderr);
}

/// The same right after a crash. A session whose bytes had just become a blob that no row names is
/// found to have lost them; whoever goes on with it is told that there is no such upload.
#[track_caller]
fn expect_clean_after_crash(server: &TestServer, arguments: &[&str]) {
    let found = findings(server, arguments);
    assert!(found.iter().all(|finding| finding == "upload-short"), "{found:?}");
}
