//! One chart, two protocols: whatever the road in, both roads out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{form, post, provenance};
use super::{CONFIG, CONTENT};
use crate::contract::gate::FakeGate;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use crate::oci::specimen_tests::{blob, codes, described, manifest, small_image};
use bytes::Bytes;
use granary_storage::access::Visible;
use granary_storage::limits::Limits;
use granary_storage::{Digest, ErrorKind, What};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

stories! {
    what_is_uploaded_over_http_can_be_pulled_over_oci
    what_is_pushed_over_oci_is_listed_over_http
    a_pushed_chart_that_does_not_hold_together_is_kept_and_not_listed
    the_same_chart_again_changes_nothing_and_another_one_is_refused
    provenance_comes_with_the_chart_or_later
    a_version_that_is_deleted_is_gone_from_both
    a_bad_chart_is_refused_with_its_fault_and_leaves_nothing
    the_index_is_in_order_and_tells_when_it_changed
    a_token_for_some_charts_sees_those_alone
    who_may_not_add_to_the_repository_that_the_chart_names_adds_nothing
    a_chart_never_takes_the_place_of_an_image_nor_an_image_that_of_a_chart
    a_prefix_lists_what_lies_directly_under_it
    an_archive_is_read_in_parts
    many_uploads_at_once_are_all_listed
    an_index_that_is_not_kept_is_the_same
    whatever_is_uploaded_and_deleted_index_tags_and_api_agree
}

/// A push of a chart as helm does it; the tag and the config are the pusher's to choose.
async fn push(world: &World, repository: &str, tag: &str, archive: &Bytes, config: &Value) -> Answer {
    let door = world.open();
    let config = config.to_string();
    for bytes in [archive.clone(), Bytes::from(config.clone())] {
        door.ask(&blob(repository, bytes)).await.expect(201);
    }
    let mut content = small_image("chart");
    content["config"] = described(CONFIG, config.as_bytes());
    content["layers"] = json!([described(CONTENT, archive)]);
    door.ask(&manifest(repository, tag, &content)).await
}

fn config(name: &str, version: &str) -> Value {
    json!({"name": name, "version": version, "apiVersion": "v2"})
}

async fn get(world: &World, target: &str) -> Answer {
    world.open().ask(&Request::get(target)).await
}

/// What an index lists, as name and version in its order.
async fn listed(world: &World, prefix: &str) -> Vec<String> {
    let index = get(world, &format!("/helm/{prefix}/index.yaml")).await.expect(200).json();
    assert_eq!(index["apiVersion"], "v1");
    let entries = index["entries"].as_object().unwrap();
    let versions = entries.values().flat_map(|versions| versions.as_array().unwrap());
    versions
        .map(|entry| format!("{} {}", entry["name"].as_str().unwrap(), entry["version"].as_str().unwrap()))
        .collect()
}

#[track_caller]
fn refusal(answer: Answer, status: u16) -> String {
    answer.expect(status).json()["error"].as_str().unwrap().to_owned()
}

async fn what_is_uploaded_over_http_can_be_pulled_over_oci(world: World) {
    let archive = Packed::chart("web", "1.2.3+build.5", "description: A chart\nannotations: {a: 1}\n");
    let answer = world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(answer.json(), json!({"saved": true}));
    let manifest = get(&world, "/v2/acme/web/manifests/1.2.3_build.5").await.expect(200).json();
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    assert_eq!(manifest["layers"], json!([described(CONTENT, &archive)]));
    assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "2023-11-14T22:13:20Z");
    let layer = Digest::sha256(&archive);
    assert_eq!(get(&world, &format!("/v2/acme/web/blobs/{layer}")).await.expect(200).body, archive);
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = get(&world, &format!("/v2/acme/web/blobs/{config}")).await.expect(200).json();
    assert_eq!((&config["name"], &config["version"]), (&json!("web"), &json!("1.2.3+build.5")));
    let index = get(&world, "/helm/acme/index.yaml").await.expect(200).json();
    let entry = &index["entries"]["web"][0];
    assert_eq!(entry["digest"].as_str(), Some(layer.hex().as_str()));
    assert_eq!(entry["urls"], json!(["charts/web-1.2.3+build.5.tgz"]));
    assert_eq!(entry["annotations"], json!({"a": "1"}));
    assert_eq!(index["serverInfo"]["contextPath"], "/helm/acme");
    for file in [
        "charts/web-1.2.3+build.5.tgz",
        "charts/web-1.2.3%2Bbuild.5.tgz",
        "web-1.2.3+build.5.tgz",
    ] {
        let answer = get(&world, &format!("/helm/acme/{file}")).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/gzip"));
        assert_eq!(answer.body, archive);
    }
}

async fn what_is_pushed_over_oci_is_listed_over_http(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let answer = push(&world, "acme/web", "1.2.3", &archive, &config("web", "1.2.3"))
        .await
        .expect(201);
    assert_eq!(answer.header("warning"), None);
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
    let file = get(&world, "/helm/acme/charts/web-1.2.3.tgz").await.expect(200);
    assert_eq!(file.body, archive);
    // The same by the other road is no news.
    let before = world.snapshot().await;
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(world.snapshot().await, before);
}

async fn a_pushed_chart_that_does_not_hold_together_is_kept_and_not_listed(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let broken = Bytes::from_static(b"no archive");
    let cases = [
        ("acme/other", "1.2.3", &archive, config("web", "1.2.3"), "called web"),
        ("acme/web", "1.2.3", &archive, config("web", "1.2.4"), "that of another chart"),
        ("acme/web", "latest", &archive, config("web", "1.2.3"), "whose tag is 1.2.3"),
        ("acme/web", "1.0.0", &broken, config("web", "1.0.0"), "no gzip archive"),
        ("acme/web", "2.0.0", &archive, json!([1]), "not the JSON of a chart"),
    ];
    for (repository, tag, archive, config, why) in cases {
        let answer = push(&world, repository, tag, archive, &config).await.expect(201);
        let warning = answer.header("warning").unwrap();
        assert!(warning.contains(why), "{warning}");
        let kept = get(&world, &format!("/v2/{repository}/manifests/{tag}")).await.expect(200);
        let id = world
            .stores
            .catalog
            .repository(repository.parse().unwrap())
            .await
            .unwrap()
            .unwrap()
            .id;
        let reason = world.stores.catalog.chart_unlisted(id, kept.digest()).await.unwrap();
        assert_eq!(reason.is_some(), tag != "latest", "{reason:?}");
    }
    assert_eq!(listed(&world, "acme").await, [""; 0]);
}

async fn the_same_chart_again_changes_nothing_and_another_one_is_refused(world: World) {
    let archive = Packed::chart("web", "1.2.3", "");
    let other = Packed::chart("web", "1.2.3", "description: changed\n");
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let before = world.snapshot().await;
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert!(refusal(world.open().ask(&post("acme", &other)).await, 409).contains("a version never changes"));
    let put = Request::put("/helm/acme/charts/web-1.2.3.tgz").body(other.clone());
    refusal(world.open().ask(&put).await, 409);
    assert_eq!(world.snapshot().await, before);
    // Nor over OCI.
    let pushed = push(&world, "acme/web", "1.2.3", &other, &config("web", "1.2.3")).await.expect(409);
    assert_eq!(codes(&pushed), ["DENIED"]);
    // Helm writes the time of its file into the manifest: the same archive in another one is the same chart.
    push(&world, "acme/web", "1.2.3", &archive, &config("web", "1.2.3"))
        .await
        .expect(201);
    assert_eq!(get(&world, "/helm/acme/charts/web-1.2.3.tgz").await.expect(200).body, archive);
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
}

async fn provenance_comes_with_the_chart_or_later(world: World) {
    let (archive, other) = (Packed::chart("web", "1.2.3", ""), Packed::chart("web", "2.0.0", ""));
    let signed = provenance(&archive);
    world.open().ask(&post("acme", &archive)).await.expect(201);
    let file = "/helm/acme/charts/web-1.2.3.tgz.prov";
    refusal(get(&world, file).await, 404);
    let with = |text: &str| form("acme", &[("prov", text.as_bytes()), ("chart", &archive)]);
    assert!(refusal(world.open().ask(&with("no message")).await, 400).contains("no clear-signed message"));
    assert!(refusal(world.open().ask(&with(&provenance(&other))).await, 400).contains("of another chart"));
    refusal(get(&world, file).await, 404);
    world.open().ask(&with(&signed)).await.expect(201);
    assert_eq!(get(&world, file).await.expect(200).body, signed.as_bytes());
    assert_eq!(listed(&world, "acme").await, ["web 1.2.3"]);
    // The chart alone is no other chart; another signature is.
    let before = world.snapshot().await;
    world.open().ask(&post("acme", &archive)).await.expect(201);
    assert_eq!(world.snapshot().await, before);
    let resigned = signed.replace("x.tgz", "y.tgz");
    assert!(refusal(world.open().ask(&with(&resigned)).await, 409).contains("another provenance"));
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

async fn a_bad_chart_is_refused_with_its_fault_and_leaves_nothing(world: World) {
    let good = Packed::chart("web", "1.2.3", "");
    let file = |path: &str| Packed::default().file(path, "").pack();
    let before = world.snapshot().await;
    for (archive, why) in [
        (Bytes::new(), "its body is empty"),
        (Bytes::from_static(b"no archive"), "no gzip archive"),
        (good.slice(..good.len() / 2), "cut off"),
        (file("web/x"), "no Chart.yaml"),
        (file("../x"), "leads out"),
        (Packed::chart("web", "1.10", ""), "must be in quotes"),
        (Packed::chart("Web", "1.2.3", ""), "name"),
        (Packed::chart("web", "1.2.3", "maintainers: [~]\n"), "maintainer"),
    ] {
        for request in [post("acme", &archive), form("acme", &[("chart", &archive)])] {
            let sentence = refusal(world.open().ask(&request).await, 400);
            assert!(sentence.contains(why), "{sentence}");
        }
    }
    for (request, status, why) in [
        (form("acme", &[("other", &good)]), 400, "no part called chart"),
        (form("acme", &[("chart", &good), ("chart", &good)]), 400, "two charts"),
        (
            post("acme", &good).header("content-type", "multipart/form-data"),
            400,
            "names no boundary",
        ),
        (
            post("acme", &good).header("content-type", "multipart/form-data; boundary=x"),
            400,
            "malformed",
        ),
        (
            Request::put("/helm/acme/charts/web-1.2.4.tgz").body(good.clone()),
            400,
            "its file is called web-1.2.3.tgz",
        ),
        (
            post("acme", &good).header("x-checksum-sha256", "00".repeat(32)),
            422,
            "has the digest",
        ),
        (post("acme", &good).header("x-checksum-sha256", "none"), 400, "not a sha256"),
        (post("acme", &good).header("content-range", "bytes 0-9/10"), 400, "as a whole"),
    ] {
        let sentence = refusal(world.open().ask(&request).await, status);
        assert!(sentence.contains(why), "{sentence}");
    }
    assert_eq!(world.snapshot().await, before);
    assert!(
        world
            .stores
            .catalog
            .repository("acme/web".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

async fn the_index_is_in_order_and_tells_when_it_changed(world: World) {
    let empty = get(&world, "/helm/acme/index.yaml").await.expect(200);
    assert_eq!(empty.json()["entries"], json!({}));
    for version in ["1.10.0", "1.2.0", "v1.9", "1.10.0-rc.1", "2026.08.1"] {
        world
            .open()
            .ask(&post("acme", &Packed::chart("web", version, "")))
            .await
            .expect(201);
    }
    world
        .open()
        .ask(&post("acme", &Packed::chart("api", "1.0.0", "")))
        .await
        .expect(201);
    let order = [
        "api 1.0.0",
        "web 2026.08.1",
        "web 1.10.0",
        "web 1.10.0-rc.1",
        "web v1.9",
        "web 1.2.0",
    ];
    assert_eq!(listed(&world, "acme").await, order);
    let index = get(&world, "/helm/acme/index.yaml").await.expect(200);
    let etag = index.header("etag").unwrap().to_owned();
    assert_ne!(empty.header("etag"), Some(etag.as_str()));
    let door = world.open();
    let again = Request::get("/helm/acme/index.yaml").header("if-none-match", &etag);
    assert_eq!(door.ask(&again).await.expect(304).header("etag"), Some(etag.as_str()));
    world
        .open()
        .ask(&Request::delete("/helm/acme/api/charts/api/1.0.0"))
        .await
        .expect(200);
    let changed = door.ask(&again).await.expect(200);
    assert_eq!(changed.json()["entries"]["api"], Value::Null);
    // The API tells the same.
    let charts = get(&world, "/helm/acme/api/charts").await.expect(200).json();
    assert_eq!(charts, changed.json()["entries"]);
    let versions = get(&world, "/helm/acme/api/charts/web").await.expect(200).json();
    assert_eq!(versions, charts["web"]);
    let one = get(&world, "/helm/acme/api/charts/web/v1.9").await.expect(200).json();
    assert_eq!(one, charts["web"][3]);
    refusal(get(&world, "/helm/acme/api/charts/web/1.9").await, 404);
}

async fn a_token_for_some_charts_sees_those_alone(world: World) {
    for name in ["api", "web"] {
        world.open().ask(&post("acme", &Packed::chart(name, "1.0.0", ""))).await.expect(201);
    }
    let seeing = |names: &[&str]| {
        world.behind(FakeGate::showing(Visible {
            projects: None,
            public: true,
            only: Some(names.iter().map(|name| name.parse().unwrap()).collect()),
        }))
    };
    let request = Request::get("/helm/acme/index.yaml");
    let all = world.open().ask(&request).await.expect(200);
    let some = seeing(&["acme/web", "other/api"]).ask(&request).await.expect(200);
    let entries = some.json()["entries"].clone();
    assert_eq!(entries.as_object().unwrap().keys().collect::<Vec<_>>(), ["web"]);
    assert_ne!(all.header("etag"), some.header("etag"));
    assert_eq!(some.header("cache-control"), Some("private, no-cache"));
    let door = seeing(&["acme/web"]);
    door.ask(&Request::get("/helm/acme/charts/web-1.0.0.tgz")).await.expect(200);
    let hidden = door.ask(&Request::get("/helm/acme/charts/api-1.0.0.tgz")).await.expect(404);
    let absent = door.ask(&Request::get("/helm/acme/charts/no-1.0.0.tgz")).await.expect(404);
    assert_eq!(hidden, absent);
}

async fn who_may_not_add_to_the_repository_that_the_chart_names_adds_nothing(world: World) {
    let before = world.snapshot().await;
    let door = world.behind(FakeGate::open().refusing_once_known(ErrorKind::Denied, What::Repository));
    door.ask(&post("acme", &Packed::chart("web", "1.0.0", ""))).await.expect(403);
    assert_eq!(world.snapshot().await, before);
}

async fn a_chart_never_takes_the_place_of_an_image_nor_an_image_that_of_a_chart(world: World) {
    let door = world.open();
    door.ask(&blob("acme/web", "{}")).await.expect(201);
    let image = manifest("acme/web", "1.0.0", &small_image("image"));
    door.ask(&image).await.expect(201);
    assert!(refusal(door.ask(&post("acme", &Packed::chart("web", "1.0.0", ""))).await, 409).contains("another prefix"));
    door.ask(&post("acme", &Packed::chart("web", "2.0.0", ""))).await.expect(201);
    let over = manifest("acme/web", "2.0.0", &small_image("image"));
    assert_eq!(codes(&door.ask(&over).await.expect(409)), ["DENIED"]);
    assert_eq!(listed(&world, "acme").await, ["web 2.0.0"]);
}

async fn a_prefix_lists_what_lies_directly_under_it(world: World) {
    for prefix in ["acme", "acme/charts", "acme/charts/stable", "library"] {
        world
            .open()
            .ask(&post(prefix, &Packed::chart("web", "1.0.0", "")))
            .await
            .expect(201);
    }
    world
        .open()
        .ask(&post("acme/charts", &Packed::chart("api", "1.0.0", "")))
        .await
        .expect(201);
    assert_eq!(listed(&world, "acme").await, ["web 1.0.0"]);
    assert_eq!(listed(&world, "acme/charts").await, ["api 1.0.0", "web 1.0.0"]);
    assert_eq!(listed(&world, "acme/charts/stable").await, ["web 1.0.0"]);
    // The file belongs to what stands before the folder.
    get(&world, "/helm/acme/charts/web-1.0.0.tgz").await.expect(200);
    get(&world, "/helm/acme/charts/api-1.0.0.tgz").await.expect(404);
    get(&world, "/helm/acme/charts/charts/api-1.0.0.tgz").await.expect(200);
    let library = get(&world, "/helm/index.yaml").await.expect(200).json();
    assert_eq!(library["serverInfo"]["contextPath"], "/helm");
    assert_eq!(library["entries"]["web"][0]["version"], "1.0.0");
    get(&world, "/helm/charts/web-1.0.0.tgz").await.expect(200);
}

async fn an_archive_is_read_in_parts(world: World) {
    let archive = Packed::chart("web", "1.0.0", "");
    let door = world.open();
    door.ask(&post("acme", &archive)).await.expect(201);
    let size = archive.len();
    let file = Request::get("/helm/acme/charts/web-1.0.0.tgz");
    let part = door.ask(&file.clone().header("range", "bytes=10-")).await.expect(206);
    assert_eq!((part.body, part.len), (archive.slice(10..), (size - 10) as u64));
    let beyond = door.ask(&file.clone().header("range", format!("bytes={size}-"))).await.expect(416);
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{size}").as_str()));
    let several = door.ask(&file.clone().header("range", "bytes=0-1,4-5")).await.expect(200);
    assert_eq!(several.body, archive);
    let whole = door.ask(&file).await.expect(200);
    assert!(whole.header("cache-control").unwrap().contains("immutable"));
    let etag = whole.header("etag").unwrap().to_owned();
    door.ask(&file.header("if-none-match", etag)).await.expect(304);
}

async fn many_uploads_at_once_are_all_listed(world: World) {
    let door = world.open();
    let work = (0..32).map(|number| {
        let (world, door) = (&world, &door);
        async move {
            let archive = Packed::chart("web", &format!("1.0.{number}"), "");
            door.ask(&post("acme", &archive)).await.expect(201);
            // Whoever was told that it is there finds it there.
            let listed = listed(world, "acme").await;
            assert!(listed.contains(&format!("web 1.0.{number}")), "{number} in {listed:?}");
        }
    });
    futures_util::future::join_all(work).await;
    assert_eq!(listed(&world, "acme").await.len(), 32);
}

async fn an_index_that_is_not_kept_is_the_same(world: World) {
    let door = world.limited(
        FakeGate::open(),
        Limits {
            chart_index_cache: 0,
            ..Limits::default()
        },
    );
    for name in ["api", "web"] {
        door.ask(&post("acme", &Packed::chart(name, "1.0.0", ""))).await.expect(201);
        let request = Request::get("/helm/acme/index.yaml");
        assert_eq!(door.ask(&request).await.expect(200), world.open().ask(&request).await.expect(200));
    }
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
                1 => Just(Step::DeleteManifest)
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
        for (step, name, number) in &drawn {
            let version = format!("1.{number}.0");
            let archive = Packed::chart(name, &version, "");
            act(&world, &project, *step, name, &version, &archive).await;
            assert_eq!(door.ask(&request).await, world.open().ask(&request).await, "{drawn:?}");
            match step {
                Step::Post | Step::Push => drop(expected.insert((name, version), archive)),
                Step::PushAsLatest => {}
                Step::Delete | Step::DeleteTag | Step::DeleteManifest => drop(expected.remove(&(*name, version.clone()))),
            }
        }
        let index: BTreeSet<String> = listed(&world, &project).await.into_iter().collect();
        let wanted: BTreeSet<String> = expected.keys().map(|(name, version)| format!("{name} {version}")).collect();
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
            let own = expected.keys().filter(|(of, _)| *of == name).map(|(_, version)| version.clone());
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
