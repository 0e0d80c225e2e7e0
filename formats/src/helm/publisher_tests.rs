//! Who publishes a chart repository.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{get, post, refusal};
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::limits::Limits;
use serde_json::json;

stories! {
    who_publishes_is_said_replaced_and_taken_back
    what_artifact_hub_could_not_read_is_refused
    a_prefix_without_a_project_has_no_publisher
}

const AT: &str = "/helm/acme/charts/artifacthub-repo.yml";
const FILE: &str = "# ours\nrepositoryID: 4aae7cba-1e24-4e23-a5a7-2e9a3bd56a33\nowners:\n  - name: anna\n    email: anna@example.com\n";

async fn who_publishes_is_said_replaced_and_taken_back(world: World) {
    let door = world.open();
    door.ask(&post("acme/charts", &Packed::chart("web", "1.0.0", ""))).await.expect(201);
    let index = get(&world, "/helm/acme/charts/index.yaml").await;
    refusal(get(&world, AT).await, 404);
    refusal(door.ask(&Request::delete(AT)).await, 404);
    assert_eq!(
        door.ask(&Request::put(AT).body("{}")).await.expect(201).json(),
        json!({"saved": true})
    );
    door.ask(&Request::put(AT).body(FILE)).await.expect(200);
    let read = get(&world, AT).await.expect(200);
    assert_eq!(read.body, FILE.as_bytes());
    assert_eq!(read.header("content-type"), Some("application/yaml"));
    let etag = read.header("etag").unwrap();
    door.ask(&Request::get(AT).header("if-none-match", etag)).await.expect(304);
    let head = door.ask(&Request::get(AT).as_head()).await.expect(200);
    assert_eq!(head.len, read.len);
    // Of this prefix and no other one, and no part of the index.
    for other in ["/helm/acme", "/helm/library", "/helm"] {
        refusal(get(&world, &format!("{other}/artifacthub-repo.yml")).await, 404);
    }
    assert_eq!(get(&world, "/helm/acme/charts/index.yaml").await, index);
    door.ask(&Request::delete(AT)).await.expect(200);
    refusal(get(&world, AT).await, 404);
    refusal(door.ask(&Request::post(AT).body(FILE)).await, 405);
}

async fn what_artifact_hub_could_not_read_is_refused(world: World) {
    world
        .open()
        .ask(&post("acme/charts", &Packed::chart("web", "1.0.0", "")))
        .await
        .expect(201);
    let before = world.snapshot().await;
    let door = world.limited(
        crate::contract::gate::FakeGate::open(),
        Limits {
            chart_publisher_bytes: 100,
            ..Limits::default()
        },
    );
    for (body, status, why) in [
        ("", 400, "is empty"),
        ("<html>", 400, "no mapping"),
        ("owners: anna\n", 400, "owners in artifacthub-repo.yml must be a list"),
        (FILE, 413, "larger than the limit of 100 bytes"),
    ] {
        let sentence = refusal(door.ask(&Request::put(AT).body(body)).await, status);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
}

async fn a_prefix_without_a_project_has_no_publisher(world: World) {
    let sentence = refusal(world.open().ask(&Request::put(AT).body(FILE)).await, 404);
    assert!(sentence.contains("there is no project acme"), "{sentence}");
}
