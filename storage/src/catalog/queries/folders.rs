//! What folders hold. There are no rows of folders: a folder is what the paths of files say.

use super::super::super::fault::Outcome;
use super::super::super::model::{FolderEntry, RepositoryId};
use super::super::super::schema::{artifact, blob, version};
use super::Conn;
use super::files::behind;
use super::rows::{LIVE, parse, rows, unsigned};
use crate::name::FilePath;
use diesel::prelude::*;

type EntryRow = ((String, String, i64), (Option<String>, i64, String), Option<String>);

/// Rows that are read at first after a step that read many in vain.
const FEW: usize = 2;

pub(crate) fn list_files(
    c: &mut Conn,
    repository: &RepositoryId,
    folder: &Option<FilePath>,
    after: &Option<String>,
    limit: &usize,
) -> Outcome<Vec<FolderEntry>> {
    let Span { prefix, end } = Span::of(folder.as_ref());
    let from = match after.as_deref() {
        None => From::After(prefix.clone()),
        Some(after) => match after.strip_suffix('/') {
            Some(folder) => From::At(behind(&format!("{prefix}{folder}"))),
            None => From::After(format!("{prefix}{after}")),
        },
    };
    let page = |from: &From, rows| page(c, repository.0, from, end.as_deref(), rows);
    direct(&prefix, from, *limit, page, |row| &row.0.0)?
        .into_iter()
        .map(|held| match held {
            Held::Folder(folder) => Ok(FolderEntry::Folder(folder)),
            Held::File(row) => entry(row, &prefix),
        })
        .collect()
}

/// What stands directly in a folder.
#[derive(Debug, PartialEq)]
enum Held<Row> {
    Folder(String),
    File(Row),
}

/// What stands directly in the folder that `prefix` names, `limit` entries of it.
///
/// A folder in it may hold any number of files, which one step passes over: as many steps as entries, at most. A step that
/// read many rows in vain is followed by a small one, and that by larger ones as long as they find something: so the rows
/// that are read are a few for each entry, whatever the folders hold.
fn direct<Row>(
    prefix: &str,
    mut from: From,
    limit: usize,
    mut page: impl FnMut(&From, usize) -> Outcome<Vec<Row>>,
    name: impl Fn(&Row) -> &str,
) -> Outcome<Vec<Held<Row>>> {
    let mut held = Vec::new();
    let mut step = limit;
    while held.len() < limit {
        let wanted = step.min(limit - held.len());
        let (rows, known) = (page(&from, wanted)?, held.len());
        let ended = rows.len() < wanted;
        let mut passed: Option<String> = None;
        for row in rows {
            let path = name(&row);
            if passed.as_deref().is_some_and(|behind| path < behind) {
                continue;
            }
            if let Some((folder, _)) = path.get(prefix.len()..).and_then(|rest| rest.split_once('/')) {
                passed = Some(behind(&format!("{prefix}{folder}")));
                held.push(Held::Folder(folder.to_owned()));
            } else {
                from = From::After(path.to_owned());
                held.push(Held::File(row));
                passed = None;
            }
        }
        if let Some(behind) = passed {
            from = From::At(behind);
        }
        if ended {
            break;
        }
        let found = held.len() - known;
        step = if found * 2 > wanted { wanted.saturating_mul(2) } else { FEW };
    }
    Ok(held)
}

pub(crate) fn list_files_below(
    c: &mut Conn,
    repository: &RepositoryId,
    folder: &Option<FilePath>,
    after: &Option<String>,
    limit: &usize,
) -> Outcome<Vec<FolderEntry>> {
    let Span { prefix, end } = Span::of(folder.as_ref());
    let from = From::After(format!("{prefix}{}", after.as_deref().unwrap_or_default()));
    let page = page(c, repository.0, &from, end.as_deref(), *limit)?;
    page.into_iter().map(|row| entry(row, &prefix)).collect()
}

fn entry(row: EntryRow, prefix: &str) -> Outcome<FolderEntry> {
    let ((path, digest, size), (media_type, updated_at, updated_by), state) = row;
    Ok(FolderEntry::File {
        name: path.get(prefix.len()..).unwrap_or_default().to_owned(),
        digest: parse(&digest)?,
        size: unsigned(size),
        media_type,
        updated_at,
        updated_by,
        damaged: state.as_deref() != Some(LIVE),
    })
}

/// The names that stand in a folder.
struct Span {
    /// What they begin with.
    prefix: String,
    /// What they stand before; nothing for a whole repository.
    end: Option<String>,
}

impl Span {
    fn of(folder: Option<&FilePath>) -> Self {
        Self {
            prefix: folder.map_or_else(String::new, |folder| format!("{folder}/")),
            end: folder.map(|folder| behind(folder.as_str())),
        }
    }
}

/// Where a page begins.
enum From {
    /// Behind this name.
    After(String),
    /// With this name.
    At(String),
}

/// Live files by name, before `end`.
fn page(c: &mut Conn, repository: i64, from: &From, end: Option<&str>, limit: usize) -> Outcome<Vec<EntryRow>> {
    let mut query = version::table
        .inner_join(
            artifact::table.on(artifact::repository
                .eq(version::repository)
                .and(artifact::digest.eq(version::digest))),
        )
        .left_join(blob::table.on(blob::digest.eq(version::digest)))
        .filter(version::repository.eq(repository))
        .filter(version::state.eq(LIVE))
        .order(version::name)
        .limit(rows(limit))
        .select((
            (version::name, version::digest, artifact::size),
            (version::media_type, version::updated_at, version::updated_by),
            blob::state.nullable(),
        ))
        .into_boxed();
    query = match from {
        From::After(name) => query.filter(version::name.gt(name)),
        From::At(name) => query.filter(version::name.ge(name)),
    };
    if let Some(end) = end {
        query = query.filter(version::name.lt(end));
    }
    Ok(query.load(c)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What a folder holds, and how many rows were read for it.
    fn read(names: &BTreeSet<String>, prefix: &str, limit: usize) -> (Vec<String>, usize) {
        let mut read = 0;
        let page = |from: &From, rows: usize| {
            let behind = |name: &&String| match from {
                From::After(from) => *name > from,
                From::At(from) => *name >= from,
            };
            let inside = names.iter().filter(behind).take_while(|name| name.starts_with(prefix));
            let page: Vec<String> = inside.take(rows).cloned().collect();
            read += page.len();
            Ok(page)
        };
        let held = direct(prefix, From::After(prefix.to_owned()), limit, page, String::as_str).unwrap();
        let shown = |held: Held<String>| match held {
            Held::Folder(name) => format!("{name}/"),
            Held::File(path) => String::from(&path[prefix.len()..]),
        };
        (held.into_iter().map(shown).collect(), read)
    }

    #[test]
    fn folders_full_of_files_are_passed_over_without_reading_them() {
        let (folders, files, limit) = (300, 400, 200);
        let names = (0..folders).flat_map(|folder| (0..files).map(move |file| format!("d/{folder:03}/{file:03}")));
        let (held, rows) = read(&names.collect(), "d/", limit);
        assert_eq!(held.len(), limit);
        // One whole step in vain, and a few rows for each folder after that.
        assert!(rows <= 3 * limit, "{rows} rows were read");
    }

    proptest! {
        #[test]
        fn whatever_the_folders_hold_their_names_are_found_for_a_few_rows_each(
            sizes in proptest::collection::vec(0..60_usize, 0..60),
            limit in 1..50_usize,
        ) {
            let name = |(at, files): (usize, usize)| match files {
                0 => vec![format!("d/{at:02}")],
                files => (0..files).map(|file| format!("d/{at:02}/{file:02}")).collect(),
            };
            let names: BTreeSet<String> = sizes.iter().copied().enumerate().flat_map(name).collect();
            let marker = |(at, files): (usize, &usize)| if *files == 0 { format!("{at:02}") } else { format!("{at:02}/") };
            let expected: Vec<String> = sizes.iter().enumerate().map(marker).take(limit).collect();
            let (held, rows) = read(&names, "d/", limit);
            prop_assert_eq!(held, expected);
            prop_assert!(rows <= 7 * limit, "{} rows were read for {} entries", rows, limit);
        }
    }
}
