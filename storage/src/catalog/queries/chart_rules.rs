//! What may take the place of a chart that was published, and what a chart may take the place of.

use super::super::super::charts::{Chart, ChartFacts, ChartVersion, NewChart, Over};
use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{EdgeRole, Kind, NewManifest};
use super::super::super::schema::{artifact, chart, chart_mark, edge, project, repository, version};
use super::Conn;
use super::charts::{chart_version, with_versions};
use super::rows::{LIVE, parse, record};
use crate::digest::Digest;
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
            let resigned = live && chart.provenance.is_some() && facts.provenance != chart.provenance;
            let mutable = mutable_versions(c, new.repository.0)?;
            if new.over == Over::Anything && new.may_overwrite && mutable {
                check_file(c, new)?;
                if chart.content != facts.content || resigned {
                    record_replaced(c, new, &chart, facts)?;
                }
                return Ok(true);
            }
            if chart.content != facts.content {
                let rule = if mutable {
                    "a version changes only by a forced upload to the chart repository (?force); better publish a new one"
                } else {
                    "a version never changes; publish a new one"
                };
                return refuse(
                    ErrorKind::Conflict,
                    What::Tag,
                    format!(
                        "{} {} was published with other content ({}), and {rule}",
                        chart.name, chart.version, chart.content
                    ),
                );
            }
            if resigned && matches!(new.over, Over::Unreferred { .. }) {
                record_replaced(c, new, &chart, facts)?;
            } else if resigned {
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
        (Some(facts), None) if matches!(new.over, Over::Unreferred { .. }) => changed_meanwhile(&facts.name, &facts.version),
        (Some(_), None) => {
            check_kind(c, new, tag)?;
            check_file(c, new)?;
            Ok(false)
        }
        (None, _) => Ok(false),
    }
}

/// Puts on record that another chart, or another provenance, took the place of a published one.
fn record_replaced(c: &mut Conn, new: &NewManifest, chart: &Chart, facts: &ChartFacts) -> Outcome<()> {
    let mut said = json!({
        "tag": facts.tag.as_str(),
        "was": chart.content.to_string(),
        "is": facts.content.to_string(),
    });
    if chart.provenance != facts.provenance {
        let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        said["provenance"] = json!({"was": text(chart.provenance), "is": text(facts.provenance)});
    }
    record(c, &new.by, "chart.replaced", Some(new.repository.0), &said)
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
    let Over::Unreferred { manifest, provenance } = new.over else {
        return Ok(());
    };
    if !live || chart.digest != manifest || chart.provenance != provenance {
        return changed_meanwhile(&chart.name, &chart.version);
    }
    let text = manifest.to_string();
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
    super::dialect::lock_chart_file(c, prefix.as_str(), &facts.file())?;
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
