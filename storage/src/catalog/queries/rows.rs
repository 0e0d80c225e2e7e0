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

/// A boxed query over `repository` and `project` that finds only what may be seen. The one place that says how.
macro_rules! only_visible {
    ($query:expr, $visible:expr) => {{
        let (mut query, visible) = ($query, $visible);
        if let Some(projects) = &visible.projects {
            let ids: Vec<i64> = projects.iter().map(|id| id.0).collect();
            query = query.filter(
                project::id
                    .eq_any(ids)
                    .or(project::public.eq(visible.public).and(project::public.eq(true))),
            );
        }
        if let Some(only) = &visible.only {
            let names: Vec<String> = only.iter().map(|name| name.as_str().to_owned()).collect();
            query = query.filter(repository::full_name.eq_any(names));
        }
        query
    }};
}
pub(super) use only_visible;
