//! What the catalog promises, told once as stories and held on every database. A story is
//! an async function over an empty database; [`on_each_database`] makes a test of it for SQLite
//! and one for PostgreSQL. What only one of the two can get wrong stands in `races.rs` and `writer.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod blobs;
mod chart_images;
mod charts;
mod deletions;
mod events;
mod files;
mod folders;
mod holders;
mod labels;
mod manifests;
mod plans;
mod projects;
mod publishers;
mod races;
mod referrers;
mod releases;
mod repositories;
mod schema;
mod tags;
mod tokens;
mod tus;
mod unavailable;
mod uploads;
mod versions;
mod writer;

use super::*;
use crate::access::Visible;
use crate::blob::{BlobStore as _, MemoryStore, StorageKey, UploadId, VerifiedBlob};
use crate::clock::{self, Millis};
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::name::{ProjectName, Reference, RepositoryName, Tag};
use crate::test_support::{TestDatabase, postgres, sqlite};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// One test for each story and database: `blobs::on_postgres::a_blob_is_…`.
macro_rules! on_each_database {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $story() { super::super::play(&super::super::sqlite(), super::$story); })+
        }
        mod on_postgres {
            $(#[test] fn $story() {
                if let Some(database) = super::super::postgres() {
                    super::super::play(&database, super::$story);
                }
            })+
        }
    };
}
use on_each_database;

/// Racers of one story: enough that PostgreSQL's pool is always full of them.
const MANY: usize = 64;

/// Far enough from every clock for a lease or an expiry that must not run out.
const FUTURE: Millis = 4_000_000_000_000;

fn play(database: &TestDatabase, story: impl AsyncFnOnce(&TestDatabase)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(story(database));
}

/// The file of a SQLite database.
fn file(database: &TestDatabase) -> &Path {
    match database.database() {
        Database::Sqlite(file) => file,
        Database::Postgres(_) => panic!("PostgreSQL has no file"),
    }
}

/// The address of a PostgreSQL database.
fn url(database: &TestDatabase) -> &str {
    match database.database() {
        Database::Postgres(url) => url,
        Database::Sqlite(_) => panic!("SQLite has no address"),
    }
}

fn project_name(name: &str) -> ProjectName {
    name.parse().unwrap()
}

fn name(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn somebody() -> Arc<str> {
    "alice".into()
}

fn digest(content: &str) -> Digest {
    Digest::sha256(content.as_bytes())
}

/// The repository of that name, made when it is missing.
async fn repository(catalog: &Catalog, full_name: &str) -> RepositoryId {
    let made = catalog.ensure_repository(name(full_name), StorageFormat::Oci, None, somebody());
    made.await.unwrap().id
}

/// Bytes that a store has verified, each time under another key.
async fn verified(content: &str) -> VerifiedBlob {
    let mut writer = MemoryStore::default().begin(UploadId::random(), Algorithm::Sha256).await.unwrap();
    writer.write(Bytes::copy_from_slice(content.as_bytes())).await.unwrap();
    writer.commit(&digest(content)).await.unwrap()
}

async fn new_blob(repository: RepositoryId, content: &str) -> NewBlob {
    NewBlob {
        repository,
        blob: verified(content).await,
        session: None,
        remembered: false,
        lease_until: FUTURE,
        by: somebody(),
    }
}

async fn push_blob(catalog: &Catalog, repository: RepositoryId, content: &str) -> Digest {
    catalog.commit_blob(new_blob(repository, content).await).await.unwrap();
    digest(content)
}

/// A manifest without references and names, different for each content.
fn manifest(repository: RepositoryId, content: &str) -> NewManifest {
    NewManifest {
        repository,
        digest: digest(content),
        bytes: Bytes::copy_from_slice(content.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        kind: Kind::Image,
        artifact_type: None,
        subject: None,
        descriptor: None,
        labels: "{}".into(),
        total_size: content.len() as u64,
        edges: Vec::new(),
        tags: Vec::new(),
        condition: Condition::Always,
        may_overwrite: true,
        chart: None,
        over: Over::Same,
        by: somebody(),
    }
}

impl NewManifest {
    fn tagged(mut self, tags: &[&str]) -> Self {
        self.tags = tags.iter().copied().map(tag).collect();
        self
    }

    fn only_if(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }

    fn naming(mut self, child: Digest, role: EdgeRole) -> Self {
        self.edges.push(NewEdge {
            child,
            role,
            required: role != EdgeRole::Subject,
        });
        self
    }

    fn about(mut self, subject: Digest, artifact_type: &str) -> Self {
        self.subject = Some(subject);
        self.artifact_type = Some(artifact_type.into());
        self.descriptor = Some(format!(r#"{{"digest":"{}"}}"#, self.digest));
        self.naming(subject, EdgeRole::Subject)
    }
}

/// Stores a manifest and gives its digest.
async fn push(catalog: &Catalog, new: NewManifest) -> Digest {
    let digest = new.digest;
    catalog.put_manifest(new).await.unwrap();
    digest
}

/// What the tag points at.
async fn target(catalog: &Catalog, repository: RepositoryId, name: &str) -> Option<Digest> {
    let found = catalog.manifest(repository, Reference::Tag(tag(name))).await.unwrap();
    found.map(|manifest| manifest.digest)
}

async fn is_live(catalog: &Catalog, repository: RepositoryId, digest: Digest) -> bool {
    catalog.manifest(repository, Reference::Digest(digest)).await.unwrap().is_some()
}

/// What the tag pointed at, the oldest first.
async fn history(catalog: &Catalog, repository: RepositoryId, name: &str) -> Vec<Option<Digest>> {
    let mut steps = catalog.tag_history(repository, tag(name), 10_000).await.unwrap();
    steps.reverse();
    steps.into_iter().map(|step| step.digest).collect()
}

/// The kinds of all events after the first `skip`, in order.
async fn events_after(catalog: &Catalog, skip: usize) -> Vec<String> {
    let all = catalog.events(0, 10_000).await.unwrap();
    all.into_iter().skip(skip).map(|event| event.kind).collect()
}

/// Everything there is.
fn everything() -> Visible {
    Visible {
        projects: None,
        public: true,
        only: None,
    }
}

/// The error's kind and subject: what a format makes its answer of.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> (crate::ErrorKind, crate::What) {
    let error = result.unwrap_err();
    (error.kind(), error.what())
}
