//! From rows to values, and the few steps that every family shares.

use super::super::super::fault::{Fault, Outcome};
use super::super::super::schema::event;
use super::Conn;
use crate::access::Role;
use crate::clock;
use crate::error::Error;
use diesel::prelude::*;
use std::str::FromStr;

pub(super) const LIVE: &str = "live";
pub(super) const TRASHED: &str = "trashed";
/// A blob whose bytes read back otherwise. Absent for everybody until it is pushed again.
pub(super) const QUARANTINED: &str = "quarantined";

/// Who did what nobody asked for.
pub(super) const SYSTEM: &str = "granary";

/// Keys of one statement; SQLite binds each as a parameter.
pub(super) const CHUNK: usize = 500;

/// Text that this program wrote and must be able to read again.
pub(super) fn parse<T: FromStr>(text: &str) -> Outcome<T> {
    text.parse()
        .map_err(|_| Fault::Refused(Error::internal(format!("the catalog holds {text:?}, which cannot be read"))))
}

pub(super) fn role(text: &str) -> Outcome<Role> {
    parse(text)
}

/// A size or an offset, which the databases keep signed.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A size or an offset for the databases.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number of rows for a LIMIT.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Appends to the log of everything that changed.
pub(super) fn record(c: &mut Conn, by: &str, kind: &str, repository: Option<i64>, body: &serde_json::Value) -> Outcome<()> {
    diesel::insert_into(event::table)
        .values((
            event::at.eq(clock::now()),
            event::principal.eq(by),
            event::kind.eq(kind),
            event::repository.eq(repository),
            event::body.eq(body.to_string()),
        ))
        .execute(c)?;
    Ok(())
}
