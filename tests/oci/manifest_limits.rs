//! Manifests that are none, and manifests that are too much.

use crate::support::{Client, Image, Manifest, OCI_IMAGE, OCI_INDEX, TestServer, Wire, descriptor, sha256};
use serde_json::json;

const MIB: usize = 1024 * 1024;

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push_blob("acme/app", b"{}");
    (server, admin)
}

fn manifest(text: &str) -> Manifest {
    Manifest {
        media_type: OCI_IMAGE.into(),
        bytes: text.as_bytes().to_vec(),
    }
}

#[test]
fn what_is_no_manifest_is_refused_with_a_sentence_and_nothing_is_stored() {
    let (_server, admin) = scene();
    let config = descriptor("application/x", b"{}").to_string();
    let deep = format!("{{\"schemaVersion\":2,\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let whole = format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}");
    let truncated = &whole[..whole.len() - 1];
    let trailing = format!("{whole}x");
    let two = format!("{whole}{whole}");
    for text in [
        "",
        " ",
        "null",
        "true",
        "0",
        "\"text\"",
        "[]",
        "[2]",
        "{}",
        "{",
        "\u{feff}{}",
        "<manifest/>",
        truncated,
        &trailing,
        &two,
        &deep,
        "{\"schemaVersion\":2}",
        &format!("{{\"schemaVersion\":3,\"config\":{config},\"layers\":[]}}"),
        &format!("{{\"schemaVersion\":\"2\",\"config\":{config},\"layers\":[]}}"),
        &format!("{{\"config\":{config},\"layers\":[]}}"),
        &format!("{{\"schemaVersion\":2,\"config\":{config}}}"),
        "{\"schemaVersion\":2,\"layers\":[]}",
        "{\"schemaVersion\":2,\"config\":null,\"layers\":[]}",
        "{\"schemaVersion\":2,\"config\":\"sha256:abc\",\"layers\":[]}",
        &format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":null}}"),
        &format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":{{}}}}"),
        &format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[null]}}"),
        &format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"annotations\":{{\"a\":1}}}}"),
        &format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"subject\":\"x\"}}"),
    ] {
        let answer = admin.put_manifest("acme/app", "bad", &manifest(text));
        answer.refused(400, "MANIFEST_INVALID");
    }
    assert_eq!(admin.tag_digest("acme/app", "bad"), None);
    assert_eq!(admin.get("/v2/_catalog").json()["repositories"], json!([]));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let (_server, admin) = scene();
    for bytes in [
        &b"\xff\xfe{\0}\0"[..],
        b"{\"schemaVersion\":2,\"x\":\"\xff\"}",
        b"\x1f\x8b\x08\0\0\0\0\0",
        b"{\0}",
    ] {
        let manifest = Manifest {
            media_type: OCI_IMAGE.into(),
            bytes: bytes.to_vec(),
        };
        admin.put_manifest("acme/app", "bad", &manifest).refused(400, "MANIFEST_INVALID");
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_since_two_readers_may_take_two() {
    let (_server, admin) = scene();
    let digest = sha256(b"{}");
    let config = format!("{{\"mediaType\":\"application/x\",\"digest\":\"{digest}\",\"size\":2}}");
    for text in [
        format!("{{\"schemaVersion\":2,\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}"),
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"layers\":[]}}"),
        format!("{{\"schemaVersion\":2,\"config\":{config},\"config\":{config},\"layers\":[]}}"),
        format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_IMAGE}\",\"mediaType\":\"{OCI_IMAGE}\",\"config\":{config},\"layers\":[]}}"),
        format!("{{\"schemaVersion\":2,\"config\":{{\"digest\":\"{digest}\",\"digest\":\"{digest}\",\"size\":2}},\"layers\":[]}}"),
        // The same name, written in another way.
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"l\\u0061yers\":[]}}"),
    ] {
        let sentence = admin
            .put_manifest("acme/app", "bad", &manifest(&text))
            .refused(400, "MANIFEST_INVALID");
        assert!(sentence.contains("duplicate"), "{text}: {sentence}");
    }
}

#[test]
fn a_manifest_that_is_image_and_index_at_once_is_refused() {
    // distribution GO-2022-0379: two readers saw two images under one digest.
    let (_server, admin) = scene();
    let empty = descriptor("application/x", b"{}");
    for media_type in [OCI_IMAGE, OCI_INDEX] {
        for both in [
            json!({"schemaVersion": 2, "config": empty, "layers": [empty], "manifests": []}),
            json!({"schemaVersion": 2, "config": empty, "layers": [], "manifests": [empty]}),
            json!({"schemaVersion": 2, "layers": [], "manifests": []}),
            json!({"schemaVersion": 2, "config": empty, "manifests": []}),
        ] {
            let answer = admin.put_manifest("acme/app", "bad", &Manifest::new(media_type, both));
            answer.refused(400, "MANIFEST_INVALID");
        }
    }
}

#[test]
fn descriptors_that_are_none_are_refused() {
    let (_server, admin) = scene();
    let good = descriptor("application/x", b"{}");
    for (field, value) in [
        ("digest", json!("latest")),
        ("digest", json!("sha256:ABC")),
        ("digest", json!(7)),
        ("digest", json!(null)),
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", json!("2")),
        ("size", json!(1e300)),
        ("mediaType", json!(7)),
        ("data", json!("not base64!")),
        ("urls", json!("x")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let body = json!({"schemaVersion": 2, "config": bad, "layers": [good]});
        let answer = admin.put_manifest("acme/app", "bad", &Manifest::new(OCI_IMAGE, body));
        answer.refused(400, "MANIFEST_INVALID");
    }
}

#[test]
fn a_manifest_with_more_references_than_the_limit_is_refused() {
    let server = TestServer::with(&[("limits.manifest_references", "3")]);
    let admin = server.admin();
    admin.push_blob("acme/app", b"{}");
    let empty = descriptor("application/x", b"{}");
    let of = |layers: usize| {
        let body = json!({"schemaVersion": 2, "config": empty, "layers": vec![empty.clone(); layers]});
        admin.put_manifest("acme/app", "1.0", &Manifest::new(OCI_IMAGE, body))
    };
    of(2).expect(201);
    let sentence = of(3).refused(400, "MANIFEST_INVALID");
    assert!(sentence.contains("more than 3"), "{sentence}");
}

#[test]
fn a_manifest_of_exactly_the_limit_is_stored_and_one_byte_more_is_refused() {
    let (_server, admin) = scene();
    let of = |size: usize| {
        let empty = descriptor("application/x", b"{}");
        let body = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": empty, "layers": []}).to_string();
        manifest(&format!("{body}{}", " ".repeat(size - body.len())))
    };
    let largest = of(4 * MIB);
    admin.put_manifest("acme/app", "large", &largest).expect(201);
    assert_eq!(admin.get("/v2/acme/app/manifests/large").expect(200).body, largest.bytes);
    admin
        .put_manifest("acme/app", "larger", &of(4 * MIB + 1))
        .refused(413, "SIZE_INVALID");
}

#[test]
fn a_manifest_far_over_the_limit_is_refused_early_and_costs_no_memory() {
    // distribution CVE-2023-2253 and CVE-2017-11468: unbounded reads.
    let (server, admin) = scene();
    let image = Image::new("an image");
    admin.push_image("acme/app", "1.0", &image);
    let put = |wire: &mut Wire, framing: &str| {
        wire.request("PUT /v2/acme/app/manifests/huge", &[&format!("Content-Type: {OCI_IMAGE}"), framing]);
    };
    // Warm, with a manifest that is just over.
    let mut wire = Wire::connect(&admin);
    put(&mut wire, "Content-Length: 5242880");
    wire.oci_answer().refused(413, "SIZE_INVALID");
    let before = server.peak_memory();

    for _ in 0..5 {
        let mut wire = Wire::connect(&admin);
        put(&mut wire, "Content-Length: 1099511627776");
        wire.oci_answer().refused(413, "SIZE_INVALID");

        let mut wire = Wire::connect(&admin);
        put(&mut wire, "Transfer-Encoding: chunked");
        let piece = vec![b' '; MIB];
        for _ in 0..64 {
            // The server answers at the limit and need not take the rest.
            let sent = wire
                .try_send(format!("{MIB:x}\r\n").as_bytes())
                .and_then(|()| wire.try_send(&piece));
            if sent.and_then(|()| wire.try_send(b"\r\n")).is_err() {
                break;
            }
        }
    }

    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 32 * MIB as u64, "{grown} bytes more");
    assert_eq!(admin.tag_digest("acme/app", "huge"), None);
}
