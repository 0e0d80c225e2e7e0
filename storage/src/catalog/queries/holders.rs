//! Who holds some content, of what somebody may read: what is here need not be sent again by who could fetch it anyway.

use super::super::super::fault::Outcome;
use super::super::super::model::{HeldContent, Holder, Kind, ProjectId, Repository, RepositoryId};
use super::super::super::schema::{artifact, blob, edge, project, repository, repository_blob, version};
use super::Conn;
use super::files::sums;
use super::rows::{CHUNK, LIVE, only_visible, parse, rows, unsigned};
use crate::access::Visible;
use crate::digest::Digest;
use diesel::prelude::*;

type HolderRow = (
    (i64, i64, String, String),
    (String, String),
    (i64, Option<String>, Option<String>, Option<String>),
);

/// A live artifact holds the bytes: a link alone is a lease, and what is in the trash is nobody's to read.
macro_rules! held_by_artifacts {
    ($digest:expr) => {
        repository_blob::table
            .inner_join(blob::table)
            .inner_join(repository::table.inner_join(project::table))
            .inner_join(
                edge::table.on(edge::repository
                    .eq(repository_blob::repository)
                    .and(edge::child.eq(repository_blob::digest))),
            )
            .inner_join(artifact::table.on(artifact::repository.eq(edge::repository).and(artifact::digest.eq(edge::parent))))
            .filter(repository_blob::digest.eq($digest))
            .filter(blob::state.eq(LIVE))
            .filter(artifact::state.eq(LIVE))
    };
}

/// Who holds some content, `limit` of them at most. However many hold it that may not be seen, the work is the same as
/// for content that nobody holds: it goes from what may be seen to the content, never from the content to all who hold it.
pub(crate) fn held(c: &mut Conn, digest: &Digest, visible: &Visible, limit: &usize) -> Outcome<Option<HeldContent>> {
    let digest = digest.to_string();
    let mut found = Vec::new();
    if visible.projects.is_none() && visible.only.is_none() {
        found = holders(c, &digest, None, *limit)?;
    } else {
        let mut after = None;
        while found.len() < *limit {
            let seen = seen(c, visible, after)?;
            let linked = linked(&digest, &seen).load::<i64>(c)?;
            if !linked.is_empty() {
                found.append(&mut holders(c, &digest, Some(&linked), *limit - found.len())?);
            }
            after = seen.last().copied();
            if seen.len() < CHUNK {
                break;
            }
        }
    }
    let (mut known, mut holders) = (None, Vec::new());
    for ((id, project, name, format), (artifact, kind), (size, sha512, sha1, md5)) in found {
        known = Some((unsigned(size), sums(sha512, sha1, md5)));
        let path = match parse::<Kind>(&kind)? {
            Kind::File => a_path(c, id, &artifact)?,
            _ => None,
        };
        holders.push(Holder {
            repository: Repository {
                id: RepositoryId(id),
                project: ProjectId(project),
                name: parse(&name)?,
                format: parse(&format)?,
            },
            artifact: parse(&artifact)?,
            path: path.as_deref().map(parse).transpose()?,
        });
    }
    Ok(known.map(|(size, sums)| HeldContent { size, sums, holders }))
}

/// The next repositories that may be seen.
fn seen(c: &mut Conn, visible: &Visible, after: Option<i64>) -> Outcome<Vec<i64>> {
    let mut query = repository::table
        .inner_join(project::table)
        .order(repository::id)
        .limit(rows(CHUNK))
        .select(repository::id)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(repository::id.gt(after));
    }
    query = only_visible!(query, visible);
    Ok(query.load(c)?)
}

/// Those of some repositories in which something names the content: a step in the index for each.
#[diesel::dsl::auto_type]
pub(crate) fn linked<'q>(digest: &'q str, repositories: &'q [i64]) -> _ {
    edge::table
        .filter(edge::child.eq(digest))
        .filter(edge::repository.eq_any(repositories))
        .select(edge::repository)
        .distinct()
}

/// Those who hold the content, in some repositories or in all.
fn holders(c: &mut Conn, digest: &str, repositories: Option<&[i64]>, limit: usize) -> Outcome<Vec<HolderRow>> {
    let mut query = held_by_artifacts!(digest)
        .select((
            (repository::id, repository::project, repository::full_name, repository::format),
            (artifact::digest, artifact::kind),
            (blob::size, blob::sha512, blob::sha1, blob::md5),
        ))
        .limit(rows(limit))
        .into_boxed();
    if let Some(repositories) = repositories {
        query = query.filter(repository_blob::repository.eq_any(repositories));
    }
    Ok(query.load(c)?)
}

/// A path of a file's content.
fn a_path(c: &mut Conn, repository: i64, digest: &str) -> Outcome<Option<String>> {
    Ok(version::table
        .filter(version::repository.eq(repository))
        .filter(version::digest.eq(digest))
        .filter(version::state.eq(LIVE))
        .select(version::name)
        .first::<String>(c)
        .optional()?)
}

/// Whether a repository holds the bytes still, in something live.
pub(super) fn holds(c: &mut Conn, repository: i64, digest: &str) -> Outcome<bool> {
    let held = held_by_artifacts!(digest)
        .filter(repository_blob::repository.eq(repository))
        .select(repository_blob::digest);
    Ok(held.first::<String>(c).optional()?.is_some())
}
