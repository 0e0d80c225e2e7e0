//! Good and bad manifests of every kind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(content).to_string(), "size": content.len()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer")],
    })
}

fn read(manifest: &Value, declared: Option<&str>) -> Result<Parsed> {
    parse(manifest.to_string().as_bytes(), declared, &Limits::default())
}

fn refusal(manifest: &Value, declared: Option<&str>) -> (ErrorKind, What) {
    let error = read(manifest, declared).unwrap_err();
    (error.kind(), error.what())
}

const INVALID: (ErrorKind, What) = (ErrorKind::Invalid, What::Manifest);

#[test]
fn an_image_needs_its_config_and_layers() {
    let parsed = read(&image(), Some(OCI_IMAGE)).unwrap();
    assert_eq!(parsed.kind, Kind::Image);
    assert_eq!(
        parsed.edges.iter().map(|edge| (edge.role, edge.required)).collect::<Vec<_>>(),
        [(EdgeRole::Config, true), (EdgeRole::Layer, true)]
    );
    assert_eq!(parsed.artifact_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
}

#[test]
fn the_type_may_stand_in_the_header_or_in_the_body_but_not_differ() {
    let mut bare = image();
    bare.as_object_mut().unwrap().remove("mediaType");
    for (manifest, declared) in [(&image(), None), (&bare, Some(OCI_IMAGE)), (&bare, None)] {
        assert_eq!(read(manifest, declared).unwrap().media_type, OCI_IMAGE);
    }
    assert_eq!(refusal(&image(), Some(DOCKER_IMAGE)), INVALID);
    assert_eq!(refusal(&bare, Some("text/plain")), (ErrorKind::Unsupported, What::Manifest));
}

#[test]
fn an_index_of_layers_is_an_index_still() {
    let cache =
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"x")]});
    let parsed = read(&cache, None).unwrap();
    assert_eq!(
        (parsed.kind, parsed.edges[0].role, parsed.artifact_type),
        (Kind::Index, EdgeRole::Child, None)
    );
}

#[test]
fn foreign_layers_and_subjects_may_be_missing() {
    let mut manifest = image();
    manifest["layers"][0]["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    manifest["subject"] = descriptor(OCI_IMAGE, b"subject");
    let parsed = read(&manifest, None).unwrap();
    assert!(
        parsed
            .edges
            .iter()
            .filter(|edge| edge.role != EdgeRole::Config)
            .all(|edge| !edge.required)
    );
    assert_eq!(parsed.subject, Some(Digest::sha256(b"subject")));
}

#[test]
fn a_manifest_that_two_readers_could_read_differently_is_refused() {
    let mut both = image();
    both["manifests"] = json!([]);
    assert_eq!(refusal(&both, None), INVALID);
    let twice = image().to_string().replacen("\"layers\":", "\"layers\":[],\"layers\":", 1);
    assert_eq!(
        parse(twice.as_bytes(), None, &Limits::default()).unwrap_err().what(),
        What::Manifest
    );
    let trailing = format!("{}{{}}", image());
    assert_eq!(
        parse(trailing.as_bytes(), None, &Limits::default()).unwrap_err().what(),
        What::Manifest
    );
}

#[test]
fn malformed_manifests_are_refused() {
    let change = |path: &str, value: Value| {
        let mut manifest = image();
        *manifest.pointer_mut(path).unwrap() = value;
        manifest
    };
    for bad in [
        Value::Null,
        json!([]),
        json!("text"),
        json!({}),
        change("/schemaVersion", json!(3)),
        change("/config", Value::Null),
        change("/layers", Value::Null),
        change("/layers/0/digest", json!("sha256:abc")),
        change("/layers/0/size", json!(-1)),
        change("/layers/0/size", json!(1.5)),
        change("/config/size", json!("2")),
    ] {
        assert_eq!(refusal(&bad, Some(OCI_IMAGE)), INVALID, "{bad}");
    }
    for bad in [&b""[..], b"null", b"{", b"\xff\xfe", b"{\"schemaVersion\":2"] {
        assert_eq!(parse(bad, Some(OCI_IMAGE), &Limits::default()).unwrap_err().what(), What::Manifest);
    }
    // Not even where it is skipped over, as in what nobody here reads.
    let strange = image().to_string().replacen('{', "{\"unknown\":\"\u{1}\",", 1);
    let strange: Vec<u8> = strange.bytes().map(|byte| if byte == 1 { 0xc9 } else { byte }).collect();
    assert_eq!(
        parse(&strange, Some(OCI_IMAGE), &Limits::default()).unwrap_err().what(),
        What::Manifest
    );
    let mut annotated = image();
    annotated["annotations"] = json!({"a": 1});
    assert_eq!(refusal(&annotated, None), INVALID);
}

#[test]
fn schema_1_is_refused_with_advice() {
    let old = json!({"schemaVersion": 1, "name": "a/b", "fsLayers": []});
    for declared in [
        None,
        Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
        Some("application/vnd.docker.distribution.manifest.v1+json"),
    ] {
        assert!(read(&old, declared).unwrap_err().message().contains("schema 1"), "{declared:?}");
    }
}

#[test]
fn embedded_data_must_be_what_it_says() {
    let mut manifest = image();
    manifest["config"]["data"] = json!("e30=");
    read(&manifest, None).unwrap();
    for bad in ["e30", "e31=", "!"] {
        manifest["config"]["data"] = json!(bad);
        assert_eq!(refusal(&manifest, None), INVALID, "{bad}");
    }
}

#[test]
fn too_many_references_are_refused() {
    let layers: Vec<Value> = (0..10).map(|i: u8| descriptor("x", &[i])).collect();
    let mut manifest = image();
    manifest["layers"] = json!(layers);
    let limits = Limits {
        manifest_references: 5,
        ..Limits::default()
    };
    assert_eq!(
        parse(manifest.to_string().as_bytes(), None, &limits).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn a_referrer_is_described_by_its_type_and_annotations() {
    let mut manifest = image();
    manifest["artifactType"] = json!("application/vnd.cyclonedx+json");
    manifest["annotations"] = json!({"a": "b"});
    let parsed = read(&manifest, None).unwrap();
    assert_eq!(parsed.kind, Kind::Sbom);
    let described: Value = serde_json::from_str(&parsed.descriptor(&Digest::sha256(b"m"), 7)).unwrap();
    assert_eq!(described["artifactType"], "application/vnd.cyclonedx+json");
    assert_eq!(
        (described["size"].as_u64(), described["annotations"]["a"].as_str()),
        (Some(7), Some("b"))
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-z0-9]{0,80}") {
        let _ = parse(&bytes, None, &Limits::default());
        let _ = parse(text.as_bytes(), Some(OCI_INDEX), &Limits::default());
    }
}

#[test]
fn what_is_accepted_but_unwise_is_said() {
    assert!(read(&image(), None).unwrap().warnings.is_empty());
    let mut foreign = image();
    foreign["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    assert_eq!(read(&foreign, None).unwrap().warnings, [KEPT_ELSEWHERE]);
    let withdrawn = json!({"mediaType": OCI_ARTIFACT, "artifactType": "application/x", "blobs": []});
    assert_eq!(read(&withdrawn, None).unwrap().warnings, [DEPRECATED_ARTIFACT]);
}

#[test]
fn a_field_that_some_readers_take_for_another_is_refused() {
    for key in ["Manifests", "LAYERS", "mediatype", "Subject"] {
        let mut image = image();
        image[key] = json!([]);
        assert_eq!(refusal(&image, None), INVALID, "{key}");
    }
    let mut extended = image();
    extended["com.example.Layers"] = json!([]);
    read(&extended, None).unwrap();
}

#[test]
fn what_is_no_manifest_is_not_repeated_in_the_sentence() {
    let long = format!("{{\"schemaVersion\": \"{}\"}}", "x".repeat(100_000));
    let error = parse(long.as_bytes(), None, &Limits::default()).unwrap_err();
    assert!(error.message().len() < 400, "{}", error.message().len());
}
