//! What there is: the base of the API, the repositories, the tags of one.

use super::op::{Act, Op};
use crate::dispatch::Granted;
use crate::handler::{Reply, ReplyBody};
use crate::paging::{cut, next_page};
use granary_storage::catalog::StorageFormat;
use granary_storage::{Error, Result, Stores, What};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

/// `GET /v2/`: this is a registry, and the credentials hold.
pub(super) fn base() -> Reply {
    json_reply("{}".to_owned())
}

pub(super) fn json_reply(body: String) -> Reply {
    Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .with(ReplyBody::Bytes(body.into()))
}

/// `GET /v2/_catalog`: what the caller may read, and nothing of the rest.
pub(super) async fn catalog(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Catalog(page) = &granted.op().act else {
        return Err(not_asked());
    };
    let mut names = match page.limit {
        0 => Vec::new(),
        limit => {
            stores
                .catalog
                .list_repositories(granted.visible().clone(), Some(StorageFormat::Oci), page.after.clone(), limit + 1)
                .await?
        }
    };
    let next = cut(&mut names, page, Clone::clone);
    let reply = json_reply(json!({"repositories": names}).to_string());
    Ok(match next {
        Some(last) => next_page(reply, "/v2/_catalog", page, &last, ""),
        None => reply,
    })
}

/// `GET …/tags/list`.
pub(super) async fn tags(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let (Act::Tags(page), Some(name)) = (&granted.op().act, &granted.op().name) else {
        return Err(not_asked());
    };
    let repository = granted.existing_repository()?.id;
    let mut tags = match page.limit {
        0 => Vec::new(),
        limit => stores.catalog.tags(repository, page.after.clone(), limit + 1).await?,
    };
    let next = cut(&mut tags, page, Clone::clone);
    let reply = json_reply(json!({"name": name.requested, "tags": tags}).to_string());
    Ok(match next {
        Some(last) => next_page(reply, &format!("/v2/{}/tags/list", name.requested), page, &last, ""),
        None => reply,
    })
}

pub(super) fn not_asked() -> Error {
    Error::not_found(What::Request, "this was not asked")
}
