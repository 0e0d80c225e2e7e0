//! Bodies: refused before they are sent, sent too slowly, sent to those who do not want them.

use crate::support::{TestServer, Wire, sha256};

#[test]
fn who_may_not_push_is_told_so_before_a_byte_of_the_body() {
    let server = TestServer::start();
    server.project("acme");
    let (nobody, outsider) = (server.anonymous(), server.account("outsider"));
    let digest = sha256(b"never sent");
    for (client, status) in [(&nobody, 401), (&outsider, 403)] {
        for line in [
            format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
            "PUT /v2/acme/app/manifests/1.0".to_owned(),
        ] {
            let mut wire = Wire::connect(client);
            wire.request(&line, &["Content-Length: 10737418240"]);
            wire.oci_answer().expect(status);
        }
    }
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it_when_it_may_send() {
    let server = TestServer::start();
    let admin = server.admin();
    let digest = sha256(b"abc");
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("POST /v2/acme/app/blobs/uploads/?digest={digest}"),
        &["Content-Length: 3", "Expect: 100-continue"],
    );
    wire.wait_for_continue();
    wire.send(b"abc");
    wire.oci_answer().expect(201);
    assert_eq!(admin.blob_status("acme/app", &digest), 200);
}

#[test]
fn a_client_that_waits_for_leave_to_send_is_refused_before_it_sends() {
    let server = TestServer::start();
    let mut wire = Wire::connect(&server.anonymous());
    wire.request(
        "PUT /v2/acme/app/manifests/1.0",
        &["Content-Length: 1000000", "Expect: 100-continue"],
    );
    // The framework says "100 Continue" to everybody; the refusal follows at once and waits for no byte.
    wire.oci_answer().refused(401, "UNAUTHORIZED");
}

#[test]
fn after_a_refusal_the_rest_of_the_body_is_not_taken_for_the_next_request() {
    let server = TestServer::start();
    let mut wire = Wire::connect(&server.anonymous());
    let smuggled = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    wire.request("PUT /v2/acme/app/manifests/1.0", &[&format!("Content-Length: {}", smuggled.len())]);
    wire.oci_answer().refused(401, "UNAUTHORIZED");

    let _ = wire.try_send(smuggled.as_bytes());
    wire.end_sending();

    let rest = wire.rest();
    assert!(!rest.contains("200 OK"), "{rest:?}");
}

#[test]
fn a_client_that_never_ends_its_headers_is_hung_up_on() {
    let server = TestServer::with(&[("limits.header_timeout", "1s")]);
    let mut wire = Wire::connect(&server.anonymous());
    wire.send("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let said = wire.rest();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said:?}");
    server.admin().get("/v2/").expect(200);
}

#[test]
fn a_manifest_that_stops_arriving_is_given_up() {
    let server = TestServer::with(&[("limits.body_idle", "1s")]);
    let admin = server.admin();
    let mut wire = Wire::connect(&admin);
    wire.request("PUT /v2/acme/app/manifests/1.0", &["Content-Length: 1000"]);
    wire.send(b"{\"schemaVersion\": 2,");
    let answer = wire.oci_answer();
    assert_eq!(answer.status, 408, "{answer}");
}

#[test]
fn a_manifest_that_breaks_off_is_not_stored_even_where_its_part_would_do() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "older", "an image");
    let length = image.manifest.bytes.len();
    for framing in ["Transfer-Encoding: chunked".to_owned(), format!("Content-Length: {}", length + 1)] {
        let mut wire = Wire::connect(&admin);
        let content_type = format!("Content-Type: {}", image.manifest.media_type);
        wire.request("PUT /v2/acme/app/manifests/1.0", &[&content_type, &framing]);
        if framing.starts_with("Transfer") {
            wire.chunk(&image.manifest.bytes);
        } else {
            wire.send(&image.manifest.bytes);
        }
        // The client is gone before it said that this was all.
        wire.end_sending();
        let answer = wire.oci_answer();
        assert_eq!(answer.status, 400, "{framing}: {answer}");
        assert_eq!(admin.tag_digest("acme/app", "1.0"), None, "{framing}");
    }
}

#[test]
fn a_token_request_that_never_ends_is_given_up() {
    let server = TestServer::with(&[("limits.body_idle", "1s")]);
    let mut wire = Wire::connect(&server.anonymous());
    wire.request("POST /token", &["Content-Length: 1000"]);
    wire.send(b"grant_type=password&");
    let answer = wire.answer();
    assert!(matches!(answer.status, 400 | 408), "{answer}");
}

#[test]
fn a_body_that_nobody_asked_for_does_no_harm() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    for method in ["GET", "HEAD", "DELETE"] {
        let answer = admin.call(method, "/v2/acme/app/manifests/1.0").body(b"{\"unexpected\": true}");
        assert!(matches!(answer.status, 200 | 202), "{answer}");
    }
}
