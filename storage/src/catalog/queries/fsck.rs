//! Reading everything, a page at a time, to compare what belongs together. Writes nothing.

use super::super::super::fault::Outcome;
use super::super::super::model::{ArtifactCheck, BlobCheck, EdgeRole, Kind, RepositoryId, Upload, VersionCheck};
use super::super::super::schema::{artifact, blob, edge, manifest, repository, repository_blob, upload, version, version_history};
use super::Conn;
use super::rows::{LIVE, parse, rows, unsigned};
use super::uploads;
use crate::blob::{Blob, Checksums, UploadId};
use crate::digest::Digest;
use diesel::dsl::exists;
use diesel::prelude::*;
use std::collections::HashSet;

/// Blobs by digest, after `after`, with whether anything links them.
pub(crate) fn check_blobs(c: &mut Conn, after: &Option<Digest>, limit: &usize) -> Outcome<Vec<BlobCheck>> {
    let after = after.map_or_else(String::new, |digest| digest.to_string());
    let found = blob::table
        .filter(blob::digest.gt(after))
        .order(blob::digest)
        .limit(rows(*limit))
        .select((blob::digest, blob::size, blob::storage_key, blob::checksums, blob::state))
        .load::<(String, i64, String, Vec<u8>, String)>(c)?;
    found
        .into_iter()
        .map(|(digest, size, key, checksums, state)| {
            let blob = Blob {
                digest: parse(&digest)?,
                size: unsigned(size),
                key: parse(&key)?,
                checksums: Checksums::from_bytes(checksums),
            };
            Ok(BlobCheck { blob, state })
        })
        .collect()
}

/// Live artifacts after `after`, as of one moment.
pub(crate) fn check_artifacts(c: &mut Conn, after: &Option<(RepositoryId, Digest)>, limit: &usize) -> Outcome<Vec<ArtifactCheck>> {
    super::dialect::snapshot(c, |c| artifacts_now(c, after, limit))
}

/// Live tags and paths after `after`, as of one moment.
pub(crate) fn check_versions(c: &mut Conn, after: &Option<(RepositoryId, String)>, limit: &usize) -> Outcome<Vec<VersionCheck>> {
    super::dialect::snapshot(c, |c| versions_now(c, after, limit))
}

/// Live artifacts after `after`, each with what it needs and its repository lacks.
fn artifacts_now(c: &mut Conn, after: &Option<(RepositoryId, Digest)>, limit: &usize) -> Outcome<Vec<ArtifactCheck>> {
    let (after_repository, after_digest) = match after {
        Some((repository, digest)) => (repository.0, digest.to_string()),
        None => (0, String::new()),
    };
    let found = artifact::table
        .inner_join(repository::table.on(repository::id.eq(artifact::repository)))
        .left_join(manifest::table.on(manifest::digest.eq(artifact::digest)))
        .filter(
            artifact::repository
                .gt(after_repository)
                .or(artifact::repository.eq(after_repository).and(artifact::digest.gt(after_digest))),
        )
        .filter(artifact::state.eq(LIVE))
        .order((artifact::repository, artifact::digest))
        .limit(rows(*limit))
        .select((
            artifact::repository,
            repository::full_name,
            artifact::digest,
            artifact::kind,
            manifest::bytes.nullable(),
        ))
        .load::<(i64, String, String, String, Option<Vec<u8>>)>(c)?;
    let mut checks = Vec::with_capacity(found.len());
    for (repository, name, text, kind, bytes) in found {
        let digest: Digest = parse(&text)?;
        // A file has no manifest: its bytes are a blob, and checked with the others.
        let is_file = kind == Kind::File.as_str();
        checks.push(ArtifactCheck {
            repository: RepositoryId(repository),
            name,
            digest,
            intact: is_file || bytes.is_some_and(|bytes| Digest::of(digest.algorithm(), &bytes) == digest),
            missing: missing(c, repository, &text)?,
        });
    }
    Ok(checks)
}

/// What an artifact needs and its repository lacks.
fn missing(c: &mut Conn, repository: i64, parent: &str) -> Outcome<Vec<Digest>> {
    let needed = edge::table
        .filter(edge::repository.eq(repository))
        .filter(edge::parent.eq(parent))
        .filter(edge::required.eq(true))
        .select(edge::child)
        .load::<String>(c)?;
    let linked = repository_blob::table
        .inner_join(blob::table)
        .inner_join(
            edge::table.on(edge::repository
                .eq(repository_blob::repository)
                .and(edge::child.eq(repository_blob::digest))),
        )
        .filter(edge::repository.eq(repository))
        .filter(edge::parent.eq(parent))
        .filter(blob::state.eq(LIVE))
        .select(edge::child)
        .load::<String>(c)?;
    let live = artifact::table
        .inner_join(edge::table.on(edge::repository.eq(artifact::repository).and(edge::child.eq(artifact::digest))))
        .filter(edge::repository.eq(repository))
        .filter(edge::parent.eq(parent))
        // Config, layers and the bytes of a file are blobs and nothing else will do.
        .filter(edge::role.eq(EdgeRole::Child.as_str()))
        .filter(artifact::state.eq(LIVE))
        .select(edge::child)
        .load::<String>(c)?;
    let here: HashSet<String> = linked.into_iter().chain(live).collect();
    needed
        .iter()
        .filter(|child| !here.contains(*child))
        .map(|child| parse(child))
        .collect()
}

/// Live tags after `after`: whether what each points at is live, and what its history says last.
fn versions_now(c: &mut Conn, after: &Option<(RepositoryId, String)>, limit: &usize) -> Outcome<Vec<VersionCheck>> {
    let (after_repository, after_name) = match after {
        Some((repository, name)) => (repository.0, name.clone()),
        None => (0, String::new()),
    };
    let is_live = exists(
        artifact::table
            .filter(artifact::repository.eq(version::repository))
            .filter(artifact::digest.eq(version::digest))
            .filter(artifact::state.eq(LIVE)),
    );
    let found = version::table
        .inner_join(repository::table.on(repository::id.eq(version::repository)))
        .filter(
            version::repository
                .gt(after_repository)
                .or(version::repository.eq(after_repository).and(version::name.gt(after_name))),
        )
        .filter(version::state.eq(LIVE))
        .order((version::repository, version::name))
        .limit(rows(*limit))
        .select((version::repository, repository::full_name, version::name, version::digest, is_live))
        .load::<(i64, String, String, String, bool)>(c)?;
    let mut checks = Vec::with_capacity(found.len());
    for (repository, full_name, name, digest, live) in found {
        let last = version_history::table
            .filter(version_history::repository.eq(repository))
            .filter(version_history::name.eq(&name))
            .order(version_history::id.desc())
            .select(version_history::digest)
            .first::<Option<String>>(c)
            .optional()?
            .flatten();
        checks.push(VersionCheck {
            repository: RepositoryId(repository),
            name: full_name,
            version: name,
            live,
            recorded: last.as_deref() == Some(digest.as_str()),
            digest: parse(&digest)?,
        });
    }
    Ok(checks)
}

/// Open uploads after `after`.
pub(crate) fn check_uploads(c: &mut Conn, after: &Option<UploadId>, limit: &usize) -> Outcome<Vec<Upload>> {
    let found = upload::table
        .filter(upload::id.gt(after.map_or_else(String::new, |id| id.to_string())))
        .order(upload::id)
        .limit(rows(*limit))
        .load(c)?;
    found.into_iter().map(uploads::value).collect()
}

/// What the database itself finds wrong with its own files.
pub(crate) fn check_database(c: &mut Conn) -> Outcome<Vec<String>> {
    super::dialect::integrity(c)
}
