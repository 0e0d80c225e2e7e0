//! What the queries need that SQLite says its own way. Its one writer makes every lock below a formality.

use super::super::fault::Outcome;
use super::super::schema::event;
use super::Conn;
use diesel::prelude::*;

/// A row of the event table.
pub(crate) type EventRow = (i64, i64, String, String, Option<i64>, String);

/// Keeps others from moving these names until the transaction ends.
pub(crate) fn lock_names(_: &mut Conn, _: i64, _: &[String]) -> Outcome<()> {
    Ok(())
}

/// Keeps garbage collection from these blobs until the transaction ends.
pub(crate) fn lock_blobs(_: &mut Conn, _: &[String]) -> Outcome<()> {
    Ok(())
}

/// Events after `after` that no open transaction can still slip in front of.
pub(crate) fn settled_events(c: &mut Conn, after: i64, limit: i64) -> Outcome<Vec<EventRow>> {
    Ok(event::table.filter(event::seq.gt(after)).order(event::seq).limit(limit).load(c)?)
}
