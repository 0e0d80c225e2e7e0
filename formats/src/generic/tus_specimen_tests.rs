//! Uploads that are under way, as the contract of all formats sees them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::Sessions;
use super::specimen_tests;
use super::tus_op::{Act, Op};
use super::tus_tests::{creation, summed, tus};
use crate::contract::request::{Answer, Request};
use crate::contract::world::World;
use crate::contract::{self, Asks, Sample};
use bytes::Bytes;
use granary_storage::Digest;
use http::Method;

/// The sessions, to the contract.
pub(crate) struct Specimen;

impl contract::Specimen for Specimen {
    type Format = Sessions;
    const FORMAT: Sessions = Sessions;
    const OPERATIONS: &'static [&'static str] = &["options", "status", "append", "cancel"];

    fn operation(op: &Op) -> &'static str {
        match op.act {
            Act::UploadOptions => "options",
            Act::UploadStatus { .. } => "status",
            Act::Append { .. } => "append",
            Act::CancelUpload { .. } => "cancel",
        }
    }

    async fn samples(world: &World, project: &str, flavour: &str) -> Vec<Sample> {
        let creation = creation(&format!("1.2/{flavour}.bin"), 1000).at(format!("/generic/{project}/firmware/"));
        let answer = world.open().ask(&creation).await.expect(201);
        let at = answer.header("location").unwrap().to_owned();
        let bytes = Bytes::from(format!("the first bytes, {flavour}"));
        let append = tus(Request::patch(&at))
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream")
            .body(bytes.clone());
        let sample = |what, request, asks, status| Sample {
            what,
            request,
            asks,
            status,
        };
        vec![
            sample("add bytes", append.clone(), Asks::GoOn, 204),
            sample(
                "add bytes whose checksum is said",
                summed(append, &Digest::sha256(&bytes).into()),
                Asks::GoOn,
                204,
            ),
            sample("ask where it stands", tus(Request::new(Method::HEAD, &at)), Asks::GoOn, 200),
            sample("ask what is known", Request::new(Method::OPTIONS, &at), Asks::Login, 204),
            sample(
                "ask what is known of none",
                Request::new(Method::OPTIONS, "/uploads"),
                Asks::Login,
                204,
            ),
            sample("cancel", tus(Request::delete(&at)), Asks::GoOn, 204),
        ]
    }

    fn message(answer: &Answer) -> Option<String> {
        <specimen_tests::Specimen as contract::Specimen>::message(answer)
    }
}
