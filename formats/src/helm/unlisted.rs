//! What a chart repository does not list, and why: `GET api/unlisted`, in pages by repository and digest.

use super::op::{Act, Op};
use super::read::unknown;
use crate::dispatch::{Granted, yanked};
use crate::handler::Reply;
use crate::json_error::json_reply;
use crate::paging::{cut, next_page};
use granary_storage::catalog::{AfterUnlisted, UnlistedChart, WhyUnlisted};
use granary_storage::{Result, Stores};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

/// Tells it.
pub(super) async fn list(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Op { prefix, base, act } = granted.op();
    let Act::Unlisted(page) = act else {
        return Err(unknown("not a list"));
    };
    let mut found = match page.limit {
        0 => Vec::new(),
        limit => {
            let after = page.after.as_deref().map(after);
            let all = stores
                .catalog
                .unlisted_under(prefix.clone(), granted.visible().clone(), after, limit + 1);
            all.await?
        }
    };
    let next = cut(&mut found, page, |last| format!("{}@{}", last.repository, last.digest));
    let told: Vec<Value> = found.into_iter().map(entry).collect();
    let reply = json_reply(StatusCode::OK, format!("{}\n", json!({"unlisted": told}))).header(CACHE_CONTROL, "private, no-cache");
    Ok(match next {
        Some(last) => next_page(reply, &format!("{base}/api/unlisted"), page, &last, ""),
        None => reply,
    })
}

/// `<repository>@<digest>`. Whatever it is, it only says where a page begins.
fn after(marker: &str) -> AfterUnlisted {
    let (repository, digest) = marker.rsplit_once('@').unwrap_or((marker, ""));
    AfterUnlisted {
        repository: repository.to_owned(),
        digest: digest.to_owned(),
    }
}

fn entry(found: UnlistedChart) -> Value {
    let is_yanked = matches!(found.why, WhyUnlisted::Yanked { .. });
    let reason = match found.why {
        WhyUnlisted::Disagrees(reason) => reason,
        WhyUnlisted::Untagged { version, tag } => {
            format!("the chart's version is {version}, so it is listed under the tag {tag} alone")
        }
        WhyUnlisted::Yanked { reason, .. } => yanked(&reason),
    };
    json!({
        "repository": found.repository.as_str(),
        "digest": found.digest.to_string(),
        "tags": found.tags,
        "reason": reason,
        "yanked": is_yanked,
    })
}
