//! Headers that mean something: none of them may be overlooked because of how it is written.

use crate::support::{TestServer, by_hand};
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
