//! What uploads by tus are to become.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{FileStored, NewFile, RepositoryId};
use super::super::super::schema::{repository, tus_upload, upload};
use super::super::super::tus::{NewTusUpload, NewTusWhole, PART, TusUpload};
use super::Conn;
use super::files::put_file;
use super::rows::{parse, signed, unsigned};
use super::uploads::create_upload;
use crate::blob::UploadId;
use crate::clock::Millis;
use crate::digest::Algorithm;
use crate::error::{ErrorKind, What};
use diesel::prelude::*;
use std::sync::Arc;

pub(crate) fn add_tus_upload(c: &mut Conn, new: &NewTusUpload) -> Outcome<()> {
    diesel::insert_into(tus_upload::table)
        .values((
            tus_upload::id.eq(new.id.to_string()),
            tus_upload::repository.eq(new.repository.0),
            tus_upload::principal.eq(new.principal.as_ref()),
            tus_upload::length.eq(new.length.map(signed)),
            tus_upload::metadata.eq(&new.metadata),
            tus_upload::concat.eq(new.is_part.then_some(PART)),
            tus_upload::done.eq(false),
            tus_upload::expires_at.eq(new.expires_at),
        ))
        .execute(c)?;
    Ok(())
}

type Row = ((String, i64, String), (Option<i64>, String, Option<String>, Option<String>, bool));

pub(crate) fn tus_upload(c: &mut Conn, id: &UploadId, principal: &Arc<str>) -> Outcome<Option<TusUpload>> {
    let row = tus_upload::table
        .inner_join(repository::table)
        .filter(tus_upload::id.eq(id.to_string()))
        .filter(tus_upload::principal.eq(principal.as_ref()))
        .select((
            (tus_upload::id, repository::id, repository::full_name),
            (
                tus_upload::length,
                tus_upload::metadata,
                tus_upload::concat,
                tus_upload::digest,
                tus_upload::done,
            ),
        ))
        .first::<Row>(c)
        .optional()?;
    row.map(|((id, repository, name), (length, metadata, concat, digest, done))| {
        Ok(TusUpload {
            id: parse(&id)?,
            repository: RepositoryId(repository),
            repository_name: parse(&name)?,
            length: length.map(unsigned),
            metadata,
            concat,
            digest: digest.map(|digest| parse(&digest)).transpose()?,
            done,
        })
    })
    .transpose()
}

/// What is known of a part: the whole it belongs to, how many bytes it is to have, and how many its session has.
struct Part {
    whole: Option<String>,
    length: Option<u64>,
    held: Option<u64>,
}

pub(crate) fn join_tus_uploads(c: &mut Conn, new: &NewTusWhole) -> Outcome<TusUpload> {
    // The lock under which this principal's sessions are opened: of two requests that join the same parts, the second finds the first one's upload.
    super::dialect::lock_names(c, 0, &[format!("the uploads of {}", new.principal)])?;
    let parts: Vec<Part> = new.parts.iter().map(|id| part(c, new, id)).collect::<Outcome<_>>()?;
    let owners: Vec<&String> = parts.iter().filter_map(|part| part.whole.as_ref()).collect();
    if let Some(owner) = owners.first().copied() {
        let known = tus_upload(c, &parse(owner)?, &new.principal)?;
        let same = |known: &TusUpload| known.concat.as_deref() == Some(&*new.concat) && known.metadata == new.metadata;
        return match known.filter(same) {
            Some(known) if owners.len() == parts.len() && owners.iter().all(|other| *other == owner) => Ok(known),
            _ => refuse(
                ErrorKind::PreconditionFailed,
                What::Upload,
                "a part has been joined into another upload already; send its bytes again",
            ),
        };
    }
    let mut total: u64 = 0;
    for (part, id) in parts.iter().zip(&new.parts) {
        match (part.held, part.length) {
            (Some(held), Some(length)) if held == length => total = total.saturating_add(length),
            (held, length) => {
                let (held, length) = (
                    held.unwrap_or(0),
                    length.map_or("as yet unknown".to_owned(), |length| length.to_string()),
                );
                let sentence = format!("the part /uploads/{id} is not complete: it stands at {held} bytes, its length is {length}");
                return refuse(ErrorKind::PreconditionFailed, What::Upload, sentence);
            }
        }
    }
    if total > new.max_length {
        let sentence = format!("the file is larger than the limit of {} bytes", new.max_length);
        return refuse(ErrorKind::TooLarge, What::File, sentence);
    }
    let (id, expires_at) = (&new.id, &new.expires_at);
    create_upload(
        c,
        id,
        &new.repository,
        &new.principal,
        &Algorithm::Sha256,
        expires_at,
        &new.max_open,
    )?;
    diesel::insert_into(tus_upload::table)
        .values((
            tus_upload::id.eq(id.to_string()),
            tus_upload::repository.eq(new.repository.0),
            tus_upload::principal.eq(new.principal.as_ref()),
            tus_upload::length.eq(signed(total)),
            tus_upload::metadata.eq(&new.metadata),
            tus_upload::concat.eq(&new.concat),
            tus_upload::done.eq(false),
            tus_upload::expires_at.eq(expires_at),
        ))
        .execute(c)?;
    for (place, part) in (0_i64..).zip(&new.parts) {
        diesel::update(tus_upload::table.filter(tus_upload::id.eq(part.to_string())))
            .set((tus_upload::part_of.eq(id.to_string()), tus_upload::place.eq(place)))
            .execute(c)?;
    }
    // Joining them takes its time, and so may the wait for a turn: none of them is swept before their whole.
    let ids: Vec<String> = new.parts.iter().map(ToString::to_string).collect();
    diesel::update(
        upload::table
            .filter(upload::id.eq_any(&ids))
            .filter(upload::expires_at.lt(*expires_at)),
    )
    .set(upload::expires_at.eq(*expires_at))
    .execute(c)?;
    match tus_upload(c, id, &new.principal)? {
        Some(made) => Ok(made),
        None => refuse(ErrorKind::NotFound, What::Upload, "the upload was cancelled meanwhile"),
    }
}

fn part(c: &mut Conn, new: &NewTusWhole, id: &UploadId) -> Outcome<Part> {
    let row = tus_upload::table
        .left_join(upload::table.on(upload::id.eq(tus_upload::id)))
        .filter(tus_upload::id.eq(id.to_string()))
        .filter(tus_upload::principal.eq(new.principal.as_ref()))
        .filter(tus_upload::repository.eq(new.repository.0))
        .select((
            tus_upload::concat,
            tus_upload::part_of,
            tus_upload::length,
            upload::byte_offset.nullable(),
        ))
        .first::<(Option<String>, Option<String>, Option<i64>, Option<i64>)>(c)
        .optional()?;
    let Some((concat, whole, length, held)) = row else {
        let sentence = format!("there is no upload /uploads/{id} in this repository; it may have expired or been cancelled");
        return refuse(ErrorKind::NotFound, What::Upload, sentence);
    };
    if concat.as_deref() != Some(PART) {
        let sentence = format!("the upload /uploads/{id} is no part: it was not made with Upload-Concat: partial");
        return refuse(ErrorKind::Invalid, What::Upload, sentence);
    }
    Ok(Part {
        whole,
        length: length.map(unsigned),
        held: held.map(unsigned),
    })
}

pub(crate) fn tus_parts(c: &mut Conn, id: &UploadId) -> Outcome<Vec<(UploadId, u64)>> {
    let rows = tus_upload::table
        .filter(tus_upload::part_of.eq(id.to_string()))
        .order(tus_upload::place)
        .select((tus_upload::id, tus_upload::length))
        .load::<(String, Option<i64>)>(c)?;
    rows.iter()
        .map(|(id, length)| Ok((parse(id)?, length.map_or(0, unsigned))))
        .collect()
}

pub(crate) fn settle_tus_length(c: &mut Conn, id: &UploadId, length: &u64) -> Outcome<bool> {
    let row = tus_upload::table
        .filter(tus_upload::id.eq(id.to_string()))
        .filter(tus_upload::length.is_null());
    Ok(diesel::update(row).set(tus_upload::length.eq(signed(*length))).execute(c)? == 1)
}

/// What a session's bytes became. It is known at least until the blob's lease is over, so that the file can be made of it.
pub(super) fn remember_blob(c: &mut Conn, id: &UploadId, digest: &str, lease_until: Millis) -> Outcome<()> {
    let row = || tus_upload::table.filter(tus_upload::id.eq(id.to_string()));
    diesel::update(row()).set(tus_upload::digest.eq(digest)).execute(c)?;
    diesel::update(row().filter(tus_upload::expires_at.lt(lease_until)))
        .set(tus_upload::expires_at.eq(lease_until))
        .execute(c)?;
    Ok(())
}

pub(crate) fn land_tus_file(c: &mut Conn, id: &UploadId, new: &NewFile) -> Outcome<Option<FileStored>> {
    // First, and so locked: of two that bring an upload to its end one makes the file. What stands there by the time of
    // the other may be somebody else's.
    let row = || tus_upload::table.filter(tus_upload::id.eq(id.to_string()));
    let ended = diesel::update(row().filter(tus_upload::done.eq(false))).set(tus_upload::done.eq(true));
    if ended.execute(c)? == 0 {
        let known = row().select(tus_upload::id).first::<String>(c).optional()?;
        return match known {
            Some(_) => Ok(None),
            None => refuse(ErrorKind::NotFound, What::Upload, "the upload was cancelled meanwhile"),
        };
    }
    let stored = put_file(c, new)?;
    let parts: Vec<String> = tus_upload::table
        .filter(tus_upload::part_of.eq(id.to_string()))
        .select(tus_upload::id)
        .load(c)?;
    diesel::delete(upload::table.filter(upload::id.eq_any(&parts))).execute(c)?;
    diesel::update(tus_upload::table.filter(tus_upload::id.eq_any(&parts)))
        .set(tus_upload::done.eq(true))
        .execute(c)?;
    Ok(Some(stored))
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
