//! Text that a database or a log may choke on, wherever a client can put text. Whatever the answer is, it
//! is never an error of the server (the harness refuses any 5xx), and what was stored is found again.

use crate::support::{Client, Manifest, OCI_IMAGE, TestServer, by_hand, descriptor, sha256};
use serde_json::json;

fn scene() -> (TestServer, Client) {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    admin.push_blob("acme/app", b"{}");
    (server, admin)
}

/// Query values that end a string, a statement, or the patience of a parser.
const NASTY: [&str; 9] = [
    "%00",
    "a%00b",
    "%ff%fe",
    "%F0%9F%A6%80",
    "'%3BDROP%20TABLE%20version%3B--",
    "%22",
    "%25%5F",
    "%0D%0AX-Injected:%201",
    "%E2%80%AE",
];

#[test]
fn markers_and_filters_may_be_any_text() {
    let (_server, admin) = scene();
    let digest = sha256(b"{}");
    for text in NASTY {
        admin.get(&format!("/v2/acme/app/tags/list?last={text}")).expect(200);
        admin.get(&format!("/v2/_catalog?last={text}")).expect(200);
        let answer = admin
            .get(&format!("/v2/acme/app/referrers/{digest}?artifactType={text}"))
            .expect(200);
        assert_eq!(answer.json()["manifests"], json!([]));
        assert!(answer.find("x-injected").is_none(), "{answer}");
        // Here the marker is a digest, or none.
        let answer = admin.get(&format!("/v2/acme/app/referrers/{digest}?last={text}"));
        assert_eq!(answer.status, 400, "{answer}");
    }
    admin
        .get(&format!("/v2/acme/app/tags/list?last={}", "z".repeat(30_000)))
        .expect(200);
}

#[test]
fn a_name_or_a_password_may_be_any_text_and_is_wrong() {
    let (server, _) = scene();
    let nobody = server.anonymous();
    for text in ["\0", "admin\0", "\u{1f980}", "admin'--", "\r\nX: y", "%00", "\u{202e}nimda"] {
        nobody.basic(text, "password").get("/v2/").refused(401, "UNAUTHORIZED");
        nobody.basic("admin", text).get("/v2/").refused(401, "UNAUTHORIZED");
        let answer = nobody.basic(text, "password").ask_token("service=granary");
        answer.refused(401, "UNAUTHORIZED");
    }
    for text in NASTY {
        for form in [
            format!("grant_type=password&username={text}&password=x"),
            format!("grant_type=password&username=admin&password={text}"),
            format!("grant_type=refresh_token&refresh_token={text}"),
        ] {
            nobody.call("POST", "/token").body(form.as_bytes()).refused(401, "UNAUTHORIZED");
        }
    }
}

#[test]
fn scopes_and_services_may_be_any_text() {
    let (_server, admin) = scene();
    for text in NASTY {
        admin.ask_token(&format!("scope=repository:{text}:pull")).expect(200);
        admin.ask_token(&format!("scope={text}")).expect(200);
        admin.ask_token(&format!("account={text}&client_id={text}")).expect(200);
        admin.ask_token(&format!("service={text}")).refused(400, "UNSUPPORTED");
    }
}

#[test]
fn the_fields_of_a_manifest_may_be_any_text() {
    let (_server, admin) = scene();
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let subject = Manifest::index(&[]);
    for text in [
        "a\0b",
        "\u{1f980}",
        "\u{202e}",
        "'; DROP TABLE artifact; --",
        "\u{ffff}",
        "line\r\nline",
        "\u{1b}[31m",
    ] {
        let mut config = empty.clone();
        config["mediaType"] = json!(text);
        for body in [
            json!({"schemaVersion": 2, "artifactType": text, "config": empty, "layers": [], "subject": subject.descriptor()}),
            json!({"schemaVersion": 2, "config": config, "layers": [], "subject": subject.descriptor()}),
            json!({"schemaVersion": 2, "config": empty, "layers": [], "annotations": {text: text}, "subject": subject.descriptor()}),
        ] {
            let manifest = Manifest::new(OCI_IMAGE, body);
            let put = admin.put_manifest("acme/app", "text", &manifest);
            assert!(matches!(put.status, 201 | 400), "{text:?}: {put}");
            if put.status == 201 {
                assert_eq!(admin.get("/v2/acme/app/manifests/text").expect(200).body, manifest.bytes);
            }
            admin
                .get(&format!("/v2/acme/app/referrers/{}", subject.digest()))
                .expect(200)
                .json();
        }
    }
}

#[test]
fn a_field_of_a_manifest_may_be_as_long_as_a_manifest_may_be() {
    let (_server, admin) = scene();
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let subject = Manifest::index(&[]);
    // Text that no compression shortens: an index of a database holds a few kilobytes.
    let long: String = crate::support::bytes(1, 50_000).iter().map(|byte| format!("{byte:02x}")).collect();
    for body in [
        json!({"schemaVersion": 2, "artifactType": long, "config": empty, "layers": [], "subject": subject.descriptor()}),
        json!({"schemaVersion": 2, "config": empty, "layers": [], "annotations": {"k": long}, "subject": subject.descriptor()}),
    ] {
        let put = admin.put_manifest("acme/app", "long", &Manifest::new(OCI_IMAGE, body));
        assert!(matches!(put.status, 201 | 400), "{put}");
    }
    admin
        .get(&format!("/v2/acme/app/referrers/{}", subject.digest()))
        .expect(200)
        .json();
}

#[test]
fn sizes_that_add_up_to_more_than_a_number_holds_do_no_harm() {
    let (_server, admin) = scene();
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let huge = |seed: u8| {
        json!({
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "digest": sha256(&[seed]), "size": u64::MAX,
        })
    };
    let body = json!({"schemaVersion": 2, "config": empty, "layers": [huge(1), huge(2), huge(3)]});
    let put = admin.put_manifest("acme/app", "huge", &Manifest::new(OCI_IMAGE, body));
    assert!(matches!(put.status, 201 | 400), "{put}");
}

#[test]
fn a_location_holds_nothing_that_a_client_wrote_but_the_name() {
    let (_server, admin) = scene();
    for query in ["?digest-algorithm=sha256&x=%0D%0AX-Injected:%201", "?x=%22%3E", "?from=evil%0D%0A"] {
        let answer = by_hand(
            &admin,
            "POST",
            &format!("/v2/acme/app/blobs/uploads/{query}"),
            &["Content-Length: 0"],
        );
        let location = answer.expect(202).header("location").to_owned();
        assert!(
            location.starts_with("/v2/acme/app/blobs/uploads/") && !location.contains(['%', '"', '?']),
            "{location}"
        );
    }
}

#[test]
fn bytes_that_were_compressed_by_the_client_are_kept_as_they_came() {
    let (_server, admin) = scene();
    // A gzip member of "x": who decoded it on the way in would find another digest.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x00\x00\x83\x16\xdc\x8c\x01\x00\x00\x00";
    let digest = sha256(gzip);
    let path = format!("/v2/acme/app/blobs/uploads/?digest={digest}");
    admin.call("POST", &path).header("Content-Encoding", "gzip").body(gzip).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, gzip);
}
