//! `SHA256SUMS` of a folder: computed, in pages as it goes out, and in the form that `sha256sum -c` reads.

use super::files::{ASK_AGAIN, unknown};
use crate::conditions::ReadConditions;
use crate::handler::{Reply, ReplyBody};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use granary_storage::catalog::{FolderEntry, RepositoryId};
use granary_storage::name::FilePath;
use granary_storage::{Error, Result, Stores};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// The name that such files have.
const NAME: &str = "SHA256SUMS";

/// The folder whose checksums a path stands for: `None` for another path, `Some(None)` for a whole repository.
pub(super) fn folder_of(path: &FilePath) -> Option<Option<FilePath>> {
    match path.as_str().rsplit_once('/') {
        None => (path.as_str() == NAME).then_some(None),
        Some((folder, NAME)) => folder.parse().ok().map(Some),
        Some(_) => None,
    }
}

/// The checksums of the files that stand directly in a folder, or in it and all folders below it.
pub(super) async fn read(
    stores: &Stores,
    repository: RepositoryId,
    folder: Option<FilePath>,
    head: bool,
    recursive: bool,
    conditions: &ReadConditions,
) -> Result<Reply> {
    // Two at least: what an entry is tells nothing of the next one.
    let limit = if head { 1 } else { stores.limits.page_max.max(2) };
    let first = page(stores, repository, folder.clone(), None, limit, recursive).await?;
    if first.is_empty() {
        return Err(unknown());
    }
    conditions.check_untagged()?;
    let stores = stores.clone();
    let first = if head { Next::End } else { Next::Page(first) };
    let pages = stream::try_unfold(first, move |next| {
        let (stores, folder) = (stores.clone(), folder.clone());
        async move {
            let page = match next {
                Next::Page(page) => page,
                Next::After(last) => page(&stores, repository, folder, Some(last), limit, recursive).await?,
                Next::End => return Ok::<_, Error>(None),
            };
            let next = match page.last() {
                Some(last) if page.len() == limit => Next::After(last.marker()),
                _ => Next::End,
            };
            Ok(Some((Bytes::from(lines(&page)), next)))
        }
    });
    // A chunk of nothing would end a chunked body.
    let stream = pages.try_filter(|lines| future::ready(!lines.is_empty())).boxed();
    Ok(Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(CACHE_CONTROL, ASK_AGAIN)
        .with(ReplyBody::Unsized { stream }))
}

async fn page(
    stores: &Stores,
    repository: RepositoryId,
    folder: Option<FilePath>,
    after: Option<String>,
    limit: usize,
    recursive: bool,
) -> Result<Vec<FolderEntry>> {
    match recursive {
        true => stores.catalog.list_files_below(repository, folder, after, limit).await,
        false => stores.catalog.list_files(repository, folder, after, limit).await,
    }
}

/// Where the listing goes on.
enum Next {
    /// With what is at hand.
    Page(Vec<FolderEntry>),
    /// Behind this entry.
    After(String),
    /// Nowhere.
    End,
}

fn lines(page: &[FolderEntry]) -> String {
    let line = |entry: &FolderEntry| match entry {
        FolderEntry::Folder(_) => None,
        // Alone, it would be standard input.
        FolderEntry::File { name, digest, .. } if name == "-" => Some(format!("{}  ./-\n", digest.hex())),
        FolderEntry::File { name, digest, .. } => Some(format!("{}  {name}\n", digest.hex())),
    };
    page.iter().filter_map(line).collect()
}
