//! Signing keys and refresh tokens.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{Account, AccountId, RefreshToken, SigningKey};
use super::super::super::schema::{account, refresh_token, signing_key};
use super::Conn;
use super::rows::{CHUNK, rows, signed};
use crate::clock::Millis;
use crate::error::{ErrorKind, What};
use diesel::prelude::*;

pub(crate) fn signing_keys(c: &mut Conn) -> Outcome<Vec<SigningKey>> {
    let found = signing_key::table
        .order((signing_key::created_at.desc(), signing_key::id))
        .load::<(String, Vec<u8>, i64)>(c)?;
    Ok(found
        .into_iter()
        .map(|(id, pkcs8, created_at)| SigningKey { id, pkcs8, created_at })
        .collect())
}

pub(crate) fn ensure_signing_key(c: &mut Conn, candidate: &SigningKey) -> Outcome<SigningKey> {
    super::dialect::lock_names(c, 0, &["the signing key".to_owned()])?;
    if let Some(key) = signing_keys(c)?.into_iter().next() {
        return Ok(key);
    }
    diesel::insert_into(signing_key::table)
        .values((
            signing_key::id.eq(&candidate.id),
            signing_key::pkcs8.eq(&candidate.pkcs8),
            signing_key::created_at.eq(candidate.created_at),
        ))
        .execute(c)?;
    Ok(candidate.clone())
}

pub(crate) fn add_refresh_token(c: &mut Conn, token: &RefreshToken, max: &u64) -> Outcome<()> {
    super::dialect::lock_names(c, 0, &[format!("the refresh tokens of account {}", token.account.0)])?;
    make_room(c, token.account, max.saturating_sub(1))?;
    let added = diesel::insert_into(refresh_token::table)
        .values((
            refresh_token::hash.eq(&token.hash),
            refresh_token::account.eq(token.account.0),
            refresh_token::generation.eq(token.generation),
            refresh_token::expires_at.eq(token.expires_at),
        ))
        .on_conflict(refresh_token::hash)
        .do_nothing()
        .execute(c)?;
    if added == 0 {
        return refuse(ErrorKind::Conflict, What::Token, "the refresh token exists already");
    }
    Ok(())
}

/// Leaves an account so many refresh tokens: first those go that are dead, then those that end first, which are the
/// oldest unless their lifetime was set anew.
fn make_room(c: &mut Conn, owner: AccountId, leave: u64) -> Outcome<()> {
    loop {
        let too_many = refresh_token::table
            .filter(refresh_token::account.eq(owner.0))
            .order((
                refresh_token::generation.desc(),
                refresh_token::expires_at.desc(),
                refresh_token::hash,
            ))
            .select(refresh_token::hash)
            .offset(signed(leave))
            .limit(rows(CHUNK))
            .load::<String>(c)?;
        if too_many.is_empty() {
            return Ok(());
        }
        diesel::delete(refresh_token::table.filter(refresh_token::hash.eq_any(&too_many))).execute(c)?;
    }
}

type AccountRow = (i64, String, String, bool, bool, i64, i64);

pub(crate) fn refresh_token(c: &mut Conn, hash: &String, now: &Millis) -> Outcome<Option<(RefreshToken, Account)>> {
    let row = refresh_token::table
        .inner_join(account::table)
        .filter(refresh_token::hash.eq(hash))
        .filter(refresh_token::expires_at.gt(*now))
        .select((refresh_token::generation, refresh_token::expires_at, account::all_columns))
        .first::<(i64, i64, AccountRow)>(c)
        .optional()?;
    Ok(row.map(
        |(generation, expires_at, (id, name, password_hash, admin, disabled, current, created_at))| {
            let account = Account {
                id: AccountId(id),
                name: name.into(),
                password_hash: password_hash.into(),
                admin,
                disabled,
                generation: current,
                created_at,
            };
            (
                RefreshToken {
                    hash: hash.clone(),
                    account: account.id,
                    generation,
                    expires_at,
                },
                account,
            )
        },
    ))
}

pub(crate) fn sweep_refresh_tokens(c: &mut Conn, now: &Millis) -> Outcome<u64> {
    Ok(diesel::delete(refresh_token::table.filter(refresh_token::expires_at.le(*now))).execute(c)? as u64)
}
