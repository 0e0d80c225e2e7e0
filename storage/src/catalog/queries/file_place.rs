//! What stands at a path, and whether something else may take its place.

use super::super::super::fault::{Outcome, refuse};
use super::super::super::model::{Changed, Condition, FilePlace, RepositoryId};
use super::super::super::schema::{blob, project, repository, version, version_history};
use super::Conn;
use super::files::{behind, files};
use super::rows::{LIVE, parse};
use crate::clock::Millis;
use crate::digest::Digest;
use crate::error::{ErrorKind, What};
use crate::label::Labels;
use crate::name::FilePath;
use crate::sums::SumKind;
use diesel::prelude::*;

/// A path, in the transaction that changes it.
#[derive(Default)]
pub(super) struct Standing {
    /// What it points at.
    pub(super) current: Option<Digest>,
    /// Since when.
    pub(super) changed: Option<Changed>,
    /// The media type that was named for it.
    pub(super) media_type: Option<String>,
    /// Its labels; of a path that was deleted those that are left.
    pub(super) labels: Labels,
}

impl Standing {
    /// Refuses what depends on something else being there.
    pub(super) fn must_hold(&self, condition: &Condition) -> Outcome<()> {
        if condition.holds_at(self.current.as_ref(), self.changed) {
            return Ok(());
        }
        refuse(
            ErrorKind::PreconditionFailed,
            What::File,
            "the condition on what the path holds does not hold",
        )
    }
}

pub(super) fn standing(c: &mut Conn, repository: i64, path: &FilePath) -> Outcome<Standing> {
    let row = version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.eq(path.as_str()))
        .select((
            version::digest,
            version::state,
            version::updated_at,
            version::media_type,
            version::labels,
        ))
        .first::<(String, String, Millis, Option<String>, String)>(c)
        .optional()?;
    let Some((digest, state, updated_at, media_type, labels)) = row else {
        return Ok(Standing::default());
    };
    let labels = parse(&labels)?;
    if state != LIVE {
        return Ok(Standing {
            labels,
            ..Standing::default()
        });
    }
    Ok(Standing {
        current: Some(parse(&digest)?),
        changed: Some(changed(c, repository, path, updated_at)?),
        media_type,
        labels,
    })
}

/// What a date says of a path that was last changed then.
fn changed(c: &mut Conn, repository: i64, path: &FilePath, updated_at: Millis) -> Outcome<Changed> {
    let second = |at: Millis| at.div_euclid(1000);
    let newest = version_history::table
        .filter(version_history::repository.eq(repository))
        .filter(version_history::name.eq(path.as_str()))
        .order(version_history::id.desc())
        .limit(2)
        .select(version_history::at)
        .load::<Millis>(c)?;
    let in_it = newest.into_iter().filter(|at| second(*at) == second(updated_at)).count();
    Ok(Changed {
        second: second(updated_at),
        once: in_it < 2,
    })
}

pub(crate) fn file_changed(c: &mut Conn, repository: &RepositoryId, path: &FilePath, updated_at: &Millis) -> Outcome<Changed> {
    changed(c, repository.0, path, *updated_at)
}

pub(crate) fn file_place(c: &mut Conn, repository: &RepositoryId, path: &FilePath) -> Outcome<FilePlace> {
    let Standing { current, changed, .. } = standing(c, repository.0, path)?;
    let damaged = match &current {
        None => false,
        Some(current) => {
            let state = blob::table.find(current.to_string()).select(blob::state);
            state.first::<String>(c).optional()?.is_some_and(|state| state != LIVE)
        }
    };
    let immutable = current.is_some() && immutable(c, repository.0)?;
    let names = SumKind::ALL.map(|kind| format!("{path}.{}", kind.as_str()));
    let mut sidecars = files(c, repository, &names)?;
    sidecars.retain(|sidecar| !sidecar.damaged);
    Ok(FilePlace {
        current,
        changed,
        damaged,
        immutable,
        sidecars,
        in_the_way: in_the_way(c, repository.0, path)?,
    })
}

/// Whether the files of the repository keep their content.
pub(super) fn immutable(c: &mut Conn, repository: i64) -> Outcome<bool> {
    Ok(repository::table
        .inner_join(project::table)
        .filter(repository::id.eq(repository))
        .select(project::immutable_files)
        .first(c)?)
}

/// A file that stands where a folder would have to be, or in the folder that would have to be a file.
pub(super) fn in_the_way(c: &mut Conn, repository: i64, path: &FilePath) -> Outcome<Option<String>> {
    let ancestors: Vec<&str> = path.ancestors().collect();
    let above = version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.eq_any(ancestors))
        .filter(version::state.eq(LIVE))
        .order(version::name)
        .select(version::name)
        .first::<String>(c)
        .optional()?;
    if above.is_some() {
        return Ok(above);
    }
    Ok(version::table
        .filter(version::repository.eq(repository))
        .filter(version::name.gt(format!("{path}/")))
        .filter(version::name.lt(behind(path.as_str())))
        .filter(version::state.eq(LIVE))
        .order(version::name)
        .select(version::name)
        .first::<String>(c)
        .optional()?)
}
