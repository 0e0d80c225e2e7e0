//! Files stored by their checksum: for who could fetch the bytes, and as good as absent for everybody else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::gate::FakeGate;
use crate::contract::request::{Request, watched};
use crate::contract::stories;
use crate::contract::world::{World, principal};
use crate::gate::Held;
use crate::oci::specimen_tests::{image, push_blob, push_manifest};
use granary_storage::Digest;
use granary_storage::access::Visible;

stories! {
    what_the_caller_may_read_is_stored_without_its_bytes
    what_the_caller_may_not_read_is_as_absent_as_what_nobody_has
    what_is_deleted_merely_uploaded_or_blocked_is_absent
    a_layer_of_an_image_becomes_a_file
    every_other_rule_of_put_applies
}

const SOURCE: &str = "/generic/team/builds/1.0/app.bin";
const TARGET: &str = "/generic/acme/firmware/1.0/app.bin";
const ABSENT: &str = "nothing that you may read has this SHA-256; send the bytes";

fn deploy(target: &str, content: &[u8]) -> Request {
    Request::put(target)
        .header("x-checksum-deploy", "true")
        .header("x-checksum-sha256", Digest::sha256(content).hex())
}

fn only(name: &str) -> FakeGate {
    FakeGate::showing(Visible {
        projects: None,
        public: true,
        only: Some(vec![name.parse().unwrap()]),
    })
}

async fn what_the_caller_may_read_is_stored_without_its_bytes(world: World) {
    let door = world.open();
    door.ask(&put(SOURCE, "abc")).await.expect(201);
    let before = world.snapshot().await;
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    let request = deploy(TARGET, b"abc")
        .header("x-checksum-md5", md5)
        .header("content-type", "text/plain");
    let (body, looked_at) = watched();
    let answer = door.send(&request, body, Ok(principal("robin"))).await.expect(201);
    assert!(!looked_at.get());
    assert_eq!(answer.header("location"), Some(TARGET));
    assert_eq!((&answer.json()["size"], &answer.json()["changed"]), (&3.into(), &true.into()));
    let read = door.ask(&Request::get(TARGET)).await.expect(200);
    assert_eq!((&read.body[..], read.header("x-checksum-md5")), (&b"abc"[..], Some(md5)));
    assert_eq!(read.header("content-type"), Some("text/plain"));
    let after = world.snapshot().await;
    assert_eq!(after.blobs, before.blobs, "the bytes are stored once");
    assert_eq!(after.events.last().unwrap().kind, "file.stored");
    // Again: it is there. And it stays when the file that it came from goes.
    door.ask(&deploy(TARGET, b"abc")).await.expect(200);
    door.ask(&Request::delete(SOURCE)).await.expect(204);
    assert_eq!(door.ask(&Request::get(TARGET)).await.expect(200).body, "abc");
    // Said to be false, it is an upload like any other.
    let plain = put(SOURCE, "abc").header("x-checksum-deploy", "false");
    door.ask(&plain).await.expect(201);
}

async fn what_the_caller_may_not_read_is_as_absent_as_what_nobody_has(world: World) {
    world.open().ask(&put(SOURCE, "abc")).await.expect(201);
    let before = world.snapshot().await;
    let elsewhere = world.behind(only("team/other"));
    let refused = elsewhere.ask(&deploy(TARGET, b"abc")).await.expect(404);
    let nowhere = elsewhere.ask(&deploy(TARGET, b"what nobody has")).await.expect(404);
    assert_eq!(refused, nowhere);
    assert_eq!(refused.json()["error"], ABSENT);
    assert_eq!(world.snapshot().await, before);
    world.behind(only("team/builds")).ask(&deploy(TARGET, b"abc")).await.expect(201);
}

async fn what_is_deleted_merely_uploaded_or_blocked_is_absent(world: World) {
    let door = world.open();
    door.ask(&put(SOURCE, "abc")).await.expect(201);
    door.ask(&Request::delete(SOURCE)).await.expect(204);
    push_blob(&world, "team/app", b"a layer without a manifest").await;
    for content in [&b"abc"[..], b"a layer without a manifest"] {
        let answer = door.ask(&deploy(TARGET, content)).await.expect(404);
        assert_eq!(answer.json()["error"], ABSENT);
    }
    door.ask(&put(SOURCE, "def")).await.expect(201);
    let blocked = world.behind(FakeGate::blocking("not signed"));
    assert_eq!(blocked.ask(&deploy(TARGET, b"def")).await.expect(404).json()["error"], ABSENT);
    // One of two places that the policy leaves alone will do; here it leaves both.
    let door = world.open();
    door.ask(&put("/generic/team/builds/copy", "def")).await.expect(201);
    door.ask(&Request::delete(SOURCE)).await.expect(204);
    door.ask(&deploy(TARGET, b"def")).await.expect(201);
}

async fn a_layer_of_an_image_becomes_a_file(world: World) {
    let layer = b"a layer of an image";
    let content = image(b"{}", layer);
    push_blob(&world, "team/app", b"{}").await;
    push_blob(&world, "team/app", layer).await;
    push_manifest(&world, "team/app", "1.0", &content).await;
    let door = world.open();
    let (md5, wrong) = ("x-checksum-md5", "900150983cd24fb0d6963f7d28e17f72");
    let answer = door.ask(&deploy(TARGET, layer).header(md5, wrong)).await.expect(404);
    assert!(
        answer.json()["error"].as_str().unwrap().contains("only the SHA-256 is known"),
        "{answer:?}"
    );
    door.ask(&deploy(TARGET, layer)).await.expect(201);
    let read = door.ask(&Request::get(TARGET)).await.expect(200);
    assert_eq!((&read.body[..], read.header("x-checksum-md5")), (&layer[..], None));
}

async fn every_other_rule_of_put_applies(world: World) {
    let door = world.open();
    door.ask(&put(SOURCE, "abc")).await.expect(201);
    door.ask(&put(TARGET, "another")).await.expect(201);
    let before = world.snapshot().await;
    let new = "/generic/acme/firmware/new";
    for (request, status) in [
        (deploy(TARGET, b"abc").header("if-none-match", "*"), 412),
        (deploy(new, b"abc").header("if-match", "*"), 412),
        (deploy(&format!("{TARGET}/x"), b"abc"), 409),
        (deploy("/generic/acme/firmware/1.0", b"abc"), 409),
        (deploy(new, b"abc").header("x-checksum-sha1", "a".repeat(40)), 422),
        (deploy(new, b"abc").body("abc"), 400),
        (deploy(new, b"abc").header("x-checksum-deploy", "perhaps"), 400),
        (Request::put(new).header("x-checksum-deploy", "true"), 404),
        (
            Request::put(new)
                .header("x-checksum-deploy", "true")
                .header("x-checksum-sha1", "a".repeat(40)),
            404,
        ),
    ] {
        door.ask(&request).await.expect(status);
    }
    let adds_only = world.behind(FakeGate::holding(Held::No));
    adds_only.ask(&deploy(TARGET, b"abc")).await.expect(409);
    assert_eq!(world.snapshot().await, before);
    door.ask(&deploy(TARGET, b"abc")).await.expect(200);
}
