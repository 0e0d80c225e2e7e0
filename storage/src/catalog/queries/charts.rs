//! Charts: what is known of one, and what a chart repository lists. What may become of one is `chart_rules.rs`.

use super::super::super::charts::{Chart, ChartVersion, ChartsUnder, NewChart, Over};
use super::super::super::fault::Outcome;
use super::super::super::model::{EdgeRole, NewManifest, ProjectId, Repository, RepositoryId, StorageFormat};
use super::super::super::schema::{chart, chart_event, chart_mark, chart_unlisted, edge, project, repository, version};
use super::Conn;
use super::chart_images::store_chart_images;
use super::rows::{CHUNK, LIVE, parse, rows, signed, unsigned};
use crate::access::Visible;
use crate::clock;
use crate::digest::Digest;
use crate::name::{RepositoryName, Tag};
use crate::prefix::Prefix;
use diesel::prelude::*;

/// The columns of a [`Chart`].
type Columns = (
    chart::digest,
    chart::name,
    chart::version,
    chart::file,
    chart::content,
    chart::content_size,
    chart::provenance,
    chart::metadata,
    chart::created_at,
);
/// What is said of it besides.
type Marks = (
    diesel::dsl::Nullable<chart_mark::yanked>,
    diesel::dsl::Nullable<chart_mark::deprecated>,
);
type Row = (
    (String, String, String, String, String, i64, Option<String>, String, i64),
    (Option<String>, Option<bool>),
);

/// What is read of each chart.
fn columns() -> (Columns, Marks) {
    (COLUMNS, (chart_mark::yanked.nullable(), chart_mark::deprecated.nullable()))
}

const COLUMNS: Columns = (
    chart::digest,
    chart::name,
    chart::version,
    chart::file,
    chart::content,
    chart::content_size,
    chart::provenance,
    chart::metadata,
    chart::created_at,
);

fn value((row, (yanked, deprecated)): Row) -> Outcome<Chart> {
    let (digest, name, version, file, content, size, provenance, metadata, created_at) = row;
    Ok(Chart {
        digest: parse(&digest)?,
        name,
        version,
        file,
        content: parse(&content)?,
        content_size: unsigned(size),
        provenance: provenance.map(|digest| parse(&digest)).transpose()?,
        metadata,
        created_at,
        yanked,
        deprecated: deprecated == Some(true),
    })
}

/// A chart, the version that its own tag is, and what is said of that.
macro_rules! with_versions {
    () => {
        chart::table
            .inner_join(
                version::table.on(version::repository
                    .eq(chart::repository)
                    .and(version::name.eq(chart::tag))
                    .and(version::digest.eq(chart::digest))),
            )
            .left_join(chart_mark::table.on(chart_mark::repository.eq(chart::repository).and(chart_mark::tag.eq(chart::tag))))
    };
}
pub(super) use with_versions;

pub(crate) fn charts_under(c: &mut Conn, prefix: &Prefix, since: &Option<i64>) -> Outcome<ChartsUnder> {
    super::dialect::snapshot(c, |c| {
        let newest = chart_event::table
            .filter(chart_event::prefix.eq(prefix.as_str()))
            .order(chart_event::seq.desc())
            .select((chart_event::seq, chart_event::at))
            .first::<(i64, i64)>(c)
            .optional()?;
        let Some((generation, at)) = newest else {
            return Ok(ChartsUnder::default());
        };
        // A generation that never was is of another database: everything is told anew.
        let changed = match since.filter(|since| (1..=generation).contains(since)) {
            Some(since) => changed_since(c, prefix, since)?,
            None => None,
        };
        let listed = with_versions!()
            .filter(chart::prefix.eq(prefix.as_str()))
            .filter(version::state.eq(LIVE))
            .filter(chart_mark::yanked.is_null())
            .select(columns());
        let (names, found) = match changed {
            None => (None, listed.load::<Row>(c)?),
            Some((ids, names)) => (Some(names), listed.filter(chart::repository.eq_any(ids)).load::<Row>(c)?),
        };
        Ok(ChartsUnder {
            generation,
            at,
            changed: names,
            charts: found.into_iter().map(value).collect::<Outcome<_>>()?,
        })
    })
}

/// The repositories that changed after a generation, and the charts' names; `None` when they are too many to be told one by one.
fn changed_since(c: &mut Conn, prefix: &Prefix, since: i64) -> Outcome<Option<(Vec<i64>, Vec<String>)>> {
    let ids = chart_event::table
        .filter(chart_event::prefix.eq(prefix.as_str()))
        .filter(chart_event::seq.gt(since))
        .select(chart_event::repository)
        .distinct()
        .limit(rows(CHUNK + 1))
        .load::<i64>(c)?;
    if ids.len() > CHUNK {
        return Ok(None);
    }
    let full = repository::table
        .filter(repository::id.eq_any(&ids))
        .select(repository::full_name)
        .load::<String>(c)?;
    let names = full
        .iter()
        .map(|name| Ok(Prefix::of(&parse::<RepositoryName>(name)?).1.to_owned()))
        .collect::<Outcome<_>>()?;
    Ok(Some((ids, names)))
}

pub(crate) fn charts_of(c: &mut Conn, repository: &RepositoryId) -> Outcome<Vec<Chart>> {
    let listed = with_versions!()
        .filter(chart::repository.eq(repository.0))
        .filter(version::state.eq(LIVE))
        .filter(chart_mark::yanked.is_null())
        .select(columns());
    listed.load::<Row>(c)?.into_iter().map(value).collect()
}

pub(crate) fn chart_by_file(c: &mut Conn, prefix: &Prefix, file: &String, visible: &Visible) -> Outcome<Option<(Repository, Chart)>> {
    let mut query = with_versions!()
        .inner_join(repository::table.on(repository::id.eq(chart::repository)))
        .inner_join(project::table.on(project::id.eq(repository::project)))
        .filter(chart::prefix.eq(prefix.as_str()))
        .filter(chart::file.eq(file))
        .filter(version::state.eq(LIVE))
        .select((columns(), (repository::id, repository::project, repository::full_name)))
        .into_boxed();
    query = super::rows::only_visible!(query, visible);
    let found = query.first::<(Row, (i64, i64, String))>(c).optional()?;
    found
        .map(|(row, (id, project, name))| {
            let repository = Repository {
                id: RepositoryId(id),
                project: ProjectId(project),
                name: parse(&name)?,
                format: StorageFormat::Oci,
            };
            Ok((repository, value(row)?))
        })
        .transpose()
}

pub(crate) fn chart_version(c: &mut Conn, repository: &RepositoryId, tag: &Tag) -> Outcome<Option<ChartVersion>> {
    let found = with_versions!()
        .filter(version::repository.eq(repository.0))
        .filter(version::name.eq(tag.as_str()))
        .select((columns(), version::state))
        .first::<(Row, String)>(c)
        .optional()?;
    found
        .map(|(row, state)| {
            Ok(ChartVersion {
                chart: value(row)?,
                live: state == LIVE,
            })
        })
        .transpose()
}

pub(crate) fn chart_unlisted(c: &mut Conn, repository: &RepositoryId, digest: &Digest) -> Outcome<Option<String>> {
    Ok(chart_unlisted::table
        .filter(chart_unlisted::repository.eq(repository.0))
        .filter(chart_unlisted::digest.eq(digest.to_string()))
        .select(chart_unlisted::reason)
        .first(c)
        .optional()?)
}

/// Whether what is known of the manifest's chart is on record; so it is for one that holds none. Who takes the place of
/// another chart, or of its provenance, says so of what was kept beside the manifest, too.
pub(super) fn chart_is_known(c: &mut Conn, new: &NewManifest) -> Outcome<bool> {
    let digest = new.digest.to_string();
    match &new.chart {
        None => Ok(true),
        Some(NewChart::Unlisted(_)) => Ok(chart_unlisted(c, &new.repository, &new.digest)?.is_some()),
        Some(NewChart::Listed(facts)) => {
            let known = chart::table
                .filter(chart::repository.eq(new.repository.0))
                .filter(chart::digest.eq(&digest))
                .select(chart::provenance);
            let said = facts.provenance.map(|digest| digest.to_string());
            let known = known.first::<Option<String>>(c).optional()?;
            Ok(known.is_some_and(|known| new.over == Over::Same || known == said))
        }
    }
}

/// Puts on record what is known of the manifest's chart.
pub(super) fn store_chart(c: &mut Conn, new: &NewManifest) -> Outcome<()> {
    let digest = new.digest.to_string();
    let key = (chart_unlisted::repository.eq(new.repository.0), chart_unlisted::digest.eq(&digest));
    match &new.chart {
        None => {}
        Some(NewChart::Unlisted(reason)) => {
            diesel::insert_into(chart_unlisted::table)
                .values((key, chart_unlisted::reason.eq(reason)))
                .on_conflict((chart_unlisted::repository, chart_unlisted::digest))
                .do_update()
                .set(chart_unlisted::reason.eq(reason))
                .execute(c)?;
        }
        Some(NewChart::Listed(facts)) => {
            let full = repository::table
                .filter(repository::id.eq(new.repository.0))
                .select(repository::full_name)
                .first::<String>(c)?;
            let (prefix, _) = Prefix::of(&parse(&full)?);
            let file = facts.file();
            let values = (
                chart::prefix.eq(prefix.as_str()),
                chart::name.eq(&facts.name),
                chart::version.eq(&facts.version),
                chart::tag.eq(facts.tag.as_str()),
                chart::file.eq(&file),
                chart::content.eq(facts.content.to_string()),
                chart::content_size.eq(signed(facts.content_size)),
                chart::provenance.eq(facts.provenance.map(|digest| digest.to_string())),
                chart::metadata.eq(&facts.metadata),
                chart::created_at.eq(clock::now()),
            );
            // What was known of it before counts no more.
            diesel::delete(chart_unlisted::table.filter(key.0).filter(key.1)).execute(c)?;
            let beside = edge::table
                .filter(edge::repository.eq(new.repository.0))
                .filter(edge::parent.eq(&digest))
                .filter(edge::role.eq(EdgeRole::Provenance.as_str()));
            diesel::delete(beside).execute(c)?;
            diesel::insert_into(chart::table)
                .values(((chart::repository.eq(new.repository.0), chart::digest.eq(&digest)), values.clone()))
                .on_conflict((chart::repository, chart::digest))
                .do_update()
                .set(values)
                .execute(c)?;
            store_chart_images(c, new.repository.0, &digest, &facts.images)?;
        }
    }
    Ok(())
}

/// The prefix under which the tag is a listed chart now.
pub(super) fn listed_under(c: &mut Conn, repository: i64, tag: &str) -> Outcome<Option<String>> {
    Ok(with_versions!()
        .filter(version::repository.eq(repository))
        .filter(version::name.eq(tag))
        .filter(version::state.eq(LIVE))
        .filter(chart_mark::yanked.is_null())
        .select(chart::prefix)
        .first(c)
        .optional()?)
}

/// Puts on record that what is listed under the prefix has changed.
pub(super) fn listing_changed(c: &mut Conn, repository: i64, prefix: &str) -> Outcome<()> {
    super::dialect::lock_prefix(c, prefix)?;
    diesel::insert_into(chart_event::table)
        .values((
            chart_event::prefix.eq(prefix),
            chart_event::repository.eq(repository),
            chart_event::at.eq(clock::now()),
        ))
        .execute(c)?;
    Ok(())
}
