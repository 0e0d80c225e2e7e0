//! Blobs, and the links that make them visible.

use super::super::super::fault::{Fault, Outcome, refuse};
use super::super::super::model::{BlobView, Committed, Deleted, NewBlob, RepositoryId};
use super::super::super::schema::{artifact, blob, edge, project, repository, repository_blob, upload};
use super::Conn;
use super::rows::{CHUNK, LIVE, QUARANTINED, SYSTEM, parse, record, signed, unsigned};
use crate::access::Visible;
use crate::blob::{Blob, Checksums, StorageKey};
use crate::clock::{self, Millis};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, What};
use crate::failpoint;
use diesel::prelude::*;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;

/// Artifacts named when a blob is held by some.
const HOLDERS: i64 = 3;

pub(crate) fn blob(c: &mut Conn, repository: &RepositoryId, digest: &Digest) -> Outcome<Option<BlobView>> {
    let row = repository_blob::table
        .inner_join(blob::table)
        .filter(repository_blob::repository.eq(repository.0))
        .filter(repository_blob::digest.eq(digest.to_string()))
        .filter(blob::state.eq(LIVE))
        .select((blob::size, blob::storage_key, blob::checksums, repository_blob::lease_until))
        .first::<(i64, String, Vec<u8>, i64)>(c)
        .optional()?;
    row.map(|(size, key, checksums, lease_until)| {
        let blob = Blob {
            digest: *digest,
            size: unsigned(size),
            key: parse(&key)?,
            checksums: Checksums::from_bytes(checksums),
        };
        Ok(BlobView { blob, lease_until })
    })
    .transpose()
}

/// Sets a damaged blob aside, everywhere; whether it was still the one that was read.
pub(crate) fn quarantine_blob(c: &mut Conn, damaged: &Blob) -> Outcome<bool> {
    let digest = damaged.digest.to_string();
    let blob = blob::table
        .filter(blob::digest.eq(&digest))
        .filter(blob::storage_key.eq(damaged.key.as_str()))
        .filter(blob::state.eq(LIVE));
    if diesel::update(blob).set(blob::state.eq(QUARANTINED)).execute(c)? == 0 {
        return Ok(false);
    }
    record(
        c,
        SYSTEM,
        "blob.quarantined",
        None,
        &json!({"digest": digest, "key": damaged.key.as_str()}),
    )?;
    Ok(true)
}

pub(crate) fn touch_blob(c: &mut Conn, repository: &RepositoryId, digest: &Digest, lease_until: &Millis) -> Outcome<()> {
    super::dialect::share_blobs(c, &[digest.to_string()])?;
    extend_lease(c, repository.0, &digest.to_string(), *lease_until)
}

pub(crate) fn commit_blob(c: &mut Conn, new: &NewBlob) -> Outcome<Committed> {
    let proved = new.blob.blob();
    let digest = proved.digest.to_string();
    let (size, key) = (signed(proved.size), proved.key.as_str());
    if let Some(id) = &new.session {
        // Whoever claimed it since has not written: the bytes were this one's when they were proved.
        if diesel::delete(upload::table.filter(upload::id.eq(id.to_string()))).execute(c)? == 0 {
            return refuse(
                ErrorKind::Conflict,
                What::Upload,
                "the upload has been completed or cancelled by another request",
            );
        }
        if new.remembered {
            super::tus::remember_blob(c, id, &digest, new.lease_until)?;
        }
    }
    let values = (
        blob::digest.eq(&digest),
        blob::size.eq(size),
        blob::storage_key.eq(key),
        blob::checksums.eq(proved.checksums.as_bytes()),
        blob::state.eq(LIVE),
        blob::last_touch.eq(clock::now()),
    );
    let inserted = loop {
        let insert = diesel::insert_into(blob::table).values(values);
        if insert.on_conflict(blob::digest).do_nothing().execute(c)? == 1 {
            break true;
        }
        // Locked, so that it is not marked for deletion under the new link. Should the row go before that, there is room now.
        if super::dialect::lock_blob(c, &digest)? {
            break false;
        }
    };
    if let Some(sums) = new.blob.sums() {
        // Also of one that was here before: it may have come as a layer, of which nobody asks for them.
        diesel::update(blob::table.filter(blob::digest.eq(&digest)).filter(blob::sha512.is_null()))
            .set((
                blob::sha1.eq(sums.sha1.hex()),
                blob::md5.eq(sums.md5.hex()),
                blob::sha512.eq(sums.sha512.hex()),
            ))
            .execute(c)?;
    }
    // A blob on its way out, or set aside as damaged, counts as absent: these bytes take its place, under their own key.
    let replaced = !inserted && {
        let absent = blob::table.filter(blob::digest.eq(&digest)).filter(blob::state.ne(LIVE));
        diesel::update(absent).set(values).execute(c)? == 1
    };
    link(c, new.repository.0, &digest, new.lease_until)?;
    record(
        c,
        &new.by,
        "blob.pushed",
        Some(new.repository.0),
        &json!({"digest": digest, "size": size}),
    )?;
    failpoint::hit("blob.linked")?;
    Ok(if inserted || replaced {
        Committed::New
    } else {
        Committed::Duplicate
    })
}

/// Links a blob, or extends the lease of a link; never shortens one.
pub(super) fn link(c: &mut Conn, repository: i64, digest: &str, lease_until: Millis) -> Outcome<()> {
    let inserted = diesel::insert_into(repository_blob::table)
        .values((
            repository_blob::repository.eq(repository),
            repository_blob::digest.eq(digest),
            repository_blob::lease_until.eq(lease_until),
        ))
        .on_conflict((repository_blob::repository, repository_blob::digest))
        .do_nothing()
        .execute(c)?;
    if inserted == 0 {
        extend_lease(c, repository, digest, lease_until)
    } else {
        Ok(())
    }
}

fn extend_lease(c: &mut Conn, repository: i64, digest: &str, lease_until: Millis) -> Outcome<()> {
    let link = repository_blob::table
        .filter(repository_blob::repository.eq(repository))
        .filter(repository_blob::digest.eq(digest))
        .filter(repository_blob::lease_until.lt(lease_until));
    diesel::update(link).set(repository_blob::lease_until.eq(lease_until)).execute(c)?;
    Ok(())
}

pub(crate) fn mount_blob(
    c: &mut Conn,
    to: &RepositoryId,
    from: &RepositoryId,
    digest: &Digest,
    lease_until: &Millis,
    by: &Arc<str>,
) -> Outcome<Option<BlobView>> {
    super::dialect::share_blobs(c, &[digest.to_string()])?;
    let Some(view) = blob(c, from, digest)? else { return Ok(None) };
    link(c, to.0, &digest.to_string(), *lease_until)?;
    record(
        c,
        by,
        "blob.mounted",
        Some(to.0),
        &json!({"digest": digest.to_string(), "from": from.0}),
    )?;
    failpoint::hit("blob.mounted")?;
    Ok(Some(view))
}

pub(crate) fn find_blob(c: &mut Conn, digest: &Digest, visible: &Visible) -> Outcome<Option<RepositoryId>> {
    let mut query = repository_blob::table
        .inner_join(repository::table.inner_join(project::table))
        .inner_join(blob::table)
        .filter(repository_blob::digest.eq(digest.to_string()))
        .filter(blob::state.eq(LIVE))
        .select(repository_blob::repository)
        .into_boxed();
    query = super::rows::only_visible!(query, visible);
    Ok(query.first::<i64>(c).optional()?.map(RepositoryId))
}

pub(crate) fn unlink_blob(c: &mut Conn, repository: &RepositoryId, digest: &Digest, by: &Arc<str>) -> Outcome<Deleted> {
    let text = digest.to_string();
    // Before the search for holders: one that is being pushed is then found or finds the link gone.
    super::dialect::lock_link(c, repository.0, &text)?;
    let holders = edge::table
        .inner_join(artifact::table.on(artifact::repository.eq(edge::repository).and(artifact::digest.eq(edge::parent))))
        .filter(edge::child.eq(&text))
        .filter(edge::repository.eq(repository.0))
        .filter(artifact::state.eq(LIVE))
        .select(edge::parent)
        .limit(HOLDERS)
        .load::<String>(c)?;
    if !holders.is_empty() {
        return Ok(Deleted::InUse(holders.iter().map(|digest| parse(digest)).collect::<Outcome<_>>()?));
    }
    let link = repository_blob::table
        .filter(repository_blob::repository.eq(repository.0))
        .filter(repository_blob::digest.eq(&text));
    if diesel::delete(link).execute(c)? == 0 {
        return Ok(Deleted::Absent);
    }
    record(c, by, "blob.deleted", Some(repository.0), &json!({"digest": text}))?;
    failpoint::hit("blob.unlinked")?;
    Ok(Deleted::Done)
}

/// Of `digests`, which are sorted, those that are linked in the repository, and stay so until the transaction ends.
pub(super) fn linked(c: &mut Conn, repository: i64, digests: &[String]) -> Outcome<HashSet<String>> {
    let mut found = HashSet::new();
    for chunk in digests.chunks(CHUNK) {
        super::dialect::share_blobs(c, chunk)?;
    }
    for chunk in digests.chunks(CHUNK) {
        super::dialect::share_links(c, repository, chunk)?;
        let rows = repository_blob::table
            .inner_join(blob::table)
            .filter(repository_blob::repository.eq(repository))
            .filter(repository_blob::digest.eq_any(chunk))
            .filter(blob::state.eq(LIVE))
            .select(repository_blob::digest)
            .load::<String>(c)?;
        found.extend(rows);
    }
    Ok(found)
}

pub(crate) fn unknown_keys(c: &mut Conn, keys: &[StorageKey]) -> Outcome<Vec<StorageKey>> {
    let mut known = HashSet::new();
    for chunk in keys.chunks(CHUNK) {
        let digests = chunk
            .iter()
            .map(|key| key.digest().map(|digest| digest.to_string()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Fault::Refused(Error::internal("a storage key without a digest")))?;
        known.extend(
            blob::table
                .filter(blob::digest.eq_any(digests))
                .select(blob::storage_key)
                .load::<String>(c)?,
        );
    }
    Ok(keys.iter().filter(|key| !known.contains(key.as_str())).cloned().collect())
}
