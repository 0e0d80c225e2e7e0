//! Upload sessions.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{RepositoryId, Upload};
use super::super::super::schema::upload;
use super::Conn;
use super::rows::{CHUNK, parse, rows, signed, unsigned};
use crate::blob::UploadId;
use crate::clock::Millis;
use crate::digest::Algorithm;
use crate::error::{ErrorKind, What};
use diesel::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) type Row = (String, i64, String, String, i64, i64, i64);

pub(super) fn value((id, repository, principal, algorithm, offset, epoch, expires_at): Row) -> Outcome<Upload> {
    Ok(Upload {
        id: parse(&id)?,
        repository: RepositoryId(repository),
        principal: principal.into(),
        algorithm: parse(&algorithm)?,
        offset: unsigned(offset),
        epoch,
        expires_at,
    })
}

pub(crate) fn create_upload(
    c: &mut Conn,
    id: &UploadId,
    repository: &RepositoryId,
    principal: &Arc<str>,
    algorithm: &Algorithm,
    expires_at: &Millis,
    max_open: &u64,
) -> Outcome<Upload> {
    super::dialect::lock_names(c, 0, &[format!("the uploads of {principal}")])?;
    // Whether the last one allowed exists already; counts no further than the limit.
    let last_allowed = upload::table
        .filter(upload::principal.eq(principal.as_ref()))
        .select(upload::id)
        .offset(signed(max_open.saturating_sub(1)))
        .limit(1)
        .load::<String>(c)?;
    if *max_open == 0 || !last_allowed.is_empty() {
        return refuse(
            ErrorKind::TooManyRequests,
            What::Upload,
            format!("you have {max_open} uploads open; finish or cancel some"),
        );
    }
    diesel::insert_into(upload::table)
        .values((
            upload::id.eq(id.to_string()),
            upload::repository.eq(repository.0),
            upload::principal.eq(principal.as_ref()),
            upload::algorithm.eq(algorithm.as_str()),
            upload::byte_offset.eq(0),
            upload::epoch.eq(0),
            upload::expires_at.eq(*expires_at),
        ))
        .execute(c)?;
    Ok(Upload {
        id: *id,
        repository: *repository,
        principal: principal.clone(),
        algorithm: *algorithm,
        offset: 0,
        epoch: 0,
        expires_at: *expires_at,
    })
}

pub(crate) fn upload(c: &mut Conn, id: &UploadId, repository: &RepositoryId, principal: &Arc<str>) -> Outcome<Option<Upload>> {
    let row = upload::table
        .filter(upload::id.eq(id.to_string()))
        .filter(upload::repository.eq(repository.0))
        .filter(upload::principal.eq(principal.as_ref()))
        .first::<Row>(c)
        .optional()?;
    row.map(value).transpose()
}

/// Begins a new epoch of a session, and gives it, where there is one.
macro_rules! claimed {
    ($c:expr, $session:expr, $expires_at:expr) => {{
        let row = diesel::update($session)
            .set((upload::epoch.eq(upload::epoch + 1), upload::expires_at.eq(*$expires_at)))
            .returning(upload::all_columns)
            .get_result::<Row>($c)
            .optional()?;
        row.map(value).transpose()
    }};
}

pub(crate) fn claim_upload(
    c: &mut Conn,
    id: &UploadId,
    repository: &RepositoryId,
    principal: &Arc<str>,
    expires_at: &Millis,
) -> Outcome<Option<Upload>> {
    let session = upload::table
        .filter(upload::id.eq(id.to_string()))
        .filter(upload::repository.eq(repository.0))
        .filter(upload::principal.eq(principal.as_ref()));
    claimed!(c, session, expires_at)
}

pub(crate) fn reclaim_upload(c: &mut Conn, id: &UploadId, epoch: &i64, expires_at: &Millis) -> Outcome<Option<Upload>> {
    let session = upload::table.filter(upload::id.eq(id.to_string())).filter(upload::epoch.eq(*epoch));
    claimed!(c, session, expires_at)
}

pub(crate) fn advance_upload(c: &mut Conn, id: &UploadId, epoch: &i64, offset: &u64, expires_at: &Millis) -> Outcome<bool> {
    let session = upload::table.filter(upload::id.eq(id.to_string())).filter(upload::epoch.eq(*epoch));
    let moved = diesel::update(session)
        .set((upload::byte_offset.eq(signed(*offset)), upload::expires_at.eq(*expires_at)))
        .execute(c)?;
    Ok(moved == 1)
}

pub(crate) fn delete_upload(c: &mut Conn, id: &UploadId, repository: &RepositoryId, principal: &Arc<str>) -> Outcome<bool> {
    let session = upload::table
        .filter(upload::id.eq(id.to_string()))
        .filter(upload::repository.eq(repository.0))
        .filter(upload::principal.eq(principal.as_ref()));
    Ok(diesel::delete(session).execute(c)? == 1)
}

pub(crate) fn close_upload(c: &mut Conn, id: &UploadId, epoch: &i64) -> Outcome<bool> {
    let session = upload::table.filter(upload::id.eq(id.to_string())).filter(upload::epoch.eq(*epoch));
    Ok(diesel::delete(session).execute(c)? == 1)
}

pub(crate) fn take_expired_uploads(c: &mut Conn, now: &Millis, limit: &usize) -> Outcome<Vec<UploadId>> {
    let expired = upload::table
        .filter(upload::expires_at.lt(*now))
        .order(upload::expires_at)
        .limit(rows(*limit))
        .select(upload::id)
        .load::<String>(c)?;
    // Tested again: a request may have touched a session since it was read.
    let still_expired = upload::table
        .filter(upload::id.eq_any(&expired))
        .filter(upload::expires_at.lt(*now));
    let taken = diesel::delete(still_expired).returning(upload::id).get_results::<String>(c)?;
    taken.iter().map(|id| parse(id)).collect()
}

pub(crate) fn uploads_exist(c: &mut Conn, ids: &[UploadId]) -> Outcome<HashSet<UploadId>> {
    let mut found = HashSet::new();
    for chunk in ids.chunks(CHUNK) {
        let wanted: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        for id in upload::table
            .filter(upload::id.eq_any(wanted))
            .select(upload::id)
            .load::<String>(c)?
        {
            found.insert(parse(&id)?);
        }
    }
    Ok(found)
}
