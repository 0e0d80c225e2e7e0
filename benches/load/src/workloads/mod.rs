//! The workloads. Each has a preparation that is not measured, and a measured part that is bounded in
//! operations, time and bytes.

mod big_blobs;
mod files;
mod lists;
mod paths;
mod pulls;
mod pushes;
mod referrers;

use crate::drive::{Bounds, Operation, drive};
use crate::image::{Image, Images};
use crate::measure::{Measured, Meter};
use crate::options::{Load, Options};
use crate::record::Record;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A workload.
pub(crate) struct Workload {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// Prepares it and runs it.
    pub(crate) run: fn(&Load) -> Result<Outcome>,
}

const fn workload(name: &'static str, about: &'static str, run: fn(&Load) -> Result<Outcome>) -> Workload {
    Workload { name, about, run }
}

/// Every workload.
pub(crate) const ALL: &[Workload] = &[
    workload("ping", "GET /v2/", paths::ping),
    workload("push-mono", "push of unique images, each blob by POST and one PUT", pushes::mono),
    workload(
        "push-chunk",
        "push of unique images, each blob by POST, streamed PATCH (no Content-Length) and PUT, as docker does",
        pushes::chunk,
    ),
    workload(
        "push-big",
        "one big blob a connection (--big-size), by POST, streamed PATCH and PUT",
        pushes::big,
    ),
    workload(
        "push-shared",
        "push of images that share base layers: mounts from another repository, one small layer of their own",
        pushes::shared,
    ),
    workload(
        "push-again",
        "push of images that the repository has already: HEAD hits, then the manifest",
        pushes::again,
    ),
    workload("pull-tag", "GET manifest by tag", pulls::by_tag),
    workload("pull-digest", "GET manifest by digest", pulls::by_digest),
    workload("head-tag", "HEAD manifest by tag", pulls::head_tag),
    workload(
        "pull-304",
        "GET manifest by tag with If-None-Match of its digest",
        pulls::not_modified,
    ),
    workload("head-blob", "HEAD blob", pulls::head_blob),
    workload("get-small", "GET small blob (--small-size)", pulls::small_blob),
    workload("get-big", "GET big blob (--big-size), whole", big_blobs::whole),
    workload(
        "get-range",
        "GET of ranges of 1 MiB at random places of the big blob",
        big_blobs::ranges,
    ),
    workload(
        "pull-image",
        "whole pull of an image: manifest by tag, configuration, layers",
        pulls::image,
    ),
    workload(
        "tags-page",
        "one page (--page) of the tags of a repository that has --tags of them, from a random place",
        lists::tags_page,
    ),
    workload("tags-walk", "all tags, page by page", lists::tags_walk),
    workload(
        "catalog-page",
        "one page of _catalog with --repos repositories, from a random place",
        lists::catalog_page,
    ),
    workload("catalog-walk", "the whole _catalog, page by page", lists::catalog_walk),
    workload("mixed", "75 % whole pulls of images, 25 % pushes of images", pulls::mixed),
    workload("referrers", "referrers of a subject that has --referrers of them", referrers::list),
    workload("generic-put", "PUT of unique files under --generic-prefix", files::put),
    workload("generic-get", "GET of files under --generic-prefix", files::get),
    workload("generic-get-big", "GET of one big file under --generic-prefix", files::get_big),
    workload(
        "generic-put-big",
        "PUT of one big file a connection under --generic-prefix",
        files::put_big,
    ),
    workload("helm-index", "GET of --helm-path", paths::helm_index),
    workload("get-path", "GET of --path, whatever it is", paths::path),
];

/// The workload of that name.
///
/// # Errors
/// When there is none.
pub(crate) fn find(name: &str) -> Result<&'static Workload> {
    ALL.iter()
        .find(|workload| workload.name == name)
        .with_context(|| format!("there is no workload {name}; `granary-load list` names them"))
}

/// What came of a workload.
pub(crate) struct Outcome {
    /// What the workers saw.
    pub(crate) record: Record,
    /// How long the measured part took.
    pub(crate) wall: Duration,
    /// What was used meanwhile.
    pub(crate) measured: Measured,
    /// What results must have in common to be compared.
    pub(crate) parameters: Value,
}

/// How long pushes of big files may take at least, so that they end on a slow disk too.
const BIG_PUSH_TIME: Duration = Duration::from_secs(120);

/// The measured part of a workload.
struct Timed {
    bounds: Bounds,
    parameters: Value,
}

impl Timed {
    /// As the options say.
    fn new(options: &Options) -> Self {
        Self {
            bounds: Bounds {
                connections: options.connections,
                operations: if options.operations == 0 { u64::MAX } else { options.operations },
                time: options.seconds,
            },
            parameters: json!({}),
        }
    }

    /// One big push a connection.
    fn big_pushes(options: &Options) -> Self {
        let mut timed = Self::new(options).at_most(u64::from(options.connections));
        timed.bounds.time = timed.bounds.time.max(BIG_PUSH_TIME);
        timed
    }

    /// No more operations than there is content for.
    fn at_most(mut self, operations: u64) -> Self {
        self.bounds.operations = self.bounds.operations.min(operations);
        self
    }

    fn on_one_connection(mut self) -> Self {
        self.bounds.connections = 1;
        self
    }

    fn with(mut self, parameters: Value) -> Self {
        self.parameters = parameters;
        self
    }

    fn run(self, load: &Load, operation: impl Operation) -> Result<Outcome> {
        let meter = Meter::begin(load.options.watched());
        let driven = drive(load, self.bounds, operation);
        let measured = meter.end();
        let driven = driven?;
        Ok(Outcome {
            record: driven.record,
            wall: driven.wall,
            measured,
            parameters: self.parameters,
        })
    }
}

/// Images of one small layer, for what is asked one by one.
fn small_images(options: &Options) -> Vec<Image> {
    let images = Images {
        name: "small",
        count: 64,
        layers: 1,
        layer_size: options.small_size,
    };
    images.make(options)
}

/// Images as large as the options say, for what is pulled whole.
fn whole_images(options: &Options) -> Vec<Image> {
    let images = Images {
        name: "img",
        count: 16,
        layers: options.layers,
        layer_size: options.layer_size,
    };
    images.make(options)
}

/// Pushes images before the clock starts.
fn push_first(load: &Load, images: &Arc<Vec<Image>>) -> Result<()> {
    use crate::drive::{Worker, prepare};
    use crate::registry::Way;
    let pushed = images.clone();
    prepare(load, images.len() as u64, async move |worker: &mut Worker, number| {
        worker.push(nth(&pushed, number), Way::Whole, true).await
    })
}

/// The one of a number, round and round. There must be at least one.
fn nth<T>(items: &[T], number: u64) -> &T {
    &items[(number % items.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_workload_has_a_name_of_its_own_and_is_found_by_it() {
        let names: HashSet<&str> = ALL.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(find("pull-tag").unwrap().name, "pull-tag");
        assert!(find("pull").is_err());
    }

    #[test]
    fn numbers_go_round() {
        let seen: Vec<u8> = (0..5).map(|number| *nth(&[7, 8, 9], number)).collect();
        assert_eq!(seen, [7, 8, 9, 7, 8]);
    }
}
