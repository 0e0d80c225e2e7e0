//! The format as the contract of all formats sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::Generic;
use super::op::{Act, Op};
use crate::contract::request::{Answer, Request};
use crate::contract::world::World;
use crate::contract::{self, Asks, Sample};
use bytes::Bytes;
use granary_storage::Digest;
use serde_json::Value;

/// A file stored.
pub(crate) fn put(target: impl Into<String>, content: impl Into<Bytes>) -> Request {
    Request::put(target).body(content)
}

/// Generic files, to the contract.
pub(crate) struct Specimen;

impl contract::Specimen for Specimen {
    type Format = Generic;
    const FORMAT: Generic = Generic;
    const OPERATIONS: &'static [&'static str] = &[
        "read file",
        "read labels",
        "put file",
        "change labels",
        "delete file",
        "newest release",
        "list releases",
        "list files",
        "fetch folder",
        "start upload",
        "upload abilities",
    ];

    fn operation(op: &Op) -> &'static str {
        match op.act {
            Act::ReadFile { .. } => "read file",
            Act::PutFile { .. } => "put file",
            Act::ReadLabels { .. } => "read labels",
            Act::ChangeLabels { .. } => "change labels",
            Act::NewestRelease { .. } => "newest release",
            Act::ListReleases { .. } => "list releases",
            Act::DeleteFile { .. } => "delete file",
            Act::ListFiles { .. } => "list files",
            Act::FetchFolder { .. } => "fetch folder",
            Act::StartUpload { .. } => "start upload",
            Act::UploadAbilities => "upload abilities",
        }
    }

    async fn samples(world: &World, project: &str, flavour: &str) -> Vec<Sample> {
        let (name, base) = (format!("{project}/firmware"), format!("/generic/{project}/firmware"));
        let door = world.open();
        for (path, content) in [
            ("1.2/fw.bin", "the firmware"),
            ("1.2/notes.html", "<p>notes</p>"),
            ("top", "the top"),
        ] {
            let stored = door.ask(&put(format!("{base}/{path}"), format!("{content}, {flavour}"))).await;
            assert!(matches!(stored.status, 200 | 201), "{stored:?}");
        }
        let archive = super::archive::sample_zip(&[("docs/a.txt", flavour.as_bytes())]);
        let stored = door.ask(&put(format!("{base}/lib.zip"), archive)).await;
        assert!(matches!(stored.status, 200 | 201), "{stored:?}");
        let new = Bytes::from_static(b"a new file");
        let get = |rest: &str| Request::get(format!("{base}/{rest}"));
        let (read, content) = (|| Asks::Read(name.clone()), || Asks::Content(name.clone()));
        let (write, remove) = (|| Asks::Write(name.clone()), || Asks::Delete(name.clone()));
        let sample = |what, request, asks, status| Sample {
            what,
            request,
            asks,
            status,
        };
        let delete = Request::delete(format!("{base}/top"));
        vec![
            sample("read a file", get("1.2/fw.bin"), content(), 200),
            sample("read a page", get("1.2/notes.html"), content(), 200),
            sample("read a checksum", get("1.2/fw.bin.sha256"), read(), 200),
            sample("store a file", put(format!("{base}/1.3/new.bin"), new.clone()), write(), 201),
            sample(
                "store a file whose checksum is promised",
                put(format!("{base}/1.3/promised.bin"), new.clone()).header("x-checksum-sha256", Digest::sha256(&new).hex()),
                write(),
                201,
            ),
            sample(
                "store a file that is here by its checksum",
                Request::put(format!("{base}/1.3/copy.bin"))
                    .header("x-checksum-deploy", "true")
                    .header(
                        "x-checksum-sha256",
                        Digest::sha256(format!("the firmware, {flavour}").as_bytes()).hex(),
                    ),
                write(),
                201,
            ),
            sample("store other content", put(format!("{base}/1.2/fw.bin"), new), write(), 200),
            sample("read a file's labels", get("1.2/fw.bin?labels"), read(), 200),
            sample(
                "store a file with labels",
                put(format!("{base}/1.3/labelled.bin;build=42;os=linux"), "labelled").header("x-granary-label-tested", "yes"),
                write(),
                201,
            ),
            sample(
                "change a file's labels",
                Request::patch(format!("{base}/1.2/fw.bin")).body(r#"{"labels":{"tested":"yes","gone":null}}"#),
                Asks::Change(name.clone()),
                200,
            ),
            sample("find the newest release", get("@latest/fw.bin"), read(), 302),
            sample("list the releases", get("?releases"), read(), 200),
            sample("list a repository", get(""), read(), 200),
            sample("list a repository without a slash", Request::get(base.clone()), read(), 200),
            sample("list a folder", get("1.2/"), read(), 200),
            sample("list a folder as a page", get("?format=html&n=1"), read(), 200),
            sample("read the checksums of a folder", get("1.2/SHA256SUMS"), read(), 200),
            sample("list all files below a folder", get("?recursive"), read(), 200),
            sample("fetch a folder as a ZIP", get("1.2/?archive=zip"), read(), 200),
            sample("fetch a folder as a compressed tar", get("?archive=tar.gz"), read(), 200),
            sample("list what an archive holds", get("lib.zip!/"), read(), 200),
            // As its listing, it asks a policy even for the headers, which are read out of the archive.
            sample("read a file in an archive", get("lib.zip!/docs/a.txt"), read(), 200),
            sample(
                "start an upload in pieces",
                Request::post(format!("{base}/"))
                    .header("tus-resumable", "1.0.0")
                    .header("upload-length", "10")
                    .header("upload-metadata", "filename bmV3ZXI="),
                write(),
                201,
            ),
            sample(
                "ask what is known of uploads in pieces",
                Request::new(http::Method::OPTIONS, format!("{base}/")),
                Asks::Session(name.clone()),
                204,
            ),
            sample("delete a file", delete, remove(), 204),
        ]
    }

    fn message(answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let shaped = answer.header("content-type") == Some("application/json")
            && answer.header("x-content-type-options") == Some("nosniff")
            && body.as_object()?.len() == 1;
        body["error"].as_str().filter(|_| shaped).map(str::to_owned)
    }
}
