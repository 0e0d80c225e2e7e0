//! A chart that comes as an OCI artifact: whether what the manifest says is what the archive says.

use super::chart::{Inspected, Inspection, Part};
use super::upload::signed;
use futures_util::TryStreamExt as _;
use granary_storage::blob::Blob;
use granary_storage::catalog::{ChartFacts, NewChart, Repository};
use granary_storage::prefix::Prefix;
use granary_storage::{Algorithm, Digest, ErrorKind, Result, Stores};
use serde::Deserialize;

/// The media type of a chart's config.
pub(crate) const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// The media type of its archive.
pub(crate) const CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The one that Helm wrote before 3.7, and still reads.
pub(crate) const CONTENT_OF_OLD: &str = "application/tar+gzip";
/// The media type of its provenance.
pub(crate) const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

/// The parts of a chart that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChartLayers {
    /// The config.
    pub(crate) config: Digest,
    /// The archives; a chart has one.
    pub(crate) content: Vec<Digest>,
    /// The provenance.
    pub(crate) provenance: Option<Digest>,
}

/// What of a config counts.
#[derive(Deserialize)]
struct Config {
    name: Option<String>,
    version: Option<String>,
}

/// Looks at a chart in the store. What does not hold together is kept as any other artifact is, and listed nowhere.
///
/// # Errors
/// Those of catalog and store.
pub(crate) async fn look_at(stores: &Stores, repository: &Repository, layers: &ChartLayers) -> Result<NewChart> {
    match facts(stores, repository, layers).await {
        Ok(Ok(facts)) => Ok(NewChart::Listed(Box::new(facts))),
        Ok(Err(reason)) => Ok(NewChart::Unlisted(reason)),
        // The sender's fault, in the archive.
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge) => {
            Ok(NewChart::Unlisted(error.message().to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Looks at an archive in the store, and keeps the files of a part of it.
pub(super) async fn inspect(stores: &Stores, archive: &Blob, part: Option<Part>) -> Result<Inspected> {
    let mut inspection = Inspection::keeping(stores.limits.clone(), part);
    let mut bytes = stores.read(archive, 0..archive.size).await?;
    while let Some(chunk) = bytes.try_next().await? {
        inspection = inspection.push(&chunk).await?;
    }
    inspection.finish().await
}

/// All of a blob that is known to be small.
async fn whole(stores: &Stores, blob: &Blob) -> Result<Vec<u8>> {
    let bytes = stores.read(blob, 0..blob.size).await?;
    let all = bytes.try_fold(Vec::new(), async |mut all, chunk| {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    all.await
}

async fn facts(stores: &Stores, repository: &Repository, layers: &ChartLayers) -> Result<Result<ChartFacts, String>> {
    let unlisted = |reason: String| Ok(Err(reason));
    let [content] = layers.content.as_slice() else {
        return unlisted(format!("the manifest has {} layers that are charts", layers.content.len()));
    };
    let provenance = layers.provenance;
    if content.algorithm() != Algorithm::Sha256 || provenance.is_some_and(|digest| digest.algorithm() != Algorithm::Sha256) {
        return unlisted("Helm knows a chart by its sha256 alone".to_owned());
    }
    let absent = || "what the manifest names is not in this repository".to_owned();
    let Some(archive) = stores.catalog.blob(repository.id, *content).await? else {
        return unlisted(absent());
    };
    let Some(config) = stores.catalog.blob(repository.id, layers.config).await? else {
        return unlisted(absent());
    };
    if config.size > stores.limits.chart_metadata_bytes {
        return unlisted(format!("its config is larger than {} bytes", stores.limits.chart_metadata_bytes));
    }
    let found = inspect(stores, &archive, None).await?;
    let Ok(stated) = serde_json::from_slice::<Config>(&whole(stores, &config).await?) else {
        return unlisted("its config is not the JSON of a chart".to_owned());
    };
    let (name, version) = (&found.metadata.name, &found.metadata.version);
    if stated.name.as_ref() != Some(name) || stated.version.as_ref() != Some(version) {
        return unlisted(format!(
            "its config is that of another chart than its archive, which is {name} {version}"
        ));
    }
    if let Some(digest) = provenance {
        let Some(blob) = stores.catalog.blob(repository.id, digest).await? else {
            return unlisted(absent());
        };
        if blob.size > stores.limits.chart_provenance_bytes {
            return unlisted(format!(
                "its provenance is larger than {} bytes",
                stores.limits.chart_provenance_bytes
            ));
        }
        let bytes = whole(stores, &blob).await?;
        signed(stores, bytes.into()).await?.check(name, version, content)?;
    }
    let (_, segment) = Prefix::of(&repository.name);
    if name != segment {
        return unlisted(format!(
            "the chart is called {name}, so its repository's name would have to end in that, and not in {segment}"
        ));
    }
    found.facts(provenance).map(Ok)
}
