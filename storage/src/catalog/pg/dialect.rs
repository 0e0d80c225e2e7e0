//! What the queries need that PostgreSQL says its own way: locks, and which events are settled.
//!
//! Every transaction locks in this order, and rows of one table in the order of their keys, so that
//! nobody waits in a circle: names, versions, files of charts, blobs, links, artifacts, prefixes. `share_…` lets others count on
//! the same rows and change none of them; `lock_…` is for who changes them. A statement after a lock
//! sees what those left who had it before.

use super::super::fault::Outcome;
use super::super::schema::{artifact, blob, event, repository_blob, version};
use super::Conn;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

/// A row of the event table.
pub(crate) type EventRow = (i64, i64, String, String, Option<i64>, String);

/// Keeps others from moving these names until the transaction ends. A name that has no row yet
/// has nothing to lock, hence the advisory lock.
pub(crate) fn lock_names(c: &mut Conn, repository: i64, names: &[String]) -> Outcome<()> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_unstable();
    for name in names {
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))")
            .bind::<Text, _>(name)
            .bind::<BigInt, _>(repository)
            .execute(c)?;
    }
    Ok(())
}

/// Keeps others from taking these names for themselves alone; who also shares them goes on. Each name stands before
/// those that begin with it: whoever takes several goes from the outside in.
pub(crate) fn share_names(c: &mut Conn, repository: i64, names: &[&str]) -> Outcome<()> {
    for name in names {
        diesel::sql_query("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, $2))")
            .bind::<Text, _>(name)
            .bind::<BigInt, _>(repository)
            .execute(c)?;
    }
    Ok(())
}

/// Keeps others from changing what is listed under this prefix until the transaction ends, so that the numbers of
/// these changes are in the order in which they can be seen. The last lock of all: who holds it waits for nobody.
pub(crate) fn lock_prefix(c: &mut Conn, prefix: &str) -> Outcome<()> {
    // No repository has this number, so no name is locked under it.
    diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, -1))")
        .bind::<Text, _>(prefix)
        .execute(c)?;
    Ok(())
}

/// Keeps others from giving a chart's file this name under this prefix, until the transaction ends.
pub(crate) fn lock_chart_file(c: &mut Conn, prefix: &str, file: &str) -> Outcome<()> {
    // No repository has this number, so no name is locked under it.
    diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, -2))")
        .bind::<Text, _>(format!("{prefix}/{file}"))
        .execute(c)?;
    Ok(())
}

/// Keeps these versions as they are. A deletion of what they point at takes no lock on their names: it may be thousands.
pub(crate) fn lock_versions(c: &mut Conn, repository: i64, names: &[String]) -> Outcome<()> {
    version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.eq_any(names))
        .order(version::name)
        .select(version::name)
        .for_no_key_update()
        .load::<String>(c)?;
    Ok(())
}

/// Keeps the versions that point at this artifact as they are.
pub(crate) fn lock_versions_of(c: &mut Conn, repository: i64, digest: &str) -> Outcome<()> {
    version::table
        .filter(version::repository.eq(repository))
        .filter(version::digest.eq(digest))
        .order(version::name)
        .select(version::name)
        .for_no_key_update()
        .load::<String>(c)?;
    Ok(())
}

/// Keeps garbage collection from these blobs until the transaction ends.
pub(crate) fn share_blobs(c: &mut Conn, digests: &[String]) -> Outcome<()> {
    blob::table
        .filter(blob::digest.eq_any(digests))
        .order(blob::digest)
        .select(blob::digest)
        .for_share()
        .load::<String>(c)?;
    Ok(())
}

/// Takes a blob to change it; whether there is one.
pub(crate) fn lock_blob(c: &mut Conn, digest: &str) -> Outcome<bool> {
    let found = blob::table
        .filter(blob::digest.eq(digest))
        .select(blob::digest)
        .for_no_key_update()
        .load::<String>(c)?;
    Ok(!found.is_empty())
}

/// Keeps these links from being taken away until the transaction ends. Their leases may be extended meanwhile.
pub(crate) fn share_links(c: &mut Conn, repository: i64, digests: &[String]) -> Outcome<()> {
    repository_blob::table
        .filter(repository_blob::repository.eq(repository))
        .filter(repository_blob::digest.eq_any(digests))
        .order(repository_blob::digest)
        .select(repository_blob::digest)
        .for_key_share()
        .load::<String>(c)?;
    Ok(())
}

/// Takes a link to remove it.
pub(crate) fn lock_link(c: &mut Conn, repository: i64, digest: &str) -> Outcome<()> {
    repository_blob::table
        .filter(repository_blob::repository.eq(repository))
        .filter(repository_blob::digest.eq(digest))
        .select(repository_blob::digest)
        .for_update()
        .load::<String>(c)?;
    Ok(())
}

/// Keeps these artifacts as they are until the transaction ends: live ones stay live.
pub(crate) fn share_artifacts(c: &mut Conn, repository: i64, digests: &[String]) -> Outcome<()> {
    artifact::table
        .filter(artifact::repository.eq(repository))
        .filter(artifact::digest.eq_any(digests))
        .order(artifact::digest)
        .select(artifact::digest)
        .for_share()
        .load::<String>(c)?;
    Ok(())
}

/// Takes an artifact to change it.
pub(crate) fn lock_artifact(c: &mut Conn, repository: i64, digest: &str) -> Outcome<()> {
    artifact::table
        .filter(artifact::repository.eq(repository))
        .filter(artifact::digest.eq(digest))
        .select(artifact::digest)
        .for_no_key_update()
        .load::<String>(c)?;
    Ok(())
}

/// Runs several reads as of one moment.
pub(crate) fn snapshot<T>(c: &mut Conn, reads: impl FnOnce(&mut Conn) -> Outcome<T>) -> Outcome<T> {
    c.build_transaction().read_only().repeatable_read().run(reads)
}

/// PostgreSQL looks after its own files; a server with data checksums reports damage by itself.
pub(crate) fn integrity(_: &mut Conn) -> Outcome<Vec<String>> {
    Ok(Vec::new())
}

/// Events after `after` that no open transaction can still slip in front of. Two statements, each with eyes of its own:
/// what has ended by the first is seen by the second.
pub(crate) fn settled_events(c: &mut Conn, after: i64, limit: i64) -> Outcome<Vec<EventRow>> {
    let horizon = diesel::select(sql::<BigInt>("event_horizon()")).get_result::<i64>(c)?;
    Ok(event::table
        .filter(event::seq.gt(after))
        .filter(event::seq.lt(horizon))
        .order(event::seq)
        .limit(limit)
        .load(c)?)
}
