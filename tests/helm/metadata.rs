//! What charts say about themselves and what a reader makes of it, before and after the server dies.

use super::{archive, chart};
use crate::support::TestServer;
use serde_json::{Value, json};

/// A chart that runs an image of this registry.
fn running(image: &str) -> Vec<u8> {
    let more = format!(
        "annotations:\n  artifacthub.io/license: MIT\n  artifacthub.io/crds: '- [broken'\n  artifacthub.io/images: |\n    - name: web\n      image: {image}\n"
    );
    chart("web", "1.0.0", &more)
}

#[test]
fn a_chart_leads_to_its_images_and_outlives_the_server() {
    let server = TestServer::with(&[("server.public_url", "https://registry.example.com")]);
    let admin = server.admin();
    for project in ["acme", "secret"] {
        server.project(project);
    }
    let image = admin.push("secret/web", "1.4", "an image");
    let viewer = server.member("vera", "acme", "viewer");
    let path = "/helm/acme/api/charts";
    admin
        .call("POST", path)
        .body(&running("registry.example.com/secret/web:1.4"))
        .expect(201);
    server.kill();
    server.start_again();
    let of = format!("{path}/web/1.0.0");
    let labels = viewer.get(&format!("{of}/labels")).expect(200).json();
    assert_eq!(labels["labels"]["artifacthub.io/license"], "MIT");
    let why = labels["labels"]["artifacthub.io/unread/crds"].as_str().unwrap();
    assert!(why.contains("is not valid YAML"), "{why}");
    // Only who may read the image is told that it is here.
    let target = |told: Value| told["images"][0]["target"].clone();
    let found = json!({"repository": "secret/web", "digest": image.digest()});
    assert_eq!(target(admin.get(&format!("{of}/images")).expect(200).json()), found);
    assert_eq!(target(viewer.get(&format!("{of}/images")).expect(200).json()), Value::Null);
    let narrow = admin.with_token("repository:acme/web:pull");
    assert_eq!(target(narrow.get(&format!("{of}/images")).expect(200).json()), Value::Null);
    server.account("outsider").get(&format!("{of}/images")).expect(403);
    // Both roads out are in the index, the one that helm takes first.
    let index = viewer.get("/helm/acme/index.yaml").expect(200).json();
    let urls = json!(["charts/web-1.0.0.tgz", "oci://registry.example.com/acme/web:1.0.0"]);
    assert_eq!(index["entries"]["web"][0]["urls"], urls);
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn a_publisher_is_named_by_who_manages_the_project_alone() {
    let server = TestServer::start();
    server.project("acme");
    let path = "/helm/acme/artifacthub-repo.yml";
    let file = "owners:\n  - name: anna\n    email: anna@example.com\n";
    let (maintainer, developer) = (
        server.member("mia", "acme", "maintainer"),
        server.member("dora", "acme", "developer"),
    );
    developer.call("PUT", path).body(file.as_bytes()).expect(403);
    // A token for a chart speaks for that chart.
    let narrow = maintainer.with_token("repository:acme/web:pull,push,delete");
    narrow.call("PUT", path).body(file.as_bytes()).expect(401);
    developer.get(path).expect(404);
    maintainer.call("PUT", path).body(file.as_bytes()).expect(201);
    server.kill();
    server.start_again();
    assert_eq!(developer.get(path).expect(200).text(), file);
    server.anonymous().get(path).expect(401);
    developer.delete(path).expect(403);
    maintainer.delete(path).expect(200);
    maintainer.get(path).expect(404);
}

#[test]
fn an_upgrade_is_reviewed_as_a_patch() {
    let server = TestServer::start();
    let admin = server.admin();
    for (version, values) in [("1.0.0", "replicas: 1\n"), ("1.1.0", "replicas: 3\n")] {
        let yaml = format!("apiVersion: v2\nname: api\nversion: {version}\n");
        let files: &[(&str, &[u8])] = &[("Chart.yaml", yaml.as_bytes()), ("values.yaml", values.as_bytes())];
        admin.call("POST", "/helm/acme/api/charts").body(&archive(files, "api")).expect(201);
    }
    let patch = admin.get("/helm/acme/api/charts/api/1.0.0/diff/1.1.0?format=text").expect(200);
    assert_eq!(
        patch.text(),
        "--- a/Chart.yaml\n+++ b/Chart.yaml\n@@ -1,3 +1,3 @@\n apiVersion: v2\n name: api\n-version: 1.0.0\n+version: 1.1.0\n\
         --- a/values.yaml\n+++ b/values.yaml\n@@ -1 +1 @@\n-replicas: 1\n+replicas: 3\n"
    );
    let moved = admin.get("/helm/acme/api/charts/api/1.0.0/diff/latest").expect(302);
    assert_eq!(moved.header("location"), "../../1.0.0/diff/1.1.0?format=json");
    server
        .account("outsider")
        .get("/helm/acme/api/charts/api/1.0.0/diff/1.1.0")
        .expect(403);
}
