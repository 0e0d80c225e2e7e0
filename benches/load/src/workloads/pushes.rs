//! Pushes: of new images, of one big blob, of images that share layers, of images that are there already.

use super::{Outcome, Timed, nth, push_first, small_images};
use crate::content::{Blob, mix};
use crate::drive::Worker;
use crate::image::{Image, Images};
use crate::options::{Load, Options};
use crate::registry::{Upload, Way};
use anyhow::Result;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of the layer that each image of [`shared`] has for itself.
const OWN_LAYER: u64 = 16 * 1024;

/// Unique images, each blob in one PUT.
pub(super) fn mono(load: &Load) -> Result<Outcome> {
    unique(load, "push-mono", Way::Whole)
}

/// Unique images, each blob as docker pushes it.
pub(super) fn chunk(load: &Load) -> Result<Outcome> {
    unique(load, "push-chunk", Way::Streamed)
}

fn unique(load: &Load, name: &str, way: Way) -> Result<Outcome> {
    let options = &load.options;
    let images = Images {
        name,
        count: options.images,
        layers: options.layers,
        layer_size: options.layer_size,
    };
    let images = Arc::new(images.make(options));
    let ask_first = !options.no_head;
    Timed::new(options)
        .at_most(options.images)
        .with(json!({"images": options.images, "layers": options.layers, "layer_size": options.layer_size}))
        .run(load, async move |worker: &mut Worker, number| {
            worker.push(nth(&images, number), way, ask_first).await
        })
}

/// One big blob for each connection.
pub(super) fn big(load: &Load) -> Result<Outcome> {
    let options = &load.options;
    let blob = |number: u64| Blob::new(mix(options.seed ^ 0xb16b ^ number << 20), options.big_size);
    let blobs: Arc<Vec<Blob>> = Arc::new((0..u64::from(options.connections)).map(blob).collect());
    let repository = format!("{}/push-big", options.prefix);
    Timed::big_pushes(options)
        .with(json!({"size": options.big_size}))
        .run(load, async move |worker: &mut Worker, number| {
            let start = Instant::now();
            worker.upload(Upload::blob(&repository, nth(&blobs, number)), Way::Streamed).await?;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}

/// Images on top of one base image, which is in another repository.
pub(super) fn shared(load: &Load) -> Result<Outcome> {
    let options = &load.options;
    let base = Images {
        name: "shared-base",
        count: 1,
        layers: options.layers,
        layer_size: options.layer_size,
    };
    let base = Arc::new(base.make(options));
    push_first(load, &base)?;
    let children: Arc<Vec<Image>> = Arc::new((0..options.images).map(|number| child(options, nth(&base, 0), number)).collect());
    Timed::new(options)
        .at_most(options.images)
        .with(json!({"images": options.images, "shared_layers": options.layers, "layer_size": options.layer_size}))
        .run(load, async move |worker: &mut Worker, number| {
            worker.push_child(nth(&children, number), nth(&base, 0)).await
        })
}

fn child(options: &Options, base: &Image, number: u64) -> Image {
    let own = Blob::new(mix(options.seed ^ 0x5a5a ^ number << 8), OWN_LAYER);
    let layers = base.layers.iter().cloned().chain([Arc::new(own)]).collect();
    let repository = format!("{}/child-{:x}-{number:x}", options.prefix, options.seed);
    Image::new(repository, "v1".to_owned(), options.seed ^ number << 3, layers)
}

impl Worker {
    /// Pushes an image whose first layers are those of `base`.
    async fn push_child(&mut self, image: &Image, base: &Image) -> Result<()> {
        let start = Instant::now();
        for (index, layer) in image.layers.iter().enumerate() {
            if self.has_blob(&image.repository, &layer.digest).await? {
                continue;
            }
            if index < base.layers.len() && self.mount(&image.repository, &base.repository, &layer.digest).await? {
                self.record.note("mounted");
                continue;
            }
            self.upload(Upload::blob(&image.repository, layer), Way::Whole).await?;
        }
        self.upload(Upload::document(&image.repository, &image.config), Way::Whole).await?;
        self.put_manifest(&image.repository, &image.tag, &image.manifest).await?;
        self.record.latency("op", start.elapsed());
        Ok(())
    }
}

/// Images that the repository has.
pub(super) fn again(load: &Load) -> Result<Outcome> {
    let images = Arc::new(small_images(&load.options));
    push_first(load, &images)?;
    Timed::new(&load.options).run(load, async move |worker: &mut Worker, number| {
        worker.push(nth(&images, number), Way::Whole, true).await
    })
}
