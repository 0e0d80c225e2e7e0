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
