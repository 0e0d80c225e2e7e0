//! What a folder holds, in pages: as JSON for scripts, and as a page for browsers (`html.rs`). A folder in an archive is
//! listed as any other.

use super::archive;
use super::files::{ASK_AGAIN, unknown};
use super::html;
use super::media;
use super::op::{Act, Op};
use super::path::address;
use crate::dispatch::Granted;
use crate::handler::{Head, Reply, ReplyBody};
use crate::paging::{cut, next_page};
use granary_storage::catalog::FolderEntry;
use granary_storage::clock::Millis;
use granary_storage::{Error, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LINK, VARY};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The form of a listing, and what chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON, for who asks for nothing else: the `Accept` of curl and wget (`*/*`).
    Json,
    /// A page, for who names `text/html`, as every browser does.
    Html,
    /// `?format=json`.
    JsonByQuery,
    /// `?format=html`.
    HtmlByQuery,
}

impl Form {
    /// That which a request asks for.
    ///
    /// # Errors
    /// `Invalid`/`Request` for a `format` that is none of them.
    pub(super) fn of(head: &Head<'_>) -> Result<Self> {
        match head.query_value("format").as_deref() {
            None => Ok(if prefers_html(&head.header_list("accept").unwrap_or_default()) {
                Self::Html
            } else {
                Self::Json
            }),
            Some("json") => Ok(Self::JsonByQuery),
            Some("html") => Ok(Self::HtmlByQuery),
            Some(_) => Err(Error::invalid(What::Request, "a listing has the format json or html")),
        }
    }

    /// What links to further listings carry, so that these have the same form.
    fn query(self) -> &'static str {
        match self {
            Self::Json | Self::Html => "",
            Self::JsonByQuery => "format=json",
            Self::HtmlByQuery => "format=html",
        }
    }
}

/// Whether an `Accept` names HTML, and gives it no less than JSON (RFC 9110 §12.5.1).
fn prefers_html(accept: &str) -> bool {
    let weight = |wanted: &str| {
        accept.split(',').find_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let q = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            named.then(|| q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0)))
        })
    };
    let html = weight("text/html").unwrap_or(0.0);
    html > 0.0 && html >= weight("application/json").unwrap_or(0.0)
}

/// What is shown of a folder, wherever it is.
pub(super) struct Shown {
    /// Its path, ending in a slash; empty for the whole repository.
    pub(super) path: String,
    /// What it holds: one entry more than the page shows, where there are more.
    pub(super) entries: Vec<Entry>,
    /// Of a folder in an archive: how many entries of that are shown nowhere.
    pub(super) left_out: Option<u64>,
}

/// What a listing shows of a file or a folder.
pub(super) struct Entry {
    /// Its name; a folder's ends in a slash.
    pub(super) marker: String,
    /// Bytes of a file.
    pub(super) size: Option<u64>,
    pub(super) updated_at: Option<Millis>,
    /// Why it cannot be read, where that is so.
    pub(super) unreadable: Option<&'static str>,
    json: Value,
}

impl Entry {
    /// A folder, by its marker.
    pub(super) fn folder(marker: String) -> Self {
        Self {
            json: json!({"name": marker, "type": "folder"}),
            marker,
            size: None,
            updated_at: None,
            unreadable: None,
        }
    }

    /// A file in an archive.
    pub(super) fn packed(name: String, size: u64, updated_at: Option<Millis>, encrypted: bool) -> Self {
        let mut json = json!({"name": name, "type": "file", "size": size, "content_type": media::of(None, &name)});
        if let Some(updated_at) = updated_at {
            json["updated"] = rfc3339(updated_at).into();
        }
        if encrypted {
            json["encrypted"] = true.into();
        }
        Self {
            json,
            marker: name,
            size: Some(size),
            updated_at,
            unreadable: encrypted.then_some("encrypted"),
        }
    }

    fn stored(entry: FolderEntry) -> Self {
        match entry {
            FolderEntry::Folder(_) => Self::folder(entry.marker()),
            FolderEntry::File {
                name,
                digest,
                size,
                media_type,
                updated_at,
                updated_by,
                damaged,
            } => {
                let mut json = json!({
                    "name": name,
                    "type": "file",
                    "size": size,
                    "sha256": digest.hex(),
                    "content_type": media::of(media_type.as_deref(), &name),
                    "updated": rfc3339(updated_at),
                    "updated_by": updated_by,
                });
                if damaged {
                    json["damaged"] = true.into();
                }
                Self {
                    json,
                    marker: name,
                    size: Some(size),
                    updated_at: Some(updated_at),
                    unreadable: damaged.then_some("damaged"),
                }
            }
        }
    }
}

/// `GET` and `HEAD …/` and `…/<path>/`.
pub(super) async fn list(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Op { repository: name, act } = granted.op();
    let Act::ListFiles {
        within,
        page,
        form,
        recursive,
        ..
    } = act
    else {
        return Err(unknown());
    };
    let shown = match (stored(stores, granted).await?, within) {
        (Some(shown), _) => shown,
        (None, Some(within)) if granted.file().is_some() => archive::list(stores, granted, within, page).await?,
        (None, _) => return Err(Error::not_found(What::File, "there is no such folder")),
    };
    let Shown {
        path,
        mut entries,
        left_out,
    } = shown;
    let next = cut(&mut entries, page, |entry| entry.marker.clone());
    let mut filter = match form.query() {
        "" => String::new(),
        query => format!("&{query}"),
    };
    let query = filter.replacen('&', "?", 1);
    if *recursive {
        filter.push_str("&recursive");
    }
    let linked = |reply: Reply| match &next {
        Some(last) => next_page(reply, &address(name, &path), page, last, &filter),
        None => reply,
    };
    let reply = match form {
        Form::Json | Form::JsonByQuery => {
            let mut body = json!({
                "repository": name.as_str(),
                "path": path,
                "entries": entries.into_iter().map(|entry| entry.json).collect::<Vec<Value>>(),
            });
            if let Some(left_out) = left_out {
                body["left_out"] = left_out.into();
            }
            let reply = Reply::new(StatusCode::OK)
                .header(CONTENT_TYPE, "application/json")
                .header(CACHE_CONTROL, ASK_AGAIN);
            linked(reply.with(ReplyBody::Bytes(format!("{body}\n").into())))
        }
        Form::Html | Form::HtmlByQuery => {
            let link = linked(Reply::new(StatusCode::OK));
            let next = link.get(&LINK).and_then(|link| link.split(['<', '>']).nth(1));
            let folder = html::Folder {
                repository: name,
                path: &path,
                entries: &entries,
                left_out,
                next,
                query: &query,
            };
            linked(folder.reply())
        }
    };
    Ok(reply.header(VARY, "Accept"))
}

/// What is stored in the folder; `None` when that is nothing.
async fn stored(stores: &Stores, granted: &Granted<Op>) -> Result<Option<Shown>> {
    let (
        Act::ListFiles {
            folder, page, recursive, ..
        },
        Some(repository),
    ) = (&granted.op().act, granted.repository())
    else {
        return Ok(None);
    };
    let files = async |after, limit| match recursive {
        true => stores.catalog.list_files_below(repository.id, folder.clone(), after, limit).await,
        false => stores.catalog.list_files(repository.id, folder.clone(), after, limit).await,
    };
    // One more than the page, and at least one: a folder is there as long as it holds something.
    let entries = files(page.after.clone(), page.limit + 1).await?;
    if entries.is_empty() && folder.is_some() && (page.after.is_none() || files(None, 1).await?.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Shown {
        path: folder.as_ref().map_or_else(String::new, |folder| format!("{folder}/")),
        entries: entries.into_iter().map(Entry::stored).collect(),
        left_out: None,
    }))
}

/// A time as RFC 3339 with seconds, UTC; the epoch for a time that no calendar holds.
pub(super) fn rfc3339(at: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}
