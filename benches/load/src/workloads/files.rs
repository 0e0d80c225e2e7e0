//! Files of a generic store, by PUT and GET.

use super::{Outcome, Timed, nth};
use crate::content::{Blob, mix};
use crate::drive::{Worker, prepare};
use crate::http::{Call, Payload};
use crate::options::Load;
use crate::registry::OCTETS;
use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Small files that are kept for GETs.
const KEPT: u64 = 64;

fn prefix(load: &Load) -> Result<String> {
    let prefix = load.options.generic_prefix.as_deref().context("--generic-prefix is needed")?;
    Ok(prefix.trim_end_matches('/').to_owned())
}

/// PUTs of files as large as a layer.
pub(super) fn put(load: &Load) -> Result<Outcome> {
    let options = &load.options;
    let timed = Timed::new(options).at_most(options.images * options.layers);
    unique(load, timed, "file", options.layer_size)
}

/// PUTs of one big file a connection.
pub(super) fn put_big(load: &Load) -> Result<Outcome> {
    unique(load, Timed::big_pushes(&load.options), "big", load.options.big_size)
}

fn unique(load: &Load, timed: Timed, name: &'static str, size: u64) -> Result<Outcome> {
    let (prefix, seed) = (prefix(load)?, load.options.seed);
    timed
        .with(json!({"size": size}))
        .run(load, async move |worker: &mut Worker, number| {
            let path = format!("{prefix}/{name}-{seed:x}-{number:x}.bin");
            let payload = Payload::stream(mix(seed ^ 0x9e9e ^ number << 24 ^ size), size);
            let start = Instant::now();
            let call = Call::new(Method::PUT, &path).headers(&[OCTETS]).payload(payload);
            worker.connection.fetch(call).await?.require(&[200, 201, 204], "put")?;
            worker.record.sent += size;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}

/// GETs of small files.
pub(super) fn get(load: &Load) -> Result<Outcome> {
    downloads(load, load.options.small_size, KEPT)
}

/// GETs of one big file.
pub(super) fn get_big(load: &Load) -> Result<Outcome> {
    downloads(load, load.options.big_size, 1)
}

fn downloads(load: &Load, size: u64, count: u64) -> Result<Outcome> {
    let (prefix, seed) = (prefix(load)?, load.options.seed);
    let file = |number: u64| {
        let blob = Blob::new(mix(seed ^ 0x6e6e ^ number << 24 ^ size), size);
        (format!("{prefix}/get-{size}-{seed:x}-{number:x}.bin"), blob)
    };
    let files: Arc<Vec<(String, Blob)>> = Arc::new((0..count).map(file).collect());
    let kept = files.clone();
    prepare(load, count, async move |worker: &mut Worker, number| {
        let (path, blob) = nth(&kept, number);
        let call = Call::new(Method::PUT, path).headers(&[OCTETS]).payload(Payload::blob(blob));
        // 409: an earlier run has left it there, and files are not overwritten.
        worker.connection.fetch(call).await?.require(&[200, 201, 204, 409], "put")
    })?;
    Timed::new(&load.options)
        .with(json!({"size": size}))
        .run(load, async move |worker: &mut Worker, number| {
            let (path, blob) = nth(&files, number);
            let start = Instant::now();
            worker.get_blob(path, blob).await?;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}
