//! Storing and reading manifests of every kind.

use crate::support::{
    Client, DOCKER_IMAGE, DOCKER_LIST, Image, Manifest, OCI_ARTIFACT, OCI_IMAGE, OCI_INDEX, TestServer, descriptor, sha256, sha512,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push_blob("acme/app", b"{}");
    (server, admin)
}

/// The manifest is stored under a tag and under its digest, and read back to the byte and the type.
#[track_caller]
fn round_trip(admin: &Client, tag: &str, manifest: &Manifest) {
    let digest = manifest.digest();
    let put = admin.put_manifest("acme/app", tag, manifest).expect(201);
    assert_eq!(put.header("location"), format!("/v2/acme/app/manifests/{digest}"));
    assert_eq!(put.header("docker-content-digest"), digest);
    for reference in [tag, &digest] {
        let path = format!("/v2/acme/app/manifests/{reference}");
        let read = admin.get(&path).expect(200);
        assert_eq!(read.body, manifest.bytes);
        assert_eq!(read.header("content-type"), manifest.media_type);
        assert_eq!(read.header("content-length"), manifest.bytes.len().to_string());
        assert_eq!(read.header("docker-content-digest"), digest);
        assert_eq!(read.header("etag"), format!("\"{digest}\""));
        let head = admin.head(&path).expect(200);
        assert_eq!(head.fingerprint().1, read.fingerprint().1);
    }
}

#[test]
fn every_kind_of_manifest_is_stored_as_it_came() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "image", "an image");
    let parts = image.manifest.json();
    let docker = Manifest::new(DOCKER_IMAGE, parts);
    let empty = descriptor(EMPTY_TYPE, b"{}");
    let kinds = [
        ("oci-image", image.manifest.clone()),
        ("oci-index", Manifest::index(&[&image.manifest])),
        ("docker-image", docker.clone()),
        (
            "artifact",
            Manifest::new(
                OCI_IMAGE,
                json!({"schemaVersion": 2, "artifactType": "application/x.thing", "config": empty, "layers": [empty]}),
            ),
        ),
        (
            "oci-artifact",
            Manifest::new(OCI_ARTIFACT, json!({"artifactType": "application/x.thing", "blobs": [empty]})),
        ),
        (
            "no-layers",
            Manifest::new(OCI_IMAGE, json!({"schemaVersion": 2, "config": empty, "layers": []})),
        ),
        (
            "no-children",
            Manifest::new(OCI_INDEX, json!({"schemaVersion": 2, "manifests": []})),
        ),
    ];
    for (tag, manifest) in &kinds {
        round_trip(&admin, tag, manifest);
    }
    let list = Manifest::new(DOCKER_LIST, json!({"schemaVersion": 2, "manifests": [docker.descriptor()]}));
    round_trip(&admin, "docker-list", &list);
    let nested = Manifest::index(&[&kinds[1].1, &kinds[3].1]);
    round_trip(&admin, "nested", &nested);
}

#[test]
fn fields_and_types_that_nobody_knows_are_kept() {
    let (_server, admin) = scene();
    let empty = json!({"mediaType": "application/x.unheard-of", "digest": sha256(b"{}"), "size": 2, "x": {"y": [1, 2.5, null]}});
    let body = json!({
        "schemaVersion": 2, "config": empty, "layers": [empty], "annotations": {"org.example.ünïcode": "\u{1f980} \u{0}"},
        "custom": {"nested": [[[]]]}, "2": 3e300,
    });
    round_trip(&admin, "custom", &Manifest::new(OCI_IMAGE, body));
}

#[test]
fn bytes_are_verbatim_down_to_white_space_and_the_order_of_fields() {
    let (_server, admin) = scene();
    let digest = sha256(b"{}");
    let text = format!(
        "\r\n{{\t\"layers\" : [ ],\n \"mediaType\":\"{OCI_IMAGE}\", \"config\": {{\"size\":2,\"digest\":\"{digest}\",\
         \"mediaType\":\"application\\/x\"}}, \"schemaVersion\": 2 }}\n\n"
    );
    let manifest = Manifest {
        media_type: OCI_IMAGE.into(),
        bytes: text.into_bytes(),
    };
    round_trip(&admin, "verbatim", &manifest);
}

#[test]
fn the_type_stands_in_the_header_or_in_the_body_and_where_it_stands_twice_it_is_the_same() {
    let (_server, admin) = scene();
    let body = json!({"schemaVersion": 2, "config": descriptor(EMPTY_TYPE, b"{}"), "layers": []});
    let put = |tag: &str, header: Option<&str>, stated: Option<&str>| {
        let mut body = body.clone();
        if let Some(stated) = stated {
            body["mediaType"] = json!(stated);
        }
        let path = format!("/v2/acme/app/manifests/{tag}");
        let mut call = admin.call("PUT", &path);
        if let Some(header) = header {
            call = call.header("Content-Type", header);
        }
        call.body(body.to_string().as_bytes())
    };
    let stored = |tag: &str| {
        admin
            .head(&format!("/v2/acme/app/manifests/{tag}"))
            .expect(200)
            .header("content-type")
            .to_owned()
    };

    put("header", Some(DOCKER_IMAGE), None).expect(201);
    assert_eq!(stored("header"), DOCKER_IMAGE);
    put("body", None, Some(OCI_IMAGE)).expect(201);
    assert_eq!(stored("body"), OCI_IMAGE);
    put("parameters", Some(&format!("{OCI_IMAGE}; charset=utf-8")), Some(OCI_IMAGE)).expect(201);
    assert_eq!(stored("parameters"), OCI_IMAGE);

    let sentence = put("two", Some(DOCKER_IMAGE), Some(OCI_IMAGE)).refused(400, "MANIFEST_INVALID");
    assert!(sentence.contains(DOCKER_IMAGE) && sentence.contains(OCI_IMAGE), "{sentence}");
    put("two", Some(OCI_INDEX), Some(OCI_IMAGE)).refused(400, "MANIFEST_INVALID");
    for other in ["application/json", "text/html", "application/vnd.example+json"] {
        let answer = put("other", Some(other), None);
        answer.refused(415, "MANIFEST_INVALID");
    }
    for absent in ["two", "other"] {
        assert_eq!(admin.tag_digest("acme/app", absent), None);
    }
}

#[test]
fn manifests_of_schema_1_are_refused_with_what_to_do_about_it() {
    let (_server, admin) = scene();
    let body = json!({"schemaVersion": 1, "name": "acme/app", "tag": "1.0", "fsLayers": [{"blobSum": sha256(b"{}")}], "history": []});
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        DOCKER_IMAGE,
    ] {
        let answer = admin
            .call("PUT", "/v2/acme/app/manifests/1.0")
            .header("Content-Type", media_type)
            .body(body.to_string().as_bytes());
        let sentence = answer.refused(400, "MANIFEST_INVALID");
        assert!(
            sentence.contains("schema 1") && sentence.contains("push the image again"),
            "{sentence}"
        );
    }
}

#[test]
fn a_manifest_is_served_as_stored_whatever_the_client_accepts() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    for accept in [DOCKER_IMAGE, DOCKER_LIST, "application/json", "text/html;q=0.9", "*/*", ""] {
        let read = admin.call("GET", "/v2/acme/app/manifests/1.0").header("Accept", accept).send();
        let read = read.expect(200);
        assert_eq!(
            (read.header("content-type"), &read.body),
            (OCI_IMAGE, &image.manifest.bytes),
            "{accept}"
        );
    }
}

#[test]
fn what_is_named_by_a_tag_is_asked_for_again_and_what_is_named_by_digest_is_not() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    let caching = |reference: &str| {
        let path = format!("/v2/acme/app/manifests/{reference}");
        admin.get(&path).expect(200).header("cache-control").to_owned()
    };
    assert_eq!(caching("1.0"), "no-cache");
    assert_eq!(caching(&image.digest()), "private, max-age=31536000, immutable");
}

#[test]
fn who_has_the_manifest_already_is_not_sent_it_again() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    let ask = |method: &str, tag: &str| {
        let call = admin.call(method, "/v2/acme/app/manifests/1.0");
        call.header("If-None-Match", tag).send()
    };
    for method in ["GET", "HEAD"] {
        let answer = ask(method, &format!("\"{}\"", image.digest())).expect(304);
        assert_eq!(answer.header("docker-content-digest"), image.digest());
        assert!(answer.body.is_empty());
        ask(method, &format!("\"{}\"", sha256(b"older"))).expect(200);
    }
}

#[test]
fn a_manifest_may_be_named_by_sha512() {
    let (_server, admin) = scene();
    let image = Image::new("by the longer digest");
    admin.push_parts("acme/app", &image);
    let digest = sha512(&image.manifest.bytes);

    let put = admin.put_manifest("acme/app", &digest, &image.manifest).expect(201);

    assert_eq!(put.header("docker-content-digest"), digest);
    let read = admin.get(&format!("/v2/acme/app/manifests/{digest}")).expect(200);
    assert_eq!(read.body, image.manifest.bytes);
    assert_eq!(read.header("docker-content-digest"), digest);
}

#[test]
fn a_manifest_under_another_digest_is_refused_and_not_stored_under_either() {
    let (_server, admin) = scene();
    let image = Image::new("an image");
    admin.push_parts("acme/app", &image);
    let other = sha256(b"another");

    admin
        .put_manifest("acme/app", &other, &image.manifest)
        .refused(400, "DIGEST_INVALID");
    admin
        .put_manifest("acme/app", &sha512(b"another"), &image.manifest)
        .refused(400, "DIGEST_INVALID");

    for digest in [&other, &image.digest()] {
        admin
            .get(&format!("/v2/acme/app/manifests/{digest}"))
            .refused(404, "MANIFEST_UNKNOWN");
    }
}

#[test]
fn a_copy_embedded_in_a_descriptor_is_checked() {
    let (_server, admin) = scene();
    let with_data = |data: &str, size: usize| {
        let config = json!({"mediaType": EMPTY_TYPE, "digest": sha256(b"{}"), "size": size, "data": data});
        Manifest::new(OCI_IMAGE, json!({"schemaVersion": 2, "config": config, "layers": []}))
    };
    round_trip(&admin, "data", &with_data(&STANDARD.encode("{}"), 2));
    for wrong in [
        with_data(&STANDARD.encode("[]"), 2),
        with_data("!!", 2),
        with_data(&STANDARD.encode("{} "), 3),
    ] {
        admin.put_manifest("acme/app", "wrong", &wrong).refused(400, "MANIFEST_INVALID");
    }
}

#[test]
fn the_same_manifest_again_changes_nothing() {
    let (_server, admin) = scene();
    let image = admin.push("acme/app", "1.0", "an image");
    for _ in 0..3 {
        admin.put_manifest("acme/app", "1.0", &image.manifest).expect(201);
    }
    let tags: Value = admin.get("/v2/acme/app/tags/list").json();
    assert_eq!(tags["tags"], json!(["1.0"]));
}

#[test]
fn a_tag_moves_and_both_manifests_stay() {
    let (_server, admin) = scene();
    let (first, second) = (admin.push("acme/app", "1.0", "first"), admin.push("acme/app", "1.0", "second"));
    assert_eq!(admin.get("/v2/acme/app/manifests/1.0").body, second.manifest.bytes);
    for image in [first, second] {
        let read = admin.get(&format!("/v2/acme/app/manifests/{}", image.digest())).expect(200);
        assert_eq!(read.body, image.manifest.bytes);
    }
}
