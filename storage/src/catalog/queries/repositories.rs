//! Repositories.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{AccountId, ProjectId, Repository, RepositoryId, StorageFormat};
use super::super::super::schema::{artifact, project, repository};
use super::Conn;
use super::projects::insert_project;
use super::rows::{LIVE, parse, record, rows};
use crate::access::Visible;
use crate::clock;
use crate::error::{ErrorKind, What};
use crate::name::RepositoryName;
use diesel::dsl::exists;
use diesel::prelude::*;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn repository(c: &mut Conn, name: &RepositoryName) -> Outcome<Option<Repository>> {
    let row = repository::table
        .filter(repository::full_name.eq(name.as_str()))
        .select((repository::id, repository::project, repository::format))
        .first::<(i64, i64, String)>(c)
        .optional()?;
    row.map(|(id, project, format)| {
        Ok(Repository {
            id: RepositoryId(id),
            project: ProjectId(project),
            name: name.clone(),
            format: parse::<StorageFormat>(&format)?,
        })
    })
    .transpose()
}

/// Makes what is missing of project and repository. Others may be doing the same.
pub(crate) fn make_repository(
    c: &mut Conn,
    name: &RepositoryName,
    format: &StorageFormat,
    owner: &Option<AccountId>,
    by: &Arc<str>,
) -> Outcome<Repository> {
    if let Some(found) = repository(c, name)? {
        return same_format(found, *format);
    }
    let project_name = name.project_name();
    let project = match super::project(c, &project_name)? {
        Some(found) => Some(found),
        None => insert_project(c, &project_name, false, *owner, by)?,
    };
    let project = match project {
        Some(project) => project,
        None => match super::project(c, &project_name)? {
            Some(found) => found,
            None => {
                return refuse(
                    ErrorKind::Unavailable,
                    What::Project,
                    "the project is being made by another request; try again",
                );
            }
        },
    };
    let made = diesel::insert_into(repository::table)
        .values((
            repository::project.eq(project.id.0),
            repository::full_name.eq(name.as_str()),
            repository::format.eq(format.as_str()),
            repository::created_at.eq(clock::now()),
        ))
        .on_conflict(repository::full_name)
        .do_nothing()
        .execute(c)?;
    let Some(found) = repository(c, name)? else {
        return refuse(
            ErrorKind::Unavailable,
            What::Repository,
            "the repository is being made by another request; try again",
        );
    };
    if made == 1 {
        record(
            c,
            by,
            "repository.created",
            Some(found.id.0),
            &json!({"repository": name.as_str(), "format": format.as_str()}),
        )?;
    }
    same_format(found, *format)
}

fn same_format(found: Repository, wanted: StorageFormat) -> Outcome<Repository> {
    if found.format == wanted {
        return Ok(found);
    }
    refuse(
        ErrorKind::Conflict,
        What::Repository,
        format!("{} is a repository of another format ({})", found.name, found.format.as_str()),
    )
}

pub(crate) fn list_repositories(
    c: &mut Conn,
    visible: &Visible,
    format: &Option<StorageFormat>,
    after: &Option<String>,
    limit: &usize,
) -> Outcome<Vec<String>> {
    let mut query = repository::table
        .inner_join(project::table)
        .filter(repository::full_name.gt(after.as_deref().unwrap_or("")))
        .filter(exists(
            artifact::table
                .filter(artifact::repository.eq(repository::id))
                .filter(artifact::state.eq(LIVE)),
        ))
        .order(repository::full_name)
        .limit(rows(*limit))
        .select(repository::full_name)
        .into_boxed();
    if let Some(format) = format {
        query = query.filter(repository::format.eq(format.as_str()));
    }
    query = super::rows::only_visible!(query, visible);
    Ok(query.load(c)?)
}
