//! What may take the place of a chart that was published, and what a chart may take the place of.

use super::super::super::charts::{Chart, ChartVersion, NewChart, Over};
use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{EdgeRole, Kind, NewManifest};
use super::super::super::schema::{artifact, chart, chart_mark, edge, project, repository, version};
use super::Conn;
use super::charts::{chart_version, with_versions};
use super::rows::{LIVE, parse, record};
use crate::error::{ErrorKind, What};
use crate::name::Tag;
use crate::prefix::Prefix;
use diesel::prelude::*;
use serde_json::json;

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
            check_over(c, new, &chart, live)?;
            if new.over == Over::Anything && new.may_overwrite && mutable_versions(c, new.repository.0)? {
                check_file(c, new)?;
                if chart.content != facts.content {
                    record(
                        c,
                        &new.by,
                        "chart.replaced",
                        Some(new.repository.0),
                        &json!({"tag": tag.as_str(), "was": chart.content.to_string(), "is": facts.content.to_string()}),
                    )?;
                }
                return Ok(true);
            }
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
        (Some(facts), None) if matches!(new.over, Over::Unreferred(_)) => changed_meanwhile(&facts.name, &facts.version),
        (Some(_), None) => {
            check_kind(c, new, tag)?;
            check_file(c, new)?;
            Ok(false)
        }
        (None, _) => Ok(false),
    }
}

/// Whether the project lets versions that were published be replaced.
fn mutable_versions(c: &mut Conn, repository: i64) -> Outcome<bool> {
    Ok(repository::table
        .inner_join(project::table)
        .filter(repository::id.eq(repository))
        .select(project::mutable_versions)
        .first(c)?)
}

/// Whether the chart that stands there is the one that is to be replaced, and nothing refers to its manifest.
fn check_over(c: &mut Conn, new: &NewManifest, chart: &Chart, live: bool) -> Outcome<()> {
    let Over::Unreferred(expected) = new.over else {
        return Ok(());
    };
    if !live || chart.digest != expected || chart.provenance.is_some() {
        return changed_meanwhile(&chart.name, &chart.version);
    }
    let text = expected.to_string();
    let about = artifact::table
        .filter(artifact::repository.eq(new.repository.0))
        .filter(artifact::subject.eq(&text))
        .filter(artifact::state.eq(LIVE))
        .select(artifact::digest)
        .first::<String>(c)
        .optional()?;
    let lists = edge::table
        .inner_join(artifact::table.on(artifact::repository.eq(edge::repository).and(artifact::digest.eq(edge::parent))))
        .filter(edge::repository.eq(new.repository.0))
        .filter(edge::child.eq(&text))
        .filter(edge::role.eq(EdgeRole::Child.as_str()))
        .filter(artifact::state.eq(LIVE))
        .select(edge::parent)
        .first::<String>(c)
        .optional()?;
    match about.or(lists) {
        None => Ok(()),
        Some(other) => refuse(
            ErrorKind::Conflict,
            What::Reference,
            format!("{other} refers to the manifest of {} {}", chart.name, chart.version),
        ),
    }
}

/// The refusal of what was decided about a chart that is another by now.
pub(super) fn changed_meanwhile<T>(name: &str, version: &str) -> Outcome<T> {
    refuse(
        ErrorKind::Conflict,
        What::Tag,
        format!("{name} {version} was changed or deleted meanwhile"),
    )
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
