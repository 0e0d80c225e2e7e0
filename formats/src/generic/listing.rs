//! What a folder holds, as JSON in pages.

use super::files::{ASK_AGAIN, unknown};
use super::media;
use super::op::{Act, Op};
use super::path::address;
use crate::dispatch::Granted;
use crate::handler::{Reply, ReplyBody};
use crate::paging::{cut, next_page};
use granary_storage::catalog::FolderEntry;
use granary_storage::clock::Millis;
use granary_storage::{Error, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `GET` and `HEAD …/` and `…/<path>/`.
pub(super) async fn list(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Op { repository: name, act } = granted.op();
    let Act::ListFiles { folder, page } = act else {
        return Err(unknown());
    };
    let nothing = || Error::not_found(What::File, "there is no such folder");
    let repository = granted.repository().ok_or_else(nothing)?.id;
    // One more than the page, and at least one: a folder is there as long as it holds something.
    let limit = page.limit + 1;
    let files = |after, limit| stores.catalog.list_files(repository, folder.clone(), after, limit);
    let mut entries = files(page.after.clone(), limit).await?;
    if entries.is_empty() && folder.is_some() && (page.after.is_none() || files(None, 1).await?.is_empty()) {
        return Err(nothing());
    }
    let next = cut(&mut entries, page, FolderEntry::marker);
    let shown = folder.as_ref().map_or_else(String::new, |folder| format!("{folder}/"));
    let body = json!({
        "repository": name.as_str(),
        "path": shown,
        "entries": entries.iter().map(entry).collect::<Vec<Value>>(),
    });
    let reply = Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, ASK_AGAIN)
        .with(ReplyBody::Bytes(format!("{body}\n").into()));
    Ok(match next {
        Some(last) => next_page(reply, &address(name, &shown), page, &last, ""),
        None => reply,
    })
}

fn entry(entry: &FolderEntry) -> Value {
    match entry {
        FolderEntry::Folder(_) => json!({"name": entry.marker(), "type": "folder"}),
        FolderEntry::File {
            name,
            digest,
            size,
            media_type,
            updated_at,
            updated_by,
        } => json!({
            "name": name,
            "type": "file",
            "size": size,
            "sha256": digest.hex(),
            "content_type": media::of(media_type.as_deref(), name),
            "updated": rfc3339(*updated_at),
            "updated_by": updated_by,
        }),
    }
}

/// A time as RFC 3339 with seconds, UTC; the epoch for a time that no calendar holds.
fn rfc3339(at: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}
