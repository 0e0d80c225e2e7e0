//! The format as the contract of all formats sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::chart::{Metadata, Packed, Reader};
use super::op::{Act, Op};
use super::{Api, CONFIG, CONTENT, Helm};
use crate::contract::request::{Answer, Request};
use crate::contract::world::World;
use crate::contract::{self, Asks, Sample};
use crate::oci::specimen_tests::{blob, described, manifest, small_image};
use bytes::Bytes;
use granary_storage::Digest;
use granary_storage::limits::Limits;
use serde_json::{Value, json};
use std::sync::Arc;

/// An upload of an archive under a prefix.
pub(crate) fn post(prefix: &str, archive: &Bytes) -> Request {
    Request::post(format!("/helm/{prefix}/api/charts")).body(archive.clone())
}

/// A provenance of an archive, as far as anybody here looks at it.
pub(crate) fn provenance(archive: &[u8]) -> String {
    let digest = Digest::sha256(archive);
    let mut reader = Reader::new(Arc::new(Limits::default()), None);
    reader.push(archive).unwrap();
    let Metadata { name, version, .. } = reader.finish().unwrap().metadata;
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\napiVersion: v2\nname: {name}\nversion: {version}\n\n...\n\
         files:\n  {name}-{version}.tgz: {digest}\n-----BEGIN PGP SIGNATURE-----\n\nsigned\n-----END PGP SIGNATURE-----\n"
    )
}

/// An upload as a form.
pub(crate) fn form(prefix: &str, parts: &[(&str, &[u8])]) -> Request {
    form_to(format!("/helm/{prefix}/api/charts"), parts)
}

/// A form that is sent there.
pub(crate) fn form_to(target: String, parts: &[(&str, &[u8])]) -> Request {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--bound--\r\n");
    Request::post(target)
        .header("content-type", "multipart/form-data; boundary=bound")
        .body(body)
}

/// A push of a chart as helm does it; the tag and the config are the pusher's to choose.
pub(crate) async fn push(world: &World, repository: &str, tag: &str, archive: &Bytes, config: &Value) -> Answer {
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

/// A config of a chart.
pub(crate) fn config(name: &str, version: &str) -> Value {
    json!({"name": name, "version": version, "apiVersion": "v2"})
}

/// The answer to a GET of somebody who may everything.
pub(crate) async fn get(world: &World, target: &str) -> Answer {
    world.open().ask(&Request::get(target)).await
}

/// What an index lists, as name and version in its order.
pub(crate) async fn listed(world: &World, prefix: &str) -> Vec<String> {
    let index = get(world, &format!("/helm/{prefix}/index.yaml")).await.expect(200).json();
    assert_eq!(index["apiVersion"], "v1");
    let entries = index["entries"].as_object().unwrap();
    let versions = entries.values().flat_map(|versions| versions.as_array().unwrap());
    versions
        .map(|entry| format!("{} {}", entry["name"].as_str().unwrap(), entry["version"].as_str().unwrap()))
        .collect()
}

/// The sentence of a refusal.
#[track_caller]
pub(crate) fn refusal(answer: Answer, status: u16) -> String {
    answer.expect(status).json()["error"].as_str().unwrap().to_owned()
}

/// Chart repositories, to the contract.
pub(crate) struct Specimen;

impl contract::Specimen for Specimen {
    type Format = Helm;
    #[allow(clippy::declare_interior_mutable_const, reason = "only parses here, which keeps nothing")]
    const FORMAT: Helm = Helm::new();
    const OPERATIONS: &'static [&'static str] = &[
        "index",
        "read file",
        "upload",
        "provenance",
        "charts",
        "versions",
        "version",
        "part",
        "images",
        "labels",
        "diff",
        "publisher",
        "put publisher",
        "delete publisher",
        "health",
        "info",
        "delete",
        "unlisted",
        "mark",
    ];

    fn operation(op: &Op) -> &'static str {
        match op.act {
            Act::Index { .. } => "index",
            Act::ReadFile { .. } => "read file",
            Act::Upload(_) => "upload",
            Act::Provenance(_) => "provenance",
            Act::Part { .. } => "part",
            Act::Images { .. } => "images",
            Act::Labels { .. } => "labels",
            Act::Diff { .. } => "diff",
            Act::Publisher { .. } => "publisher",
            Act::PutPublisher { .. } => "put publisher",
            Act::DeletePublisher { .. } => "delete publisher",
            Act::Health => "health",
            Act::Info => "info",
            Act::Charts { .. } => "charts",
            Act::Versions { .. } => "versions",
            Act::Version { .. } => "version",
            Act::Delete { .. } => "delete",
            Act::Unlisted(_) => "unlisted",
            Act::Mark { .. } => "mark",
        }
    }

    async fn samples(world: &World, project: &str, flavour: &str) -> Vec<Sample> {
        let held = Packed::chart(flavour, "1.0.0+build.1", "");
        let signed = provenance(&held);
        let door = world.open();
        door.ask(&form(project, &[("chart", &held), ("prov", signed.as_bytes())]))
            .await
            .expect(201);
        let (new, promised) = (Packed::chart("new", "1.0.0", ""), Packed::chart("new", "2.0.0", ""));
        let (put, formed) = (Packed::chart("new", "3.0.0", ""), Packed::chart("new", "4.0.0", ""));
        let late = Packed::chart("late", "1.0.0", "");
        door.ask(&post(project, &late)).await.expect(201);
        let late = provenance(&late);
        let base = format!("/helm/{project}");
        let publisher = || Request::put(format!("{base}/artifacthub-repo.yml"));
        let stored = door.ask(&publisher().body("owners: []\n")).await;
        assert!(stored.status < 300, "{stored:?}");
        let manage = || Asks::Manage(format!("{project}/artifacthub-repo.yml"));
        let get = |rest: &str| Request::get(format!("{base}{rest}"));
        let (list, repository) = (|| Asks::List(project.into()), format!("{project}/{flavour}"));
        let content = || Asks::ContentUnder(project.into(), repository.clone());
        let write = || Asks::WriteUnder(project.into());
        let file = format!("{flavour}-1.0.0+build.1.tgz");
        let of = format!("/api/charts/{flavour}");
        let sample = |what, request, asks, status| Sample {
            what,
            request,
            asks,
            status,
        };
        vec![
            sample("the index", get("/index.yaml"), list(), 200),
            sample("the index as JSON", get("/index.json"), list(), 200),
            sample(
                "the index of the library",
                Request::get("/helm/index.yaml"),
                Asks::List("library".into()),
                200,
            ),
            sample("an archive", get(&format!("/charts/{file}")), content(), 200),
            sample("an archive without the folder", get(&format!("/{file}")), content(), 200),
            sample("a provenance", get(&format!("/charts/{file}.prov")), content(), 200),
            sample("upload an archive", post(project, &new), write(), 201),
            sample(
                "upload an archive of a known digest",
                post(project, &promised).header("x-checksum-sha256", Digest::sha256(&promised).hex()),
                write(),
                201,
            ),
            sample(
                "upload a file",
                Request::put(format!("{base}/charts/new-3.0.0.tgz")).body(put),
                write(),
                201,
            ),
            sample(
                "upload a form",
                form(
                    project,
                    &[("chart", &formed), ("prov", provenance(&formed).as_bytes()), ("force", b"true")],
                ),
                write(),
                201,
            ),
            sample(
                "upload a provenance",
                Request::post(format!("{base}/api/prov"))
                    .header("x-checksum-sha256", Digest::sha256(late.as_bytes()).hex())
                    .body(late.clone()),
                write(),
                201,
            ),
            sample(
                "upload a form with a provenance",
                form_to(format!("{base}/api/prov"), &[("prov", late.as_bytes())]),
                write(),
                201,
            ),
            sample(
                "upload a provenance by its file's name",
                Request::put(format!("{base}/charts/late-1.0.0.tgz.prov")).body(late),
                write(),
                201,
            ),
            sample("whether it is well", get("/health"), list(), 200),
            sample("who serves it", get("/info"), list(), 200),
            sample("list some charts", get("/api/charts?offset=0&limit=1"), list(), 200),
            sample(
                "look at the latest version",
                get(&format!("{of}/latest")),
                Asks::Read(repository.clone()),
                200,
            ),
            sample(
                "read values",
                get(&format!("{of}/1.0.0+build.1/values")),
                Asks::Content(repository.clone()),
                200,
            ),
            sample(
                "read templates",
                get(&format!("{of}/1.0.0+build.1/templates")),
                Asks::Content(repository.clone()),
                200,
            ),
            sample(
                "what images a chart runs",
                get(&format!("{of}/1.0.0+build.1/images")),
                Asks::Read(repository.clone()),
                200,
            ),
            sample(
                "the labels of a version",
                get(&format!("{of}/latest/labels")),
                Asks::Read(repository.clone()),
                200,
            ),
            sample(
                "what is different",
                get(&format!("{of}/1.0.0+build.1/diff/1.0.0+build.1?format=text")),
                Asks::Content(repository.clone()),
                200,
            ),
            sample(
                "where the differences from the latest version are",
                get(&format!("{of}/latest/diff/1.0.0+build.1")),
                Asks::Read(repository.clone()),
                302,
            ),
            sample("who publishes it", get("/artifacthub-repo.yml"), list(), 200),
            sample("say who publishes it", publisher().body("owners: [{name: anna}]\n"), manage(), 200),
            sample(
                "no longer say who publishes it",
                Request::delete(format!("{base}/artifacthub-repo.yml")),
                manage(),
                200,
            ),
            sample(
                "where the values of the latest version are",
                get(&format!("{of}/latest/values")),
                Asks::Read(repository.clone()),
                302,
            ),
            sample("list charts", get("/api/charts"), list(), 200),
            sample("list versions", get(&of), Asks::Read(repository.clone()), 200),
            sample(
                "look at a version",
                get(&format!("{of}/1.0.0+build.1")),
                Asks::Read(repository.clone()),
                200,
            ),
            sample("list what is not listed", get("/api/unlisted?n=5&last=acme/a@x"), list(), 200),
            sample(
                "yank a version",
                Request::patch(format!("{base}{of}/1.0.0+build.1")).body(r#"{"yanked":true,"reason":"broken"}"#),
                Asks::Delete(repository.clone()),
                200,
            ),
            sample(
                "deprecate a version",
                Request::patch(format!("{base}{of}/1.0.0+build.1")).body(r#"{"deprecated":true}"#),
                Asks::Delete(repository.clone()),
                200,
            ),
            sample(
                "delete a version",
                Request::delete(format!("{base}{of}/1.0.0+build.1")),
                Asks::Delete(repository),
                200,
            ),
        ]
    }

    fn message(answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let shaped = answer.header("content-type") == Some("application/json") && body.as_object()?.len() == 1;
        body["error"].as_str().filter(|_| shaped).map(str::to_owned)
    }
}

/// The API where it stands before the prefix, to the contract.
pub(crate) struct ApiSpecimen;

impl contract::Specimen for ApiSpecimen {
    type Format = Api;
    #[allow(clippy::declare_interior_mutable_const, reason = "only parses here, which keeps nothing")]
    const FORMAT: Api = Api(Helm::new());
    const OPERATIONS: &'static [&'static str] = &[
        "upload",
        "provenance",
        "charts",
        "versions",
        "version",
        "part",
        "images",
        "labels",
        "diff",
        "delete",
        "mark",
    ];

    fn operation(op: &Op) -> &'static str {
        Specimen::operation(op)
    }

    async fn samples(world: &World, project: &str, flavour: &str) -> Vec<Sample> {
        let mut samples = Specimen::samples(world, project, flavour).await;
        let (after, before) = (format!("/helm/{project}/api/"), format!("/api/helm/{project}/"));
        samples.retain(|sample| sample.request.target.starts_with(&after) && !sample.request.target.contains("/unlisted"));
        for sample in &mut samples {
            sample.request.target = sample.request.target.replacen(&after, &before, 1);
        }
        samples
    }

    fn message(answer: &Answer) -> Option<String> {
        Specimen::message(answer)
    }
}
