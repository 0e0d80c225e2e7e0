//! What a manifest may refer to: what is in its own repository, and a few things that need not be.

use crate::support::{Client, Image, Manifest, OCI_IMAGE, OCI_INDEX, TestServer, descriptor, sha256};
use serde_json::json;

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push_blob("acme/app", b"{}");
    (server, admin)
}

#[test]
fn a_manifest_whose_blobs_are_missing_is_refused_with_the_first_that_is() {
    let (_server, admin) = scene();
    let image = Image::new("an image");

    let sentence = admin
        .put_manifest("acme/app", "1.0", &image.manifest)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(sentence.contains("sha256:"), "{sentence}");
    admin.push_blob("acme/app", &image.config);
    let sentence = admin
        .put_manifest("acme/app", "1.0", &image.manifest)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(sentence.contains(&sha256(&image.layer)), "{sentence}");
    assert_eq!(admin.tag_digest("acme/app", "1.0"), None);

    admin.push_blob("acme/app", &image.layer);
    admin.put_manifest("acme/app", "1.0", &image.manifest).expect(201);
}

#[test]
fn a_blob_of_another_repository_does_not_count_not_even_for_its_owner() {
    let (_server, admin) = scene();
    let image = admin.push("acme/other", "1.0", "an image");
    admin
        .put_manifest("acme/app", "1.0", &image.manifest)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    for part in [&image.layer, &image.config] {
        let path = format!("/v2/acme/app/blobs/uploads/?mount={}&from=acme/other", sha256(part));
        admin.post(&path).expect(201);
    }
    admin.put_manifest("acme/app", "1.0", &image.manifest).expect(201);
}

#[test]
fn a_blob_that_was_removed_does_not_count_any_more() {
    let (_server, admin) = scene();
    let image = Image::new("an image");
    admin.push_parts("acme/app", &image);
    admin.delete(&format!("/v2/acme/app/blobs/{}", sha256(&image.layer))).expect(202);
    admin
        .put_manifest("acme/app", "1.0", &image.manifest)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn an_index_needs_its_children_and_they_may_be_manifests_or_blobs() {
    let (_server, admin) = scene();
    let image = Image::new("a child");
    let index = Manifest::index(&[&image.manifest]);
    let sentence = admin
        .put_manifest("acme/app", "multi", &index)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(sentence.contains(&image.digest()), "{sentence}");
    admin.push_parts("acme/app", &image);
    admin
        .put_manifest("acme/app", "multi", &index)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    admin.push_manifest("acme/app", &image.manifest);
    admin.put_manifest("acme/app", "multi", &index).expect(201);

    // BuildKit writes its cache as an index of layers.
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &image.layer);
    let config = descriptor("application/vnd.buildkit.cacheconfig.v0", b"{}");
    let cache = Manifest::new(OCI_INDEX, json!({"schemaVersion": 2, "manifests": [layer, config]}));
    admin.put_manifest("acme/app", "cache", &cache).expect(201);
}

#[test]
fn a_layer_that_comes_from_elsewhere_and_a_subject_may_be_missing() {
    let (_server, admin) = scene();
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let absent = |media_type: &str| json!({"mediaType": media_type, "digest": sha256(b"elsewhere"), "size": 9});
    for layer in [
        absent("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        absent("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        json!({"mediaType": "application/x", "digest": sha256(b"elsewhere"), "size": 9, "urls": ["https://x.example/layer"]}),
    ] {
        let body = json!({"schemaVersion": 2, "config": empty, "layers": [layer, empty]});
        admin
            .put_manifest("acme/app", "foreign", &Manifest::new(OCI_IMAGE, body))
            .expect(201);
    }
    let subject = Image::new("not there yet").manifest;
    let about = Manifest::about(&subject, "application/x", "early");
    let put = admin.put_manifest("acme/app", "about", &about).expect(201);
    assert_eq!(put.header("oci-subject"), subject.digest());

    let config = absent("application/vnd.oci.image.layer.nondistributable.v1.tar");
    let body = json!({"schemaVersion": 2, "config": config, "layers": []});
    admin
        .put_manifest("acme/app", "bad", &Manifest::new(OCI_IMAGE, body))
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn where_the_operator_allows_it_a_copy_may_be_sparse() {
    let server = TestServer::with(&[("oci.allow_missing", "true")]);
    let admin = server.admin();
    let (here, elsewhere) = (admin.push("acme/app", "amd64", "here"), Image::new("elsewhere"));
    let index = Manifest::index(&[&here.manifest, &elsewhere.manifest]);

    admin.put_manifest("acme/app", "multi", &index).expect(201);

    admin.get(&format!("/v2/acme/app/manifests/{}", here.digest())).expect(200);
    admin
        .get(&format!("/v2/acme/app/manifests/{}", elsewhere.digest()))
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn an_answer_without_a_subject_has_no_subject_header() {
    let (_server, admin) = scene();
    let image = Image::new("an image");
    admin.push_parts("acme/app", &image);
    let put = admin.put_manifest("acme/app", "1.0", &image.manifest).expect(201);
    assert_eq!(put.find("oci-subject"), None);
}
