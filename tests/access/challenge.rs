//! What somebody without the right credentials is told, to the letter: clients parse it.

use crate::support::{Client, TestServer};
use serde_json::json;

/// The challenge of an answer, which must be 401.
#[track_caller]
fn challenge(client: &Client, method: &str, path: &str) -> String {
    let answer = client.call(method, path).send();
    assert_eq!(answer.status, 401, "{answer}");
    answer.header("www-authenticate").to_owned()
}

#[test]
fn a_caller_without_credentials_is_sent_to_the_token_endpoint() {
    let server = TestServer::start();
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"granary\"", server.address());
    let nobody = server.anonymous();

    assert_eq!(challenge(&nobody, "GET", "/v2/"), realm);
    assert_eq!(challenge(&nobody, "GET", "/v2"), realm);
    assert_eq!(challenge(&nobody, "HEAD", "/v2/"), realm);
    for (method, path, scope) in [
        ("GET", "/v2/acme/app/manifests/1.0", "repository:acme/app:pull"),
        ("HEAD", "/v2/acme/app/manifests/1.0", "repository:acme/app:pull"),
        ("GET", "/v2/acme/app/tags/list", "repository:acme/app:pull"),
        ("DELETE", "/v2/acme/app/manifests/1.0", "repository:acme/app:delete"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        // The scope names the repository as access sees it.
        ("GET", "/v2/hello/tags/list", "repository:library/hello:pull"),
    ] {
        assert_eq!(
            challenge(&nobody, method, path),
            format!("{realm},scope=\"{scope}\""),
            "{method} {path}"
        );
    }
}

#[test]
fn the_challenge_of_a_push_asks_for_pull_too_since_every_push_looks_before_it_sends() {
    let server = TestServer::start();
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"granary\"", server.address());
    let nobody = server.anonymous();
    let session = "/v2/acme/app/blobs/uploads/00000000-0000-4000-8000-000000000000";
    for (method, path) in [
        ("POST", "/v2/acme/app/blobs/uploads/"),
        ("PATCH", session),
        ("PUT", &format!("{session}?digest={}", crate::support::sha256(b""))),
        ("DELETE", session),
        ("PUT", "/v2/acme/app/manifests/1.0"),
    ] {
        assert_eq!(
            challenge(&nobody, method, path),
            format!("{realm},scope=\"repository:acme/app:pull,push\""),
            "{method} {path}"
        );
    }
}

#[test]
fn the_challenge_of_a_mount_names_both_repositories() {
    let server = TestServer::start();
    let path = format!("/v2/acme/app/blobs/uploads/?mount={}&from=acme/base", crate::support::sha256(b""));

    let header = challenge(&server.anonymous(), "POST", &path);

    assert!(header.contains("repository:acme/app:"), "{header}");
    assert!(header.contains(" repository:acme/base:pull\""), "{header}");
}

#[test]
fn the_realm_is_the_address_that_the_operator_says_clients_use() {
    let server = TestServer::with(&[("server.public_url", "https://registry.example.com"), ("auth.service", "registry")]);
    let header = challenge(&server.anonymous(), "GET", "/v2/");
    assert_eq!(header, "Bearer realm=\"https://registry.example.com/token\",service=\"registry\"");
}

#[test]
fn a_forwarded_address_is_believed_from_a_configured_proxy_alone() {
    let realm = |server: &TestServer| {
        let answer = server
            .anonymous()
            .call("GET", "/v2/")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "outer.example")
            .send();
        answer.header("www-authenticate").to_owned()
    };
    let behind_proxy = TestServer::with(&[("server.trusted_proxies", "127.0.0.0/8")]);
    assert!(realm(&behind_proxy).starts_with("Bearer realm=\"https://outer.example/token\""));

    let direct = TestServer::start();
    assert!(realm(&direct).starts_with(&format!("Bearer realm=\"http://{}/token\"", direct.address())));
}

#[test]
fn a_token_that_reaches_too_little_is_told_what_would_do() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let reader = admin.with_token("repository:acme/app:pull");
    reader.get("/v2/acme/app/tags/list").expect(200);

    for (method, path, scope) in [
        ("DELETE", "/v2/acme/app/manifests/1.0", "repository:acme/app:delete"),
        ("GET", "/v2/acme/other/tags/list", "repository:acme/other:pull"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ] {
        let header = challenge(&reader, method, path);
        assert!(
            header.ends_with(&format!(",scope=\"{scope}\",error=\"insufficient_scope\"")),
            "{method} {path}: {header}"
        );
    }
    assert!(admin.tag_digest("acme/app", "1.0").is_some(), "what was refused was done");
}

#[test]
fn a_mount_that_only_a_wider_token_could_do_asks_for_it_before_anything_is_uploaded() {
    let server = TestServer::start();
    let admin = server.admin();
    let digest = admin.push_blob("acme/base", b"a layer");
    let path = format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=acme/base");

    let narrow = admin.with_token("repository:acme/app:pull,push");
    let header = challenge(&narrow, "POST", &path);
    assert!(
        header.contains("repository:acme/app:") && header.contains(" repository:acme/base:pull"),
        "{header}"
    );
    assert!(header.ends_with(",error=\"insufficient_scope\""), "{header}");
    assert_eq!(admin.blob_status("acme/app", &digest), 404);

    let wide = admin.with_token("repository:acme/app:pull,push repository:acme/base:pull");
    wide.post(&path).expect(201);
}

#[test]
fn somebody_known_without_the_right_is_denied_and_not_asked_for_another_token() {
    let server = TestServer::start();
    server.admin().push("acme/app", "1.0", "an image");
    let outsider = server.account("outsider");
    let with_token = outsider.with_token("repository:acme/app:pull,push");

    for client in [&outsider, &with_token] {
        let absent = client.get("/v2/acme/nothing/manifests/1.0");
        let nowhere = client.get("/v2/nowhere/nothing/manifests/1.0");
        let present = client.get("/v2/acme/app/manifests/1.0");
        present.refused(403, "DENIED");
        assert_eq!(present.fingerprint(), absent.fingerprint());
        assert_eq!(present.fingerprint(), nowhere.fingerprint());
    }
}

#[test]
fn an_authorization_that_cannot_be_read_is_refused_and_never_taken_for_anonymous() {
    let server = TestServer::with(&[("auth.anonymous", "true")]);
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    server.cli(&["project", "public", "acme", "on"]).expect(0);
    server.anonymous().get("/v2/acme/app/tags/list").expect(200);

    for value in [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic bm8tY29sb24=",
        "Bearer",
        "Bearer ",
        "Digest abc",
        "Negotiate",
    ] {
        let answer = server.anonymous().authorized(value).get("/v2/acme/app/tags/list");
        answer.refused(401, "UNAUTHORIZED");
    }
    assert_eq!(
        admin.get("/v2/acme/app/tags/list").json(),
        json!({"name": "acme/app", "tags": ["1.0"]})
    );
}
