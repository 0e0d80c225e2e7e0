//! Removing tags, manifests and blobs, and what must stay.

use crate::support::{Client, Image, Manifest, TestServer, sha256};
use serde_json::json;

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    (server, admin)
}

fn delete(admin: &Client, rest: &str) -> crate::support::Answer {
    admin.delete(&format!("/v2/acme/app/{rest}"))
}

#[test]
fn a_tag_is_removed_alone() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    admin.put_manifest("acme/app", "latest", &image.manifest).expect(201);

    let answer = delete(&admin, "manifests/1.0").expect(202);

    assert_eq!(answer.header("content-length"), "0");
    assert_eq!(admin.get("/v2/acme/app/tags/list").json()["tags"], json!(["latest"]));
    admin.get("/v2/acme/app/manifests/1.0").refused(404, "MANIFEST_UNKNOWN");
    for reference in ["latest", &image.digest()] {
        admin.get(&format!("/v2/acme/app/manifests/{reference}")).expect(200);
    }
    delete(&admin, "manifests/1.0").refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn the_last_tag_gone_the_manifest_is_still_there_by_its_digest() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    delete(&admin, "manifests/1.0").expect(202);
    assert_eq!(admin.get("/v2/acme/app/tags/list").json()["tags"], json!([]));
    let read = admin.get(&format!("/v2/acme/app/manifests/{}", image.digest())).expect(200);
    assert_eq!(read.body, image.manifest.bytes);
}

#[test]
fn a_manifest_is_removed_with_all_its_tags_and_with_no_others() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    admin.put_manifest("acme/app", "latest", &image.manifest).expect(201);
    let other = admin.push("acme/app", "2.0", "another");
    admin.push_image("acme/copy", "1.0", &image);

    delete(&admin, &format!("manifests/{}", image.digest())).expect(202);

    for reference in ["1.0", "latest", &image.digest()] {
        let path = format!("/v2/acme/app/manifests/{reference}");
        admin.get(&path).refused(404, "MANIFEST_UNKNOWN");
        assert_eq!(admin.head(&path).status, 404);
    }
    assert_eq!(admin.tag_digest("acme/app", "2.0"), Some(other.digest()));
    assert_eq!(admin.tag_digest("acme/copy", "1.0"), Some(image.digest()));
    delete(&admin, &format!("manifests/{}", image.digest())).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn what_was_removed_may_be_pushed_again() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    delete(&admin, &format!("manifests/{}", image.digest())).expect(202);
    assert_eq!(admin.tag_digest("acme/app", "1.0"), None);

    admin.push_image("acme/app", "1.0", &image);

    assert_eq!(admin.get("/v2/acme/app/manifests/1.0").expect(200).body, image.manifest.bytes);
    delete(&admin, "manifests/1.0").expect(202);
    admin.put_manifest("acme/app", "1.0", &image.manifest).expect(201);
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(image.digest()));
}

#[test]
fn a_child_is_kept_while_an_index_lists_it() {
    let (_server, admin) = scene();
    let child = admin.push("acme/app", "amd64", "a child");
    let index = Manifest::index(&[&child.manifest]);
    admin.put_manifest("acme/app", "multi", &index).expect(201);

    let answer = delete(&admin, &format!("manifests/{}", child.digest()));

    let sentence = answer.refused(409, "DENIED");
    assert!(sentence.contains(&index.digest()), "{sentence}");
    admin.get("/v2/acme/app/manifests/amd64").expect(200);
    // Its tag may go; the index first, then it may go, too.
    delete(&admin, "manifests/amd64").expect(202);
    delete(&admin, &format!("manifests/{}", child.digest())).refused(409, "DENIED");
    delete(&admin, &format!("manifests/{}", index.digest())).expect(202);
    delete(&admin, &format!("manifests/{}", child.digest())).expect(202);
}

#[test]
fn a_subject_may_be_removed_and_what_is_about_it_stays() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    admin.push_blob("acme/app", b"{}");
    let signature = Manifest::about(&image.manifest, "application/x.signature", "signed");
    admin.push_manifest("acme/app", &signature);

    delete(&admin, &format!("manifests/{}", image.digest())).expect(202);

    admin.get(&format!("/v2/acme/app/manifests/{}", signature.digest())).expect(200);
    let referrers = admin.get(&format!("/v2/acme/app/referrers/{}", image.digest())).json();
    assert_eq!(referrers["manifests"].as_array().unwrap().len(), 1);
    delete(&admin, &format!("manifests/{}", signature.digest())).expect(202);
    let referrers = admin.get(&format!("/v2/acme/app/referrers/{}", image.digest())).json();
    assert_eq!(referrers["manifests"], json!([]));
}

#[test]
fn a_blob_is_kept_while_a_manifest_needs_it() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    for part in [&image.layer, &image.config] {
        let answer = delete(&admin, &format!("blobs/{}", sha256(part)));
        let sentence = answer.refused(405, "UNSUPPORTED");
        assert!(sentence.contains(&image.digest()), "{sentence}");
        assert_eq!(admin.blob_status("acme/app", &sha256(part)), 200);
    }
    // Without a tag it is still the manifest's.
    delete(&admin, "manifests/1.0").expect(202);
    delete(&admin, &format!("blobs/{}", sha256(&image.layer))).refused(405, "UNSUPPORTED");
    delete(&admin, &format!("manifests/{}", image.digest())).expect(202);
    delete(&admin, &format!("blobs/{}", sha256(&image.layer))).expect(202);
    assert_eq!(admin.blob_status("acme/app", &sha256(&image.layer)), 404);
}

#[test]
fn a_blob_is_removed_here_and_nowhere_else() {
    let (_server, admin) = scene();
    let digest = admin.push_blob("acme/app", b"a blob");
    admin.push_blob("acme/other", b"a blob");

    delete(&admin, &format!("blobs/{digest}")).expect(202);

    admin.get(&format!("/v2/acme/app/blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
    delete(&admin, &format!("blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
    assert_eq!(admin.get(&format!("/v2/acme/other/blobs/{digest}")).expect(200).body, b"a blob");
    admin.push_blob("acme/app", b"a blob");
    assert_eq!(admin.blob_status("acme/app", &digest), 200);
}

#[test]
fn nothing_is_removed_where_nothing_is() {
    let (_server, admin) = scene();
    let digest = sha256(b"nothing");
    for path in [
        format!("/v2/nowhere/app/manifests/{digest}"),
        "/v2/nowhere/app/manifests/1.0".into(),
        format!("/v2/nowhere/app/blobs/{digest}"),
    ] {
        let answer = admin.delete(&path);
        assert_eq!(answer.status, 404, "{answer}");
    }
    assert_eq!(server_projects(&admin), json!([]));
}

fn server_projects(admin: &Client) -> serde_json::Value {
    admin.get("/v2/_catalog").json()["repositories"].clone()
}

#[test]
fn a_repository_whose_last_manifest_is_gone_is_listed_no_more() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    assert_eq!(server_projects(&admin), json!(["acme/app"]));
    delete(&admin, &format!("manifests/{}", image.digest())).expect(202);
    assert_eq!(server_projects(&admin), json!([]));
    assert_eq!(admin.get("/v2/acme/app/tags/list").expect(200).json()["tags"], json!([]));
}

#[test]
fn an_image_that_shares_a_layer_keeps_it_when_the_other_goes() {
    let (_server, admin) = scene();
    let first = admin.push("acme/app", "1.0", "first");
    let mut body = first.manifest.json();
    body["annotations"] = json!({"version": "second"});
    let second = Image {
        manifest: Manifest::new(crate::support::OCI_IMAGE, body),
        ..first.clone()
    };
    admin.put_manifest("acme/app", "2.0", &second.manifest).expect(201);
    delete(&admin, &format!("manifests/{}", first.digest())).expect(202);
    delete(&admin, &format!("blobs/{}", sha256(&first.layer))).refused(405, "UNSUPPORTED");
    assert_eq!(admin.blob_status("acme/app", &sha256(&first.layer)), 200);
}
