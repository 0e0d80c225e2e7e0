//! What a maintainer does to a version that was published, against the real server: who may, and that it lasts.

use super::chart;
use crate::support::{Client, TestServer};
use serde_json::{Value, json};

fn mark(client: &Client, version: &str, said: &Value) -> crate::support::Answer {
    let path = format!("/helm/acme/api/charts/web/{version}");
    client.call("PATCH", &path).body(said.to_string().as_bytes())
}

fn listed(client: &Client) -> Value {
    let index = client.get("/helm/acme/index.yaml").expect(200).json();
    let versions = index["entries"]["web"].as_array().cloned().unwrap_or_default();
    versions.into_iter().map(|entry| entry["version"].clone()).collect()
}

#[test]
fn a_version_is_replaced_by_force_once_the_operator_lets_the_project_do_so() {
    let server = TestServer::start();
    server.project("acme");
    let developer = server.member("dora", "acme", "developer");
    let (first, second) = (chart("web", "1.0.0", ""), chart("web", "1.0.0", "description: changed\n"));
    let send = |query: &str, archive: &[u8]| {
        let path = format!("/helm/acme/api/charts{query}");
        developer.call("POST", &path).body(archive)
    };
    send("", &first).expect(201);
    let kept = developer.get("/helm/acme/charts/web-1.0.0.tgz").expect(200);
    assert!(kept.header("cache-control").contains("immutable"), "{kept}");
    let refused = send("?force", &second).expect(409);
    assert!(refused.text().contains("not even by force"), "{refused}");

    let set = server.cli(&["project", "set", "acme", "--mutable-versions", "on"]).expect(0);
    assert_eq!(set.stderr, "published versions in project acme now may be replaced by force\n");
    send("", &second).expect(409);
    send("?force", &second).expect(201);
    let file = developer.get("/helm/acme/charts/web-1.0.0.tgz").expect(200);
    assert_eq!(file.body, second);
    assert_eq!(file.header("cache-control"), "private, no-cache");

    server.cli(&["project", "set", "acme", "--mutable-versions", "off"]).expect(0);
    send("?force", &first).expect(409);
    server.kill();
    server.start_again();
    assert_eq!(developer.get("/helm/acme/charts/web-1.0.0.tgz").expect(200).body, second);
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn a_maintainer_yanks_a_version_and_a_developer_does_not() {
    let server = TestServer::start();
    server.project("acme");
    let developer = server.member("dora", "acme", "developer");
    let maintainer = server.member("mia", "acme", "maintainer");
    for version in ["1.0.0", "1.1.0"] {
        let archive = chart("web", version, "");
        developer.call("POST", "/helm/acme/api/charts").body(&archive).expect(201);
    }
    let yank = json!({"yanked": true, "reason": "it loses data"});
    mark(&developer, "1.1.0", &yank).expect(403);
    assert_eq!(listed(&developer), json!(["1.1.0", "1.0.0"]));
    let said = mark(&maintainer, "1.1.0", &yank).expect(200).json();
    assert_eq!((&said["yanked"], &said["reason"]), (&json!(true), &json!("it loses data")));

    server.kill();
    server.start_again();
    assert_eq!(listed(&developer), json!(["1.0.0"]));
    let tags = developer.get("/v2/acme/web/tags/list").expect(200).json();
    assert_eq!(tags["tags"], json!(["1.0.0"]));
    for path in ["/helm/acme/charts/web-1.1.0.tgz", "/v2/acme/web/manifests/1.1.0"] {
        let answer = developer.get(path).expect(200);
        assert_eq!(
            answer.header("warning"),
            "299 - \"this version was yanked: it loses data\"",
            "{answer}"
        );
    }
    let told = developer.get("/helm/acme/api/unlisted").expect(200).json();
    let [row] = told["unlisted"].as_array().unwrap().as_slice() else {
        panic!("{told}")
    };
    assert_eq!((&row["repository"], &row["tags"]), (&json!("acme/web"), &json!(["1.1.0"])));
    assert_eq!(server.account("outsider").get("/helm/acme/api/unlisted").status, 403);

    mark(&maintainer, "1.1.0", &json!({"yanked": false, "deprecated": true})).expect(200);
    let index = developer.get("/helm/acme/index.yaml").expect(200).json();
    assert_eq!(index["entries"]["web"][0]["version"], "1.1.0");
    assert_eq!(index["entries"]["web"][0]["deprecated"], true);
    server.cli(&["fsck"]).expect(0);
}
