//! The newest release of some: `…/@latest/<file>` and `…/@^1.2/<file>` lead to the same file in its folder (302).
//!
//! The catalog keeps releases in the order of their versions, so a range is answered by a step in an index.

use super::files::ASK_AGAIN;
use super::op::{Act, Op};
use super::parse::Place;
use super::path::address;
use super::release::Range;
use crate::dispatch::Granted;
use crate::handler::{Head, Reply};
use granary_storage::name::FilePath;
use granary_storage::{Error, Result, Stores, What};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{Method, StatusCode};

/// What is asked of a path that begins with a range; `None` for the path of a file or a folder.
///
/// # Errors
/// `Invalid`/`Name` for a file that would be stored there, where nobody could read it.
pub(super) fn of(head: &Head<'_>, place: &Place) -> Result<Option<Act>> {
    let (path, slash) = match place {
        Place::File(path) => (path.as_str(), ""),
        Place::Folder(Some(folder)) => (folder.as_str(), "/"),
        Place::Folder(None) => return Ok(None),
    };
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, format!("{rest}{slash}")),
        // A file of such a name is one; its folder is the release itself.
        None if slash.is_empty() => return Ok(None),
        None => (path, String::new()),
    };
    let Some(range) = first.strip_prefix('@').and_then(Range::read) else {
        return Ok(None);
    };
    match *head.method {
        Method::GET | Method::HEAD => Ok(Some(Act::NewestRelease {
            range: range.with_pre(head.query_value("pre").is_some()),
            rest,
            query: head.query.to_owned(),
        })),
        Method::PUT => Err(in_vain()),
        _ => Ok(None),
    }
}

fn in_vain() -> Error {
    let why = "a path that begins with @ and a version or latest leads to a release: store the file in the release's own folder";
    Error::invalid(What::Name, why)
}

/// Refuses a path for a file where nobody could read it.
///
/// # Errors
/// `Invalid`/`Name`.
pub(super) fn check_readable(path: &FilePath) -> Result<()> {
    let first = path.as_str().split_once('/').map(|(first, _)| first);
    match first.and_then(|first| first.strip_prefix('@')).and_then(Range::read) {
        Some(_) => Err(in_vain()),
        None => Ok(()),
    }
}

/// `GET` and `HEAD …/@<range>/<rest>`.
pub(super) async fn lead(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let none = || Error::not_found(What::File, "there is no such release");
    let Op { repository: name, act } = granted.op();
    let Act::NewestRelease { range, rest, query } = act else {
        return Err(none());
    };
    let repository = granted.repository().ok_or_else(none)?.id;
    let newest = stores.catalog.newest_release(repository, range.releases.clone(), range.pre).await?;
    let newest = newest.ok_or_else(none)?;
    let mut place = address(name, &format!("{newest}/{rest}"));
    if !query.is_empty() {
        place = format!("{place}?{query}");
    }
    Ok(Reply::new(StatusCode::FOUND)
        .header(LOCATION, place)
        .header(CACHE_CONTROL, ASK_AGAIN))
}
