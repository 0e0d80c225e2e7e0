//! The differences of two versions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::Packed;
use super::specimen_tests::{get, post, refusal};
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use futures_util::FutureExt as _;
use granary_storage::limits::Limits;
use serde_json::json;
use std::time::Duration;

stories! {
    two_versions_are_compared_file_by_file
    both_versions_are_put_to_the_policies
    the_latest_version_is_compared_once_it_is_named
    what_is_too_large_to_compare_is_said_to_be
    charts_that_are_unpacked_at_once_have_a_limit
    differences_that_grow_as_they_are_written_are_refused
    who_goes_away_leaves_a_place_taken_until_the_work_is_done
}

const OF: &str = "/helm/acme/api/charts/web";

async fn two_versions(world: &World) {
    let one = Packed::default()
        .file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
        .file("web/values.yaml", "replicas: 1\nname: web\n")
        .file("web/templates/old.yaml", "kind: ConfigMap\n")
        .file("web/README.md", "# Web\n")
        .file("web/logo.png", [0x89, 0, 1]);
    let two = Packed::default()
        .file("web/values.yaml", "\u{feff}replicas: 3\nname: web\n")
        .file("web/README.md", "# Web\n")
        .file("web/templates/new.yaml", "kind: Secret\n")
        .file("web/logo.png", [0x89, 0, 2])
        .file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 2.0.0+b\n");
    for archive in [one.pack(), two.pack()] {
        world.open().ask(&post("acme", &archive)).await.expect(201);
    }
}

async fn two_versions_are_compared_file_by_file(world: World) {
    two_versions(&world).await;
    let answer = get(&world, &format!("{OF}/1.0.0/diff/2.0.0+b")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("vary"), Some("Accept"));
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let told = answer.json();
    assert_eq!(
        (&told["name"], &told["from"], &told["to"]),
        (&json!("web"), &json!("1.0.0"), &json!("2.0.0+b"))
    );
    let files: Vec<_> = told["files"].as_array().unwrap().iter().collect();
    let brief: Vec<_> = files
        .iter()
        .map(|file| json!([file["name"], file["change"], file["added"], file["removed"]]))
        .collect();
    let expected = [
        json!(["Chart.yaml", "changed", 1, 1]),
        json!(["logo.png", "changed", null, null]),
        json!(["templates/new.yaml", "added", 1, 0]),
        json!(["templates/old.yaml", "removed", 0, 1]),
        json!(["values.yaml", "changed", 1, 1]),
    ];
    assert_eq!(brief, expected);
    let values = "--- a/values.yaml\n+++ b/values.yaml\n@@ -1,2 +1,2 @@\n-replicas: 1\n+replicas: 3\n name: web\n";
    assert_eq!(files[4]["diff"], values);
    // As a patch, for people.
    for request in [
        Request::get(format!("{OF}/1.0.0/diff/2.0.0+b?format=text")),
        Request::get(format!("{OF}/1.0.0/diff/2.0.0+b")).header("accept", "text/plain;q=0.9"),
    ] {
        let patch = world.open().ask(&request).await.expect(200);
        assert_eq!(patch.header("content-type"), Some("text/x-diff; charset=utf-8"));
        let text = String::from_utf8(patch.body.to_vec()).unwrap();
        assert!(
            text.contains(values) && text.contains("Files a/logo.png and b/logo.png differ\n"),
            "{text}"
        );
        assert!(
            text.contains("--- a/templates/old.yaml\n+++ /dev/null\n@@ -1 +0,0 @@\n-kind: ConfigMap\n"),
            "{text}"
        );
    }
    let same = get(&world, &format!("{OF}/1.0.0/diff/1.0.0")).await.expect(200);
    assert_eq!(same.json()["files"], json!([]));
    for nowhere in [
        "1.0.0/diff/3.0.0",
        "3.0.0/diff/1.0.0",
        "1.0.0/diff/2.0.0_b",
        "1.0.0/diff/",
        "1.0.0/diff",
    ] {
        refusal(get(&world, &format!("{OF}/{nowhere}")).await, 404);
    }
    refusal(get(&world, &format!("{OF}/1.0.0/diff/2.0.0+b?format=html")).await, 400);
}

async fn both_versions_are_put_to_the_policies(world: World) {
    two_versions(&world).await;
    let request = Request::get(format!("{OF}/1.0.0/diff/2.0.0+b"));
    let door = world.behind(FakeGate::warning(&["not signed"]));
    let warned = door.ask(&request).await.expect(200);
    assert_eq!(warned.all("warning"), ["299 - \"not signed\""; 2]);
    let asked: Vec<_> = door.gate.admitted.lock().unwrap().iter().map(|(_, digest)| *digest).collect();
    assert!(asked.len() == 2 && asked[0] != asked[1], "{asked:?}");
    let blocked = world.behind(FakeGate::blocking("blocked by a policy"));
    assert_eq!(refusal(blocked.ask(&request).await, 403), "blocked by a policy");
}

async fn the_latest_version_is_compared_once_it_is_named(world: World) {
    two_versions(&world).await;
    for (asked, place) in [
        ("1.0.0/diff/latest", "../../1.0.0/diff/2.0.0+b?format=json"),
        ("latest/diff/1.0.0?format=text", "../../2.0.0+b/diff/1.0.0?format=text"),
        ("latest/diff/latest", "../../2.0.0+b/diff/2.0.0+b?format=json"),
    ] {
        let answer = get(&world, &format!("{OF}/{asked}")).await.expect(302);
        assert_eq!(answer.header("location"), Some(place), "{asked}");
    }
}

async fn what_is_too_large_to_compare_is_said_to_be(world: World) {
    two_versions(&world).await;
    let limits = Limits {
        chart_diff_lines: 1,
        ..Limits::default()
    };
    let request = Request::get(format!("{OF}/1.0.0/diff/2.0.0+b"));
    let told = world.limited(FakeGate::open(), limits).ask(&request).await.expect(200).json();
    assert_eq!(
        (&told["files"][4]["change"], &told["files"][4]["diff"]),
        (&json!("changed"), &json!(null))
    );
    assert_eq!(told["files"][3]["removed"], 1);
    let limits = Limits {
        chart_file_bytes: 45,
        ..Limits::default()
    };
    let answer = world.limited(FakeGate::open(), limits).ask(&request).await;
    assert!(refusal(answer, 413).contains("pull the chart to read them"));
}

async fn charts_that_are_unpacked_at_once_have_a_limit(world: World) {
    two_versions(&world).await;
    let limits = Limits {
        chart_unpacks: 2,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), limits);
    let ask = async |rest: &str| door.ask(&Request::get(format!("{OF}/1.0.0/{rest}"))).await;
    let held = door.stores().unpack(1).unwrap();
    ask("values").await.expect(200);
    let refused = ask("diff/2.0.0+b").await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refusal(refused, 503).contains("too many charts are being unpacked"));
    let other = door.stores().unpack(1).unwrap();
    for part in ["values", "templates", "readme", "schema"] {
        refusal(ask(part).await, 503);
    }
    // What needs no archive goes on.
    ask("labels").await.expect(200);
    drop((held, other));
    for part in ["values", "diff/2.0.0+b", "templates"] {
        for _ in 0..3 {
            ask(part).await.expect(200);
        }
    }
}

async fn differences_that_grow_as_they_are_written_are_refused(world: World) {
    two_versions(&world).await;
    // JSON writes six bytes for each of these.
    let odd = Packed::default()
        .file("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 3.0.0\n")
        .file("web/odd.txt", [1; 1500]);
    world.open().ask(&post("acme", &odd.pack())).await.expect(201);
    let limits = Limits {
        chart_file_bytes: 2000,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), limits);
    let asked = Request::get(format!("{OF}/1.0.0/diff/3.0.0"));
    let sentence = refusal(door.ask(&asked).await, 413);
    assert_eq!(
        sentence,
        "the differences are larger than 8000 bytes; pull both charts to compare them"
    );
    let asked = Request::get(format!("{OF}/1.0.0/diff/3.0.0?format=text"));
    door.ask(&asked).await.expect(200);
}

async fn who_goes_away_leaves_a_place_taken_until_the_work_is_done(world: World) {
    for version in ["1.0.0", "2.0.0"] {
        let chart = Packed::default()
            .file("web/Chart.yaml", format!("apiVersion: v2\nname: web\nversion: {version}\n"))
            .file("web/values.yaml", "a: 1\n")
            .file("web/large.txt", vec![b'x'; 4 << 20]);
        world.open().ask(&post("acme", &chart.pack())).await.expect(201);
    }
    let limits = Limits {
        chart_unpacks: 2,
        ..Limits::default()
    };
    let door = world.limited(FakeGate::open(), limits);
    let soon = Duration::from_millis(5);
    for part in ["values", "templates", "diff/2.0.0"] {
        let request = Request::get(format!("{OF}/1.0.0/{part}"));
        let mut asked = Box::pin(door.ask(&request));
        while door.stores().unpack(2).is_ok() {
            assert!(asked.as_mut().now_or_never().is_none(), "{part} is answered without a place");
            if door.stores().unpack(2).is_ok() {
                tokio::time::sleep(soon).await;
            }
        }
        drop(asked);
        assert!(door.stores().unpack(2).is_err(), "{part} goes on without a place");
        let done = async {
            while door.stores().unpack(2).is_err() {
                tokio::time::sleep(soon).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    }
}
