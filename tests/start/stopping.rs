//! The way down: what is in flight finishes, and what was acknowledged is there afterwards.

use crate::support::{TestServer, Wire, bytes, sha256, wait_for};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn an_upload_in_flight_finishes_before_the_server_exits() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(1, 900_000);
    let digest = sha256(&blob);
    let mut wire = Wire::connect(&admin);
    let length = format!("Content-Length: {}", blob.len());
    wire.request(&format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"), &[&length]);
    wire.send(&blob[..600_000]);
    // The request is being served once its bytes are on the disk.
    wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));

    server.terminate();
    server.wait_for_log("stopping");
    wire.send(&blob[600_000..]);

    wire.oci_answer().expect(201);
    drop(wire);
    assert_eq!(server.ended(), 0, "{}", server.log());
    assert!(server.log().contains("\"stopped\""), "{}", server.log());
    server.start_again();
    assert_eq!(server.admin().get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
}

#[test]
fn a_stopping_server_takes_no_new_connection() {
    let server = TestServer::start();
    let admin = server.admin();
    let mut wire = Wire::connect(&admin);
    let blob = bytes(2, 900_000);
    let digest = sha256(&blob);
    wire.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
        &["Content-Length: 900000"],
    );
    wire.send(&blob[..600_000]);
    // Served, not merely received: bytes are on the disk.
    wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));

    server.terminate();
    server.wait_for_log("stopping");

    wait_for("the door to close", || TcpStream::connect(server.address()).is_err().then_some(()));
    wire.send(&blob[600_000..]);
    wire.oci_answer().expect(201);
    assert_eq!(server.ended(), 0);
}

#[test]
fn a_request_that_never_ends_does_not_keep_the_server_from_stopping() {
    let server = TestServer::with(&[("server.drain_timeout", "1s")]);
    let admin = server.admin();
    let mut wire = Wire::connect(&admin);
    wire.request(
        "POST /v2/acme/app/blobs/uploads/?digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        &["Content-Length: 900000"],
    );
    wire.send(bytes(4, 600_000));
    wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));

    server.stop();
}

#[test]
fn a_clean_stop_leaves_no_socket_and_a_folder_that_others_may_use() {
    let server = TestServer::start();
    server.admin().get("/v2/").expect(200);
    server.stop();
    assert!(!server.data().join("granary.sock").try_exists().unwrap());
    server.cli(&["user", "list"]).expect(0);
}

#[test]
fn what_was_acknowledged_survives_a_kill_right_after_the_answer() {
    let server = TestServer::start();
    let admin = server.admin();
    for round in 0..3 {
        let tag = format!("round-{round}");
        let image = admin.push("acme/app", &tag, &tag);
        server.kill();
        server.start_again();
        let manifest = admin.get(&format!("/v2/acme/app/manifests/{tag}")).expect(200);
        assert_eq!(manifest.body, image.manifest.bytes);
        for blob in [&image.layer, &image.config] {
            let path = format!("/v2/acme/app/blobs/{}", sha256(blob));
            assert_eq!(admin.get(&path).expect(200).body, *blob);
        }
    }
}

#[test]
fn a_server_that_is_told_to_stop_right_after_its_greeting_stops_in_order() {
    let server = TestServer::start();
    for _ in 0..3 {
        server.restart();
    }
}

#[test]
fn an_interrupt_from_the_terminal_stops_it_as_well() {
    let server = TestServer::start();
    server.admin().get("/v2/").expect(200);
    server.interrupt();
    assert_eq!(server.ended(), 0, "{}", server.log());
}

#[test]
fn who_tells_a_draining_server_to_stop_once_more_ends_it_at_once() {
    let again: [fn(&TestServer); 2] = [TestServer::terminate, TestServer::interrupt];
    for (number, again) in again.into_iter().enumerate() {
        let server = TestServer::start();
        let admin = server.admin();
        let image = admin.push("acme/app", "1.0", "from before");
        let blob = bytes(6, 900_000);
        let digest = sha256(&blob);
        let mut wire = Wire::connect(&admin);
        wire.request(
            &format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
            &["Content-Length: 900000"],
        );
        wire.send(&blob[..600_000]);
        wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));
        server.terminate();
        server.wait_for_log("stopping");

        let asked = Instant::now();
        again(&server);

        assert_eq!(server.ended(), 1, "{number}: {}", server.log());
        assert!(asked.elapsed() < Duration::from_secs(20), "it waited for server.drain_timeout");
        assert_eq!(wire.rest(), "", "an upload that was broken off is answered");
        assert!(server.log().contains("told to stop a second time"), "{}", server.log());
        assert!(!server.data().join("granary.sock").try_exists().unwrap());
        server.start_again();
        assert_eq!(admin.blob_status("acme/app", &digest), 404);
        let manifest = admin.get("/v2/acme/app/manifests/1.0").expect(200);
        assert_eq!(manifest.body, image.manifest.bytes);
        server.cli(&["fsck"]).expect(0);
    }
}

#[test]
fn a_stopping_server_says_that_it_is_not_ready_to_those_who_are_connected() {
    let server = TestServer::start();
    let admin = server.admin();
    let mut probe = Wire::connect(&admin);
    probe.request("GET /readyz", &[]);
    probe.answer().expect(200);
    let mut upload = Wire::connect(&admin);
    let blob = bytes(5, 900_000);
    let digest = sha256(&blob);
    upload.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
        &["Content-Length: 900000"],
    );
    upload.send(&blob[..600_000]);
    wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));

    server.terminate();
    wait_for("the door to close", || TcpStream::connect(server.address()).is_err().then_some(()));

    // It may hang up on who asks nothing; it must not say that it is ready.
    let _ = probe.try_send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    let said = probe.rest();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 503"), "{said}");
    upload.send(&blob[600_000..]);
    upload.oci_answer().expect(201);
    assert_eq!(server.ended(), 0);
}

#[test]
fn connections_that_ask_nothing_do_not_hold_the_server() {
    let server = TestServer::start();
    let admin = server.admin();
    let mut used = Wire::connect(&admin);
    used.request("GET /v2/", &[]);
    used.oci_answer().expect(200);
    let unused = Wire::connect(&admin);
    server.stop();
    drop((used, unused));
}
