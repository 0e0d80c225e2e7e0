//! The API of ChartMuseum as plugins and scripts call it, and what one upload may never do to an index.

use super::{archive, chart};
use crate::support::{TestServer, sha256};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read as _;

/// A provenance as `helm package --sign` writes it, as far as a server can look at it.
fn provenance(name: &str, version: &str, archive: &[u8]) -> String {
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\napiVersion: v2\nname: {name}\nversion: {version}\n\n...\nfiles:\n  \
         {name}-{version}.tgz: {}\n-----BEGIN PGP SIGNATURE-----\n\nsigned\n-----END PGP SIGNATURE-----\n",
        sha256(archive)
    )
}

#[test]
fn the_api_before_the_prefix_asks_for_the_same_access() {
    let server = TestServer::start();
    server.project("acme");
    let developer = server.member("dora", "acme", "developer");
    let viewer = server.member("vera", "acme", "viewer");
    let archive = chart("web", "1.0.0", "");
    let path = "/api/helm/acme/charts";
    developer.call("POST", path).body(&archive).expect(201);
    viewer.call("POST", path).body(&chart("web", "2.0.0", "")).expect(403);
    let asked = server.anonymous().call("POST", path).body(&archive).expect(401);
    assert!(asked.header("www-authenticate").starts_with("Basic realm="), "{asked}");
    assert!(asked.json()["error"].is_string());
    server.account("outsider").get(path).expect(403);
    let there = viewer.get("/helm/acme/api/charts").expect(200);
    assert_eq!(viewer.get(path).expect(200).json(), there.json());
    let values = archive_with_values();
    developer.call("POST", path).body(&values).expect(201);
    let read = viewer.get("/api/helm/acme/charts/api/1.0.0/values").expect(200);
    assert_eq!(read.text(), "greeting: hello\n");
    assert_eq!(server.account("stranger").get("/api/helm/acme/charts/api/1.0.0/values").status, 403);
    developer.delete("/api/helm/acme/charts/web/1.0.0").expect(403);
    let maintainer = server.member("mia", "acme", "maintainer");
    maintainer.delete("/api/helm/acme/charts/web/1.0.0").expect(200);
    viewer.get("/helm/acme/charts/web-1.0.0.tgz").expect(404);
}

fn archive_with_values() -> Vec<u8> {
    let yaml = b"apiVersion: v2\nname: api\nversion: 1.0.0\n";
    archive(&[("values.yaml", b"greeting: hello\n"), ("Chart.yaml", yaml)], "api")
}

#[test]
fn a_provenance_that_comes_later_stays_and_holds_together() {
    let server = TestServer::start();
    let admin = server.admin();
    let archive = chart("web", "1.2.3", "");
    let signed = provenance("web", "1.2.3", &archive);
    let send = || admin.call("POST", "/helm/acme/api/prov").body(signed.as_bytes());
    send().expect(404);
    admin.call("POST", "/helm/acme/api/charts").body(&archive).expect(201);
    send().expect(201);
    server.kill();
    server.start_again();
    assert_eq!(admin.get("/helm/acme/charts/web-1.2.3.tgz.prov").expect(200).text(), signed);
    assert_eq!(admin.get("/helm/acme/charts/web-1.2.3.tgz").expect(200).body, archive);
    let put = admin.call("PUT", "/helm/acme/web-1.2.3.tgz.prov").body(signed.as_bytes());
    put.expect(201);
    let other = provenance("web", "1.2.3", b"another chart");
    admin.call("POST", "/helm/acme/api/prov").body(other.as_bytes()).expect(400);
    server.cli(&["fsck"]).expect(0);
}

#[test]
fn an_index_is_compressed_when_the_client_asks_and_only_then() {
    let server = TestServer::start();
    let admin = server.admin();
    for version in 0..50 {
        let archive = chart("web", &format!("1.{version}.0"), "description: one of many\n");
        admin.call("POST", "/helm/acme/api/charts").body(&archive).expect(201);
    }
    let asked = |coding: &str| {
        admin
            .call("GET", "/helm/acme/index.yaml")
            .header("Accept-Encoding", coding)
            .send()
            .expect(200)
    };
    let plain = admin.get("/helm/acme/index.yaml").expect(200);
    assert_eq!(plain.find("content-encoding"), None);
    assert_eq!(asked("identity").body, plain.body);
    let packed = asked("gzip");
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.header("vary").contains("Accept-Encoding"));
    assert_ne!(packed.header("etag"), plain.header("etag"));
    assert!(
        packed.body.len() * 4 < plain.body.len(),
        "{} of {}",
        packed.body.len(),
        plain.body.len()
    );
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let best = asked("gzip, zstd");
    assert_eq!(best.header("content-encoding"), "zstd");
    assert_eq!(best.body[..4], [0x28, 0xb5, 0x2f, 0xfd]);
}

#[test]
fn no_upload_puts_anything_but_text_where_helm_reads_text() {
    let server = TestServer::start();
    let admin = server.admin();
    let odd = [
        ("appVersion: 1.10\n", json!({"appVersion": "1.1"})),
        (
            "appVersion: 0x1F\nicon: 5\nhome: yes\n",
            json!({"appVersion": "31", "icon": "5", "home": "true"}),
        ),
        ("keywords: [1, 2.5, ~]\n", json!({"keywords": ["1", "2.5", ""]})),
        ("annotations: {a: 1, b: true}\n", json!({"annotations": {"a": "1", "b": "true"}})),
        (
            "maintainers: [{name: 5, age: 7}]\nunknown: {a: [1]}\n",
            json!({"maintainers": [{"name": "5"}]}),
        ),
    ];
    for (number, (more, expected)) in odd.iter().enumerate() {
        let version = format!("1.0.{number}");
        admin
            .call("POST", "/helm/acme/api/charts")
            .body(&chart("web", &version, more))
            .expect(201);
        let entry = admin.get(&format!("/helm/acme/api/charts/web/{version}")).expect(200).json();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&entry[key], value, "{more}");
        }
        assert_eq!(entry.get("unknown"), None);
    }
    for (more, why) in [
        ("appVersion: [1]\n", "appVersion in Chart.yaml must be text"),
        ("deprecated: \"true\"\n", "true or false"),
        ("home: {a: b}\n", "home in Chart.yaml must be text"),
        ("keywords: a\n", "must be a list"),
    ] {
        let refused = admin
            .call("POST", "/helm/acme/api/charts")
            .body(&chart("web", "2.0.0", more))
            .expect(400);
        let sentence = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(sentence.contains(why), "{sentence}");
    }
    let index: Value = admin.get("/helm/acme/index.yaml").expect(200).json();
    assert_eq!(index["entries"]["web"].as_array().unwrap().len(), odd.len());
}
