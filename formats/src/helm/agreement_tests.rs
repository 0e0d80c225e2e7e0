//! Whatever is done by either protocol, both tell the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::CONFIG;
use super::chart::Packed;
use super::specimen_tests::{config, form, get, listed, post, provenance, push, refusal};
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::{Door, World};
use crate::oci::specimen_tests::{blob, manifest, small_image};
use bytes::Bytes;
use granary_storage::Digest;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

stories! {
    a_version_that_is_deleted_is_gone_from_both
    whatever_is_uploaded_and_deleted_index_tags_and_api_agree
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

/// Something done to one of two charts at one of three versions.
#[derive(Clone, Copy, Debug)]
enum Act {
    Post,
    Put,
    FormWithProvenance,
    Push,
    /// The chart, under a tag that is not its version.
    PushAsLatest,
    PushImage,
    LateProvenance,
    DeleteByApi,
    DeleteTag,
    DeleteManifest,
    Yank,
    Unyank,
}

/// What is done, and with which of the two archives that a version could be.
#[derive(Clone, Copy, Debug)]
struct Step {
    act: Act,
    name: &'static str,
    minor: u8,
    other: bool,
}

/// What becomes of a version, by the rules that every road keeps.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Which archive was published; it stays the only one, also once it is deleted.
    published: Option<bool>,
    /// Whether the chart is there.
    live: bool,
    /// Whether its provenance is.
    signed: bool,
    /// Whether an image has the tag.
    image: bool,
    /// Whether the tag is the manifest of a push, which stays as it is.
    pushed: bool,
    /// Whether provenance is kept beside that manifest, which is there until it is deleted itself.
    beside: bool,
    /// Whether the version is in no list; it stays so until that is taken back.
    yanked: bool,
}

impl Known {
    /// Provenance comes.
    fn sign(&mut self) {
        self.beside |= self.pushed && !self.signed;
        self.signed = true;
    }

    /// Takes a step, and gives the status that answers it.
    fn step(&mut self, Step { act, other, .. }: Step) -> u16 {
        let same = self.published.is_none_or(|published| published == other);
        match act {
            Act::PushAsLatest => 201,
            Act::PushImage if self.published.is_some() => 409,
            Act::PushImage => {
                self.image = true;
                201
            }
            Act::Post | Act::Put | Act::FormWithProvenance | Act::Push if !same || self.image => 409,
            // Another manifest would drop what is signed; an upload of the archive alone says nothing of it.
            Act::Push if self.live && self.signed && !self.pushed => 409,
            Act::Push => {
                self.signed = self.beside;
                (self.published, self.live, self.pushed) = (Some(other), true, true);
                201
            }
            Act::Post | Act::Put | Act::FormWithProvenance => {
                if !self.live {
                    (self.signed, self.pushed) = (false, false);
                }
                (self.published, self.live) = (Some(other), true);
                if matches!(act, Act::FormWithProvenance) {
                    self.sign();
                }
                201
            }
            Act::LateProvenance if !self.live => 404,
            Act::LateProvenance if !same => 400,
            Act::LateProvenance => {
                self.sign();
                201
            }
            Act::Yank | Act::Unyank if !self.live => 404,
            Act::Yank | Act::Unyank => {
                self.yanked = matches!(act, Act::Yank);
                200
            }
            Act::DeleteByApi if !self.live => 404,
            Act::DeleteTag | Act::DeleteManifest if !self.live && !self.image => 404,
            Act::DeleteByApi | Act::DeleteTag | Act::DeleteManifest => {
                self.beside &= !self.pushed || matches!(act, Act::DeleteTag);
                (self.live, self.image, self.signed, self.pushed) = (false, false, false, false);
                if matches!(act, Act::DeleteByApi) { 200 } else { 202 }
            }
        }
    }
}

const NAMES: [&str; 2] = ["api", "web"];
const MINORS: u8 = 3;

fn version(minor: u8) -> String {
    format!("1.{minor}.0")
}

fn archive(name: &str, minor: u8, other: bool) -> Bytes {
    let more = if other { "description: another\n" } else { "" };
    Packed::chart(name, &version(minor), more)
}

async fn whatever_is_uploaded_and_deleted_index_tags_and_api_agree(world: World) {
    let act = prop_oneof![
        2 => Just(Act::Post),
        2 => Just(Act::Put),
        2 => Just(Act::FormWithProvenance),
        3 => Just(Act::Push),
        1 => Just(Act::PushAsLatest),
        1 => Just(Act::PushImage),
        2 => Just(Act::LateProvenance),
        2 => Just(Act::DeleteByApi),
        2 => Just(Act::DeleteTag),
        2 => Just(Act::DeleteManifest),
        1 => Just(Act::Yank),
        1 => Just(Act::Unyank),
    ];
    let step = (act, prop::sample::select(&NAMES[..]), 0..MINORS, prop::bool::weighted(0.2));
    let step = step.prop_map(|(act, name, minor, other)| Step { act, name, minor, other });
    let steps = prop::collection::vec(step, 1..24);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(1)
    };
    for round in 0..6 {
        let mut runner = TestRunner::new(config.clone());
        let drawn = steps.new_tree(&mut runner).unwrap().current();
        let project = format!("round{round}");
        // One that is kept from step to step, to be compared with one that is made anew.
        let (kept, index) = (world.open(), Request::get(format!("/helm/{project}/index.yaml")));
        let mut known: BTreeMap<(&str, u8), Known> = BTreeMap::new();
        for (number, step) in drawn.iter().enumerate() {
            let so_far = &drawn[..=number];
            let wanted = known.entry((step.name, step.minor)).or_default().step(*step);
            assert_eq!(act_on(&world, &project, *step).await, wanted, "{so_far:?}");
            assert_eq!(kept.ask(&index).await, world.open().ask(&index).await, "{so_far:?}");
            all_agree(&world, &project, &known, so_far).await;
        }
    }
}

/// Does it; the status of the answer.
async fn act_on(world: &World, project: &str, step: Step) -> u16 {
    let Step { act, name, minor, other } = step;
    let (door, version, archive) = (world.open(), version(minor), archive(name, minor, other));
    let repository = format!("{project}/{name}");
    let tag = format!("/v2/{repository}/manifests/{version}");
    let signed = provenance(&archive);
    let request = match act {
        Act::Push | Act::PushAsLatest => {
            let tag = if matches!(act, Act::Push) { &version } else { "latest" };
            return push(world, &repository, tag, &archive, &config(name, &version)).await.status;
        }
        Act::PushImage => {
            door.ask(&blob(&repository, "{}")).await.expect(201);
            manifest(&repository, &version, &small_image(&version))
        }
        Act::Post => post(project, &archive),
        Act::Put => Request::put(format!("/helm/{project}/charts/{name}-{version}.tgz")).body(archive),
        Act::FormWithProvenance => form(project, &[("chart", &archive), ("prov", signed.as_bytes())]),
        Act::LateProvenance => Request::post(format!("/helm/{project}/api/prov")).body(signed),
        Act::DeleteByApi => Request::delete(format!("/helm/{project}/api/charts/{name}/{version}")),
        Act::Yank | Act::Unyank => {
            let said = format!("{{\"yanked\":{}}}", matches!(act, Act::Yank));
            Request::patch(format!("/helm/{project}/api/charts/{name}/{version}")).body(said)
        }
        Act::DeleteTag => Request::delete(tag),
        Act::DeleteManifest => {
            let found = door.ask(&Request::get(&tag)).await;
            if found.status == 404 {
                return 404;
            }
            Request::delete(format!("/v2/{repository}/manifests/{}", found.digest()))
        }
    };
    door.ask(&request).await.status
}

/// Everything that can be asked tells what is known.
async fn all_agree(world: &World, project: &str, known: &BTreeMap<(&'static str, u8), Known>, so_far: &[Step]) {
    let door = world.open();
    let entries = get(world, &format!("/helm/{project}/index.yaml")).await.expect(200).json()["entries"].clone();
    let charts = get(world, &format!("/helm/{project}/api/charts")).await.expect(200).json();
    assert_eq!(charts, entries, "{so_far:?}");
    let wanted: BTreeSet<String> = known
        .iter()
        .filter(|(_, version)| version.live && !version.yanked)
        .map(|((name, minor), _)| format!("{name} {}", version(*minor)))
        .collect();
    assert_eq!(
        listed(world, project).await.into_iter().collect::<BTreeSet<_>>(),
        wanted,
        "{so_far:?}"
    );
    for name in NAMES {
        let of = |minor| known.get(&(name, minor)).cloned().unwrap_or_default();
        let versions = door.ask(&Request::get(format!("/helm/{project}/api/charts/{name}"))).await;
        match entries.get(name) {
            Some(entries) => assert_eq!(versions.expect(200).json(), *entries, "{so_far:?}"),
            None => drop(versions.expect(404)),
        }
        let tags = door.ask(&Request::get(format!("/v2/{project}/{name}/tags/list"))).await;
        let mut tags: BTreeSet<String> = match tags.status {
            404 => BTreeSet::new(),
            _ => serde_json::from_value(tags.json()["tags"].clone()).unwrap(),
        };
        tags.remove("latest");
        let there = (0..MINORS).filter(|minor| of(*minor).live && !of(*minor).yanked || of(*minor).image);
        assert_eq!(tags, there.map(version).collect(), "{so_far:?}");
        for minor in 0..MINORS {
            version_agrees(&door, (project, name, minor), &of(minor), &entries, so_far).await;
        }
    }
}

/// A version is the same by its file, by the API and by a pull over OCI, or is in none of them.
async fn version_agrees(door: &Door, (project, name, minor): (&str, &str, u8), known: &Known, entries: &Value, so_far: &[Step]) {
    let version = version(minor);
    let ask = async |path: String| door.ask(&Request::get(path)).await;
    let entry = ask(format!("/helm/{project}/api/charts/{name}/{version}")).await;
    let file = ask(format!("/helm/{project}/charts/{name}-{version}.tgz")).await;
    let signature = ask(format!("/helm/{project}/charts/{name}-{version}.tgz.prov")).await;
    let manifest = ask(format!("/v2/{project}/{name}/manifests/{version}")).await;
    let statuses = [&entry, &file, &signature, &manifest].map(|answer| answer.status);
    let wanted = [known.live, known.live, known.signed, known.live || known.image].map(|there| if there { 200 } else { 404 });
    assert_eq!(statuses, wanted, "{name} {version}, {so_far:?}");
    if !known.live {
        if known.image {
            assert_ne!(manifest.json()["config"]["mediaType"], CONFIG);
        }
        return;
    }
    let archive = archive(name, minor, known.published.unwrap());
    assert_eq!(file.body, archive, "{so_far:?}");
    let mut listed = entries[name].as_array().into_iter().flatten();
    let listed = listed.find(|entry| entry["version"] == *version);
    assert_eq!(listed.is_none(), known.yanked, "{so_far:?}");
    for answer in [&entry, &file, &manifest] {
        assert_eq!(answer.header("warning").is_some(), known.yanked, "{so_far:?}");
    }
    let entry = entry.json();
    assert_eq!(
        entry["digest"].as_str(),
        Some(Digest::sha256(&archive).hex().as_str()),
        "{so_far:?}"
    );
    assert!(listed.is_none_or(|listed| *listed == entry), "{so_far:?}");
    let layers = manifest.json()["layers"].as_array().unwrap().clone();
    let mut bytes = BTreeSet::new();
    for layer in &layers {
        let digest = layer["digest"].as_str().unwrap();
        bytes.insert(ask(format!("/v2/{project}/{name}/blobs/{digest}")).await.expect(200).body);
    }
    let mut pulled = BTreeSet::from([archive]);
    // What is kept beside a manifest is served by the chart repository alone.
    if known.signed && !known.pushed {
        pulled.insert(signature.body);
    }
    assert_eq!(bytes, pulled, "{so_far:?}");
}
