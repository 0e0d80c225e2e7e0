//! Paths as nobody should write them: each is read in one way, and none reaches beyond the API
//! (Nexus CVE-2024-4956, Harbor CVE-2020-29662).

use crate::support::{TestServer, by_hand, sha256};

#[test]
fn dots_and_encoded_slashes_lead_nowhere() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    for path in [
        "/v2/../../etc/passwd/manifests/1.0",
        "/v2/acme/../acme/app/manifests/1.0",
        "/v2/./acme/app/manifests/1.0",
        "/v2/acme/app/./manifests/1.0",
        "/v2/acme/app/../app/tags/list",
        "/v2/acme%2Fapp/tags/list",
        "/v2/acme%2fapp/manifests/1.0",
        "/v2/%2e%2e/app/tags/list",
        "/v2/acme/%2e%2e%2fapp/tags/list",
        "/v2/%2F%2F..%2F%2Fetc/passwd/tags/list",
        "/v2/acme/app%2Ftags%2Flist",
        "/v2/acme%252Fapp/tags/list",
        "/v2/acme/%2561pp/tags/list",
        "/v2/acme/app%00/tags/list",
        "/v2/acme/app%5c..%5c/tags/list",
        "/v2/acme/app%ff/tags/list",
        "/v2//acme/app/tags/list",
        "/v2/acme//app/tags/list",
        "/v2/acme/app//tags/list",
        "/v2/acme/app/tags//list",
        "/v2/acme/app/tags/list/",
        "/v2/acme/app/tags/list;x=1",
        "/v2/acme/app;x=1/tags/list",
        "/v2/_catalog/",
        "/v2/_catalog/x",
        "/v2//",
        "/v2/acme",
        "/v2/acme/app",
        "/v2/acme/app/",
        "/v2/tags/list",
        "/v2/acme/app/unknown/1.0",
        "/v2/acme/app/TAGS/list",
    ] {
        let answer = by_hand(&admin, "GET", path, &[]);
        answer.refused(400, "NAME_INVALID");
    }
}

#[test]
fn an_encoded_path_means_what_it_means_plainly_when_nothing_but_letters_is_encoded() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let digest = image.digest().replace(':', "%3A");
    for path in [
        format!("/v2/acme/app/manifests/{digest}"),
        "/v2/%61cme/app/manifests/1%2E0".to_owned(),
        format!("/v2/acme/app/blobs/{}", sha256(&image.layer).replace(':', "%3a")),
    ] {
        by_hand(&admin, "GET", &path, &[]).expect(200);
    }
}

#[test]
fn access_is_decided_by_what_the_path_means_and_not_by_how_it_is_written() {
    let server = TestServer::start();
    server.admin().push("vault/app", "1.0", "a secret");
    server.project("acme");
    let eve = server.member("eve", "acme", "maintainer");
    for path in [
        "/v2/vault/app/manifests/1.0",
        "/v2/%76ault/app/manifests/1.0",
        "/v2/vault/app/manifests/1%2E0",
        "/v2/vault/app/manifests/1.0?scope=acme/app",
    ] {
        by_hand(&eve, "GET", path, &[]).refused(403, "DENIED");
        by_hand(&server.anonymous(), "GET", path, &[]).refused(401, "UNAUTHORIZED");
    }
    for path in ["/v2/acme/../vault/app/manifests/1.0", "/v2/acme%2F..%2Fvault/app/manifests/1.0"] {
        by_hand(&eve, "GET", path, &[]).refused(400, "NAME_INVALID");
    }
}

#[test]
fn paths_that_only_look_like_the_api_are_not_it() {
    let server = TestServer::start();
    let admin = server.admin();
    for path in [
        "/V2/",
        "/v2x",
        "/v2;/",
        "/v2%2F",
        "/%762/",
        "//v2/",
        "/./v2/",
        "/x/../v2/",
        "/v1/_ping",
        "/v1/search",
        "/_catalog",
        "/",
    ] {
        let answer = by_hand(&admin, "GET", path, &[]);
        assert_eq!(answer.status, 404, "{path}: {answer}");
        assert!(answer.find("docker-distribution-api-version").is_none(), "{path}: {answer}");
    }
}

#[test]
fn a_trailing_slash_counts_where_the_specification_has_one_and_nowhere_else() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.get("/v2").expect(200);
    admin.get("/v2/").expect(200);
    for path in ["/v2/acme/app/blobs/uploads", "/v2/acme/app/blobs/uploads/"] {
        let answer = admin.post(path).expect(202);
        assert!(answer.header("location").starts_with("/v2/acme/app/blobs/uploads/"), "{answer}");
    }
    let image = admin.push("acme/app", "1.0", "an image");
    for path in [
        "/v2/acme/app/manifests/1.0/".to_owned(),
        "/v2/acme/app/manifests/".into(),
        format!("/v2/acme/app/blobs/{}/", sha256(&image.layer)),
        "/v2/acme/app/blobs/".into(),
        format!("/v2/acme/app/referrers/{}/", image.digest()),
    ] {
        let answer = by_hand(&admin, "GET", &path, &[]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer}");
    }
}

#[test]
fn a_path_longer_than_any_name_is_refused_for_its_length() {
    let server = TestServer::start();
    let path = format!("/v2/acme/{}/tags/list", "a/".repeat(1500));
    by_hand(&server.admin(), "GET", &path, &[]).refused(414, "UNSUPPORTED");
}

#[test]
fn an_upload_that_is_none_is_not_found() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push_blob("acme/app", b"{}");
    for id in [
        "00000000-0000-4000-8000-000000000000",
        "not-an-id",
        "..",
        "%2e%2e",
        "..%00",
        "granary.db",
        "00000000000040008000000000000000",
        "%7B00000000-0000-4000-8000-000000000000%7D",
    ] {
        for method in ["GET", "PATCH", "DELETE"] {
            let answer = by_hand(&admin, method, &format!("/v2/acme/app/blobs/uploads/{id}"), &[]);
            assert!(matches!(answer.status, 400 | 404), "{id}: {answer}");
        }
    }
}

#[test]
fn a_method_that_a_path_does_not_know_is_refused_with_those_that_there_are() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let blob = format!("/v2/acme/app/blobs/{}", sha256(&image.layer));
    let referrers = format!("/v2/acme/app/referrers/{}", image.digest());
    for (method, path) in [
        ("POST", "/v2/"),
        ("DELETE", "/v2/_catalog"),
        ("PUT", "/v2/acme/app/tags/list"),
        ("DELETE", "/v2/acme/app/tags/list"),
        ("POST", "/v2/acme/app/manifests/1.0"),
        ("PATCH", "/v2/acme/app/manifests/1.0"),
        ("PUT", &blob),
        ("POST", &blob),
        ("GET", "/v2/acme/app/blobs/uploads/"),
        ("PUT", "/v2/acme/app/blobs/uploads/"),
        ("POST", "/v2/acme/app/blobs/uploads/00000000-0000-4000-8000-000000000000"),
        ("DELETE", &referrers),
        ("OPTIONS", "/v2/acme/app/tags/list"),
        ("TRACE", "/v2/acme/app/tags/list"),
        ("PROPFIND", "/v2/acme/app/tags/list"),
        ("get", "/v2/acme/app/tags/list"),
    ] {
        let answer = by_hand(&admin, method, path, &["Content-Length: 0"]);
        answer.refused(405, "UNSUPPORTED");
        let allowed = answer.header("allow");
        assert!(!allowed.is_empty() && allowed.split(", ").all(|known| known != method), "{answer}");
    }
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(image.digest()));
}
