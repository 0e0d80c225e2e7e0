//! Labels as clients set, change and read them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::gate::FakeGate;
use crate::contract::request::{Request, watched};
use crate::contract::stories;
use crate::contract::world::{World, principal};
use crate::gate::Held;
use granary_storage::limits::Limits;
use serde_json::{Value, json};

stories! {
    labels_come_with_a_file_by_header_or_behind_its_path
    the_same_file_with_other_labels_gets_those
    a_patch_sets_and_takes_away
    a_label_that_breaks_a_rule_is_refused_before_the_body_is_read
    a_patch_that_breaks_a_rule_changes_nothing
    only_a_put_takes_parameters_in_its_path
}

const FW: &str = "/generic/acme/firmware/1.2/fw.bin";

async fn labels(world: &World, target: &str) -> Value {
    let answer = world.open().ask(&Request::get(format!("{target}?labels"))).await.expect(200);
    answer.json()["labels"].clone()
}

fn patch(body: impl Into<String>) -> Request {
    Request::patch(FW).body(body.into())
}

async fn labels_come_with_a_file_by_header_or_behind_its_path(world: World) {
    let door = world.open();
    let request = put(format!("{FW};build=42;OS=linux;why=a%2Fb%3B%20c"), "abc")
        .header("x-granary-label-tested", " yes, twice ")
        .header("x-granary-label-owner", "Jürgen");
    let answer = door.ask(&request).await.expect(201);
    assert_eq!(answer.header("location"), Some(FW));
    let expected = json!({"build": "42", "os": "linux", "why": "a/b; c", "tested": "yes, twice", "owner": "Jürgen"});
    assert_eq!(labels(&world, FW).await, expected);
    let all = door.ask(&Request::get(format!("{FW}?labels"))).await.json();
    assert_eq!(
        (&all["path"], &all["size"], &all["repository"]),
        (&"1.2/fw.bin".into(), &3.into(), &"acme/firmware".into())
    );
    assert_eq!(door.ask(&Request::get(FW)).await.expect(200).body, "abc");
    // A semicolon that is part of a name is not one that ends it.
    door.ask(&put("/generic/acme/firmware/a%3Bb=c;d=e", "x")).await.expect(201);
    assert_eq!(labels(&world, "/generic/acme/firmware/a%3Bb=c").await, json!({"d": "e"}));
    door.ask(&Request::get("/generic/acme/firmware/none?labels")).await.expect(404);
    door.ask(&Request::get("/generic/acme/none/fw.bin?labels")).await.expect(404);
    // Stored by its checksum, a file has the labels of that request.
    let deploy = Request::put("/generic/acme/firmware/copy;of=fw")
        .header("x-checksum-deploy", "true")
        .header("x-checksum-sha256", granary_storage::Digest::sha256(b"abc").hex());
    door.ask(&deploy).await.expect(201);
    assert_eq!(labels(&world, "/generic/acme/firmware/copy").await, json!({"of": "fw"}));
}

async fn the_same_file_with_other_labels_gets_those(world: World) {
    let door = world.open();
    let changed = async |target: &str, content: &'static str| door.ask(&put(target, content)).await.expect(200).json()["changed"].clone();
    door.ask(&put(format!("{FW};a=1;b=2"), "abc")).await.expect(201);
    assert_eq!(changed(FW, "abc").await, false);
    assert_eq!(changed(&format!("{FW};b=2;a=1"), "abc").await, false);
    assert_eq!(labels(&world, FW).await, json!({"a": "1", "b": "2"}));
    assert_eq!(changed(&format!("{FW};a=3"), "abc").await, true);
    assert_eq!(labels(&world, FW).await, json!({"a": "3"}));
    assert_eq!(changed(FW, "def").await, true);
    assert_eq!(labels(&world, FW).await, json!({}));
    // Who may only add changes nothing that is there.
    let adds_only = world.behind(FakeGate::holding(Held::No));
    let sha256 = granary_storage::Digest::sha256(b"def").hex();
    let again = put(format!("{FW};a=4"), "def").header("x-checksum-sha256", sha256);
    adds_only.ask(&again).await.expect(409);
    assert_eq!(labels(&world, FW).await, json!({}));
}

async fn a_patch_sets_and_takes_away(world: World) {
    let door = world.open();
    let stored = door.ask(&put(format!("{FW};a=1;gone=x"), "abc")).await.expect(201);
    let read = door.ask(&Request::get(FW)).await;
    let expected = json!({"a": "2", "b": ""});
    let answer = door
        .ask(&patch(r#"{"labels":{"A":"2","b":"","gone":null,"never":null}}"#))
        .await
        .expect(200);
    assert_eq!(
        (&answer.json()["labels"], &answer.json()["path"]),
        (&expected, &"1.2/fw.bin".into())
    );
    assert_eq!(labels(&world, FW).await, expected);
    assert_eq!(door.ask(&Request::get(FW)).await, read, "the file is the same");
    let event = world.events().await.pop().unwrap();
    assert_eq!((event.kind.as_str(), &*event.principal), ("file.labelled", "robin"));
    let before = world.snapshot().await;
    door.ask(&patch(r#"{"labels":{"a":"2"}}"#)).await.expect(200);
    door.ask(&patch(r#"{"labels":{}}"#)).await.expect(200);
    let stale = patch(r#"{"labels":{"a":"3"}}"#).header("if-match", "\"another\"");
    door.ask(&stale).await.expect(412);
    assert_eq!(world.snapshot().await, before);
    let fresh = patch(r#"{"labels":{"a":"3"}}"#).header("if-match", stored.header("etag").unwrap());
    door.ask(&fresh).await.expect(200);
}

async fn a_label_that_breaks_a_rule_is_refused_before_the_body_is_read(world: World) {
    let before = world.snapshot().await;
    let many: String = (0..65).map(|number| format!(";k{number}=v")).collect();
    let (long_key, long_value) = (format!(";{}=v", "k".repeat(129)), format!(";k={}", "v".repeat(1025)));
    let requests = [
        ";",
        ";a",
        ";=b",
        ";a b=c",
        ";a=1;A=2",
        ";a=%0A",
        ";a=%FF",
        ";a=%4",
        ";a=b;",
        &many,
        &long_key,
        &long_value,
    ];
    let mut requests: Vec<Request> = requests.iter().map(|end| put(format!("{FW}{end}"), "x")).collect();
    requests.push(put(FW, "x").header("x-granary-label-", "v"));
    requests.push(put(FW, "x").header("x-granary-label-a!", "v"));
    requests.push(put("/generic/acme/firmware/1.2;a=b/fw.bin", "x"));
    requests.push(put("/generic/acme;a=b/firmware/fw.bin", "x"));
    requests.push(put("/generic/acme/firmware/1.2/;a=b", "x"));
    for request in requests {
        let (body, looked_at) = watched();
        let answer = world.open().send(&request, body, Ok(principal("robin"))).await.expect(400);
        assert!(!answer.json()["error"].as_str().unwrap().is_empty());
        assert!(!looked_at.get(), "{request:?}");
    }
    assert_eq!(world.snapshot().await, before);
}

async fn a_patch_that_breaks_a_rule_changes_nothing(world: World) {
    world.open().ask(&put(format!("{FW};a=1"), "abc")).await.expect(201);
    let before = world.snapshot().await;
    let deep = format!("{{\"labels\":{}", "[".repeat(100_000));
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        ("{}", 400),
        (r#"{"labels":null}"#, 400),
        (r#"{"labels":{"a":1}}"#, 400),
        (r#"{"labels":{"a":{"b":"c"}}}"#, 400),
        (r#"{"labels":{"b":"c"},"content_type":"text/plain"}"#, 400),
        (r#"{"labels":{"b":"c","B":"d"}}"#, 400),
        (r#"{"labels":{"b":"c","b":"d"}}"#, 400),
        (r#"{"labels":{"b":"c"},"labels":{}}"#, 400),
        (r#"{"labels":{"b c":"d"}}"#, 400),
        (r#"{"labels":{"b":"c\n"}}"#, 400),
        (&deep, 400),
        (&" ".repeat(2_000_000), 413),
    ] {
        world.open().ask(&patch(body)).await.expect(status);
    }
    let two = Limits {
        labels_per_version: 1,
        ..Limits::default()
    };
    let full = world
        .limited(FakeGate::open(), two)
        .ask(&patch(r#"{"labels":{"b":"c"}}"#))
        .await
        .expect(400);
    assert_eq!(full.json()["error"], "a version has at most 1 labels");
    assert_eq!(world.snapshot().await, before);
    assert_eq!(labels(&world, FW).await, json!({"a": "1"}));
    world
        .open()
        .ask(&patch(r#"{"labels":{"b":"c"}}"#).at("/generic/acme/firmware/none"))
        .await
        .expect(404);
}

async fn only_a_put_takes_parameters_in_its_path(world: World) {
    world.open().ask(&put(format!("{FW};a=1"), "abc")).await.expect(201);
    let target = format!("{FW};a=1");
    for request in [
        Request::get(target.as_str()),
        Request::delete(target.as_str()),
        patch(r#"{"labels":{}}"#).at(target.as_str()),
    ] {
        let answer = world.open().ask(&request).await.expect(400);
        assert!(answer.json()["error"].as_str().unwrap().contains("only PUT"), "{answer:?}");
    }
}
