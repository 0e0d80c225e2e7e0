//! Charts: what a chart repository lists, and what may become of a version once it is published.

use super::super::super::charts::{Chart, ChartVersion, ChartsUnder, NewChart};
use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{Kind, NewManifest, ProjectId, Repository, RepositoryId, StorageFormat};
use super::super::super::schema::{artifact, chart, chart_event, chart_unlisted, project, repository, version};
use super::Conn;
use super::chart_images::store_chart_images;
use super::rows::{CHUNK, LIVE, parse, rows, signed, unsigned};
use crate::access::Visible;
use crate::clock;
use crate::digest::Digest;
use crate::error::{ErrorKind, What};
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
type Row = (String, String, String, String, String, i64, Option<String>, String, i64);

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

fn value((digest, name, version, file, content, size, provenance, metadata, created_at): Row) -> Outcome<Chart> {
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
    })
}

/// A chart and the version that its own tag is.
macro_rules! with_versions {
    () => {
        chart::table.inner_join(
            version::table.on(version::repository
                .eq(chart::repository)
                .and(version::name.eq(chart::tag))
                .and(version::digest.eq(chart::digest))),
        )
    };
}

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
            .select(COLUMNS);
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
        .select(COLUMNS);
    listed.load::<Row>(c)?.into_iter().map(value).collect()
}

pub(crate) fn chart_by_file(c: &mut Conn, prefix: &Prefix, file: &String, visible: &Visible) -> Outcome<Option<(Repository, Chart)>> {
    let mut query = with_versions!()
        .inner_join(repository::table.on(repository::id.eq(chart::repository)))
        .inner_join(project::table.on(project::id.eq(repository::project)))
        .filter(chart::prefix.eq(prefix.as_str()))
        .filter(chart::file.eq(file))
        .filter(version::state.eq(LIVE))
        .select((COLUMNS, (repository::id, repository::project, repository::full_name)))
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
        .select((COLUMNS, version::state))
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

/// Whether what is known of the manifest's chart is on record; so it is for one that holds none.
pub(super) fn chart_is_known(c: &mut Conn, new: &NewManifest) -> Outcome<bool> {
    let digest = new.digest.to_string();
    match &new.chart {
        None => Ok(true),
        Some(NewChart::Unlisted(_)) => Ok(chart_unlisted(c, &new.repository, &new.digest)?.is_some()),
        Some(NewChart::Listed(_)) => {
            let known = chart::table
                .filter(chart::repository.eq(new.repository.0))
                .filter(chart::digest.eq(&digest))
                .select(chart::digest);
            Ok(known.first::<String>(c).optional()?.is_some())
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

/// Whether a tag may be pointed at the new manifest: a published chart keeps its content for ever, and a version never
/// becomes another kind of thing.
///
/// Gives whether that is so whatever else the caller may overwrite: the same chart again, in another manifest.
pub(super) fn check_version(c: &mut Conn, new: &NewManifest, tag: &Tag) -> Outcome<bool> {
    let before = chart_version(c, &new.repository, tag)?;
    let facts = new.chart.as_ref().and_then(NewChart::facts).filter(|facts| facts.tag == *tag);
    match (facts, before) {
        // A deleted version's name stays bound to its content, too.
        (None, Some(ChartVersion { chart, .. })) => refuse(
            ErrorKind::Conflict,
            What::Tag,
            format!(
                "{} {} is a published chart, and a version never becomes anything else; push this under another name",
                chart.name, chart.version
            ),
        ),
        (Some(facts), Some(ChartVersion { chart, live })) => {
            if chart.content != facts.content {
                return refuse(
                    ErrorKind::Conflict,
                    What::Tag,
                    format!(
                        "{} {} was published with other content ({}), and a version never changes; publish a new one",
                        chart.name, chart.version, chart.content
                    ),
                );
            }
            if live && chart.provenance.is_some() && facts.provenance != chart.provenance {
                return refuse(
                    ErrorKind::Conflict,
                    What::Tag,
                    format!(
                        "{} {} was published with provenance, which this manifest would drop or replace",
                        chart.name, chart.version
                    ),
                );
            }
            // Another chart may have taken the name of its file meanwhile.
            if !live {
                check_file(c, new)?;
            }
            Ok(true)
        }
        (Some(_), None) => {
            check_kind(c, new, tag)?;
            check_file(c, new)?;
            Ok(false)
        }
        (None, _) => Ok(false),
    }
}

/// A chart may not take the place of an image.
fn check_kind(c: &mut Conn, new: &NewManifest, tag: &Tag) -> Outcome<()> {
    let kind = version::table
        .inner_join(
            artifact::table.on(artifact::repository
                .eq(version::repository)
                .and(artifact::digest.eq(version::digest))),
        )
        .filter(version::repository.eq(new.repository.0))
        .filter(version::name.eq(tag.as_str()))
        .filter(version::state.eq(LIVE))
        .select(artifact::kind)
        .first::<String>(c)
        .optional()?;
    match kind {
        Some(kind) if kind != Kind::Chart.as_str() => refuse(
            ErrorKind::Conflict,
            What::Tag,
            format!("the tag {tag} is an {kind} here, and a version never becomes anything else; push the chart under another prefix"),
        ),
        _ => Ok(()),
    }
}

/// The files of two charts under one prefix never bear the same name: `a-1` at `2` and `a` at `1-2` would.
fn check_file(c: &mut Conn, new: &NewManifest) -> Outcome<()> {
    let Some(facts) = new.chart.as_ref().and_then(NewChart::facts) else {
        return Ok(());
    };
    let full = repository::table
        .filter(repository::id.eq(new.repository.0))
        .select(repository::full_name)
        .first::<String>(c)?;
    let (prefix, _) = Prefix::of(&parse(&full)?);
    let other = with_versions!()
        .filter(chart::prefix.eq(prefix.as_str()))
        .filter(chart::file.eq(facts.file()))
        .filter(chart::repository.ne(new.repository.0))
        .filter(version::state.eq(LIVE))
        .select((chart::name, chart::version))
        .first::<(String, String)>(c)
        .optional()?;
    match other {
        None => Ok(()),
        Some((name, version)) => refuse(
            ErrorKind::Conflict,
            What::Tag,
            format!("the file {} is that of the chart {name} {version}", facts.file()),
        ),
    }
}

/// The prefix under which the tag is a listed chart now.
pub(super) fn listed_under(c: &mut Conn, repository: i64, tag: &str) -> Outcome<Option<String>> {
    Ok(with_versions!()
        .filter(version::repository.eq(repository))
        .filter(version::name.eq(tag))
        .filter(version::state.eq(LIVE))
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
