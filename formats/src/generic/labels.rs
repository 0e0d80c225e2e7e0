//! Labels of files: set with the file by headers (`X-Granary-Label-<key>: <value>`) or, as Artifactory's clients do it, by
//! parameters behind the path (`PUT …/fw.bin;build=42;os=linux`), read with `?labels`, changed by PATCH with a JSON merge
//! patch (RFC 7396): `{"labels":{"tested":"yes","gone":null}}`.
//!
//! A label has one value; a comma is part of it. Only PUT takes parameters in a path: elsewhere they would pass for a
//! filter or for part of the name, and are refused.

use super::files::{ASK_AGAIN, unknown};
use super::media;
use super::op::{Act, Op};
use super::path::unescape;
use crate::body::collect;
use crate::conditions::http_date;
use crate::dispatch::Granted;
use crate::handler::{Body, Head, Reply};
use crate::json_error::json_reply;
use granary_storage::catalog::RelabelFile;
use granary_storage::label::{self, KEY_MAX, LabelChanges, Labels, VALUE_MAX};
use granary_storage::limits::Limits;
use granary_storage::{Error, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LAST_MODIFIED};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// The beginning of a header that sets a label.
pub(super) const HEADER: &str = "x-granary-label-";

fn bad(why: &'static str) -> Error {
    Error::invalid(What::Request, why)
}

/// The path of a PUT without its parameters, and the labels that these and the headers set.
///
/// # Errors
/// `Invalid`/`Request` for a label that breaks the grammar or the limits; `Invalid`/`Name` for parameters before the end.
pub(super) fn of_put<'h>(head: &Head<'h>, limits: &Limits) -> Result<(&'h str, Labels)> {
    let mut labels = Labels::default();
    let (path, parameters) = match head.path.split_once(';') {
        Some((path, parameters)) => (path, Some(parameters)),
        None => (head.path, None),
    };
    if parameters.is_some_and(|text| text.contains('/')) {
        let why = "write a semicolon in a file's name as %3B, and a slash in a label as %2F: parameters stand at the end of the path";
        return Err(Error::invalid(What::Name, why));
    }
    for parameter in parameters.into_iter().flat_map(|text| text.split(';')) {
        let (key, value) = parameter
            .split_once('=')
            .ok_or_else(|| bad("a parameter of a path is a label, written ;<key>=<value>"))?;
        labels.add(&unescape(key)?, &unescape(value)?, limits)?;
    }
    for (name, value) in head.headers.beginning_with(HEADER) {
        let value = value.ok_or_else(|| bad("the value of a label is UTF-8"))?;
        labels.add(name.get(HEADER.len()..).unwrap_or_default(), value.trim(), limits)?;
    }
    Ok((path, labels))
}

/// `GET` and `HEAD …/<path>?labels`: what is known of a file, without its content.
pub(super) async fn read(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Op { repository: name, act } = granted.op();
    let Act::ReadLabels { path, conditions } = act else {
        return Err(unknown());
    };
    let repository = granted.repository().ok_or_else(unknown)?.id;
    let file = stores.catalog.file(repository, path.clone()).await?.ok_or_else(unknown)?;
    conditions.check_untagged()?;
    let told = json!({
        "repository": name.as_str(),
        "path": path.as_str(),
        "size": file.blob.size,
        "sha256": file.blob.digest.hex(),
        "content_type": media::of(file.media_type.as_deref(), path.file_name()),
        "updated_by": &*file.updated_by,
        "labels": file.labels.to_json(),
    });
    Ok(json_reply(StatusCode::OK, format!("{told}\n"))
        .header(LAST_MODIFIED, http_date(file.updated_at))
        .header(CACHE_CONTROL, ASK_AGAIN))
}

/// `PATCH …/<path>`.
pub(super) async fn change(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Op { repository: name, act } = granted.op();
    let Act::ChangeLabels { path, condition, length } = act else {
        return Err(unknown());
    };
    let limits = &stores.limits;
    let repository = granted.repository().ok_or_else(unknown)?.id;
    let body = collect(body, *length, patch_max(limits), What::Size).await?;
    let at = RelabelFile {
        repository,
        path: path.clone(),
        changes: changes(&body, limits)?,
        condition: condition.clone(),
        most: limits.labels_per_version,
        by: granted.by(),
    };
    let labels = stores.catalog.label_file(Arc::new(at)).await?.ok_or_else(unknown)?;
    let told = json!({"repository": name.as_str(), "path": path.as_str(), "labels": labels.to_json()});
    Ok(json_reply(StatusCode::OK, format!("{told}\n")))
}

/// Bytes of a patch, at most: as many labels as there may be, taken away and set, with every character escaped.
fn patch_max(limits: &Limits) -> u64 {
    let label = limits.label_key_bytes.min(KEY_MAX) + limits.label_value_bytes.min(VALUE_MAX) + 16;
    (limits.labels_per_version.saturating_mul(label).saturating_mul(12) as u64).saturating_add(4096)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    labels: Members,
}

/// The members of a JSON object as they stand, those of one name all of them.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(All)
    }
}

/// Reads a patch.
fn changes(body: &[u8], limits: &Limits) -> Result<LabelChanges> {
    const SHAPE: &str = r#"the body is a JSON object {"labels":{"<key>":"<value>","<gone>":null}}"#;
    let Patch { labels: Members(wanted) } = serde_json::from_slice(body).map_err(|_| bad(SHAPE))?;
    let mut changes = LabelChanges::new();
    for (key, value) in wanted {
        let key = label::key(&key, limits)?;
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(label::value(&text, limits)?),
            _ => return Err(bad("the value of a label is a text, or null to take the label away")),
        };
        if changes.insert(key, value).is_some() {
            return Err(bad("a label is changed once; its key is the same in either case"));
        }
    }
    Ok(changes)
}
