//! A file whose stored bytes are damaged: nobody is told that it does not exist, and whoever has it mends it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::gate::FakeGate;
use crate::contract::request::{Request, watched};
use crate::contract::stories;
use crate::contract::world::{World, principal};
use crate::gate::Held;
use granary_storage::Digest;

stories! {
    a_damaged_file_is_a_fault_and_not_an_absence
    who_may_only_add_mends_a_damaged_file_with_the_same_bytes
    other_bytes_take_the_place_of_a_damaged_file_by_the_rules_of_a_whole_one
}

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

/// Stores a file, and loses its bytes.
async fn damaged(world: &World) {
    world.open().ask(&put(FW, "the firmware")).await.expect(201);
    let repository = world.stores.catalog.repository("acme/firmware".parse().unwrap()).await.unwrap();
    let file = world
        .stores
        .catalog
        .file(repository.unwrap().id, "1.2/fw.bin".parse().unwrap())
        .await;
    world.stores.blobs.delete(&file.unwrap().unwrap().blob.key).await.unwrap();
    world.open().ask(&Request::get(FW)).await.expect(500);
}

async fn a_damaged_file_is_a_fault_and_not_an_absence(world: World) {
    damaged(&world).await;
    let etag = format!("\"{}\"", Digest::sha256(b"the firmware"));
    for request in [
        Request::get(FW),
        Request::get(FW).as_head(),
        Request::get(FW).header("range", "bytes=0-1"),
        Request::get(FW).header("if-none-match", etag.as_str()),
    ] {
        let answer = world.open().ask(&request).await.expect(500);
        let sentence = "the stored bytes of this file are damaged; whoever stores the same file again mends it";
        assert_eq!(answer.json()["error"], sentence, "{request:?}");
    }
    // What is known of it is known still.
    let sum = world.open().ask(&Request::get(format!("{FW}.sha256"))).await.expect(200);
    assert!(sum.body.starts_with(Digest::sha256(b"the firmware").hex().as_bytes()));
    let verified = put(format!("{FW}.sha256"), sum.body.clone());
    assert_eq!(world.open().ask(&verified).await.expect(200).json()["verified"], "sha256");
    let copy = Request::put("/generic/acme/firmware/copy")
        .header("x-checksum-deploy", "true")
        .header("x-checksum-sha256", Digest::sha256(b"the firmware").hex());
    world.open().ask(&copy).await.expect(404);
    world.open().ask(&Request::delete(FW)).await.expect(204);
    world.open().ask(&Request::get(FW)).await.expect(404);
}

async fn who_may_only_add_mends_a_damaged_file_with_the_same_bytes(world: World) {
    let sha256 = Digest::sha256(b"the firmware").hex();
    for request in [
        put(FW, "the firmware"),
        put(FW, "the firmware").header("if-none-match", "*"),
        put(FW, "the firmware").header("x-checksum-sha256", sha256),
    ] {
        damaged(&world).await;
        let adds_only = world.behind(FakeGate::holding(Held::No));
        let mended = adds_only.ask(&request).await.expect(200);
        assert_eq!(mended.json()["changed"], false);
        assert_eq!(world.open().ask(&Request::get(FW)).await.expect(200).body, "the firmware");
        // Whole again, it is as immutable as before.
        let again = adds_only.ask(&request.header("if-none-match", "*")).await.expect(412);
        assert!(again.json()["error"].is_string());
        world.open().ask(&Request::delete(FW)).await.expect(204);
    }
}

async fn other_bytes_take_the_place_of_a_damaged_file_by_the_rules_of_a_whole_one(world: World) {
    damaged(&world).await;
    let adds_only = || world.behind(FakeGate::holding(Held::No));
    adds_only().ask(&put(FW, "other")).await.expect(409);
    world.open().ask(&put(FW, "other").header("if-none-match", "*")).await.expect(412);
    // Where a checksum tells that they are others, none of them is read.
    let (body, looked_at) = watched();
    let told = put(FW, "other").header("x-checksum-sha256", Digest::sha256(b"other").hex());
    adds_only().send(&told, body, Ok(principal("robin"))).await.expect(409);
    assert!(!looked_at.get());
    world.open().ask(&Request::get(FW)).await.expect(500);
    world.open().ask(&put(FW, "other")).await.expect(200);
    assert_eq!(world.open().ask(&Request::get(FW)).await.expect(200).body, "other");
}
