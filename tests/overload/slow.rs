//! Clients who send or take so slowly that waiting for them would be for ever.

use super::connections;
use crate::support::{TestServer, Wire, bytes, sha256, wait_for};
use std::time::Duration;

/// Bytes, one at a time and with a pause after each, until the server has something to say about it.
fn drip(wire: &mut Wire, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes.into_iter().take(600) {
        if wire.try_send(&[byte]).is_err() || wire.has_news(Duration::from_millis(100)) {
            return;
        }
    }
    panic!("the server lets itself be kept waiting");
}

#[test]
fn headers_that_drip_in_are_not_waited_for() {
    let server = TestServer::with(&[("limits.header_timeout", "1s")]);
    let mut wire = Wire::connect(&server.anonymous());
    drip(
        &mut wire,
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ".iter().copied().chain([b'a'; 600]),
    );
    let said = wire.rest();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said:?}");
    server.admin().get("/v2/").expect(200);
}

#[test]
fn a_connection_that_says_nothing_at_all_is_closed() {
    let server = TestServer::with(&[("limits.header_timeout", "1s")]);
    let mut wire = Wire::connect(&server.anonymous());
    let said = wire.rest();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said:?}");
}

#[test]
fn a_body_that_stops_arriving_is_given_up_on_every_route_that_takes_one() {
    let server = TestServer::with(&[("limits.body_idle", "1s")]);
    let admin = server.admin();
    let session = admin.open_session("acme/app").location;
    let digest = sha256(b"never");
    for line in [
        "POST /token".to_owned(),
        format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
        format!("PATCH {session}"),
        format!("PUT {session}?digest={digest}"),
        "PUT /v2/acme/app/manifests/1.0".to_owned(),
    ] {
        let mut wire = Wire::connect(&admin);
        wire.request(&line, &["Content-Length: 1000"]);
        wire.send(b"{\"schema");
        assert_eq!(wire.answer().status, 408, "{line}");
    }
    // What did arrive of an upload stands, and the session goes on.
    let session = admin.session_at(&session);
    let offset = session.offset();
    session.append(b"the rest").expect(202);
    assert_eq!(session.offset(), offset + 8);
}

#[test]
fn a_body_that_drips_in_is_given_up_and_a_slow_one_above_the_rate_is_not() {
    let server = TestServer::with(&[("limits.body_idle", "1s"), ("limits.body_rate", "200")]);
    let admin = server.admin();
    let blob = bytes(1, 1000);
    let line = format!("POST /v2/acme/app/blobs/uploads/?digest={}", sha256(&blob));
    let mut dripping = Wire::connect(&admin);
    dripping.request(&line, &["Content-Length: 1000"]);
    drip(&mut dripping, blob.iter().copied());
    assert_eq!(dripping.answer().status, 408);
    assert_eq!(admin.blob_status("acme/app", &sha256(&blob)), 404);

    let steady = bytes(2, 20_000);
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={}", sha256(&steady)),
        &["Content-Length: 20000"],
    );
    // Longer than the patience as a whole, but never too slow within it.
    for piece in steady.chunks(1000) {
        wire.send(piece);
        assert!(piece.as_ptr_range().end == steady.as_ptr_range().end || !wire.has_news(Duration::from_millis(100)));
    }
    wire.oci_answer().expect(201);
}

#[test]
fn a_reader_that_never_reads_is_cut_off() {
    let server = TestServer::with(&[("limits.reader_idle", "2s")]);
    let admin = server.admin();
    // More than all the buffers between here and there hold.
    let blob = bytes(1, 64 << 20);
    let digest = admin.push_blob("acme/app", &blob);
    let mut stuck: Vec<Wire> = (0..8).map(|_| Wire::connect(&admin)).collect();
    for wire in &mut stuck {
        wire.request(&format!("GET /v2/acme/app/blobs/{digest}"), &[]);
    }
    wait_for("the readers to be served", || (connections(&server) >= 8).then_some(()));
    wait_for("the readers to be cut off", || (connections(&server) == 0).then_some(()));
    drop(stuck);
    assert_eq!(
        admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body.len(),
        blob.len()
    );
}

#[test]
fn a_reader_that_takes_its_time_gets_all_of_it() {
    let server = TestServer::with(&[("limits.reader_idle", "2s")]);
    let admin = server.admin();
    let blob = bytes(1, 16 << 20);
    let digest = admin.push_blob("acme/app", &blob);
    let mut reader = admin.call("GET", &format!("/v2/acme/app/blobs/{digest}")).open_reader();
    let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        let count = std::io::Read::read(&mut reader, &mut piece).unwrap();
        if count == 0 {
            break;
        }
        all.extend_from_slice(&piece[..count]);
        if all.len() % 7 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(sha256(&all), digest);
}

#[test]
fn a_body_that_goes_on_after_its_answer_is_not_listened_to_for_ever() {
    let server = TestServer::start();
    let admin = server.admin();
    let full = format!("10000\r\n{}\r\n", "a".repeat(65_536));
    for line in ["GET /livez", "GET /token", "GET /v2/", "POST /v2/acme/app/blobs/uploads/"] {
        let mut wire = Wire::connect(&admin);
        wire.request(line, &["Transfer-Encoding: chunked"]);
        // More than the server reads ahead, so that it pauses.
        for _ in 0..8 {
            let _ = wire.try_send(full.as_bytes());
        }
        let answer = wire.answer();
        assert!(answer.status < 300, "{answer}");
        assert_eq!(answer.header("connection"), "close", "{line}");
        drip(&mut wire, b"1\r\na\r\n".iter().copied().cycle());
    }
    // An end that came in time is an end, and the connection goes on. In one piece: an end on its own may come late.
    // Often, and also by a request that is answered without a pause: the end is seen however fast the answer is.
    let mut wire = Wire::connect(&admin);
    let authorization = admin.authorization().unwrap();
    for _ in 0..50 {
        for (line, status) in [("POST /v2/acme/app/blobs/uploads/", 202), ("GET /v2/", 200)] {
            wire.send(format!(
                "{line} HTTP/1.1\r\nHost: granary.test\r\nAuthorization: {authorization}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ));
            let answer = wire.oci_answer().expect(status);
            assert_eq!(answer.find("connection"), None, "{line}");
        }
    }
}
