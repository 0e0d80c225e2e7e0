//! What becomes of a chart's version after it was published: it is yanked or deprecated, or a provenance comes for it.

use super::super::super::charts::{Chart, ChartVersion, LateProvenance, MarkChart, Yank};
use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{EdgeRole, RepositoryId};
use super::super::super::schema::{chart, chart_mark, edge};
use super::Conn;
use super::blobs::linked;
use super::chart_rules::changed_meanwhile;
use super::charts::{chart_version, listed_under, listing_changed};
use super::rows::record;
use crate::digest::Digest;
use crate::error::{ErrorKind, What};
use crate::name::Tag;
use diesel::prelude::*;
use serde_json::{Value, json};

/// Why the version of the chart that a manifest holds was yanked; `None` when it was not.
pub(super) fn yanked(c: &mut Conn, repository: i64, digest: &Digest) -> Outcome<Option<String>> {
    let found = chart::table
        .inner_join(chart_mark::table.on(chart_mark::repository.eq(chart::repository).and(chart_mark::tag.eq(chart::tag))))
        .filter(chart::repository.eq(repository))
        .filter(chart::digest.eq(digest.to_string()))
        .select(chart_mark::yanked)
        .first::<Option<String>>(c)
        .optional()?;
    Ok(found.flatten())
}

/// The version that a tag is or was. The tag is the caller's until the transaction ends.
fn locked(c: &mut Conn, repository: &RepositoryId, tag: &Tag) -> Outcome<Option<ChartVersion>> {
    let names = [tag.to_string()];
    super::dialect::lock_names(c, repository.0, &names)?;
    super::dialect::lock_versions(c, repository.0, &names)?;
    chart_version(c, repository, tag)
}

pub(crate) fn mark_chart(c: &mut Conn, new: &MarkChart) -> Outcome<Option<Chart>> {
    let repository = new.repository.0;
    let mut marked = match locked(c, &new.repository, &new.tag)? {
        Some(ChartVersion { chart, live: true }) if chart.version == new.version => chart,
        _ => return Ok(None),
    };
    let mut told: Vec<(&str, Value)> = Vec::new();
    let version = || json!({"tag": new.tag.as_str(), "version": new.version});
    match &new.yank {
        Some(Yank::Because(reason)) if marked.yanked.as_ref() != Some(reason) => {
            marked.yanked = Some(reason.clone());
            let mut body = version();
            body["reason"] = json!(reason);
            told.push(("chart.yanked", body));
        }
        Some(Yank::Undo) if marked.yanked.is_some() => {
            marked.yanked = None;
            told.push(("chart.unyanked", version()));
        }
        _ => {}
    }
    if let Some(deprecated) = new.deprecated.filter(|wanted| *wanted != marked.deprecated) {
        marked.deprecated = deprecated;
        let kind = if deprecated { "chart.deprecated" } else { "chart.undeprecated" };
        told.push((kind, version()));
    }
    if told.is_empty() {
        return Ok(Some(marked));
    }
    let listed = listed_under(c, repository, new.tag.as_str())?;
    let marks = (chart_mark::yanked.eq(&marked.yanked), chart_mark::deprecated.eq(marked.deprecated));
    diesel::insert_into(chart_mark::table)
        .values(((chart_mark::repository.eq(repository), chart_mark::tag.eq(new.tag.as_str())), marks))
        .on_conflict((chart_mark::repository, chart_mark::tag))
        .do_update()
        .set(marks)
        .execute(c)?;
    for (kind, body) in &told {
        record(c, &new.by, kind, Some(repository), body)?;
    }
    // It was listed, or it is now; of one that never was nothing is told.
    let listed = listed.or(listed_under(c, repository, new.tag.as_str())?);
    if let Some(prefix) = listed {
        listing_changed(c, repository, &prefix)?;
    }
    Ok(Some(marked))
}

pub(crate) fn keep_provenance(c: &mut Conn, new: &LateProvenance) -> Outcome<()> {
    let (repository, digest) = (new.repository.0, new.chart.to_string());
    let provenance = new.provenance.to_string();
    let chart = match locked(c, &new.repository, &new.tag)? {
        Some(ChartVersion { chart, live: true }) if chart.digest == new.chart => chart,
        Some(ChartVersion { chart, .. }) => return changed_meanwhile(&chart.name, &chart.version),
        None => return changed_meanwhile("the chart", new.tag.as_str()),
    };
    match chart.provenance {
        Some(known) if known == new.provenance => return Ok(()),
        known if known != new.over => return changed_meanwhile(&chart.name, &chart.version),
        _ => {}
    }
    if !linked(c, repository, std::slice::from_ref(&provenance))?.contains(&provenance) {
        return refuse(ErrorKind::Conflict, What::Blob, "the bytes were removed meanwhile; send them again");
    }
    super::dialect::lock_artifact(c, repository, &digest)?;
    // What was kept beside the manifest before; what the manifest itself names stays its own.
    let beside = edge::table
        .filter(edge::repository.eq(repository))
        .filter(edge::parent.eq(&digest))
        .filter(edge::role.eq(EdgeRole::Provenance.as_str()));
    diesel::delete(beside).execute(c)?;
    diesel::insert_into(edge::table)
        .values((
            edge::repository.eq(repository),
            edge::parent.eq(&digest),
            edge::child.eq(&provenance),
            edge::role.eq(EdgeRole::Provenance.as_str()),
            edge::required.eq(true),
        ))
        .on_conflict((edge::repository, edge::parent, edge::child, edge::role))
        .do_nothing()
        .execute(c)?;
    let vouched = chart::table
        .filter(chart::repository.eq(repository))
        .filter(chart::digest.eq(&digest));
    diesel::update(vouched).set(chart::provenance.eq(Some(&provenance))).execute(c)?;
    let mut said = json!({"tag": new.tag.as_str(), "digest": digest, "provenance": provenance});
    if let Some(was) = chart.provenance {
        said["was"] = json!(was.to_string());
    }
    record(c, &new.by, "chart.vouched", Some(repository), &said)?;
    // What is kept of the list in memory tells whether there is one.
    if let Some(prefix) = listed_under(c, repository, new.tag.as_str())? {
        listing_changed(c, repository, &prefix)?;
    }
    Ok(())
}
