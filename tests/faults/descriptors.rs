//! Open files run out.

use super::fsck;
use crate::support::{TestServer, Wire, bytes, sha256, wait_for};

/// Open files that the server may have, connections and all.
const FILES: &str = "--nofile=96:96";

fn few_files() -> Option<TestServer> {
    if std::process::Command::new("prlimit").arg("--version").output().is_err() {
        println!("skipped: no prlimit to take open files away with");
        return None;
    }
    let server = TestServer::launched_by(&["prlimit", FILES], &[("server.workers", "2"), ("database.pool_size", "2")]);
    server.expects_errors();
    Some(server)
}

#[test]
fn a_server_without_a_file_left_recovers_when_connections_close() {
    let Some(server) = few_files() else { return };
    let admin = server.admin();
    let (blob, digest) = (bytes(1, 500_000), sha256(&bytes(1, 500_000)));
    admin.push_blob("acme/app", &blob);

    // More than there are files for: the last of them stay with the kernel.
    let mut idle: Vec<Wire> = (0..150).map(|_| Wire::connect(&admin)).collect();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    wait_for("the last free file to go", || (open() >= 95).then_some(()));
    // Those who are in are answered, with the thing or with a refusal in order, and never with half of it.
    let mut inside = idle.remove(0);
    inside.request(&format!("GET /v2/acme/app/blobs/{digest}"), &[]);
    let answer = inside.answer();
    match answer.status {
        200 => assert_eq!(answer.body, blob),
        _ => assert!((500..600).contains(&answer.status), "{answer}"),
    }

    drop(idle);
    drop(inside);
    let read = wait_for("an answer", || {
        let answer = admin.meets_faults().call("GET", &format!("/v2/acme/app/blobs/{digest}")).attempt();
        answer.filter(|answer| answer.status == 200)
    });
    assert_eq!(read.body, blob);
    admin.push("acme/app", "1.0", "from afterwards");
    fsck(&server, 0);
}

#[test]
fn pushes_that_meet_the_end_of_the_files_fail_as_a_whole_and_succeed_later() {
    let Some(server) = few_files() else { return };
    let admin = server.admin();
    admin.push("acme/app", "1.0", "from before");
    let mut idle = Vec::new();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let mut pusher = Wire::connect(&admin);
    pusher.request("GET /v2/", &[]);
    pusher.answer().expect(200);
    wait_for("the last free file to go", || {
        idle.push(Wire::connect(&admin));
        (open() >= 96).then_some(())
    });

    let blob = bytes(2, 100_000);
    pusher.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={}", sha256(&blob)),
        &[&format!("Content-Length: {}", blob.len())],
    );
    let _ = pusher.try_send(&blob);
    let answer = pusher.answer();
    assert!(answer.status == 201 || (500..600).contains(&answer.status), "{answer}");

    drop((idle, pusher));
    wait_for("room for files", || (open() < 80).then_some(()));
    let there = admin.blob_status("acme/app", &sha256(&blob));
    assert_eq!(
        there == 200,
        answer.status == 201,
        "what was acknowledged is there, and nothing else: {there}"
    );
    admin.push_blob("acme/app", &blob);
    fsck(&server, 0);
}
