//! Releases: what the files of a repository form by their first folders, in the order of the versions.

use super::super::super::fault::Outcome;
use super::super::super::model::{ReleaseEntry, RepositoryId, StorageFormat};
use super::super::super::schema::{job, repository, version};
use super::Conn;
use super::rows::{CHUNK, LIVE, parse, rows};
use crate::name::FilePath;
use crate::release::{Releases, name_in};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

/// The job that the migration leaves where there are rows.
const FILL: &str = "releases.fill";

/// Names that begin as a version does stand between these: with a digit, or with a `v` before one.
const VERSIONS: [(&str, &str); 2] = [("/", ":"), ("v/", "v:")];

/// The columns of a path that say of which release it is part.
#[derive(AsChangeset, Insertable)]
#[diesel(table_name = version)]
pub(super) struct Part {
    release: Option<String>,
    release_key: Option<String>,
    prerelease: Option<bool>,
}

impl Part {
    pub(super) fn of(path: &FilePath) -> Self {
        let part = path.release();
        Self {
            release: part.as_ref().map(|(name, _)| (*name).to_owned()),
            release_key: part.as_ref().map(|(name, release)| release.sort_key(name)),
            prerelease: part.map(|(_, release)| release.is_prerelease()),
        }
    }
}

/// The releases between two places of the order, the newest first: a step in the index for each, however many files it
/// holds. Releases and pre-releases are two ranges of the index, as there may be any number of one between two of the other.
pub(crate) const STEPS: &str = "WITH RECURSIVE step (release_key, place) AS ( \
     SELECT (SELECT v.release_key FROM version v WHERE v.repository = $1 AND v.state = $2 AND v.prerelease = $3 \
         AND v.release_key >= $4 AND v.release_key < $5 ORDER BY v.release_key DESC LIMIT 1), CAST(1 AS BIGINT) \
     UNION ALL \
     SELECT (SELECT v.release_key FROM version v WHERE v.repository = $1 AND v.state = $2 AND v.prerelease = $3 \
         AND v.release_key >= $4 AND v.release_key < step.release_key ORDER BY v.release_key DESC LIMIT 1), place + 1 \
     FROM step WHERE release_key IS NOT NULL AND place < $6) \
     SELECT release_key FROM step WHERE release_key IS NOT NULL";

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    release_key: String,
}

fn steps(c: &mut Conn, repository: RepositoryId, prerelease: bool, among: &Releases, limit: usize) -> Outcome<Vec<Step>> {
    Ok(diesel::sql_query(STEPS)
        .bind::<BigInt, _>(repository.0)
        .bind::<Text, _>(LIVE)
        .bind::<Bool, _>(prerelease)
        .bind::<Text, _>(among.from())
        .bind::<Text, _>(among.below())
        .bind::<BigInt, _>(rows(limit))
        .load(c)?)
}

pub(crate) fn newest_release(c: &mut Conn, repository: &RepositoryId, among: &Releases, pre: &bool) -> Outcome<Option<String>> {
    let mut newest = steps(c, *repository, false, among, 1)?;
    if *pre {
        newest.append(&mut steps(c, *repository, true, among, 1)?);
    }
    let newest = newest.into_iter().map(|step| step.release_key).max();
    Ok(newest.as_deref().map(name_in).map(str::to_owned))
}

pub(crate) fn releases(c: &mut Conn, repository: &RepositoryId, among: &Releases, limit: &usize) -> Outcome<Vec<ReleaseEntry>> {
    let mut found: Vec<(String, bool)> = Vec::new();
    for prerelease in [false, true] {
        let steps = steps(c, *repository, prerelease, among, *limit)?;
        found.extend(steps.into_iter().map(|step| (step.release_key, prerelease)));
    }
    found.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    found.truncate(*limit);
    let entries = found.into_iter().map(|(key, prerelease)| ReleaseEntry {
        name: name_in(&key).to_owned(),
        prerelease,
    });
    Ok(entries.collect())
}

/// Fills in the columns of paths that were stored before there were any, once. What is filled in stays so when this is
/// broken off; it goes on at the next start.
pub(crate) fn fill_releases(c: &mut Conn) -> Outcome<()> {
    let job = job::table.filter(job::kind.eq(FILL));
    if job.select(job::id).first::<i64>(c).optional()?.is_none() {
        return Ok(());
    }
    tracing::info!("finding the releases among the files that are stored");
    let repositories = repository::table
        .filter(repository::format.eq(StorageFormat::Generic.as_str()))
        .select(repository::id)
        .load::<i64>(c)?;
    for repository in repositories {
        for (after, below) in VERSIONS {
            let mut after = Some(after.to_owned());
            while let Some(place) = after {
                after = c.transaction(|c| fill_some(c, repository, &place, below))?;
            }
        }
    }
    diesel::delete(job).execute(c)?;
    Ok(())
}

/// Fills in what the next names lack, and says behind which to go on.
fn fill_some(c: &mut Conn, repository: i64, after: &str, below: &str) -> Outcome<Option<String>> {
    let mut names = version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.gt(after))
        .filter(version::name.lt(below))
        .filter(version::release_key.is_null())
        .order(version::name)
        .limit(rows(CHUNK))
        .select(version::name)
        .load::<String>(c)?;
    for name in &names {
        let part = Part::of(&parse(name)?);
        if part.release.is_some() {
            let own = version::table
                .filter(version::repository.eq(repository))
                .filter(version::name.eq(name));
            diesel::update(own).set(part).execute(c)?;
        }
    }
    let full = names.len() == CHUNK;
    Ok(names.pop().filter(|_| full))
}
