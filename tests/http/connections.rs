//! Connections: several requests on one, and many at once.

use crate::support::{TestServer, Wire};

#[test]
fn requests_that_are_sent_ahead_are_answered_in_their_order() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let mut wire = Wire::connect(&admin);
    for path in ["/v2/", "/v2/acme/app/manifests/nothing", "/livez", "/v2/acme/app/tags/list"] {
        wire.request(&format!("GET {path}"), &[]);
    }
    assert_eq!(wire.oci_answer().expect(200).text(), "{}");
    wire.oci_answer().refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(wire.answer().expect(200).text(), "ok\n");
    assert_eq!(
        wire.oci_answer().expect(200).json(),
        serde_json::json!({"name": "acme/app", "tags": ["1.0"]})
    );
}

#[test]
fn head_and_get_take_turns_on_one_connection() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let mut wire = Wire::connect(&admin);
    for _ in 0..3 {
        wire.request("HEAD /v2/acme/app/manifests/1.0", &[]);
        wire.head_answer().expect(200);
        wire.request("GET /v2/acme/app/manifests/1.0", &[]);
        assert_eq!(wire.oci_answer().expect(200).body, image.manifest.bytes);
        wire.request("HEAD /v2/acme/app/manifests/nothing", &[]);
        wire.head_answer().expect(404);
        wire.request("GET /v2/acme/app/manifests/1.0", &["If-None-Match: *"]);
        wire.oci_answer().expect(304);
    }
}

#[test]
fn each_request_on_a_connection_has_credentials_of_its_own() {
    let server = TestServer::start();
    let (admin, nobody) = (server.admin(), server.anonymous());
    let mut wire = Wire::connect(&nobody);
    let authorization = format!("Authorization: {}", admin.authorization().unwrap());
    wire.request("GET /v2/", &[&authorization]);
    wire.oci_answer().expect(200);
    wire.request("GET /v2/", &[]);
    wire.oci_answer().refused(401, "UNAUTHORIZED");
}

#[test]
fn hundreds_of_idle_connections_leave_room_for_those_who_ask() {
    let server = TestServer::start();
    let admin = server.admin();
    let idle: Vec<Wire> = (0..400).map(|_| Wire::connect(&admin)).collect();
    admin.get("/v2/").expect(200);
    drop(idle);
}

#[test]
fn a_client_that_goes_away_while_it_is_answered_harms_nobody() {
    let server = TestServer::start();
    let admin = server.admin();
    let digest = admin.push_blob("acme/app", &crate::support::bytes(1, 8_000_000));
    for _ in 0..5 {
        let mut wire = Wire::connect(&admin);
        wire.request(&format!("GET /v2/acme/app/blobs/{digest}"), &[]);
        drop(wire);
    }
    let read = admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200);
    assert_eq!(crate::support::sha256(&read.body), digest);
}
