//! Tags given as parameters of a push by digest, all or none.

use crate::support::{Client, Image, TestServer};
use serde_json::json;

fn scene() -> (TestServer, Client, Image) {
    let server = TestServer::start();
    let admin = server.admin();
    let image = Image::new("an image");
    admin.push_parts("acme/app", &image);
    (server, admin, image)
}

fn tags(admin: &Client) -> serde_json::Value {
    admin.get("/v2/acme/app/tags/list").expect(200).json()["tags"].clone()
}

#[test]
fn a_push_by_digest_sets_all_the_tags_that_it_names() {
    let (_server, admin, image) = scene();
    let reference = format!("{}?tag=1.0&tag=1&tag=latest", image.digest());

    let put = admin.put_manifest("acme/app", &reference, &image.manifest).expect(201);

    assert_eq!(put.all("oci-tag"), ["1.0", "1", "latest"]);
    assert_eq!(put.header("docker-content-digest"), image.digest());
    assert_eq!(tags(&admin), json!(["1", "1.0", "latest"]));
    for tag in ["1.0", "1", "latest"] {
        assert_eq!(admin.tag_digest("acme/app", tag), Some(image.digest()));
    }
}

#[test]
fn tags_move_together() {
    let (_server, admin, first) = scene();
    let second = Image::new("another");
    admin.push_parts("acme/app", &second);
    for image in [&first, &second] {
        let reference = format!("{}?tag=a&tag=b", image.digest());
        admin.put_manifest("acme/app", &reference, &image.manifest).expect(201);
        for tag in ["a", "b"] {
            assert_eq!(admin.tag_digest("acme/app", tag), Some(image.digest()));
        }
    }
}

#[test]
fn ten_tags_are_never_too_many_but_there_is_an_end() {
    let (_server, admin, image) = scene();
    let with = |count: usize| {
        let tags: Vec<String> = (0..count).map(|number| format!("tag=t{number}")).collect();
        let reference = format!("{}?{}", image.digest(), tags.join("&"));
        admin.put_manifest("acme/app", &reference, &image.manifest)
    };
    with(65).refused(414, "UNSUPPORTED");
    admin.get("/v2/acme/app/tags/list").expect(200);
    assert_eq!(tags(&admin), json!([]));
    assert_eq!(with(10).expect(201).all("oci-tag").len(), 10);
    assert_eq!(with(64).expect(201).all("oci-tag").len(), 64);
}

#[test]
fn one_bad_tag_among_them_sets_none() {
    let (_server, admin, image) = scene();
    for bad in ["", ".x", "a%20b", "a/b", "%C3%A9"] {
        let reference = format!("{}?tag=good&tag={bad}", image.digest());
        admin
            .put_manifest("acme/app", &reference, &image.manifest)
            .refused(400, "TAG_INVALID");
    }
    assert_eq!(tags(&admin), json!([]));
    admin
        .get(&format!("/v2/acme/app/manifests/{}", image.digest()))
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn parameters_go_with_a_digest_only() {
    let (_server, admin, image) = scene();
    admin
        .put_manifest("acme/app", "1.0?tag=2.0", &image.manifest)
        .refused(400, "TAG_INVALID");
    assert_eq!(tags(&admin), json!([]));
}

#[test]
fn a_push_by_tag_names_no_tag_in_its_answer() {
    let (_server, admin, image) = scene();
    let put = admin.put_manifest("acme/app", "1.0", &image.manifest).expect(201);
    assert!(put.all("oci-tag").is_empty());
}
