//! Mounting a blob from another repository instead of sending it.

use crate::support::{TestServer, bytes, sha256};

#[test]
fn a_blob_is_mounted_from_where_the_caller_may_read_it() {
    let server = TestServer::start();
    for project in ["acme", "base"] {
        server.project(project);
    }
    let dev = server.member("dev", "acme", "developer");
    server.cli(&["project", "grant", "base", "dev", "viewer"]).expect(0);
    let blob = bytes(1, 3000);
    let digest = server.admin().push_blob("base/os", &blob);

    let answer = dev
        .post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=base/os"))
        .expect(201);

    assert_eq!(answer.header("location"), format!("/v2/acme/app/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest);
    assert_eq!(answer.header("content-length"), "0");
    assert_eq!(dev.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, blob);
    assert_eq!(server.blob_files(&digest).len(), 1);
}

#[test]
fn without_a_source_a_blob_is_mounted_from_anywhere_the_caller_may_read() {
    // go-containerregistry never says where from.
    let server = TestServer::start();
    let admin = server.admin();
    let digest = admin.push_blob("base/os", b"a layer");
    admin.post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}")).expect(201);
    assert_eq!(admin.blob_status("acme/app", &digest), 200);
}

#[test]
fn a_public_project_is_a_source_for_everybody_with_an_account() {
    let server = TestServer::start();
    server.cli(&["project", "create", "base", "--public"]).expect(0);
    server.project("acme");
    let dev = server.member("dev", "acme", "developer");
    let digest = server.admin().push_blob("base/os", b"a layer");
    for (repository, source) in [("acme/one", "&from=base/os"), ("acme/two", "")] {
        dev.post(&format!("/v2/{repository}/blobs/uploads/?mount={digest}{source}"))
            .expect(201);
    }
    let token = dev.with_token("repository:acme/three:pull,push repository:base/os:pull");
    token
        .post(&format!("/v2/acme/three/blobs/uploads/?mount={digest}&from=base/os"))
        .expect(201);
}

#[test]
fn a_mount_that_cannot_be_is_an_upload_that_may_be_gone_on_with_or_cancelled() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push_blob("base/os", b"another layer");
    let digest = sha256(b"a layer");
    for source in [
        "&from=base/os",
        "&from=base/nothing",
        "&from=nowhere/os",
        "&from=BAD%2F..",
        "&from=",
        "",
    ] {
        let answer = admin
            .post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}{source}"))
            .expect(202);
        let session = admin.session_at(answer.header("location"));
        assert_eq!(session.offset(), 0, "{source}");
        admin.delete(&session.location).expect(204);
    }
    let answer = admin.post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=base/os"));
    admin
        .session_at(answer.expect(202).header("location"))
        .finish(b"a layer", &digest)
        .expect(201);
}

#[test]
fn a_mount_of_no_digest_is_refused() {
    let server = TestServer::start();
    let admin = server.admin();
    for digest in ["", "latest", "sha256:abc"] {
        let answer = admin.post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=base/os"));
        answer.refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn what_is_mounted_outlives_its_removal_at_the_source() {
    let server = TestServer::start();
    let admin = server.admin();
    let digest = admin.push_blob("base/os", b"a layer");
    admin
        .post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=base/os"))
        .expect(201);

    admin.delete(&format!("/v2/base/os/blobs/{digest}")).expect(202);

    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, b"a layer");
    admin
        .post(&format!("/v2/acme/other/blobs/uploads/?mount={digest}&from=base/os"))
        .expect(202);
}

#[test]
fn a_mount_onto_itself_is_no_trouble() {
    let server = TestServer::start();
    let admin = server.admin();
    let digest = admin.push_blob("acme/app", b"a layer");
    admin
        .post(&format!("/v2/acme/app/blobs/uploads/?mount={digest}&from=acme/app"))
        .expect(201);
    assert_eq!(admin.blob_status("acme/app", &digest), 200);
}
