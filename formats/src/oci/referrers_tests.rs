//! Who refers to an artifact, whichever way it was said: by `subject`, or by the fallback
//! tag of clients that predate the referrers API.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::{IMAGE, INDEX, described, manifest, push_blob, push_manifest, small_image};
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::{Algorithm, Digest};
use serde_json::{Value, json};

stories! {
    nothing_is_known_of_an_unknown_subject_and_that_is_an_empty_index
    an_artifact_with_a_subject_is_described
    a_fallback_tag_is_folded_in_once_and_in_order
    what_else_stands_under_a_fallback_tag_is_ignored
    the_fallback_tag_of_a_long_digest_is_cut
    pages_show_every_referrer_once
    a_page_ends_where_its_descriptors_would_be_too_large
}

const SBOM: &str = "application/vnd.cyclonedx+json";
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

fn referrers(subject: &Digest, query: &str) -> Request {
    Request::get(format!("/v2/acme/app/referrers/{subject}{query}"))
}

async fn list(world: &World, subject: &Digest, query: &str) -> (Answer, Vec<Value>) {
    let answer = world.open().ask(&referrers(subject, query)).await.expect(200);
    assert_eq!(answer.header("content-type"), Some(INDEX));
    let body = answer.json();
    assert_eq!((body["schemaVersion"].as_u64(), body["mediaType"].as_str()), (Some(2), Some(INDEX)));
    let listed = body["manifests"].as_array().unwrap().clone();
    (answer, listed)
}

fn digests(listed: &[Value]) -> Vec<String> {
    listed
        .iter()
        .map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// A manifest of that type, with or without a subject.
fn about(subject: Option<Value>, artifact_type: &str, flavour: &str) -> Value {
    let mut manifest = small_image(flavour);
    manifest["artifactType"] = json!(artifact_type);
    if let Some(subject) = subject {
        manifest["subject"] = subject;
    }
    manifest
}

/// How a fallback index lists a manifest.
fn entry(manifest: &Value) -> Value {
    let mut descriptor = described(IMAGE, format!("{manifest}\n").as_bytes());
    descriptor["artifactType"] = manifest["artifactType"].clone();
    descriptor
}

/// Pushes an image to be a subject; gives its descriptor and digest.
async fn subject(world: &World) -> (Value, Digest) {
    push_blob(world, "acme/app", b"{}").await;
    let image = small_image("subject");
    let digest = push_manifest(world, "acme/app", "1.0", &image).await;
    (described(IMAGE, format!("{image}\n").as_bytes()), digest)
}

async fn nothing_is_known_of_an_unknown_subject_and_that_is_an_empty_index(world: World) {
    // Clients probe with a digest of zeros, before anything was ever pushed.
    let zeros: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    assert_eq!(list(&world, &zeros, "").await.1, Vec::<Value>::new());
    subject(&world).await;
    assert_eq!(list(&world, &zeros, "").await.1, Vec::<Value>::new());
    let malformed = Request::get("/v2/acme/app/referrers/sha256:0");
    world.open().ask(&malformed).await.expect(400);
}

async fn an_artifact_with_a_subject_is_described(world: World) {
    let (descriptor, digest) = subject(&world).await;
    let sbom = about(Some(descriptor), SBOM, "an sbom");
    let answer = world.open().ask(&manifest("acme/app", "sbom", &sbom)).await.expect(201);
    assert_eq!(answer.header("oci-subject"), Some(digest.to_string().as_str()));
    let (_, listed) = list(&world, &digest, "").await;
    let mut expected = entry(&sbom);
    expected["annotations"] = json!({"flavour": "an sbom"});
    assert_eq!(listed, [expected]);
    // Gone with it.
    world
        .open()
        .ask(&Request::delete(format!("/v2/acme/app/manifests/{}", answer.digest())))
        .await
        .expect(202);
    assert_eq!(list(&world, &digest, "").await.1, Vec::<Value>::new());
}

async fn a_fallback_tag_is_folded_in_once_and_in_order(world: World) {
    let (descriptor, digest) = subject(&world).await;
    let native: Vec<Value> = (0..4)
        .map(|i| about(Some(descriptor.clone()), SBOM, &format!("native {i}")))
        .collect();
    let old: Vec<Value> = (0..4).map(|i| about(None, SIGNATURE, &format!("old {i}"))).collect();
    for (i, content) in native.iter().chain(&old).enumerate() {
        push_manifest(&world, "acme/app", &format!("r{i}"), content).await;
    }
    // A client that pushed by subject and kept the tag up to date too.
    let listed_twice = &native[0];
    let entries: Vec<Value> = old.iter().chain([listed_twice]).map(entry).collect();
    let fallback = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    push_manifest(&world, "acme/app", &format!("sha256-{}", digest.hex()), &fallback).await;

    let mut expected: Vec<String> = native
        .iter()
        .chain(&old)
        .map(entry)
        .map(|entry| digests(&[entry]).remove(0))
        .collect();
    expected.sort_unstable();
    let (answer, listed) = list(&world, &digest, "").await;
    assert_eq!(digests(&listed), expected);
    assert_eq!(answer.header("oci-filters-applied"), None);

    for (artifact_type, of_that_type) in [(SIGNATURE, &old), (SBOM, &native)] {
        let filter = format!("?artifactType={}", artifact_type.replace('+', "%2B"));
        let (answer, listed) = list(&world, &digest, &filter).await;
        assert_eq!(answer.header("oci-filters-applied"), Some("artifactType"));
        assert_eq!(listed.len(), of_that_type.len());
        assert!(
            listed.iter().all(|descriptor| descriptor["artifactType"] == artifact_type),
            "{listed:?}"
        );
    }
}

async fn what_else_stands_under_a_fallback_tag_is_ignored(world: World) {
    let (_, digest) = subject(&world).await;
    let tag = format!("sha256-{}", digest.hex());
    push_manifest(&world, "acme/app", &tag, &small_image("not an index")).await;
    assert_eq!(list(&world, &digest, "").await.1, Vec::<Value>::new());
    let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    push_manifest(&world, "acme/app", &tag, &empty).await;
    assert_eq!(list(&world, &digest, "").await.1, Vec::<Value>::new());
}

async fn the_fallback_tag_of_a_long_digest_is_cut(world: World) {
    push_blob(&world, "acme/app", b"{}").await;
    let old = about(None, SIGNATURE, "old");
    push_manifest(&world, "acme/app", "old", &old).await;
    let long = Digest::of(Algorithm::Sha512, b"a subject");
    let tag = format!("sha512-{}", &long.hex()[..64]);
    let fallback = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(&old)]});
    push_manifest(&world, "acme/app", &tag, &fallback).await;
    assert_eq!(list(&world, &long, "").await.1, [entry(&old)]);
}

async fn a_page_ends_where_its_descriptors_would_be_too_large(world: World) {
    let (descriptor, digest) = subject(&world).await;
    for number in 0..3 {
        let mut large = about(Some(descriptor.clone()), SBOM, &format!("large {number}"));
        large["annotations"]["much"] = json!("x".repeat(3 << 20));
        push_manifest(&world, "acme/app", &format!("large{number}"), &large).await;
    }
    let old: Vec<Value> = (0..4).map(|i| about(None, SBOM, &format!("old {i}"))).collect();
    for (i, content) in old.iter().enumerate() {
        push_manifest(&world, "acme/app", &format!("r{i}"), content).await;
    }
    let fallback = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": old.iter().map(entry).collect::<Vec<_>>()});
    push_manifest(&world, "acme/app", &format!("sha256-{}", digest.hex()), &fallback).await;

    let (mut seen, mut query) = (Vec::new(), Some(String::new()));
    while let Some(asked) = query {
        let answer = world.open().ask(&referrers(&digest, &asked)).await.expect(200);
        assert!(answer.body.len() < 4 << 20, "{} bytes", answer.body.len());
        let listed = answer.json()["manifests"].as_array().unwrap().clone();
        seen.extend(digests(&listed));
        query = answer.header("link").map(|link| {
            let path = link.split_once('>').unwrap().0;
            path.strip_prefix(&format!("</v2/acme/app/referrers/{digest}")).unwrap().to_owned()
        });
    }
    let mut expected = seen.clone();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!((seen.len(), &seen), (7, &expected));
}

async fn pages_show_every_referrer_once(world: World) {
    let (descriptor, digest) = subject(&world).await;
    let native: Vec<Value> = (0..5)
        .map(|i| about(Some(descriptor.clone()), SBOM, &format!("native {i}")))
        .collect();
    let old: Vec<Value> = (0..4).map(|i| about(None, SBOM, &format!("old {i}"))).collect();
    for (i, content) in native.iter().chain(&old).enumerate() {
        push_manifest(&world, "acme/app", &format!("r{i}"), content).await;
    }
    let fallback = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": old.iter().map(entry).collect::<Vec<_>>()});
    push_manifest(&world, "acme/app", &format!("sha256-{}", digest.hex()), &fallback).await;

    let everything = digests(&list(&world, &digest, "").await.1);
    assert_eq!(everything.len(), 9);
    let filter = "&artifactType=application%2Fvnd.cyclonedx%2Bjson";
    for (size, filter) in [(1, ""), (2, ""), (4, filter), (9, filter), (100, "")] {
        let (mut seen, mut query) = (Vec::new(), Some(format!("?n={size}{filter}")));
        while let Some(asked) = query {
            let (answer, listed) = list(&world, &digest, &asked).await;
            assert!(listed.len() <= size, "a page of {} for n={size}", listed.len());
            assert_eq!(answer.header("oci-filters-applied").is_some(), !filter.is_empty());
            seen.extend(digests(&listed));
            assert!(seen.len() <= everything.len(), "the pages do not end");
            query = answer.header("link").map(|link| {
                let (path, relation) = link.split_once('>').unwrap();
                assert_eq!(relation, "; rel=\"next\"");
                path.strip_prefix(&format!("</v2/acme/app/referrers/{digest}")).unwrap().to_owned()
            });
        }
        assert_eq!(seen, everything, "n={size}");
    }
    let (answer, none) = list(&world, &digest, "?n=0").await;
    assert_eq!((none.len(), answer.header("link")), (0, None));
}
