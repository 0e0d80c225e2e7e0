//! How two versions of a chart differ, as JSON for scripts and as a patch for people (`chart/compare.rs`).

use super::chart::{Differing, Kept, Part, compare};
use super::op::{Act, Op};
use super::published::inspect;
use super::read::{LATEST, latest, listed, of_version, unknown};
use crate::dispatch::{Granted, WARNING, warning, yanked};
use crate::handler::{Head, Reply, ReplyBody};
use granary_storage::catalog::Chart;
use granary_storage::name::Reference;
use granary_storage::{Digest, Error, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, VARY};
use serde_json::{Value, json};

/// How differences are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON, for who asks for nothing else.
    Json,
    /// A patch in the unified format: `?format=text`, or an `Accept` that names a text.
    Text,
}

impl Form {
    /// That which a request asks for.
    ///
    /// # Errors
    /// `Invalid`/`Request` for a `format` that is none of them.
    pub(super) fn of(head: &Head<'_>) -> Result<Self> {
        match head.query_value("format").as_deref() {
            Some("json") => Ok(Self::Json),
            Some("text") => Ok(Self::Text),
            Some(_) => Err(Error::invalid(What::Request, "differences have the format json or text")),
            None => {
                let accept = head.header_list("accept").unwrap_or_default().to_ascii_lowercase();
                let named = |wanted: &str| accept.split([',', ';']).any(|entry| entry.trim() == wanted);
                Ok(match named("text/plain") || named("text/x-diff") {
                    true => Self::Text,
                    false => Self::Json,
                })
            }
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// `GET api/charts/<name>/<version>/diff/<other>`.
pub(super) async fn diff(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Diff {
        version,
        tag,
        other,
        other_tag,
        form,
        head,
        ..
    } = &granted.op().act
    else {
        return Err(unknown("not a comparison"));
    };
    let Some(other_tag) = tag.as_ref().and(other_tag.as_ref()) else {
        // The policies are asked about versions that are named. They are from now on.
        let latest = latest(listed(stores, granted).await?)?.version;
        let named = |version: &'_ String| if version == LATEST { latest.clone() } else { version.clone() };
        let place = format!("../../{}/diff/{}?format={}", named(version), named(other), form.word());
        let reply = Reply::new(StatusCode::FOUND).header(LOCATION, place);
        return Ok(reply.header(CACHE_CONTROL, "private, no-cache").header(VARY, "Accept"));
    };
    // What the policies were asked about, and nothing that took its place meanwhile.
    let before = granted.manifest()?.digest;
    let (after, mut warnings) = match tag.as_ref() == Some(other_tag) {
        true => (before, Vec::new()),
        false => admitted(stores, granted, other_tag, *head).await?,
    };
    let chart = async |digest, version: &String| {
        let found = of_version(stores, granted, version).await?;
        let found = Some(found).filter(|chart| chart.digest == digest);
        found.ok_or_else(|| unknown("there is no such version of this chart"))
    };
    let (before, after) = (&chart(before, version).await?, &chart(after, other).await?);
    // That of the first is told already.
    if before.digest != after.digest {
        warnings.extend(after.yanked.as_deref().map(yanked));
    }
    let unpacking = stores.unpack(2)?;
    let old = everything(stores, granted, before).await?;
    let new = everything(stores, granted, after).await?;
    let (limits, form) = (stores.limits.clone(), *form);
    let told = json!({"name": before.name, "from": before.version, "to": after.version});
    let work = tokio::task::spawn_blocking(move || {
        let _until_the_end = unpacking;
        write(form, told, &compare(old, new, &limits))
    });
    let (media_type, text) = work.await.map_err(Error::internal)?;
    let reply = warnings
        .iter()
        .fold(Reply::new(StatusCode::OK), |reply, text| reply.header(WARNING, warning(text)));
    let reply = reply
        .header(CONTENT_TYPE, media_type)
        // Versions never change, but on a busy day the answer is coarser.
        .header(CACHE_CONTROL, "private, max-age=300")
        .header(VARY, "Accept");
    Ok(reply.with(ReplyBody::Bytes(text.into())))
}

/// The manifest of the other version, once the policies have let it go out, too, and their warnings. Headers alone they
/// need not be asked about.
async fn admitted(stores: &Stores, granted: &Granted<Op>, tag: &Reference, head: bool) -> Result<(Digest, Vec<String>)> {
    let repository = granted.existing_repository()?;
    let manifest = stores.catalog.manifest(repository.id, tag.clone()).await?;
    let manifest = manifest.ok_or_else(|| unknown("there is no such version of this chart"))?;
    let warnings = match head {
        true => Vec::new(),
        false => granted.admit(repository, &manifest).await?,
    };
    Ok((manifest.digest, warnings))
}

async fn everything(stores: &Stores, granted: &Granted<Op>, chart: &Chart) -> Result<Vec<Kept>> {
    let repository = granted.existing_repository()?.id;
    let archive = stores.catalog.blob(repository, chart.content).await?;
    let archive = archive.ok_or_else(|| unknown("the chart is not here"))?;
    Ok(inspect(stores, &archive, Some(Part::Everything)).await?.kept)
}

/// The answer, and of what type it is.
fn write(form: Form, mut told: Value, files: &[Differing]) -> (&'static str, String) {
    match form {
        Form::Json => {
            told["files"] = Value::from_iter(files.iter().map(|file| {
                json!({
                    "name": file.name,
                    "change": file.change.word(),
                    "added": file.lines.as_ref().map(|lines| lines.added),
                    "removed": file.lines.as_ref().map(|lines| lines.removed),
                    "diff": file.lines.as_ref().map(|lines| &lines.unified),
                })
            }));
            ("application/json", format!("{told}\n"))
        }
        Form::Text => {
            let text = files.iter().map(|file| match &file.lines {
                Some(lines) if !lines.unified.is_empty() => lines.unified.clone(),
                _ => {
                    let name: String = file.name.escape_debug().collect();
                    format!("Files a/{name} and b/{name} differ\n")
                }
            });
            ("text/x-diff; charset=utf-8", text.collect())
        }
    }
}
