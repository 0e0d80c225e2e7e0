//! Whatever is done by either protocol, both tell the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{config, get, listed, post, push, refusal};
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

stories! {
    a_version_that_is_deleted_is_gone_from_both
    whatever_is_uploaded_and_deleted_index_tags_and_api_agree
}

/// Something done to one of two charts at one of three versions.
#[derive(Clone, Copy, Debug)]
enum Step {
    Post,
    Push,
    PushAsLatest,
    Delete,
    DeleteTag,
    DeleteManifest,
    Yank,
    Unyank,
    Deprecate,
}

async fn a_version_that_is_deleted_is_gone_from_both(world: World) {
    for version in ["1.0.0", "2.0.0"] {
        world
            .open()
            .ask(&post("acme", &Packed::chart("web", version, "")))
            .await
            .expect(201);
    }
    let delete = Request::delete("/helm/acme/api/charts/web/1.0.0");
    assert_eq!(world.open().ask(&delete).await.expect(200).json(), json!({"deleted": true}));
    refusal(world.open().ask(&delete).await, 404);
    assert_eq!(listed(&world, "acme").await, ["web 2.0.0"]);
    refusal(get(&world, "/helm/acme/charts/web-1.0.0.tgz").await, 404);
    get(&world, "/v2/acme/web/manifests/1.0.0").await.expect(404);
    // Over OCI, and the chart is gone here.
    world.open().ask(&Request::delete("/v2/acme/web/manifests/2.0.0")).await.expect(202);
    assert_eq!(listed(&world, "acme").await, [""; 0]);
    refusal(get(&world, "/helm/acme/api/charts/web").await, 404);
    // The name stays bound to what was published under it.
    let other = Packed::chart("web", "1.0.0", "description: changed\n");
    assert!(refusal(world.open().ask(&post("acme", &other)).await, 409).contains("a version never changes"));
    world
        .open()
        .ask(&post("acme", &Packed::chart("web", "1.0.0", "")))
        .await
        .expect(201);
    assert_eq!(listed(&world, "acme").await, ["web 1.0.0"]);
}

async fn whatever_is_uploaded_and_deleted_index_tags_and_api_agree(world: World) {
    let steps = proptest::collection::vec(
        (
            prop_oneof![
                3 => Just(Step::Post),
                3 => Just(Step::Push),
                1 => Just(Step::PushAsLatest),
                1 => Just(Step::Delete),
                1 => Just(Step::DeleteTag),
                1 => Just(Step::DeleteManifest),
                1 => Just(Step::Yank),
                1 => Just(Step::Unyank),
                1 => Just(Step::Deprecate)
            ],
            prop_oneof![Just("api"), Just("web")],
            0u8..3,
        ),
        1..24,
    );
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(1)
    };
    for round in 0..6 {
        let mut runner = TestRunner::new(config.clone());
        let drawn = steps.new_tree(&mut runner).unwrap().current();
        let project = format!("round{round}");
        // One that is kept from step to step is the one that is made anew.
        let (door, request) = (world.open(), Request::get(format!("/helm/{project}/index.yaml")));
        let mut expected: BTreeMap<(&str, String), Bytes> = BTreeMap::new();
        let mut yanked: BTreeSet<(&str, String)> = BTreeSet::new();
        for (step, name, number) in &drawn {
            let version = format!("1.{number}.0");
            let archive = Packed::chart(name, &version, "");
            act(&world, &project, *step, name, &version, &archive).await;
            assert_eq!(door.ask(&request).await, world.open().ask(&request).await, "{drawn:?}");
            match step {
                Step::Post | Step::Push => drop(expected.insert((name, version), archive)),
                Step::PushAsLatest | Step::Deprecate => {}
                // Who names a version that is not there says nothing of it.
                Step::Yank if expected.contains_key(&(*name, version.clone())) => drop(yanked.insert((name, version))),
                Step::Unyank if expected.contains_key(&(*name, version.clone())) => drop(yanked.remove(&(*name, version))),
                Step::Yank | Step::Unyank => {}
                Step::Delete | Step::DeleteTag | Step::DeleteManifest => drop(expected.remove(&(*name, version.clone()))),
            }
        }
        let index: BTreeSet<String> = listed(&world, &project).await.into_iter().collect();
        let listed = || expected.keys().filter(|key| !yanked.contains(key));
        let wanted: BTreeSet<String> = listed().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(index, wanted, "{drawn:?}");
        for ((name, version), archive) in &expected {
            get(&world, &format!("/v2/{project}/{name}/manifests/{version}")).await.expect(200);
            get(&world, &format!("/helm/{project}/api/charts/{name}/{version}"))
                .await
                .expect(200);
            let file = get(&world, &format!("/helm/{project}/charts/{name}-{version}.tgz"))
                .await
                .expect(200);
            assert_eq!(file.body, *archive);
        }
        for name in ["api", "web"] {
            let tags = get(&world, &format!("/v2/{project}/{name}/tags/list")).await;
            let tags: BTreeSet<String> = match tags.status {
                404 => BTreeSet::new(),
                _ => serde_json::from_value(tags.json()["tags"].clone()).unwrap(),
            };
            let own = listed().filter(|(of, _)| *of == name).map(|(_, version)| version.clone());
            let tags: BTreeSet<String> = tags.into_iter().filter(|tag| tag != "latest").collect();
            assert_eq!(tags, own.collect(), "{drawn:?}");
        }
    }
}

async fn act(world: &World, project: &str, step: Step, name: &str, version: &str, archive: &Bytes) {
    let door = world.open();
    let repository = format!("{project}/{name}");
    let tag = format!("/v2/{repository}/manifests/{version}");
    match step {
        Step::Post => drop(door.ask(&post(project, archive)).await.expect(201)),
        Step::Push => drop(push(world, &repository, version, archive, &config(name, version)).await.expect(201)),
        Step::PushAsLatest => drop(
            push(world, &repository, "latest", archive, &config(name, version))
                .await
                .expect(201),
        ),
        Step::Delete => {
            let delete = Request::delete(format!("/helm/{project}/api/charts/{name}/{version}"));
            door.ask(&delete).await;
        }
        Step::Yank | Step::Unyank | Step::Deprecate => {
            let said = match step {
                Step::Yank => r#"{"yanked":true}"#,
                Step::Unyank => r#"{"yanked":false}"#,
                _ => r#"{"deprecated":true}"#,
            };
            let patch = Request::patch(format!("/helm/{project}/api/charts/{name}/{version}")).body(said);
            door.ask(&patch).await;
        }
        Step::DeleteTag => drop(door.ask(&Request::delete(tag)).await),
        Step::DeleteManifest => {
            let found = door.ask(&Request::get(&tag)).await;
            if found.status == 200 {
                let digest = found.digest();
                let delete = Request::delete(format!("/v2/{repository}/manifests/{digest}"));
                door.ask(&delete).await.expect(202);
            }
        }
    }
}
