//! The list of repositories, in pages, filtered to what the caller may read.

use crate::support::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// Repositories of three projects, one image each.
fn with_repositories() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    for name in ["acme/app", "acme/app/sub", "acme/app-x", "base/os", "vault/app"] {
        admin.push(name, "1.0", name);
    }
    (server, admin)
}

fn repositories(answer: Answer) -> Value {
    answer.expect(200).json()["repositories"].clone()
}

#[test]
fn everybody_sees_what_they_may_read_in_one_order() {
    let (server, admin) = with_repositories();
    assert_eq!(
        repositories(admin.get("/v2/_catalog")),
        // Bytewise: '-' before '/'.
        json!(["acme/app", "acme/app-x", "acme/app/sub", "base/os", "vault/app"])
    );
    let viewer = server.member("viewer", "acme", "viewer");
    assert_eq!(
        repositories(viewer.get("/v2/_catalog")),
        json!(["acme/app", "acme/app-x", "acme/app/sub"])
    );
    let outsider = server.account("outsider");
    assert_eq!(repositories(outsider.get("/v2/_catalog")), json!([]));

    server.cli(&["project", "public", "base", "on"]).expect(0);
    assert_eq!(repositories(outsider.get("/v2/_catalog")), json!(["base/os"]));
    assert_eq!(
        repositories(viewer.get("/v2/_catalog")),
        json!(["acme/app", "acme/app-x", "acme/app/sub", "base/os"])
    );
    server.cli(&["project", "revoke", "acme", "viewer"]).expect(0);
    assert_eq!(repositories(viewer.get("/v2/_catalog")), json!(["base/os"]));
}

#[test]
fn pages_lead_through_what_is_visible_and_stumble_over_nothing_hidden() {
    let (server, _) = with_repositories();
    let dev = server.member("dev", "acme", "viewer");
    server.cli(&["project", "grant", "vault", "dev", "viewer"]).expect(0);
    let mut path = Some("/v2/_catalog?n=2".to_owned());
    let mut pages = Vec::new();
    while let Some(page) = path {
        let answer = dev.get(&page).expect(200);
        pages.push(answer.json()["repositories"].clone());
        let link = answer.find("link").map(|link| link.trim_start_matches('<'));
        path = link.map(|link| link.strip_suffix(">; rel=\"next\"").unwrap().to_owned());
    }
    assert_eq!(pages, [json!(["acme/app", "acme/app-x"]), json!(["acme/app/sub", "vault/app"])]);
}

#[test]
fn markers_and_numbers_are_as_for_tags() {
    let (_server, admin) = with_repositories();
    assert_eq!(
        repositories(admin.get("/v2/_catalog?last=acme/app/sub")),
        json!(["base/os", "vault/app"])
    );
    assert_eq!(repositories(admin.get("/v2/_catalog?last=b&n=1")), json!(["base/os"]));
    assert_eq!(repositories(admin.get("/v2/_catalog?last=zzz")), json!([]));
    assert_eq!(repositories(admin.get("/v2/_catalog?n=0")), json!([]));
    assert_eq!(repositories(admin.get("/v2/_catalog?n=1000000000")).as_array().unwrap().len(), 5);
    for number in ["-1", "x", ""] {
        admin
            .get(&format!("/v2/_catalog?n={number}"))
            .refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn a_token_for_the_catalog_lists_as_its_owner_would() {
    let (server, _) = with_repositories();
    let dev = server.member("dev", "base", "viewer");
    let token = dev.with_token("registry:catalog:*");
    assert_eq!(repositories(token.get("/v2/_catalog")), json!(["base/os"]));
    server.cli(&["user", "disable", "dev"]).expect(0);
    token.get("/v2/_catalog").refused(401, "UNAUTHORIZED");
}

#[test]
fn an_empty_registry_has_an_empty_catalog() {
    let server = TestServer::start();
    let answer = server.admin().get("/v2/_catalog").expect(200);
    assert_eq!(answer.text(), r#"{"repositories":[]}"#);
    assert_eq!(answer.header("content-type"), "application/json");
}
