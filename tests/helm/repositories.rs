//! One chart by two protocols, in a server that restarts and asks who one is.

use super::chart;
use crate::support::{Client, Image, TestServer, sha256};
use serde_json::{Value, json};

fn index(client: &Client, prefix: &str) -> Value {
    client.get(&format!("/helm/{prefix}/index.yaml")).expect(200).json()
}

#[test]
fn a_chart_that_is_uploaded_is_there_at_once_by_both_protocols_and_after_a_crash() {
    let server = TestServer::start();
    let admin = server.admin();
    let archive = chart("web", "1.2.3", "description: A chart\n");
    let saved = admin.call("POST", "/helm/acme/api/charts").body(&archive).expect(201);
    assert_eq!(saved.json(), json!({"saved": true}));
    let both = || {
        let entry = index(&admin, "acme")["entries"]["web"][0].clone();
        assert_eq!(format!("sha256:{}", entry["digest"].as_str().unwrap()), sha256(&archive));
        assert_eq!(admin.get("/helm/acme/charts/web-1.2.3.tgz").expect(200).body, archive);
        let manifest = admin.get("/v2/acme/web/manifests/1.2.3").expect(200).json();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
        assert_eq!(admin.get(&format!("/v2/acme/web/blobs/{layer}")).expect(200).body, archive);
    };
    both();
    server.kill();
    server.start_again();
    both();
    // What was stored holds together.
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn nobody_is_asked_for_a_token_here_but_for_a_password() {
    let server = TestServer::start();
    let archive = chart("web", "1.2.3", "");
    server.project("acme");
    let developer = server.member("dora", "acme", "developer");
    developer.call("POST", "/helm/acme/api/charts").body(&archive).expect(201);
    let nobody = server.anonymous();
    for path in [
        "/helm/acme/index.yaml",
        "/helm/acme/charts/web-1.2.3.tgz",
        "/helm/acme/api/charts/web",
    ] {
        let asked = nobody.get(path).expect(401);
        assert!(asked.header("www-authenticate").starts_with("Basic realm="), "{asked}");
        assert!(asked.json()["error"].is_string());
    }
    let refused = nobody.call("POST", "/helm/acme/api/charts").body(&archive).expect(401);
    assert!(refused.header("www-authenticate").starts_with("Basic"));
    server.account("outsider").get("/helm/acme/index.yaml").expect(403);
    let viewer = server.member("vera", "acme", "viewer");
    assert_eq!(index(&viewer, "acme")["entries"]["web"][0]["version"], "1.2.3");
    viewer.call("POST", "/helm/acme/api/charts").body(&archive).expect(403);
    developer.delete("/helm/acme/api/charts/web/1.2.3").expect(403);
    let maintainer = server.member("mia", "acme", "maintainer");
    maintainer.delete("/helm/acme/api/charts/web/1.2.3").expect(200);
    assert_eq!(index(&viewer, "acme")["entries"], json!({}));
}

#[test]
fn a_token_sees_and_adds_the_charts_that_it_names() {
    let server = TestServer::start();
    let admin = server.admin();
    for name in ["api", "web"] {
        admin
            .call("POST", "/helm/acme/api/charts")
            .body(&chart(name, "1.0.0", ""))
            .expect(201);
    }
    let narrow = admin.with_token("repository:acme/web:pull,push");
    let entries = index(&narrow, "acme")["entries"].clone();
    assert_eq!(entries.as_object().unwrap().keys().collect::<Vec<_>>(), ["web"]);
    narrow.get("/helm/acme/charts/web-1.0.0.tgz").expect(200);
    narrow.get("/helm/acme/charts/api-1.0.0.tgz").expect(404);
    narrow
        .call("POST", "/helm/acme/api/charts")
        .body(&chart("web", "2.0.0", ""))
        .expect(201);
    // The chart's name, and with it whether the token reaches that far, stands in the body.
    let before = (server.files("blobs"), server.files("uploads"));
    narrow
        .call("POST", "/helm/acme/api/charts")
        .body(&chart("api", "2.0.0", ""))
        .expect(401);
    assert_eq!((server.files("blobs"), server.files("uploads")), before);
}

#[test]
fn a_public_project_has_a_chart_repository_for_everybody() {
    let server = TestServer::with(&[("auth.anonymous", "true")]);
    let admin = server.admin();
    for project in ["open", "closed"] {
        let path = format!("/helm/{project}/api/charts");
        admin.call("POST", &path).body(&chart("web", "1.0.0", "")).expect(201);
    }
    server.cli(&["project", "public", "open", "on"]).expect(0);
    let nobody = server.anonymous();
    assert_eq!(index(&nobody, "open")["entries"]["web"][0]["version"], "1.0.0");
    nobody.get("/helm/open/charts/web-1.0.0.tgz").expect(200);
    nobody.get("/helm/closed/index.yaml").expect(401);
    nobody.get("/helm/absent/index.yaml").expect(401);
}

#[test]
fn an_index_that_the_client_has_is_not_sent_again() {
    let server = TestServer::start();
    let admin = server.admin();
    let upload = |version: &str| {
        admin
            .call("POST", "/helm/acme/api/charts")
            .body(&chart("web", version, ""))
            .expect(201)
    };
    upload("1.0.0");
    let first = admin.get("/helm/acme/index.yaml").expect(200);
    let again = |etag: &str| admin.call("GET", "/helm/acme/index.yaml").header("If-None-Match", etag).send();
    again(first.header("etag")).expect(304);
    let head = admin.head("/helm/acme/index.yaml").expect(200);
    assert_eq!(head.header("content-length"), first.body.len().to_string());
    upload("2.0.0");
    let second = again(first.header("etag")).expect(200);
    let versions = second.json()["entries"]["web"].as_array().unwrap().len();
    assert_eq!(versions, 2);
    // Nothing else changes it.
    admin.push("acme/app", "1.0", "an image");
    let image = Image::new("an image");
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(image.digest()));
    again(second.header("etag")).expect(304);
}

#[test]
fn what_curl_sends_by_its_name_is_a_chart_of_that_name() {
    let server = TestServer::start();
    let admin = server.admin();
    let archive = chart("web", "1.2.3", "");
    let put = |file: &str| admin.call("PUT", &format!("/helm/acme/charts/{file}")).body(&archive);
    let wrong = put("web-1.2.4.tgz").expect(400);
    assert!(wrong.json()["error"].as_str().unwrap().contains("web-1.2.3.tgz"));
    put("web-1.2.3.tgz").expect(201);
    put("web-1.2.3.tgz").expect(201);
    assert_eq!(admin.get("/helm/acme/web-1.2.3.tgz").expect(200).body, archive);
    let part = admin
        .call("GET", "/helm/acme/charts/web-1.2.3.tgz")
        .header("Range", "bytes=5-")
        .send();
    assert_eq!(part.expect(206).body, archive[5..]);
}
