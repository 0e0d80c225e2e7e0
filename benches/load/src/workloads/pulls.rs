//! Pulls: of manifests, of small blobs, of whole images, and beside pushes.

use super::{Outcome, Timed, nth, push_first, small_images, whole_images};
use crate::drive::Worker;
use crate::http::Call;
use crate::image::{Image, Images, MANIFEST};
use crate::options::Load;
use crate::registry::Way;
use anyhow::Result;
use hyper::{Method, StatusCode, header};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Manifests by tag.
pub(super) fn by_tag(load: &Load) -> Result<Outcome> {
    manifests(load, |image| &image.tag)
}

/// Manifests by digest.
pub(super) fn by_digest(load: &Load) -> Result<Outcome> {
    manifests(load, |image| &image.manifest.digest)
}

fn manifests(load: &Load, reference: fn(&Image) -> &String) -> Result<Outcome> {
    let images = Arc::new(small_images(&load.options));
    push_first(load, &images)?;
    Timed::new(&load.options).run(load, async move |worker: &mut Worker, number| {
        let image = nth(&images, number);
        let start = Instant::now();
        worker.get_manifest(image, reference(image)).await?;
        worker.record.latency("op", start.elapsed());
        Ok(())
    })
}

/// HEADs of manifests by tag.
pub(super) fn head_tag(load: &Load) -> Result<Outcome> {
    heads(load, |image| image.manifest_path(&image.tag))
}

/// HEADs of blobs.
pub(super) fn head_blob(load: &Load) -> Result<Outcome> {
    heads(load, |image| image.blob_path(&nth(&image.layers, 0).digest))
}

fn heads(load: &Load, path: fn(&Image) -> String) -> Result<Outcome> {
    let images = Arc::new(small_images(&load.options));
    push_first(load, &images)?;
    Timed::new(&load.options).run(load, async move |worker: &mut Worker, number| {
        let path = path(nth(&images, number));
        let start = Instant::now();
        let call = Call::new(Method::HEAD, &path).headers(&[(header::ACCEPT, MANIFEST)]);
        worker.connection.fetch(call).await?.require(&[200], "head")?;
        worker.record.latency("op", start.elapsed());
        Ok(())
    })
}

/// Manifests that the client has already.
pub(super) fn not_modified(load: &Load) -> Result<Outcome> {
    let images = Arc::new(small_images(&load.options));
    push_first(load, &images)?;
    Timed::new(&load.options).run(load, async move |worker: &mut Worker, number| {
        let image = nth(&images, number);
        let (path, etag) = (image.manifest_path(&image.tag), format!("\"{}\"", image.manifest.digest));
        let start = Instant::now();
        let headers = [(header::ACCEPT, MANIFEST), (header::IF_NONE_MATCH, etag.as_str())];
        let reply = worker.connection.fetch(Call::get(&path).headers(&headers)).await?;
        reply.require(&[200, 304], "get manifest")?;
        let unchanged = reply.status == StatusCode::NOT_MODIFIED;
        worker.record.note(if unchanged { "not_modified" } else { "sent_whole" });
        worker.record.latency("op", start.elapsed());
        Ok(())
    })
}

/// Small blobs.
pub(super) fn small_blob(load: &Load) -> Result<Outcome> {
    let images = Arc::new(small_images(&load.options));
    push_first(load, &images)?;
    Timed::new(&load.options)
        .with(json!({"size": load.options.small_size}))
        .run(load, async move |worker: &mut Worker, number| {
            let image = nth(&images, number);
            let layer = nth(&image.layers, 0);
            let start = Instant::now();
            worker.get_blob(&image.blob_path(&layer.digest), layer).await?;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}

/// Whole images.
pub(super) fn image(load: &Load) -> Result<Outcome> {
    let options = &load.options;
    let images = Arc::new(whole_images(options));
    push_first(load, &images)?;
    Timed::new(options)
        .with(json!({"layers": options.layers, "layer_size": options.layer_size}))
        .run(load, async move |worker: &mut Worker, number| {
            worker.pull(nth(&images, number)).await
        })
}

/// Three pulls of whole images to one push of a new one.
pub(super) fn mixed(load: &Load) -> Result<Outcome> {
    let options = &load.options;
    let images = Arc::new(whole_images(options));
    push_first(load, &images)?;
    let fresh = Images {
        name: "mixed",
        count: options.images,
        layers: options.layers,
        layer_size: options.layer_size,
    };
    let fresh = Arc::new(fresh.make(options));
    Timed::new(options)
        .at_most(options.images * 4)
        .with(json!({"layers": options.layers, "layer_size": options.layer_size}))
        .run(load, async move |worker: &mut Worker, number| {
            if number % 4 != 3 {
                return worker.pull(nth(&images, number)).await;
            }
            let start = Instant::now();
            worker.push(nth(&fresh, number / 4), Way::Streamed, true).await?;
            worker.record.latency("push", start.elapsed());
            Ok(())
        })
}
