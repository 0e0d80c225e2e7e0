//! Reading and deleting manifests, and what refers to them. Storing one is `put_manifest.rs`.

use super::super::super::fault::{Fault, Outcome};
use super::super::super::model::{Deleted, EdgeRole, Kind, ManifestView, Referrer, RepositoryId};
use super::super::super::schema::{artifact, edge, manifest, version, version_history};
use super::Conn;
use super::charts::{listed_under, listing_changed};
use super::rows::{LIVE, TRASHED, parse, record, rows};
use super::versions::yanked;
use crate::clock;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, What};
use crate::failpoint;
use crate::name::{Reference, Tag};
use diesel::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// Indexes named when a manifest is held by some.
const HOLDERS: i64 = 3;

pub(crate) fn manifest(c: &mut Conn, repository: &RepositoryId, reference: &Reference) -> Outcome<Option<ManifestView>> {
    let columns = (artifact::digest, artifact::media_type, artifact::kind, manifest::bytes);
    let row = match reference {
        Reference::Tag(tag) => version::table
            .inner_join(
                artifact::table.on(artifact::repository
                    .eq(version::repository)
                    .and(artifact::digest.eq(version::digest))),
            )
            .inner_join(manifest::table.on(manifest::digest.eq(version::digest)))
            .filter(version::repository.eq(repository.0))
            .filter(version::name.eq(tag.as_str()))
            .filter(version::state.eq(LIVE))
            .filter(artifact::state.eq(LIVE))
            .select(columns)
            .first::<(String, String, String, Vec<u8>)>(c)
            .optional()?,
        Reference::Digest(digest) => artifact::table
            .inner_join(manifest::table.on(manifest::digest.eq(artifact::digest)))
            .filter(artifact::repository.eq(repository.0))
            .filter(artifact::digest.eq(digest.to_string()))
            .filter(artifact::state.eq(LIVE))
            .select(columns)
            .first::<(String, String, String, Vec<u8>)>(c)
            .optional()?,
    };
    row.map(|(digest, media_type, kind, bytes)| {
        let digest: Digest = parse(&digest)?;
        if Digest::of(digest.algorithm(), &bytes) != digest {
            let damaged = Error::new(
                ErrorKind::Corrupt,
                What::Manifest,
                "the manifest is damaged in this registry; push it again",
            );
            return Err(Fault::Refused(
                damaged.because(format!("the bytes of {digest} in the catalog do not have that digest")),
            ));
        }
        let kind: Kind = parse(&kind)?;
        let yanked = match kind {
            Kind::Chart => yanked(c, repository.0, &digest)?,
            _ => None,
        };
        Ok(ManifestView {
            digest,
            media_type: media_type.into(),
            kind,
            bytes: bytes.into(),
            yanked: yanked.map(Into::into),
        })
    })
    .transpose()
}

/// The tags that went with the manifest come back too.
pub(crate) fn delete_artifact(c: &mut Conn, repository: &RepositoryId, digest: &Digest, by: &Arc<str>) -> Outcome<(Deleted, Vec<Tag>)> {
    let text = digest.to_string();
    super::dialect::lock_names(c, repository.0, std::slice::from_ref(&text))?;
    super::dialect::lock_versions_of(c, repository.0, &text)?;
    // Before the search for holders: one that is being pushed is then found or finds the manifest gone.
    super::dialect::lock_artifact(c, repository.0, &text)?;
    let holders = edge::table
        .inner_join(artifact::table.on(artifact::repository.eq(edge::repository).and(artifact::digest.eq(edge::parent))))
        .filter(edge::child.eq(&text))
        .filter(edge::repository.eq(repository.0))
        .filter(edge::role.eq(EdgeRole::Child.as_str()))
        .filter(artifact::state.eq(LIVE))
        .select(edge::parent)
        .limit(HOLDERS)
        .load::<String>(c)?;
    let found = artifact::table
        .filter(artifact::repository.eq(repository.0))
        .filter(artifact::digest.eq(&text))
        .filter(artifact::state.eq(LIVE));
    if found.select(artifact::digest).first::<String>(c).optional()?.is_none() {
        return Ok((Deleted::Absent, Vec::new()));
    }
    if !holders.is_empty() {
        let holders = holders.iter().map(|digest| parse(digest)).collect::<Outcome<_>>()?;
        return Ok((Deleted::InUse(holders), Vec::new()));
    }
    let now = clock::now();
    diesel::update(found)
        .set((artifact::state.eq(TRASHED), artifact::trashed_at.eq(now)))
        .execute(c)?;
    let tags = version::table
        .filter(version::repository.eq(repository.0))
        .filter(version::digest.eq(&text))
        .filter(version::state.eq(LIVE))
        .select(version::name)
        .load::<String>(c)?;
    for tag in &tags {
        trash_version(c, repository.0, tag, by)?;
    }
    record(c, by, "manifest.deleted", Some(repository.0), &json!({"digest": text}))?;
    failpoint::hit("manifest.deleted")?;
    let tags = tags.iter().map(|tag| parse(tag)).collect::<Outcome<_>>()?;
    Ok((Deleted::Done, tags))
}

/// Moves a live tag to the trash; whether there was one.
pub(super) fn trash_version(c: &mut Conn, repository: i64, name: &str, by: &str) -> Outcome<bool> {
    let listed = listed_under(c, repository, name)?;
    if !trash_name(c, repository, name, by)? {
        return Ok(false);
    }
    record(c, by, "tag.deleted", Some(repository), &json!({"tag": name}))?;
    if let Some(prefix) = listed {
        listing_changed(c, repository, &prefix)?;
    }
    failpoint::hit("tag.deleted")?;
    Ok(true)
}

/// Moves a live version of any kind to the trash and ends its history; whether there was one.
pub(super) fn trash_name(c: &mut Conn, repository: i64, name: &str, by: &str) -> Outcome<bool> {
    let now = clock::now();
    let live = version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.eq(name))
        .filter(version::state.eq(LIVE));
    let trashed = (version::state.eq(TRASHED), version::updated_at.eq(now), version::updated_by.eq(by));
    if diesel::update(live).set(trashed).execute(c)? == 0 {
        return Ok(false);
    }
    diesel::insert_into(version_history::table)
        .values((
            version_history::repository.eq(repository),
            version_history::name.eq(name),
            version_history::digest.eq(None::<String>),
            version_history::at.eq(now),
            version_history::principal.eq(by),
        ))
        .execute(c)?;
    Ok(true)
}

/// A page of referrers, and whether there are more after it.
pub(crate) fn referrers(
    c: &mut Conn,
    repository: &RepositoryId,
    subject: &Digest,
    artifact_type: &Option<String>,
    after: &Option<Digest>,
    limit: &usize,
    max_bytes: &u64,
) -> Outcome<(Vec<Referrer>, bool)> {
    let found = || {
        let mut query = artifact::table
            .filter(artifact::repository.eq(repository.0))
            .filter(artifact::subject.eq(subject.to_string()))
            .filter(artifact::state.eq(LIVE))
            .filter(artifact::descriptor.is_not_null())
            .order(artifact::digest)
            .into_boxed();
        if let Some(wanted) = artifact_type {
            query = query.filter(artifact::artifact_type.eq(wanted));
        }
        if let Some(after) = after {
            query = query.filter(artifact::digest.gt(after.to_string()));
        }
        query
    };
    // A descriptor carries its manifest's annotations, which may be megabytes: how many fit is known before they are read.
    super::dialect::snapshot(c, |c| {
        let sizes = found()
            .limit(rows(limit.saturating_add(1)))
            .select((artifact::digest, octet_length(artifact::descriptor.assume_not_null())))
            .load::<(String, i32)>(c)?;
        let mut bytes = 0;
        let fitting = sizes.iter().take(*limit).take_while(|(_, size)| {
            let is_first = bytes == 0;
            bytes += u64::from(size.unsigned_abs());
            is_first || bytes <= *max_bytes
        });
        let page = fitting.count();
        let Some((last, _)) = page.checked_sub(1).and_then(|last| sizes.get(last)) else {
            return Ok((Vec::new(), !sizes.is_empty()));
        };
        let list = found()
            .filter(artifact::digest.le(last))
            .select((artifact::digest, artifact::artifact_type, artifact::descriptor.assume_not_null()))
            .load::<(String, Option<String>, String)>(c)?;
        let list = list.into_iter().map(|(digest, artifact_type, descriptor)| {
            Ok(Referrer {
                digest: parse(&digest)?,
                artifact_type,
                descriptor,
            })
        });
        Ok((list.collect::<Outcome<_>>()?, page < sizes.len()))
    })
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Bytes of a text.
    fn octet_length(text: diesel::sql_types::Text) -> diesel::sql_types::Integer;
}
