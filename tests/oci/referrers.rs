//! What is about an artifact: signatures, SBOMs, whatever names it as its subject.

use crate::support::{Answer, Client, Image, Manifest, OCI_INDEX, TestServer, descriptor, sha256};
use serde_json::{Value, json};

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom+json";

/// A server with an image in `acme/app`, and the empty blob that artifacts are made of.
fn with_image() -> (TestServer, Client, Image) {
    let server = TestServer::start();
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "an image");
    admin.push_blob("acme/app", b"{}");
    (server, admin, image)
}

fn referrers(admin: &Client, digest: &str, query: &str) -> Answer {
    let answer = admin.get(&format!("/v2/acme/app/referrers/{digest}{query}")).expect(200);
    // oras compares the type to the letter.
    assert_eq!(answer.header("content-type"), OCI_INDEX);
    let body = answer.json();
    assert_eq!((&body["schemaVersion"], &body["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    answer
}

/// The descriptors of an answer.
fn manifests(answer: &Answer) -> Vec<Value> {
    answer.json()["manifests"].as_array().unwrap().clone()
}

fn digests(answer: &Answer) -> Vec<String> {
    let digest = |descriptor: &Value| descriptor["digest"].as_str().unwrap().to_owned();
    manifests(answer).iter().map(digest).collect()
}

#[test]
fn what_names_an_image_as_its_subject_is_listed_with_its_type_and_its_notes() {
    let (_server, admin, image) = with_image();
    let signature = Manifest::about(&image.manifest, SIGNATURE, "signed");

    let put = admin.put_manifest("acme/app", &signature.digest(), &signature).expect(201);

    assert_eq!(put.header("oci-subject"), image.digest());
    let answer = referrers(&admin, &image.digest(), "");
    let expected = json!([{
        "mediaType": signature.media_type, "digest": signature.digest(), "size": signature.bytes.len(),
        "artifactType": SIGNATURE, "annotations": {"note": "signed"},
    }]);
    assert_eq!(json!(manifests(&answer)), expected);
    assert_eq!(answer.find("oci-filters-applied"), None);
    assert_eq!(answer.find("link"), None);
}

#[test]
fn the_type_is_that_of_the_config_where_none_is_stated_and_an_index_may_be_about_something_too() {
    let (_server, admin, image) = with_image();
    let config = descriptor("application/vnd.example.config", b"{}");
    let body = json!({"schemaVersion": 2, "config": config, "layers": [], "subject": image.manifest.descriptor()});
    let by_config = Manifest::new(crate::support::OCI_IMAGE, body);
    let body = json!({"schemaVersion": 2, "manifests": [], "subject": image.manifest.descriptor(), "annotations": {"a": "b"}});
    let index = Manifest::new(OCI_INDEX, body);
    for manifest in [&by_config, &index] {
        let put = admin.put_manifest("acme/app", &manifest.digest(), manifest).expect(201);
        assert_eq!(put.header("oci-subject"), image.digest());
    }

    let found = manifests(&referrers(&admin, &image.digest(), ""));

    let of = |manifest: &Manifest| found.iter().find(|found| found["digest"] == manifest.digest()).unwrap().clone();
    assert_eq!(of(&by_config)["artifactType"], "application/vnd.example.config");
    assert_eq!(of(&index).get("artifactType"), None);
    assert_eq!(of(&index)["annotations"], json!({"a": "b"}));
}

#[test]
fn what_nobody_knows_has_an_empty_list_of_referrers() {
    // oras probes with a digest of zeros, and takes a 404 for the end of it.
    let (_server, admin, image) = with_image();
    let zeros = format!("sha256:{}", "0".repeat(64));
    assert!(manifests(&referrers(&admin, &image.digest(), "")).is_empty());
    assert!(manifests(&referrers(&admin, &zeros, "")).is_empty());
    for repository in ["acme/nothing", "nowhere/app"] {
        let answer = admin.get(&format!("/v2/{repository}/referrers/{zeros}")).expect(200);
        assert!(manifests(&answer).is_empty());
        assert_eq!(answer.header("content-type"), OCI_INDEX);
    }
    for bad in ["latest", "sha256:abc", "sha256:"] {
        admin.get(&format!("/v2/acme/app/referrers/{bad}")).refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn referrers_may_come_before_their_subject() {
    let (_server, admin, _) = with_image();
    let later = Image::new("pushed later");
    let signature = Manifest::about(&later.manifest, SIGNATURE, "early");
    admin.push_manifest("acme/app", &signature);
    assert_eq!(digests(&referrers(&admin, &later.digest(), "")), [signature.digest()]);
    admin.push_image("acme/app", "2.0", &later);
    assert_eq!(digests(&referrers(&admin, &later.digest(), "")), [signature.digest()]);
}

#[test]
fn a_filter_by_type_says_that_it_was_applied() {
    let (_server, admin, image) = with_image();
    let signature = Manifest::about(&image.manifest, SIGNATURE, "signed");
    let sbom = Manifest::about(&image.manifest, SBOM, "listed");
    admin.push_manifest("acme/app", &signature);
    admin.push_manifest("acme/app", &sbom);

    for (query, expected) in [
        (format!("?artifactType={SIGNATURE}"), vec![signature.digest()]),
        (
            format!("?artifactType={}", SBOM.replace('+', "%2B").replace('/', "%2F")),
            vec![sbom.digest()],
        ),
        // A media type holds a plus as it is.
        (format!("?artifactType={SBOM}"), vec![sbom.digest()]),
        ("?artifactType=application/none".into(), vec![]),
        ("?artifactType=x%27%20OR%201=1".into(), vec![]),
    ] {
        let answer = referrers(&admin, &image.digest(), &query);
        assert_eq!(digests(&answer), expected, "{query}");
        assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    }
    assert_eq!(digests(&referrers(&admin, &image.digest(), "")).len(), 2);
}

#[test]
fn pages_lead_through_all_referrers_once_and_keep_the_filter() {
    let (_server, admin, image) = with_image();
    let mut expected: Vec<String> = (0..7)
        .map(|number| {
            let about = Manifest::about(&image.manifest, SIGNATURE, &format!("signature {number}"));
            admin.push_manifest("acme/app", &about)
        })
        .collect();
    admin.push_manifest("acme/app", &Manifest::about(&image.manifest, SBOM, "another type"));
    expected.sort();
    for size in [1, 2, 3, 7, 8] {
        let mut path = Some(format!(
            "/v2/acme/app/referrers/{}?n={size}&artifactType={SIGNATURE}",
            image.digest()
        ));
        let mut seen = Vec::new();
        while let Some(page) = path {
            let answer = admin.get(&page).expect(200);
            assert_eq!(answer.header("oci-filters-applied"), "artifactType");
            seen.extend(digests(&answer));
            let link = answer.find("link").map(|link| link.trim_start_matches('<'));
            path = link.map(|link| link.strip_suffix(">; rel=\"next\"").unwrap().to_owned());
        }
        assert_eq!(seen, expected, "pages of {size}");
    }
}

#[test]
fn the_fallback_tag_of_older_clients_is_folded_in() {
    let (_server, admin, image) = with_image();
    let known = Manifest::about(&image.manifest, SIGNATURE, "by the API");
    admin.push_manifest("acme/app", &known);
    // An older client pushes the artifact and lists it in an index under the tag of the subject's digest.
    let old = admin.push("acme/app", "old", "without a subject");
    let mut listed = old.manifest.descriptor();
    listed["artifactType"] = json!(SBOM);
    listed["annotations"] = json!({"by": "fallback"});
    let body = json!({"schemaVersion": 2, "manifests": [listed, known.descriptor()]});
    let tag = image.digest().replace(':', "-");
    admin.put_manifest("acme/app", &tag, &Manifest::new(OCI_INDEX, body)).expect(201);

    let answer = referrers(&admin, &image.digest(), "");

    let mut expected = vec![known.digest(), old.digest()];
    expected.sort();
    assert_eq!(digests(&answer), expected, "each once");
    assert!(manifests(&answer).contains(&listed), "{answer}");
    assert_eq!(
        digests(&referrers(&admin, &image.digest(), &format!("?artifactType={SBOM}"))),
        [old.digest()]
    );
    // One page each, the same ones.
    let first = referrers(&admin, &image.digest(), "?n=1");
    assert_eq!(digests(&first), expected[..1]);
    let second = referrers(&admin, &image.digest(), &format!("?n=1&last={}", expected[0]));
    assert_eq!(digests(&second), expected[1..]);
    // It is an ordinary tag still.
    assert_eq!(admin.get("/v2/acme/app/tags/list").json()["tags"], json!(["1.0", "old", tag]));
}

#[test]
fn a_fallback_tag_that_is_no_index_is_an_ordinary_tag() {
    let (_server, admin, image) = with_image();
    let tag = image.digest().replace(':', "-");
    admin.put_manifest("acme/app", &tag, &image.manifest).expect(201);
    assert!(manifests(&referrers(&admin, &image.digest(), "")).is_empty());
}

#[test]
fn referrers_are_those_of_this_repository() {
    let (_server, admin, image) = with_image();
    admin.push_image("acme/other", "1.0", &image);
    admin.push_blob("acme/other", b"{}");
    let signature = Manifest::about(&image.manifest, SIGNATURE, "of the other");
    admin.push_manifest("acme/other", &signature);
    assert!(manifests(&referrers(&admin, &image.digest(), "")).is_empty());
    assert_eq!(sha256(&signature.bytes), signature.digest());
}
