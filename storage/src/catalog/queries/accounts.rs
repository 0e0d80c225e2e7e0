//! Accounts, and what the gate needs to know of one.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{Account, AccountFacts, AccountId, ProjectId};
use super::super::super::schema::{account, project_member, refresh_token};
use super::Conn;
use super::rows::{SYSTEM, record, role};
use crate::clock;
use crate::error::{ErrorKind, What};
use diesel::prelude::*;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

type Row = (i64, String, String, bool, bool, i64, i64);

fn value((id, name, password_hash, admin, disabled, generation, created_at): Row) -> Account {
    Account {
        id: AccountId(id),
        name: name.into(),
        password_hash: password_hash.into(),
        admin,
        disabled,
        generation,
        created_at,
    }
}

pub(crate) fn create_account(c: &mut Conn, name: &String, password_hash: &String, admin: &bool, by: &Arc<str>) -> Outcome<Account> {
    let row = diesel::insert_into(account::table)
        .values((
            account::name.eq(name),
            account::password_hash.eq(password_hash),
            account::admin.eq(*admin),
            account::disabled.eq(false),
            account::generation.eq(1),
            account::created_at.eq(clock::now()),
        ))
        .on_conflict(account::name)
        .do_nothing()
        .returning(account::all_columns)
        .get_result::<Row>(c)
        .optional()?;
    let Some(row) = row else {
        return refuse(ErrorKind::Conflict, What::Credentials, format!("the account {name} exists already"));
    };
    record(c, by, "account.created", None, &json!({"account": name, "admin": admin}))?;
    Ok(value(row))
}

/// The first account of all; `None` when there is one already.
pub(crate) fn create_first_account(c: &mut Conn, name: &String, password_hash: &String, admin: &bool) -> Outcome<Option<Account>> {
    super::dialect::lock_names(c, 0, &["the first account".to_owned()])?;
    if account::table.select(account::id).first::<i64>(c).optional()?.is_some() {
        return Ok(None);
    }
    create_account(c, name, password_hash, admin, &SYSTEM.into()).map(Some)
}

fn absent<T>(name: &str) -> Outcome<T> {
    refuse(ErrorKind::NotFound, What::Credentials, format!("there is no account {name}"))
}

pub(crate) fn set_password(c: &mut Conn, name: &String, password_hash: &String, by: &Arc<str>) -> Outcome<()> {
    let changed = diesel::update(account::table.filter(account::name.eq(name)))
        .set((
            account::password_hash.eq(password_hash),
            account::generation.eq(account::generation + 1),
        ))
        .returning(account::id)
        .get_result::<i64>(c)
        .optional()?;
    let Some(id) = changed else { return absent(name) };
    diesel::delete(refresh_token::table.filter(refresh_token::account.eq(id))).execute(c)?;
    record(c, by, "account.password_set", None, &json!({"account": name}))
}

pub(crate) fn set_disabled(c: &mut Conn, name: &String, disabled: &bool, by: &Arc<str>) -> Outcome<()> {
    let changed = diesel::update(account::table.filter(account::name.eq(name)))
        .set((account::disabled.eq(*disabled), account::generation.eq(account::generation + 1)))
        .execute(c)?;
    if changed == 0 {
        return absent(name);
    }
    record(
        c,
        by,
        if *disabled { "account.disabled" } else { "account.enabled" },
        None,
        &json!({"account": name}),
    )
}

pub(crate) fn account(c: &mut Conn, name: &String) -> Outcome<Option<Account>> {
    Ok(account::table.filter(account::name.eq(name)).first::<Row>(c).optional()?.map(value))
}

pub(crate) fn accounts(c: &mut Conn) -> Outcome<Vec<Account>> {
    Ok(account::table.order(account::name).load::<Row>(c)?.into_iter().map(value).collect())
}

pub(crate) fn account_facts(c: &mut Conn, id: &AccountId) -> Outcome<Option<Arc<AccountFacts>>> {
    let Some(row) = account::table.filter(account::id.eq(id.0)).first::<Row>(c).optional()? else {
        return Ok(None);
    };
    let found = value(row);
    let rows = project_member::table
        .filter(project_member::account.eq(id.0))
        .select((project_member::project, project_member::role))
        .load::<(i64, String)>(c)?;
    let mut roles = HashMap::with_capacity(rows.len());
    for (project, text) in rows {
        roles.insert(ProjectId(project), role(&text)?);
    }
    let facts = AccountFacts {
        id: *id,
        name: found.name,
        admin: found.admin,
        disabled: found.disabled,
        generation: found.generation,
        roles,
    };
    Ok(Some(Arc::new(facts)))
}
