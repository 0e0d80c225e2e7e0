//! Repository names and tags: what may be one, and what becomes of it.

use crate::support::{Image, TestServer, sha256};
use serde_json::json;

#[test]
fn a_name_of_one_segment_belongs_to_library_and_is_echoed_as_it_was_written() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = Image::new("hello");

    let session = admin.post("/v2/hello/blobs/uploads/").expect(202);
    assert!(session.header("location").starts_with("/v2/hello/blobs/uploads/"), "{session}");
    let done = admin
        .session_at(session.header("location"))
        .finish(&image.layer, &sha256(&image.layer));
    assert_eq!(
        done.expect(201).header("location"),
        format!("/v2/hello/blobs/{}", sha256(&image.layer))
    );
    admin.push_blob("hello", &image.config);
    let put = admin.put_manifest("hello", "1.0", &image.manifest).expect(201);
    assert_eq!(put.header("location"), format!("/v2/hello/manifests/{}", image.digest()));

    for (asked, name) in [("hello", "hello"), ("library/hello", "library/hello")] {
        let tags = admin.get(&format!("/v2/{asked}/tags/list")).expect(200).json();
        assert_eq!(tags, json!({"name": name, "tags": ["1.0"]}));
    }
    assert_eq!(admin.get("/v2/_catalog").json(), json!({"repositories": ["library/hello"]}));
}

#[test]
fn names_may_hold_the_words_of_the_api() {
    let server = TestServer::start();
    let admin = server.admin();
    for name in [
        "acme/blobs",
        "acme/tags",
        "acme/manifests",
        "acme/referrers",
        "acme/uploads",
        "acme/blobs/uploads",
        "acme/tags/list",
        "acme/manifests/1.0",
        "blobs/uploads",
        "tags/list",
        "token",
        "v2",
        "v2/v2",
    ] {
        let image = admin.push(name, "list", name);
        let read = admin.get(&format!("/v2/{name}/manifests/list")).expect(200);
        assert_eq!(read.header("docker-content-digest"), image.digest(), "{name}");
        assert_eq!(admin.blob_status(name, &sha256(&image.layer)), 200, "{name}");
        let tags = admin.get(&format!("/v2/{name}/tags/list")).expect(200).json();
        assert_eq!(tags, json!({"name": name, "tags": ["list"]}));
        admin.get(&format!("/v2/{name}/referrers/{}", image.digest())).expect(200);
    }
}

#[test]
fn names_may_be_deep_and_as_long_as_docker_can_write_them() {
    let server = TestServer::start();
    let admin = server.admin();
    let deep = format!("acme/{}", vec!["a"; 60].join("/"));
    let longest = format!("acme/{}", "a".repeat(250));
    let separators = "acme/a.b/c_d/e__f/g-h/i---j/0".to_owned();
    for name in [deep, longest, separators] {
        let image = admin.push(&name, "1.0", &name);
        assert_eq!(admin.tag_digest(&name, "1.0"), Some(image.digest()), "{name}");
    }
}

#[test]
fn names_that_are_none_are_refused_on_every_route_and_nothing_is_made_of_them() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = Image::new("of no name");
    let long = format!("acme/{}", "a".repeat(251));
    let longer = format!("acme/{}", "a".repeat(300));
    let digest = sha256(b"");
    for name in [
        "ACME/app",
        "acme/App",
        "acme/-app",
        "acme/app-",
        "acme/a..b",
        "acme/a___b",
        "acme/.app",
        "acme/_app",
        "acme/app.",
        "acme/a%20b",
        "acme/%C3%A9",
        "acme/a:b",
        "acme/a@b",
        "acme/a~b",
        "acme/a;b",
        "acme/a+b",
        "acme/%00",
        "acme/a%5Cb",
        &long,
        &longer,
    ] {
        admin.get(&format!("/v2/{name}/tags/list")).refused(400, "NAME_INVALID");
        admin.get(&format!("/v2/{name}/manifests/1.0")).refused(400, "NAME_INVALID");
        admin.get(&format!("/v2/{name}/blobs/{digest}")).refused(400, "NAME_INVALID");
        admin.get(&format!("/v2/{name}/referrers/{digest}")).refused(400, "NAME_INVALID");
        admin.post(&format!("/v2/{name}/blobs/uploads/")).refused(400, "NAME_INVALID");
        admin.put_manifest(name, "1.0", &image.manifest).refused(400, "NAME_INVALID");
        admin.delete(&format!("/v2/{name}/manifests/1.0")).refused(400, "NAME_INVALID");
    }
    assert_eq!(server.cli(&["project", "list", "--output", "json"]).stdout.trim(), "[]");
}

#[test]
fn tags_follow_the_grammar_and_what_breaks_it_cannot_be_pushed_and_is_not_found() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let longest = "a".repeat(128);
    for tag in ["latest", "LATEST", "1.0_2-3.x", "_", "__init__", "0", &longest] {
        admin.put_manifest("acme/app", tag, &image.manifest).expect(201);
        assert_eq!(admin.tag_digest("acme/app", tag), Some(image.digest()), "{tag}");
    }
    let long = "a".repeat(129);
    for tag in [".hidden", "-dash", "a%2Bb", "a%20b", "%C3%A9", "a~b", "a@b", &long] {
        admin.put_manifest("acme/app", tag, &image.manifest).refused(400, "TAG_INVALID");
        admin.get(&format!("/v2/acme/app/manifests/{tag}")).refused(404, "MANIFEST_UNKNOWN");
        admin
            .delete(&format!("/v2/acme/app/manifests/{tag}"))
            .refused(404, "MANIFEST_UNKNOWN");
    }
}

#[test]
fn digests_that_are_none_are_refused_as_such() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    let upper = format!("sha256:{}", "A".repeat(64));
    let short = format!("sha256:{}", "a".repeat(63));
    let long = format!("sha256:{}", "a".repeat(65));
    let mixed = format!("sha512:{}", "a".repeat(64));
    let other = format!("md5:{}", "a".repeat(32));
    let spaced = format!("sha256:%20{}", "a".repeat(63));
    for digest in [
        &upper,
        &short,
        &long,
        &mixed,
        &other,
        &spaced,
        "sha256:",
        ":",
        "sha256:..",
        "sha256%253Aabc",
    ] {
        let path = format!("/v2/acme/app/blobs/{digest}");
        let answer = admin.get(&path);
        assert_eq!(answer.status, 400, "{answer}");
        admin.put_manifest("acme/app", digest, &image.manifest).expect(400);
        let answer = admin.get(&format!("/v2/acme/app/referrers/{digest}"));
        assert_eq!(answer.status, 400, "{answer}");
        let answer = admin.post(&format!("/v2/acme/app/blobs/uploads/?digest={digest}"));
        answer.refused(400, "DIGEST_INVALID");
    }
}
