//! Helm chart repositories, under `/helm`: the index and the files that `helm repo add` reads, and the API of
//! ChartMuseum, which the plugins of `helm` upload by. `/helm/<prefix>` lists the charts directly under `<prefix>`.
//!
//! A chart is an OCI artifact, always: what is pushed over `/v2` is listed here, and what is uploaded here can be
//! pulled over `/v2`, byte for byte.

pub mod chart;
mod coding;
mod diff;
mod form;
mod index;
mod marks;
mod mend;
mod op;
mod parameter;
mod parse;
mod part;
mod provenance;
mod published;
mod publisher;
mod read;
mod said;
mod taken;
mod unlisted;
mod upload;

#[cfg(test)]
mod agreement_tests;
#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod diff_tests;
#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod provenance_tests;
#[cfg(test)]
mod publisher_tests;
#[cfg(test)]
mod refusals_tests;
#[cfg(test)]
mod said_tests;
#[cfg(test)]
pub(crate) mod specimen_tests;
#[cfg(test)]
mod uploads_tests;
#[cfg(test)]
mod versions_tests;

pub(crate) use published::{CONFIG, CONTENT, CONTENT_OF_OLD, ChartLayers, PROVENANCE, look_at};

use crate::dispatch::Granted;
use crate::handler::{Body, Challenge, FormatHandler, Head, Reply};
use crate::json_error;
use granary_storage::catalog::StorageFormat;
use granary_storage::clock::Millis;
use granary_storage::{Error, Result, Stores};
use index::Indexes;
use op::{Act, Op};
use std::sync::{Arc, OnceLock};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The format.
#[derive(Default)]
pub struct Helm {
    indexes: OnceLock<Arc<Indexes>>,
}

impl Helm {
    /// One with nothing in memory.
    pub const fn new() -> Self {
        Self { indexes: OnceLock::new() }
    }

    fn indexes(&self) -> &Arc<Indexes> {
        self.indexes.get_or_init(|| Arc::new(Indexes::new()))
    }

    /// The same at its other place.
    #[must_use]
    pub fn api(&self) -> Api {
        Api(Self {
            indexes: self.indexes().clone().into(),
        })
    }
}

/// The API of ChartMuseum before the prefix: `/api/helm/<prefix>/charts` for `/helm/<prefix>/api/charts`.
pub struct Api(Helm);

impl FormatHandler for Api {
    const NAME: &'static str = Helm::NAME;
    const MOUNT: &'static str = "/api/helm";
    const STORES: StorageFormat = Helm::STORES;
    type Op = Op;

    fn parse(&self, head: &Head<'_>, stores: &Stores) -> Result<Op> {
        parse::parse_api(head, &stores.limits)
    }

    async fn serve(&self, stores: &Stores, granted: Granted<Op>, body: Body) -> Result<Reply> {
        self.0.serve(stores, granted, body).await
    }

    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply {
        self.0.render_error(error, challenge)
    }
}

impl FormatHandler for Helm {
    const NAME: &'static str = "helm";
    const MOUNT: &'static str = "/helm";
    const STORES: StorageFormat = StorageFormat::Oci;
    type Op = Op;

    fn parse(&self, head: &Head<'_>, stores: &Stores) -> Result<Op> {
        parse::parse(head, &stores.limits)
    }

    async fn serve(&self, stores: &Stores, granted: Granted<Op>, body: Body) -> Result<Reply> {
        let reply = match granted.op().act {
            Act::Index { .. } => read::index(self, stores, &granted).await,
            Act::ReadFile { .. } => read::file(stores, &granted).await,
            Act::Upload(_) => upload::upload(stores, &granted, body).await,
            Act::Charts { .. } => read::charts(self, stores, &granted).await,
            Act::Versions { .. } => read::versions(stores, &granted).await,
            Act::Version { .. } => read::version(stores, &granted).await,
            Act::Part { .. } => part::part(stores, &granted).await,
            Act::Images { .. } => said::images(stores, &granted).await,
            Act::Labels { .. } => said::labels(stores, &granted).await,
            Act::Diff { .. } => diff::diff(stores, &granted).await,
            Act::Publisher { .. } => publisher::read(stores, &granted).await,
            Act::PutPublisher { .. } => publisher::put(stores, &granted, body).await,
            Act::DeletePublisher { .. } => publisher::delete(stores, &granted).await,
            Act::Provenance(_) => provenance::upload(stores, &granted, body).await,
            Act::Unlisted(_) => unlisted::list(stores, &granted).await,
            Act::Mark { .. } => marks::change(stores, &granted, body).await,
            Act::Health => read::health(self, stores, &granted).await,
            Act::Info => Ok(read::info()),
            Act::Delete { .. } => read::delete(stores, &granted).await,
        };
        reply.map(json_error::with_common_headers)
    }

    fn render_error(&self, error: &Error, challenge: &Challenge) -> Reply {
        json_error::with_common_headers(json_error::render(error, challenge))
    }
}

/// A time as RFC 3339 has it, in whole seconds, UTC; the epoch for a time that it cannot write, whose year has not four
/// digits.
fn rfc3339(at: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
#[test]
fn every_time_is_written_as_rfc_3339_has_it() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (-62_167_219_200, "0000-01-01T00:00:00Z"),
        (-62_167_219_201, "1970-01-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, "1970-01-01T00:00:00Z"),
        (i64::MIN / 1000, "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(seconds * 1000), text);
    }
}
