//! Signing keys and refresh tokens.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{Account, AccountId, RefreshToken, SigningKey};
use super::super::super::schema::{account, refresh_token, signing_key};
use super::Conn;
use crate::clock::Millis;
use crate::error::{ErrorKind, What};
use diesel::prelude::*;

pub(crate) fn signing_keys(c: &mut Conn) -> Outcome<Vec<SigningKey>> {
    let rows = signing_key::table
        .order((signing_key::created_at.desc(), signing_key::id))
        .load::<(String, Vec<u8>, i64)>(c)?;
    Ok(rows
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

pub(crate) fn add_refresh_token(c: &mut Conn, token: &RefreshToken) -> Outcome<()> {
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
