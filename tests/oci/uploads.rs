//! Uploading blobs in one request or as a stream: what works, and what a refusal leaves behind.

use crate::support::{TestServer, bytes, sha256, sha512};

/// The digest of nothing.
const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_post_with_the_digest_and_the_bytes_is_a_whole_upload() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(1, 50_000);
    let digest = sha256(&blob);

    let answer = admin
        .call("POST", &format!("/v2/acme/app/blobs/uploads/?digest={digest}"))
        .header("Content-Type", "application/octet-stream")
        .body(&blob)
        .expect(201);

    assert_eq!(answer.header("location"), format!("/v2/acme/app/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest);
    assert_eq!(answer.header("content-length"), "0");
    assert_eq!(admin.get(answer.header("location")).expect(200).body, blob);
    assert!(server.files("uploads").is_empty());
}

#[test]
fn a_post_and_a_put_with_all_the_bytes_are_an_upload() {
    // containerd, BuildKit, oras, helm.
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(2, 50_000);
    let digest = sha256(&blob);

    let opened = admin.post("/v2/acme/app/blobs/uploads/").expect(202);
    let location = opened.header("location").to_owned();
    let id = opened.header("docker-upload-uuid");
    assert!(
        location.starts_with("/v2/acme/app/blobs/uploads/") && location.contains(id),
        "{opened}"
    );
    assert_eq!((opened.header("range"), opened.header("content-length")), ("0-0", "0"));

    let session = admin.session_at(&location);
    let answer = session.finish(&blob, &digest).expect(201);
    assert_eq!(answer.header("location"), format!("/v2/acme/app/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest);
    session.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
}

#[test]
fn a_stream_of_unknown_length_and_an_empty_put_are_an_upload() {
    // Docker, podman, crane.
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(3, 700_000);
    let digest = sha256(&blob);
    let session = admin.open_session("acme/app");

    let patched = admin
        .call("PATCH", &session.location)
        .header("Content-Type", "application/octet-stream")
        .stream(&blob[..])
        .expect(202);
    assert_eq!(patched.header("range"), "0-699999");
    assert_eq!(patched.header("location"), session.location);
    assert_eq!(session.status().expect(204).header("range"), "0-699999");
    assert_eq!(admin.blob_status("acme/app", &digest), 404, "visible before it was finished");

    session.finish(b"", &digest).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
    assert!(server.files("uploads").is_empty());
}

#[test]
fn the_last_bytes_may_come_with_the_put_or_as_a_stream() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(4, 9000);
    let digest = sha256(&blob);
    let session = admin.open_session("acme/app");
    session.append(&blob[..4000]).expect(202);
    session.append(&blob[4000..8000]).expect(202);
    let path = session.finish_path(&digest);
    admin.call("PUT", &path).stream(&blob[8000..]).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
}

#[test]
fn an_empty_blob_is_uploaded_like_any_other() {
    let server = TestServer::start();
    let admin = server.admin();
    assert_eq!(sha256(b""), EMPTY);
    admin.post(&format!("/v2/acme/one/blobs/uploads/?digest={EMPTY}")).expect(201);
    admin.open_session("acme/two").finish(b"", EMPTY).expect(201);
    let session = admin.open_session("acme/three");
    session.append(b"").expect(202);
    assert_eq!(session.offset(), 0);
    session.finish(b"", EMPTY).expect(201);
    for repository in ["acme/one", "acme/two", "acme/three"] {
        let answer = admin.get(&format!("/v2/{repository}/blobs/{EMPTY}")).expect(200);
        assert_eq!(answer.header("content-length"), "0", "{repository}");
    }
    assert_eq!(server.blob_files(EMPTY).len(), 1);
}

#[test]
fn bytes_that_are_not_those_of_the_digest_are_refused_and_gone() {
    let server = TestServer::start();
    let admin = server.admin();
    let promised = sha256(b"what was promised");

    let by_post = admin
        .call("POST", &format!("/v2/acme/app/blobs/uploads/?digest={promised}"))
        .body(b"what came");
    let sentence = by_post.refused(400, "DIGEST_INVALID");
    assert!(
        sentence.contains(&sha256(b"what came")) && sentence.contains(&promised),
        "{sentence}"
    );

    let session = admin.open_session("acme/app");
    session.append(&bytes(5, 600_000)).expect(202);
    session.finish(b"", &promised).refused(400, "DIGEST_INVALID");

    for digest in [&promised, &sha256(b"what came"), &sha256(&bytes(5, 600_000))] {
        assert_eq!(admin.blob_status("acme/app", digest), 404);
        assert!(server.blob_files(digest).is_empty());
    }
    assert!(server.files("uploads").is_empty());
}

#[test]
fn a_put_without_a_digest_or_with_none_is_refused_and_the_session_goes_on() {
    let server = TestServer::start();
    let admin = server.admin();
    let session = admin.open_session("acme/app");
    session.append(b"some ").expect(202);

    admin.call("PUT", &session.location).body(b"bytes").refused(400, "DIGEST_INVALID");
    for digest in ["", "sha256:abc", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "latest"] {
        session.finish(b"bytes", digest).refused(400, "DIGEST_INVALID");
    }

    assert_eq!(session.offset(), 5);
    session.finish(b"bytes", &sha256(b"some bytes")).expect(201);
}

#[test]
fn a_parameter_of_the_location_is_kept_and_the_digest_may_be_escaped() {
    let server = TestServer::start();
    let admin = server.admin();
    let session = admin.open_session("acme/app");
    let digest = sha256(b"abc").replace(':', "%3A");
    let path = format!("{}?_state=abc&digest={digest}", session.location);
    admin.call("PUT", &path).body(b"abc").expect(201);
}

#[test]
fn a_session_may_be_cancelled_and_is_then_gone_with_its_bytes() {
    let server = TestServer::start();
    let admin = server.admin();
    let session = admin.open_session("acme/app");
    session.append(&bytes(6, 600_000)).expect(202);
    assert_eq!(server.files("uploads").len(), 1);

    admin.delete(&session.location).expect(204);

    assert!(server.files("uploads").is_empty());
    session.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    session.append(b"x").refused(404, "BLOB_UPLOAD_UNKNOWN");
    session.finish(b"", EMPTY).refused(404, "BLOB_UPLOAD_UNKNOWN");
    admin.delete(&session.location).refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn the_algorithm_may_be_said_at_the_start_or_shown_by_the_digest_at_the_end() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(8, 600_000);
    let digest = sha512(&blob);

    let opened = admin.post("/v2/acme/one/blobs/uploads/?digest-algorithm=sha512").expect(202);
    let session = admin.session_at(opened.header("location"));
    session.append(&blob[..500_000]).expect(202);
    session.finish(&blob[500_000..], &digest).expect(201);

    let session = admin.open_session("acme/two");
    session.append(&blob[..500_000]).expect(202);
    session.finish(&blob[500_000..], &digest).expect(201);

    let opened = admin.post("/v2/acme/three/blobs/uploads/?digest-algorithm=sha512").expect(202);
    admin
        .session_at(opened.header("location"))
        .finish(&blob, &sha256(&blob))
        .expect(201);

    let path = format!("/v2/acme/four/blobs/uploads/?digest={digest}");
    let answer = admin.call("POST", &path).body(&blob).expect(201);
    assert_eq!(answer.header("docker-content-digest"), digest);

    for (repository, digest) in [
        ("acme/one", &digest),
        ("acme/two", &digest),
        ("acme/three", &sha256(&blob)),
        ("acme/four", &digest),
    ] {
        let read = admin.get(&format!("/v2/{repository}/blobs/{digest}")).expect(200);
        assert_eq!(read.body, blob, "{repository}");
    }
    assert_eq!(server.blob_files(&digest).len(), 1);
    admin
        .post("/v2/acme/one/blobs/uploads/?digest-algorithm=md5")
        .refused(400, "DIGEST_INVALID");
}

#[test]
fn the_same_blob_twice_is_stored_once_and_acknowledged_twice() {
    let server = TestServer::start();
    let admin = server.admin();
    let blob = bytes(10, 5000);
    let digest = sha256(&blob);
    for repository in ["acme/app", "acme/app", "acme/other", "other/app"] {
        admin.push_blob(repository, &blob);
        assert_eq!(server.blob_files(&digest).len(), 1, "{repository}");
    }
    for repository in ["acme/app", "acme/other", "other/app"] {
        assert_eq!(admin.get(&format!("/v2/{repository}/blobs/{digest}")).expect(200).body, blob);
    }
}

#[test]
fn an_upload_makes_its_repository_but_not_one_that_is_listed() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push_blob("acme/app", b"abc");
    assert_eq!(admin.get("/v2/_catalog").json()["repositories"], serde_json::json!([]));
    assert_eq!(
        admin.get("/v2/acme/app/tags/list").expect(200).json()["tags"],
        serde_json::json!([])
    );
}
