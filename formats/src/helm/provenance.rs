//! A provenance that comes by itself, for a chart that is here: it becomes part of the chart's artifact, once.

use super::form::{Counted, Form};
use super::op::{Act, Op, Upload};
use super::published::inspect;
use super::read::unknown;
use super::upload::{Received, collect, enter, keeps_its_promise, repository_of, signed};
use crate::dispatch::Granted;
use crate::handler::{Body, Reply};
use crate::json_error::json_reply;
use bytes::Bytes;
use granary_storage::catalog::ChartVersion;
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use serde_json::json;

/// `POST api/prov`, `PUT charts/<file>.tgz.prov`.
pub(super) async fn upload(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Provenance(upload) = &granted.op().act else {
        return Err(Error::internal("not a provenance"));
    };
    let bytes = receive(stores, upload, body).await?;
    let digest = Digest::sha256(&bytes);
    keeps_its_promise(upload, &digest)?;
    let signed = signed(stores, bytes.clone()).await?;
    let (name, version) = (&signed.metadata.name, &signed.metadata.version);
    let place = repository_of(upload, granted, &signed.metadata).await?;
    let absent = || unknown("the chart that the provenance signs is not here; upload the chart first");
    let repository = stores.catalog.repository(place).await?.ok_or_else(absent)?;
    let found = stores.catalog.chart_version(repository.id, signed.metadata.tag()?).await?;
    let chart = match found {
        Some(ChartVersion { chart, live: true }) if chart.version == *version => chart,
        _ => return Err(absent()),
    };
    signed.check(name, version, &chart.content)?;
    match chart.provenance {
        Some(known) if known == digest => {}
        Some(_) => {
            let sentence = format!("{name} {version} was published with another provenance");
            return Err(Error::new(ErrorKind::Conflict, What::Tag, sentence));
        }
        None => {
            let archive = stores.catalog.blob(repository.id, chart.content).await?.ok_or_else(absent)?;
            let received = Received {
                chart: inspect(stores, &archive, None).await?,
                provenance: Some(bytes),
                force: false,
            };
            enter(stores, granted, repository.id, &received).await?;
        }
    }
    Ok(json_reply(StatusCode::CREATED, json!({"saved": true}).to_string()))
}

/// The provenance, as the body or as a part of a form.
async fn receive(stores: &Stores, upload: &Upload, body: Body) -> Result<Bytes> {
    let most = stores.limits.chart_provenance_bytes;
    let around = upload.boundary.as_ref().map_or(0, |_| stores.limits.form_other_bytes);
    let limit = most.saturating_add(around).min(stores.limits.blob_bytes);
    let mut body = Counted::new(body, upload.length, limit)?;
    let Some(boundary) = &upload.boundary else {
        let mut all = Vec::new();
        while let Some(chunk) = body.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        return Ok(all.into());
    };
    let mut form = Form::new(body, boundary, stores.limits.clone());
    let mut provenance = None;
    while let Some(name) = form.next_part().await? {
        match name.as_str() {
            "prov" if provenance.is_some() => return Err(Error::invalid(What::Request, "the form holds two provenances")),
            "prov" => provenance = Some(collect(&mut form, most).await?),
            _ => form.skip().await?,
        }
    }
    provenance.ok_or_else(|| Error::invalid(What::Request, "the form has no part called prov"))
}
