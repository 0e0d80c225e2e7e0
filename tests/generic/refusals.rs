//! Refusals: asked for credentials in a way that every client can answer, and before the body is sent.

use super::{refused, with_developer};
use crate::support::{Wire, sha256};

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

#[test]
fn who_sends_no_credentials_is_asked_for_a_password() {
    let (server, dev) = with_developer();
    dev.call("PUT", FW).body(b"abc").expect(201);
    for (method, path) in [("GET", FW), ("HEAD", FW), ("DELETE", FW), ("GET", "/generic/acme/firmware/")] {
        let answer = server.anonymous().call(method, path).send().expect(401);
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"granary\", charset=\"UTF-8\"");
    }
    let wrong = server.anonymous().basic("dev", "wrong").get(FW);
    assert_eq!(
        wrong.expect(401).header("www-authenticate"),
        "Basic realm=\"granary\", charset=\"UTF-8\""
    );
    // Whether there is such a file, nobody learns who may not read it.
    let outsider = server.account("outsider");
    let (there, nowhere) = (outsider.get(FW), outsider.get("/generic/acme/none/x"));
    assert_eq!(refused(&there, 403), refused(&nowhere, 403));
    assert_eq!(there.fingerprint(), nowhere.fingerprint());
}

#[test]
fn a_viewer_reads_and_changes_nothing() {
    let (server, dev) = with_developer();
    dev.call("PUT", FW).body(b"abc").expect(201);
    let viewer = server.member("viewer", "acme", "viewer");
    assert_eq!(viewer.get(FW).expect(200).text(), "abc");
    refused(&viewer.call("PUT", FW).body(b"other"), 403);
    refused(&viewer.call("PUT", &format!("{FW}.new")).body(b"other"), 403);
    refused(&viewer.delete(FW), 403);
    refused(&dev.delete(FW), 403);
    assert_eq!(viewer.get(FW).text(), "abc");
    server.member("owner", "acme", "maintainer").delete(FW).expect(204);
}

#[test]
fn what_will_be_refused_is_refused_before_the_body_is_sent() {
    let (_server, dev) = with_developer();
    dev.call("PUT", FW).body(b"abc").expect(201);
    for (path, header, status) in [
        (FW, "If-None-Match: *", 412),
        ("/generic/acme/firmware/1.2", "X-Nothing: 1", 409),
        (FW, "Content-Range: bytes 0-9/100", 400),
        (FW, "X-Explode-Archive: true", 400),
        (FW, "Content-Encoding: gzip", 415),
        (FW, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 412),
    ] {
        let mut wire = Wire::connect(&dev);
        // A gigabyte is announced and not a byte of it comes.
        let headers = ["Content-Length: 1000000000", header];
        let answer = wire.request(&format!("PUT {path}"), &headers).answer();
        assert!(!refused(&answer, status).is_empty(), "{header}");
    }
    assert_eq!(dev.get(FW).text(), "abc");
}

#[test]
fn a_repository_of_images_takes_no_files() {
    let (server, dev) = with_developer();
    server.admin().push("acme/app", "1.0", "an image");
    let sentence = refused(&dev.call("PUT", "/generic/acme/app/x").body(b"x"), 409);
    assert_eq!(sentence, "acme/app is a repository of another format (oci)");
    refused(&dev.get("/generic/acme/app/x"), 404);
    assert!(server.admin().tag_digest("acme/app", "1.0").is_some());
}

#[test]
fn a_page_of_a_project_never_runs_on_this_server() {
    let (_server, dev) = with_developer();
    let page = "/generic/acme/firmware/notes.html";
    dev.call("PUT", page)
        .header("Content-Type", "text/html")
        .body(b"<script>")
        .expect(201);
    let answer = dev.get(page).expect(200);
    assert_eq!(answer.header("content-type"), "text/html");
    assert_eq!(answer.header("content-disposition"), "attachment");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-checksum-sha256"), &sha256(b"<script>")[7..]);
}

#[test]
fn who_waits_for_leave_to_send_a_file_gets_it_or_the_refusal() {
    let (_server, dev) = with_developer();
    let waits = ["Content-Length: 3", "Expect: 100-continue"];
    let mut wire = Wire::connect(&dev);
    wire.request(&format!("PUT {FW}"), &waits).wait_for_continue();
    assert_eq!(wire.send("abc").answer().status, 201);
    // An early leave does no harm: nothing that follows it is taken.
    let mut wire = Wire::connect(&dev);
    wire.request(&format!("PUT {FW}"), &[waits[0], waits[1], "If-None-Match: *"]);
    refused(&wire.answer(), 412);
    assert_eq!(dev.get(FW).text(), "abc");
}

#[test]
fn a_file_whose_end_nothing_tells_is_refused_and_an_empty_one_is_a_file() {
    let (_server, dev) = with_developer();
    let authorization = dev.authorization().unwrap();
    let mut wire = Wire::connect(&dev);
    wire.send(format!("PUT {FW} HTTP/1.0\r\nAuthorization: {authorization}\r\n\r\nabc"));
    let sentence = refused(&wire.answer(), 411);
    assert_eq!(sentence, "HTTP/1.0 says where a file ends by its Content-Length; send one");
    dev.get(FW).expect(404);
    let mut wire = Wire::connect(&dev);
    wire.send(format!(
        "PUT {FW} HTTP/1.0\r\nAuthorization: {authorization}\r\nContent-Length: 3\r\n\r\nabc"
    ));
    assert_eq!(wire.answer().status, 201);
    assert_eq!(dev.get(FW).text(), "abc");
    // From HTTP/1.1 on, a request that announces no body has none (RFC 9112 §6.3).
    let empty = "/generic/acme/firmware/1.2/empty";
    let mut wire = Wire::connect(&dev);
    assert_eq!(wire.request(&format!("PUT {empty}"), &[]).answer().status, 201);
    assert_eq!(dev.get(empty).expect(200).header("content-length"), "0");
}

#[test]
fn who_may_add_and_who_may_overwrite_goes_by_the_role() {
    let (server, dev) = with_developer();
    dev.call("PUT", FW).body(b"one").expect(201);
    refused(&server.member("viewer", "acme", "viewer").call("PUT", FW).body(b"two"), 403);
    dev.call("PUT", FW).body(b"two").expect(200);
    server
        .member("owner", "acme", "maintainer")
        .call("PUT", FW)
        .body(b"three")
        .expect(200);
    server.admin().call("PUT", FW).body(b"four").expect(200);
    refused(&server.account("outsider").call("PUT", FW).body(b"five"), 403);
    assert_eq!(dev.get(FW).text(), "four");
}
