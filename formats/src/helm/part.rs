//! What ChartMuseum's API shows of a version besides its entry: files of the archive, read from it anew each time.

use super::chart::{Kept, Part};
use super::mend;
use super::op::{Act, Op};
use super::published::inspect;
use super::read::{caching, latest, listed, of_version, unknown};
use crate::dispatch::Granted;
use crate::handler::{Reply, ReplyBody};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::blob::Blob;
use granary_storage::{Error, Result, Stores};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};

/// `GET api/charts/<name>/<version>/values`, and the other parts.
pub(super) async fn part(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Part { version, tag, part, .. } = &granted.op().act else {
        return Err(unknown("not a part"));
    };
    if tag.is_none() {
        // The policies are asked about a version that is named. This one is from now on.
        let place = format!("../{}/{}", latest(listed(stores, granted).await?)?.version, part.word());
        let reply = Reply::new(StatusCode::FOUND).header(LOCATION, place);
        return Ok(reply.header(CACHE_CONTROL, "private, no-cache"));
    }
    // What the policies were asked about, and nothing that took its place meanwhile.
    let absent = || unknown("there is no such version of this chart");
    let admitted = granted.manifest().map_err(|_| absent())?.digest;
    let chart = of_version(stores, granted, version).await?;
    if chart.digest != admitted {
        return Err(absent());
    }
    let repository = granted.existing_repository()?.id;
    let archive = mend::archive(stores, repository, &chart).await?;
    let unpacking = stores.unpack(1)?;
    let (of, part) = (stores.clone(), *part);
    // On a task of its own: what was begun goes on when who asks goes away, and keeps its place until it ends.
    let work = tokio::spawn(async move {
        let _until_the_end = unpacking;
        read(&of, &archive, part).await
    });
    let (media_type, bytes) = work.await.map_err(Error::internal)??;
    let reply = Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, media_type)
        .header(CACHE_CONTROL, caching(stores, granted).await?);
    Ok(reply.with(ReplyBody::Bytes(bytes.into())))
}

/// The answer, and of what type it is.
async fn read(stores: &Stores, archive: &Blob, part: Part) -> Result<(&'static str, Vec<u8>)> {
    let kept = inspect(stores, archive, Some(part)).await?.kept;
    Ok(match part {
        Part::Templates => ("application/json", templates(kept).await?),
        Part::Values => ("application/yaml", one(kept, "the chart has no values.yaml")?),
        Part::Readme => ("text/markdown; charset=utf-8", one(kept, "the chart has no README")?),
        Part::Schema => ("application/json", one(kept, "the chart has no values.schema.json")?),
        Part::Everything => return Err(unknown("not a part")),
    })
}

fn one(kept: Vec<Kept>, absent: &'static str) -> Result<Vec<u8>> {
    let first = kept.into_iter().next();
    first.map(|file| file.data).ok_or_else(|| unknown(absent))
}

/// As Go writes a list of files.
async fn templates(kept: Vec<Kept>) -> Result<Vec<u8>> {
    let work = tokio::task::spawn_blocking(move || {
        let files = kept
            .iter()
            .map(|file| json!({"name": file.name, "data": STANDARD.encode(&file.data)}));
        Value::from_iter(files).to_string().into_bytes()
    });
    work.await.map_err(Error::internal)
}
