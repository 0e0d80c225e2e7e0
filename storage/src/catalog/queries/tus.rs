//! What uploads by tus are to become.

use super::super::super::fault::Outcome;
use super::super::super::model::RepositoryId;
use super::super::super::schema::{repository, tus_upload, upload};
use super::super::super::tus::{NewTusUpload, TusUpload};
use super::Conn;
use super::rows::{parse, signed, unsigned};
use crate::blob::UploadId;
use crate::clock::Millis;
use diesel::prelude::*;
use std::sync::Arc;

pub(crate) fn add_tus_upload(c: &mut Conn, new: &NewTusUpload) -> Outcome<()> {
    diesel::insert_into(tus_upload::table)
        .values((
            tus_upload::id.eq(new.id.to_string()),
            tus_upload::repository.eq(new.repository.0),
            tus_upload::principal.eq(new.principal.as_ref()),
            tus_upload::length.eq(signed(new.length)),
            tus_upload::metadata.eq(&new.metadata),
            tus_upload::done.eq(false),
            tus_upload::expires_at.eq(new.expires_at),
        ))
        .execute(c)?;
    Ok(())
}

pub(crate) fn tus_upload(c: &mut Conn, id: &UploadId, principal: &Arc<str>) -> Outcome<Option<TusUpload>> {
    let row = tus_upload::table
        .inner_join(repository::table)
        .filter(tus_upload::id.eq(id.to_string()))
        .filter(tus_upload::principal.eq(principal.as_ref()))
        .select((
            repository::id,
            repository::full_name,
            tus_upload::length,
            tus_upload::metadata,
            tus_upload::done,
        ))
        .first::<(i64, String, i64, String, bool)>(c)
        .optional()?;
    row.map(|(id, name, length, metadata, done)| {
        Ok(TusUpload {
            repository: RepositoryId(id),
            repository_name: parse(&name)?,
            length: unsigned(length),
            metadata,
            done,
        })
    })
    .transpose()
}

pub(crate) fn finish_tus_upload(c: &mut Conn, id: &UploadId) -> Outcome<()> {
    let row = tus_upload::table.filter(tus_upload::id.eq(id.to_string()));
    diesel::update(row).set(tus_upload::done.eq(true)).execute(c)?;
    Ok(())
}

pub(crate) fn forget_tus_upload(c: &mut Conn, id: &UploadId) -> Outcome<()> {
    diesel::delete(tus_upload::table.filter(tus_upload::id.eq(id.to_string()))).execute(c)?;
    Ok(())
}

pub(crate) fn sweep_tus_uploads(c: &mut Conn, now: &Millis) -> Outcome<u64> {
    // Every request puts the end of its session off, and not that of this row: so a live session keeps it.
    let sessions = upload::table.select(upload::id);
    let over = tus_upload::table
        .filter(tus_upload::expires_at.lt(*now))
        .filter(tus_upload::id.ne_all(sessions));
    Ok(u64::try_from(diesel::delete(over).execute(c)?).unwrap_or(0))
}
