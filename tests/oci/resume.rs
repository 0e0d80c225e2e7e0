//! Uploads that break off: by the client, by the network, by the server. None is ever finished as other
//! bytes than were sent, and none has to begin again that was acknowledged in part.

use crate::support::{Client, Session, TestServer, Wire, bytes, sha256, wait_for};

/// Sends from where the session stands to the end of `blob`, and finishes.
#[track_caller]
fn go_on(admin: &Client, session: &Session<'_>, blob: &[u8]) {
    let offset = session.offset();
    assert!(offset <= blob.len(), "{offset}");
    let digest = sha256(blob);
    session.chunk(offset, &blob[offset..]).expect(202);
    session.finish(b"", &digest).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed_between_two_chunks() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(1, 900_000);
    let session = admin.open_session("acme/app");
    session.append(&blob[..300_000]).expect(202);
    session.append(&blob[300_000..600_000]).expect(202);

    server.kill();
    server.start_again();

    assert_eq!(session.status().expect(204).header("range"), "0-599999");
    go_on(&admin, &session, &blob);
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed_in_the_middle_of_a_chunk() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(2, 2_000_000);
    let session = admin.open_session("acme/app");
    session.append(&blob[..300_000]).expect(202);
    let mut wire = Wire::connect(&admin);
    wire.request(&format!("PATCH {}", session.location), &["Content-Length: 1700000"]);
    wire.send(&blob[300_000..1_500_000]);
    // Bytes that nobody acknowledged are on the disk.
    let folder = server.data().join("store/uploads");
    let written = || {
        std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum()
    };
    wait_for("more bytes on the disk", || {
        Some(written()).filter(|length: &u64| *length > 300_000)
    });

    server.kill();
    server.start_again();

    // What was acknowledged, and not a byte of the rest.
    assert_eq!(session.offset(), 300_000);
    go_on(&admin, &session, &blob);
}

#[test]
fn an_upload_goes_on_after_the_server_was_stopped_in_order() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(3, 700_000);
    let session = admin.open_session("acme/app");
    session.append(&blob[..500_000]).expect(202);
    server.restart();
    go_on(&admin, &session, &blob);
}

#[test]
fn a_wrong_digest_is_found_out_after_a_restart_too() {
    let server = TestServer::start();
    let admin = server.admin();
    let session = admin.open_session("acme/app");
    session.append(b"half of ").expect(202);
    server.restart();
    session.finish(b"it", &sha256(b"it")).refused(400, "DIGEST_INVALID");
    assert_eq!(admin.blob_status("acme/app", &sha256(b"it")), 404);
}

#[test]
fn a_client_that_hangs_up_in_the_middle_of_a_stream_goes_on_where_it_stands() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(4, 900_000);
    for (number, framing) in ["Content-Length: 900000", "Transfer-Encoding: chunked"].into_iter().enumerate() {
        let session = admin.open_session("acme/app");
        let mut wire = Wire::connect(&admin);
        wire.request(&format!("PATCH {}", session.location), &[framing]);
        if number == 0 {
            wire.send(&blob[..600_000]);
        } else {
            wire.chunk(&blob[..600_000]);
        }
        wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));
        drop(wire);

        // Whatever the server kept, it knows how much.
        assert_eq!(admin.blob_status("acme/app", &sha256(&blob[..600_000])), 404);
        go_on(&admin, &session, &blob);
        admin.delete(&format!("/v2/acme/app/blobs/{}", sha256(&blob))).expect(202);
    }
}

#[test]
fn what_arrived_of_a_stream_that_broke_off_is_kept() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(5, 900_000);
    for chunked in [false, true] {
        let session = admin.open_session("acme/app");
        let mut wire = Wire::connect(&admin);
        let line = format!("PATCH {}", session.location);
        if chunked {
            wire.request(&line, &["Transfer-Encoding: chunked"]).chunk(&blob[..600_000]);
        } else {
            wire.request(&line, &["Content-Length: 900000"]).send(&blob[..600_000]);
        }

        wire.end_sending();

        let answer = wire.oci_answer();
        answer.refused(400, "SIZE_INVALID");
        assert_eq!(session.status().expect(204).header("range"), "0-599999", "chunked: {chunked}");
        go_on(&admin, &session, &blob);
    }
}

#[test]
fn a_put_that_breaks_off_commits_nothing_and_may_be_tried_again() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(6, 900_000);
    let digest = sha256(&blob);
    for chunked in [false, true] {
        let session = admin.open_session("acme/app");
        let mut wire = Wire::connect(&admin);
        let line = format!("PUT {}", session.finish_path(&digest));
        if chunked {
            wire.request(&line, &["Transfer-Encoding: chunked"]).chunk(&blob[..600_000]);
        } else {
            wire.request(&line, &["Content-Length: 900000"]).send(&blob[..600_000]);
        }

        wire.end_sending();

        wire.oci_answer().refused(400, "SIZE_INVALID");
        assert_eq!(admin.blob_status("acme/app", &digest), 404);
        let offset = session.offset();
        session.finish(&blob[offset..], &digest).expect(201);
        admin.delete(&format!("/v2/acme/app/blobs/{digest}")).expect(202);
    }
}

#[test]
fn a_whole_upload_that_breaks_off_leaves_nothing() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(7, 900_000);
    // That even the part that came is not stored shows with its digest.
    let digest = sha256(&blob[..600_000]);
    for chunked in [false, true] {
        let mut wire = Wire::connect(&admin);
        let line = format!("POST /v2/acme/app/blobs/uploads/?digest={digest}");
        if chunked {
            wire.request(&line, &["Transfer-Encoding: chunked"]).chunk(&blob[..600_000]);
        } else {
            wire.request(&line, &["Content-Length: 900000"]).send(&blob[..600_000]);
        }

        wire.end_sending();

        wire.oci_answer().refused(400, "SIZE_INVALID");
        assert_eq!(admin.blob_status("acme/app", &digest), 404);
        assert!(server.blob_files(&digest).is_empty());
        assert!(server.files("uploads").is_empty(), "chunked: {chunked}");
    }
}

#[test]
fn a_whole_upload_whose_client_vanishes_leaves_nothing() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(8, 900_000);
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={}", sha256(&blob)),
        &["Content-Length: 900000"],
    );
    wire.send(&blob[..600_000]);
    wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));

    drop(wire);

    wait_for("the file to go", || server.files("uploads").is_empty().then_some(()));
    assert_eq!(admin.blob_status("acme/app", &sha256(&blob)), 404);
}

#[test]
fn a_numbered_chunk_that_breaks_off_counts_for_nothing() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(9, 2000);
    let session = admin.open_session("acme/app");
    session.chunk(0, &blob[..1000]).expect(202);
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("PATCH {}", session.location),
        &["Content-Range: 1000-1999", "Content-Length: 1000"],
    );
    wire.send(&blob[1000..1500]).end_sending();
    wire.oci_answer().refused(400, "SIZE_INVALID");

    assert_eq!(session.offset(), 1000);
    go_on(&admin, &session, &blob);
}

#[test]
fn a_body_that_stops_arriving_is_given_up_and_may_go_on_later() {
    let server = TestServer::with(&[("limits.body_idle", "1s")]);
    let admin = server.admin();
    let blob = bytes(10, 5000);
    let session = admin.open_session("acme/app");
    let mut wire = Wire::connect(&admin);
    wire.request(&format!("PATCH {}", session.location), &["Content-Length: 5000"]);
    wire.send(&blob[..3000]);

    let answer = wire.oci_answer();

    answer.refused(408, "BLOB_UPLOAD_INVALID");
    assert_eq!(session.offset(), 3000);
    go_on(&admin, &session, &blob);
}

#[test]
fn a_newer_request_takes_the_session_over_from_an_older_one_that_hangs() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(11, 2_000_000);
    let session = admin.open_session("acme/app");
    let mut old = Wire::connect(&admin);
    old.request(&format!("PATCH {}", session.location), &["Content-Length: 2000000"]);
    old.send(&blob[..600_000]);
    wait_for("the older request at work", || (!server.files("uploads").is_empty()).then_some(()));

    // The client has given up on it and sends other bytes from the start.
    let other = bytes(12, 700_000);
    session.append(&other).expect(202);
    let _ = old.try_send(&blob[600_000..]);
    let late = old.oci_answer();

    late.refused(409, "BLOB_UPLOAD_INVALID");
    assert_eq!(session.offset(), 700_000);
    session.finish(b"", &sha256(&other)).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{}", sha256(&other))).expect(200).body, other);
}

#[test]
fn a_file_that_lost_bytes_under_the_server_is_not_passed_off_as_whole() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(13, 900_000);
    let session = admin.open_session("acme/app");
    session.append(&blob[..600_000]).expect(202);
    server.kill();
    // A power cut may take what was acknowledged but not yet flushed.
    let entry = std::fs::read_dir(server.data().join("store/uploads"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(entry.path()).unwrap();
    file.set_len(400_000).unwrap();
    server.start_again();

    let digest = sha256(&blob);
    let answer = session.chunk(600_000, &blob[600_000..]);

    answer.refused(416, "RANGE_INVALID");
    assert_eq!(answer.header("range"), "0-399999");
    session.chunk(400_000, &blob[400_000..]).expect(202);
    session.finish(b"", &digest).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
}

#[test]
fn an_upload_that_is_cancelled_while_it_is_written_leaves_nothing() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(14, 2_000_000);
    let session = admin.open_session("acme/app");
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("PUT {}", session.finish_path(&sha256(&blob))),
        &["Content-Length: 2000000"],
    );
    wire.send(&blob[..900_000]);
    wait_for("the upload's file", || (!server.files("uploads").is_empty()).then_some(()));

    admin.delete(&session.location).expect(204);
    let _ = wire.try_send(&blob[900_000..]);

    let answer = wire.oci_answer();
    assert!(matches!(answer.status, 404 | 409), "{answer}");
    assert_eq!(admin.blob_status("acme/app", &sha256(&blob)), 404);
    assert!(server.files("uploads").is_empty());
    assert!(server.blob_files(&sha256(&blob)).is_empty());
}

#[test]
fn a_put_that_is_sent_again_because_its_answer_was_lost_does_not_lose_the_blob() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(15, 700_000);
    let digest = sha256(&blob);
    let session = admin.open_session("acme/app");
    session.append(&blob).expect(202);
    // The client hangs up right after the request, and asks again at once.
    for _ in 0..3 {
        let mut wire = Wire::connect(&admin);
        wire.request(&format!("PUT {}", session.finish_path(&digest)), &["Content-Length: 0"]);
        drop(wire);
    }

    let again = session.finish(b"", &digest);

    assert!(matches!(again.status, 201 | 404 | 409), "{again}");
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
}
