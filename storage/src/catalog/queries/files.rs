//! Files: one artifact for each content, named by its digest, and a version for each path that points at one.
//!
//! `a` and `a/b` exclude each other. So whoever stores a file shares the names of the folders above it and takes its
//! own alone: two files of one folder do not wait for each other, and a file waits for those who need a folder there.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{Condition, EdgeRole, FileStored, FileView, IMMUTABLE, Kind, NewFile, RepositoryId};
use super::super::super::schema::{artifact, blob, edge, repository_blob, version, version_history};
use super::Conn;
use super::blobs::{link, linked};
use super::file_place::{immutable, in_the_way, standing};
use super::holders::holds;
use super::labels::{relabel, set_labels};
use super::manifests::trash_name;
use super::releases::Part;
use super::rows::{LIVE, QUARANTINED, TRASHED, parse, record, signed, unsigned};
use crate::blob::{Blob, Checksums};
use crate::clock;
use crate::digest::Digest;
use crate::error::{ErrorKind, What};
use crate::failpoint;
use crate::name::FilePath;
use crate::sums::{FileSums, Sum, SumKind};
use diesel::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// What the artifact of a file is of, whatever its paths say: two paths with equal bytes may say different things.
const MEDIA_TYPE: &str = "application/octet-stream";

/// The smallest text greater than every text that begins with `folder` and a slash.
pub(super) fn behind(folder: &str) -> String {
    // '0' follows '/' in ASCII, and names sort bytewise.
    format!("{folder}0")
}

type FileRow = (
    String,
    (String, i64, String, Vec<u8>, String),
    (Option<String>, Option<String>, Option<String>),
    (Option<String>, i64, String, String),
);

/// Live files of a repository: all that is known of each.
macro_rules! live_files {
    ($repository:expr) => {
        repository_blob::table
            .inner_join(blob::table)
            .inner_join(
                version::table.on(version::repository
                    .eq(repository_blob::repository)
                    .and(version::digest.eq(repository_blob::digest))),
            )
            .filter(repository_blob::repository.eq($repository.0))
            .filter(blob::state.eq(LIVE).or(blob::state.eq(QUARANTINED)))
            .filter(version::repository.eq($repository.0))
            .filter(version::state.eq(LIVE))
            .select((
                version::name,
                (blob::digest, blob::size, blob::storage_key, blob::checksums, blob::state),
                (blob::sha512, blob::sha1, blob::md5),
                (version::media_type, version::updated_at, version::updated_by, version::labels),
            ))
    };
}

pub(crate) fn file(c: &mut Conn, repository: &RepositoryId, path: &FilePath) -> Outcome<Option<FileView>> {
    let row = live_files!(repository).filter(version::name.eq(path.as_str()));
    row.first::<FileRow>(c).optional()?.map(view).transpose()
}

/// Those of these files that are there, by name.
pub(super) fn files(c: &mut Conn, repository: &RepositoryId, names: &[String]) -> Outcome<Vec<FileView>> {
    let rows = live_files!(repository).filter(version::name.eq_any(names)).order(version::name);
    rows.load::<FileRow>(c)?.into_iter().map(view).collect()
}

/// Those of these files that are there, by path.
pub(crate) fn files_at(c: &mut Conn, repository: &RepositoryId, paths: &[FilePath]) -> Outcome<Vec<FileView>> {
    let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
    files(c, repository, &names)
}

fn view((name, blob, (sha512, sha1, md5), (media_type, updated_at, updated_by, labels)): FileRow) -> Outcome<FileView> {
    let (digest, size, key, checksums, state) = blob;
    Ok(FileView {
        path: parse(&name)?,
        blob: Blob {
            digest: parse(&digest)?,
            size: unsigned(size),
            key: parse(&key)?,
            checksums: Checksums::from_bytes(checksums),
        },
        damaged: state == QUARANTINED,
        media_type: media_type.map(Into::into),
        sums: sums(sha512, sha1, md5),
        labels: parse(&labels)?,
        updated_at,
        updated_by: updated_by.into(),
    })
}

/// The checksums of a blob, where all of them are known.
pub(super) fn sums(sha512: Option<String>, sha1: Option<String>, md5: Option<String>) -> Option<FileSums> {
    let sum = |kind, text: Option<String>| Sum::from_hex(kind, &text?).ok();
    Some(FileSums {
        sha512: sum(SumKind::Sha512, sha512)?,
        sha1: sum(SumKind::Sha1, sha1)?,
        md5: sum(SumKind::Md5, md5)?,
    })
}

pub(crate) fn put_file(c: &mut Conn, new: &NewFile) -> Outcome<FileStored> {
    let (repository, digest) = (new.repository.0, new.digest.to_string());
    let ancestors: Vec<&str> = new.path.ancestors().collect();
    let own = [new.path.to_string()];
    super::dialect::share_names(c, repository, &ancestors)?;
    super::dialect::lock_names(c, repository, &own)?;
    super::dialect::lock_versions(c, repository, &own)?;
    if let Some(other) = in_the_way(c, repository, &new.path)? {
        return refuse(
            ErrorKind::Conflict,
            What::File,
            format!("{other} is a file, and no path can be a file and a folder"),
        );
    }
    let standing = standing(c, repository, &new.path)?;
    let (current, labels) = (standing.current, &standing.labels);
    let same = current == Some(new.digest);
    if !(same && new.mends) {
        standing.must_hold(&new.condition)?;
    }
    // What is not said of the same content again is left as it is: who retries says less than who came first.
    let relabelled = !new.labels.is_empty() && new.labels != *labels;
    let retyped = new.media_type.is_some() && new.media_type != standing.media_type;
    if same && !relabelled && !retyped {
        return Ok(FileStored::Unchanged);
    }
    if current.is_some() && !same && immutable(c, repository)? {
        return refuse(ErrorKind::Conflict, What::File, format!("{} exists, and {IMMUTABLE}", new.path));
    }
    if current.is_some() && !new.may_overwrite {
        let other = match (same, relabelled) {
            (false, _) => "other content",
            (true, true) => "other labels",
            (true, false) => "another content type",
        };
        return refuse(
            ErrorKind::Conflict,
            What::File,
            format!("{} exists, and you may not store {other} there", new.path),
        );
    }
    if same {
        if relabelled {
            relabel(c, repository, &new.path, labels, &new.labels, &new.by)?;
        }
        if retyped {
            retype(c, new)?;
        }
        return Ok(FileStored::Relabelled);
    }
    if let Some(source) = &new.source {
        super::dialect::share_blobs(c, std::slice::from_ref(&digest))?;
        if !holds(c, source.0, &digest)? {
            return refuse(ErrorKind::NotFound, What::Blob, "the content was removed meanwhile; send the bytes");
        }
        // The file holds it from here on, so the link needs no lease.
        link(c, repository, &digest, clock::now())?;
    }
    if !linked(c, repository, std::slice::from_ref(&digest))?.contains(&digest) {
        return refuse(ErrorKind::Conflict, What::Blob, "the bytes were removed meanwhile; send them again");
    }
    let mut touched: Vec<String> = current.iter().map(ToString::to_string).chain([digest.clone()]).collect();
    touched.sort_unstable();
    for artifact in &touched {
        super::dialect::lock_artifact(c, repository, artifact)?;
    }
    store(c, new)?;
    failpoint::hit("file.stored")?;
    point(c, new)?;
    if new.labels != *labels {
        set_labels(c, repository, new.path.as_str(), &new.labels)?;
    }
    if let Some(former) = current {
        trash_if_nameless(c, repository, &former)?;
    }
    let kind = if current.is_some() { "file.moved" } else { "file.stored" };
    let mut body = json!({"path": new.path.as_str(), "digest": digest, "size": new.size});
    if !new.labels.is_empty() {
        body["labels"] = new.labels.to_json();
    }
    record(c, &new.by, kind, Some(repository), &body)?;
    failpoint::hit("file.named")?;
    Ok(current.map_or(FileStored::Created, FileStored::Replaced))
}

/// Makes the artifact, or brings it back from the trash.
fn store(c: &mut Conn, new: &NewFile) -> Outcome<()> {
    let digest = new.digest.to_string();
    let live = (artifact::state.eq(LIVE), artifact::trashed_at.eq(None::<i64>));
    diesel::insert_into(artifact::table)
        .values((
            (artifact::repository.eq(new.repository.0), artifact::digest.eq(&digest)),
            artifact::kind.eq(Kind::File.as_str()),
            artifact::media_type.eq(MEDIA_TYPE),
            (artifact::size.eq(signed(new.size)), artifact::total_size.eq(signed(new.size))),
            artifact::labels.eq("{}"),
            (artifact::pushed_at.eq(clock::now()), artifact::pushed_by.eq(new.by.as_ref())),
            live,
        ))
        .on_conflict((artifact::repository, artifact::digest))
        .do_update()
        .set(live)
        .execute(c)?;
    diesel::insert_into(edge::table)
        .values((
            edge::repository.eq(new.repository.0),
            edge::parent.eq(&digest),
            edge::child.eq(&digest),
            edge::role.eq(EdgeRole::File.as_str()),
            edge::required.eq(true),
        ))
        .on_conflict((edge::repository, edge::parent, edge::child, edge::role))
        .do_nothing()
        .execute(c)?;
    Ok(())
}

/// Points the path at the file and writes the step into its history.
fn point(c: &mut Conn, new: &NewFile) -> Outcome<()> {
    let (now, digest) = (clock::now(), new.digest.to_string());
    let target = (
        version::digest.eq(&digest),
        version::updated_at.eq(now),
        version::updated_by.eq(new.by.as_ref()),
        version::state.eq(LIVE),
        version::media_type.eq(&new.media_type),
    );
    let part = Part::of(&new.path);
    diesel::insert_into(version::table)
        .values((
            (version::repository.eq(new.repository.0), version::name.eq(new.path.as_str())),
            target,
            &part,
        ))
        .on_conflict((version::repository, version::name))
        .do_update()
        .set((target, &part))
        .execute(c)?;
    diesel::insert_into(version_history::table)
        .values((
            version_history::repository.eq(new.repository.0),
            version_history::name.eq(new.path.as_str()),
            version_history::digest.eq(Some(&digest)),
            version_history::at.eq(now),
            version_history::principal.eq(new.by.as_ref()),
        ))
        .execute(c)?;
    Ok(())
}

/// Says of another media type of a file, whose content stays.
fn retype(c: &mut Conn, new: &NewFile) -> Outcome<()> {
    let own = version::table
        .filter(version::repository.eq(new.repository.0))
        .filter(version::name.eq(new.path.as_str()));
    diesel::update(own).set(version::media_type.eq(&new.media_type)).execute(c)?;
    let body = json!({"path": new.path.as_str(), "media_type": new.media_type});
    record(c, &new.by, "file.retyped", Some(new.repository.0), &body)
}

/// Moves a file's artifact to the trash when no path points at it any more. Its row is locked by the caller, as by
/// everybody who points a path at it.
fn trash_if_nameless(c: &mut Conn, repository: i64, digest: &Digest) -> Outcome<()> {
    let digest = digest.to_string();
    let name = version::table
        .filter(version::repository.eq(repository))
        .filter(version::digest.eq(&digest))
        .filter(version::state.eq(LIVE))
        .select(version::name)
        .first::<String>(c)
        .optional()?;
    if name.is_none() {
        let nameless = artifact::table
            .filter(artifact::repository.eq(repository))
            .filter(artifact::digest.eq(&digest));
        diesel::update(nameless)
            .set((artifact::state.eq(TRASHED), artifact::trashed_at.eq(clock::now())))
            .execute(c)?;
    }
    Ok(())
}

pub(crate) fn delete_file(c: &mut Conn, repository: &RepositoryId, path: &FilePath, condition: &Condition, by: &Arc<str>) -> Outcome<bool> {
    let own = [path.to_string()];
    super::dialect::lock_names(c, repository.0, &own)?;
    super::dialect::lock_versions(c, repository.0, &own)?;
    let standing = standing(c, repository.0, path)?;
    standing.must_hold(condition)?;
    let Some(digest) = standing.current else { return Ok(false) };
    super::dialect::lock_artifact(c, repository.0, &digest.to_string())?;
    trash_name(c, repository.0, path.as_str(), by)?;
    trash_if_nameless(c, repository.0, &digest)?;
    record(
        c,
        by,
        "file.deleted",
        Some(repository.0),
        &json!({"path": path.as_str(), "digest": digest.to_string()}),
    )?;
    failpoint::hit("file.deleted")?;
    Ok(true)
}
