//! Generic files: build results and firmware, by the clients that everybody has (curl, wget, a browser), under
//! `/generic/<project>/<name>/<path…>`.

mod archive;
mod checksums;
mod deploy;
#[cfg(test)]
mod deploy_tests;
mod download;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod html;
mod labels;
#[cfg(test)]
mod labels_tests;
mod listing;
mod media;
mod newest;
#[cfg(test)]
mod newest_tests;
mod op;
mod parse;
mod path;
mod release;
mod releases;
mod sidecar;
mod sums_file;
mod tus;
mod tus_apart;
mod tus_create;
mod tus_fill;
mod tus_finish;
mod tus_headers;
mod tus_join;
mod tus_op;

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod immutable_tests;
#[cfg(test)]
mod parse_tests;
#[cfg(test)]
mod sidecar_tests;
#[cfg(test)]
pub(crate) mod specimen_tests;
#[cfg(test)]
mod tus_create_tests;
#[cfg(test)]
mod tus_cut_off_tests;
#[cfg(test)]
mod tus_join_tests;
#[cfg(test)]
pub(crate) mod tus_specimen_tests;
#[cfg(test)]
mod tus_tests;

use crate::dispatch::Granted;
use crate::handler::{Body, Challenge, FormatHandler, Head, Reply};
use crate::json_error;
use granary_storage::catalog::StorageFormat;
use granary_storage::{Error, Result, Stores};
use op::{Act, Op};
pub use tus::Sessions;

/// The format.
pub struct Generic;

impl FormatHandler for Generic {
    const NAME: &'static str = "generic";
    const MOUNT: &'static str = "/generic";
    const STORES: StorageFormat = StorageFormat::Generic;
    type Op = Op;

    fn parse(&self, head: &Head<'_>, stores: &Stores) -> Result<Op> {
        parse::parse(head, &stores.limits)
    }

    async fn serve(&self, stores: &Stores, granted: Granted<Op>, body: Body) -> Result<Reply> {
        let reply = match granted.op().act {
            Act::ReadFile { .. } => files::read(stores, &granted).await,
            Act::PutFile(_) => files::put(stores, &granted, body).await,
            Act::ReadLabels { .. } => labels::read(stores, &granted).await,
            Act::ChangeLabels { .. } => labels::change(stores, &granted, body).await,
            Act::DeleteFile { .. } => files::delete(stores, &granted).await,
            Act::NewestRelease { .. } => newest::lead(stores, &granted).await,
            Act::ListReleases { .. } => releases::list(stores, &granted).await,
            Act::ListFiles { .. } => listing::list(stores, &granted).await,
            Act::FetchFolder { .. } => download::fetch(stores, &granted).await,
            Act::StartUpload { .. } => tus_create::create(stores, granted, body).await,
            Act::UploadAbilities => Ok(tus_create::abilities(stores)),
        };
        reply.map(json_error::with_common_headers)
    }

    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply {
        json_error::with_common_headers(json_error::render(error, challenge))
    }
}
