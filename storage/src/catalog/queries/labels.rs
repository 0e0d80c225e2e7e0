//! Labels of versions: kept with the version, to be read with it, and one row each, to be found by.

use super::super::super::fault::{Fault, Outcome};
use super::super::super::model::RelabelFile;
use super::super::super::schema::{label, version};
use super::Conn;
use super::file_place::standing;
use super::rows::record;
use crate::failpoint;
use crate::label::Labels;
use crate::name::FilePath;
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
