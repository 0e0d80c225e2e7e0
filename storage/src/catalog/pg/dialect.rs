//! What the queries need that PostgreSQL says its own way: locks, and which events are settled.

use super::super::fault::Outcome;
use super::super::schema::{blob, event};
use super::Conn;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

/// A row of the event table.
pub(crate) type EventRow = (i64, i64, String, String, Option<i64>, String);

/// Keeps others from moving these names until the transaction ends. A name that has no row yet
/// has nothing to lock, hence the advisory lock; always in the same order, so that nobody waits in a circle.
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

/// Keeps garbage collection from these blobs until the transaction ends.
pub(crate) fn lock_blobs(c: &mut Conn, digests: &[String]) -> Outcome<()> {
    blob::table
        .filter(blob::digest.eq_any(digests))
        .order(blob::digest)
        .select(blob::digest)
        .for_key_share()
        .load::<String>(c)?;
    Ok(())
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
