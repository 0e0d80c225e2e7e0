//! The harness: a server of one's own, people who call it, and things to push.
//!
//! What every test would otherwise have to remember is checked here: each answer under `/v2` has the
//! headers and, where it is a refusal, the shape that the specification wants ([`client`]), and no
//! server leaves an error or a panic in its log ([`server`]).

mod client;
mod command;
mod content;
mod database;
mod http;
mod json_shape;
mod oci;
mod server;
mod signing_key;
mod wire;

pub(crate) use client::{Call, Client};
pub(crate) use command::{Ran, granary};
pub(crate) use content::{
    DOCKER_IMAGE, DOCKER_LIST, Image, Manifest, OCI_ARTIFACT, OCI_IMAGE, OCI_INDEX, bytes, descriptor, sha256, sha512,
};
pub(crate) use http::Answer;
pub(crate) use oci::Session;
pub(crate) use server::{ADMIN_PASSWORD, TestServer, password_of};
pub(crate) use signing_key::StolenKey;
pub(crate) use wire::{Wire, by_hand};

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Far above what it takes, so that a slow machine fails nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
