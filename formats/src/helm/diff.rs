//! How two versions of a chart differ, as JSON for scripts and as a patch for people (`chart/compare.rs`).

use super::chart::{Differing, Part, compare};
use super::mend;
use super::op::{Act, Op};
use super::published::inspect;
use super::read::{LATEST, latest, listed, of_version, unknown};
use crate::dispatch::{Granted, WARNING, warning, yanked};
use crate::handler::{Head, Reply, ReplyBody};
use granary_storage::catalog::{BlobView, Chart};
use granary_storage::name::Reference;
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, VARY};
use serde::Serialize;
use std::io::{self, Write};

/// How many times larger than what is compared an answer may be: lines have marks, and JSON writes up to six bytes for one.
const GROWTH: u64 = 4;

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
    let old = archive(stores, granted, before).await?;
    let new = archive(stores, granted, after).await?;
    let unpacking = stores.unpack(2)?;
    let (of, form) = (stores.clone(), *form);
    let (name, from, to) = (before.name.clone(), before.version.clone(), after.version.clone());
    // On a task of its own: what was begun goes on when who asks goes away, and keeps its places until it ends.
    let work = tokio::spawn(async move {
        let _until_the_end = unpacking;
        let old = inspect(&of, &old, Some(Part::Everything)).await?.kept;
        let new = inspect(&of, &new, Some(Part::Everything)).await?.kept;
        let work = tokio::task::spawn_blocking(move || {
            let files = compare(old, new, &of.limits);
            let told = Told {
                name: &name,
                from: &from,
                to: &to,
                files: files.iter().map(ToldFile::of).collect(),
            };
            write(form, &told, of.limits.chart_file_bytes.saturating_mul(GROWTH))
        });
        work.await.map_err(Error::internal)?
    });
    let (media_type, text) = work.await.map_err(Error::internal)??;
    let reply = warnings
        .iter()
        .fold(Reply::new(StatusCode::OK), |reply, text| reply.header(WARNING, warning(text)));
    let reply = reply
        .header(CONTENT_TYPE, media_type)
        // A version may be replaced, yanked or blocked, and on a busy day the answer is coarser.
        .header(CACHE_CONTROL, "private, no-cache")
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

async fn archive(stores: &Stores, granted: &Granted<Op>, chart: &Chart) -> Result<BlobView> {
    let repository = granted.existing_repository()?.id;
    mend::archive(stores, repository, chart).await
}

/// What is told, as JSON has it.
#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    from: &'a str,
    to: &'a str,
    files: Vec<ToldFile<'a>>,
}

#[derive(Serialize)]
struct ToldFile<'a> {
    name: &'a str,
    change: &'static str,
    added: Option<usize>,
    removed: Option<usize>,
    diff: Option<&'a str>,
}

impl<'a> ToldFile<'a> {
    fn of(file: &'a Differing) -> Self {
        let lines = file.lines.as_ref();
        Self {
            name: &file.name,
            change: file.change.word(),
            added: lines.map(|lines| lines.added),
            removed: lines.map(|lines| lines.removed),
            diff: lines.map(|lines| lines.unified.as_str()),
        }
    }
}

/// The answer, and of what type it is.
fn write(form: Form, told: &Told<'_>, most: u64) -> Result<(&'static str, Vec<u8>)> {
    let mut answer = Capped { bytes: Vec::new(), most };
    let (media_type, written) = match form {
        Form::Json => {
            let written = serde_json::to_writer(&mut answer, told).map_err(io::Error::from);
            ("application/json", written.and_then(|()| answer.write_all(b"\n")))
        }
        Form::Text => ("text/x-diff; charset=utf-8", patch(&mut answer, &told.files)),
    };
    written.map_err(|_| {
        let sentence = format!("the differences are larger than {most} bytes; pull both charts to compare them");
        Error::new(ErrorKind::TooLarge, What::Blob, sentence)
    })?;
    Ok((media_type, answer.bytes))
}

fn patch(answer: &mut Capped, files: &[ToldFile<'_>]) -> io::Result<()> {
    for file in files {
        match file.diff {
            Some(lines) if !lines.is_empty() => answer.write_all(lines.as_bytes())?,
            _ => {
                let name = file.name.escape_debug();
                writeln!(answer, "Files a/{name} and b/{name} differ")?;
            }
        }
    }
    Ok(())
}

/// Bytes in memory, up to a limit.
struct Capped {
    bytes: Vec<u8>,
    most: u64,
}

impl Write for Capped {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + more.len()) as u64 > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
