//! A provenance that comes by itself, for a chart that is here: it becomes part of the chart's artifact, once.

use super::chart::Inspected;
use super::form::{Counted, Form};
use super::op::{Act, Op, Upload};
use super::parse::tag_of;
use super::published::inspect;
use super::read::unknown;
use super::upload::{Received, Terms, collect, enter, keeps_its_promise, made_of, repository_of, saved, signed, store};
use crate::dispatch::Granted;
use crate::handler::{Body, Reply};
use bytes::Bytes;
use granary_storage::catalog::{Chart, ChartVersion, LateProvenance, Over, RepositoryId};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use std::sync::Arc;

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
        Some(known) if known == digest => Ok(saved(None)),
        Some(_) => {
            let sentence = format!("{name} {version} was published with another provenance");
            Err(Error::new(ErrorKind::Conflict, What::Tag, sentence))
        }
        None => {
            let archive = stores.catalog.blob(repository.id, chart.content).await?.ok_or_else(absent)?;
            let inspected = inspect(stores, &archive, None).await?;
            Ok(saved(add(stores, granted, repository.id, &chart, inspected, bytes).await?))
        }
    }
}

/// Adds a provenance to a chart that is here without one; what its sender should hear of how.
///
/// Only a manifest that was made here, and that nothing refers to, gives its tag to one that names the provenance. Beside
/// any other it is kept for the chart repository alone: who pushed it, or signed it, knows it by its digest.
pub(super) async fn add(
    stores: &Stores,
    granted: &Granted<Op>,
    repository: RepositoryId,
    chart: &Chart,
    inspected: Inspected,
    provenance: Bytes,
) -> Result<Option<String>> {
    let digest = Digest::sha256(&provenance);
    let why = if chart.digest == made_of(&inspected) {
        let received = Received {
            chart: inspected,
            provenance: Some(provenance.clone()),
            force: false,
        };
        let over = Over::Unreferred(chart.digest);
        match enter(
            stores,
            granted,
            repository,
            &received,
            Terms {
                over,
                may_overwrite: false,
            },
        )
        .await
        {
            Err(error) if error.kind() == ErrorKind::Conflict && error.what() == What::Reference => "something refers to it",
            entered => return entered.map(|()| None),
        }
    } else {
        "it was not made here"
    };
    store(stores, granted, repository, provenance).await?;
    let late = LateProvenance {
        repository,
        tag: tag_of(&chart.version)?,
        chart: chart.digest,
        provenance: digest,
        by: granted.by(),
    };
    stores.catalog.keep_provenance(Arc::new(late)).await?;
    Ok(Some(format!(
        "the provenance is served by the chart repository, and not over oci: the chart's manifest stays as it is, for {why}"
    )))
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
