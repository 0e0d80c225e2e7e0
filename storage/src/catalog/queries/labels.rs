//! Labels of versions: kept with the version, to be read with it, and one row each, to be found by.

use super::super::super::charts::{CHART_LABELS, ChartFacts};
use super::super::super::fault::{Fault, Outcome};
use super::super::super::model::{RelabelFile, RepositoryId};
use super::super::super::schema::{label, version};
use super::Conn;
use super::file_place::standing;
use super::rows::{LIVE, parse, record};
use crate::failpoint;
use crate::label::{LabelChanges, Labels};
use crate::name::{FilePath, Tag};
use diesel::prelude::*;
use serde_json::json;

/// Gives a version these labels and no other ones. The version is locked by the caller, or new.
pub(super) fn set_labels(c: &mut Conn, repository: i64, name: &str, labels: &Labels) -> Outcome<()> {
    let own = version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.eq(name));
    diesel::update(own)
        .set(version::labels.eq(labels.to_json().to_string()))
        .execute(c)?;
    let rows = label::table
        .filter(label::repository.eq(repository))
        .filter(label::version.eq(name));
    diesel::delete(rows).execute(c)?;
    for (key, value) in labels.iter() {
        diesel::insert_into(label::table)
            .values((
                label::repository.eq(repository),
                label::version.eq(name),
                label::key.eq(key),
                label::value.eq(value),
            ))
            .execute(c)?;
    }
    Ok(())
}

/// Gives a file that has the labels `held` others, and records what is different.
pub(super) fn relabel(c: &mut Conn, repository: i64, path: &FilePath, held: &Labels, labels: &Labels, by: &str) -> Outcome<()> {
    set_labels(c, repository, path.as_str(), labels)?;
    let changes = held.to_changes_into(labels);
    record(
        c,
        by,
        "file.labelled",
        Some(repository),
        &json!({"path": path.as_str(), "labels": changes}),
    )?;
    failpoint::hit("file.labelled")?;
    Ok(())
}

pub(crate) fn label_file(c: &mut Conn, at: &RelabelFile) -> Outcome<Option<Labels>> {
    let (repository, own) = (at.repository.0, [at.path.to_string()]);
    super::dialect::lock_names(c, repository, &own)?;
    super::dialect::lock_versions(c, repository, &own)?;
    let standing = standing(c, repository, &at.path)?;
    standing.must_hold(&at.condition)?;
    if standing.current.is_none() {
        return Ok(None);
    }
    let held = standing.labels;
    let labels = held.changed(&at.changes, at.most).map_err(Fault::Refused)?;
    if labels != held {
        relabel(c, repository, &at.path, &held, &labels, &at.by)?;
    }
    Ok(Some(labels))
}

/// Gives the version of a chart the labels that its annotations make, beside those that do not come from any.
pub(super) fn label_chart(c: &mut Conn, repository: i64, facts: &ChartFacts) -> Outcome<()> {
    let held = labels_of(c, repository, facts.tag.as_str())?.unwrap_or_default();
    let own = held.iter().filter(|(key, _)| key.starts_with(CHART_LABELS));
    let gone = own.map(|(key, _)| (key.to_owned(), None));
    let set = facts.labels.iter().map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    let changes: LabelChanges = gone.chain(set).collect();
    // Their number was bounded when they were made, and nothing else gives labels to a tag.
    let labels = held.changed(&changes, usize::MAX).map_err(Fault::Refused)?;
    match labels == held {
        true => Ok(()),
        false => set_labels(c, repository, facts.tag.as_str(), &labels),
    }
}

/// The labels of a version, deleted or not.
fn labels_of(c: &mut Conn, repository: i64, name: &str) -> Outcome<Option<Labels>> {
    let text = version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.eq(name))
        .select(version::labels)
        .first::<String>(c)
        .optional()?;
    text.map(|text| parse(&text)).transpose()
}

pub(crate) fn tag_labels(c: &mut Conn, repository: &RepositoryId, tag: &Tag) -> Outcome<Option<Labels>> {
    let text = version::table
        .filter(version::repository.eq(repository.0))
        .filter(version::name.eq(tag.as_str()))
        .filter(version::state.eq(LIVE))
        .select(version::labels)
        .first::<String>(c)
        .optional()?;
    text.map(|text| parse(&text)).transpose()
}
