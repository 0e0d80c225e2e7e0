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

/// Keeps others from taking these names for themselves alone.
pub(crate) fn share_names(_: &mut Conn, _: i64, _: &[&str]) -> Outcome<()> {
    Ok(())
}

/// Keeps others from changing what is listed under this prefix until the transaction ends.
pub(crate) fn lock_prefix(_: &mut Conn, _: &str) -> Outcome<()> {
    Ok(())
}

/// Keeps others from giving a chart's file this name under this prefix, until the transaction ends.
pub(crate) fn lock_chart_file(_: &mut Conn, _: &str, _: &str) -> Outcome<()> {
    Ok(())
}

/// Keeps these versions as they are.
pub(crate) fn lock_versions(_: &mut Conn, _: i64, _: &[String]) -> Outcome<()> {
    Ok(())
}

/// Keeps the versions that point at this artifact as they are.
pub(crate) fn lock_versions_of(_: &mut Conn, _: i64, _: &str) -> Outcome<()> {
    Ok(())
}

/// Keeps garbage collection from these blobs until the transaction ends.
pub(crate) fn share_blobs(_: &mut Conn, _: &[String]) -> Outcome<()> {
    Ok(())
}

/// Takes a blob to change it; whether there is one. Asked when one was in the way, and here it is there still.
pub(crate) fn lock_blob(_: &mut Conn, _: &str) -> Outcome<bool> {
    Ok(true)
}

/// Keeps these links from being taken away until the transaction ends.
pub(crate) fn share_links(_: &mut Conn, _: i64, _: &[String]) -> Outcome<()> {
    Ok(())
}

/// Takes a link to remove it.
pub(crate) fn lock_link(_: &mut Conn, _: i64, _: &str) -> Outcome<()> {
    Ok(())
}

/// Keeps these artifacts as they are until the transaction ends.
pub(crate) fn share_artifacts(_: &mut Conn, _: i64, _: &[String]) -> Outcome<()> {
    Ok(())
}

/// Takes an artifact to change it.
pub(crate) fn lock_artifact(_: &mut Conn, _: i64, _: &str) -> Outcome<()> {
    Ok(())
}

/// Runs several reads as of one moment.
pub(crate) fn snapshot<T>(c: &mut Conn, reads: impl FnOnce(&mut Conn) -> Outcome<T>) -> Outcome<T> {
    c.transaction(reads)
}

/// What SQLite finds wrong with its own file, foreign keys included.
pub(crate) fn integrity(c: &mut Conn) -> Outcome<Vec<String>> {
    let problems: Vec<Problem> = diesel::sql_query("SELECT integrity_check AS problem FROM pragma_integrity_check").load(c)?;
    let orphans: Vec<Problem> = diesel::sql_query(
        "SELECT 'row ' || coalesce(rowid, '?') || ' of ' || \"table\" || ' refers to nothing in ' || parent AS problem \
         FROM pragma_foreign_key_check",
    )
    .load(c)?;
    let all = problems.into_iter().chain(orphans).map(|Problem { problem }| problem);
    Ok(all.filter(|problem| problem != "ok").collect())
}

#[derive(QueryableByName)]
struct Problem {
    #[diesel(sql_type = diesel::sql_types::Text)]
    problem: String,
}

/// Events after `after` that no open transaction can still slip in front of.
pub(crate) fn settled_events(c: &mut Conn, after: i64, limit: i64) -> Outcome<Vec<EventRow>> {
    Ok(event::table.filter(event::seq.gt(after)).order(event::seq).limit(limit).load(c)?)
}
