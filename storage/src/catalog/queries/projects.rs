//! Projects and their members.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{AccountId, Project, ProjectId};
use super::super::super::schema::{account, project, project_member};
use super::Conn;
use super::rows::{parse, record, role, rows};
use crate::access::Role;
use crate::clock;
use crate::error::{ErrorKind, What};
use crate::name::ProjectName;
use diesel::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

type Row = (i64, String, bool, i64, bool, bool);

fn value((id, name, public, created_at, mutable_versions, immutable_files): Row) -> Outcome<Project> {
    Ok(Project {
        id: ProjectId(id),
        name: parse(&name)?,
        public,
        created_at,
        mutable_versions,
        immutable_files,
    })
}

pub(crate) fn project(c: &mut Conn, name: &ProjectName) -> Outcome<Option<Project>> {
    let row = project::table.filter(project::name.eq(name.as_str())).first::<Row>(c).optional()?;
    row.map(value).transpose()
}

pub(crate) fn projects(c: &mut Conn, after: &Option<String>, limit: &usize) -> Outcome<Vec<Project>> {
    let after = after.as_deref().unwrap_or("");
    let rows = project::table
        .filter(project::name.gt(after))
        .order(project::name)
        .limit(rows(*limit))
        .load::<Row>(c)?;
    rows.into_iter().map(value).collect()
}

pub(crate) fn create_project(
    c: &mut Conn,
    name: &ProjectName,
    public: &bool,
    owner: &Option<AccountId>,
    by: &Arc<str>,
) -> Outcome<Project> {
    match insert_project(c, name, *public, *owner, by)? {
        Some(made) => Ok(made),
        None => refuse(ErrorKind::Conflict, What::Project, format!("the project {name} exists already")),
    }
}

/// Makes a project with its owner as maintainer; `None` when the name is taken.
pub(super) fn insert_project(
    c: &mut Conn,
    name: &ProjectName,
    public: bool,
    owner: Option<AccountId>,
    by: &str,
) -> Outcome<Option<Project>> {
    let row = diesel::insert_into(project::table)
        .values((
            project::name.eq(name.as_str()),
            project::public.eq(public),
            project::created_at.eq(clock::now()),
        ))
        .on_conflict(project::name)
        .do_nothing()
        .returning(project::all_columns)
        .get_result::<Row>(c)
        .optional()?;
    let Some(made) = row.map(value).transpose()? else { return Ok(None) };
    if let Some(owner) = owner {
        set_role(c, made.id.0, owner.0, Role::Maintainer)?;
    }
    record(c, by, "project.created", None, &json!({"project": name.as_str(), "public": public}))?;
    Ok(Some(made))
}

fn set_role(c: &mut Conn, project: i64, account: i64, role: Role) -> Outcome<()> {
    diesel::insert_into(project_member::table)
        .values((
            project_member::project.eq(project),
            project_member::account.eq(account),
            project_member::role.eq(role.as_str()),
        ))
        .on_conflict((project_member::project, project_member::account))
        .do_update()
        .set(project_member::role.eq(role.as_str()))
        .execute(c)?;
    Ok(())
}

pub(crate) fn set_project_public(c: &mut Conn, name: &ProjectName, public: &bool, by: &Arc<str>) -> Outcome<()> {
    let changed = diesel::update(project::table.filter(project::name.eq(name.as_str())))
        .set(project::public.eq(*public))
        .execute(c)?;
    told(c, changed, name, &json!({"project": name.as_str(), "public": public}), by)
}

pub(crate) fn set_mutable_versions(c: &mut Conn, name: &ProjectName, mutable: &bool, by: &Arc<str>) -> Outcome<()> {
    let changed = diesel::update(project::table.filter(project::name.eq(name.as_str())))
        .set(project::mutable_versions.eq(*mutable))
        .execute(c)?;
    told(
        c,
        changed,
        name,
        &json!({"project": name.as_str(), "mutable_versions": mutable}),
        by,
    )
}

pub(crate) fn set_immutable_files(c: &mut Conn, name: &ProjectName, immutable: &bool, by: &Arc<str>) -> Outcome<()> {
    let changed = diesel::update(project::table.filter(project::name.eq(name.as_str())))
        .set(project::immutable_files.eq(*immutable))
        .execute(c)?;
    told(
        c,
        changed,
        name,
        &json!({"project": name.as_str(), "immutable_files": immutable}),
        by,
    )
}

/// Puts on record what was changed of a project, if there is one.
fn told(c: &mut Conn, changed: usize, name: &ProjectName, said: &Value, by: &str) -> Outcome<()> {
    match changed {
        0 => absent(name),
        _ => record(c, by, "project.changed", None, said),
    }
}

fn absent<T>(name: &ProjectName) -> Outcome<T> {
    refuse(ErrorKind::NotFound, What::Project, format!("there is no project {name}"))
}

pub(crate) fn grant(c: &mut Conn, name: &ProjectName, account: &String, role: &Role, by: &Arc<str>) -> Outcome<()> {
    let Some(found) = project(c, name)? else { return absent(name) };
    let Some(id) = account_id(c, account)? else {
        return refuse(ErrorKind::NotFound, What::Credentials, format!("there is no account {account}"));
    };
    set_role(c, found.id.0, id, *role)?;
    record(
        c,
        by,
        "member.granted",
        None,
        &json!({"project": name.as_str(), "account": account, "role": role.as_str()}),
    )
}

pub(crate) fn revoke(c: &mut Conn, name: &ProjectName, account: &String, by: &Arc<str>) -> Outcome<bool> {
    let Some(found) = project(c, name)? else { return absent(name) };
    let Some(id) = account_id(c, account)? else { return Ok(false) };
    let member = project_member::table
        .filter(project_member::project.eq(found.id.0))
        .filter(project_member::account.eq(id));
    let removed = diesel::delete(member).execute(c)? == 1;
    if removed {
        record(
            c,
            by,
            "member.revoked",
            None,
            &json!({"project": name.as_str(), "account": account}),
        )?;
    }
    Ok(removed)
}

fn account_id(c: &mut Conn, name: &str) -> Outcome<Option<i64>> {
    Ok(account::table
        .filter(account::name.eq(name))
        .select(account::id)
        .first(c)
        .optional()?)
}

pub(crate) fn members(c: &mut Conn, name: &ProjectName) -> Outcome<Vec<(String, Role)>> {
    let Some(found) = project(c, name)? else { return absent(name) };
    let rows = project_member::table
        .inner_join(account::table)
        .filter(project_member::project.eq(found.id.0))
        .order(account::name)
        .select((account::name, project_member::role))
        .load::<(String, String)>(c)?;
    rows.into_iter().map(|(name, text)| Ok((name, role(&text)?))).collect()
}
