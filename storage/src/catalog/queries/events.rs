//! The log of everything that changed, and how far each follower has read it.

use super::super::super::fault::Outcome;
use super::super::super::model::{Event, RepositoryId};
use super::super::super::schema::follower_cursor;
use super::Conn;
use super::rows::rows;
use diesel::prelude::*;

pub(crate) fn events(c: &mut Conn, after: &i64, limit: &usize) -> Outcome<Vec<Event>> {
    let found = super::dialect::settled_events(c, *after, rows(*limit))?;
    let value = |(seq, at, principal, kind, repository, body): super::dialect::EventRow| Event {
        seq,
        at,
        principal,
        kind,
        repository: repository.map(RepositoryId),
        body,
    };
    Ok(found.into_iter().map(value).collect())
}

pub(crate) fn cursor(c: &mut Conn, follower: &String) -> Outcome<i64> {
    let found = follower_cursor::table
        .filter(follower_cursor::follower.eq(follower))
        .select(follower_cursor::seq)
        .first(c)
        .optional()?;
    Ok(found.unwrap_or(0))
}

pub(crate) fn set_cursor(c: &mut Conn, follower: &String, seq: &i64) -> Outcome<()> {
    diesel::insert_into(follower_cursor::table)
        .values((follower_cursor::follower.eq(follower), follower_cursor::seq.eq(*seq)))
        .on_conflict(follower_cursor::follower)
        .do_update()
        .set(follower_cursor::seq.eq(*seq))
        .execute(c)?;
    Ok(())
}
