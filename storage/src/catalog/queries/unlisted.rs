//! What says that it holds a chart and is in no list of its chart repository, and why.

use super::super::super::charts::{AfterUnlisted, UnlistedChart, WhyUnlisted};
use super::super::super::fault::Outcome;
use super::super::super::schema::{artifact, chart, chart_mark, chart_unlisted, project, repository, version};
use super::Conn;
use super::charts::with_versions;
use super::files::behind;
use super::rows::{LIVE, parse, rows};
use crate::access::Visible;
use crate::prefix::Prefix;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use std::collections::HashMap;

/// Tags of one page, at most: of a manifest that has thousands the first ones are told.
const TAGS: i64 = 10_000;

/// The number and name of a repository, a manifest of it, and why that is not listed.
type Found = (i64, String, String, WhyUnlisted);

/// Narrows a boxed query over `repository` and `project` to one page of what may be seen directly under a prefix.
macro_rules! page {
    ($query:expr, $digest:expr, $prefix:expr, $visible:expr, $after:expr, $limit:expr) => {{
        let mut query = super::rows::only_visible!($query, $visible)
            .filter(repository::full_name.gt(format!("{}/", $prefix)))
            .filter(repository::full_name.lt(behind($prefix.as_str())))
            .filter(repository::full_name.not_like(deeper($prefix)).escape('\\'));
        if let Some(AfterUnlisted { repository: name, digest }) = $after {
            query = query.filter(
                repository::full_name
                    .gt(name)
                    .or(repository::full_name.eq(name).and($digest.gt(digest))),
            );
        }
        query.order((repository::full_name, $digest)).limit(rows(*$limit))
    }};
}

/// What the names of repositories are like that lie deeper than directly under a prefix.
fn deeper(prefix: &Prefix) -> String {
    format!("{}/%/%", prefix.as_str().replace('_', "\\_"))
}

pub(crate) fn unlisted_under(
    c: &mut Conn,
    prefix: &Prefix,
    visible: &Visible,
    after: &Option<AfterUnlisted>,
    limit: &usize,
) -> Outcome<Vec<UnlistedChart>> {
    super::dialect::snapshot(c, |c| {
        // A page of each kind holds what of it can be on the page of all.
        let mut found = disagreeing(c, prefix, visible, after, limit)?;
        found.extend(untagged(c, prefix, visible, after, limit)?);
        found.extend(yanked(c, prefix, visible, after, limit)?);
        found.sort_unstable_by(|one, other| (&one.1, &one.2).cmp(&(&other.1, &other.2)));
        found.dedup_by(|one, other| (one.0, &one.2) == (other.0, &other.2));
        found.truncate(*limit);
        let mut tags = tags_of(c, &found)?;
        found
            .into_iter()
            .map(|(id, name, digest, why)| {
                Ok(UnlistedChart {
                    repository: parse(&name)?,
                    digest: parse(&digest)?,
                    tags: tags.remove(&(id, digest)).unwrap_or_default(),
                    why,
                })
            })
            .collect()
    })
}

fn disagreeing(c: &mut Conn, prefix: &Prefix, visible: &Visible, after: &Option<AfterUnlisted>, limit: &usize) -> Outcome<Vec<Found>> {
    let all = chart_unlisted::table
        .inner_join(
            artifact::table.on(artifact::repository
                .eq(chart_unlisted::repository)
                .and(artifact::digest.eq(chart_unlisted::digest))),
        )
        .inner_join(repository::table.on(repository::id.eq(chart_unlisted::repository)))
        .inner_join(project::table.on(project::id.eq(repository::project)))
        .filter(artifact::state.eq(LIVE))
        .select((
            repository::id,
            repository::full_name,
            chart_unlisted::digest,
            chart_unlisted::reason,
        ))
        .into_boxed();
    let page = page!(all, chart_unlisted::digest, prefix, visible, after, limit).load::<(i64, String, String, String)>(c)?;
    let found = page.into_iter();
    Ok(found
        .map(|(id, name, digest, reason)| (id, name, digest, WhyUnlisted::Disagrees(reason)))
        .collect())
}

/// Charts that are as they should be and have other tags than that of their version. One that has no tag at all is what
/// another took the place of.
fn untagged(c: &mut Conn, prefix: &Prefix, visible: &Visible, after: &Option<AfterUnlisted>, limit: &usize) -> Outcome<Vec<Found>> {
    let tagged = || {
        version::table
            .filter(version::repository.eq(chart::repository))
            .filter(version::digest.eq(chart::digest))
            .filter(version::state.eq(LIVE))
    };
    let all = chart::table
        .inner_join(repository::table.on(repository::id.eq(chart::repository)))
        .inner_join(project::table.on(project::id.eq(repository::project)))
        .filter(chart::prefix.eq(prefix.as_str()))
        .filter(exists(tagged()))
        .filter(not(exists(tagged().filter(version::name.eq(chart::tag)))))
        .select((repository::id, repository::full_name, chart::digest, chart::version, chart::tag))
        .into_boxed();
    let page = page!(all, chart::digest, prefix, visible, after, limit).load::<(i64, String, String, String, String)>(c)?;
    let found = page.into_iter();
    Ok(found
        .map(|(id, name, digest, version, tag)| (id, name, digest, WhyUnlisted::Untagged { version, tag }))
        .collect())
}

fn yanked(c: &mut Conn, prefix: &Prefix, visible: &Visible, after: &Option<AfterUnlisted>, limit: &usize) -> Outcome<Vec<Found>> {
    let all = with_versions!()
        .inner_join(repository::table.on(repository::id.eq(chart::repository)))
        .inner_join(project::table.on(project::id.eq(repository::project)))
        .filter(chart::prefix.eq(prefix.as_str()))
        .filter(version::state.eq(LIVE))
        .filter(chart_mark::yanked.is_not_null())
        .select((
            repository::id,
            repository::full_name,
            chart::digest,
            chart::version,
            chart_mark::yanked.nullable(),
        ))
        .into_boxed();
    let page = page!(all, chart::digest, prefix, visible, after, limit);
    let found = page.load::<(i64, String, String, String, Option<String>)>(c)?.into_iter();
    Ok(found
        .map(|(id, name, digest, version, reason)| {
            let reason = reason.unwrap_or_default();
            (id, name, digest, WhyUnlisted::Yanked { version, reason })
        })
        .collect())
}

/// The live tags of each manifest, in order.
fn tags_of(c: &mut Conn, found: &[Found]) -> Outcome<HashMap<(i64, String), Vec<String>>> {
    let ids = found.iter().map(|found| found.0);
    let digests = found.iter().map(|found| &found.2);
    let rows = version::table
        .filter(version::repository.eq_any(ids))
        .filter(version::digest.eq_any(digests))
        .filter(version::state.eq(LIVE))
        // In no order: for one SQLite would read all tags of these repositories.
        .limit(TAGS)
        .select((version::repository, version::digest, version::name))
        .load::<(i64, String, String)>(c)?;
    let mut tags: HashMap<(i64, String), Vec<String>> = HashMap::new();
    for (id, digest, name) in rows {
        tags.entry((id, digest)).or_default().push(name);
    }
    tags.values_mut().for_each(|names| names.sort_unstable());
    Ok(tags)
}
