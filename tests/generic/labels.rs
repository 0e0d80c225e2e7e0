//! Labels over plain HTTP, and files that are stored by their checksum.

use super::{refused, with_developer};
use crate::support::sha256;

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

#[test]
fn labels_are_set_at_upload_changed_and_read_back() {
    let (server, dev) = with_developer();
    let put = dev
        .call("PUT", &format!("{FW};build=42;os=linux"))
        .header("X-Granary-Label-Tested", "no");
    put.body(b"the firmware").expect(201);
    let read = |client: &crate::support::Client| client.get(&format!("{FW}?labels")).expect(200).json();
    assert_eq!(
        read(&dev)["labels"],
        serde_json::json!({"build": "42", "os": "linux", "tested": "no"})
    );
    let change = |client: &crate::support::Client| client.call("PATCH", FW).body(br#"{"labels":{"tested":"yes","os":null}}"#);
    let viewer = server.member("vera", "acme", "viewer");
    refused(&change(&viewer), 403);
    assert_eq!(
        change(&dev).expect(200).json()["labels"],
        serde_json::json!({"build": "42", "tested": "yes"})
    );
    assert_eq!(read(&viewer)["labels"], serde_json::json!({"build": "42", "tested": "yes"}));
    assert_eq!(dev.get(FW).expect(200).text(), "the firmware");
    let sentence = refused(&dev.call("PUT", &format!("{FW};build")).body(b"x"), 400);
    assert_eq!(sentence, "a parameter of a path is a label, written ;<key>=<value>");
    refused(&dev.get(&format!("{FW};build=42")), 400);
}

#[test]
fn what_one_may_read_is_stored_by_its_checksum_and_what_not_is_absent() {
    let (server, dev) = with_developer();
    server.project("secret");
    let other = server.member("olga", "secret", "developer");
    dev.call("PUT", FW).body(b"mine").expect(201);
    other.call("PUT", "/generic/secret/files/a").body(b"hers").expect(201);
    let deploy = |content: &[u8]| {
        let call = dev.call("PUT", "/generic/acme/copies/a").header("X-Checksum-Deploy", "true");
        call.header("X-Checksum-Sha256", &sha256(content)[7..]).send()
    };
    let hers = refused(&deploy(b"hers"), 404);
    assert_eq!(hers, refused(&deploy(b"nobody's"), 404));
    dev.get("/generic/acme/copies/").expect(404);
    deploy(b"mine").expect(201);
    assert_eq!(dev.get("/generic/acme/copies/a").expect(200).text(), "mine");
    assert_eq!(server.files("blobs").len(), 2);
}

#[test]
fn the_newest_release_is_one_address() {
    let (_server, dev) = with_developer();
    for release in ["1.2", "1.10", "2.0.0-rc.1"] {
        let path = format!("/generic/acme/firmware/{release}/fw.bin");
        dev.call("PUT", &path).body(release.as_bytes()).expect(201);
    }
    for (asked, release) in [("@latest", "1.10"), ("@~1.2", "1.2"), ("@^2.0.0-0", "2.0.0-rc.1")] {
        let answer = dev.get(&format!("/generic/acme/firmware/{asked}/fw.bin")).expect(302);
        assert_eq!(answer.header("location"), format!("/generic/acme/firmware/{release}/fw.bin"));
        assert_eq!(dev.get(answer.header("location")).expect(200).text(), release);
    }
    let told = dev.get("/generic/acme/firmware/?releases").expect(200).json();
    let names: Vec<&str> = told["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|release| release["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["2.0.0-rc.1", "1.10", "1.2"]);
}
