//! The format as the contract of all formats sees it, and the few pushes that every
//! story begins with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::Oci;
use super::op::{Act, Op};
use crate::contract::request::{Answer, Request};
use crate::contract::world::World;
use crate::contract::{self, Asks, Sample};
use bytes::Bytes;
use granary_storage::Digest;
use serde_json::{Value, json};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A blob pushed in one request.
pub(crate) fn blob(repository: &str, bytes: impl Into<Bytes>) -> Request {
    let bytes = bytes.into();
    Request::post(format!("/v2/{repository}/blobs/uploads/?digest={}", Digest::sha256(&bytes))).body(bytes)
}

/// Pushes a blob.
pub(crate) async fn push_blob(world: &World, repository: &str, bytes: &'static [u8]) -> Digest {
    world.open().ask(&blob(repository, bytes)).await.expect(201).digest()
}

/// A descriptor.
pub(crate) fn described(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(bytes).to_string(), "size": bytes.len()})
}

/// An image whose config and only layer are these bytes.
pub(crate) fn image(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": described("application/vnd.oci.image.config.v1+json", config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
    })
}

/// An image that needs nothing but the empty blob, told apart from others by its annotation.
pub(crate) fn small_image(flavour: &str) -> Value {
    let mut image = image(b"{}", b"{}");
    image["annotations"] = json!({"flavour": flavour});
    image
}

/// A push of a manifest. It ends in a blank, so that a byte more or less is still JSON.
pub(crate) fn manifest(repository: &str, reference: &str, manifest: &Value) -> Request {
    let media_type = manifest["mediaType"].as_str().unwrap();
    Request::put(format!("/v2/{repository}/manifests/{reference}"))
        .header("content-type", media_type)
        .body(format!("{manifest}\n"))
}

/// Pushes a manifest.
pub(crate) async fn push_manifest(world: &World, repository: &str, reference: &str, content: &Value) -> Digest {
    world
        .open()
        .ask(&manifest(repository, reference, content))
        .await
        .expect(201)
        .digest()
}

/// Opens an upload; gives its place.
pub(crate) async fn session(world: &World, repository: &str) -> String {
    let start = Request::post(format!("/v2/{repository}/blobs/uploads/"));
    let answer = world.open().ask(&start).await.expect(202);
    answer.header("location").unwrap().to_owned()
}

/// The codes in an error.
pub(crate) fn codes(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no errors in {answer:?}"));
    errors.iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

/// OCI distribution, to the contract.
pub(crate) struct Specimen;

impl contract::Specimen for Specimen {
    type Format = Oci;
    const FORMAT: Oci = Oci;
    const OPERATIONS: &'static [&'static str] = &[
        "base",
        "catalog",
        "tags",
        "read manifest",
        "put manifest",
        "delete manifest",
        "referrers",
        "read blob",
        "delete blob",
        "start upload",
        "upload status",
        "append",
        "finish",
        "cancel upload",
    ];

    fn operation(op: &Op) -> &'static str {
        match op.act {
            Act::Base => "base",
            Act::Catalog(_) => "catalog",
            Act::Tags(_) => "tags",
            Act::ReadManifest { .. } => "read manifest",
            Act::PutManifest { .. } => "put manifest",
            Act::DeleteManifest { .. } => "delete manifest",
            Act::Referrers { .. } => "referrers",
            Act::ReadBlob { .. } => "read blob",
            Act::DeleteBlob { .. } => "delete blob",
            Act::StartUpload { .. } => "start upload",
            Act::UploadStatus { .. } => "upload status",
            Act::Append { .. } => "append",
            Act::Finish { .. } => "finish",
            Act::CancelUpload { .. } => "cancel upload",
        }
    }

    async fn samples(world: &World, project: &str, flavour: &str) -> Vec<Sample> {
        let name = format!("{project}/app");
        let door = world.open();
        for repository in [name.as_str(), "solo"] {
            door.ask(&blob(repository, "{}")).await.expect(201);
            door.ask(&manifest(repository, "latest", &small_image(flavour))).await.expect(201);
        }
        let held = format!("the layer, {flavour}");
        let loose = format!("nobody needs this, {flavour}");
        let source = format!("{project}/source");
        let elsewhere = format!("at the source, {flavour}");
        for (repository, bytes) in [(&name, &held), (&name, &loose), (&source, &elsewhere)] {
            door.ask(&blob(repository, bytes.clone())).await.expect(201);
        }
        let image = image(b"{}", held.as_bytes());
        let held = Digest::sha256(held.as_bytes());
        let digest = door.ask(&manifest(&name, "1.0", &image)).await.expect(201).digest();
        let loose = Digest::sha256(loose.as_bytes());
        let elsewhere = Digest::sha256(elsewhere.as_bytes());
        let session = async || session(world, &name).await;

        let new_manifest = small_image("new");
        let new_digest = Digest::sha256(format!("{new_manifest}\n").as_bytes());
        let new_blob = Bytes::from_static(b"a new blob");
        let promise = format!("digest={}", Digest::sha256(&new_blob));
        let base = format!("/v2/{name}");
        let get = |rest: &str| Request::get(format!("{base}{rest}"));
        let delete = |rest: &str| Request::delete(format!("{base}{rest}"));
        let (read, content) = (|| Asks::Read(name.clone()), || Asks::Content(name.clone()));
        let (write, remove) = (|| Asks::Write(name.clone()), || Asks::Delete(name.clone()));
        let sample = |what, request, asks, status| Sample {
            what,
            request,
            asks,
            status,
        };
        vec![
            sample("is this a registry?", Request::get("/v2/"), Asks::Login, 200),
            sample("list repositories", Request::get("/v2/_catalog"), Asks::Listing, 200),
            sample("list tags", get("/tags/list"), read(), 200),
            sample(
                "list tags of a name of one segment",
                Request::get("/v2/solo/tags/list"),
                Asks::Read("library/solo".into()),
                200,
            ),
            sample("read a manifest by tag", get("/manifests/1.0"), content(), 200),
            sample("read a manifest by digest", get(&format!("/manifests/{digest}")), content(), 200),
            sample("push a manifest by tag", manifest(&name, "2.0", &new_manifest), write(), 201),
            sample(
                "push a manifest by digest",
                manifest(&name, &format!("{new_digest}?tag=a&tag=b"), &new_manifest),
                write(),
                201,
            ),
            sample("delete a tag", delete("/manifests/latest"), remove(), 202),
            sample("delete a manifest", delete(&format!("/manifests/{digest}")), remove(), 202),
            sample("list referrers", get(&format!("/referrers/{digest}")), read(), 200),
            sample("read a blob", get(&format!("/blobs/{held}")), read(), 200),
            sample("delete a blob", delete(&format!("/blobs/{loose}")), remove(), 202),
            sample("begin an upload", Request::post(format!("{base}/blobs/uploads/")), write(), 202),
            sample("upload in one request", blob(&name, new_blob.clone()), write(), 201),
            sample(
                "mount a blob",
                Request::post(format!("{base}/blobs/uploads/?mount={elsewhere}&from={source}")),
                write(),
                201,
            ),
            sample("look at an upload", Request::get(session().await), Asks::Session(name.clone()), 204),
            sample(
                "stream into an upload",
                Request::patch(session().await).body(new_blob.clone()),
                write(),
                202,
            ),
            sample(
                "send a chunk",
                Request::patch(session().await)
                    .header("content-range", "0-9")
                    .body(new_blob.clone()),
                write(),
                202,
            ),
            sample(
                "finish an upload",
                Request::put(format!("{}?{promise}", session().await)).body(new_blob.clone()),
                write(),
                201,
            ),
            sample(
                "finish an upload with a chunk",
                Request::put(format!("{}?{promise}", session().await))
                    .header("content-range", "0-9")
                    .body(new_blob),
                write(),
                201,
            ),
            sample("cancel an upload", Request::delete(session().await), write(), 204),
        ]
    }

    fn message(answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let [error] = body["errors"].as_array()?.as_slice() else {
            return None;
        };
        let shaped = answer.header("content-type") == Some("application/json")
            && answer.header("docker-distribution-api-version") == Some("registry/2.0")
            && error["code"]
                .as_str()
                .is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        error["message"].as_str().filter(|_| shaped).map(str::to_owned)
    }
}
