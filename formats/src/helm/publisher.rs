//! `artifacthub-repo.yml`: who publishes the charts under a prefix, said by those who manage its project.

use super::chart::check_publisher;
use super::op::{Act, Op};
use super::read::unknown;
use crate::body::collect;
use crate::conditions::http_date;
use crate::dispatch::Granted;
use crate::handler::{Body, Reply, ReplyBody};
use crate::json_error::json_reply;
use granary_storage::{Digest, Error, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use serde_json::json;

fn absent() -> Error {
    Error::not_found(What::File, "this chart repository has no artifacthub-repo.yml")
}

/// `GET` and `HEAD artifacthub-repo.yml`.
pub(super) async fn read(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Publisher { head, conditions } = &granted.op().act else {
        return Err(unknown("not a publisher"));
    };
    let found = stores.catalog.publisher(granted.op().prefix.clone()).await?.ok_or_else(absent)?;
    let digest = Digest::sha256(&found.content);
    let reply = |status| {
        Reply::new(status)
            .header(ETAG, format!("\"{digest}\""))
            .header(CACHE_CONTROL, "private, no-cache")
    };
    if conditions.not_modified(&digest.to_string(), None)? {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let body = match head {
        true => ReplyBody::Omitted {
            len: found.content.len() as u64,
        },
        false => ReplyBody::Bytes(found.content.into()),
    };
    let reply = reply(StatusCode::OK).header(CONTENT_TYPE, "application/yaml");
    Ok(reply.header(LAST_MODIFIED, http_date(found.updated_at)).with(body))
}

/// `PUT artifacthub-repo.yml`.
pub(super) async fn put(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::PutPublisher { length, .. } = &granted.op().act else {
        return Err(unknown("not a publisher"));
    };
    let content = collect(body, *length, stores.limits.chart_publisher_bytes, What::File).await?;
    let (limits, bytes) = (stores.limits.clone(), content.clone());
    let check = tokio::task::spawn_blocking(move || check_publisher(&bytes, &limits));
    check.await.map_err(Error::internal)??;
    stores.uploads.check_space().await?;
    let prefix = granted.op().prefix.clone();
    let owner = prefix.project_name()?;
    let new = stores.catalog.put_publisher(prefix, owner, content.into(), granted.by()).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_reply(status, json!({"saved": true}).to_string()))
}

/// `DELETE artifacthub-repo.yml`.
pub(super) async fn delete(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    match stores.catalog.delete_publisher(granted.op().prefix.clone(), granted.by()).await? {
        true => Ok(json_reply(StatusCode::OK, json!({"deleted": true}).to_string())),
        false => Err(absent()),
    }
}
