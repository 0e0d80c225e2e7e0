//! Parts of a published chart that were found damaged and set aside. The same bytes, sent again, take their place.

use super::op::Op;
use super::upload::{Received, Terms, enter, made_of, store};
use crate::dispatch::Granted;
use bytes::Bytes;
use granary_storage::catalog::{BlobView, Chart, RepositoryId};
use granary_storage::name::Reference;
use granary_storage::upload::Writing;
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use serde::Deserialize;

/// What of a manifest names the config.
#[derive(Deserialize)]
struct Manifest {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    digest: String,
}

/// Puts in what is missing of a chart that is here, out of the same chart that has come.
pub(super) async fn with(
    stores: &Stores,
    granted: &Granted<Op>,
    repository: RepositoryId,
    chart: &Chart,
    mut writing: Writing,
    received: &Received,
) -> Result<()> {
    match is_here(stores, repository, chart.content).await? {
        true => writing.give_up().await?,
        false => {
            writing.settle(repository);
            writing.finish(&chart.content).await?;
        }
    }
    if let Some(provenance) = &received.provenance
        && chart.provenance == Some(Digest::sha256(provenance))
    {
        bytes(stores, granted, repository, provenance.clone()).await?;
    }
    let found = match stores.catalog.manifest(repository, Reference::Digest(chart.digest)).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => return manifest(stores, granted, repository, chart, received, error).await,
        found => found?,
    };
    let named = found.and_then(|manifest| serde_json::from_slice::<Manifest>(&manifest.bytes).ok());
    let config = Bytes::from(received.chart.metadata.to_json());
    if named.is_some_and(|named| named.config.digest == Digest::sha256(&config).to_string()) {
        bytes(stores, granted, repository, config).await?;
    }
    Ok(())
}

/// Makes the manifest anew, where the same comes of what was sent.
async fn manifest(
    stores: &Stores,
    granted: &Granted<Op>,
    repository: RepositoryId,
    chart: &Chart,
    received: &Received,
    damaged: Error,
) -> Result<()> {
    let provenance = received.provenance.as_ref();
    let provenance = provenance.map(|bytes| (Digest::sha256(bytes), bytes.len() as u64));
    match made_of(&received.chart, provenance) == chart.digest {
        true => enter(stores, granted, repository, received, Terms::default()).await,
        false => Err(damaged),
    }
}

/// Puts in a small part, where it is missing.
pub(super) async fn bytes(stores: &Stores, granted: &Granted<Op>, repository: RepositoryId, part: Bytes) -> Result<()> {
    match is_here(stores, repository, Digest::sha256(&part)).await? {
        true => Ok(()),
        false => store(stores, granted, repository, part).await,
    }
}

async fn is_here(stores: &Stores, repository: RepositoryId, digest: Digest) -> Result<bool> {
    Ok(stores.catalog.blob(repository, digest).await?.is_some())
}

/// The archive of a chart that is listed, to be read.
///
/// # Errors
/// `Corrupt`/`Blob` when it was found damaged.
pub(super) async fn archive(stores: &Stores, repository: RepositoryId, chart: &Chart) -> Result<BlobView> {
    let sentence = "the stored bytes of this chart are damaged; whoever uploads the same chart again mends it";
    sound(stores, repository, chart.content, sentence).await
}

/// The provenance of a chart that is listed.
///
/// # Errors
/// As [`archive`].
pub(super) async fn provenance(stores: &Stores, repository: RepositoryId, digest: Digest) -> Result<BlobView> {
    let sentence = "the stored bytes of this provenance are damaged; whoever uploads the same again mends it";
    sound(stores, repository, digest, sentence).await
}

async fn sound(stores: &Stores, repository: RepositoryId, digest: Digest, damaged: &'static str) -> Result<BlobView> {
    let found = stores.catalog.blob(repository, digest).await?;
    found.ok_or_else(|| Error::new(ErrorKind::Corrupt, What::Blob, damaged))
}
