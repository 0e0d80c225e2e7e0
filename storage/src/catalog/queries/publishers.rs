//! Who publishes what lies under a prefix: one file for each chart repository.

use super::super::super::charts::Publisher;
use super::super::super::fault::{Outcome, refuse};
use super::super::super::schema::{chart_publisher, project};
use super::Conn;
use super::rows::record;
use crate::clock;
use crate::error::{ErrorKind, What};
use crate::name::ProjectName;
use crate::prefix::Prefix;
use diesel::prelude::*;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn publisher(c: &mut Conn, prefix: &Prefix) -> Outcome<Option<Publisher>> {
    let row = chart_publisher::table
        .filter(chart_publisher::prefix.eq(prefix.as_str()))
        .select((chart_publisher::content, chart_publisher::updated_at, chart_publisher::updated_by))
        .first::<(Vec<u8>, i64, String)>(c)
        .optional()?;
    Ok(row.map(|(content, updated_at, updated_by)| Publisher {
        content,
        updated_at,
        updated_by: updated_by.into(),
    }))
}

pub(crate) fn put_publisher(c: &mut Conn, prefix: &Prefix, owner: &ProjectName, content: &Vec<u8>, by: &Arc<str>) -> Outcome<bool> {
    super::dialect::lock_prefix(c, prefix.as_str())?;
    let project = project::table
        .filter(project::name.eq(owner.as_str()))
        .select(project::id)
        .first::<i64>(c)
        .optional()?;
    let Some(project) = project else {
        return refuse(
            ErrorKind::NotFound,
            What::Project,
            format!("there is no project {owner}; make it, or upload a chart, first"),
        );
    };
    let before = publisher(c, prefix)?;
    if before.as_ref().is_some_and(|known| known.content == *content) {
        return Ok(false);
    }
    let values = (
        chart_publisher::project.eq(project),
        chart_publisher::content.eq(content),
        chart_publisher::updated_at.eq(clock::now()),
        chart_publisher::updated_by.eq(by.as_ref()),
    );
    diesel::insert_into(chart_publisher::table)
        .values((chart_publisher::prefix.eq(prefix.as_str()), values))
        .on_conflict(chart_publisher::prefix)
        .do_update()
        .set(values)
        .execute(c)?;
    record(c, by, "publisher.stored", None, &json!({"prefix": prefix.as_str()}))?;
    Ok(before.is_none())
}

pub(crate) fn delete_publisher(c: &mut Conn, prefix: &Prefix, by: &Arc<str>) -> Outcome<bool> {
    super::dialect::lock_prefix(c, prefix.as_str())?;
    let own = chart_publisher::table.filter(chart_publisher::prefix.eq(prefix.as_str()));
    if diesel::delete(own).execute(c)? == 0 {
        return Ok(false);
    }
    record(c, by, "publisher.deleted", None, &json!({"prefix": prefix.as_str()}))?;
    Ok(true)
}
