//! What is about an artifact: `GET …/referrers/<digest>`, always an index, however
//! little is known. Manifests listed under the fallback tag of clients that predate the
//! API are folded in (distribution-spec, "Enabling the Referrers API").

use super::discovery::not_asked;
use super::manifest::OCI_INDEX;
use super::op::{Act, Op};
use crate::dispatch::Granted;
use crate::handler::{Reply, ReplyBody};
use crate::paging::next_page;
use granary_storage::catalog::{Referrer, Referrers, RepositoryId};
use granary_storage::name::Reference;
use granary_storage::{Digest, Result, Stores};
use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// `GET …/referrers/<digest>`.
pub(super) async fn list(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let (
        Act::Referrers {
            subject,
            artifact_type,
            page,
        },
        Some(name),
    ) = (&granted.op().act, &granted.op().name)
    else {
        return Err(not_asked());
    };
    let after: Option<Digest> = page.after.as_ref().map(|text| text.parse()).transpose()?;
    let mut found: Arc<Referrers> = Arc::default();
    // No artifact has a type with a NUL in it, and a database would not take the question.
    let possible = page.limit > 0 && artifact_type.as_ref().is_none_or(|text| !text.contains('\0'));
    if let Some(repository) = granted.repository().filter(|_| possible) {
        let max_bytes = stores.limits.page_bytes;
        found = stores
            .catalog
            .referrers(repository.id, *subject, artifact_type.clone(), after, page.limit, max_bytes)
            .await?;
        let mut more = fallback(stores, repository.id, subject).await?;
        more.retain(|held| {
            let wanted = artifact_type.is_none() || held.artifact_type == *artifact_type;
            let known = found.list.iter().any(|other| other.digest == held.digest);
            wanted && !known && after.is_none_or(|after| text_order(&held.digest) > text_order(&after))
        });
        if !more.is_empty() {
            found = merged(&found, more, page.limit, max_bytes);
        }
    }
    let next = found.list.last().filter(|_| found.more).map(|referrer| referrer.digest.to_string());
    let body = found.rendered.get_or_init(|| index(&found.list).into()).clone();
    let reply = Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, OCI_INDEX)
        .with(ReplyBody::Bytes(body));
    let (reply, filter) = match artifact_type {
        Some(wanted) => (
            reply.header(FILTERS_APPLIED, "artifactType"),
            format!("&artifactType={}", utf8_percent_encode(wanted, NON_ALPHANUMERIC)),
        ),
        None => (reply, String::new()),
    };
    Ok(match next {
        Some(last) => next_page(reply, &format!("/v2/{}/referrers/{subject}", name.requested), page, &last, &filter),
        None => reply,
    })
}

/// A page of both kinds. Where the first kind goes on after it, nothing that comes later may be shown yet.
fn merged(found: &Referrers, mut more: Vec<Referrer>, limit: usize, max_bytes: u64) -> Arc<Referrers> {
    let end = found.list.last().filter(|_| found.more).map(|last| text_order(&last.digest));
    more.extend(found.list.iter().cloned());
    more.sort_by_cached_key(|referrer| text_order(&referrer.digest));
    let all = more.len();
    more.truncate(limit);
    let mut bytes = 0;
    let fitting = more.iter().take_while(|referrer| {
        let is_first = bytes == 0;
        bytes += referrer.descriptor.len() as u64;
        is_first || bytes <= max_bytes
    });
    more.truncate(fitting.count());
    if let Some(end) = end {
        more.retain(|referrer| text_order(&referrer.digest) <= end);
    }
    Arc::new(Referrers {
        more: found.more || more.len() < all,
        list: more,
        ..Referrers::default()
    })
}

/// Pages go by the digest's text, as the database sorts it.
fn text_order(digest: &Digest) -> String {
    digest.to_string()
}

/// An index of ready-made descriptors.
fn index(referrers: &[Referrer]) -> String {
    let size = referrers.iter().map(|referrer| referrer.descriptor.len() + 1).sum::<usize>() + 128;
    let mut body = String::with_capacity(size);
    body.push_str("{\"schemaVersion\":2,\"mediaType\":\"");
    body.push_str(OCI_INDEX);
    body.push_str("\",\"manifests\":[");
    for (position, referrer) in referrers.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        body.push_str(&referrer.descriptor);
    }
    body.push_str("]}");
    body
}

#[derive(Deserialize)]
struct Listed<'i> {
    #[serde(borrow, default)]
    manifests: Vec<&'i RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    artifact_type: Option<String>,
}

/// The descriptors under the fallback tag `<alg>-<hex>`, if an index stands there.
async fn fallback(stores: &Stores, repository: RepositoryId, subject: &Digest) -> Result<Vec<Referrer>> {
    // The schema of fallback tags cuts the hexadecimal part to 64 digits (distribution-spec, "Referrers Tag Schema").
    let tag = format!("{}-{:.64}", subject.algorithm().as_str(), subject.hex());
    let Ok(tag) = tag.parse() else { return Ok(Vec::new()) };
    let Some(manifest) = stores.catalog.manifest(repository, Reference::Tag(tag)).await? else {
        return Ok(Vec::new());
    };
    if &*manifest.media_type != OCI_INDEX {
        return Ok(Vec::new());
    }
    let Ok(listed) = serde_json::from_slice::<Listed<'_>>(&manifest.bytes) else {
        return Ok(Vec::new());
    };
    let referrer = |raw: &&RawValue| {
        let descriptor: Descriptor = serde_json::from_str(raw.get()).ok()?;
        let digest = descriptor.digest.parse().ok()?;
        Some(Referrer {
            digest,
            artifact_type: descriptor.artifact_type,
            descriptor: raw.get().to_owned(),
        })
    };
    // The list is a client's: what it says twice counts once.
    let mut seen = HashSet::new();
    let listed = listed.manifests.iter().filter_map(referrer);
    Ok(listed.filter(|referrer| seen.insert(referrer.digest)).collect())
}
