//! The format as the contract of all formats sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::Helm;
use super::chart::Packed;
use super::op::{Act, Op};
use crate::contract::request::{Answer, Request};
use crate::contract::world::World;
use crate::contract::{self, Asks, Sample};
use bytes::Bytes;
use granary_storage::Digest;
use serde_json::Value;

/// An upload of an archive under a prefix.
pub(crate) fn post(prefix: &str, archive: &Bytes) -> Request {
    Request::post(format!("/helm/{prefix}/api/charts")).body(archive.clone())
}

/// A provenance of an archive, as far as anybody here looks at it.
pub(crate) fn provenance(archive: &[u8]) -> String {
    let digest = Digest::sha256(archive);
    format!("-----BEGIN PGP SIGNED MESSAGE-----\n\nfiles:\n  x.tgz: {digest}\n-----BEGIN PGP SIGNATURE-----\n")
}

/// An upload as a form.
pub(crate) fn form(prefix: &str, parts: &[(&str, &[u8])]) -> Request {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--bound--\r\n");
    Request::post(format!("/helm/{prefix}/api/charts"))
        .header("content-type", "multipart/form-data; boundary=bound")
        .body(body)
}

/// Chart repositories, to the contract.
pub(crate) struct Specimen;

impl contract::Specimen for Specimen {
    type Format = Helm;
    #[allow(clippy::declare_interior_mutable_const, reason = "only parses here, which keeps nothing")]
    const FORMAT: Helm = Helm::new();
    const OPERATIONS: &'static [&'static str] = &["index", "read file", "upload", "charts", "versions", "version", "delete"];

    fn operation(op: &Op) -> &'static str {
        match op.act {
            Act::Index { .. } => "index",
            Act::ReadFile { .. } => "read file",
            Act::Upload(_) => "upload",
            Act::Charts { .. } => "charts",
            Act::Versions { .. } => "versions",
            Act::Version { .. } => "version",
            Act::Delete { .. } => "delete",
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
        let base = format!("/helm/{project}");
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
                    &[("chart", &formed), ("prov", provenance(&formed).as_bytes()), ("force", b"")],
                ),
                write(),
                201,
            ),
            sample("list charts", get("/api/charts"), list(), 200),
            sample("list versions", get(&of), Asks::Read(repository.clone()), 200),
            sample(
                "look at a version",
                get(&format!("{of}/1.0.0+build.1")),
                Asks::Read(repository.clone()),
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
