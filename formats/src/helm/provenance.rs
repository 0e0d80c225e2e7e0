//! A provenance that comes by itself, for a chart that is here: it becomes part of the chart's artifact, once.
//! Whoever may add a chart may sign one, so that a signature of nobody's may stand where the publisher's belongs; by force
//! (`?force`, or a part `force` of the form) another takes its place.

use super::chart::Inspected;
use super::form::{Counted, Form};
use super::mend;
use super::op::{Act, Op, Upload};
use super::parse::tag_of;
use super::published::{PROVENANCE, inspect};
use super::read::unknown;
use super::upload::{Received, Terms, access, collect, enter, flag, keeps_its_promise, made_of, mutable_versions};
use super::upload::{repository_of, saved, signed, store};
use crate::dispatch::Granted;
use crate::handler::{Body, Reply};
use bytes::Bytes;
use granary_storage::access::Action;
use granary_storage::catalog::{Chart, ChartVersion, LateProvenance, Over, RepositoryId};
use granary_storage::name::{Reference, RepositoryName};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use serde::Deserialize;
use std::sync::Arc;

/// `POST api/prov`, `PUT charts/<file>.tgz.prov`.
pub(super) async fn upload(stores: &Stores, granted: &Granted<Op>, body: Body) -> Result<Reply> {
    let Act::Provenance(upload) = &granted.op().act else {
        return Err(Error::internal("not a provenance"));
    };
    let (bytes, force) = receive(stores, upload, body).await?;
    let digest = Digest::sha256(&bytes);
    keeps_its_promise(upload, &digest)?;
    let signed = signed(stores, bytes.clone()).await?;
    let (name, version) = (&signed.metadata.name, &signed.metadata.version);
    let place = repository_of(upload, granted, &signed.metadata).await?;
    let absent = || unknown("the chart that the provenance signs is not here; upload the chart first");
    let repository = stores.catalog.repository(place.clone()).await?.ok_or_else(absent)?;
    let found = stores.catalog.chart_version(repository.id, signed.metadata.tag()?).await?;
    let chart = match found {
        Some(ChartVersion { chart, live: true }) if chart.version == *version => chart,
        _ => return Err(absent()),
    };
    signed.check(name, version, &chart.content)?;
    match chart.provenance {
        Some(known) if known == digest => {
            mend::bytes(stores, granted, repository.id, bytes).await?;
            return Ok(saved(None));
        }
        Some(_) => may_replace(stores, granted, &place, &chart, force).await?,
        None => {}
    }
    let archive = mend::archive(stores, repository.id, &chart).await?;
    let inspected = inspect(stores, &archive, None).await?;
    Ok(saved(add(stores, granted, repository.id, &chart, inspected, bytes).await?))
}

/// Whether the caller may put another provenance in the place of the chart's, and says that it is to be: who may replace
/// the version itself, and where versions never change, who may delete it.
async fn may_replace(stores: &Stores, granted: &Granted<Op>, name: &RepositoryName, chart: &Chart, force: bool) -> Result<()> {
    let action = match mutable_versions(stores, name).await? {
        true => Action::Overwrite,
        false => Action::Delete,
    };
    let (kind, rest) = match (force, granted.may(access(name, action)).await?) {
        (true, true) => return Ok(()),
        (true, false) => (ErrorKind::Denied, "which you may not replace"),
        (false, true) => (ErrorKind::Conflict, "which changes only by force (?force)"),
        (false, false) => (ErrorKind::Conflict, "which only who manages it replaces"),
    };
    let sentence = format!("{} {} was published with another provenance, {rest}", chart.name, chart.version);
    Err(Error::new(kind, What::Tag, sentence))
}

/// Adds a provenance to a chart that is here, in the place of the one that it has; what its sender should hear of how.
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
    // The manifest's own comes back, where another was kept beside it.
    let own = chart.digest == made_of(&inspected, Some((digest, provenance.len() as u64)));
    let why = if own {
        None
    } else if is_made_here(stores, repository, chart, &inspected).await? {
        let received = Received {
            chart: inspected,
            provenance: Some(provenance.clone()),
            force: false,
        };
        let over = Over::Unreferred {
            manifest: chart.digest,
            provenance: chart.provenance,
        };
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
            Err(error) if error.kind() == ErrorKind::Conflict && error.what() == What::Reference => Some("something refers to it"),
            entered => return entered.map(|()| None),
        }
    } else {
        Some("it was not made here")
    };
    store(stores, granted, repository, provenance).await?;
    let late = LateProvenance {
        repository,
        tag: tag_of(&chart.version)?,
        chart: chart.digest,
        provenance: digest,
        over: chart.provenance,
        by: granted.by(),
    };
    stores.catalog.keep_provenance(Arc::new(late)).await?;
    Ok(why.map(|why| {
        format!("the provenance is served by the chart repository, and not over oci: the chart's manifest stays as it is, for {why}")
    }))
}

/// Whether the chart's manifest is the one that is made here of its archive, with its provenance or without any.
async fn is_made_here(stores: &Stores, repository: RepositoryId, chart: &Chart, inspected: &Inspected) -> Result<bool> {
    if chart.digest == made_of(inspected, None) {
        return Ok(true);
    }
    // Another may be kept beside it by now: what counts is the one that it names.
    let found = stores.catalog.manifest(repository, Reference::Digest(chart.digest)).await?;
    let named = found.and_then(|manifest| serde_json::from_slice::<Layers>(&manifest.bytes).ok());
    let provenance = named.and_then(|named| named.layers.into_iter().find(|layer| layer.media_type == PROVENANCE));
    let provenance = provenance.and_then(|layer| Some((layer.digest.parse().ok()?, layer.size)));
    Ok(provenance.is_some_and(|provenance| chart.digest == made_of(inspected, Some(provenance))))
}

/// What of a manifest tells its provenance.
#[derive(Deserialize)]
struct Layers {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
}

/// The provenance, as the body or as a part of a form, and whether it is to take the place of another.
async fn receive(stores: &Stores, upload: &Upload, body: Body) -> Result<(Bytes, bool)> {
    let most = stores.limits.chart_provenance_bytes;
    let around = upload.boundary.as_ref().map_or(0, |_| stores.limits.form_other_bytes);
    let limit = most.saturating_add(around).min(stores.limits.blob_bytes);
    let mut body = Counted::new(body, upload.length, limit)?;
    let Some(boundary) = &upload.boundary else {
        let mut all = Vec::new();
        while let Some(chunk) = body.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        return Ok((all.into(), upload.force));
    };
    let mut form = Form::new(body, boundary, stores.limits.clone());
    let (mut provenance, mut force) = (None, upload.force);
    while let Some(name) = form.next_part().await? {
        match name.as_str() {
            "prov" if provenance.is_some() => return Err(Error::invalid(What::Request, "the form holds two provenances")),
            "prov" => provenance = Some(collect(&mut form, most).await?),
            "force" => force |= flag(&mut form).await?,
            _ => form.skip().await?,
        }
    }
    let provenance = provenance.ok_or_else(|| Error::invalid(What::Request, "the form has no part called prov"))?;
    Ok((provenance, force))
}
