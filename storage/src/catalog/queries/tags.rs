//! Tags: their list, their removal, their history.

use super::super::super::fault::Outcome;
use super::super::super::model::{HistoryEntry, RepositoryId};
use super::super::super::schema::{chart, chart_mark, version, version_history};
use super::Conn;
use super::manifests::trash_version;
use super::rows::{LIVE, parse, rows};
use crate::name::Tag;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use std::sync::Arc;

pub(crate) fn tags(c: &mut Conn, repository: &RepositoryId, after: &Option<String>, limit: &usize) -> Outcome<Vec<String>> {
    // Any tag of a yanked chart: helm resolves a range among the tags, and another one would lead it there. Both rows are
    // found by their primary keys, and of what is no chart there is no row at all.
    let yanked = chart::table
        .inner_join(chart_mark::table.on(chart_mark::repository.eq(chart::repository).and(chart_mark::tag.eq(chart::tag))))
        .filter(chart::repository.eq(version::repository))
        .filter(chart::digest.eq(version::digest))
        .filter(chart_mark::yanked.is_not_null());
    Ok(version::table
        .filter(version::repository.eq(repository.0))
        .filter(version::name.gt(after.as_deref().unwrap_or("")))
        .filter(version::state.eq(LIVE))
        .filter(not(exists(yanked)))
        .order(version::name)
        .limit(rows(*limit))
        .select(version::name)
        .load(c)?)
}

pub(crate) fn delete_tag(c: &mut Conn, repository: &RepositoryId, tag: &Tag, by: &Arc<str>) -> Outcome<bool> {
    super::dialect::lock_names(c, repository.0, &[tag.to_string()])?;
    trash_version(c, repository.0, tag.as_str(), by)
}

pub(crate) fn tag_history(c: &mut Conn, repository: &RepositoryId, tag: &Tag, limit: &usize) -> Outcome<Vec<HistoryEntry>> {
    let steps = version_history::table
        .filter(version_history::repository.eq(repository.0))
        .filter(version_history::name.eq(tag.as_str()))
        .order(version_history::id.desc())
        .limit(rows(*limit))
        .select((version_history::digest, version_history::at, version_history::principal))
        .load::<(Option<String>, i64, String)>(c)?;
    steps
        .into_iter()
        .map(|(digest, at, by)| {
            Ok(HistoryEntry {
                digest: digest.map(|digest| parse(&digest)).transpose()?,
                at,
                by,
            })
        })
        .collect()
}
