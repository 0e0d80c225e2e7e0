//! Public projects, anonymous callers, and who makes projects.

use crate::support::{Client, Image, TestServer};
use serde_json::json;

/// Pulls an image whole.
#[track_caller]
fn pull(client: &Client, repository: &str, image: &Image) {
    let manifest = client.get(&format!("/v2/{repository}/manifests/1.0")).expect(200);
    assert_eq!(manifest.body, image.manifest.bytes);
    for part in [&image.config, &image.layer] {
        let path = format!("/v2/{repository}/blobs/{}", crate::support::sha256(part));
        assert_eq!(client.get(&path).expect(200).body, *part);
    }
}

#[test]
fn a_public_project_is_closed_to_anonymous_callers_unless_the_operator_lets_them_in() {
    let server = TestServer::start();
    let image = server.admin().push("acme/app", "1.0", "an image");
    server.cli(&["project", "public", "acme", "on"]).expect(0);

    server.anonymous().get("/v2/acme/app/manifests/1.0").refused(401, "UNAUTHORIZED");

    // Anybody with an account may read it.
    let outsider = server.account("outsider");
    pull(&outsider, "acme/app", &image);
    outsider.post("/v2/acme/app/blobs/uploads/").refused(403, "DENIED");
    server.cli(&["project", "public", "acme", "off"]).expect(0);
    outsider.get("/v2/acme/app/manifests/1.0").refused(403, "DENIED");
}

#[test]
fn where_anonymous_callers_are_let_in_they_pull_public_content_with_and_without_a_token() {
    let server = TestServer::with(&[("auth.anonymous", "true")]);
    let admin = server.admin();
    let open = admin.push("open/app", "1.0", "a public image");
    admin.push("closed/app", "1.0", "a private image");
    server.cli(&["project", "public", "open", "on"]).expect(0);
    let nobody = server.anonymous();
    let with_token = nobody.with_token("repository:open/app:pull,push repository:closed/app:pull registry:catalog:*");

    pull(&nobody, "open/app", &open);
    pull(&with_token, "open/app", &open);
    for client in [&nobody, &with_token] {
        client.get("/v2/closed/app/manifests/1.0").refused(401, "UNAUTHORIZED");
        client.post("/v2/open/app/blobs/uploads/").refused(401, "UNAUTHORIZED");
        client.delete("/v2/open/app/manifests/1.0").refused(401, "UNAUTHORIZED");
    }
    assert_eq!(
        with_token.get("/v2/_catalog").expect(200).json(),
        json!({"repositories": ["open/app"]})
    );
    assert!(admin.tag_digest("open/app", "1.0").is_some());
}

#[test]
fn the_base_of_the_api_asks_for_credentials_even_where_anonymous_callers_are_let_in() {
    // Docker takes a 200 here for "no accounts here" and then never sends the ones it has.
    let server = TestServer::with(&[("auth.anonymous", "true")]);
    for agent in ["docker/28.0", "containerd/2.1", "curl/8.0", ""] {
        let answer = server.anonymous().call("GET", "/v2/").header("User-Agent", agent).send();
        answer.refused(401, "UNAUTHORIZED");
    }
    // A token for nobody is an answer to that.
    server.anonymous().with_token("").get("/v2/").expect(200);
}

#[test]
fn only_administrators_make_a_project_by_pushing_into_it() {
    let server = TestServer::start();
    let user = server.account("jo");

    user.post("/v2/fresh/app/blobs/uploads/").refused(403, "DENIED");
    let scoped = user.with_token("repository:fresh/app:pull,push");
    scoped.post("/v2/fresh/app/blobs/uploads/").refused(403, "DENIED");
    assert_eq!(server.cli(&["project", "list", "--output", "json"]).stdout.trim(), "[]");

    server.admin().push("fresh/app", "1.0", "an image");
    let projects = server.cli(&["project", "list", "--output", "json"]).stdout;
    assert_eq!(
        projects.trim(),
        r#"[{"immutable_files":"no","mutable_versions":"no","name":"fresh","public":"no"}]"#
    );
}

#[test]
fn where_users_may_make_projects_the_first_to_push_maintains_it() {
    let server = TestServer::with(&[("auth.project_creation", "users")]);
    let (jo, sam) = (server.account("jo"), server.account("sam"));

    jo.push("fresh/app", "1.0", "an image");

    sam.get("/v2/fresh/app/manifests/1.0").refused(403, "DENIED");
    sam.post("/v2/fresh/app/blobs/uploads/").refused(403, "DENIED");
    jo.delete("/v2/fresh/app/manifests/1.0").expect(202);
    let members = server.cli(&["project", "members", "fresh"]).expect(0).stdout;
    assert_eq!(members, "ACCOUNT  ROLE\njo       maintainer\n");
    server
        .anonymous()
        .post("/v2/another/app/blobs/uploads/")
        .refused(401, "UNAUTHORIZED");
}

#[test]
fn a_push_that_is_refused_makes_no_project_and_no_repository() {
    let server = TestServer::with(&[("auth.project_creation", "users")]);
    let jo = server.account("jo");
    let missing = Image::new("never uploaded");

    jo.put_manifest("fresh/app", "1.0", &missing.manifest)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");

    jo.get("/v2/fresh/app/tags/list").refused(404, "NAME_UNKNOWN");
    assert_eq!(server.cli(&["project", "list", "--output", "json"]).stdout.trim(), "[]");
}
