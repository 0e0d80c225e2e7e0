//! OCI distribution: container images and every other OCI artifact, under `/v2`.
//! Source: distribution-spec 1.1 and its main branch.

mod blobs;
mod discovery;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod manifest;
mod manifests;
mod op;
mod parse;
mod referrers;
mod uploads;

#[cfg(test)]
mod mounts_tests;
#[cfg(test)]
mod pushes_tests;
#[cfg(test)]
mod ranges_tests;
#[cfg(test)]
mod referrers_tests;
#[cfg(test)]
pub(crate) mod specimen_tests;
#[cfg(test)]
mod upload_model_tests;
#[cfg(test)]
mod uploads_tests;

pub(crate) use blobs::FOREVER;
pub(crate) use manifests::made_here;
pub(crate) use parse::decode;

use crate::dispatch::Granted;
use crate::handler::{Body, Challenge, FormatHandler, Head, Reply};
use granary_storage::catalog::StorageFormat;
use granary_storage::{Error, Result, Stores};
use op::{Act, Op};

/// The format.
pub struct Oci;

impl FormatHandler for Oci {
    const NAME: &'static str = "oci";
    const MOUNT: &'static str = "/v2";
    const STORES: StorageFormat = StorageFormat::Oci;
    type Op = Op;

    fn parse(&self, head: &Head<'_>, stores: &Stores) -> Result<Op> {
        parse::parse(head, &stores.limits)
    }

    async fn serve(&self, stores: &Stores, granted: Granted<Op>, body: Body) -> Result<Reply> {
        let reply = match granted.op().act {
            Act::Base => Ok(discovery::base()),
            Act::Catalog(_) => discovery::catalog(stores, &granted).await,
            Act::Tags(_) => discovery::tags(stores, &granted).await,
            Act::Referrers { .. } => referrers::list(stores, &granted).await,
            Act::ReadManifest { .. } => manifests::read(&granted),
            Act::PutManifest { .. } => manifests::put(stores, &granted, body).await,
            Act::DeleteManifest { .. } => manifests::delete(stores, &granted).await,
            Act::ReadBlob { .. } => blobs::read(stores, &granted).await,
            Act::DeleteBlob { .. } => blobs::delete(stores, &granted).await,
            Act::StartUpload { .. } => uploads::start(stores, &granted, body).await,
            Act::UploadStatus { .. } => uploads::status(stores, &granted).await,
            Act::Append { .. } => uploads::append(stores, &granted, body).await,
            Act::Finish { .. } => uploads::finish(stores, &granted, body).await,
            Act::CancelUpload { .. } => uploads::cancel(stores, &granted).await,
        };
        reply.map(error::with_common_headers)
    }

    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply {
        error::with_common_headers(error::render(error, challenge))
    }
}
