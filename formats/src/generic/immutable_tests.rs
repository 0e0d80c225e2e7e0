//! Files of a project that lets none be replaced, whoever asks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use super::tus_tests::{begun, creation, head, piece, send};
use crate::contract::request::{Request, watched};
use crate::contract::stories;
use crate::contract::world::{World, principal};
use granary_storage::Digest;

stories! {
    a_file_that_keeps_its_content_is_not_replaced_by_any_road
    the_same_content_is_as_welcome_as_ever
    what_was_deleted_makes_room_and_the_setting_can_be_taken_back
}

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

/// Stores a file, and has the project's files keep their content from now on.
async fn stored(world: &World) {
    send(world, &put(FW, "first")).await.expect(201);
    immutable(world, true).await;
}

async fn immutable(world: &World, on: bool) {
    let acme = "acme".parse().unwrap();
    world.stores.catalog.set_immutable_files(acme, on, "admin".into()).await.unwrap();
}

async fn a_file_that_keeps_its_content_is_not_replaced_by_any_road(world: World) {
    let late = begun(&world, "1.2/fw.bin", 3).await;
    send(&world, &put("/generic/acme/firmware/other", "other")).await.expect(201);
    stored(&world).await;
    let before = world.snapshot().await;
    // Before a byte of it is read.
    let (body, looked_at) = watched();
    let refused = world.open().send(&put(FW, "other"), body, Ok(principal("robin"))).await.expect(409);
    assert!(!looked_at.get());
    let sentence = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(
        sentence.starts_with("1.2/fw.bin exists, and the files of its project keep their content"),
        "{sentence}"
    );
    let current = put(FW, "other").header("if-match", format!("\"{}\"", Digest::sha256(b"first")));
    send(&world, &current).await.expect(409);
    let deployed = Request::put(FW)
        .header("x-checksum-deploy", "true")
        .header("x-checksum-sha256", Digest::sha256(b"other").hex());
    send(&world, &deployed).await.expect(409);
    // Clients of tus try again what is answered with 409.
    send(&world, &creation("1.2/fw.bin", 3)).await.expect(412);
    assert_eq!(world.snapshot().await, before);
    // What was begun before ends so, too.
    send(&world, &piece(&late, 0, "abc")).await.expect(412);
    head(&world, &late).await.expect(404);
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "first");
}

async fn the_same_content_is_as_welcome_as_ever(world: World) {
    stored(&world).await;
    let same = put(FW, "first").header("x-checksum-sha256", Digest::sha256(b"first").hex());
    assert_eq!(send(&world, &same).await.expect(200).json()["changed"], false);
    // What is said of it may change.
    let labelled = same.header("x-granary-label-stage", "prod");
    send(&world, &labelled).await.expect(200);
    let labels = send(&world, &Request::get(format!("{FW}?labels"))).await.expect(200).json();
    assert_eq!(labels["labels"]["stage"], "prod");
    let patch = Request::patch(FW)
        .body(r#"{"labels":{"stage":null}}"#)
        .header("content-type", "application/json");
    send(&world, &patch).await.expect(200);
}

async fn what_was_deleted_makes_room_and_the_setting_can_be_taken_back(world: World) {
    stored(&world).await;
    send(&world, &Request::delete(FW)).await.expect(204);
    send(&world, &put(FW, "second")).await.expect(201);
    send(&world, &put(FW, "third")).await.expect(409);
    immutable(&world, false).await;
    send(&world, &put(FW, "third")).await.expect(200);
    assert_eq!(send(&world, &Request::get(FW)).await.expect(200).body, "third");
}
