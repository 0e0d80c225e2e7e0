//! What is said of a version after it was published, and taken back: `PATCH api/charts/<name>/<version>`.
//!
//! A yanked version is in no list, the index and the tags among them, so that nobody chooses it anew; who asks for it by
//! its name or its digest gets it, with a warning. A deprecated one says so in the index. The archive stays as it is.

use super::op::{Act, Op};
use super::read::unknown;
use crate::body::collect;
use crate::dispatch::Granted;
use crate::handler::{Body, Reply};
use crate::json_error::json_reply;
use granary_storage::catalog::{MarkChart, Yank};
use granary_storage::limits::Limits;
use granary_storage::{Error, Result, Stores, What};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// What a body may hold besides the reason.
const AROUND: u64 = 1024;
/// Bytes in which JSON may write one byte of a text: `\u0041`.
const ESCAPED: u64 = 6;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marks {
    yanked: Option<bool>,
    reason: Option<String>,
    deprecated: Option<bool>,
}

/// Carries it out.
pub(super) async fn change(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Mark { version, tag, length, .. } = &granted.op().act else {
        return Err(unknown("not a version"));
    };
    let absent = || unknown("there is no such version of this chart");
    let most = (stores.limits.yank_reason_bytes as u64)
        .saturating_mul(ESCAPED)
        .saturating_add(AROUND);
    let body = collect(body, *length, most, What::Size).await?;
    let (yank, deprecated) = read(&body, &stores.limits)?;
    let new = MarkChart {
        repository: granted.repository().ok_or_else(absent)?.id,
        version: version.clone(),
        tag: tag.clone(),
        yank,
        deprecated,
        by: granted.by(),
    };
    let chart = stores.catalog.mark_chart(Arc::new(new)).await?.ok_or_else(absent)?;
    let own = says_deprecated(&chart.metadata);
    let mut told = json!({
        "name": chart.name,
        "version": chart.version,
        "yanked": chart.yanked.is_some(),
        "deprecated": chart.deprecated || own,
    });
    if let Some(reason) = chart.yanked.filter(|reason| !reason.is_empty()) {
        told["reason"] = json!(reason);
    }
    match (own, chart.deprecated, deprecated) {
        (true, _, Some(false)) => told["note"] = json!("its archive says so, which never changes; publish a new version"),
        (false, true, _) => {
            told["note"] = json!("the index says so; the archive is unchanged, so helm does not warn of it when it installs the chart");
        }
        _ => {}
    }
    Ok(json_reply(StatusCode::OK, format!("{told}\n")))
}

/// Whether the archive's own Chart.yaml says that the chart is deprecated, and so the index, whatever is said besides.
fn says_deprecated(metadata: &str) -> bool {
    #[derive(Default, Deserialize)]
    struct Own {
        #[serde(default)]
        deprecated: bool,
    }
    serde_json::from_str::<Own>(metadata).unwrap_or_default().deprecated
}

/// Reads a body.
fn read(body: &[u8], limits: &Limits) -> Result<(Option<Yank>, Option<bool>)> {
    let bad = |why: String| Error::invalid(What::Request, why);
    let shape = || bad(r#"the body is a JSON object such as {"yanked":true,"reason":"…"} or {"deprecated":true}"#.to_owned());
    let Marks {
        yanked,
        reason,
        deprecated,
    } = serde_json::from_slice(body).map_err(|_| shape())?;
    if yanked.is_none() && deprecated.is_none() {
        return Err(shape());
    }
    if reason.is_some() && yanked != Some(true) {
        return Err(bad("a reason is given for a version that is yanked".to_owned()));
    }
    let reason = reason.unwrap_or_default();
    if reason.len() > limits.yank_reason_bytes {
        return Err(bad(format!("the reason is longer than {} bytes", limits.yank_reason_bytes)));
    }
    if reason.chars().any(char::is_control) {
        return Err(bad("the reason is one line of text".to_owned()));
    }
    let yank = yanked.map(|yanked| if yanked { Yank::Because(reason) } else { Yank::Undo });
    Ok((yank, deprecated))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_says_what_is_to_be_said() {
        let read = |body: &str| read(body.as_bytes(), &Limits::default()).unwrap();
        let because = |reason: &str| Some(Yank::Because(reason.into()));
        assert_eq!(read(r#"{"yanked":true,"reason":"it is broken"}"#), (because("it is broken"), None));
        assert_eq!(read(r#"{"yanked":true}"#), (because(""), None));
        assert_eq!(read(r#"{"yanked":false,"deprecated":true}"#), (Some(Yank::Undo), Some(true)));
        assert_eq!(read(r#"{"deprecated":false,"yanked":null}"#), (None, Some(false)));
    }

    #[test]
    fn every_fault_of_a_body_has_a_sentence() {
        let why = |body: &str| read(body.as_bytes(), &Limits::default()).unwrap_err().to_string();
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"yanked":1}"#,
            r#"{"yanked":true,"other":1}"#,
            r#"{"reason":"x"}"#,
        ] {
            assert!(why(body).contains("is a JSON object such as"), "{body}");
        }
        assert!(why(r#"{"yanked":false,"reason":"x"}"#).contains("that is yanked"));
        assert!(why(r#"{"deprecated":true,"reason":"x"}"#).contains("that is yanked"));
        assert!(why(r#"{"yanked":true,"reason":"a\nb"}"#).contains("one line"));
        assert!(why(r#"{"yanked":true,"reason":"\u0000"}"#).contains("one line"));
        let long = "x".repeat(513);
        assert!(why(&format!(r#"{{"yanked":true,"reason":"{long}"}}"#)).contains("longer than 512 bytes"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_body_is_more_than_it_may_be(body in "(\\{|\"yanked\"|\"reason\"|\"deprecated\"|:|,|true|false|null|\"x\"|\\}|.){0,12}") {
            if let Ok((yank, deprecated)) = read(body.as_bytes(), &Limits::default()) {
                prop_assert!(yank.is_some() || deprecated.is_some());
            }
        }
    }
}
