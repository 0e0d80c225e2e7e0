//! Headers that mean something: none of them may be overlooked because of how it is written.

use crate::support::{Image, TestServer, Wire, by_hand};
use std::collections::HashSet;

#[test]
fn every_answer_has_a_request_id_of_its_own() {
    let server = TestServer::start();
    let admin = server.admin();
    let ids: HashSet<String> = (0..20)
        .map(|number| {
            let path = if number % 2 == 0 { "/v2/" } else { "/v2/acme/app/tags/list" };
            admin.get(path).header("x-request-id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 20);
}

#[test]
fn a_request_is_found_in_the_log_by_its_id() {
    let server = TestServer::with(&[("log.level", "debug")]);
    let answer = server.admin().get("/v2/acme/app/tags/list");
    let id = answer.header("x-request-id");
    server.wait_for_log(id);
}

#[test]
fn an_authorization_that_is_no_ascii_is_not_taken_for_none() {
    let server = TestServer::with(&[("auth.anonymous", "true")]);
    server.admin().push("acme/app", "1.0", "an image");
    server.cli(&["project", "public", "acme", "on"]).expect(0);
    for header in ["Authorization: Bäsic", "Authorization: Basic \u{fe}", "Authorization:"] {
        let answer = by_hand(&server.anonymous(), "GET", "/v2/acme/app/tags/list", &[header]);
        answer.refused(401, "UNAUTHORIZED");
    }
}

#[test]
fn a_condition_that_is_no_ascii_does_not_let_a_push_through() {
    let server = TestServer::start();
    let admin = server.admin();
    let (old, new) = (admin.push("acme/app", "1.0", "old"), Image::new("new"));
    admin.push_parts("acme/app", &new);
    let mut wire = Wire::connect(&admin);
    let length = format!("Content-Length: {}", new.manifest.bytes.len());
    let content_type = format!("Content-Type: {}", new.manifest.media_type);
    wire.request("PUT /v2/acme/app/manifests/1.0", &[&content_type, &length, "If-Match: \"\u{e9}\""]);
    wire.send(&new.manifest.bytes);

    let answer = wire.oci_answer();

    assert!(matches!(answer.status, 400 | 412), "{answer}");
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(old.digest()));
}

#[test]
fn conditions_on_several_lines_all_count() {
    let server = TestServer::start();
    let admin = server.admin();
    let (old, new) = (admin.push("acme/app", "1.0", "old"), Image::new("new"));
    admin.push_parts("acme/app", &new);
    let mut wire = Wire::connect(&admin);
    let length = format!("Content-Length: {}", new.manifest.bytes.len());
    let content_type = format!("Content-Type: {}", new.manifest.media_type);
    let (first, second) = ("If-None-Match: \"x\"", format!("If-None-Match: \"{}\"", old.digest()));
    wire.request("PUT /v2/acme/app/manifests/1.0", &[&content_type, &length, first, &second]);
    wire.send(&new.manifest.bytes);
    wire.oci_answer().refused(412, "PRECONDITION_FAILED");
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(old.digest()));
}

#[test]
fn a_range_of_a_chunk_that_is_no_ascii_is_not_taken_for_none() {
    let server = TestServer::start();
    let admin = server.admin();
    let session = admin.open_session("acme/app");
    let mut wire = Wire::connect(&admin);
    wire.request(
        &format!("PATCH {}", session.location),
        &["Content-Length: 4", "Content-Range: 5\u{2013}8"],
    );
    wire.send(b"abcd");
    wire.oci_answer().refused(400, "SIZE_INVALID");
    assert_eq!(session.offset(), 0);
}

#[test]
fn nobody_is_let_in_by_a_header_that_a_proxy_might_set() {
    let server = TestServer::start();
    server.admin().push("acme/app", "1.0", "an image");
    for header in [
        "X-Forwarded-User: admin",
        "X-Remote-User: admin",
        "X-Webauth-User: admin",
        "Remote-User: admin",
        "X-Original-Url: /livez",
        "X-Rewrite-Url: /livez",
        "X-Http-Method-Override: GET",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1;proto=https",
        "Cookie: session=admin",
    ] {
        by_hand(&server.anonymous(), "GET", "/v2/acme/app/tags/list", &[header]).refused(401, "UNAUTHORIZED");
    }
}
