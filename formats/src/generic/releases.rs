//! Which releases a repository has: `GET …/?releases`, the newest first.

use super::files::ASK_AGAIN;
use super::op::{Act, Op};
use super::path::address;
use crate::dispatch::Granted;
use crate::handler::{Head, Reply, ReplyBody};
use crate::paging::{cut, next_page, page};
use granary_storage::catalog::ReleaseEntry;
use granary_storage::limits::Limits;
use granary_storage::name::FilePath;
use granary_storage::release::{Release, Releases};
use granary_storage::{Error, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};

/// What is asked of a folder by `?releases`; `None` without that.
///
/// # Errors
/// `Invalid`/`Request` where the folder is not the whole repository, `Invalid`/`Page` for a page that begins after no
/// release.
pub(super) fn of(head: &Head<'_>, folder: Option<&FilePath>, limits: &Limits) -> Result<Option<Act>> {
    if head.query_value("releases").is_none() {
        return Ok(None);
    }
    if folder.is_some() {
        let why = "releases are those of a whole repository: ask /generic/<project>/<name>/?releases";
        return Err(Error::invalid(What::Request, why));
    }
    let page = page(head, limits)?;
    let mut among = Releases::default();
    if let Some(last) = &page.after {
        let release = Release::read(last).ok_or_else(|| Error::invalid(What::Page, "last is the name of a release"))?;
        among = among.before_this(&release, last);
    }
    Ok(Some(Act::ListReleases { among, page }))
}

/// `GET` and `HEAD …/?releases`.
pub(super) async fn list(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let none = || Error::not_found(What::Repository, "there is no such repository");
    let Op { repository: name, act } = granted.op();
    let Act::ListReleases { among, page } = act else {
        return Err(none());
    };
    let repository = granted.repository().ok_or_else(none)?.id;
    let mut releases = stores.catalog.releases(repository, among.clone(), page.limit + 1).await?;
    let next = cut(&mut releases, page, |entry| entry.name.clone());
    let told = json!({
        "repository": name.as_str(),
        "releases": releases.iter().map(entry).collect::<Vec<Value>>(),
    });
    let reply = Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, ASK_AGAIN)
        .with(ReplyBody::Bytes(format!("{told}\n").into()));
    Ok(match next {
        Some(last) => next_page(reply, &address(name, ""), page, &last, "&releases"),
        None => reply,
    })
}

fn entry(entry: &ReleaseEntry) -> Value {
    json!({"name": entry.name, "prerelease": entry.prerelease})
}
